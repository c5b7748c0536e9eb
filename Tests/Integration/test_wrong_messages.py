"""Everything that devices and programs can get wrong in messages: kept or answered with the reason, nothing dead."""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Iterator

import pytest

from hub import Hub, wait_until
from mqtt import Peer
from samples import READING, probe, register

pytestmark = pytest.mark.usefixtures("nothing_dies")

# Readings


@pytest.fixture(scope="module")
def device(hub: Hub, nothing_dies: None) -> Iterator[Peer]:
    register(hub, probe("wrong-1", driver=False))
    with hub.as_device("wrong-1") as peer:
        yield peer


def newest_letter(hub: Hub) -> int:
    return int(hub.value("SELECT coalesce(max(id), 0) FROM hub.dead_letter"))


def letters_since(hub: Hub, last: int, topic: str) -> list[dict[str, Any]]:
    return hub.sql("SELECT * FROM hub.dead_letter WHERE id > %s AND topic = %s ORDER BY id", last, topic)


def keyed(t: Any, seq: Any, v: Any, boot: Any = 1) -> dict[str, Any]:
    return {"t": t, "boot": boot, "seq": seq, "v": v}


TIME = 1_763_677_055_123_456


@pytest.mark.parametrize("payload, field, reason", [
    (b"not JSON", "", "not valid JSON"),
    (b"", "", "not valid JSON: empty"),
    (os.urandom(1_000), "", "not valid JSON"),
    (b"\xff" * 10, "", "not valid JSON"),
    (b"7", "", "expected an object, found a whole number"),
    (b"null", "", "expected an object, found null"),
    ({}, "", "there is no value in it"),
    ({"level": None}, "", "there is no value in it"),
    ({"levle": 1}, "levle", "no such field (did you mean 'level'?)"),
    ({"level": "1"}, "level", "expected a number, found text"),
    ({"count": 1.5}, "count", "expected a whole number, found a number"),
    ({"count": True}, "count", "expected a whole number, found true or false"),
    (b'{"count": 9223372036854775808}', "count", "expected a whole number"),
    (b'{"count": 123456789012345678901234567890}', "", "not valid JSON"),
    (b'{"level": 1e999}', "", "not valid JSON"),
    ({"select": "a\0b"}, "select", "NUL"),
    ({"Open": 1}, "Open", "expected true or false, found a whole number"),
    ({"level": [1]}, "level", "expected a number, found a list"),
    ({"level": {"a": 1}}, "level", "expected a number, found an object"),
    (b'{"level": 1, "level": 2}', "level", "twice"),
    (b'{"level": ' + b"[" * 2_000 + b"]" * 2_000 + b"}", "", "not valid JSON"),
    (b'{"level": ' + b"[" * 1_000 + b"]" * 1_000 + b"}", "level", "expected a number, found a list"),
    (keyed(TIME, 1, {"level": "x"}), "v.level", "expected a number, found text"),
    (keyed(TIME, 1, {"a\0b": 1}), "v.ab", "no such field"),
    (keyed(TIME, 1, {}), "v", "there is no value in it"),
    (keyed(None, 1, {"level": 1}), "t", "expected a whole number, found null"),
    (keyed("now", 1, {"level": 1}), "t", "expected a whole number, found text"),
    (keyed(-1, 1, {"level": 1}), "t", "-1 is out of range"),
    (keyed(TIME * 1_000, 1, {"level": 1}), "t", "is out of range"),
    (keyed(TIME, -1, {"level": 1}), "seq", "-1 is out of range"),
    (keyed(TIME, 1.5, {"level": 1}), "seq", "expected a whole number"),
    (keyed(TIME, 1, {"level": 1}, boot=[]), "boot", "expected a whole number, found a list"),
    ({"t": TIME, "v": {"level": 1}}, "boot", "is missing"),
    (keyed(TIME, 1, {"level": 1}) | {"unit": "lux"}, "", "and no other key"),
])
def test_a_wrong_reading_is_kept_with_field_and_reason_and_good_ones_pass(
    hub: Hub, device: Peer, payload: Any, field: str, reason: str,
) -> None:
    payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    topic = hub.topic("sensors/wrong-1/data")
    before, last = hub.count("wrong-1"), newest_letter(hub)
    device.publish(topic, READING)
    device.publish(topic, payload)
    device.publish(topic, READING)
    (letter,) = wait_until(lambda: letters_since(hub, last, topic), what="the dead letter")
    assert letter["field"] == field and reason in letter["reason"]
    assert letter["payload"] == payload
    (shown,) = hub.sql("SELECT field, reason FROM report.dead_letter WHERE id = %s", letter["id"])
    assert shown == {"field": field, "reason": letter["reason"]}
    wait_until(lambda: hub.count("wrong-1") == before + 2, what="the good readings")


