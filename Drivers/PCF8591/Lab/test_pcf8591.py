from pathlib import Path

import pytest

from broker import Broker
from devices import Emulated, wait_until

EMULATOR = Path(__file__).parent / "emulator.py"
STEP = 3.3 / 256


def pcf8591(**attributes):
    return Emulated(EMULATOR, "PCF8591", **attributes)


def test_reads_what_the_kernels_driver_reads(lab, guest):
    # The kernel's driver takes the reference to be 2.56 V, and says thousandths of V.
    bus = lab.i2c({0x48: pcf8591(pins=[0.1, 0.755, 1.5, 2.5], reference=2.56)})
    folder = bus.bind("pcf8591", 0x48)
    wait_until(lambda: guest.glob(f"{folder}/in0_input"), "the kernel's device")
    # What it reads is that of the conversion before where the channel is the same: twice.
    kernel = [[float(guest.read(f"{folder}/in{pin}_input")) for _ in range(2)][1] / 1_000 for pin in range(2)]
    sensor = lab.sensor("pcf8591", interval=0.5, i2c=bus.name, reference_v=2.56)
    assert "the kernel's driver 'pcf8591' has the chip at address 0x48" in sensor.once().stderr
    bus.unbind(0x48)
    sensor.start()
    values = sensor.wait_for_values(1)[0]
    assert [values[f"voltage_{pin}_v"] for pin in range(2)] == [pytest.approx(volts, abs=1e-6) for volts in kernel]
    assert [values[f"voltage_{pin}_v"] for pin in range(4)] == [
        pytest.approx(volts, abs=0.01) for volts in (0.1, 0.755, 1.5, 2.5)]
    assert "output_v" not in values
    assert sensor.stop() == 0


@pytest.mark.parametrize("inputs, volts", [
    ("single", [0.5, 1.0, 2.0, 1.5]), ("three_differential", [-1.0, -0.5, 0.5]), ("mixed", [0.5, 1.0, 0.5]),
    ("two_differential", [-0.5, 0.5]),
])
def test_inputs(lab, inputs, volts):
    bus = lab.i2c({0x4F: pcf8591(pins=[0.5, 1.0, 2.0, 1.5])})
    sensor = lab.sensor("pcf8591", i2c=bus.name, i2c_address="0x4F", inputs=inputs).start()
    values = sensor.wait_for_values(1)[0]
    assert list(values) == [f"voltage_{channel}_v" for channel in range(len(volts))]
    assert list(values.values()) == [pytest.approx(volt, abs=STEP) for volt in volts]


def test_output(lab):
    bus = lab.i2c({0x48: pcf8591()})
    sensor = lab.sensor("pcf8591", interval=60, i2c=bus.name).start()
    sensor.wait_for_values(1)
    assert bus.call(0x48, "output") == -1
    assert sensor.call("set_output", volts=1.65)["status"] == "done"
    assert bus.call(0x48, "output") == pytest.approx(1.65)
    assert sensor.wait_for_values(2)[-1]["output_v"] == pytest.approx(1.65)
    reply = sensor.call("set_output", volts=3.4)
    assert reply["status"] == "refused" and "volts: must be from 0.0 to 3.3, is 3.4" in reply["error"]
    assert sensor.call("output_off")["status"] == "done"
    assert bus.call(0x48, "output") == -1
    sensor.call("set_output", volts=3.3)
    assert bus.call(0x48, "output") == pytest.approx(3.3, abs=STEP)
    assert sensor.stop() == 0
    assert bus.call(0x48, "output") == -1


def test_safe_output(lab):
    bus = lab.i2c({0x48: pcf8591()})
    sensor = lab.sensor("pcf8591", interval=0.5, i2c=bus.name, safe_v=1).start()
    sensor.wait_for_values(1)
    assert bus.call(0x48, "output") == pytest.approx(1, abs=STEP)
    sensor.call("set_output", volts=2)
    # Without power for a moment.
    bus.call(0x48, "reset")
    sensor.wait_for_values(len(sensor.values) + 2)
    assert bus.call(0x48, "output") == pytest.approx(2, abs=STEP)
    assert sensor.stop() == 0
    assert bus.call(0x48, "output") == pytest.approx(1, abs=STEP)


def test_safe_without_the_hub(lab, tmp_path):
    bus = lab.i2c({0x48: pcf8591()})
    # One of its own, which can be ended.
    lab.broker = Broker(tmp_path)
    sensor = lab.sensor("pcf8591", interval=60, i2c=bus.name, safe_v=0, safe_after_seconds=2).start()
    sensor.wait_for_values(1)
    assert sensor.call("set_output", volts=1.65)["status"] == "done"
    assert bus.call(0x48, "output") == pytest.approx(1.65)
    lab.broker.stop()
    wait_until(lambda: bus.call(0x48, "output") == 0, "the output to be safe")
    assert "the hub was out of reach for too long" in sensor.log


# Wrong input: one clear message, a status `fault`, and no reading.


def test_wrong_address(lab):
    bus = lab.i2c({0x48: pcf8591()})
    sensor = lab.sensor("pcf8591", interval=0.5, i2c=bus.name, i2c_address="0x49").start()
    sensor.wait_for_fault("no answer from address 0x49")
    assert sensor.call("set_output", volts=1)["status"] == "failed"
    assert sensor.values == []


@pytest.mark.parametrize("attributes, message", [
    ({"i2c_address": "0x50"}, "i2c_address: 0x50 is no address that this chip can have"),
    ({"inputs": "singel"}, "inputs: 'singel' is none of"),
    ({"reference_v": 12}, "reference_v: must be from 0.1 to 6.0, is 12.0"),
    ({"safe_v": 4}, "safe_v: must be from 0.0 to 3.3, is 4.0"),
])
def test_wrong_configuration_ends_the_driver(lab, attributes, message):
    done = lab.sensor("pcf8591", i2c=1, **attributes).once()
    assert done.returncode == 78 and message in done.stderr
