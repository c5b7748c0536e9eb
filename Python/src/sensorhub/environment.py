"""What the hub tells an algorithm through its environment."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Mapping, Optional

from .address import BrokerAddress
from .errors import ConfigurationError

_VARIABLES = {
    "SENSORHUB_HUB": "id of the hub, such as main",
    "SENSORHUB_BROKER": "address of the broker, such as mqtt://127.0.0.1:1883 or unix:///run/sensorhub/mqtt.sock",
    "SENSORHUB_USER": "user of the broker",
    "SENSORHUB_PASSWORD": "password of that user",
    "SENSORHUB_INSTANCE": "id of the algorithm instance whose binding is to be used",
    "SENSORHUB_APP": "id of the app",
}
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Settings:
    """Where the broker is, and who this program is to it."""

    hub: str
    broker: BrokerAddress
    user: str
    password: str = field(repr=False)
    instance: str
    app: str
    #: The folder for what is to outlive the program; None where there is none.
    state: Optional[str] = None

    @property
    def binding_topic(self) -> str:
        """The topic of the binding document."""
        return f"sensorhub/{self.hub}/algorithms/{self.instance}/binding"

    @property
    def hub_status_topic(self) -> str:
        """The topic on which the hub says that it is there."""
        return f"sensorhub/{self.hub}/status"

    @property
    def page_topic(self) -> str:
        """The topic of the app's page."""
        return f"sensorhub/{self.hub}/apps/{self.app}/page"

    @classmethod
    def from_environment(cls, environment: Optional[Mapping[str, str]] = None) -> Settings:
        """Reads the variables that the hub sets; raises `ConfigurationError` if one is missing or wrong."""
        variables = os.environ if environment is None else environment
        missing = [name for name in _VARIABLES if not variables.get(name)]
        if missing:
            raise ConfigurationError(_explain(missing))
        return cls(
            hub=_id("SENSORHUB_HUB", variables),
            broker=_address("SENSORHUB_BROKER", variables),
            user=variables["SENSORHUB_USER"],
            password=variables["SENSORHUB_PASSWORD"],
            instance=_id("SENSORHUB_INSTANCE", variables),
            app=_id("SENSORHUB_APP", variables),
            state=variables.get("SENSORHUB_STATE") or None,
        )


def _explain(missing: list[str]) -> str:
    verb = "is" if len(missing) == 1 else "are"
    needed = "\n".join(f"    export {name}=…   # {_VARIABLES[name]}" for name in missing)
    return (
        f"{', '.join(missing)} {verb} not set in the environment. This program is meant to be started by the hub, "
        "which sets what is needed: sensorhub deploy FILE. To try it by hand, set before you start it:\n"
        f"{needed}"
    )


def _id(name: str, variables: Mapping[str, str]) -> str:
    # Ids become part of topics, where a '+' or '#' would mean something else.
    if not _ID.fullmatch(variables[name]):
        raise ConfigurationError(f"{name}: '{variables[name][:80]}' is no id: 1 to 64 letters, digits, '_' or '-'")
    return variables[name]


def _address(name: str, variables: Mapping[str, str]) -> BrokerAddress:
    try:
        return BrokerAddress.parse(variables[name])
    except ValueError as error:
        raise ConfigurationError(f"{name} {error}") from None