def test_of_an_array_the_good_readings_are_stored(hub: Hub, device: Peer) -> None:
    before, last = hub.count("wrong-1"), newest_letter(hub)
    bad = keyed(TIME, 2, {"level": 1, "colour": "red"})
    device.publish(
        hub.topic("sensors/wrong-1/data"),
        [keyed(TIME, 1, {"level": 1}, 5), bad, keyed(TIME, 3, {"level": 3}, 5), 7, {"level": 4.0}])
    wait_until(lambda: hub.count("wrong-1") == before + 3, what="the good readings")
    letters = letters_since(hub, last, hub.topic("sensors/wrong-1/data"))
    assert [letter["field"] for letter in letters] == ["v.colour", ""]
    assert json.loads(letters[0]["payload"]) == bad


def test_readings_beyond_the_types_range_are_stored_as_they_are(hub: Hub, device: Peer) -> None:
    values: list[dict[str, Any]] = [
        {"count": (1 << 63) - 1}, {"count": -(1 << 63)}, {"level": 1e308}, {"level": -0.0}, {"level": 5},
        {"select": "ä€𝄞\"\\\n\t"}, {"select": ""}, {"select": "x" * 100_000}, {"Open": False}]
    for number, value in enumerate(values):
        device.publish(hub.topic("sensors/wrong-1/data"), keyed(4_000_000_000_000_000 + number, number, value, 9))

    def stored() -> list[dict[str, Any]]:
        readings = hub.rpc("readings", "get", sensor="wrong-1", last=len(values))["readings"]
        return [reading for reading in readings if reading["boot"] == 9]

    wait_until(lambda: len(stored()) == len(values), what="the readings")
    nothing = {"level": None, "count": None, "select": None, "Open": None}
    assert [reading["v"] for reading in stored()] == [nothing | value for value in values]


def test_a_reading_that_comes_twice_is_there_once(hub: Hub, device: Peer) -> None:
    before = hub.count("wrong-1")
    reading = keyed(TIME + 1, 1, {"level": 7}, 77)
    for _ in range(3):
        device.publish(hub.topic("sensors/wrong-1/data"), [reading, reading])
    device.publish(hub.topic("sensors/wrong-1/data"), READING)
    wait_until(lambda: hub.count("wrong-1") == before + 2, what="one of the first and one of the second")


def test_a_sensor_that_nobody_knows_is_a_dead_letter(hub: Hub) -> None:
    with hub.as_hub() as speaker:
        for name in ("never-registered", "user.owner", "x" * 100, "ä"):
            last = newest_letter(hub)
            topic = hub.topic(f"sensors/{name}/data")
            assert speaker.may_publish(topic, READING)
            (letter,) = wait_until(lambda: letters_since(hub, last, topic), what="the dead letter")
            assert letter["reason"] == "no such sensor is registered"


# Requests


@pytest.mark.parametrize("payload, expected", [
    (b"garbage", "the request is not valid JSON"),
    (os.urandom(5 << 20), "the request is not valid JSON"),
    (b"[" * (5 << 20), "the request is not valid JSON"),
    (b"[]", "a request is an object, not"),
    (b'"text"', "a request is an object, not"),
    (b'{"nmae": "taken-1"}', "unknown key 'nmae' (did you mean 'name'?)"),
    (b"{}", "'name' is missing"),
    (b"", "'name' is missing"),
    (b'{"name": 7}', "name: expected text, found"),
    (b'{"name": null}', "'name' is missing"),
    (json.dumps({"name": "x" * 1_000_000}).encode(), "is not registered"),
    (b'{"name": ' + b"[" * 900 + b"]" * 900 + b"}", "name: expected text, found"),
], ids=[
    "garbage", "5 MB", "5 MB of brackets", "list", "text", "misspelt", "missing", "empty", "number", "null", "long",
    "deep",
])
def test_a_wrong_request_gets_a_reply_that_says_what_is_wrong(hub: Hub, payload: bytes, expected: str) -> None:
    reply = hub.owner.request(hub.topic("rpc/sensors/show"), payload, hub.topic("clients/user.owner/tests"))
    assert reply["status"] in (400, 404) and expected in reply["error"]
    assert len(reply["error"]) < 1_000


