"""How a program ends when the hub stops it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Callable

import pytest
from peers import FakeHub

Program = Callable[..., "subprocess.Popen[str]"]

READS = """
from sensorhub import Platform
with Platform() as platform:
    platform.wait_for_binding()
    readings = platform.readings()
    print("ready")
    for reading in readings:
        pass
    print("cleaned up")
"""
READS_IN_AN_ENDLESS_LOOP = """
from sensorhub import Platform
with Platform() as platform:
    platform.wait_for_binding()
    print("ready")
    while True:
        for reading in platform.readings(timeout=0.1):
            pass
"""
READS_IN_A_THREAD = """
import threading
from sensorhub import Platform
platform = Platform()
platform.wait_for_binding()
thread = threading.Thread(target=platform.run, args=(print,))
thread.start()
import time; time.sleep(0.5)
print("ready")
while thread.is_alive():
    thread.join(1)
print("cleaned up")
"""
SLEEPS = """
import sys, time
from sensorhub import getSensorData
print(getSensorData(sys.argv[1], 0))
try:
    print("ready")
    for _ in range(60):
        time.sleep(1)
finally:
    print("cleaned up")
"""
HAS_ITS_OWN_HANDLER = """
import signal, sys
from sensorhub import Platform
def handler(number, frame):
    print("cleaned up")
    sys.exit(7)
signal.signal(signal.SIGTERM, handler)
platform = Platform()
print("ready")
platform.run(print)
"""
HAS_CLOSED = """
import time
from sensorhub import Platform
with Platform() as platform:
    platform.wait_for_binding()
print("ready")
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("source", "status", "cleans_up"),
    [
        (READS, 0, True),
        (READS_IN_AN_ENDLESS_LOOP, 0, False),
        (READS_IN_A_THREAD, 0, True),
        (SLEEPS, 0, True),
        (HAS_ITS_OWN_HANDLER, 7, True),
        (HAS_CLOSED, -signal.SIGTERM, False),
    ],
)
def test_sigterm(hub: FakeHub, program: Program, tmp_path: Path, source: str, status: int, cleans_up: bool) -> None:
    hub.bind_ids(("luxsensor", "lux-1"))
    script = tmp_path / "algorithm.py"
    script.write_text(source)
    process = program(script)
    assert process.stdout is not None
    output = ""
    for line in process.stdout:
        output += line
        if line == "ready\n":
            break
    assert "ready" in output, output
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == status, output + rest
    assert ("cleaned up" in rest) == cleans_up
    assert "Traceback" not in rest


def test_started_by_hand_without_an_environment(program: Program, tmp_path: Path) -> None:
    script = tmp_path / "algorithm.py"
    script.write_text("import os\nos.environ.clear()\n" + READS)
    output, _ = program(script).communicate(timeout=60)
    assert "This program is meant to be started by the hub" in output
