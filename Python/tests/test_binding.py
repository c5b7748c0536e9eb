from __future__ import annotations

import queue
import threading
import time
from typing import Callable

import pytest
from broker import INSTANCE, Broker
from peers import ROOT, FakeDriver, FakeHub, sensor, wait_until

from sensorhub import Binding, BindingTimeout, Platform, PlatformClosed, Settings

Driver = Callable[..., FakeDriver]


def test_binding_document(hub: FakeHub, platform: Platform) -> None:
    hub.bind(
        ("luxsensor", [sensor("lux-1", "luxsensor", placeholder="bus", bus_id=1)]),
        ("gps", [sensor("gps-1", "gps")]),
        ("luxsensor", []),
    )
    binding = platform.wait_for_binding(60)
    assert (binding.instance, binding.app, binding.version, binding.reason) == (INSTANCE, "bus", hub.version, "test")
    lux, gps = binding.sensors
    assert lux.data_topic == f"{ROOT}/sensors/lux-1/data"
    assert lux.control_topic == f"{ROOT}/sensors/lux-1/control"
    assert lux.reply_topic == f"{ROOT}/sensors/lux-1/control/reply"
    assert dict(lux.fields) == {"lux": "float", "light": "bool"}
    assert lux.attributes == {"placeholder": "bus", "bus_id": 1}
    assert str(lux.functions[0]) == "set_light(on: bool)"
    assert gps.control_topic is None and gps.index == 1
    assert platform.sensors(0) == (lux,)
    assert binding.sensor("gps-1") is gps and binding.sensor(1) is gps
    with pytest.raises(LookupError, match="no position 3"):
        platform.sensors(3)
    with pytest.raises(LookupError, match="no sensor of type 'luxsensor'"):
        binding.sensor(2)
    with pytest.raises(LookupError, match="'lux-9' is not bound"):
        binding.sensor("lux-9")


def test_no_binding_in_time(hub: FakeHub, platform: Platform) -> None:
    with pytest.raises(BindingTimeout, match=f"no binding for '{INSTANCE}'"):
        platform.wait_for_binding(0.5)


def test_wrong_password_is_told(broker: Broker) -> None:
    settings = Settings.from_environment({**broker.environment, "SENSORHUB_PASSWORD": "wrong"})
    with Platform(settings) as platform:
        wait_until(lambda: platform._connection.problem)
        with pytest.raises(BindingTimeout, match="Not authorized"):
            platform.wait_for_binding(0.5)


def test_readings_follow_the_binding(hub: FakeHub, driver: Driver, platform: Platform) -> None:
    first, second = driver("lux-1"), driver("lux-2")
    hub.bind_ids(("luxsensor", "lux-1"))
    readings = platform.readings(0, timeout=60)
    platform.wait_for_binding()
    wait_for_subscription(platform, "lux-1")
    first.send(lux=1)
    assert next(readings).sensor_id == "lux-1"

    hub.bind_ids(("luxsensor", "lux-1 lux-2"))
    wait_for_subscription(platform, "lux-2")
    first.send(lux=2)
    second.send(lux=3)
    assert sorted(next(readings)["lux"] for _ in range(2)) == [2, 3]

    hub.bind_ids(("luxsensor", "lux-2"))
    wait_until(lambda: platform.binding and platform.binding.version == hub.version)
    first.send(lux=4)
    second.send(lux=5)
    assert next(readings)["lux"] == 5


def test_only_the_positions_asked_for(hub: FakeHub, driver: Driver, platform: Platform) -> None:
    lux, gps = driver("lux-1"), driver("gps-1")
    hub.bind_ids(("luxsensor", "lux-1"), ("gps", "gps-1"), ("luxsensor", "lux-1"))
    platform.wait_for_binding()
    only_gps, everything = platform.readings(1, timeout=60), platform.readings(timeout=60)
    wait_for_subscription(platform, "lux-1")
    wait_for_subscription(platform, "gps-1")
    lux.send(lux=1)
    gps.send(latitude=17.4)
    assert next(only_gps)["latitude"] == 17.4
    # The sensor that is bound at two positions gives a reading for each.
    assert [(one.index, one.sensor_id) for one in (next(everything) for _ in range(3))] == [
        (0, "lux-1"), (2, "lux-1"), (1, "gps-1"),
    ]  # fmt: skip


def test_a_position_that_does_not_exist(hub: FakeHub, platform: Platform) -> None:
    early = platform.readings(1, timeout=60)
    hub.bind_ids(("luxsensor", "lux-1"))
    with pytest.raises(LookupError, match="no position 1"):
        next(early)
    with pytest.raises(LookupError, match="no position 1"):
        platform.readings(1)


def test_callbacks_get_every_binding(hub: FakeHub, driver: Driver, platform: Platform) -> None:
    driver("lux-1")
    hub.bind_ids(("luxsensor", "lux-1"))
    platform.wait_for_binding()
    seen: queue.Queue[Binding] = queue.Queue()

    def changed(binding: Binding) -> None:
        # A call waits for its reply, so it would never return in the network thread.
        platform.call(0, "set_light", on=True)
        seen.put(binding)
        raise RuntimeError("a function of the program may be wrong")

    platform.on_binding_change(changed)
    assert seen.get(timeout=60).version == hub.version
    hub.bind_ids(("luxsensor", "lux-1 lux-2"))
    assert len(seen.get(timeout=60).sensors) == 2


def test_old_and_malformed_bindings_are_passed_over(hub: FakeHub, platform: Platform) -> None:
    hub.bind_ids(("luxsensor", "lux-1"))
    hub.bind_ids(("luxsensor", "lux-2"))
    current = hub.version
    wait_until(lambda: platform.binding and platform.binding.version == current)
    hub.bind(("luxsensor", []), version=current - 1)
    hub.publish(f"{ROOT}/algorithms/{INSTANCE}/binding", b'{"version": 99}', retain=True)
    hub.bind_ids(("luxsensor", "lux-1 lux-2"))
    versions: set[int] = set()
    while max(versions, default=0) < hub.version:
        binding = platform.binding
        assert binding is not None
        versions.add(binding.version)
    assert versions <= {current, hub.version}


def test_binding_is_gone_when_the_instance_is_stopped(hub: FakeHub, platform: Platform) -> None:
    hub.bind_ids(("luxsensor", "lux-1"))
    platform.wait_for_binding()
    hub.unbind()
    wait_until(lambda: platform.binding is None)
    # Started again, an instance begins with version 1.
    hub.bind(("luxsensor", [sensor("lux-1", "luxsensor")]), version=1)
    assert platform.wait_for_binding(60).version == 1


def test_close_ends_what_waits(hub: FakeHub, settings: Settings) -> None:
    platform = Platform(settings)
    readings = platform.readings()
    ended: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for _ in readings:
            pass
        ended.put("readings")

    def wait() -> None:
        try:
            platform.wait_for_binding(None)
        except PlatformClosed:
            ended.put("binding")

    threads = [threading.Thread(target=read), threading.Thread(target=wait)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    platform.close()
    platform.close()
    assert {ended.get(timeout=60), ended.get(timeout=60)} == {"readings", "binding"}
    for use in (platform.readings, platform.wait_for_binding, lambda: platform.publish_page({})):
        with pytest.raises(PlatformClosed):
            use()


def wait_for_subscription(platform: Platform, sensor_id: str) -> None:
    """Until the broker has confirmed it: what a driver sends before that, nobody gets."""
    topic = f"{ROOT}/sensors/{sensor_id}/data"
    assert platform._connection.subscriptions.wait_until_active(topic, 60)
