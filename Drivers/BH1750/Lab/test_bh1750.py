from pathlib import Path

import pytest

from devices import Emulated, wait_until

EMULATOR = Path(__file__).parent / "emulator.py"


def bh1750(**attributes):
    return Emulated(EMULATOR, "BH1750", **attributes)


def test_reads_what_the_kernels_driver_reads(lab, guest):
    bus = lab.i2c({0x23: bh1750(lux=123.5)})
    folder = bus.bind("bh1750", 0x23)
    device = wait_until(lambda: guest.glob(f"{folder}/iio:device*"), "the kernel's device")[0]
    kernel = float(guest.read(f"{device}/in_illuminance_raw")) * float(guest.read(f"{device}/in_illuminance_scale"))
    assert kernel == pytest.approx(123.5, abs=1)

    # While the kernel has the chip, it is not ours.
    sensor = lab.sensor("bh1750", interval=0.5, i2c=bus.name)
    assert "the kernel's driver 'bh1750' has the chip at address 0x23" in sensor.once().stderr
    bus.unbind(0x23)
    sensor.start()
    assert sensor.wait_for_values(2)[0]["illuminance_lux"] == pytest.approx(kernel, abs=0.01)
    assert sensor.stop() == 0
    assert [status["status"] for status in sensor.statuses] == ["online", "offline"]


@pytest.mark.parametrize("resolution, step", [("high", 1 / 1.2), ("high2", 0.5 / 1.2), ("low", 1 / 1.2)])
def test_resolutions(lab, resolution, step):
    bus = lab.i2c({0x5C: bh1750(lux=1_000.3)})
    sensor = lab.sensor("bh1750", i2c=bus.number, i2c_address="0x5C", resolution=resolution, measurement_time=138).start()
    assert sensor.wait_for_values(1)[0]["illuminance_lux"] == pytest.approx(1_000.3, abs=step / 2)
    assert bus.get(0x5C, "measurement_time") == 138


def test_is_controlled(lab):
    bus = lab.i2c({0x23: bh1750(lux=10)})
    sensor = lab.sensor("bh1750", interval=60, i2c=bus.name).start()
    sensor.wait_for_values(1)
    assert sensor.call("set_measurement_time", measurement_time=254)["status"] == "done"
    sensor.wait_for_values(2)
    assert bus.get(0x23, "measurement_time") == 254
    reply = sensor.call("set_measurement_time", measurement_time=255)
    assert reply["status"] == "refused" and "must be from 31 to 254, is 255" in reply["error"]
    reply = sensor.call("set_resolution", resolution="hihg")
    assert reply["status"] == "refused" and "did you mean 'high'?" in reply["error"]


def test_unplugged_and_plugged_in_again(lab):
    bus = lab.i2c({0x23: bh1750(lux=50)})
    sensor = lab.sensor("bh1750", interval=0.5, i2c=bus.name).start()
    sensor.wait_for_values(1)
    bus.unplug(0x23)
    reason = sensor.wait_for_fault("no answer")
    assert reason == (
        f"no answer from address 0x23 of I2C bus {bus.number} '{bus.name}': "
        "is the chip connected, and is that its address?")
    count = len(sensor.values)
    bus.plug(0x23)
    sensor.wait_for_status("online")
    assert all(value["illuminance_lux"] == 50 for value in sensor.wait_for_values(count + 1))


def test_the_whole_adapter_is_unplugged(lab):
    bus = lab.i2c({0x23: bh1750(lux=50)}, name=f"usb-{lab.id}")
    sensor = lab.sensor("bh1750", interval=0.5, i2c=bus.name).start()
    sensor.wait_for_values(1)
    bus.remove()
    sensor.wait_for_fault("there is no I2C bus", bus.name)
    # It has told of that before, if only for the time of an attempt.
    assert any("the bus is gone" in status.get("reason", "") for status in sensor.statuses)
    count = len(sensor.values)
    lab.i2c({0x23: bh1750(lux=60)}, name=bus.name)
    sensor.wait_for(illuminance_lux=60)
    assert len(sensor.values) > count


