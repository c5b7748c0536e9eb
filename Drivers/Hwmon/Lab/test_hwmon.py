import json
from pathlib import Path

import pytest

from devices import Emulated, wait_until

EMULATOR = Path(__file__).parent / "emulator.py"
ADDRESS = 0x48


@pytest.fixture
def thermometer(lab, guest):
    bus = lab.i2c({ADDRESS: Emulated(EMULATOR, "LM75", celsius=23.5)})
    folder = bus.bind("lm75", ADDRESS)
    lab.undo(lambda: bus.unbind(ADDRESS) if guest.glob(folder) else None)
    bus.device = wait_until(lambda: guest.glob(f"{folder}/hwmon/hwmon*"), "the kernel's device")[0]
    bus.parent = f"{bus.number}-{ADDRESS:04x}"
    return bus


def sensor(lab, thermometer, channel="temp1", **attributes):
    return lab.sensor("hwmon", interval=0.5, **{
        "device": thermometer.parent, "channels": {"temperature_celsius": channel}, **attributes})


@pytest.mark.parametrize("celsius", [23.5, -10.5, 0, 125])
def test_reads_what_the_kernel_reads(lab, guest, thermometer, celsius):
    thermometer.set(ADDRESS, celsius=celsius)
    # The kernel keeps a value for a conversion's time.
    wait_until(lambda: int(guest.read(f"{thermometer.device}/temp1_input")) == celsius * 1_000, "the kernel's value")
    running = sensor(lab, thermometer).start()
    assert running.wait_for_values(1)[0]["temperature_celsius"] == celsius


def test_what_detect_proposes_works(lab, guest, thermometer, tmp_path):
    found = json.loads(guest.run(lab.program, "--detect").stdout)
    entry = next(item for item in found["sensors"] if "temp1_celsius" in item.get("channels", {}))
    assert entry["driver"] == "hwmon"
    types = [item for item in found["sensor_type_list"] if item["name"] == entry["sensor_type"]]
    file = tmp_path / "hwmon.type.json"
    file.write_text(json.dumps({"sensor_type_list": [{"company": "", **type} for type in types]}))
    running = lab.sensor("hwmon", interval=0.5, type=file, device=entry["device"], channels=entry["channels"]).start()
    assert running.wait_for_values(1)[0] == {"temp1_celsius": 23.5}


def test_sets_the_chip_through_the_kernel(lab, guest, thermometer):
    running = sensor(lab, thermometer, settings={"temp1_max": 60_000}).start()
    running.wait_for_values(1)
    assert guest.read(f"{thermometer.device}/temp1_max") == "60000"
    assert running.call("set", setting="temp1_max", value="50500")["status"] == "done"
    wait_until(lambda: guest.read(f"{thermometer.device}/temp1_max") == "50500", "the limit")


def test_taken_from_its_driver_and_given_back(lab, thermometer):
    running = sensor(lab, thermometer).start()
    running.wait_for_values(1)
    thermometer.unbind(ADDRESS)
    running.wait_for_fault("there is no hwmon device")
    count = len(running.values)
    thermometer.bind("lm75", ADDRESS)
    running.wait_for_status("online")
    running.wait_for_values(count + 1)


# Wrong input: one clear message, a status `fault`, and no reading.


@pytest.mark.parametrize("attributes, words", [
    ({"device": "lm57"}, ["there is no hwmon device 'lm57'", "did you mean 'lm75'?"]),
    ({"channels": {"temperature_celsius": "temp2"}}, ["has no channel 'temp2', but temp1"]),
    ({"channels": {"temperature_celsius": {"channel": "temp1", "maximum": 20}}}, ["temp1 says 23.5", "lies outside"]),
    ({"settings": {"temp1_min": 1}}, ["temp1_min"]),
])
def test_what_is_not_there_or_cannot_be(lab, thermometer, attributes, words):
    running = sensor(lab, thermometer, **attributes).start()
    running.wait_for_fault(*words)
    assert running.values == []


def test_wrong_configuration_ends_the_driver(lab):
    done = lab.sensor("hwmon", device="lm75", channels={"temperature_celsius": {"chanel": "temp1"}}).once()
    assert done.returncode == 78
    assert "channels.temperature_celsius: unknown key 'chanel' (did you mean 'channel'?)" in done.stderr
