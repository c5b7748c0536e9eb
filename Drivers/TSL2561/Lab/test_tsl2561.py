from pathlib import Path

import pytest

from devices import Emulated, wait_until

EMULATOR = Path(__file__).parent / "emulator.py"


def tsl2561(**attributes):
    return Emulated(EMULATOR, "TSL2561", **attributes)


@pytest.mark.parametrize("broadband, infrared", [(12_000, 1_500), (12_000, 7_000), (400_000, 100_000)])
def test_reads_what_the_kernels_driver_reads(lab, guest, broadband, infrared):
    # The kernel's has the formulae of the chipscale package only, and straight lines instead of the first of them.
    bus = lab.i2c({0x39: tsl2561(broadband=broadband, infrared=infrared, id=0x11)})
    folder = bus.bind("tsl2561", 0x39, module="tsl2563")
    device = wait_until(lambda: guest.glob(f"{folder}/iio:device*"), "the kernel's device")[0]
    file = guest.glob(f"{device}/in_illuminance*_input")[0]
    # It does not wait for the first integration, and says 0 until that has ended.
    kernel = wait_until(lambda: float(guest.read(file)), "light")
    sensor = lab.sensor("tsl2561", interval=1, i2c=bus.name)
    assert "the kernel's driver 'tsl2563' has the chip at address 0x39" in sensor.once().stderr
    bus.unbind(0x39)
    bus.call(0x39, "reset")
    sensor.start()
    assert sensor.wait_for_values(1)[0]["illuminance_lux"] == pytest.approx(kernel, rel=0.03, abs=2)
    assert sensor.stop() == 0


def test_gain_and_time_do_not_change_the_light(lab):
    bus = lab.i2c({0x29: tsl2561(broadband=20_000, infrared=4_000)})
    sensor = lab.sensor("tsl2561", interval=60, i2c=bus.name, i2c_address="0x29", gain="high").start()
    first = sensor.wait_for_values(1)[0]
    assert first["broadband_count"] == 20_000 and first["infrared_count"] == 4_000
    # T package, ratio 0.2: 0.0304 · 20000 - 0.062 · 20000 · 0.2 ** 1.4.
    assert first["illuminance_lux"] == pytest.approx(477.7, abs=0.1)
    for count, (gain, milliseconds) in enumerate((("low", 402), ("high", 101), ("low", 13.7))):
        assert sensor.call("set_gain", gain=gain)["status"] == "done"
        assert sensor.call("set_integration_time", integration_time_ms=milliseconds)["status"] == "done"
        value = sensor.wait_for_values(3 + 2 * count)[-1]
        assert value["illuminance_lux"] == pytest.approx(477.7, rel=0.05)
    reply = sensor.call("set_gain", gain="hihg")
    assert reply["status"] == "refused" and "did you mean 'high'?" in reply["error"]
    reply = sensor.call("set_integration_time", integration_time_ms=100)
    assert reply["status"] == "refused" and "none of 13.7, 101.0, 402.0" in reply["error"]


def test_gain_by_itself(lab):
    bus = lab.i2c({0x39: tsl2561(broadband=100_000, infrared=20_000)})
    sensor = lab.sensor("tsl2561", interval=0.5, i2c=bus.name).start()
    assert sensor.wait_for_values(1)[0]["broadband_count"] == 6_250
    bus.set(0x39, broadband=320, infrared=64)
    sensor.wait_for(broadband_count=320)
    assert bus.get(0x39, "started") > 0


# Wrong input: one clear message, a status `fault`, and no reading.


def faulty(lab, *words, **attributes):
    sensor = lab.sensor("tsl2561", interval=0.5, **attributes).start()
    sensor.wait_for_fault(*words)
    assert sensor.values == []
    return sensor


def test_wrong_address(lab):
    bus = lab.i2c({0x39: tsl2561()})
    faulty(lab, "no answer from address 0x49", i2c=bus.name, i2c_address="0x49")


def test_another_chip(lab):
    bus = lab.i2c({0x39: tsl2561(id=0x44)})
    faulty(lab, "is no TSL2561: its id is 0x44", i2c=bus.name)


def test_more_light_than_it_can_measure(lab):
    bus = lab.i2c({0x39: tsl2561(broadband=2_000_000, infrared=100_000)})
    sensor = faulty(lab, "there is more light than can be measured", "402.0 ms and gain 'low'", i2c=bus.name)
    sensor.call("set_integration_time", integration_time_ms=13.7)
    assert sensor.wait_for_values(1)[0]["broadband_count"] == int(2_000_000 * 11 / 322 / 16)


def test_unplugged_and_plugged_in_again(lab):
    bus = lab.i2c({0x39: tsl2561(broadband=5_000, infrared=1_000)})
    sensor = lab.sensor("tsl2561", interval=0.5, i2c=bus.name, integration_time_ms=101).start()
    first = sensor.wait_for_values(1)[0]
    bus.unplug(0x39)
    sensor.wait_for_fault("no answer")
    bus.call(0x39, "reset")
    bus.plug(0x39)
    sensor.wait_for_status("online")
    assert all(value == first for value in sensor.values)


def test_wrong_configuration_ends_the_driver(lab):
    done = lab.sensor("tsl2561", i2c=1, integration_time_ms=100).once()
    assert done.returncode == 78
    assert "integration_time_ms: 100.0 is none of 13.7, 101.0, 402.0" in done.stderr
