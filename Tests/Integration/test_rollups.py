"""The hourly rollups: right, also when readings come late, are moved to another hour, or are removed."""

from __future__ import annotations

import time
from typing import Any, Iterator

import pytest

from hub import Hub, wait_until
from mqtt import Peer

HOUR = 3_600_000_000
# The hub makes the rollups that are due every 30 s.
PATIENCE = 120


class Meter:
    """A sensor type of the test's own, with one device."""

    def __init__(self, hub: Hub, name: str) -> None:
        self.hub, self.name = hub, name
        # Three whole hours ago: over, whenever the test runs.
        self.hour = int(time.time() * 1e6) // HOUR * HOUR - 3 * HOUR
        fields = {"level": "float", "count": "int", "open": "bool", "text": "string"}
        hub.rpc("types", "register", document={"name": name, "sensor_data_structure": fields})
        hub.rpc("sensors", "register", document={"sensor_type": name, "name": name})
        self.device: Peer = hub.as_device(name)
        self._seq = 0

    def read(self, minute: int, hour: int = 0, **values: Any) -> int:
        self._seq += 1
        self.say({"t": self.hour + hour * HOUR + minute * 60_000_000, "boot": 1, "seq": self._seq, "v": values})
        return self._seq

    def say(self, item: dict[str, Any]) -> None:
        # A key of the envelope, not of the values.
        if item.get("v", {}).pop("uncertain", False):
            item["u"] = True
        self.device.publish(self.hub.topic(f"sensors/{self.name}/data"), item)

    def hours(self) -> dict[int, dict[str, Any]]:
        """The rollups by their hour, counted from ours."""
        rows = self.hub.sql(
            f'SELECT *, (extract(epoch FROM hour) * 1000000)::bigint AS start FROM report.{self.name}_hourly '
            "WHERE sensor = %s", self.name)
        return {(row["start"] - self.hour) // HOUR: row for row in rows}

    def wait_for(self, hour: int, readings: int, by_ourselves: bool = True) -> dict[str, Any]:
        def is_there() -> bool:
            if by_ourselves:
                self.hub.sql("SELECT hub.roll_up(100)")
            return bool(self.hours().get(hour, {}).get("readings", 0) == readings)

        wait_until(is_there, PATIENCE, f"{readings} readings in the rollup: {self.hours()}")
        return self.hours()[hour]


_count = 0


@pytest.fixture
def meter(hub: Hub) -> Iterator[Meter]:
    global _count
    _count += 1
    meter = Meter(hub, f"meter{_count}")
    yield meter
    meter.device.close()


def test_the_hub_makes_them_by_itself(meter: Meter) -> None:
    meter.read(0, level=1.0)
    meter.wait_for(0, 1, by_ourselves=False)


def test_a_late_reading_changes_its_hour_and_no_other(meter: Meter) -> None:
    meter.read(0, level=1.0, count=10, open=True, text="a")
    meter.read(59, level=4.0, count=20, open=False, text="b")
    meter.read(0, hour=1, level=7.0)
    first = meter.wait_for(0, 2)
    assert [first[f"level.{name}"] for name in ("avg", "min", "max")] == [2.5, 1.0, 4.0]
    assert [first[f"count.{name}"] for name in ("avg", "min", "max")] == [15, 10, 20]
    assert [first[f"open.{name}"] for name in ("avg", "min", "max")] == [0.5, 0, 1]
    assert not any(name.startswith("text") for name in first)
    other = meter.wait_for(1, 1)
    assert other["level.avg"] == 7.0 and other["count.avg"] is None

    meter.read(30, level=10.0, count=30, open=True)
    late = meter.wait_for(0, 3)
    assert [late[f"level.{name}"] for name in ("avg", "min", "max")] == [5.0, 1.0, 10.0]
    assert late["count.avg"] == 20
    assert meter.hours() == {0: late, 1: other}


def test_the_hour_that_goes_on_has_no_rollup_yet(meter: Meter) -> None:
    meter.read(0, level=1.0)
    now = int(time.time() * 1e6)
    meter.say({"t": now, "boot": 2, "seq": 1, "v": {"level": 2.0}})
    meter.wait_for(0, 1)
    if int(time.time() * 1e6) // HOUR == now // HOUR:
        assert list(meter.hours()) == [0]


def test_rollups_stay_when_their_readings_go(meter: Meter) -> None:
    # Older than a year, so that a whole partition goes; a clock that is far off has no partition of its own.
    age = 400 * 24
    meter.read(0, hour=-age, level=3.0)
    meter.read(0, level=5.0)
    meter.wait_for(-age, 1)
    meter.wait_for(0, 1)
    meter.hub.rpc("types", "retention", name=meter.name, keep="52w")
    assert meter.hub.count(meter.name) == 1
    meter.read(1, level=7.0)
    meter.wait_for(0, 2)
    assert meter.hours()[-age]["level.avg"] == 3.0


def test_readings_that_are_moved_leave_the_rollup_of_their_wrong_hour(meter: Meter) -> None:
    first = meter.read(0, level=1.0, uncertain=True)
    last = meter.read(1, level=3.0, uncertain=True)
    meter.read(2, level=5.0)
    meter.wait_for(0, 3)
    meter.say({"boot": 1, "clock": [first, last], "offset": HOUR})
    assert meter.wait_for(1, 2)["level.avg"] == 2.0
    assert meter.wait_for(0, 1)["level.avg"] == 5.0
