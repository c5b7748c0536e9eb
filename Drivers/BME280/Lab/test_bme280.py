import json
from pathlib import Path

import pytest

from devices import Emulated, wait_until
from guest import GuestError

HERE = Path(__file__).parent
EMULATOR = HERE / "emulator.py"
BMP085 = HERE.parents[1] / "BMP085" / "Lab" / "emulator.py"


def bme280(**attributes):
    return Emulated(EMULATOR, "BME280", **attributes)


def kernel_values(guest, folder, *names):
    device = wait_until(lambda: guest.glob(f"{folder}/iio:device*"), "the kernel's device")[0]

    def read():
        try:
            return [float(guest.read(f"{device}/in_{name}_input")) for name in names]
        except GuestError:
            # EIO until the first measurement is done.
            return []

    return wait_until(read, "the kernel's values")


@pytest.mark.parametrize("temperature, pressure, humidity", [
    (519_888, 415_148, 28_160), (449_024, 370_000, 34_000), (560_000, 500_000, 21_000),
])
def test_reads_what_the_kernels_driver_reads(lab, guest, temperature, pressure, humidity):
    bus = lab.i2c({0x76: bme280(temperature=temperature, pressure=pressure, humidity=humidity)})
    folder = bus.bind("bme280", 0x76, module="bmp280-i2c")
    celsius, kilopascals, percent = kernel_values(guest, folder, "temp", "pressure", "humidityrelative")
    bus.unbind(0x76)
    bus.call(0x76, "power_up")
    # The kernel measures with 2, 16 and 16 samples; more of them mean more bits.
    sensor = lab.sensor("bme280", interval=0.5, i2c=bus.name, oversampling=16).start()
    value = sensor.wait_for_values(2)[0]
    # The kernel works with the data sheet's whole numbers: hundredths of a degree, 1/256 Pa, 1/1024 %.
    assert value["temperature_celsius"] == pytest.approx(celsius / 1_000, abs=0.02)
    assert value["pressure_pascals"] == pytest.approx(kilopascals * 1_000, abs=1)
    assert value["humidity_percent"] == pytest.approx(percent / 1_000, abs=0.05)


def test_the_example_of_the_data_sheet(lab):
    bus = lab.i2c({0x77: Emulated(EMULATOR, "BMP280")})
    sensor = lab.sensor("bme280", interval=0.3, i2c=bus.number, i2c_address="0x77", oversampling=16).start()
    value = sensor.wait_for_values(1)[0]
    # BMP280, "Calculating pressure and temperature".
    assert value["temperature_celsius"] == pytest.approx(25.08, abs=0.005)
    assert value["pressure_pascals"] == pytest.approx(100_653.27, abs=0.02)
    assert "humidity_percent" not in value
    assert "is a BMP280, which measures no humidity" in sensor.log


def test_a_type_without_pressure(lab, tmp_path):
    file = tmp_path / "thermometer.type.json"
    file.write_text(json.dumps({"sensor_type_list": [
        {"name": "thermometer", "sensor_data_structure": {"temperature_celsius": "float"}}]}))
    bus = lab.i2c({0x76: bme280()})
    sensor = lab.sensor("bme280", interval=0.3, type=file, i2c=bus.name).start()
    assert list(sensor.wait_for_values(1)[0]) == ["temperature_celsius"]


def test_is_controlled(lab):
    bus = lab.i2c({0x76: bme280()})
    sensor = lab.sensor("bme280", interval=60, i2c=bus.name).start()
    sensor.wait_for_values(1)
    assert bus.get(0x76, "control") == 0b001_001_00 and bus.get(0x76, "configuration") == 0
    assert sensor.call("set_oversampling", oversampling=16)["status"] == "done"
    assert sensor.call("set_filter", filter=4)["status"] == "done"
    sensor.wait_for_values(3)
    assert bus.get(0x76, "control") == 0b101_101_00 and bus.get(0x76, "control_humidity") == 0b101
    assert bus.get(0x76, "configuration") == 0b010_00
    reply = sensor.call("set_oversampling", oversampling=3)
    assert reply["status"] == "refused" and "3 is none of 1, 2, 4, 8, 16" in reply["error"]
    reply = sensor.call("set_filter", filter=1)
    assert reply["status"] == "refused" and "1 is none of 0, 2, 4, 8, 16" in reply["error"]


def test_unplugged_and_another_one_plugged_in(lab):
    bus = lab.i2c({0x76: bme280()})
    sensor = lab.sensor("bme280", interval=0.3, i2c=bus.name, oversampling=16).start()
    sensor.wait_for_values(1)
    bus.unplug(0x76)
    sensor.wait_for_fault("no answer from address 0x76")
    count = len(sensor.values)
    bus.call(0x76, "power_up")
    # Another chip has another calibration.
    bus.set(0x76, calibration=[27000, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000])
    bus.plug(0x76)
    assert all(value["temperature_celsius"] > 27 for value in sensor.wait_for_values(count + 2)[count:])


def faulty(lab, *words, **attributes):
    sensor = lab.sensor("bme280", interval=0.5, **attributes).start()
    reason = sensor.wait_for_fault(*words)
    assert sensor.values == []
    return reason


def test_another_chip(lab):
    bus = lab.i2c({0x77: Emulated(BMP085, "BMP180")})
    faulty(
        lab, "is no BME280 or BMP280: its id is 0x55 instead of 0x60 or 0x58", "driver 'bmp085'", i2c=bus.name,
        i2c_address="0x77")


def test_wrong_address(lab):
    bus = lab.i2c({0x77: bme280()})
    faulty(lab, "no answer from address 0x76", i2c=bus.name)


def test_outside_of_its_range(lab):
    bus = lab.i2c({0x76: bme280(temperature=800_000)})
    faulty(lab, "a temperature of", "is outside of what the chip can measure, -40.0 to 85.0 °C", i2c=bus.name)
    bus.set(0x76, temperature=519_888, pressure=100_000)
    sensor = lab.sensors[-1]
    sensor.wait_for_fault("a pressure of", "30000.0 to 110000.0 Pa")
    assert sensor.values == []
    bus.set(0x76, pressure=415_148)
    sensor.wait_for_status("online")


def test_a_measurement_that_does_not_end(lab):
    bus = lab.i2c({0x76: bme280(is_stuck=True)})
    faulty(lab, "the measurement did not end in time", i2c=bus.name)


def test_an_empty_calibration(lab):
    bus = lab.i2c({0x76: bme280(calibration=[0] * 12)})
    faulty(lab, "the calibration that the chip has stored cannot be", i2c=bus.name)


def test_detect_says_which_of_the_chips_it_is(lab, guest):
    """At 0x76 and 0x77, BME280 and BMP180 are told apart by the register 0xD0, unless nobody is to be asked."""
    bus = lab.i2c({0x76: bme280(), 0x77: Emulated(BMP085, "BMP085")})

    def chips(*options):
        found = json.loads(guest.run(lab.program, "--detect", "--bus", str(bus.number), *options).stdout)
        return {chip["address"]: (chip["drivers"], chip["identified"]) for chip in found["i2c"][0]["chips"]}

    assert chips() == {"0x76": (["bme280"], True), "0x77": (["bmp085"], True)}
    assert chips("--no-identify") == {"0x76": (["bme280"], False), "0x77": (["bme280", "bmp085"], False)}