def test_two_drivers_on_one_bus(lab):
    bus = lab.i2c({0x23: bh1750(lux=100), 0x5C: bh1750(lux=200)})
    sensors = [
        lab.sensor("bh1750", interval=0.2, i2c=bus.name, i2c_address=address, resolution="low").start()
        for address in ("0x23", "0x5C")
    ]
    for sensor, lux in zip(sensors, (100, 200)):
        assert {value["illuminance_lux"] for value in sensor.wait_for_values(10)} == {lux}


# Wrong input: one clear message, a status `fault`, and no reading.


def faulty(lab, *words, **attributes):
    sensor = lab.sensor("bh1750", interval=0.5, **attributes).start()
    reason = sensor.wait_for_fault(*words)
    assert sensor.values == []
    return reason


def test_wrong_address(lab):
    bus = lab.i2c({0x5C: bh1750()})
    faulty(lab, "no answer from address 0x23", i2c=bus.name)


def test_another_chip(lab):
    # A port expander, which can have the same address: it says what was written to it last.
    emulator = Path(__file__).parent / "other_chip.py"
    bus = lab.i2c({0x23: Emulated(emulator, "Expander")})
    reason = faulty(lab, "is no BH1750", i2c=bus.name)
    assert "after a reset it says 0x07 0x07 instead of 0x00 0x00" in reason


def test_a_bus_that_hangs(lab):
    bus = lab.i2c({0x23: bh1750(lux=70, hangs=True)}, timeout_ms=300)
    faulty(lab, "the transfer did not end", "something holds the bus", i2c=bus.name)
    sensor = lab.sensors[-1]
    bus.set(0x23, hangs=False)
    sensor.wait_for(illuminance_lux=70)


def test_no_such_bus(lab):
    bus = lab.i2c({})
    reason = faulty(lab, "there is no I2C bus 4711", i2c=4711)
    assert f"{bus.number} '{bus.name}'" in reason


def test_no_permission(lab, guest):
    bus = lab.i2c({0x23: bh1750(lux=5)})
    # As Debian's udev does it with the group i2c, which a machine without I2C need not have.
    guest.run("chgrp", "dialout", bus.path)
    guest.run("chmod", "660", bus.path)
    nobody, dialout = 65_534, 20
    sensor = lab.sensor("bh1750", interval=0.5, i2c=bus.name).start(uid=nobody, groups=[])
    reason = sensor.wait_for_fault("no permission")
    assert reason == (
        f"no permission to open {bus.path}: group 'dialout' may; make 'nobody' a member "
        "(usermod -aG dialout nobody) and start anew")
    assert sensor.values == []
    sensor.stop()
    sensor.start(uid=nobody, groups=[dialout])
    sensor.wait_for_values(1)


def test_more_light_than_it_can_measure(lab):
    bus = lab.i2c({0x23: bh1750(lux=60_000)})
    faulty(lab, "there is more light than 54612 lux", i2c=bus.name)
    sensor = lab.sensors[-1]
    sensor.call("set_measurement_time", measurement_time=31)
    assert sensor.wait_for_values(1)[0]["illuminance_lux"] == pytest.approx(60_000, abs=2)


def test_an_adapter_that_knows_smbus_only(lab):
    bus = lab.i2c({0x23: bh1750(lux=5)}, smbus_only=True)
    faulty(lab, "SMBus transactions only", i2c=bus.name)


def test_wrong_configuration_ends_the_driver(lab):
    sensor = lab.sensor("bh1750", i2c=1, i2c_address="0x24")
    done = sensor.once()
    assert done.returncode == 78
    assert "i2c_address: 0x24 is no address that this chip can have: 0x23, 0x5C" in done.stderr
