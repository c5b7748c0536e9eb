"""Readings that an algorithm publishes: checked, numbered, kept, and in the hub once, whatever dies on the way."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from broker import INSTANCE, Broker
from peers import ROOT, FakeHub, FakeIngest, sensor, wait_until

from sensorhub import InvalidReading, OutputTaken, Platform, PlatformClosed, Settings
from sensorhub.journal import Journal, JournalLimits

SOURCES = Path(__file__).parent.parent / "src"
Ingest = Callable[..., FakeIngest]


@pytest.fixture
def settings(broker: Broker, tmp_path: Path) -> Settings:
    return Settings.from_environment({**broker.environment, "SENSORHUB_STATE": str(tmp_path)})


@pytest.fixture
def ingest(broker: Broker) -> Iterator[Ingest]:
    """Starts what takes readings: `ingest("comfort-1")`."""
    started: list[FakeIngest] = []

    def start(sensor: str = "comfort-1") -> FakeIngest:
        started.append(FakeIngest(broker, sensor))
        return started[-1]

    yield start
    for peer in started:
        peer.publish(f"{ROOT}/sensors/{peer.sensor}/committed", b"", retain=True)
        peer.close()


def test_a_reading_is_published_and_then_committed(hub: FakeHub, ingest: Ingest, platform: Platform) -> None:
    hub.bind(outputs=["comfort-1"])
    peer = ingest()
    before = time.time_ns() // 1000
    platform.publish(0, {"comfort": 0.7, "word": "gut"})
    platform.publish("comfort-1", {"comfort": 1, "open": True, "word": None})
    wait_until(lambda: len(peer.stored) == 2)
    first, second = (peer.stored[key] for key in sorted(peer.stored))
    assert (first["seq"], second["seq"]) == (1, 2) and first["boot"] == second["boot"]
    assert first["v"] == {"comfort": 0.7, "word": "gut"} and second["v"] == {"comfort": 1.0, "open": True}
    assert before <= first["t"] <= second["t"] <= time.time_ns() // 1000
    wait_until(lambda: platform.uncommitted == 0)


def test_each_output_counts_by_itself(hub: FakeHub, ingest: Ingest, platform: Platform) -> None:
    hub.bind(outputs=["comfort-1", "comfort-2"])
    one, two = ingest("comfort-1"), ingest("comfort-2")
    for number in range(1, 6):
        platform.publish(0, {"count": number})
        platform.publish(1, {"count": -number})
    wait_until(lambda: platform.uncommitted == 0)
    assert one.counts == [1, 2, 3, 4, 5] and two.counts == [-1, -2, -3, -4, -5]


EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
T = 1_763_677_055_123_456


@pytest.mark.parametrize("moment", [
    T, 1763677055.123456, EPOCH + timedelta(microseconds=T),
    (EPOCH + timedelta(microseconds=T)).astimezone(timezone(timedelta(hours=5, minutes=30))),
])
def test_the_time_may_be_given(hub: FakeHub, ingest: Ingest, platform: Platform, moment: Any) -> None:
    hub.bind(outputs=["comfort-1"])
    peer = ingest()
    platform.publish(0, {"count": 1}, time=moment)
    wait_until(lambda: peer.stored)
    ((_, item),) = peer.stored.items()
    assert item["t"] == T


@pytest.mark.parametrize("moment, text", [
    (1763677055, "give seconds as a float"), (datetime(2025, 11, 20), "without a time zone"),
    (float("nan"), "nan is no time"), (-1, "between 1970 and 2100"), (5e9, "between 1970 and 2100"), ("now", "not str"), (True, "not bool"),
    (EPOCH - timedelta(seconds=1), "between 1970 and 2100"),
])
def test_what_is_no_time_is_refused(hub: FakeHub, platform: Platform, moment: Any, text: str) -> None:
    hub.bind(outputs=["comfort-1"])
    with pytest.raises(InvalidReading, match=text):
        platform.publish(0, {"count": 1}, time=moment)


class Scalar:
    """What a number of NumPy is to us."""

    def __init__(self, value: Any) -> None:
        self.item = lambda: value


@pytest.mark.parametrize("values, text", [
    ({"comfrt": 1.0}, r"reading of 'comfort-1': type 'comfort' has no field 'comfrt' \(did you mean 'comfort'\?\)"),
    ({"xyz": 1.0}, "has no field 'xyz'$"), ({}, "there is no value in it"), ({"comfort": None}, "there is no value"),
    ({"comfort": "warm"}, "field 'comfort' must be of type float, not the text 'warm'"),
    ({"comfort": True}, "must be of type float, not true"), ({"count": 1.0}, "must be of type int, not the number 1.0"),
    ({"count": 2**63}, "not a whole number beyond 64 bits"), ({"comfort": float("nan")}, "is nan, which cannot be stored"),
    ({"comfort": float("inf")}, "is inf"), ({"word": "a\0"}, "a character that cannot be stored"),
    ({"word": b"x"}, "of Python's type bytes"), ({"comfort": [1]}, "of Python's type list"),
    ({"word": "x" * 70_000}, "too large: 700.. bytes, at most 65536"), ([1.0], "expected a dictionary"),
    ({"open": 1}, "must be of type bool, not the whole number 1"), ({5: 1.0}, "has no field '5'"),
    ({"comfort": Scalar("warm")}, "the text 'warm'"),
])
def test_what_does_not_fit_the_type_is_refused(
    hub: FakeHub, ingest: Ingest, platform: Platform, values: Any, text: str,
) -> None:
    hub.bind(outputs=["comfort-1"])
    peer = ingest()
    with pytest.raises(InvalidReading, match=text) as caught:
        platform.publish(0, values)
    assert caught.value.sensor_id == "comfort-1" and isinstance(caught.value, ValueError)
    # It has no number either.
    platform.publish(0, {"comfort": Scalar(0.5), "count": Scalar(3)})
    wait_until(lambda: peer.stored)
    assert [(seq, item["v"]) for (_, seq), item in peer.stored.items()] == [(1, {"comfort": 0.5, "count": 3})]


def test_an_output_that_is_not_there_is_refused(hub: FakeHub, platform: Platform) -> None:
    hub.bind(outputs=["comfort-1", None])
    with pytest.raises(LookupError, match=f"there is no output 2: '{INSTANCE}' has 2, counted from 0"):
        platform.publish(2, {"count": 1})
    with pytest.raises(LookupError, match="'comfort-9' is no output of"):
        platform.publish("comfort-9", {"count": 1})
    with pytest.raises(LookupError, match="output 1 has no sensor of type 'comfort' now: test"):
        platform.publish(1, {"count": 1})


def test_an_algorithm_without_outputs_has_none(hub: FakeHub, platform: Platform) -> None:
    hub.bind_ids(("luxsensor", "lux-1"))
    with pytest.raises(LookupError, match="there is no output 0"):
        platform.publish(0, {"lux": 1})
    assert platform.uncommitted == 0 and platform._outputs._thread is None


def test_nothing_can_be_published_after_the_end(hub: FakeHub, settings: Settings) -> None:
    hub.bind(outputs=["comfort-1"])
    with Platform(settings) as platform:
        platform.wait_for_binding()
    with pytest.raises(PlatformClosed):
        platform.publish(0, {"count": 1})


def test_what_was_published_last_is_there_at_the_end(hub: FakeHub, ingest: Ingest, settings: Settings) -> None:
    hub.bind(outputs=["comfort-1"])
    peer = ingest()
    with Platform(settings) as platform:
        for number in range(300):
            platform.publish(0, {"count": number})
    wait_until(lambda: peer.counts == list(range(300)))


def test_one_publishes_at_a_time(
    hub: FakeHub, ingest: Ingest, settings: Settings, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sensorhub.journal._LOCK_SECONDS", 0.1)
    hub.bind(outputs=["comfort-1"])
    peer = ingest()
    with Platform(settings) as platform:
        platform.publish(0, {"count": 1})
        with Platform(settings) as other, pytest.raises(OutputTaken, match="its journal is in use"):
            other.publish(0, {"count": 2})
    wait_until(lambda: peer.counts == [1])


def test_the_next_start_goes_on(hub: FakeHub, ingest: Ingest, settings: Settings) -> None:
    hub.bind(outputs=["comfort-1"])
    peer = ingest()
    for start in range(3):
        with Platform(settings) as platform:
            platform.publish(0, {"count": start})
    wait_until(lambda: peer.counts == [0, 1, 2])
    boots = sorted(boot for boot, _ in peer.stored)
    assert boots == sorted(set(boots)) and peer.ends == {boots[0]: 1, boots[1]: 1}


def test_a_message_that_got_lost_is_sent_again(hub: FakeHub, ingest: Ingest, platform: Platform) -> None:
    hub.bind(outputs=["comfort-1"])
    peer = ingest()
    platform.publish(0, {"count": 0})
    wait_until(lambda: platform.uncommitted == 0)
    swallowed: list[int] = []
    peer.swallow = lambda number: number % 3 == 1 and not swallowed.append(number)
    for number in range(1, 200):
        platform.publish(0, {"count": number})
        time.sleep(0.001)
    wait_until(lambda: len(swallowed) > 5)
    peer.swallow = lambda number: False
    platform.publish(0, {"count": 200})
    wait_until(lambda: platform.uncommitted == 0)
    assert peer.counts == list(range(201)) and not peer.lost


def test_what_the_hub_has_not_committed_is_sent_again_when_it_returns(
    hub: FakeHub, ingest: Ingest, platform: Platform,
) -> None:
    hub.bind(outputs=["comfort-1"])
    peer = ingest()
    peer.answers, peer.swallow = False, lambda number: True
    for number in range(50):
        platform.publish(0, {"count": number})
    wait_until(lambda: peer.messages)
    time.sleep(0.3)
    assert platform.uncommitted == 50
    peer.answers, peer.swallow = True, lambda number: False
    hub.publish(f"{ROOT}/status", {"status": "offline"})
    hub.publish(f"{ROOT}/status", {"status": "online"})
    wait_until(lambda: platform.uncommitted == 0)
    assert peer.counts == list(range(50))


def test_beyond_its_bound_the_oldest_go_and_are_reported(
    hub: FakeHub, ingest: Ingest, settings: Settings, monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = JournalLimits(bytes=20_000)
    monkeypatch.setattr("sensorhub.outputs.Journal", functools.partial(Journal, limits=limits))
    hub.bind(outputs=["comfort-1"])
    peer = ingest()
    with Platform(settings) as platform:
        platform.publish(0, {"count": 0})
        wait_until(lambda: platform.uncommitted == 0)
        peer.swallow = lambda number: True
        for number in range(1, 1001):
            platform.publish(0, {"count": number})
        assert platform.uncommitted < 300
        peer.swallow = lambda number: False
        hub.publish(f"{ROOT}/status", {"status": "online"})
        wait_until(lambda: platform.uncommitted == 0 and not peer.missing)
    assert len(peer.stored) + len(peer.lost) == 1001
    # The newest are there; of the oldest, what was on its way when the peer began to take again.
    assert {0, *range(901, 1001)} <= set(peer.counts) and peer.lost
    assert not peer.lost & peer.stored.keys()


@pytest.mark.parametrize("ahead", [0, 1000])
def test_readings_of_another_with_higher_numbers_are_no_trouble(
    hub: FakeHub, ingest: Ingest, platform: Platform, ahead: int,
) -> None:
    """As where the clock was set back and nothing is known of earlier starts."""
    peer = ingest()
    foreign = time.time_ns() // 10**9 + ahead
    peer.stored = {(foreign, seq): {"boot": foreign, "seq": seq, "v": {"count": 0}} for seq in range(1, 8)}
    peer.answer()
    hub.bind(outputs=["comfort-1"])
    for number in range(1, 10):
        platform.publish(0, {"count": number})
    wait_until(lambda: platform.uncommitted == 0 and len(peer.stored) == 16)
    assert sorted(peer.counts) == [0] * 7 + list(range(1, 10))


def test_a_type_that_gains_a_field_can_be_published_with_it(
    hub: FakeHub, ingest: Ingest, platform: Platform,
) -> None:
    hub.bind(outputs=["comfort-1"])
    peer = ingest()
    platform.publish(0, {"count": 1})
    with pytest.raises(InvalidReading):
        platform.publish(0, {"new": 2})
    peer_types = sensor("comfort-1", "comfort")["fields"]
    document = {
        "instance": INSTANCE, "app": "bus", "algorithm": "lightControl", "version": hub.version + 1, "reason": "test",
        "positions": [], "outputs": [{"index": 0, "sensor_type": "comfort", "sensor": {
            **sensor("comfort-1", "comfort"), "fields": {**peer_types, "new": "int"},
            "committed": f"{ROOT}/sensors/comfort-1/committed"}}],
    }
    hub.version += 1
    hub.publish(f"{ROOT}/algorithms/{INSTANCE}/binding", document, retain=True)
    wait_until(lambda: platform.binding is not None and platform.binding.version == hub.version)
    platform.publish(0, {"new": 2})
    wait_until(lambda: len(peer.stored) == 2)
    assert [seq for _, seq in sorted(peer.stored)] == [1, 2]


def test_what_was_not_stored_goes_with_a_sensor_that_is_removed(
    hub: FakeHub, ingest: Ingest, platform: Platform, settings: Settings,
) -> None:
    hub.bind(outputs=["comfort-1"])
    peer = ingest()
    peer.answers = False
    platform.publish(0, {"count": 1})
    wait_until(lambda: peer.stored)
    hub.bind(outputs=[None])
    wait_until(lambda: platform.uncommitted == 0)
    with pytest.raises(LookupError):
        platform.publish(0, {"count": 2})
    assert settings.state is not None
    wait_until(lambda: os.listdir(settings.state) == [])
    # One of the same name is another sensor.
    peer.stored.clear()
    peer.answers = True
    hub.bind(outputs=["comfort-1"])
    wait_until(lambda: platform.binding is not None and platform.binding.version == hub.version)
    platform.publish(0, {"count": 3})
    wait_until(lambda: peer.counts == [3])


def test_publishing_does_not_wait_for_a_broker_that_is_frozen(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    with Broker(tmp_path) as broker, FakeHub(broker) as hub:
        settings = Settings.from_environment({**broker.environment, "SENSORHUB_STATE": str(folder)})
        hub.bind(outputs=["comfort-1"])
        with FakeIngest(broker, "comfort-1") as peer, Platform(settings) as platform:
            platform.publish(0, {"count": -1})
            wait_until(lambda: platform.uncommitted == 0)
            broker.freeze()
            try:
                start = time.monotonic()
                for number in range(2000):
                    platform.publish(0, {"count": number})
                assert time.monotonic() - start < 30
                assert platform.uncommitted == 2000
            finally:
                broker.thaw()
            wait_until(lambda: platform.uncommitted == 0)
            assert peer.counts == [-1, *range(2000)]


PROGRAM = """\
import sys, time
from sensorhub import Platform

