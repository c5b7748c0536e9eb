import json
from pathlib import Path

import pytest

from devices import Emulated, wait_until

HERE = Path(__file__).parent
EMULATOR = HERE / "emulator.py"
TMP102 = HERE.parents[1] / "TMP102" / "Lab" / "emulator.py"


def ads1115(**attributes):
    return Emulated(EMULATOR, "ADS1115", **attributes)


@pytest.mark.parametrize("chip, cls, step", [
    ("ads1115", "ADS1115", 2.048 / 32_768), ("ads1015", "ADS1015", 2.048 / 2_048),
])
def test_reads_what_the_kernels_driver_reads(lab, guest, chip, cls, step):
    volts = [0.1234, 1.5, 2.04, 0.0]
    bus = lab.i2c({0x48: Emulated(EMULATOR, cls, volts=volts)})
    folder = bus.bind(chip, 0x48, module="ti-ads1015")
    device = wait_until(lambda: guest.glob(f"{folder}/iio:device*"), "the kernel's device")[0]
    # Millivolts; its range is that of the power-up.
    kernel = [
        float(guest.read(f"{device}/in_voltage{index}_raw")) * float(guest.read(f"{device}/in_voltage{index}_scale"))
        for index in range(4)
    ]
    bus.unbind(0x48)
    sensor = lab.sensor("ads1115", interval=0.5, i2c=bus.name, chip=chip, range_volts=2.048).start()
    value = sensor.wait_for_values(2)[0]
    for index in range(4):
        assert value[f"ain{index}_volts"] == pytest.approx(kernel[index] / 1_000, abs=1e-7)
        assert value[f"ain{index}_volts"] == pytest.approx(volts[index], abs=step / 2)


def test_one_input_against_another(lab, guest, tmp_path):
    file = tmp_path / "bridge.type.json"
    names = ("ain0_ain1_volts", "ain0_ain3_volts", "ain1_ain3_volts", "ain2_ain3_volts")
    file.write_text(json.dumps({"sensor_type_list": [
        {"name": "bridge", "sensor_data_structure": {name: "float" for name in names}}]}))
    bus = lab.i2c({0x4B: ads1115(volts=[1.0, 1.1, 2.0, 2.2])})
    sensor = lab.sensor(
        "ads1115", interval=0.5, type=file, i2c=bus.number, i2c_address="0x4B", range_volts=2.048, data_rate=475,
    ).start()
    value = sensor.wait_for_values(1)[0]
    assert value == pytest.approx(dict(zip(names, (-0.1, -1.2, -1.1, -0.2))), abs=4e-5)


def test_is_controlled(lab):
    bus = lab.i2c({0x48: ads1115(volts=[0.2, 0.1, 0.1, 0.1])})
    sensor = lab.sensor("ads1115", interval=60, i2c=bus.name).start()
    sensor.wait_for_values(1)
    assert sensor.call("set_range", range_volts=0.256)["status"] == "done"
    assert sensor.call("set_data_rate", data_rate=860)["status"] == "done"
    assert sensor.wait_for_values(3)[2]["ain0_volts"] == pytest.approx(0.2, abs=4e-6)
    assert bus.get(0x48, "configuration") == 0b0_111_101_1_111_00011
    reply = sensor.call("set_range", range_volts=5.0)
    assert reply["status"] == "refused" and "5.0 is none of 6.144, 4.096" in reply["error"]
    reply = sensor.call("set_data_rate", data_rate=1600)
    assert reply["status"] == "refused" and "1600 is none of 8, 16" in reply["error"]


def test_unplugged_and_plugged_in_again(lab):
    bus = lab.i2c({0x48: ads1115(volts=[1.0, 0, 0, 0])})
    sensor = lab.sensor("ads1115", interval=0.3, i2c=bus.name).start()
    sensor.wait_for_values(1)
    bus.unplug(0x48)
    sensor.wait_for_fault("no answer from address 0x48")
    count = len(sensor.values)
    bus.call(0x48, "power_up")
    bus.plug(0x48)
    assert sensor.wait_for_values(count + 1)[-1]["ain0_volts"] == pytest.approx(1.0, abs=7e-5)


def faulty(lab, *words, **attributes):
    sensor = lab.sensor("ads1115", interval=0.5, **attributes).start()
    reason = sensor.wait_for_fault(*words)
    assert sensor.values == []
    return reason


def test_another_chip(lab):
    # A thermometer at the same address, with registers of the same kind.
    bus = lab.i2c({0x48: Emulated(TMP102, "TMP102")})
    faulty(lab, "is no ads1115: its configuration is", "after it was set to 0xC3 0x83", i2c=bus.name)


def test_wrong_address(lab):
    bus = lab.i2c({0x49: ads1115()})
    faulty(lab, "no answer from address 0x48", i2c=bus.name)


def test_beyond_the_range(lab):
    bus = lab.i2c({0x48: ads1115(volts=[1, 1, 3, 1])})
    faulty(
        lab, "AIN2 is at the end of the range of 2.048 V or beyond; a greater range_volts measures more", i2c=bus.name,
        range_volts=2.048)
    bus.set(0x48, volts=[1, 1, 2, 1])
    lab.sensors[-1].wait_for_status("online")


def test_a_conversion_that_does_not_end(lab):
    bus = lab.i2c({0x48: ads1115(is_stuck=True)})
    faulty(lab, "a conversion did not end in time", i2c=bus.name)
