import json
from pathlib import Path

import pytest

from devices import Emulated, wait_until

# Any chip will do for which the kernel has a driver; the emulator of this one stands beside its own driver.
EMULATOR = Path(__file__).parents[2] / "BH1750/Lab/emulator.py"
ADDRESS = 0x23


@pytest.fixture
def light(lab, guest):
    bus = lab.i2c({ADDRESS: Emulated(EMULATOR, "BH1750", lux=123.5)})
    folder = bus.bind("bh1750", ADDRESS)
    lab.undo(lambda: bus.unbind(ADDRESS) if guest.glob(folder) else None)
    bus.device = wait_until(lambda: guest.glob(f"{folder}/iio:device*"), "the kernel's device")[0]
    # There may be others of the same name; the address is what tells them apart.
    bus.parent = f"{bus.number}-{ADDRESS:04x}"
    return bus


def test_reads_what_the_kernel_reads(lab, guest, light):
    raw, scale = (float(guest.read(f"{light.device}/in_illuminance_{what}")) for what in ("raw", "scale"))
    for device in ("bh1750", light.parent, light.device.split("/")[-1]):
        sensor = lab.sensor("iio", interval=0.5, device=device, channels={"illuminance_lux": "illuminance"}).start()
        value = sensor.wait_for_values(1)[0]["illuminance_lux"]
        assert value == pytest.approx(raw * scale) == pytest.approx(123.5, abs=1)
        sensor.stop()


def test_what_detect_proposes_works(lab, guest, light, tmp_path):
    found = json.loads(guest.run(lab.program, "--detect").stdout)
    entry = next(item for item in found["sensors"] if "illuminance_lux" in item.get("channels", {}))
    assert entry["driver"] == "iio"
    types = [item for item in found["sensor_type_list"] if item["name"] == entry["sensor_type"]]
    file = tmp_path / "iio.type.json"
    file.write_text(json.dumps({"sensor_type_list": [{"company": "", **type} for type in types]}))
    running = lab.sensor("iio", interval=0.5, type=file, device=entry["device"], channels=entry["channels"]).start()
    assert running.wait_for_values(1)[0] == {"illuminance_lux": pytest.approx(123.5, abs=1)}


def test_factor_and_changes(lab, light):
    channel = {"channel": "illuminance", "factor": 2, "offset": 1}
    sensor = lab.sensor("iio", interval=0.5, device=light.parent, channels={"illuminance_lux": channel}).start()
    assert sensor.wait_for_values(1)[0]["illuminance_lux"] == pytest.approx(248, abs=2)
    light.set(ADDRESS, lux=0)
    sensor.wait_for(illuminance_lux=1)


def test_sets_the_chip_through_the_kernel(lab, guest, light):
    first, *_, last = guest.read(f"{light.device}/integration_time_available").split()
    sensor = lab.sensor(
        "iio", interval=60, device=light.parent, channels={"illuminance_lux": "illuminance"},
        settings={"in_illuminance_integration_time": first}).start()
    sensor.wait_for_values(1)
    before = light.get(ADDRESS, "measurement_time")
    assert sensor.call("set", setting="in_illuminance_integration_time", value=last)["status"] == "done"
    sensor.wait_for_values(2)
    assert light.get(ADDRESS, "measurement_time") > before
    reply = sensor.call("set", setting="in_illuminance_scale", value="1")
    assert reply["status"] == "refused" and "is not in the attribute 'settings'" in reply["error"]


def test_taken_from_its_driver_and_given_back(lab, light):
    sensor = lab.sensor("iio", interval=0.5, device=light.parent, channels={"illuminance_lux": "illuminance"}).start()
    sensor.wait_for_values(1)
    light.unbind(ADDRESS)
    sensor.wait_for_fault(light.parent)
    count = len(sensor.values)
    light.bind("bh1750", ADDRESS)
    sensor.wait_for_status("online")
    sensor.wait_for_values(count + 1)


# Wrong input: one clear message, a status `fault`, and no reading.


@pytest.mark.parametrize("device, channel, words", [
    ("bh1751", "illuminance", ["there is no IIO device 'bh1751'", "(bh1750)", "did you mean 'bh1750'?"]),
    ("bh1750", "iluminance", ["has no channel 'iluminance'", "did you mean 'illuminance'?"]),
    ("bh1750", {"channel": "illuminance", "maximum": 100}, ["lies outside"]),
])
def test_what_is_not_there_or_cannot_be(lab, light, device, channel, words):
    sensor = lab.sensor("iio", interval=0.5, device=device, channels={"illuminance_lux": channel}).start()
    sensor.wait_for_fault(*words)
    assert sensor.values == []


@pytest.mark.parametrize("attributes, reason", [
    ({}, "'channels' is missing"),
    ({"channels": {"illuminance_lux": "../x"}}, "channels.illuminance_lux: '../x' is no name"),
    ({"channels": {"illuminance_lux": "a", "lux": "b"}}, "channels: unknown key 'lux'"),
])
def test_wrong_configuration_ends_the_driver(lab, attributes, reason):
    done = lab.sensor("iio", device="bh1750", **attributes).once()
    assert done.returncode == 78
    assert reason in done.stderr
