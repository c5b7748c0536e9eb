"""Readings that are missing: noticed, told to the driver, and on record until they come or are given up."""

from __future__ import annotations

from typing import Any, Iterator

import pytest

from hub import Hub, wait_until
from mqtt import Peer
from samples import probe, register

TIME = 1_763_677_055_000_000


class Driver:
    """A driver of the test's own that says whatever the test has it say."""

    def __init__(self, hub: Hub, sensor: str) -> None:
        self.hub, self.sensor = hub, sensor
        register(hub, probe(sensor, driver=False))
        self.peer: Peer = hub.as_device(sensor)
        self.peer.subscribe(hub.topic(f"sensors/{sensor}/committed"))

    def say(self, *items: dict[str, Any]) -> None:
        self.peer.publish(self.hub.topic(f"sensors/{self.sensor}/data"), list(items))

    def read(self, *numbers: int, boot: int = 1, **changes: Any) -> None:
        self.say(*(
            {"t": TIME + number % 1_000, "boot": boot, "seq": number, "v": {"count": number}} | changes
            for number in numbers))

    def wait_for_committed(self, document: dict[str, Any]) -> None:
        def is_there() -> Any:
            heard = [message.json for message in self.peer.messages]
            return heard and heard[-1] == document

        wait_until(is_there, what=f"{document} after {[message.json for message in self.peer.messages][-3:]}")

    def gaps(self) -> list[tuple[int, ...]]:
        """(boot, first, last, missing, lost) of each, and whether it is closed."""
        rows = self.hub.sql("SELECT * FROM report.gap WHERE sensor = %s ORDER BY boot, first_seq", self.sensor)
        return [
            (row["boot"], row["first_seq"], row["last_seq"], row["missing"], row["lost"], row["closed_at"] is not None)
            for row in rows]

    def wait_for_gaps(self, *gaps: tuple[Any, ...]) -> None:
        wait_until(lambda: self.gaps() == list(gaps), what=f"gaps {gaps}, not {self.gaps()}")


_count = 0


@pytest.fixture
def driver(hub: Hub) -> Iterator[Driver]:
    global _count
    _count += 1
    driver = Driver(hub, f"gaps-{_count}")
    yield driver
    driver.peer.close()


def test_without_a_gap_the_driver_is_told_how_far_its_readings_are(driver: Driver) -> None:
    driver.read(1, 2, 3)
    driver.wait_for_committed({"boot": 1, "seq": 3})
    driver.read(4)
    driver.wait_for_committed({"boot": 1, "seq": 4})
    assert driver.gaps() == []


def test_a_driver_that_comes_back_hears_it_again(hub: Hub, driver: Driver) -> None:
    driver.read(1, 2, 3)
    driver.wait_for_committed({"boot": 1, "seq": 3})
    with hub.as_device(driver.sensor) as again:
        again.subscribe(hub.topic(f"sensors/{driver.sensor}/committed"))
        message = again.wait_for_topic(hub.topic(f"sensors/{driver.sensor}/committed"))
        assert message.retained and message.json == {"boot": 1, "seq": 3}


def test_a_gap_is_on_record_until_its_readings_come(driver: Driver) -> None:
    driver.read(1, 2, 6)
    driver.wait_for_committed({"boot": 1, "seq": 6, "missing": [[1, 3, 5]]})
    driver.wait_for_gaps((1, 3, 5, 3, 0, False))
    driver.read(4)
    driver.wait_for_committed({"boot": 1, "seq": 6, "missing": [[1, 3, 3], [1, 5, 5]]})
    driver.wait_for_gaps((1, 3, 5, 2, 0, False))
    driver.read(3, 5)
    driver.wait_for_committed({"boot": 1, "seq": 6})
    driver.wait_for_gaps((1, 3, 5, 0, 0, True))
    assert driver.hub.count(driver.sensor) == 6


def test_the_first_readings_of_a_boot_can_be_missing_too(driver: Driver) -> None:
    driver.read(1, 2)
    driver.read(3, boot=2)
    driver.wait_for_committed({"boot": 2, "seq": 3, "missing": [[2, 1, 2]]})
    driver.wait_for_gaps((2, 1, 2, 2, 0, False))


def test_what_a_driver_has_given_up_stays_on_record_as_lost(driver: Driver) -> None:
    driver.read(1, 5)
    driver.wait_for_committed({"boot": 1, "seq": 5, "missing": [[1, 2, 4]]})
    driver.say({"boot": 1, "lost": [2, 3]})
    driver.wait_for_committed({"boot": 1, "seq": 5, "missing": [[1, 4, 4]]})
    driver.say({"boot": 1, "lost": [4, 4]})
    driver.wait_for_committed({"boot": 1, "seq": 5})
    driver.wait_for_gaps((1, 2, 4, 0, 3, True))


def test_the_end_of_a_boot_shows_what_never_came(driver: Driver) -> None:
    driver.read(1, 2)
    driver.read(1, boot=2)
    driver.say({"boot": 1, "end": 4})
    driver.wait_for_gaps((1, 3, 4, 2, 0, False))
    driver.say({"boot": 1, "lost": [3, 4]})
    driver.wait_for_gaps((1, 3, 4, 0, 2, True))
    driver.wait_for_committed({"boot": 2, "seq": 1})


