"""Readings, and how they are read from what a driver publishes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Mapping, NoReturn, Optional

from .binding import Sensor
from .fields import INT64, checked

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: 1970 to 2100 in microseconds, as the hub has it; what lies outside is no time but a mistake.
TIMES = range(4_102_444_800_000_000 + 1)
_ENVELOPE = {"t", "boot", "seq", "v", "u"}
#: What a driver says besides readings, by its keys: which readings it has given up, how many it took, and by how much
#: it stamped them wrong.
_NOTES = ({"boot", "lost"}, {"boot", "end"}, {"boot", "clock", "offset"})


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
        if _is_note(item):
            continue
        try:
            readings.append(_reading(item, sensor, received))
        except ValueError as error:
            malformed(str(error))
    return readings


def _no_constant(name: str) -> NoReturn:
    # Python's parser takes NaN and Infinity, which JSON does not have.
    raise ValueError(f"{name} is not JSON")


def _is_note(item: Any) -> bool:
    # Other devices may have fields of these names, so the whole form counts, as it does for the hub.
    if not isinstance(item, dict) or item.keys() not in _NOTES or not isinstance(item["boot"], int):
        return False
    return all(isinstance(item[key], list) for key in ("lost", "clock") if key in item)


def _reading(item: Any, sensor: Sensor, received: int) -> Reading:
    if not isinstance(item, dict):
        raise ValueError("a reading must be an object")
    if isinstance(item.get("v"), dict):
        if not item.keys() <= _ENVELOPE:
            raise ValueError("a reading has 't', 'boot', 'seq' and 'v', perhaps 'u', and no other key")
        t = _number(item, "t", TIMES)
        boot = _number(item, "boot", range(INT64.stop))
        seq = _number(item, "seq", range(INT64.stop))
        return Reading(sensor, t, boot, seq, checked(item["v"], sensor.sensor_type, sensor.fields))
    return Reading(sensor, received, None, None, checked(item, sensor.sensor_type, sensor.fields))


def _number(item: Mapping[str, Any], key: str, allowed: range) -> int:
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        raise ValueError(f"'{key}' must be a whole number from {allowed.start} to {allowed.stop - 1}")
    return value
