"""What becomes of readings in the long run: types that change, dead letters that are tried again, and retention."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from hub import Hub, wait_until
from mqtt import Peer
from samples import write


class Kind:
    """A sensor type of the test's own, with a device of it."""

    def __init__(self, hub: Hub, folder: Path, name: str) -> None:
        self.hub, self.name, self.sensor, self._folder = hub, name, f"{name}-1", folder
        self.register(a="int")
        hub.rpc("sensors", "register", document={"sensor_type": name, "name": self.sensor})
        self.device: Peer = hub.as_device(self.sensor)

    def register(self, **fields: str) -> str:
        """What the command line says to the type with these fields."""
        return self.hub.cli("types", "register", self.file(**fields))

    def file(self, **fields: str) -> Path:
        return write(self._folder / "types.json", {"name": self.name, "sensor_data_structure": fields})

    def publish(self, reading: Any) -> None:
        self.device.publish(self.hub.topic(f"sensors/{self.sensor}/data"), reading)

    def values(self) -> list[dict[str, Any]]:
        readings = self.hub.rpc("readings", "get", sensor=self.sensor, last=100)["readings"]
        return [reading["v"] for reading in readings]

    def wait_for_letters(self, count: int) -> list[dict[str, Any]]:
        def letters() -> list[dict[str, Any]]:
            return list(self.hub.rpc("dead_letters", "list", sensor=self.sensor)["letters"])

        wait_until(lambda: len(letters()) == count, what=f"{count} dead letters")
        return letters()


_count = 0


@pytest.fixture
def kind(hub: Hub, tmp_path: Path) -> Iterator[Kind]:
    global _count
    _count += 1
    kind = Kind(hub, tmp_path, f"kind{_count}")
    yield kind
    kind.device.close()


def test_a_type_gains_a_field_and_readings_have_it_from_then_on(kind: Kind) -> None:
    kind.publish({"a": 1})
    wait_until(lambda: kind.values() == [{"a": 1}], what="the first reading")
    assert kind.register(b="float", a="int") == f"{kind.name}: registered already, changed\n"
    assert kind.register(b="float", a="int") == f"{kind.name}: registered already\n"
    kind.publish({"a": 2, "b": 2.5})
    wait_until(lambda: kind.values() == [{"a": 1, "b": None}, {"a": 2, "b": 2.5}], what="both readings")
    rows = kind.hub.sql(f"SELECT a, b FROM report.{kind.name} ORDER BY a")
    assert [(row["a"], row["b"]) for row in rows] == [(1, None), (2, 2.5)]


def test_a_type_loses_no_field_and_changes_none(kind: Kind) -> None:
    kind.publish({"a": 1})
    assert "a field 'a', which is missing here" in kind.hub.refusal("types", "register", kind.file(b="int"))
    assert "a: is registered as int, and cannot become string" in kind.hub.refusal(
        "types", "register", kind.file(a="string"))
    wait_until(lambda: kind.values() == [{"a": 1}], what="the reading")


def test_a_type_may_gain_fields_while_readings_of_it_stream_in(hub: Hub, kind: Kind) -> None:
    pid, sent, end = hub.part("hub"), 0, threading.Event()

    def stream() -> None:
        nonlocal sent
        while not end.is_set():
            kind.publish({"a": sent})
            sent += 1

    streaming = threading.Thread(target=stream)
    streaming.start()
    fields: dict[str, str] = {"a": "int"}
    try:
        with hub.as_hub() as speaker:
            for number in range(10):
                fields[f"field{number}"] = "float"
                document = {"name": kind.name, "sensor_data_structure": fields}
                hub.rpc("types", "register", document=document)
                hub.rpc("sensors", "register", document={"sensor_type": kind.name, "name": f"{kind.name}-new-{number}"})
                speaker.publish(hub.topic(f"sensors/{kind.name}-new-{number}/data"), dict.fromkeys(fields, number))
    finally:
        end.set()
        streaming.join()
    wait_until(lambda: hub.count(kind.sensor) == sent, what=f"{sent} readings")
    for number in range(10):
        new = f"{kind.name}-new-{number}"
        (reading,) = wait_until(lambda: hub.rpc("readings", "get", sensor=new)["readings"], what=f"that of {new}")
        assert reading["v"] == dict.fromkeys(fields) | dict.fromkeys(list(fields)[: number + 2], number)
    assert hub.part("hub") == pid
    assert not kind.wait_for_letters(0)


