from pathlib import Path

import pytest

from devices import Emulated, wait_until

HERE = Path(__file__).parent
EMULATOR = HERE / "emulator.py"
SHT31 = HERE.parents[1] / "SHT31" / "Lab" / "emulator.py"


def ina219(**attributes):
    return Emulated(EMULATOR, "INA219", **attributes)


@pytest.mark.parametrize("bus_volts, millivolts", [(11.98, 20.0), (5.0, -3.21), (0.5, 100.0)])
def test_reads_what_the_kernels_driver_reads(lab, guest, bus_volts, millivolts):
    bus = lab.i2c({0x40: ina219(bus_volts=bus_volts, millivolts=millivolts)})
    folder = bus.bind("ina219", 0x40, module="ina2xx-adc")
    device = wait_until(lambda: guest.glob(f"{folder}/iio:device*"), "the kernel's device")[0]

    def kernel(name):
        return float(guest.read(f"{device}/{name}_raw")) * float(guest.read(f"{device}/{name}_scale"))

    # Millivolts, milliamperes, milliwatts; at first it takes the shunt for 10 mΩ.
    wait_until(lambda: kernel("in_voltage1"), "its first measurement")
    values = {name: kernel(name) / 1_000 for name in ("in_voltage0", "in_voltage1", "in_current3", "in_power2")}
    bus.unbind(0x40)
    sensor = lab.sensor("ina219", interval=0.5, i2c=bus.name, shunt_ohms=0.01).start()
    value = sensor.wait_for_values(2)[0]
    assert value["shunt_voltage_volts"] == pytest.approx(values["in_voltage0"], abs=1e-6)
    assert value["shunt_voltage_volts"] == pytest.approx(millivolts / 1_000, abs=1e-6)
    # Of the bus the kernel's driver hands out the register, where its lower three bits are flags.
    assert value["bus_voltage_volts"] == pytest.approx(values["in_voltage1"], abs=0.004)
    assert value["bus_voltage_volts"] == pytest.approx(bus_volts, abs=0.002)
    # The chip rounds both to whole steps: 1 mA, and 20 mW without a sign.
    assert value["current_amperes"] == pytest.approx(values["in_current3"], abs=0.001)
    assert abs(value["power_watts"]) == pytest.approx(values["in_power2"], abs=0.021)


def test_is_controlled(lab):
    bus = lab.i2c({0x4F: ina219(millivolts=79)})
    sensor = lab.sensor("ina219", interval=60, i2c=bus.number, i2c_address="0x4F").start()
    assert sensor.wait_for_values(1)[0]["current_amperes"] == pytest.approx(0.79)
    assert sensor.call("set_samples", samples=128)["status"] == "done"
    assert sensor.call("set_shunt_range", shunt_range_mv=80)["status"] == "done"
    sensor.wait_for_values(3)
    assert bus.get(0x4F, "configuration") == 0b0010_1111_1111_1011
    reply = sensor.call("set_shunt_range", shunt_range_mv=81)
    assert reply["status"] == "refused" and "81 is none of 40, 80, 160, 320" in reply["error"]
    # Less than there is.
    assert sensor.call("set_shunt_range", shunt_range_mv=40)["status"] == "done"
    sensor.wait_for_fault("there is 40 mV or more at the shunt", "a greater shunt_range_mv measures more")


def test_unplugged_and_plugged_in_again(lab):
    bus = lab.i2c({0x40: ina219()})
    sensor = lab.sensor("ina219", interval=0.3, i2c=bus.name).start()
    sensor.wait_for_values(1)
    bus.unplug(0x40)
    sensor.wait_for_fault("no answer from address 0x40")
    count = len(sensor.values)
    bus.call(0x40, "power_up")
    bus.plug(0x40)
    value = sensor.wait_for_values(count + 1)[-1]
    assert value["power_watts"] == pytest.approx(1.2)


def faulty(lab, *words, **attributes):
    sensor = lab.sensor("ina219", interval=0.5, **attributes).start()
    reason = sensor.wait_for_fault(*words)
    assert sensor.values == []
    return reason


def test_another_chip(lab):
    # It has nothing to say before it is told a command that it knows, and so does not answer.
    bus = lab.i2c({0x44: Emulated(SHT31, "SHT31")})
    faulty(lab, "no answer from address 0x44", i2c=bus.name, i2c_address="0x44")
    # A thermometer at the same address, with registers of the same kind.
    tmp102 = HERE.parents[1] / "TMP102" / "Lab" / "emulator.py"
    bus = lab.i2c({0x48: Emulated(tmp102, "TMP102")})
    faulty(lab, "is no INA219: after a reset its configuration is", i2c=bus.name, i2c_address="0x48")


def test_wrong_address(lab):
    bus = lab.i2c({0x41: ina219()})
    faulty(lab, "no answer from address 0x40", i2c=bus.name)


def test_more_than_the_chip_can_bear(lab):
    bus = lab.i2c({0x40: ina219(bus_volts=30)})
    faulty(lab, "a bus voltage of 30.0 V is outside of what the chip can measure, 0.0 to 26.0 V", i2c=bus.name)
    bus.set(0x40, bus_volts=12, millivolts=400)
    sensor = lab.sensors[-1]
    sensor.wait_for_fault("there is 320 mV or more at the shunt, 3.2 A with the shunt_ohms given")
    assert sensor.values == []
    bus.set(0x40, millivolts=100)
    sensor.wait_for_status("online")
