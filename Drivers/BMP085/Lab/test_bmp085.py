from pathlib import Path

import pytest

from devices import Emulated, wait_until

HERE = Path(__file__).parent
EMULATOR = HERE / "emulator.py"
BME280 = HERE.parents[1] / "BME280" / "Lab" / "emulator.py"


def bmp180(**attributes):
    return Emulated(EMULATOR, "BMP180", **attributes)


@pytest.mark.parametrize("name", ["BMP180", "BMP085"])
@pytest.mark.parametrize("temperature, pressure", [(27_898, 23_843), (25_000, 30_000), (31_000, 34_000)])
def test_reads_what_the_kernels_driver_reads(lab, guest, name, temperature, pressure):
    bus = lab.i2c({0x77: Emulated(EMULATOR, name, temperature=temperature, pressure=pressure)})
    folder = bus.bind("bmp180", 0x77, module="bmp280-i2c")
    device = wait_until(lambda: guest.glob(f"{folder}/iio:device*"), "the kernel's device")[0]
    # Thousandths of a degree, and kPa.
    kernel = [float(guest.read(f"{device}/in_{quantity}_input")) for quantity in ("temp", "pressure")]
    bus.unbind(0x77)
    # The kernel measures the pressure with 8 samples.
    sensor = lab.sensor("bmp085", interval=0.5, i2c=bus.name, oversampling=8).start()
    value = sensor.wait_for_values(2)[0]
    assert value["temperature_celsius"] == pytest.approx(kernel[0] / 1_000)
    assert value["pressure_pascals"] == pytest.approx(kernel[1] * 1_000)


def test_the_example_of_the_data_sheet(lab):
    bus = lab.i2c({0x77: bmp180()})
    sensor = lab.sensor("bmp085", interval=0.3, i2c=bus.number).start()
    assert sensor.wait_for_values(1)[0] == {"temperature_celsius": 15, "pressure_pascals": 69_964}


def test_is_controlled(lab):
    bus = lab.i2c({0x77: bmp180()})
    sensor = lab.sensor("bmp085", interval=60, i2c=bus.name).start()
    sensor.wait_for_values(1)
    assert bus.get(0x77, "control") == 0x14
    assert sensor.call("set_oversampling", oversampling=8)["status"] == "done"
    assert sensor.wait_for_values(2)[1]["pressure_pascals"] == pytest.approx(69_964, abs=5)
    assert bus.get(0x77, "control") == 0xD4
    reply = sensor.call("set_oversampling", oversampling=16)
    assert reply["status"] == "refused" and "16 is none of 1, 2, 4, 8" in reply["error"]


def test_unplugged_and_another_one_plugged_in(lab):
    bus = lab.i2c({0x77: bmp180()})
    sensor = lab.sensor("bmp085", interval=0.3, i2c=bus.name).start()
    sensor.wait_for_values(1)
    bus.unplug(0x77)
    sensor.wait_for_fault("no answer from address 0x77")
    count = len(sensor.values)
    bus.call(0x77, "power_up")
    # Another chip has another calibration.
    bus.set(0x77, calibration=[408, -72, -14_383, 32_741, 32_757, 22_153, 6_190, 4, -32_768, -8_711, 2_868])
    bus.plug(0x77)
    assert all(value["temperature_celsius"] > 20 for value in sensor.wait_for_values(count + 2)[count:])


def faulty(lab, *words, **attributes):
    sensor = lab.sensor("bmp085", interval=0.5, **attributes).start()
    reason = sensor.wait_for_fault(*words)
    assert sensor.values == []
    return reason


def test_another_chip(lab):
    bus = lab.i2c({0x77: Emulated(BME280, "BMP280")})
    faulty(lab, "is no BMP180 or BMP085: its id is 0x58 instead of 0x55", "driver 'bme280'", i2c=bus.name)


def test_nobody_there(lab):
    bus = lab.i2c({0x76: bmp180()})
    faulty(lab, "no answer from address 0x77", i2c=bus.name)


def test_outside_of_its_range(lab):
    bus = lab.i2c({0x77: bmp180(temperature=60_000)})
    faulty(lab, "a temperature of", "is outside of what the chip can measure, -40.0 to 85.0 °C", i2c=bus.name)
    bus.set(0x77, temperature=27_898, pressure=60_000)
    sensor = lab.sensors[-1]
    sensor.wait_for_fault("a pressure of", "30000.0 to 110000.0 Pa")
    assert sensor.values == []
    bus.set(0x77, pressure=23_843)
    sensor.wait_for_status("online")


def test_a_measurement_that_does_not_end(lab):
    bus = lab.i2c({0x77: bmp180(is_stuck=True)})
    faulty(lab, "the measurement did not end in time", i2c=bus.name)


def test_an_empty_calibration(lab):
    bus = lab.i2c({0x77: bmp180(calibration=[-1] * 11)})
    faulty(lab, "the calibration that the chip has stored cannot be", i2c=bus.name)
