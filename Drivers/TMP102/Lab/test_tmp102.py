from pathlib import Path

import pytest

from devices import Emulated, wait_until
from guest import GuestError

EMULATOR = Path(__file__).parent / "emulator.py"
LM75 = Path(__file__).parents[2] / "LM75" / "Lab" / "emulator.py"


def tmp102(**attributes):
    return Emulated(EMULATOR, "TMP102", **attributes)


def kernel_reads(guest, folder, celsius):
    """Waits for it: a conversion that began before the kernel's driver set the chip up is not yet in its format."""
    file = wait_until(lambda: guest.glob(f"{folder}/hwmon/hwmon*/temp1_input"), "the kernel's thermometer")[0]

    def reads_it():
        try:
            return int(guest.read(file)) / 1_000 == pytest.approx(celsius, abs=0.001)
        except GuestError:
            # EAGAIN until its first conversion is done.
            return False

    wait_until(reads_it, f"{celsius} °C from the kernel's driver")


@pytest.mark.parametrize("celsius", [21.4375, -10.0625, 140.0])
def test_reads_what_the_kernels_driver_reads(lab, guest, celsius):
    bus = lab.i2c({0x48: tmp102(celsius=celsius)})
    kernel_reads(guest, bus.bind("tmp102", 0x48), celsius)
    bus.unbind(0x48)
    sensor = lab.sensor("tmp102", interval=0.5, i2c=bus.name).start()
    assert {value["temperature_celsius"] for value in sensor.wait_for_values(2)} == {celsius}


def test_sees_changes_and_comes_back(lab):
    bus = lab.i2c({0x4B: tmp102(celsius=20)})
    sensor = lab.sensor("tmp102", interval=0.3, i2c=bus.number, i2c_address="0x4B").start()
    sensor.wait_for(temperature_celsius=20)
    bus.set(0x4B, celsius=20.25)
    sensor.wait_for(temperature_celsius=20.25)
    bus.unplug(0x4B)
    sensor.wait_for_fault("no answer from address 0x4B")
    # It has forgotten what it was set to.
    bus.call(0x4B, "power_up")
    bus.set(0x4B, celsius=-5)
    bus.plug(0x4B)
    sensor.wait_for(temperature_celsius=-5)
    assert {value["temperature_celsius"] for value in sensor.values} == {20, 20.25, -5}


def faulty(lab, *words, **attributes):
    sensor = lab.sensor("tmp102", interval=0.5, **attributes).start()
    reason = sensor.wait_for_fault(*words)
    assert sensor.values == []
    return reason


def test_another_chip(lab):
    bus = lab.i2c({0x48: Emulated(LM75, "LM75")})
    faulty(lab, "address 0x48 of I2C bus", "is no TMP102: its configuration is", i2c=bus.name)


def test_wrong_address(lab):
    bus = lab.i2c({0x49: tmp102()})
    faulty(lab, "no answer from address 0x48", i2c=bus.name)


def test_outside_of_its_range(lab):
    bus = lab.i2c({0x48: tmp102(celsius=200)})
    faulty(lab, "a temperature of 200.0 °C is outside of what the chip can measure, -55.0 to 150.0 °C", i2c=bus.name)
    bus.set(0x48, celsius=30)
    lab.sensors[-1].wait_for(temperature_celsius=30)
