"""The platform library over a Unix socket of the broker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest
from broker import Broker
from conftest import SOURCES
from peers import FakeDriver, FakeHub, wait_until

from sensorhub import ControlUndelivered, Platform, Settings


def over_socket(broker: Broker) -> dict[str, str]:
    return {**broker.environment, "SENSORHUB_BROKER": f"unix://{broker.socket}"}


def test_bindings_readings_calls_and_a_new_connection(
    broker: Broker, hub: FakeHub, driver: Callable[..., FakeDriver]
) -> None:
    driver("lux-1")
    with Platform(Settings.from_environment(over_socket(broker))) as platform:
        hub.bind_ids(("luxsensor", "lux-1"))
        assert platform.wait_for_binding(60).version == hub.version
        broker.kill()
        wait_until(lambda: platform._connection.problem is not None)
        with pytest.raises(ControlUndelivered, match=f"no connection to the broker unix://{broker.socket}"):
            platform.call(0, "set_light", on=True)
        wait_until(lambda: "nobody listens at this socket" in (platform._connection.problem or ""))
        broker.start()
        wait_until(lambda: platform._connection.problem is None)


def problem(path: Path, expected: str, **options: Any) -> None:
    """A program says `expected`, and goes on trying."""
    code = (
        "import time\n"
        "from sensorhub import Platform, Settings\n"
        "connection = Platform()._connection\n"
        f"while {expected!r} not in str(connection.problem): time.sleep(0.02)\n"
        "print(connection.problem)\n"
        "assert connection._client._thread.is_alive()\n"
    )
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCES), *sys.path]), "SENSORHUB_HUB": "main",
        "SENSORHUB_BROKER": f"unix://{path}", "SENSORHUB_USER": "u", "SENSORHUB_PASSWORD": "p",
        "SENSORHUB_INSTANCE": "i", "SENSORHUB_APP": "a",
    }
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True,
        cwd="/", **options)
    assert f"no connection to the broker unix://{path}: " in result.stdout


def test_there_is_no_socket(tmp_path: Path) -> None:
    problem(tmp_path / "none", f"there is no such socket; the broker makes it by 'listener 0 {tmp_path}/none'")


def test_it_is_no_socket(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    problem(tmp_path / "file", "nobody listens at this socket")
