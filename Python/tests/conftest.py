"""A real broker for each test module, with the rights that the hub gives an algorithm, and peers to talk to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from broker import Broker
from peers import FakeDriver, FakeHub

from sensorhub import Platform, Settings

SOURCES = Path(__file__).parent.parent / "src"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def hub(broker: Broker) -> Iterator[FakeHub]:
    """The hub's side: publishes bindings and receives pages."""
    with FakeHub(broker) as peer:
        yield peer
        peer.unbind()


@pytest.fixture
def driver(broker: Broker) -> Iterator[Callable[..., FakeDriver]]:
    """Starts drivers: `driver("lux-1")`."""
    started: list[FakeDriver] = []

    def start(sensor: str, **options: Any) -> FakeDriver:
        started.append(FakeDriver(broker, sensor, **options))
        return started[-1]

    yield start
    for peer in started:
        peer.close()


@pytest.fixture
def settings(broker: Broker) -> Settings:
    return Settings.from_environment(broker.environment)


@pytest.fixture
def platform(settings: Settings) -> Iterator[Platform]:
    with Platform(settings) as one:
        yield one


@pytest.fixture
def program(broker: Broker) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a program as the hub does: `program(path)`; ends it with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path) -> subprocess.Popen[str]:
        environment = {**os.environ, **broker.environment, "PYTHONPATH": str(SOURCES), "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, *map(str, arguments), broker.environment["SENSORHUB_INSTANCE"]]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
