"""An I2C bus of two GPIO lines, at the lines of guest/wires_lab.c, which lead to an emulated chip."""

from pathlib import Path

import pytest

from devices import Emulated

pytestmark = pytest.mark.gpio

FOLDER = Path(__file__).resolve().parents[2] / "Drivers/BH1750"
TYPE = FOLDER / "BH1750.type.json"
LINES = {
    "sda": {"chip": "lab-wires", "offset": 0}, "scl": {"chip": "lab-wires", "offset": 1}, "half_period_us": 1}


class Wires:
    def __init__(self, lab, guest):
        self.guest = guest
        self.bus = lab.i2c({0x23: Emulated(FOLDER / "Lab/emulator.py", "BH1750", lux=123.3)})
        guest.modprobe("wires_lab", f"adapter={self.bus.number}")

    def stretch(self, count):
        self.guest.write("/sys/module/wires_lab/parameters/stretch", str(count))

    def remove(self):
        self.guest.run("rmmod", "wires_lab")


@pytest.fixture
def wires(lab, guest):
    wires = Wires(lab, guest)
    lab.undo(wires.remove)
    return wires


def test_reads_over_two_lines_what_is_read_over_the_bus(lab, wires):
    over_lines = lab.sensor("bh1750", type=TYPE, i2c=LINES, measurement_time=100, resolution="high2").start()
    value = over_lines.wait_for_values(1)[0]["illuminance_lux"]
    assert value == pytest.approx(123.3, abs=0.3)
    # Each command in a message of its own: power on, reset, two parts of the measurement time, measure.
    commands = [command for command in wires.bus.get(0x23, "commands")]
    assert commands == [0x01, 0x07, 0b01000_011, 0b011_00100, 0x21]
    over_lines.stop()
    over_bus = lab.sensor("bh1750", type=TYPE, i2c=wires.bus.number, measurement_time=100, resolution="high2").start()
    assert over_bus.wait_for_values(1)[0]["illuminance_lux"] == value


def test_a_chip_may_stretch_the_clock(lab, wires):
    wires.stretch(5)
    sensor = lab.sensor("bh1750", type=TYPE, interval=0.5, i2c={**LINES, "timeout_ms": 1_000}).start()
    assert sensor.wait_for_values(1)[0]["illuminance_lux"] == pytest.approx(123.3, abs=0.5)
    wires.stretch(-1)
    sensor.wait_for_fault("the clock line is held low", "something holds the bus")


def test_nobody_at_the_address(lab, wires):
    sensor = lab.sensor("bh1750", type=TYPE, interval=0.5, i2c=LINES, i2c_address="0x5C").start()
    reason = sensor.wait_for_fault("no answer")
    assert reason.startswith("no answer from address 0x5C of I2C bus at lines 0 of 'lab-wires' and 1 of 'lab-wires'")
    assert sensor.values == []


def test_a_line_of_it_in_use(lab, wires):
    lab.spawn("gpioset", "--mode=signal", "lab-wires", "1=1")
    sensor = lab.sensor("bh1750", type=TYPE, i2c=LINES).start()
    sensor.wait_for_fault("line 1 of", "'lab-wires' is in use by 'gpioset'")
    assert sensor.values == []
