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


def test_builds_passes_its_test_and_publishes(hub_with_path: tuple[Hub, Path], tmp_path: Path) -> None:
    hub, programs = hub_with_path
    folder = tmp_path / "up-time"
    assert run("new", "driver", folder, "--sensorhub", CHECKOUT).returncode == 0

    def swift(*arguments: Any) -> str:
        done = subprocess.run(
            [SWIFT, *arguments], cwd=folder, env=environment(), capture_output=True, text=True, timeout=1_500)
        assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
        return done.stdout + done.stderr

    swift("build", "--build-tests")
    assert "readsThisMachine" in swift("test", "--skip-build")

    built = folder / ".build/debug/sensorhub-driver-up-time"
    program = programs / built.name
    program.write_bytes(built.read_bytes())
    program.chmod(0o755)
    hub.cli("types", "register", folder / "up-time.type.json")
    hub.cli("sensors", "register", folder / "sensorInstance.json")
    wait_until(lambda: len(hub.json("readings", "up-time-1")["readings"]) > 0, 60, "a reading")
