from pathlib import Path

import pytest

from broker import Broker
from devices import Emulated, wait_until

EMULATOR = Path(__file__).parent / "emulator.py"
DRIVERS = Path(__file__).resolve().parents[2]
PINS = [f"{port}{pin}" for port in "ab" for pin in range(8)]


def mcp23017(**attributes):
    return Emulated(EMULATOR, "MCP23017", **attributes)


def levels(value):
    return {name: bool(value & 1 << pin) for pin, name in enumerate(PINS)}


def test_reads_what_the_kernels_driver_reads(lab, guest):
    bus = lab.i2c({0x20: mcp23017(driven=0xFFFF, outside=0xA53C)})
    folder = bus.bind("mcp23017", 0x20, module="pinctrl-mcp23s08_i2c")
    chip = guest.glob(f"{folder}/gpiochip*")[0].rsplit("/", 1)[1]
    kernel = guest.run("gpioget", chip, *map(str, range(16))).stdout.split()
    sensor = lab.sensor("mcp23017", interval=0.5, i2c=bus.name)
    assert "the kernel's driver 'mcp230xx' has the chip at address 0x20" in sensor.once().stderr
    bus.unbind(0x20)
    sensor.start()
    values = sensor.wait_for_values(1)[0]
    assert values == levels(0xA53C) == {name: value == "1" for name, value in zip(PINS, kernel)}
    assert sensor.stop() == 0


def test_lines_for_other_drivers(lab, guest):
    bus = lab.i2c({0x27: mcp23017()})
    folder = bus.bind("mcp23017", 0x27, module="pinctrl-mcp23s08_i2c")
    lab.undo(lambda: bus.unbind(0x27))
    chip = guest.glob(f"{folder}/gpiochip*")[0].rsplit("/", 1)[1]
    type = DRIVERS / "DigitalOutput" / "DigitalOutput.type.json"
    relays = [
        lab.sensor("digital_output", type=type, line={"chip": chip, "offset": pin}).start() for pin in (1, 14)
    ]
    for relay in relays:
        relay.wait_for_values(1)
    assert relays[0].call("on")["status"] == "done"
    assert bus.call(0x27, "levels") == 1 << 1
    assert relays[1].call("on")["status"] == "done"
    assert bus.call(0x27, "levels") == 1 << 1 | 1 << 14
    assert relays[0].call("off")["status"] == "done"
    assert bus.call(0x27, "levels") == 1 << 14


def test_inputs_with_pull_ups(lab):
    bus = lab.i2c({0x21: mcp23017(driven=0b1, outside=0b1)})
    sensor = lab.sensor("mcp23017", interval=0.3, i2c=bus.name, i2c_address="0x21", pull_ups=["a7", "b0"]).start()
    assert sensor.wait_for_values(1)[0] == levels(0b1_1000_0001)
    # A contact to ground.
    bus.set(0x21, driven=1 << 7, outside=0)
    sensor.wait_for(a0=False, a7=False, b0=True)


def test_outputs(lab):
    bus = lab.i2c({0x20: mcp23017()})
    sensor = lab.sensor("mcp23017", interval=60, i2c=bus.name, outputs={"a0": "low", "b7": "high"}).start()
    assert sensor.wait_for_values(1)[0] == levels(0x8000)
    assert sensor.call("set_output", output="a0", high=True)["status"] == "done"
    assert bus.call(0x20, "levels") == 0x8001
    assert sensor.call("set_outputs", levels=0x0001)["status"] == "done"
    assert bus.call(0x20, "levels") == 0x0001
    reply = sensor.call("set_output", output="a1", high=True)
    assert reply["status"] == "refused" and "'a1' is no output; a0, b7 are" in reply["error"]
    assert sensor.stop() == 0
    assert bus.call(0x20, "levels") == 0x8000


def test_safe_without_the_hub(lab, tmp_path):
    bus = lab.i2c({0x20: mcp23017()})
    # One of its own, which can be ended.
    lab.broker = Broker(tmp_path)
    sensor = lab.sensor("mcp23017", interval=60, i2c=bus.name, outputs={"b2": "low"}, safe_after_seconds=2).start()
    sensor.wait_for_values(1)
    assert sensor.call("set_output", output="b2", high=True)["status"] == "done"
    assert bus.call(0x20, "levels") == 1 << 10
    lab.broker.stop()
    wait_until(lambda: bus.call(0x20, "levels") == 0, "the output to be safe")
    assert "the hub was out of reach for too long" in sensor.log


def test_power_that_was_gone_comes_back(lab):
    bus = lab.i2c({0x20: mcp23017()})
    sensor = lab.sensor("mcp23017", interval=0.3, i2c=bus.name, outputs={"a3": "high"}).start()
    sensor.wait_for(a3=True)
    count = len(sensor.values)
    bus.call(0x20, "reset")
    sensor.wait_for_values(count + 3)
    assert bus.call(0x20, "levels") == 1 << 3
    assert all(value["a3"] for value in sensor.values)


# Wrong input: one clear message, a status `fault`, and no reading.


def faulty(lab, *words, **attributes):
    sensor = lab.sensor("mcp23017", interval=0.5, **attributes).start()
    sensor.wait_for_fault(*words)
    assert sensor.values == []
    return sensor


def test_wrong_address(lab):
    bus = lab.i2c({0x20: mcp23017()})
    faulty(lab, "no answer from address 0x21", i2c=bus.name, i2c_address="0x21")


def test_another_chip(lab):
    emulator = DRIVERS / "PCF8574" / "Lab" / "emulator.py"
    bus = lab.i2c({0x20: Emulated(emulator, "PCF8574")})
    faulty(lab, "is no MCP23017: its registers do not keep what is written to them", i2c=bus.name)


def test_other_map_of_registers(lab):
    bus = lab.i2c({0x20: mcp23017()})
    bus.call(0x20, "write_register", 0x0A, 0x80)
    # It may say 0 for all of its registers then.
    faulty(lab, "is no MCP23017: its registers do not keep what is written to them", i2c=bus.name)


def test_a_short_circuit(lab):
    bus = lab.i2c({0x20: mcp23017(shorted_low=1 << 9)})
    sensor = faulty(
        lab, "b1 does not have the level that it is set to: a short circuit?", i2c=bus.name, outputs={"b1": "high"})
    bus.set(0x20, shorted_low=0)
    sensor.wait_for(b1=True)


@pytest.mark.parametrize("attributes, message", [
    ({"i2c_address": "0x38"}, "i2c_address: 0x38 is no address that this chip can have"),
    ({"outputs": {"c0": "low"}}, "outputs.c0: there is no such pin"),
    ({"outputs": {"a0": "low"}, "pull_ups": ["a0"]}, "pull_ups[0]: 'a0' is an output"),
])
def test_wrong_configuration_ends_the_driver(lab, attributes, message):
    done = lab.sensor("mcp23017", i2c=1, **attributes).once()
    assert done.returncode == 78 and message in done.stderr
