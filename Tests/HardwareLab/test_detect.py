"""`sensor-driver --detect`, which `sensorhub detect` shows to people."""

import json
from pathlib import Path

import pytest

from devices import Emulated
from sensor import Sensor

pytestmark = pytest.mark.gpio

DRIVERS = Path(__file__).resolve().parents[2] / "Drivers"
BH1750 = Emulated(DRIVERS / "BH1750/Lab/emulator.py", "BH1750")


def detect(lab, *options, **how):
    return json.loads(lab.guest.run(lab.program, "--detect", *options, **how).stdout)


def chips_of(found, bus):
    i2c = next(item for item in found["i2c"] if item["name"] == bus.name)
    return i2c, {item["address"]: item for item in i2c["chips"]}


def test_tells_of_lines_buses_and_chips(lab):
    bus = lab.i2c({0x23: BH1750, 0x5C: BH1750, 0x50: BH1750, 0x0F: BH1750})
    bus.bind("bh1750", 0x5C)
    chip = lab.gpio({0: "DOOR", 2: "LAMP"})
    lab.spawn("gpioset", "--mode=signal", chip.name, "2=1")
    found = detect(lab)

    gpio = next(item for item in found["gpio"] if item["label"] == chip.label)
    assert [line["name"] for line in gpio["lines"]] == ["DOOR", "", "LAMP"]
    assert [line["consumer"] for line in gpio["lines"]] == ["", "", "gpioset"]
    assert [line["direction"] for line in gpio["lines"]] == ["input", "input", "output"]

    i2c, chips = chips_of(found, bus)
    assert i2c["bus"] == bus.number and i2c["scan"] == "known"
    # Neither the one in the range of EEPROMs nor the one that is no driver's; what the kernel has needs no question.
    assert sorted(chips) == ["0x23", "0x5C"]
    assert "bh1750" in chips["0x23"]["drivers"]
    assert chips["0x5C"]["kernel_driver"] == "bh1750" and chips["0x5C"]["drivers"] == []
    assert {"subsystem": "IIO", "name": "bh1750"}.items() <= next(
        item for item in found["kernel"] if item["name"] == "bh1750").items()


def test_asks_every_address_where_that_is_wanted(lab):
    first, second = lab.i2c({0x50: BH1750, 0x0F: BH1750}), lab.i2c({0x23: BH1750})
    _, chips = chips_of(detect(lab, "--probe"), first)
    assert sorted(chips) == ["0x0F", "0x50"]
    assert chips["0x0F"]["drivers"] == []
    found = detect(lab, "--probe", "--bus", str(second.number))
    assert [bus["bus"] for bus in found["i2c"]] == [second.number]
    assert sorted(chips_of(found, second)[1]) == ["0x23"]
    assert any("there is no I2C bus 4711" in fault for fault in detect(lab, "--bus", "4711")["faults"])


def test_asking_does_not_change_a_chip(lab):
    """A chip that is being asked for gets its address, and no byte."""
    bus = lab.i2c({0x23: BH1750})
    detect(lab)
    assert bus.get(0x23, "commands") == []


def test_an_entry_works_as_it_is(lab, guest, broker):
    bus = lab.i2c({0x23: Emulated(DRIVERS / "BH1750/Lab/emulator.py", "BH1750", lux=100)})
    entry = next(item for item in detect(lab)["sensors"] if item["i2c"] == bus.number and item["driver"] == "bh1750")
    # The type file that comes with the driver, and the rest of the entry as attributes, as the hub takes it.
    type = json.loads((DRIVERS / "BH1750/BH1750.type.json").read_text())["sensor_type_list"][0]
    assert entry["sensor_type"] == type["name"]
    attributes = {key: value for key, value in entry.items() if key not in ("name", "sensor_type", "driver")}
    sensor = Sensor(guest, broker, lab.program, {
        "driver": entry["driver"],
        "type": {"name": type["name"], "company": "", "fields": type["sensor_data_structure"], "functions": []},
        "instance": {"name": entry["name"], "type": type["name"], "attributes": attributes},
    })
    done = sensor.once()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["illuminance_lux"] == pytest.approx(100, abs=1)


def test_a_bus_that_hangs(lab):
    bus = lab.i2c({0x23: Emulated(DRIVERS / "BH1750/Lab/emulator.py", "BH1750", hangs=True)}, timeout_ms=200)
    found = detect(lab, "--bus", str(bus.number))
    assert [fault for fault in found["faults"] if f"/dev/i2c-{bus.number}: a transfer to 0x23 did not end" in fault]
    assert found["sensors"] == []


def test_tells_what_it_may_not_see(lab):
    chip = lab.gpio(2)
    found = detect(lab, uid=65_534, groups=[])
    assert any(fault.startswith(f"no permission to open {chip.path}") for fault in found["faults"])
