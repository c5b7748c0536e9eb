from pathlib import Path

import pytest

from devices import Emulated, wait_until

EMULATOR = Path(__file__).parent / "emulator.py"
# As the kernel writes the serial number, last byte first.
NUMBER = "28-f6e5d4c3b2a1"
FOLDER = f"/sys/bus/w1/devices/{NUMBER}"
MASTER = 0x18


@pytest.fixture
def wire(lab, guest):
    """A real 1-wire bus of the kernel's, behind an emulated master at I2C."""
    guest.modprobe("w1_therm")
    bus = lab.i2c({MASTER: Emulated(EMULATOR, "DS2482")})
    bus.bind("ds2482", MASTER)
    lab.undo(lambda: bus.unbind(MASTER))
    # The kernel looks for chips every ten seconds.
    wait_until(lambda: guest.glob(f"{FOLDER}/w1_slave"), "the thermometer", timeout=60)
    return bus


def test_reads_what_the_kernels_driver_reads(lab, guest, wire):
    for celsius in (23.0625, -10.125, 125, -55):
        wire.call(MASTER, "warm", celsius)
        kernel = int(guest.read(f"{FOLDER}/temperature")) / 1_000
        assert kernel == pytest.approx(celsius, abs=0.001)
        sensor = lab.sensor("ds18b20", interval=1, device=NUMBER).start()
        assert sensor.wait_for_values(1)[0]["temperature_celsius"] == celsius
        sensor.stop()


def test_resolution(lab, guest, wire):
    wire.call(MASTER, "warm", 20.9375)
    sensor = lab.sensor("ds18b20", interval=1, resolution=9).start()
    assert sensor.wait_for_values(1)[0]["temperature_celsius"] == 20.5
    assert wire.call(MASTER, "resolution") == 9
    assert sensor.call("set_resolution", resolution=11)["status"] == "done"
    sensor.wait_for(temperature_celsius=20.875)
    reply = sensor.call("set_resolution", resolution=13)
    assert reply["status"] == "refused" and "must be from 9 to 12, is 13" in reply["error"]


# Wrong input: one clear message, a status `fault`, and no reading.


def test_what_it_says_without_power_is_no_temperature(lab, wire):
    wire.call(MASTER, "starve", True)
    sensor = lab.sensor("ds18b20", interval=1).start()
    sensor.wait_for_fault(f"{NUMBER} says 85.0 °C", "power")
    assert sensor.values == []
    wire.call(MASTER, "starve", False)
    sensor.wait_for(temperature_celsius=20)


def test_a_bad_cable(lab, wire):
    wire.call(MASTER, "make_noise", True)
    sensor = lab.sensor("ds18b20", interval=1).start()
    sensor.wait_for_fault(NUMBER)
    assert sensor.values == []


def test_unplugged_and_plugged_in_again(lab, wire):
    sensor = lab.sensor("ds18b20", interval=1, device=NUMBER).start()
    sensor.wait_for_values(1)
    wire.set(MASTER, is_connected=False)
    sensor.wait_for_status("fault")
    count = len(sensor.values)
    wire.set(MASTER, is_connected=True)
    sensor.wait_for_status("online")
    assert all(value["temperature_celsius"] == 20 for value in sensor.wait_for_values(count + 1))


def test_another_one(lab, wire):
    sensor = lab.sensor("ds18b20", interval=1, device="28-0316a2795cff").start()
    sensor.wait_for_fault("there is no 1-wire device '28-0316a2795cff'", NUMBER)
    assert sensor.values == []


def test_no_bus(lab):
    sensor = lab.sensor("ds18b20", interval=1).start()
    sensor.wait_for_fault("there is no DS18B20 at a 1-wire bus")
    assert sensor.values == []


@pytest.mark.parametrize("attributes, reason", [
    ({"device": "10-000802b4a1c2"}, "device: a chip of family 10 is no DS18B20"),
    ({"device": "28-1"}, "device: '28-1' is no number of a chip"),
    ({"resolution": 8}, "resolution: must be from 9 to 12, is 8"),
])
def test_wrong_configuration_ends_the_driver(lab, attributes, reason):
    done = lab.sensor("ds18b20", **attributes).once()
    assert done.returncode == 78
    assert reason in done.stderr
