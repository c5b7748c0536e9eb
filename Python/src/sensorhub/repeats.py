"""Telling a repeated reading from a new one."""

from __future__ import annotations

from collections import OrderedDict
from typing import Iterable

from .reading import Reading

_REMEMBERED_PER_SENSOR = 1000


class Repeats:
    """Remembers which readings came lately.

    A driver sends a reading again after a reconnect until it knows that the reading is in the database, so an
    algorithm that counts or sums would otherwise see some of them twice. Not thread-safe: for the network thread only.
    """

    def __init__(self) -> None:
        self._seen: dict[str, OrderedDict[tuple[int, int, int], None]] = {}

    def is_repeat(self, reading: Reading) -> bool:
        """True if this reading came before; a reading without a number never counts as a repeat."""
        if reading.boot is None or reading.seq is None:
            return False
        key = (reading.boot, reading.seq, reading.t)
        seen = self._seen.setdefault(reading.sensor_id, OrderedDict())
        if key in seen:
            return True
        seen[key] = None
        if len(seen) > _REMEMBERED_PER_SENSOR:
            seen.popitem(last=False)
        return False

    def keep_only(self, sensor_ids: Iterable[str]) -> None:
        """Forgets the sensors that are no longer bound."""
        kept = set(sensor_ids)
        self._seen = {sensor_id: seen for sensor_id, seen in self._seen.items() if sensor_id in kept}
