import signal

import pytest

from devices import wait_until

pytestmark = pytest.mark.gpio


def lamp(lab, **attributes):
    chip = lab.gpio({0: "LAMP"})
    return chip, lab.sensor("digital_output", line={"chip": chip.label, "offset": 0}, **attributes)


def level(chip, up):
    wait_until(lambda: chip.value(0) == up, f"level {up}")


def test_is_switched(lab):
    chip, sensor = lamp(lab)
    sensor.start()
    assert sensor.wait_for_values(1) == [{"on": False, "switches": 0, "cause": "start"}]
    for function, on in [("on", True), ("off", False), ("toggle", True), ("toggle", False)]:
        assert sensor.call(function)["status"] == "done"
        sensor.wait_for(on=on, cause="call")
        assert chip.value(0) == on
    assert [value["switches"] for value in sensor.values] == [0, 1, 2, 3, 4]
    # Nothing changes: how it stands is told all the same.
    assert sensor.call("off")["status"] == "done"
    assert sensor.wait_for_values(6)[5] == {"on": False, "switches": 4, "cause": "call"}


def test_pulse_and_timed_on(lab):
    chip, sensor = lamp(lab, active_low=True)
    sensor.start()
    sensor.wait_for_values(1)
    assert chip.value(0) is True
    assert sensor.call("pulse", seconds=1.5)["status"] == "done"
    sensor.wait_for(on=True)
    sensor.wait_for(on=False, cause="timer")
    assert chip.value(0) is True
    first, second = sensor.readings[-2:]
    # Not shorter than was asked for; how much longer, a busy machine decides.
    assert (second["t"] - first["t"]) / 1e6 >= 1.49
    assert sensor.call("on_for", seconds=0.2)["status"] == "done"
    sensor.wait_for(switches=4, on=False, cause="timer")
    reply = sensor.call("pulse", seconds=0)
    assert reply["status"] == "refused" and "must be from 0.001 to 604800.0" in reply["error"]


def test_a_call_ends_a_time(lab):
    chip, sensor = lamp(lab)
    sensor.start()
    sensor.wait_for_values(1)
    sensor.call("on_for", seconds=10)
    sensor.call("on")
    sensor.wait_for_values(3)
    # Were the time still on, it would be over before the second of these.
    sensor.call("pulse", seconds=11)
    sensor.wait_for(on=True, cause="timer")
    assert [value["on"] for value in sensor.values] == [False, True, True, False, True]


def test_is_safe_when_it_ends_and_as_wanted_when_it_starts(lab, guest):
    # What the line does when nobody holds it is the chip's business: so it is looked at while the driver ends.
    chip, sensor = lamp(lab, initial="on", safe="off")
    chip.pull(0, True)
    sensor.start()
    sensor.wait_for_values(1)
    level(chip, True)
    assert sensor.stop() == 0
    # After a crash, nothing of the driver's own is done; the next start sets the line.
    sensor.start()
    sensor.wait_for_values(2)
    sensor.call("off")
    sensor.wait_for(on=False)
    sensor.stop(signal.SIGKILL)
    sensor.start()
    sensor.wait_for(on=True, cause="start")
    level(chip, True)


def test_is_safe_without_broker(lab, broker):
    chip, sensor = lamp(lab, initial="on", safe="off", safe_after_seconds=2)
    # Nobody listens at this port.
    sensor.process = lab.guest.spawn(
        lab.program, "--config", f"/run/tmp/{sensor.name}.json",
        env={"SENSORHUB_HUB": "lab", "SENSORHUB_BROKER": "mqtt://10.0.2.2:1"})
    level(chip, True)
    level(chip, False)
    wait_until(lambda: "the hub was out of reach for too long: it is off now" in sensor.log, "what it says")


# Wrong input: one clear message, a status `fault`, and no reading.


def test_a_line_in_use(lab):
    chip, sensor = lamp(lab)
    holder = lab.spawn("gpiomon", chip.name, "0")
    sensor.start()
    reason = sensor.wait_for_fault("in use")
    assert reason == f"line 0 'LAMP' of {chip.name} '{chip.label}' is in use by 'gpiomon'"
    reply = sensor.call("on")
    assert reply["status"] == "failed" and "in use by 'gpiomon'" in reply["error"]
    assert sensor.values == []
    holder.stop()
    sensor.wait_for_values(1)


@pytest.mark.parametrize("attribute", [
    {"initial": "perhaps"}, {"safe": "Off"}, {"drive": "weak"}, {"safe_after_seconds": 0},
    {"safe_after_seconds": 5, "safe": "keep"}, {"line": 17},
])
def test_wrong_configuration_ends_the_driver(lab, attribute):
    done = lab.sensor("digital_output", **{"line": "LAMP", **attribute}).once()
    assert done.returncode == 78
    assert next(iter(attribute)) in done.stderr
