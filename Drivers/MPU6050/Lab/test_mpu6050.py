from pathlib import Path

import pytest

from devices import Emulated

# Linux 6.1 has a driver for it, which wants an interrupt line that only a device tree can give it: no second opinion.
EMULATOR = Path(__file__).parent / "emulator.py"


def mpu6050(**attributes):
    return Emulated(EMULATOR, "MPU6050", **attributes)


def close(values, celsius=25.0, **expected):
    assert values["temperature_celsius"] == pytest.approx(celsius, abs=0.01)
    for name, value in expected.items():
        for axis, number in zip("xyz", value):
            unit = "g" if name == "acceleration" else "dps"
            assert values[f"{name}_{axis}_{unit}"] == pytest.approx(number, abs=0.05 if unit == "dps" else 0.001)


def test_reads(lab):
    acceleration, rotation = [0.25, -1.5, 0.98], [12.5, -200.0, 0.5]
    bus = lab.i2c({0x68: mpu6050(acceleration=acceleration, rotation=rotation, celsius=41.7)})
    sensor = lab.sensor("mpu6050", interval=0.5, i2c=bus.name).start()
    close(sensor.wait_for_values(2)[0], 41.7, acceleration=acceleration, rotation=rotation)
    assert sensor.stop() == 0


def test_ranges(lab):
    bus = lab.i2c({0x69: mpu6050(acceleration=[1.0, 0.0, 0.0], rotation=[100.0, 0.0, 0.0])})
    sensor = lab.sensor("mpu6050", interval=60, i2c=bus.name, i2c_address="0x69", acceleration_range_g=4).start()
    sensor.wait_for_values(1)
    count = 1
    for g, dps in ((8, 500), (16, 1_000), (2, 2_000), (4, 250)):
        assert sensor.call("set_acceleration_range", g=g)["status"] == "done"
        assert sensor.call("set_rotation_range", dps=dps)["status"] == "done"
        count += 2
        close(sensor.wait_for_values(count)[-1], acceleration=[1, 0, 0], rotation=[100, 0, 0])
    assert sensor.call("set_bandwidth", hz=5)["status"] == "done"
    sensor.wait_for_values(count + 1)
    assert bus.call(0x69, "read_register", 0x1A) == 6
    for function, parameters, error in [
        ("set_acceleration_range", {"g": 3}, "g: 3 is none of 2, 4, 8, 16"),
        ("set_rotation_range", {"dps": 300}, "dps: 300 is none of 250, 500, 1000, 2000"),
        ("set_bandwidth", {"hz": 1}, "hz: 1 is none of 260"),
    ]:
        reply = sensor.call(function, **parameters)
        assert reply["status"] == "refused" and error in reply["error"]


def test_power_that_was_gone_comes_back(lab):
    bus = lab.i2c({0x68: mpu6050()})
    sensor = lab.sensor("mpu6050", interval=0.4, i2c=bus.name, acceleration_range_g=8).start()
    sensor.wait_for_values(1)
    bus.call(0x68, "reset")
    for value in sensor.wait_for_values(len(sensor.values) + 3):
        close(value, acceleration=[0, 0, 1])


# Wrong input: one clear message, a status `fault`, and no reading.


def faulty(lab, *words, **attributes):
    sensor = lab.sensor("mpu6050", interval=0.5, **attributes).start()
    sensor.wait_for_fault(*words)
    assert sensor.values == []
    return sensor


def test_wrong_address(lab):
    bus = lab.i2c({0x68: mpu6050()})
    faulty(lab, "no answer from address 0x69", i2c=bus.name, i2c_address="0x69")


def test_another_chip(lab):
    # An MPU-6500's.
    bus = lab.i2c({0x68: mpu6050(id=0x70)})
    faulty(lab, "is no MPU-6050: WHO_AM_I says 0x70 instead of 0x68", i2c=bus.name)


def test_more_than_the_range(lab):
    bus = lab.i2c({0x68: mpu6050(acceleration=[0.0, 3.0, 0.0])})
    sensor = faulty(lab, "there is an acceleration along y of 2 g or more", i2c=bus.name)
    sensor.call("set_acceleration_range", g=4)
    close(sensor.wait_for_values(1)[0], acceleration=[0, 3, 0])


def test_a_temperature_that_cannot_be(lab):
    bus = lab.i2c({0x68: mpu6050(celsius=120.0)})
    faulty(lab, "a temperature of 120.0 °C is outside", i2c=bus.name)


@pytest.mark.parametrize("attributes, message", [
    ({"i2c_address": "0x67"}, "i2c_address: 0x67 is no address that this chip can have"),
    ({"acceleration_range_g": 6}, "acceleration_range_g: 6 is none of 2, 4, 8, 16"),
    ({"bandwidth_hz": 100}, "bandwidth_hz: 100 is none of"),
])
def test_wrong_configuration_ends_the_driver(lab, attributes, message):
    done = lab.sensor("mpu6050", i2c=1, **attributes).once()
    assert done.returncode == 78 and message in done.stderr
