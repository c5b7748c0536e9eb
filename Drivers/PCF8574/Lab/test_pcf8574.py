from pathlib import Path

import pytest

from broker import Broker
from devices import Emulated, wait_until

EMULATOR = Path(__file__).parent / "emulator.py"
DRIVERS = Path(__file__).resolve().parents[2]


def pcf8574(**attributes):
    return Emulated(EMULATOR, "PCF8574", **attributes)


def levels(value):
    return {f"p{pin}": bool(value & 1 << pin) for pin in range(8)}


def test_reads_what_the_kernels_driver_reads(lab, guest):
    bus = lab.i2c({0x20: pcf8574(grounded=0b1010_0110)})
    folder = bus.bind("pcf8574", 0x20, module="gpio-pcf857x")
    chip = guest.glob(f"{folder}/gpiochip*")[0].rsplit("/", 1)[1]
    kernel = guest.run("gpioget", chip, *map(str, range(8))).stdout.split()
    assert kernel == ["1", "0", "0", "1", "1", "0", "1", "0"]
    sensor = lab.sensor("pcf8574", interval=0.5, i2c=bus.name)
    assert "the kernel's driver 'pcf857x' has the chip at address 0x20" in sensor.once().stderr
    bus.unbind(0x20)
    sensor.start()
    assert sensor.wait_for_values(1)[0] == {f"p{pin}": value == "1" for pin, value in enumerate(kernel)}
    assert sensor.stop() == 0


def test_lines_for_other_drivers(lab, guest):
    """The kernel's driver makes lines of the pins, which drivers for lines take as any others."""
    bus = lab.i2c({0x21: pcf8574()})
    folder = bus.bind("pcf8574", 0x21, module="gpio-pcf857x")
    lab.undo(lambda: bus.unbind(0x21))
    chip = guest.glob(f"{folder}/gpiochip*")[0].rsplit("/", 1)[1]
    type = DRIVERS / "DigitalOutput" / "DigitalOutput.type.json"
    relays = [
        lab.sensor("digital_output", type=type, line={"chip": chip, "offset": pin}).start() for pin in (2, 5)
    ]
    for relay in relays:
        relay.wait_for_values(1)
    assert bus.call(0x21, "levels") & 0b10_0100 == 0
    assert relays[0].call("on")["status"] == "done"
    assert bus.call(0x21, "levels") & 0b10_0100 == 0b00_0100
    assert relays[1].call("on")["status"] == "done"
    assert relays[0].call("off")["status"] == "done"
    assert bus.call(0x21, "levels") & 0b10_0100 == 0b10_0000


def test_a_line_without_edges(lab, guest):
    """The chip's pin INT is nowhere, so that the kernel has no edges of its lines."""
    bus = lab.i2c({0x22: pcf8574()})
    folder = bus.bind("pcf8574", 0x22, module="gpio-pcf857x")
    lab.undo(lambda: bus.unbind(0x22))
    chip = guest.glob(f"{folder}/gpiochip*")[0].rsplit("/", 1)[1]
    type = DRIVERS / "DigitalInput" / "DigitalInput.type.json"
    sensor = lab.sensor("digital_input", type=type, line={"chip": chip, "offset": 0}).start()
    sensor.wait_for_fault(chip, "line 0", "the kernel has no edges of it", '"poll_ms"')
    assert sensor.values == []
    sensor.stop()
    # The way out.
    sensor = lab.sensor("digital_input", type=type, line={"chip": chip, "offset": 0}, poll_ms=20).start()
    assert sensor.wait_for_values(1)[0]["active"] is True
    bus.set(0x22, grounded=0x01)
    sensor.wait_for(active=False, changes=1, lost_edges=0)


@pytest.mark.parametrize("safe, at_the_end", [("off", False), ("on", True), ("keep", True)])
def test_an_output_is_safe_when_its_driver_ends(lab, guest, safe, at_the_end):
    """This chip keeps what a line was set to when nobody holds it any more, so that it can be seen."""
    bus = lab.i2c({0x23: pcf8574()})
    folder = bus.bind("pcf8574", 0x23, module="gpio-pcf857x")
    lab.undo(lambda: bus.unbind(0x23))
    chip = guest.glob(f"{folder}/gpiochip*")[0].rsplit("/", 1)[1]
    type = DRIVERS / "DigitalOutput" / "DigitalOutput.type.json"
    # An input is a pin that is high: only one that is low has been set.
    sensor = lab.sensor(
        "digital_output", type=type, line={"chip": chip, "offset": 4}, active_low=True, safe=safe).start()
    sensor.wait_for_values(1)
    assert sensor.call("on")["status"] == "done"
    assert bus.call(0x23, "levels") & 0x10 == 0
    assert sensor.stop() == 0
    assert (bus.call(0x23, "levels") & 0x10 == 0) is at_the_end


