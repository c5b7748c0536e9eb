"""`sensor-driver --detect`."""

import json
from pathlib import Path

import pytest

from devices import Emulated

pytestmark = pytest.mark.gpio

BH1750 = Emulated(Path(__file__).resolve().parents[2] / "Drivers/BH1750/Lab/emulator.py", "BH1750")


def test_tells_of_lines_buses_and_chips(lab, guest):
    bus = lab.i2c({0x23: BH1750, 0x5C: BH1750, 0x50: BH1750})
    bus.bind("bh1750", 0x5C)
    chip = lab.gpio({0: "DOOR", 2: "LAMP"})
    lab.spawn("gpioset", "--mode=signal", chip.name, "2=1")
    found = json.loads(guest.run(lab.program, "--detect", "--json").stdout)

    gpio = next(item for item in found["gpio"] if item["label"] == chip.label)
    assert [line["name"] for line in gpio["lines"]] == ["DOOR", "", "LAMP"]
    assert [line["consumer"] for line in gpio["lines"]] == ["", "", "gpioset"]
    assert [line["direction"] for line in gpio["lines"]] == ["input", "input", "output"]

    i2c = next(item for item in found["i2c"] if item["name"] == bus.name)
    assert i2c["bus"] == bus.number
    chips = {item["address"]: item for item in i2c["chips"]}
    assert sorted(chips) == ["0x23", "0x50", "0x5C"]
    assert "bh1750" in chips["0x23"]["drivers"]
    assert chips["0x5C"]["kernel_driver"] == "bh1750" and chips["0x5C"]["drivers"] == []
    assert {"subsystem": "IIO", "name": "bh1750"}.items() <= next(
        item for item in found["kernel"] if item["name"] == "bh1750").items()
    assert {
        "name": f"bh1750-{bus.number}-23", "sensor_type": "bh1750", "driver": "bh1750", "i2c": bus.number,
        "i2c_address": "0x23",
    } in found["sensors"]

    text = guest.run(lab.program, "--detect").stdout
    assert f"I2C bus {bus.number} '{bus.name}'\n  0x23: answers; drivers: bh1750" in text
    assert f"GPIO {chip.name} '{chip.label}', 3 lines\n  0 DOOR: input\n  2 LAMP: output, in use by 'gpioset'" in text


def test_tells_what_it_may_not_see(lab, guest):
    chip = lab.gpio(2)
    found = json.loads(guest.run(lab.program, "--detect", "--json", uid=65_534, groups=[]).stdout)
    assert any(fault.startswith(f"no permission to open {chip.path}") for fault in found["faults"])
