from pathlib import Path

import pytest

from devices import Emulated, wait_until

HERE = Path(__file__).parent
EMULATOR = HERE / "emulator.py"
INA219 = HERE.parents[1] / "INA219" / "Lab" / "emulator.py"


def sht31(**attributes):
    return Emulated(EMULATOR, "SHT31", **attributes)


@pytest.mark.parametrize("celsius, percent", [(21.3, 45.6), (-39.5, 2), (124, 99)])
def test_reads_what_the_kernels_driver_reads(lab, guest, celsius, percent):
    bus = lab.i2c({0x44: sht31(celsius=celsius, percent=percent)})
    folder = bus.bind("sht3x", 0x44)
    hwmon = wait_until(lambda: guest.glob(f"{folder}/hwmon/hwmon*"), "the kernel's device")[0]
    kernel = [int(guest.read(f"{hwmon}/{name}_input")) / 1_000 for name in ("temp1", "humidity1")]
    bus.unbind(0x44)
    sensor = lab.sensor("sht31", interval=0.5, i2c=bus.name).start()
    value = sensor.wait_for_values(2)[0]
    # The kernel divides by 65536 and cuts thousandths off.
    assert value["temperature_celsius"] == pytest.approx(kernel[0], abs=0.005)
    assert value["humidity_percent"] == pytest.approx(kernel[1], abs=0.005)
    assert value["temperature_celsius"] == pytest.approx(celsius, abs=0.002)
    assert value["humidity_percent"] == pytest.approx(percent, abs=0.001)
    assert value["heater"] is False


@pytest.mark.parametrize("repeatability, command", [("high", 0x2400), ("medium", 0x240B), ("low", 0x2416)])
def test_repeatability(lab, repeatability, command):
    bus = lab.i2c({0x45: sht31()})
    sensor = lab.sensor("sht31", interval=60, i2c=bus.number, i2c_address="0x45", repeatability=repeatability).start()
    assert sensor.wait_for_values(1)[0]["temperature_celsius"] == pytest.approx(20, abs=0.002)
    assert bus.get(0x45, "commands") == [0x3093, 0x3066, 0xF32D, command, 0xF32D]


def test_is_controlled(lab):
    bus = lab.i2c({0x44: sht31()})
    sensor = lab.sensor("sht31", interval=60, i2c=bus.name).start()
    sensor.wait_for_values(1)
    assert sensor.call("set_repeatability", repeatability="low")["status"] == "done"
    sensor.wait_for_values(2)
    assert 0x2416 in bus.get(0x44, "commands")
    reply = sensor.call("set_repeatability", repeatability="lov")
    assert reply["status"] == "refused" and "did you mean 'low'?" in reply["error"]
    assert sensor.call("set_heater", on=True)["status"] == "done"
    sensor.wait_for(heater=True)
    assert bus.get(0x44, "status") & 0x2000
    # It does not go on heating with nobody in charge.
    assert sensor.stop() == 0
    assert not bus.get(0x44, "status") & 0x2000


def test_without_power_for_a_moment(lab):
    bus = lab.i2c({0x44: sht31()})
    sensor = lab.sensor("sht31", interval=0.5, i2c=bus.name).start()
    sensor.wait_for_values(1)
    assert sensor.call("set_heater", on=True)["status"] == "done"
    sensor.wait_for(heater=True)
    bus.call(0x44, "power_up")
    sensor.wait_for_fault("the heater is off and was switched on")
    count = len(sensor.values)
    sensor.wait_for_status("online")
    assert all(value["heater"] for value in sensor.wait_for_values(count + 1)[count:])


def test_unplugged_and_plugged_in_again(lab):
    bus = lab.i2c({0x44: sht31(celsius=30)})
    sensor = lab.sensor("sht31", interval=0.3, i2c=bus.name).start()
    sensor.wait_for_values(1)
    bus.unplug(0x44)
    sensor.wait_for_fault("no answer from address 0x44")
    count = len(sensor.values)
    bus.call(0x44, "power_up")
    bus.plug(0x44)
    sensor.wait_for_values(count + 1)


def faulty(lab, *words, **attributes):
    sensor = lab.sensor("sht31", interval=0.5, **attributes).start()
    reason = sensor.wait_for_fault(*words)
    assert sensor.values == []
    return reason


def test_another_chip(lab):
    # It can have the same address.
    bus = lab.i2c({0x44: Emulated(INA219, "INA219")})
    faulty(lab, "has a wrong checksum", "or it is no SHT31", i2c=bus.name)


def test_disturbed_wires(lab):
    bus = lab.i2c({0x44: sht31(is_disturbed=True)})
    faulty(lab, "has a wrong checksum: the wires are disturbed", i2c=bus.name)
    bus.set(0x44, is_disturbed=False)
    lab.sensors[-1].wait_for_status("online")


def test_wrong_address(lab):
    bus = lab.i2c({0x45: sht31()})
    faulty(lab, "no answer from address 0x44", i2c=bus.name)


def test_outside_of_its_range(lab):
    bus = lab.i2c({0x44: sht31(celsius=129)})
    faulty(lab, "a temperature of 129.0 °C is outside of what the chip can measure, -40.0 to 125.0 °C", i2c=bus.name)