def test_inputs(lab):
    bus = lab.i2c({0x38: pcf8574(grounded=0x0F)})
    sensor = lab.sensor("pcf8574", interval=0.3, i2c=bus.name, i2c_address="0x38").start()
    assert sensor.wait_for_values(1)[0] == levels(0xF0)
    bus.set(0x38, grounded=0x81)
    sensor.wait_for(**levels(0x7E))
    assert set(bus.get(0x38, "writes")) == {0xFF}


def test_outputs(lab):
    bus = lab.i2c({0x20: pcf8574(grounded=0b1000_0000)})
    sensor = lab.sensor("pcf8574", interval=60, i2c=bus.name, outputs={"p0": "low", "p1": "high"}).start()
    assert sensor.wait_for_values(1)[0] == levels(0b0111_1110)
    assert sensor.call("set_output", output="p0", high=True)["status"] == "done"
    assert bus.get(0x20, "latch") == 0xFF
    assert sensor.call("set_outputs", levels=0)["status"] == "done"
    sensor.wait_for(p0=False, p1=False, p2=True)
    reply = sensor.call("set_output", output="p7", high=True)
    assert reply["status"] == "refused" and "'p7' is no output; p0, p1 are" in reply["error"]
    reply = sensor.call("set_outputs", levels=0b110)
    assert reply["status"] == "refused" and "no outputs: p2" in reply["error"]
    # At the end they are safe.
    assert sensor.stop() == 0
    assert bus.get(0x20, "latch") == 0xFE


def test_safe_without_the_hub(lab, tmp_path):
    bus = lab.i2c({0x20: pcf8574()})
    # One of its own, which can be ended.
    lab.broker = Broker(tmp_path)
    sensor = lab.sensor("pcf8574", interval=60, i2c=bus.name, outputs={"p0": "low"}, safe_after_seconds=2).start()
    sensor.wait_for_values(1)
    assert sensor.call("set_output", output="p0", high=True)["status"] == "done"
    assert bus.get(0x20, "latch") == 0xFF
    lab.broker.stop()
    wait_until(lambda: bus.get(0x20, "latch") == 0xFE, "the output to be safe")
    assert "the hub was out of reach for too long" in sensor.log


def test_power_that_was_gone_comes_back(lab):
    bus = lab.i2c({0x20: pcf8574()})
    sensor = lab.sensor("pcf8574", interval=0.3, i2c=bus.name, outputs={"p4": "low"}).start()
    sensor.wait_for_values(1)
    bus.unplug(0x20)
    sensor.wait_for_fault("no answer from address 0x20")
    bus.set(0x20, latch=0xFF)
    bus.plug(0x20)
    sensor.wait_for_status("online")
    assert bus.get(0x20, "latch") == 0xEF


# Wrong input: one clear message, a status `fault`, and no reading.


def test_wrong_address(lab):
    bus = lab.i2c({0x20: pcf8574()})
    sensor = lab.sensor("pcf8574", interval=0.5, i2c=bus.name, i2c_address="0x21").start()
    sensor.wait_for_fault("no answer from address 0x21")
    assert sensor.values == []


def test_a_short_circuit_or_another_chip(lab):
    bus = lab.i2c({0x20: pcf8574(shorted=0b11)})
    sensor = lab.sensor("pcf8574", interval=0.5, i2c=bus.name, outputs={"p1": "low"}).start()
    sensor.wait_for_fault("p1 is set low and reads high: a short circuit, or the chip is no PCF8574")
    assert sensor.values == []
    bus.set(0x20, shorted=1)
    sensor.wait_for(p1=False)


@pytest.mark.parametrize("attributes, message", [
    ({"i2c_address": "0x48"}, "i2c_address: 0x48 is no address that this chip can have"),
    ({"outputs": {"p8": "low"}}, "outputs.p8: there is no such pin"),
    ({"outputs": {"p1": "off"}}, "outputs.p1: 'off' is neither high nor low"),
])
def test_wrong_configuration_ends_the_driver(lab, attributes, message):
    done = lab.sensor("pcf8574", i2c=1, **attributes).once()
    assert done.returncode == 78 and message in done.stderr
