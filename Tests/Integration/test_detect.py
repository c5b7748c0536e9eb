"""`sensorhub detect`, and what it prints registered. What it finds where there is something is tested in the hardware lab."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hub import CHECKOUT, SENSORHUB, Hub, environment, wait_until
from samples import write

FOUND = {
    "gpio": [{"chip": "gpiochip0", "label": "pinctrl", "lines": [
        {"offset": 17, "name": "GPIO17", "used": True, "consumer": "lamp\x1b[2J", "direction": "output"}]}],
    "i2c": [
        {"bus": 1, "name": "bcm2835", "scan": "known", "reason": None, "chips": [
            {"address": "0x23", "kernel_driver": None, "drivers": ["bh1750"]},
            {"address": "0x76", "kernel_driver": None, "drivers": ["bme280"], "identified": True},
            {"address": "0x77", "kernel_driver": None, "drivers": [], "identified": False},
            {"address": "0x68", "kernel_driver": "rtc-ds1307", "drivers": []}]},
        {"bus": 7, "name": "smbus", "scan": "none", "reason": "it is the mainboard's", "chips": []}],
    "kernel": [{"subsystem": "hwmon", "device": "hwmon0", "name": "cpu_thermal"}],
    "sensors": [
        {"name": "bh1750-1-23", "sensor_type": "bh1750", "driver": "bh1750", "i2c": 1, "i2c_address": "0x23"},
        {"name": "hwmon-cpu_thermal", "sensor_type": "hwmon-cpu_thermal", "driver": "hwmon", "device": "cpu_thermal",
         "channels": {"temp1_celsius": "temp1"}}],
    "sensor_type_list": [
        {"name": "hwmon-cpu_thermal", "sensor_data_structure": {"temp1_celsius": "float"}, "control_functions": [
            {"name": "set", "params": [{"name": "setting", "type": "string"}, {"name": "value", "type": "string"}]}]}],
    "faults": ["no permission to open /dev/i2c-3: group 'i2c' may; make 'pi' a member"],
}


@pytest.fixture
def found(hub: Hub, tmp_path: Path) -> Any:
    """Runs `sensorhub detect` as on a machine on which `sensor-driver --detect` prints something of the test's."""
    program = tmp_path / "sensorhub"
    program.write_bytes(SENSORHUB.read_bytes())
    program.chmod(0o755)
    tmp_path.chmod(0o755)

    def run(driver: str, *options: str) -> Any:
        (tmp_path / "sensor-driver").write_text(driver)
        (tmp_path / "sensor-driver").chmod(0o755)
        return subprocess.run(
            [program, "detect", *options, "--data", str(hub.data)], capture_output=True, text=True, timeout=60, cwd="/",
            env=environment(SENSORHUB_SHARE=str(CHECKOUT)))

    return run


def printing(document: Any) -> str:
    return f"#!/bin/sh\ncat <<'END'\n{json.dumps(document)}\nEND\n"


def test_this_machine(hub: Hub) -> None:
    result = hub.run("detect")
    assert result.returncode == 0 and result.stdout.strip(), result.stderr
    document = hub.json("detect")
    assert set(document) == {"gpio", "i2c", "kernel", "sensors", "sensor_type_list", "faults", "types"}


def test_for_people(found: Any) -> None:
    done = found(printing(FOUND))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "I2C bus 1 'bcm2835'" in lines
    assert "  0x23  answers; could be: bh1750" in lines
    assert "  0x76  answers; is: bme280" in lines
    assert "  0x77  answers; no driver of ours is for it" in lines
    assert "  0x68  the kernel's driver 'rtc-ds1307' has it" in lines
    assert any("not asked, since it is the mainboard's" in line and "--bus 7" in line for line in lines)
    assert "  hwmon  hwmon0  cpu_thermal" in lines
    assert any("group 'i2c' may" in line for line in lines)
    # A consumer's name is somebody else's text.
    assert "\x1b" not in done.stdout
    assert f"  sensorhub types register {CHECKOUT}/Drivers/BH1750/BH1750.type.json" in lines
    assert "  sensorhub types register sensorTypeRegistration.json" in lines


def test_options_are_passed_on(found: Any, tmp_path: Path) -> None:
    driver = printing(FOUND).replace("cat", f'echo "$@" > {tmp_path}/arguments\ncat', 1)
    assert found(driver, "--bus", "3", "--probe", "--no-identify").returncode == 0
    assert (tmp_path / "arguments").read_text() == "--detect --bus 3 --probe --no-identify\n"


def test_no_hardware_at_all(found: Any) -> None:
    done = found(printing({"gpio": [], "i2c": [], "kernel": [], "sensors": [], "faults": []}))
    assert done.returncode == 0
    assert "neither GPIO lines nor I2C buses" in done.stdout


def test_what_it_prints_can_be_registered(hub: Hub, found: Any, tmp_path: Path) -> None:
    document = json.loads(found(printing(FOUND), "--json").stdout)
    entries = document["sensors"]
    # The node of the hub that runs here, so that no other reads its own bus 1.
    assert {entry["node"] for entry in entries} == {hub.node}
    for file in document["types"]:
        hub.cli("types", "register", file)
    hub.cli("types", "register", write(
        tmp_path / "sensorTypeRegistration.json", {"sensor_type_list": document["sensor_type_list"]}))
    hub.cli("sensors", "register", write(tmp_path / "sensorInstance.json", entries))
    try:
        # This machine need not have such a bus: the driver was started with the entry, and says what it misses.
        for entry in entries:
            wait_until(
                lambda: hub.json("sensors", "show", entry["name"])["sensor"]["state"] in ("fault", "online"), 30,
                "its state")
    finally:
        for entry in entries:
            hub.cli("sensors", "remove", entry["name"])


@pytest.mark.parametrize("driver, words", [
    ("#!/bin/sh\nexit 3\n", "failed with exit code 3"), ("#!/bin/sh\nkill -9 $$\n", "was ended by signal 9"),
    ("#!/bin/sh\necho hello\n", "did not write JSON"),
])
def test_a_sensor_driver_that_is_none(found: Any, driver: str, words: str) -> None:
    done = found(driver)
    assert done.returncode == 1 and words in done.stderr
