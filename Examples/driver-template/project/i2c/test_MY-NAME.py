from pathlib import Path

from devices import Emulated

EMULATOR = Path(__file__).parent / "emulator.py"


def test_reads(lab):
    bus = lab.i2c({0x48: Emulated(EMULATOR, "Thermometer", celsius=21.5)})
    sensor = lab.sensor("MY-NAME", interval=0.3, i2c=bus.name).start()
    assert sensor.wait_for_values(1)[0] == {"temperature_celsius": 21.5}
    bus.set(0x48, celsius=-3)
    sensor.wait_for(temperature_celsius=-3)
    bus.unplug(0x48)
    sensor.wait_for_fault("no answer")