def test_readings_with_an_uncertain_clock_are_corrected_when_it_is_known(driver: Driver) -> None:
    driver.read(1, 2, u=True)
    driver.read(3)

    def clocks() -> list[tuple[int, str]]:
        rows = driver.hub.sql(
            "SELECT (extract(epoch FROM event_time) * 1000000)::bigint AS t, clock::text FROM report.probe "
            "WHERE sensor = %s ORDER BY seq", driver.sensor)
        return [(row["t"] - TIME, row["clock"]) for row in rows]

    wait_until(lambda: clocks() == [(1, "uncertain"), (2, "uncertain"), (3, "right")], what="the readings")
    driver.say({"boot": 1, "clock": [1, 2], "offset": 5_000_000})
    corrected = [(5_000_001, "corrected"), (5_000_002, "corrected"), (3, "right")]
    wait_until(lambda: clocks() == corrected, what="corrected readings")
    # A repeat that was under way is the same reading.
    driver.read(1, 2, u=True)
    driver.read(4)
    wait_until(lambda: len(clocks()) == 4, what="the next reading")
    assert clocks()[:3] == corrected


@pytest.mark.parametrize("note, field", [
    ({"boot": 1, "lost": [3, 2]}, "lost"), ({"boot": 1, "lost": [1]}, "lost"), ({"boot": 1, "lost": []}, "lost"),
    ({"boot": 1, "lost": [1, 2, 3]}, "lost"), ({"boot": 1, "lost": ["a", "b"]}, "lost"),
    ({"boot": 1, "lost": [-1, 2]}, "lost"), ({"boot": 1, "lost": [1, 1 << 60]}, "lost"),
    ({"boot": 1 << 60, "lost": [1, 2]}, "boot"), ({"boot": -1, "end": 2}, "boot"), ({"boot": 1, "end": -2}, "end"),
    ({"boot": 1, "end": "x"}, "end"), ({"boot": 1, "end": None}, "end"),
    ({"boot": 1, "clock": [2, 1], "offset": 1}, "clock"), ({"boot": 1, "clock": [1, 2], "offset": 1.5}, "offset"),
    ({"boot": 1, "clock": [1, 2], "offset": 1 << 62}, "offset"),
    ({"boot": 1, "lost": [1, 2], "end": 3}, "boot"), ({"lost": [1, 2]}, "lost"), ({"boot": "1", "end": 3}, "boot"),
    ({"boot": 1, "clock": [1, 2]}, "boot"),
])
def test_a_wrong_note_is_a_dead_letter_and_changes_nothing(driver: Driver, note: dict[str, Any], field: str) -> None:
    driver.read(1, 3)
    driver.wait_for_gaps((1, 2, 2, 1, 0, False))
    driver.say(note)
    letters = wait_until(
        lambda: driver.hub.sql("SELECT * FROM hub.dead_letter WHERE topic LIKE %s", f"%/{driver.sensor}/data"),
        what="a dead letter")
    assert [letter["field"] for letter in letters] == [field]
    assert driver.gaps() == [(1, 2, 2, 1, 0, False)]


def test_the_largest_numbers_are_no_trouble(driver: Driver) -> None:
    largest = 1 << 53
    driver.read(1, largest)
    driver.wait_for_committed({"boot": 1, "seq": largest, "missing": [[1, 2, largest - 1]]})
    driver.wait_for_gaps((1, 2, largest - 1, largest - 2, 0, False))
    driver.say({"boot": 1, "lost": [0, largest]}, {"boot": largest, "end": largest})
    driver.wait_for_gaps((1, 2, largest - 1, 0, largest - 2, True), (largest, 1, largest, largest, 0, False))


def test_many_gaps_are_told_in_part_and_all_on_record(driver: Driver) -> None:
    driver.read(*range(1, 201, 2))
    driver.wait_for_committed({"boot": 1, "seq": 199, "missing": [[1, number, number] for number in range(2, 42, 2)]})
    assert len(driver.gaps()) == 99
    driver.read(*range(2, 201, 2))
    driver.wait_for_committed({"boot": 1, "seq": 200})
    assert all(gap[3] == 0 and gap[5] for gap in driver.gaps())


def test_gaps_are_known_after_a_restart(own_hub: Hub) -> None:
    driver = Driver(own_hub, "gaps-restart")
    driver.read(1, 4)
    driver.wait_for_gaps((1, 2, 3, 2, 0, False))
    own_hub.stop()
    own_hub.start()
    again = Driver(own_hub, "gaps-restart")
    again.wait_for_committed({"boot": 1, "seq": 4, "missing": [[1, 2, 3]]})
    again.read(2, 3)
    again.wait_for_committed({"boot": 1, "seq": 4})
    again.wait_for_gaps((1, 2, 3, 0, 0, True))
    again.peer.close()


def test_how_far_each_boot_has_come_is_known_after_a_restart(own_hub: Hub) -> None:
    """Of the newest boot the row of the latest value says it, unless the reading's time was an older one's."""
    driver = Driver(own_hub, "gaps-boots")
    driver.read(1, 2, 3)
    driver.read(1, 2, boot=2, t=TIME + 10)
    driver.wait_for_committed({"boot": 2, "seq": 2})
    driver.read(3, boot=2, t=TIME)
    driver.wait_for_committed({"boot": 2, "seq": 3})
    own_hub.stop()
    own_hub.start()
    again = Driver(own_hub, "gaps-boots")
    again.wait_for_committed({"boot": 2, "seq": 3})
    again.read(5)
    again.wait_for_gaps((1, 4, 4, 1, 0, False))
    again.read(5, boot=2, t=TIME + 20)
    again.wait_for_gaps((1, 4, 4, 1, 0, False), (2, 4, 4, 1, 0, False))
    again.read(4)
    again.read(4, boot=2)
    again.wait_for_committed({"boot": 2, "seq": 5})
    again.peer.close()
