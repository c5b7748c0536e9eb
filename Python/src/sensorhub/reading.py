"""Readings, and how they are read from what a driver publishes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Mapping, NoReturn, Optional

from .binding import Sensor

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: 1970 to 2100 in microseconds, as the hub has it; what lies outside is no time but a mistake.
_TIMES = range(4_102_444_800_000_000 + 1)
_ENVELOPE = {"t", "boot", "seq", "v"}
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Reading:
    """What a sensor measured at one time."""

    sensor: Sensor
    #: Time of the measurement in microseconds since 1970-01-01 UTC. For a device that sends no time: of the receipt.
    t: int
    #: Grows with each start of the driver. None, as is `seq`, for a device that sends no number.
    boot: Optional[int]
    #: Counts up from 1 within a boot.
    seq: Optional[int]
    #: Every field of the sensor's type, in its order; None where the sensor gave no value.
    values: Mapping[str, Any] = field(hash=False)

    @property
    def sensor_id(self) -> str:
        """The id of the sensor instance."""
        return self.sensor.id

    @property
    def index(self) -> int:
        """The position at which the sensor is bound, counted from 0."""
        return self.sensor.index

    @property
    def time(self) -> datetime:
        """`t` as a `datetime` in UTC; `reading.time.astimezone()` gives local time."""
        return _EPOCH + timedelta(microseconds=self.t)

    def __getitem__(self, name: str) -> Any:
        """The value of a field, or None where the sensor gave none.

        Raises `KeyError` for a field that the type does not have.
        """
        try:
            return self.values[name]
        except KeyError:
            fields = ", ".join(self.values)
            raise KeyError(f"sensor type '{self.sensor.sensor_type}' has no field '{name}' (it has {fields})") from None

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field, or `default` where the sensor gave none or the type has no such field."""
        value = self.values.get(name)
        return default if value is None else value


def decode(payload: bytes, sensor: Sensor, received: int, malformed: Callable[[str], None]) -> list[Reading]:
    """Reads one message of a data topic, in any of its three forms.

    `received` is the time of receipt in microseconds since 1970. `malformed` is called with the reason for each
    reading that is not what the sensor's type says; the others of the same message are returned. What is malformed
    here is what the hub would not store either, so an algorithm works with the readings that are in the database.
    """
    try:
        document = json.loads(payload.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        malformed(f"not JSON: {error or type(error).__name__}")
        return []
    readings = []
    for item in document if isinstance(document, list) else [document]:
        try:
            readings.append(_reading(item, sensor, received))
        except ValueError as error:
            malformed(str(error))
    return readings


def _no_constant(name: str) -> NoReturn:
    # Python's parser takes NaN and Infinity, which JSON does not have.
    raise ValueError(f"{name} is not JSON")


def _reading(item: Any, sensor: Sensor, received: int) -> Reading:
    if not isinstance(item, dict):
        raise ValueError("a reading must be an object")
    if isinstance(item.get("v"), dict):
        if not item.keys() <= _ENVELOPE:
            raise ValueError("a reading has 't', 'boot', 'seq' and 'v', and no other key")
        t = _number(item, "t", _TIMES)
        boot = _number(item, "boot", range(_INT64.stop))
        seq = _number(item, "seq", range(_INT64.stop))
        return Reading(sensor, t, boot, seq, _values(item["v"], sensor))
    return Reading(sensor, received, None, None, _values(item, sensor))


def _number(item: Mapping[str, Any], key: str, allowed: range) -> int:
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        raise ValueError(f"'{key}' must be a whole number from {allowed.start} to {allowed.stop - 1}")
    return value


def _values(given: Mapping[str, Any], sensor: Sensor) -> dict[str, Any]:
    for name in given:
        if name not in sensor.fields:
            raise ValueError(f"type '{sensor.sensor_type}' has no field '{name[:80]}'")
    values = {name: _value(name, given.get(name), field_type) for name, field_type in sensor.fields.items()}
    if all(value is None for value in values.values()):
        raise ValueError("there is no value in it")
    return values


def _value(name: str, value: Any, field_type: str) -> Any:
    if value is None:
        return None
    if isinstance(value, bool):
        fits = field_type == "bool"
    elif isinstance(value, int):
        if field_type == "float":
            # So that a field of type float is a float whether or not the driver wrote a decimal point.
            return _finite(name, value)
        fits = field_type == "int" and value in _INT64
    elif isinstance(value, float):
        if field_type == "float":
            return _finite(name, value)
        fits = False
    else:
        fits = field_type == "string" and isinstance(value, str) and _is_text(value)
    if not fits:
        raise ValueError(f"field '{name}' must be of type {field_type}")
    return value


def _is_text(value: str) -> bool:
    # JSON can say half of a surrogate pair, which is no character: printing it would raise.
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    # The database has no text with NUL in it.
    return "\0" not in value


def _finite(name: str, value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"field '{name}' is too large a number")
    return number