def test_a_running_driver_learns_of_a_new_field(hub: Hub, kind: Kind) -> None:
    sensor = f"{kind.name}-2"
    hub.rpc("sensors", "register", document={
        "sensor_type": kind.name, "name": sensor, "driver": "simulated", "interval": 0.1})
    hub.wait_for_more_readings(sensor)
    kind.register(a="int", b="bool")
    wait_until(
        lambda: hub.rpc("readings", "get", sensor=sensor, last=1)["readings"][0]["v"] == {"a": 0, "b": False},
        what="a reading with the new field")
    hub.cli("sensors", "remove", sensor)


def test_dead_letters_are_tried_again_when_their_cause_has_gone(hub: Hub, kind: Kind) -> None:
    kind.publish({"a": 1, "b": 7})
    kind.publish([{"a": 2}, {"a": 3, "b": 8}])
    kind.publish("garbage")
    letters = kind.wait_for_letters(3)
    assert [letter["field"] for letter in letters] == ["", "b", "b"]
    assert "no such field" in hub.cli("dead-letters", "list", "--sensor", kind.sensor)
    kind.register(a="int", b="int")
    # The time at which they came, not the time of the second try.
    time.sleep(0.2)
    now = time.time()
    output = hub.cli("dead-letters", "replay", "--sensor", kind.sensor)
    assert output == "3 taken up: 2 stored, 1 still cannot be\n"
    assert sorted(value["b"] or 0 for value in kind.values()) == [0, 7, 8]
    readings = hub.rpc("readings", "get", sensor=kind.sensor, last=10)["readings"]
    assert all(reading["t"] / 1e6 < now for reading in readings)
    (left,) = kind.wait_for_letters(1)
    assert hub.cli("dead-letters", "drop", left["id"]) == "1 dropped\n"
    assert not kind.wait_for_letters(0)


def test_readings_of_a_sensor_that_is_registered_too_late_are_not_lost(hub: Hub, kind: Kind) -> None:
    sensor = f"{kind.name}-late"
    early = {"t": 1_763_677_055_000_000, "boot": 1, "seq": 1, "v": {"a": 5}}
    with hub.as_hub() as speaker:
        speaker.publish(hub.topic(f"sensors/{sensor}/data"), early)
    wait_until(lambda: hub.rpc("dead_letters", "list", sensor=sensor)["count"] == 1, what="the dead letter")
    hub.rpc("sensors", "register", document={"sensor_type": kind.name, "name": sensor})
    hub.cli("dead-letters", "replay", "--sensor", sensor)
    (reading,) = hub.rpc("readings", "get", sensor=sensor)["readings"]
    assert reading == early


def test_retention_removes_what_is_older_and_nothing_else(hub: Hub, kind: Kind) -> None:
    now = int(time.time() * 1e6)
    day = 86_400_000_000
    for number, age in enumerate((0, 2, 400), start=1):
        kind.publish({"t": now - age * day, "boot": 1, "seq": number, "v": {"a": age}})
    wait_until(lambda: len(kind.values()) == 3, what="the readings")
    assert ", kept forever" in hub.cli("types", "show", kind.name)
    assert f"{kind.name}: readings are kept for 52w" in hub.cli("types", "retention", kind.name, "52w")
    assert kind.values() == [{"a": 2}, {"a": 0}]
    assert ", kept 52w" in hub.cli("types", "show", kind.name)
    hub.cli("types", "retention", kind.name, "forever")
    assert ", kept forever" in hub.cli("types", "show", kind.name)


@pytest.mark.parametrize("keep", ["", "30", "d", "-1d", "0d", "1.5d", "30 days", "always", "9999999y"])
def test_a_time_to_keep_readings_that_is_none_is_refused(kind: Kind, keep: str) -> None:
    reply = kind.hub.request("types", "retention", name=kind.name, keep=keep)
    assert reply["status"] == 400 and "such as 12h, 30d, 8w, 2y, or forever" in reply["error"]


@pytest.mark.parametrize("parameters, expected", [
    ({}, "say which: 'sensor', 'ids' or 'all'"), ({"ids": [0]}, "ids[0]: must be from 1"),
    ({"ids": 7}, "ids: expected a list"), ({"all": "yes"}, "all: expected true or false"),
    ({"sensor": "a/b"}, "sensor: 'a/b' is no id"),
])
def test_dead_letters_are_not_replayed_or_dropped_by_mistake(
    hub: Hub, parameters: dict[str, Any], expected: str,
) -> None:
    for method in ("replay", "drop"):
        reply = hub.owner.request(
            hub.topic(f"rpc/dead_letters/{method}"), parameters, hub.topic("clients/user.owner/tests"))
        assert reply["status"] == 400 and expected in reply["error"]
