from pathlib import Path

import pytest

from devices import Emulated, wait_until
from guest import GuestError

EMULATOR = Path(__file__).parent / "emulator.py"
TMP102 = Path(__file__).parents[2] / "TMP102" / "Lab" / "emulator.py"


def kernel_reads(guest, folder, celsius):
    """Waits for it: a conversion that began before the kernel's driver set the chip up has fewer bits."""
    file = wait_until(lambda: guest.glob(f"{folder}/hwmon/hwmon*/temp1_input"), "the kernel's thermometer")[0]

    def reads_it():
        try:
            return int(guest.read(file)) / 1_000 == pytest.approx(celsius, abs=0.001)
        except GuestError:
            return False

    wait_until(reads_it, f"{celsius} °C from the kernel's driver")


@pytest.mark.parametrize("chip, cls, celsius", [
    ("lm75", "LM75", 21.5), ("lm75", "LM75", -10.5), ("lm75b", "LM75B", 21.375), ("lm75b", "LM75B", -0.125),
    ("tmp75", "TMP75", 21.4375), ("tmp75", "TMP75", -25.0625),
])
def test_reads_what_the_kernels_driver_reads(lab, guest, chip, cls, celsius):
    bus = lab.i2c({0x48: Emulated(EMULATOR, cls, celsius=celsius)})
    kernel_reads(guest, bus.bind(chip, 0x48, module="lm75"), celsius)
    bus.unbind(0x48)
    sensor = lab.sensor("lm75", interval=0.5, i2c=bus.name, chip=chip).start()
    assert {value["temperature_celsius"] for value in sensor.wait_for_values(2)} == {celsius}


def test_sees_changes_and_comes_back(lab):
    bus = lab.i2c({0x4F: Emulated(EMULATOR, "TMP75", celsius=20)})
    sensor = lab.sensor("lm75", interval=0.3, i2c=bus.number, i2c_address="0x4F", chip="tmp75").start()
    sensor.wait_for(temperature_celsius=20)
    bus.set(0x4F, celsius=20.25)
    sensor.wait_for(temperature_celsius=20.25)
    # Without power for a moment.
    bus.call(0x4F, "power_up")
    bus.set(0x4F, celsius=20.4375)
    sensor.wait_for(temperature_celsius=20.4375)
    bus.unplug(0x4F)
    sensor.wait_for_fault("no answer from address 0x4F")
    bus.call(0x4F, "power_up")
    bus.set(0x4F, celsius=-5.0625)
    bus.plug(0x4F)
    sensor.wait_for(temperature_celsius=-5.0625)
    # Never what the register has before the first conversion.
    assert {value["temperature_celsius"] for value in sensor.values} == {20, 20.25, 20.4375, -5.0625}


def faulty(lab, *words, **attributes):
    sensor = lab.sensor("lm75", interval=0.5, **attributes).start()
    reason = sensor.wait_for_fault(*words)
    assert sensor.values == []
    return reason


def test_another_chip(lab):
    bus = lab.i2c({0x48: Emulated(TMP102, "TMP102")})
    faulty(lab, "address 0x48 of I2C bus", "is no lm75: its configuration is", i2c=bus.name)


def test_wrong_address(lab):
    bus = lab.i2c({0x49: Emulated(EMULATOR, "LM75")})
    faulty(lab, "no answer from address 0x48", i2c=bus.name)


def test_outside_of_its_range(lab):
    bus = lab.i2c({0x48: Emulated(EMULATOR, "LM75", celsius=127.5)})
    faulty(lab, "a temperature of 127.5 °C is outside of what the chip can measure, -55.0 to 125.0 °C", i2c=bus.name)
    bus.set(0x48, celsius=30)
    lab.sensors[-1].wait_for(temperature_celsius=30)


def test_wrong_configuration_ends_the_driver(lab):
    done = lab.sensor("lm75", i2c=1, chip="lm76").once()
    assert done.returncode == 78
    assert "chip: 'lm76' is none of lm75, lm75b, tmp75" in done.stderr