with Platform() as platform:
    first = int(sys.argv[1])
    for number in range(first, first + int(sys.argv[2])):
        platform.publish(0, {"count": number})
        print(number, flush=True)
        time.sleep(float(sys.argv[3]))
"""


def test_nothing_is_lost_and_nothing_doubled_when_broker_and_program_are_killed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    told: list[int] = []
    with Broker(tmp_path) as broker, FakeHub(broker) as hub, FakeIngest(broker, "comfort-1") as peer:
        hub.bind(outputs=["comfort-1"])
        environment = {
            **os.environ, **broker.environment, "PYTHONPATH": str(SOURCES), "SENSORHUB_STATE": str(state),
        }

        def run(first: int, count: int, pause: float, until: int) -> None:
            command = [sys.executable, str(script), str(first), str(count), str(pause)]
            with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    told.append(int(line))
                    if told[-1] == until:
                        process.send_signal(signal.SIGKILL)
                    if told[-1] in (300, 1100):
                        broker.kill()
                        broker.start()
                        wait_until(lambda: hub.client.is_connected() and peer.client.is_connected())
                        # What the hub does when the broker is back.
                        hub.bind(outputs=["comfort-1"])
                        hub.publish(f"{ROOT}/status", {"status": "online"})

        run(0, 1000, 0.0005, 700)
        run(1000, 1000, 0.0005, 1700)
        run(2000, 200, 0, -1)
        wait_until(lambda: set(told) <= set(peer.counts) and not peer.missing)
        # What was killed between being kept and being told is there as well; nothing is there twice.
        assert len(peer.counts) == len(set(peer.counts)) and not peer.lost
        killed_at = (max(n for n in told if n < bound) for bound in (1000, 2000))
        assert set(peer.counts) - set(told) <= {number + 1 for number in killed_at}


def test_without_a_folder_readings_are_kept_in_memory(broker: Broker, hub: FakeHub, ingest: Ingest) -> None:
    settings = replace(Settings.from_environment(broker.environment))
    assert settings.state is None
    hub.bind(outputs=["comfort-1"])
    peer = ingest()
    with Platform(settings) as platform:
        for number in range(10):
            platform.publish(0, {"count": number})
        wait_until(lambda: platform.uncommitted == 0)
    assert peer.counts == list(range(10))


def test_notes_of_a_virtual_sensor_are_no_readings_of_it(
    hub: FakeHub, driver: Callable[..., Any], platform: Platform,
) -> None:
    hub.bind_ids(("luxsensor", "lux-1"))
    platform.wait_for_binding()
    readings = platform.readings(timeout=60)
    assert platform._connection.subscriptions.wait_until_active(f"{ROOT}/sensors/lux-1/data", 60)
    lux = driver("lux-1")
    lux.send_raw([{"boot": 1, "end": 7}, {"boot": 2, "lost": [1, 3]}, {**lux.reading(lux=1), "u": True}])
    lux.send_raw({"boot": 1, "clock": [1, 2], "offset": -5})
    lux.send(lux=2)
    assert [next(readings)["lux"] for _ in range(2)] == [1, 2]
    assert platform.malformed == 0
    lux.send_raw(json.dumps({"boot": 1, "end": 7, "lux": 1}).encode())
    wait_until(lambda: platform.malformed == 1)
