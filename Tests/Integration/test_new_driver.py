"""`sensorhub new driver`: what it makes builds, passes its test, and publishes through a hub. It builds a package with all
modules that a driver needs, which takes a few minutes; that is done once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Iterator

import pytest

from hub import CHECKOUT, Hub, environment, run, temporary_folder, wait_until

SWIFT = os.environ.get("SWIFT") or "swift"


@pytest.mark.parametrize("options, field", [
    ([], "uptime_seconds"), (["--i2c"], "temperature_celsius"), (["--gpio"], "active"),
])
def test_has_all_files(tmp_path: Path, options: list[str], field: str) -> None:
    folder = tmp_path / "wind-9"
    done = run("new", "driver", folder, "--sensorhub", CHECKOUT, *options)
    assert done.returncode == 0, done.stderr
    files = {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}
    assert set(files) == {
        "Package.swift", "README.md", "wind-9.type.json", "sensorInstance.json", "Sources/MyDriver/MyDriver.swift",
        "Sources/sensorhub-driver-wind-9/main.swift", "Tests/MyDriverTests.swift"}
    assert not [name for name, text in files.items() if "MY-" in text]
    assert f'"{field}"' in files["wind-9.type.json"] and f'"{field}"' in files["Sources/MyDriver/MyDriver.swift"]


@pytest.mark.parametrize("arguments, words", [
    (["a b"], "cannot be the driver's name"), (["/"], "cannot be the driver's name"),
    (["/tmp"], "is there already"), (["/tmp/nothing-here-9", "--sensorhub", "/"], "there is no Package.swift"),
])
def test_wrong_arguments(arguments: list[str], words: str) -> None:
    done = run("new", "driver", *arguments)
    assert done.returncode != 0 and words in done.stderr


@pytest.fixture
def hub_with_path(tmp_path: Path) -> Iterator[tuple[Hub, Path]]:
    """A hub whose agent has a folder of the test's in its PATH."""
    folder = temporary_folder()
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{folder}:{path}"
    hub = Hub()
    try:
        yield hub.start(), folder
    finally:
        os.environ["PATH"] = path
        assert not hub.destroy()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all packages of this file: what they have from sensorhub is built once."""
    return tmp_path_factory.mktemp("scratch")


def swift(folder: Path, scratch: Path, *arguments: Any) -> str:
    done = subprocess.run(
        [SWIFT, *arguments, "--scratch-path", scratch], cwd=folder, env=environment(), capture_output=True, text=True,
        timeout=1_500)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    return done.stdout + done.stderr


@pytest.mark.parametrize("option, test", [("--i2c", "readsTheChip"), ("--gpio", "readsTheLine")])
def test_builds_and_passes_its_test(tmp_path: Path, scratch: Path, option: str, test: str) -> None:
    folder = tmp_path / "my-chip"
    assert run("new", "driver", folder, "--sensorhub", CHECKOUT, option).returncode == 0
    swift(folder, scratch, "build", "--build-tests")
    assert f"{test}() passed" in swift(folder, scratch, "test", "--skip-build")


def test_builds_passes_its_test_and_publishes(
    hub_with_path: tuple[Hub, Path], tmp_path: Path, scratch: Path,
) -> None:
    hub, programs = hub_with_path
    folder = tmp_path / "up-time"
    assert run("new", "driver", folder, "--sensorhub", CHECKOUT).returncode == 0
    swift(folder, scratch, "build", "--build-tests")
    assert "readsThisMachine() passed" in swift(folder, scratch, "test", "--skip-build")

    built = scratch / "debug/sensorhub-driver-up-time"
    program = programs / built.name
    program.write_bytes(built.read_bytes())
    program.chmod(0o755)
    hub.cli("types", "register", folder / "up-time.type.json")
    hub.cli("sensors", "register", folder / "sensorInstance.json")
    wait_until(lambda: len(hub.json("readings", "up-time-1")["readings"]) > 0, 60, "a reading")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The parts of a checkout that a new driver in it touches."""
    folder = tmp_path / "checkout"
    (folder / "Drivers").mkdir(parents=True)
    for file in ("Package.swift", "Drivers/Drivers.swift"):
        (folder / file).write_text((CHECKOUT / file).read_text())
    return folder


@pytest.mark.parametrize("option, lab", [
    ("--i2c", {"Lab/emulator.py", "Lab/test_wind9.py"}), ("--gpio", {"Lab/test_wind9.py"}),
])
def test_in_a_checkout_it_is_a_driver_of_the_project(checkout: Path, option: str, lab: set[str]) -> None:
    folder = checkout / "Drivers/Wind9"
    done = run("new", "driver", folder, option)
    assert done.returncode == 0, done.stderr
    files = {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}
    assert set(files) == {"Wind9.swift", "Wind9.type.json", "README.md", "Tests/Wind9Tests.swift"} | lab
    assert not [name for name, text in files.items() if "MY-" in text or "MyDriver" in text]
    assert "struct Wind9Driver: Driver" in files["Wind9.swift"] and 'name = "wind9"' in files["Wind9.swift"]
    assert "@testable import Drivers" in files["Tests/Wind9Tests.swift"]
    # By the alphabet, at the end here, and nothing else is changed.
    for file, member in (("Package.swift", '    "Wind9",'), ("Drivers/Drivers.swift", "    Wind9Driver.self,")):
        before, after = ((where / file).read_text().split("\n") for where in (CHECKOUT, checkout))
        place = after.index(member)
        assert after[:place] + after[place + 1:] == before
        assert after[place + 1] == "]" and after[place - 1].lower() < member.lower()


@pytest.mark.parametrize("name, option, words", [
    ("wind9", "--i2c", "a capital letter"), ("Wi-nd", "--i2c", "a capital letter"), ("Wind9", "--plain", "--i2c or --gpio"),
])
def test_what_cannot_be_a_driver_of_the_project(checkout: Path, name: str, option: str, words: str) -> None:
    before = (checkout / "Package.swift").read_text()
    done = run("new", "driver", checkout / "Drivers" / name, option)
    assert done.returncode != 0 and words in done.stderr
    assert not (checkout / "Drivers" / name).exists() and (checkout / "Package.swift").read_text() == before
