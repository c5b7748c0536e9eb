from __future__ import annotations

import queue
import threading
import time
from typing import Any, Callable, Optional

import pytest
from broker import INSTANCE, Broker
from peers import FakeDriver, FakeHub, now, sensor, wait_until

import sensorhub.functions
from sensorhub import (
    ControlError,
    ControlFailed,
    ControlRefused,
    ControlTimeout,
    ControlUndelivered,
    Platform,
    PlatformClosed,
    getSensorData,
    setSensorData,
)

Driver = Callable[..., FakeDriver]


@pytest.fixture
def bound(hub: FakeHub, platform: Platform) -> Platform:
    hub.bind_ids(("luxsensor", "lux-1 lux-2"), ("gps", "gps-1"), ("counter", "machine-1"))
    platform.wait_for_binding()
    return platform


def test_call_and_reply(driver: Driver, bound: Platform) -> None:
    lux = driver("lux-1")
    reply = bound.call(0, "set_light", on=True)
    assert (lux.calls[0]["function"], lux.calls[0]["params"]) == ("set_light", {"on": True})
    assert reply.id == lux.calls[0]["id"]
    assert reply.t is not None and abs(reply.t - now()) < 10_000_000
    other = driver("lux-2")
    assert bound.call("lux-2", "set_light", on=False).sensor_id == "lux-2"
    assert len(lux.calls) == len(other.calls) == 1


def test_parameters_with_the_names_of_the_librarys_own(driver: Driver, bound: Platform) -> None:
    counter = driver("machine-1")
    bound.call(2, "arm", {"timeout": 5}, timeout=10)
    bound.call(2, "arm", function=1)
    assert [call["params"] for call in counter.calls] == [{"timeout": 5}, {"function": 1}]


def test_refused(driver: Driver, bound: Platform) -> None:
    driver("lux-1", answer=lambda call: {"status": "refused", "error": f"there is no function '{call['function']}'"})
    expected = "'set_lite' on sensor 'lux-1' was refused: there is no function"
    with pytest.raises(ControlRefused, match=expected) as caught:
        bound.call(0, "set_lite", on=True)
    assert (caught.value.sensor_id, caught.value.function) == ("lux-1", "set_lite")
    assert isinstance(caught.value, ControlError)


def test_a_type_without_control_functions(bound: Platform) -> None:
    with pytest.raises(ControlRefused, match="type 'gps' has no control functions"):
        bound.call(1, "move")


def test_failed(driver: Driver, bound: Platform) -> None:
    driver("lux-1", answer=lambda call: {"status": "failed", "error": "the lamp is broken"})
    with pytest.raises(ControlFailed, match="the lamp is broken"):
        bound.call(0, "set_light", on=True)


@pytest.mark.parametrize("answer", [None, {"id": "another call", "status": "done"}, {"id": ["x"], "status": "done"}])
def test_timeout(driver: Driver, bound: Platform, answer: Optional[dict[str, Any]]) -> None:
    driver("lux-1", answer=lambda call: answer)
    started = time.monotonic()
    with pytest.raises(ControlTimeout, match="did not answer within 0.5 s"):
        bound.call(0, "set_light", on=True, timeout=0.5)
    assert 0.4 < time.monotonic() - started < 60


def test_no_driver_is_told_at_once(bound: Platform) -> None:
    started = time.monotonic()
    with pytest.raises(ControlUndelivered, match="no driver listens"):
        bound.call(0, "set_light", on=True, timeout=300)
    assert time.monotonic() - started < 60


def test_no_right_is_told_at_once(hub: FakeHub, platform: Platform) -> None:
    hub.bind_ids(("luxsensor", "lux-9"))
    with pytest.raises(ControlUndelivered, match="Not authorized"):
        platform.call(0, "set_light", on=True)


def test_many_calls_at_once(driver: Driver, bound: Platform) -> None:
    # Answers in another order than asked.
    waiting: list[dict[str, Any]] = []

    def answer(call: dict[str, Any]) -> None:
        waiting.append(call)
        if len(waiting) == 10:
            for one in reversed(waiting):
                status = "done" if one["params"]["on"] else "failed"
                lux.client.publish(
                    "sensorhub/main/sensors/lux-1/control/reply",
                    f'{{"id": "{one["id"]}", "status": "{status}", "t": 1}}',
                    qos=1,
                )

    lux = driver("lux-1", answer=answer)
    results: queue.Queue[tuple[bool, bool]] = queue.Queue()

    def call(on: bool) -> None:
        try:
            bound.call(0, "set_light", on=on, timeout=60)
            results.put((on, True))
        except ControlFailed:
            results.put((on, False))

    for number in range(10):
        threading.Thread(target=call, args=(number % 2 == 0,)).start()
    outcomes = [results.get(timeout=60) for _ in range(10)]
    assert all(on == done for on, done in outcomes)


