"""Platform library of sensorhub: what an algorithm needs to work with the sensors that it is bound to.

Most algorithms need only `Platform`; `getSensorData` and `setSensorData` are there for those who know them from the
IAS IoT platform.
"""

from .binding import Binding, ControlFunction, Output, Parameter, Position, Sensor
from .command import Command, Lines
from .control import ControlReply
from .environment import Settings
from .errors import (
    BindingTimeout,
    CommandError,
    ConfigurationError,
    ControlError,
    ControlFailed,
    ControlRefused,
    ControlTimeout,
    ControlUndelivered,
    InvalidReading,
    OutputTaken,
    PlatformClosed,
    SensorhubError,
)
from .functions import getSensorData, setSensorData
from .platform import Platform
from .reading import Reading
from .stream import ReadingStream

__all__ = [
    "Binding",
    "BindingTimeout",
    "Command",
    "CommandError",
    "ConfigurationError",
    "ControlError",
    "ControlFailed",
    "ControlFunction",
    "ControlRefused",
    "ControlReply",
    "ControlTimeout",
    "ControlUndelivered",
    "InvalidReading",
    "Lines",
    "Output",
    "OutputTaken",
    "Parameter",
    "Platform",
    "PlatformClosed",
    "Position",
    "Reading",
    "ReadingStream",
    "Sensor",
    "SensorhubError",
    "Settings",
    "getSensorData",
    "setSensorData",
]
