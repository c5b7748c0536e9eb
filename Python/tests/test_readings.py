from __future__ import annotations

import json
import threading
import time
from typing import Callable

import pytest
from broker import APP, Broker
from peers import ROOT, FakeDriver, FakeHub, Peer, wait_until
from test_binding import wait_for_subscription

from sensorhub import Platform, Reading, Settings

Driver = Callable[..., FakeDriver]


@pytest.fixture
def lux(hub: FakeHub, driver: Driver, platform: Platform) -> FakeDriver:
    hub.bind_ids(("luxsensor", "lux-1"))
    platform.wait_for_binding()
    return driver("lux-1")


def test_all_three_forms(lux: FakeDriver, platform: Platform) -> None:
    readings = platform.readings(timeout=60)
    wait_for_subscription(platform, "lux-1")
    single = lux.send(lux=1, light=False)
    lux.send_raw([lux.reading(lux=2), lux.reading(lux=3)])
    lux.send_raw({"lux": 4})
    got = [next(readings) for _ in range(4)]
    assert [reading["lux"] for reading in got] == [1, 2, 3, 4]
    assert (got[0].t, got[0].boot, got[0].seq) == (single["t"], single["boot"], single["seq"])
    assert got[3].seq is None and abs(got[3].t - time.time_ns() // 1000) < 60_000_000


def test_malformed_readings_are_counted_and_passed_over(lux: FakeDriver, platform: Platform) -> None:
    readings = platform.readings(timeout=60)
    wait_for_subscription(platform, "lux-1")
    lux.send(lux=1)
    hostile = [b"", b"\xff", b"[" * 50_000, b'{"lux": "dark"}', b'{"v": {"lux": 1}}', b'{"no": 1}', b"[1, 2]"]
    for payload in hostile:
        lux.send_raw(payload)
    lux.send(lux=2)
    assert [next(readings)["lux"], next(readings)["lux"]] == [1, 2]
    assert platform.malformed == len(hostile) + 1  # the last one has two in it


def test_repeats_are_passed_over(lux: FakeDriver, platform: Platform) -> None:
    readings = platform.readings(timeout=60)
    wait_for_subscription(platform, "lux-1")
    once = lux.send(lux=1)
    lux.send_raw(once)
    lux.send(lux=2)
    assert [next(readings)["lux"], next(readings)["lux"]] == [1, 2]
    assert platform.repeated == 1


def test_the_oldest_are_dropped_and_counted(hub: FakeHub, driver: Driver, settings: Settings) -> None:
    hub.bind_ids(("luxsensor", "lux-1"))
    lux = driver("lux-1")
    with Platform(settings, queue_size=3) as platform:
        platform.wait_for_binding()
        readings = platform.readings(timeout=60)
        wait_for_subscription(platform, "lux-1")
        lux.send_raw([lux.reading(lux=number) for number in range(10)])
        wait_until(lambda: platform.dropped == 7)
        assert [next(readings)["lux"] for _ in range(3)] == [7, 8, 9]
        assert readings.dropped == 7


def test_a_timeout_ends_the_loop_and_loses_nothing(lux: FakeDriver, platform: Platform) -> None:
    readings = platform.readings(0, timeout=0.3)
    wait_for_subscription(platform, "lux-1")
    assert list(readings) == []
    lux.send(lux=1)
    # Not within the timeout, where the machine is busy.
    wait_until(lambda: readings._queue.qsize() == 1)
    assert [reading["lux"] for reading in readings] == [1]
    assert readings.is_open
    readings.close()
    assert list(readings) == []


def test_an_iterator_left_behind_is_let_go(lux: FakeDriver, platform: Platform) -> None:
    topic = f"{ROOT}/sensors/lux-1/data"
    threading.Timer(0.5, lambda: lux.send(lux=1)).start()
    for _ in platform.readings(timeout=60):
        break
    lux.send(lux=2)
    wait_until(lambda: topic not in platform._connection.subscriptions._wanted)


def test_run_calls_with_each_reading(lux: FakeDriver, platform: Platform) -> None:
    got: list[float] = []

    def on_reading(reading: Reading) -> None:
        got.append(reading["lux"])
        if len(got) == 2:
            platform.stop()

    thread = threading.Thread(target=platform.run, args=(on_reading, 0))
    thread.start()
    wait_for_subscription(platform, "lux-1")
    lux.send_raw([lux.reading(lux=1), lux.reading(lux=2), lux.reading(lux=3)])
    thread.join(60)
    assert not thread.is_alive()
    assert got == [1, 2]
    assert platform.stopping
    with pytest.raises(SystemExit) as caught:
        next(platform.readings())
    assert caught.value.code == 0


def test_page(hub: FakeHub, platform: Platform) -> None:
    assert platform.publish_page({"light": "on", "list": [1, 2.5, None]})
    assert hub.page() == {"light": "on", "list": [1, 2.5, None]}
    with pytest.raises(ValueError):
        platform.publish_page(float("nan"))


def test_the_last_page_is_sent_before_closing(hub: FakeHub, settings: Settings) -> None:
    with Platform(settings) as platform:
        hub.bind_ids(("luxsensor", "lux-1"))
        platform.wait_for_binding()
        for number in range(100):
            platform.publish_page(number)
    assert [hub.page() for _ in range(100)] == list(range(100))


def test_readings_go_on_after_the_broker_was_away(
    broker: Broker, lux: FakeDriver, hub: FakeHub, platform: Platform
) -> None:
    readings = platform.readings(timeout=60)
    wait_for_subscription(platform, "lux-1")
    lux.send(lux=1)
    assert next(readings)["lux"] == 1
    broker.stop()
    wait_until(lambda: platform._connection.problem)
    assert platform.publish_page("from the outage")
    time.sleep(0.5)
    broker.start()
    wait_for_subscription(platform, "lux-1")
    wait_until(lux.client.is_connected)
    lux.send(lux=2)
    assert next(readings)["lux"] == 2
    assert platform.binding is not None and platform.binding.version == hub.version

    # A change while the library was away is found out too.
    broker.kill()
    broker.start()
    wait_until(hub.client.is_connected)
    hub.bind_ids(("luxsensor", "lux-1 lux-2"))
    wait_for_subscription(platform, "lux-2")


def test_a_page_from_an_outage_is_sent_once(broker: Broker, hub: FakeHub, platform: Platform) -> None:
    hub.bind_ids(("luxsensor", "lux-1"))
    platform.wait_for_binding()
    # Either may be back first.
    with Peer(broker, f"{ROOT}/apps/{APP}/page", has_session=True) as peer:
        broker.stop()
        wait_until(lambda: platform._connection.problem)
        platform.publish_page("first")
        platform.publish_page("second")
        broker.start()
        pages = [json.loads(peer.received.get(timeout=60)[1]) for _ in range(2)]
        assert pages == ["first", "second"]
        time.sleep(0.5)
        assert peer.received.empty()
