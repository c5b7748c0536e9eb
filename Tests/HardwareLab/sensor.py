"""A sensor of the tests': the very `sensor-driver` that users run, in the guest."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any, Optional

from broker import TIMEOUT_SECONDS, Broker
from guest import Guest, Process


class Sensor:
    """One sensor instance and its driver."""

    def __init__(self, guest: Guest, broker: Broker, program: str, document: dict[str, Any]) -> None:
        """`program` is a sensor-driver in the guest, `document` the driver's configuration file: driver, type and instance (docs/drivers.md)."""
        self._guest = guest
        self._broker = broker
        self._program = program
        self.name: str = document["instance"]["name"]
        self._configuration = f"/run/tmp/{self.name}.json"
        self.process: Optional[Process] = None
        guest.write(self._configuration, json.dumps(document))

    def start(self, uid: Optional[int] = None, groups: Optional[list[int]] = None) -> Sensor:
        """Starts the driver; its rights are root's unless `uid` says otherwise."""
        self.process = self._guest.spawn(
            self._program, "--config", self._configuration, uid=uid, groups=groups,
            env={"SENSORHUB_HUB": "lab", "SENSORHUB_BROKER": f"mqtt://10.0.2.2:{self._broker.port}"})
        return self

    def once(self, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs `sensor-driver --once`, which needs no broker."""
        return self._guest.run(self._program, "--config", self._configuration, "--once", check=False, **options)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends the driver; its exit code."""
        assert self.process
        return self.process.stop(number)

    @property
    def log(self) -> str:
        return self.process.output if self.process else ""

    def call(self, function: str, **parameters: Any) -> dict[str, Any]:
        """Calls a control function and returns the reply."""
        return self._broker.call(self.name, function, **parameters)

    # What it has published

    @property
    def readings(self) -> list[dict[str, Any]]:
        """All readings so far in the order of their numbers: {"t", "boot", "seq", "v"}."""
        found: dict[tuple[int, int], dict[str, Any]] = {}
        for message in self._broker.messages(f"sensors/{self.name}/data"):
            items = message.json
            for item in items if isinstance(items, list) else [items]:
                if "seq" in item:
                    found[item["boot"], item["seq"]] = item
        return [found[key] for key in sorted(found)]

    @property
    def values(self) -> list[dict[str, Any]]:
        return [reading["v"] for reading in self.readings]

    @property
    def statuses(self) -> list[dict[str, Any]]:
        return [message.json for message in self._broker.messages(f"sensors/{self.name}/status")]

    def _told(self) -> str:
        return f"values {self.values[-10:]}, statuses {self.statuses[-5:]}, log:\n{self.log[-3_000:]}"

    def wait_for_values(self, count: int, timeout: float = TIMEOUT_SECONDS) -> list[dict[str, Any]]:
        """The values of all readings as soon as there are `count`."""
        return list(self._broker.wait(
            lambda: self.values if len(self.values) >= count else None,
            lambda: f"{count} readings of {self.name}; {self._told()}", timeout))

    def wait_for(self, timeout: float = TIMEOUT_SECONDS, **values: Any) -> dict[str, Any]:
        """The next reading, or the latest one, that has these values."""
        seen = max(0, len(self.readings) - 1)

        def match() -> Optional[dict[str, Any]]:
            for reading in self.readings[seen:]:
                if all(reading["v"].get(name) == value for name, value in values.items()):
                    return reading
            return None

        return dict(self._broker.wait(match, lambda: f"{values} of {self.name}; {self._told()}", timeout))

    def wait_for_status(self, status: str, timeout: float = TIMEOUT_SECONDS) -> dict[str, Any]:
        """The latest status as soon as it is `status`; with `reason` where it is a fault."""
        return dict(self._broker.wait(
            lambda: self.statuses[-1] if self.statuses and self.statuses[-1]["status"] == status else None,
            lambda: f"status {status} of {self.name}; {self._told()}", timeout))

    def wait_for_fault(self, *words: str, timeout: float = TIMEOUT_SECONDS) -> str:
        """The reason of the latest fault that has all `words` in it."""
        def match() -> Optional[str]:
            for status in self.statuses[-1:]:
                if status["status"] == "fault" and all(word in status["reason"] for word in words):
                    return str(status["reason"])
            return None

        return str(self._broker.wait(match, lambda: f"a fault with {words} of {self.name}; {self._told()}", timeout))


def configuration(
    driver: str, types: Path, name: str, interval: Optional[float] = None, **attributes: Any,
) -> dict[str, Any]:
    """A driver's configuration with the sensor type of its folder, as the agent would write it."""
    type = json.loads(types.read_text())["sensor_type_list"][0]
    functions = [
        {"name": function["name"], "params": function.get("params", [])}
        for function in type.get("control_functions", [])
    ]
    return {
        "driver": driver,
        "type": {"name": type["name"], "company": type.get("company", ""), "fields": type["sensor_data_structure"],
                 "functions": functions},
        "instance": {"name": name, "type": type["name"], "driver": driver, "interval": interval,
                     "attributes": attributes},
    }
