from pathlib import Path

import pytest

from devices import Emulated, wait_until

EMULATOR = Path(__file__).parent / "emulator.py"
COLOURS = ("clear", "red", "green", "blue")


def tcs34725(**attributes):
    return Emulated(EMULATOR, "TCS34725", **attributes)


def test_reads_what_the_kernels_driver_reads(lab, guest):
    light = [10.0, 4.0, 3.5, 3.0]
    bus = lab.i2c({0x29: tcs34725(light=light)})
    folder = bus.bind("tcs3472", 0x29)
    device = wait_until(lambda: guest.glob(f"{folder}/iio:device*"), "the kernel's device")[0]
    guest.write(f"{device}/in_intensity_integration_time", "0.153600")
    guest.write(f"{device}/in_intensity_calibscale", "16")
    # It does not wait for an integration with what was just set.
    wait_until(lambda: int(guest.read(f"{device}/in_intensity_clear_raw")) > 1_000, "the kernel's new settings")
    kernel = {colour: int(guest.read(f"{device}/in_intensity_{colour}_raw")) for colour in COLOURS}
    sensor = lab.sensor("tcs34725", interval=0.5, i2c=bus.name, gain=16)
    assert "the kernel's driver 'tcs3472' has the chip at address 0x29" in sensor.once().stderr
    bus.unbind(0x29)
    sensor.start()
    values = sensor.wait_for_values(1)[0]
    assert {colour: values[f"{colour}_count"] for colour in COLOURS} == kernel
    assert kernel == {colour: 64 * 16 * count for colour, count in zip(COLOURS, light)}
    # DN40: IR = 256, R' 3840, G' 3328, B' 2816.
    assert values["colour_temperature_kelvin"] == pytest.approx(3_810 * 2_816 / 3_840 + 1_391)
    assert values["illuminance_lux"] == pytest.approx(
        (0.136 * 3_840 + 3_328 - 0.444 * 2_816) * 310 / (153.6 * 16))
    assert sensor.stop() == 0


def test_gain_and_time_do_not_change_the_light(lab):
    bus = lab.i2c({0x29: tcs34725(light=[8.0, 3.0, 3.0, 2.5])})
    sensor = lab.sensor("tcs34725", interval=60, i2c=bus.name, gain=1, integration_time_ms=614.4).start()
    first = sensor.wait_for_values(1)[0]
    assert first["clear_count"] == 2_048
    count = 1
    for gain, milliseconds in ((4, 307.2), (16, 24), (60, 100)):
        assert sensor.call("set_gain", gain=gain)["status"] == "done"
        assert sensor.call("set_integration_time", integration_time_ms=milliseconds)["status"] == "done"
        count += 2
        value = sensor.wait_for_values(count)[-1]
        for field in ("illuminance_lux", "colour_temperature_kelvin"):
            assert value[field] == pytest.approx(first[field], rel=0.01)
    reply = sensor.call("set_gain", gain=5)
    assert reply["status"] == "refused" and "gain: 5 is none of 1, 4, 16, 60" in reply["error"]
    reply = sensor.call("set_integration_time", integration_time_ms=1_000)
    assert reply["status"] == "refused" and "must be from 2.4 to 614.4" in reply["error"]


def test_no_light_has_no_colour(lab):
    bus = lab.i2c({0x29: tcs34725()})
    sensor = lab.sensor("tcs34725", i2c=bus.name).start()
    assert sensor.wait_for_values(1)[0] == {
        "illuminance_lux": 0, "clear_count": 0, "red_count": 0, "green_count": 0, "blue_count": 0}


# Wrong input: one clear message, a status `fault`, and no reading.


def faulty(lab, *words, **attributes):
    sensor = lab.sensor("tcs34725", interval=0.5, **attributes).start()
    sensor.wait_for_fault(*words)
    assert sensor.values == []
    return sensor


def test_nobody_there(lab):
    faulty(lab, "no answer from address 0x29", i2c=lab.i2c({}).name)


def test_another_chip(lab):
    # A TSL2561, which can have the same address.
    bus = lab.i2c({0x29: tcs34725(id=0x50)})
    faulty(lab, "is no TCS34725: its id is 0x50 instead of 0x44 or 0x4D", i2c=bus.name)


def test_more_light_than_it_can_measure(lab):
    bus = lab.i2c({0x29: tcs34725(light=[900.0, 300.0, 300.0, 300.0])})
    sensor = faulty(lab, "there is more light than can be measured", "a gain of 4", i2c=bus.name)
    sensor.call("set_gain", gain=1)
    assert sensor.wait_for_values(1)[0]["clear_count"] == 57_600


def test_unplugged_and_plugged_in_again(lab):
    bus = lab.i2c({0x29: tcs34725(light=[10.0, 4.0, 3.5, 3.0])})
    sensor = lab.sensor("tcs34725", interval=0.5, i2c=bus.name, integration_time_ms=24).start()
    first = sensor.wait_for_values(1)[0]
    bus.unplug(0x29)
    sensor.wait_for_fault("no answer")
    bus.call(0x29, "reset")
    bus.plug(0x29)
    sensor.wait_for_status("online")
    assert all(value == first for value in sensor.values)


@pytest.mark.parametrize("attributes, message", [
    ({"i2c_address": "0x39"}, "i2c_address: 0x39 is no address that this chip can have: 0x29"),
    ({"gain": 2}, "gain: 2 is none of 1, 4, 16, 60"),
    ({"integration_time_ms": 1}, "integration_time_ms: must be from 2.4 to 614.4, is 1.0"),
])
def test_wrong_configuration_ends_the_driver(lab, attributes, message):
    done = lab.sensor("tcs34725", i2c=1, **attributes).once()
    assert done.returncode == 78 and message in done.stderr
