from pathlib import Path

import pytest

from devices import Emulated, wait_until

EMULATOR = Path(__file__).parent / "emulator.py"


def vl6180x(**attributes):
    return Emulated(EMULATOR, "VL6180X", **attributes)


def test_reads_what_the_kernels_driver_reads(lab, guest):
    bus = lab.i2c({0x29: vl6180x(distance=83, lux=250.0)})
    folder = bus.bind("vl6180", 0x29)
    device = wait_until(lambda: guest.glob(f"{folder}/iio:device*"), "the kernel's device")[0]
    distance = float(guest.read(f"{device}/in_distance_raw")) * float(guest.read(f"{device}/in_distance_scale"))
    lux = float(guest.read(f"{device}/in_illuminance_raw")) * float(guest.read(f"{device}/in_illuminance_scale"))
    sensor = lab.sensor("vl6180x", interval=0.5, i2c=bus.name)
    assert "the kernel's driver 'vl6180' has the chip at address 0x29" in sensor.once().stderr
    bus.unbind(0x29)
    sensor.start()
    assert sensor.wait_for_values(1)[0] == {
        "distance_mm": round(distance * 1_000), "illuminance_lux": pytest.approx(lux, abs=0.01), "range_status": "good"}
    assert distance == pytest.approx(0.083) and lux == pytest.approx(250, abs=0.32)
    assert sensor.stop() == 0


def test_nothing_within_reach_is_no_distance(lab):
    bus = lab.i2c({0x29: vl6180x(distance=0)})
    sensor = lab.sensor("vl6180x", interval=0.5, i2c=bus.name).start()
    value = sensor.wait_for_values(1)[0]
    assert value["range_status"] == "max_convergence" and "distance_mm" not in value
    bus.set(0x29, distance=120)
    sensor.wait_for(distance_mm=120, range_status="good")
    bus.set(0x29, error=11)
    assert "distance_mm" not in sensor.wait_for(range_status="signal_to_noise")["v"]


def test_gain_and_time_do_not_change_the_light(lab):
    bus = lab.i2c({0x29: vl6180x(lux=64.0)})
    sensor = lab.sensor("vl6180x", interval=60, i2c=bus.name).start()
    assert sensor.wait_for_values(1)[0]["illuminance_lux"] == pytest.approx(64, abs=0.32)
    count = 1
    for gain, milliseconds in ((40, 50), (1.67, 400), (5, 1)):
        assert sensor.call("set_gain", gain=gain)["status"] == "done"
        assert sensor.call("set_integration_time", integration_time_ms=milliseconds)["status"] == "done"
        count += 2
        step = 0.32 / gain * 100 / milliseconds
        assert sensor.wait_for_values(count)[-1]["illuminance_lux"] == pytest.approx(64, abs=step)
    reply = sensor.call("set_gain", gain=3)
    assert reply["status"] == "refused" and "gain: 3.0 is none of 1.0, 1.25, 1.67" in reply["error"]
    reply = sensor.call("set_integration_time", integration_time_ms=0)
    assert reply["status"] == "refused" and "must be from 1 to 500, is 0" in reply["error"]


def test_power_that_was_gone_comes_back(lab):
    bus = lab.i2c({0x29: vl6180x()})
    sensor = lab.sensor("vl6180x", interval=0.5, i2c=bus.name).start()
    sensor.wait_for_values(1)
    bus.call(0x29, "reset")
    sensor.wait_for_values(len(sensor.values) + 2)
    # One of ST's settings, which it has only if all was set up anew.
    assert bus.call(0x29, "peek", 0x097) == 0xFD
    assert all(value["distance_mm"] == 50 for value in sensor.values)


# Wrong input: one clear message, a status `fault`, and no reading.


def faulty(lab, *words, **attributes):
    sensor = lab.sensor("vl6180x", interval=0.5, **attributes).start()
    sensor.wait_for_fault(*words)
    assert sensor.values == []
    return sensor


def test_nobody_there(lab):
    faulty(lab, "no answer from address 0x29", i2c=lab.i2c({}).name)


def test_another_chip(lab):
    # A VL53L0X, at the same address.
    bus = lab.i2c({0x29: vl6180x(id=0xEE)})
    faulty(lab, "is no VL6180X: its model id is 0xEE instead of 0xB4", i2c=bus.name)


def test_the_chips_own_test_fails(lab):
    bus = lab.i2c({0x29: vl6180x(error=1)})
    faulty(lab, "the chip says that it cannot measure distances: system_error_1", i2c=bus.name)


def test_a_measurement_that_does_not_end(lab):
    bus = lab.i2c({0x29: vl6180x(is_stuck=True)})
    sensor = faulty(lab, "ranging did not end in time", i2c=bus.name)
    bus.set(0x29, is_stuck=False)
    sensor.wait_for(distance_mm=50)


def test_more_light_than_it_can_measure(lab):
    bus = lab.i2c({0x29: vl6180x(lux=30_000.0)})
    sensor = faulty(lab, "there is more light than 20971 lux", i2c=bus.name)
    sensor.call("set_integration_time", integration_time_ms=50)
    assert sensor.wait_for_values(1)[0]["illuminance_lux"] == pytest.approx(30_000, abs=1)


@pytest.mark.parametrize("attributes, message", [
    ({"i2c_address": "0x2A"}, "i2c_address: 0x2A is no address that this chip can have: 0x29"),
    ({"gain": 2}, "gain: 2.0 is none of 1.0, 1.25"),
    ({"integration_time_ms": 501}, "integration_time_ms: must be from 1 to 500, is 501"),
])
def test_wrong_configuration_ends_the_driver(lab, attributes, message):
    done = lab.sensor("vl6180x", i2c=1, **attributes).once()
    assert done.returncode == 78 and message in done.stderr
