"""The errors of the library."""

from __future__ import annotations

from typing import Optional


class SensorhubError(Exception):
    """Every error that this library defines."""


class ConfigurationError(SensorhubError):
    """The environment lacks what the hub gives an algorithm, or has something wrong in it."""


class BindingTimeout(SensorhubError, TimeoutError):
    """No binding document arrived in time."""


class PlatformClosed(SensorhubError):
    """The platform was closed, so it can do nothing more."""


class InvalidReading(SensorhubError, ValueError):
    """A reading that is to be published does not fit the type of its sensor. It was not kept."""

    def __init__(self, sensor_id: str, reason: str) -> None:
        self.sensor_id = sensor_id
        self.reason = reason
        super().__init__(f"reading of '{sensor_id}': {reason}")


class OutputTaken(SensorhubError):
    """Another process, or another `Platform` of this one, publishes the readings of this sensor already."""

    def __init__(self, sensor_id: str) -> None:
        self.sensor_id = sensor_id
        super().__init__(
            f"readings of '{sensor_id}' are published by another process, or another Platform of this program: "
            "its journal is in use"
        )


class CommandError(SensorhubError):
    """A command on a node could not be started, reached, or followed to its end.

    `status` is the hub's status where it refused, as in HTTP; else None.
    """

    def __init__(self, reason: str, status: Optional[int] = None) -> None:
        self.reason = reason
        self.status = status
        super().__init__(reason)


class ControlError(SensorhubError):
    """A control function was called, and there is no good reply.

    `sensor_id` and `function` say which call it was; `reason` is the text without them.
    """

    #: What happened to the call, for the message.
    outcome = "failed"

    def __init__(self, sensor_id: str, function: str, reason: Optional[str] = None) -> None:
        self.sensor_id = sensor_id
        self.function = function
        self.reason = reason or "no reason was given"
        super().__init__(f"call of '{function}' on sensor '{sensor_id}' {self.outcome}: {self.reason}")


class ControlRefused(ControlError):
    """The call does not fit the sensor's type. Nothing was done."""

    outcome = "was refused"


class ControlFailed(ControlError):
    """The driver tried to carry the call out and could not."""

    outcome = "failed"


class ControlTimeout(ControlError):
    """No reply came in time. Whether the call was carried out is unknown."""

    outcome = "had no reply"


class ControlUndelivered(ControlError):
    """The call reached no driver: there is no connection, no right, or no driver that listens. Nothing was done."""

    outcome = "was not delivered"