def test_parameters_that_json_cannot_say(driver: Driver, bound: Platform) -> None:
    lux = driver("lux-1")
    with pytest.raises(TypeError):
        bound.call(0, "set_light", on=object())
    with pytest.raises(ValueError):
        bound.call(0, "set_light", on=float("nan"))
    assert lux.calls == []


def test_close_ends_a_call(driver: Driver, bound: Platform) -> None:
    driver("lux-1", answer=lambda call: None)
    threading.Timer(0.5, bound.close).start()
    with pytest.raises(PlatformClosed):
        bound.call(0, "set_light", on=True, timeout=20)


def test_close_ends_a_call_that_waits_for_the_broker(broker: Broker, bound: Platform) -> None:
    broker.freeze()
    try:
        threading.Timer(0.5, bound.close).start()
        with pytest.raises(PlatformClosed):
            bound.call(0, "set_light", on=True, timeout=20)
    finally:
        broker.thaw()


def test_a_call_is_not_sent_again_after_an_outage(
    broker: Broker, hub: FakeHub, driver: Driver, bound: Platform
) -> None:
    lux = driver("lux-1")
    bound.call(0, "set_light", on=True)
    broker.freeze()
    with pytest.raises(ControlTimeout):
        bound.call(0, "set_light", on=False, timeout=0.5)
    broker.kill()
    wait_until(lambda: bound._connection.problem)
    with pytest.raises(ControlUndelivered, match="no connection to the broker mqtt://127.0.0.1"):
        bound.call(0, "set_light", on=False, timeout=0.5)
    broker.start()
    # A killed broker has forgotten what was retained.
    wait_until(hub.client.is_connected)
    hub.bind_ids(("luxsensor", "lux-1"))
    wait_until(lambda: not bound._connection.problem)
    wait_until(lambda: lux.client.is_connected())
    wait_until(lambda: _works(bound))
    assert [call["params"] for call in lux.calls if call["params"] == {"on": False}] == []


def _works(platform: Platform) -> bool:
    try:
        platform.call(0, "set_light", on=True, timeout=1)
    except ControlError:
        return False
    return True


# getSensorData and setSensorData


@pytest.fixture
def process_wide(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in broker.environment.items():
        monkeypatch.setenv(name, value)
    yield
    if sensorhub.functions._platform is not None:
        sensorhub.functions._platform.close()
        sensorhub.functions._platform = None


def test_get_sensor_data(hub: FakeHub, process_wide: None) -> None:
    hub.bind_ids(("luxsensor", "lux-1 lux-2"), ("gps", "gps-1"))
    assert getSensorData(INSTANCE, 0) == "sensorhub/main/sensors/lux-1/data"
    assert getSensorData(INSTANCE, 1) == "sensorhub/main/sensors/gps-1/data"
    with pytest.raises(LookupError, match="no position 2"):
        getSensorData(INSTANCE, 2)
    with pytest.raises(ValueError, match="no access to the sensors of 'another-1'"):
        getSensorData("another-1", 0)


def test_set_sensor_data(hub: FakeHub, driver: Driver, process_wide: None) -> None:
    hub.bind_ids(("luxsensor", "lux-1"))
    lux = driver("lux-1")
    reply = setSensorData(INSTANCE, 0, True)
    assert reply is not None and reply.function == "set_light"
    setSensorData(INSTANCE, 0, {"function": "set_light", "on": False})
    assert setSensorData(INSTANCE, 0, True, wait=False) is None
    wait_until(lambda: len(lux.calls) == 3)
    assert [call["params"]["on"] for call in lux.calls] == [True, False, True]


def test_set_sensor_data_raises_what_the_driver_says(hub: FakeHub, driver: Driver, process_wide: None) -> None:
    hub.bind_ids(("luxsensor", "lux-1"))
    driver("lux-1", answer=lambda call: {"status": "refused", "error": "'on' must be true or false"})
    with pytest.raises(ControlRefused, match="'on' must be true or false"):
        setSensorData(INSTANCE, 0, "yes")


@pytest.mark.parametrize("value", [1, {"timeout": 1}, {"function": 1}])
def test_set_sensor_data_that_could_mean_anything(hub: FakeHub, process_wide: None, value: Any) -> None:
    hub.bind(("counter", [sensor("machine-1", "counter")]))
    with pytest.raises(ValueError, match=r"reset\(\), arm\(timeout: int\)"):
        setSensorData(INSTANCE, 0, value)


def test_set_sensor_data_without_functions(hub: FakeHub, process_wide: None) -> None:
    hub.bind_ids(("gps", "gps-1"))
    with pytest.raises(ValueError, match="Functions of type 'gps': none"):
        setSensorData(INSTANCE, 0, 1)