def test_an_unknown_request_is_answered_with_what_was_meant(hub: Hub) -> None:
    reply = hub.request("sensors", "lst")
    assert reply["status"] == 404
    assert reply["error"] == "there is no request 'sensors/lst' (did you mean 'sensors/list'?)"
    assert hub.request("x" * 500, "y")["status"] == 404


def test_a_request_without_a_way_back_harms_nobody(hub: Hub) -> None:
    for payload in ({}, {"id": 1}, {"reply_to": 7}, {"reply_to": None}, {"reply_to": "x" * 60_000}):
        assert hub.owner.may_publish(hub.topic("rpc/sensors/list"), payload)
    assert hub.request("hub", "status")["status"] == 200


@pytest.mark.parametrize("last", [0, -1, 10_001, 1.5, "ten", 1 << 63])
def test_a_number_out_of_range_is_refused(hub: Hub, last: Any) -> None:
    for reply in (hub.request("logs", "get", id="taken-1", last=last),
                  hub.request("readings", "get", sensor="taken-1", last=last)):
        assert reply["status"] == 400 and reply["error"].startswith("last: ")


# Garbage


GARBAGE = [
    b"", b"\0", b"{", b"[]", b"null", b"7", b'""', b"{}", os.urandom(2_000), b"\xff\xfe\xfd", b"[" * 5_000,
    b'{"kind": 7}', b'{"kind": "state"}', b'{"kind": "plan", "programs": 7}', b'{"kind": "snapshot", "programs": [7]}',
    b'{"id": 7}', b'{"id": "x", "function": 7}', b'{"boot": "x", "seq": -1}', b'{"boot": 9e99, "seq": 1}',
    b'{"status": 7}', b'{"status": "gone", "reason": 7}', b'{"t": 1e30, "stream": "stdout", "text": "x"}',
    b'[{"t": 1, "stream": "\\u0000", "text": "\\u0000"}]', b'{"instance": "x", "version": "y", "positions": 7}',
    json.dumps({"id": "x" * 70_000, "function": "shut", "params": {}}).encode(),
]


def test_garbage_on_every_topic_that_somebody_may_write_to_kills_nothing(hub: Hub, device: Peer) -> None:
    node = hub.node
    topics: list[tuple[Callable[[], Peer], list[str]]] = [
        (lambda: hub.as_owner(), ["sensors/taken-1/control", "sensors/wrong-1/control", "rpc/hub/status", "rpc/a/b"]),
        (lambda: hub.as_device("taken-2"), [f"sensors/taken-2/{leaf}" for leaf in ("data", "status", "control/reply")]),
        (lambda: hub.as_program("taken-1"), [f"sensors/taken-1/{leaf}" for leaf in ("status", "control/reply")]),
        (lambda: hub.as_program("taken-main-1"), ["sensors/taken-1/control", "apps/taken/page"]),
        (lambda: hub.as_node(), [
            f"nodes/{node}/status", f"nodes/{node}/report", "sensors/taken-1/log", "sensors/taken-1/events",
            "algorithms/taken-main-1/log", "algorithms/taken-main-1/events"]),
        # What comes from the hub is trusted for its content, not for its form.
        (lambda: hub.as_hub(), [
            f"nodes/{node}/command", f"nodes/{node}/archive/{'0' * 64}", f"nodes/{node}/archive/x", "status",
            "sensors/taken-1/committed", "algorithms/taken-main-1/binding", "nodes/../status", "sensors//data", "x"]),
    ]
    for connect, rests in topics:
        with connect() as peer:
            for rest in rests:
                for payload in GARBAGE:
                    peer.publish(hub.topic(rest), payload)
    assert {"node": node, "status": "online"} in hub.rpc("hub", "status")["nodes"], "what is no status changes none"
    hub.wait_for_more_readings("taken-1")
    hub.cli("control", "taken-1", "shut")
