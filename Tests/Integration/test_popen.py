"""`Platform.popen` of the library for Python, with a hub and an agent."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest
from sensorhub import CommandError, Platform, Settings

from hub import Hub
from test_commands import TICKER, deploy
from test_outages import kept_down


def connect(hub: Hub, instance: str) -> Platform:
    """As the program of an algorithm instance does."""
    return Platform(Settings.from_environment(hub.environment_of(instance)))


@pytest.fixture(scope="module")
def platform(own_hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with connect(own_hub, deploy(own_hub, tmp_path_factory.mktemp("popen"), "popen", commands=True)) as platform:
        yield platform


def test_popen_has_output_and_return_code(own_hub: Hub, platform: Platform) -> None:
    script = "echo one; echo 'à la' >&2; read word; echo two; exit 7"
    command = platform.popen(own_hub.node, ["sh", "-c", script], input=True)
    assert command.poll() is None
    command.write("go on\n")
    assert list(command.stdout) == ["one", "two"] and list(command.stderr) == ["à la"]
    assert command.wait(60) == 7 and command.poll() == 7
    # One that has ended takes no signal, as with Popen.
    command.terminate()
    quick = platform.popen(own_hub.node, ["true"], name="quick")
    assert quick.wait(60) == 0 and quick.id.startswith("quick-")
    assert platform.popen(own_hub.node, ["sh", "-c", "echo $A"], environment={"A": "b"}).stdout.__next__() == "b"


def test_popen_has_all_of_many_lines(own_hub: Hub, platform: Platform) -> None:
    # Fewer in a second than the agent lets through.
    command = platform.popen(own_hub.node, ["sh", "-c", "for i in 1 2 3; do seq 300; sleep 1.1; done"])
    assert list(command.stdout) == 3 * [str(n) for n in range(1, 301)] and command.wait() == 0
    assert command.stdout.dropped == 0


def test_popen_sends_signals(own_hub: Hub, platform: Platform) -> None:
    command = platform.popen(own_hub.node, ["sh", "-c", TICKER])
    assert next(command.stdout) == "up"
    with pytest.raises(subprocess.TimeoutExpired):
        command.wait(0.1)
    command.send_signal(signal.SIGHUP)
    assert next(command.stdout) == "hup"
    command.terminate()
    assert next(command.stdout) == "farewell" and command.wait(60) == 5
    other = platform.popen(own_hub.node, ["sleep", "1000"])
    other.kill()
    assert other.wait(60) == -signal.SIGKILL


def test_popen_says_what_is_wrong(own_hub: Hub, platform: Platform) -> None:
    with pytest.raises(CommandError, match="there is no node 'nowhere'") as refused:
        platform.popen("nowhere", ["true"])
    assert refused.value.status == 404
    with pytest.raises(CommandError, match="/no/such/program"):
        platform.popen(own_hub.node, ["/no/such/program"])
    with pytest.raises(TypeError, match="list of words"):
        platform.popen(own_hub.node, "ls -l")


def test_popen_is_not_for_everybody(own_hub: Hub, tmp_path: Path) -> None:
    instance = deploy(own_hub, tmp_path, "quiet")
    with connect(own_hub, instance) as platform:
        with pytest.raises(CommandError, match='Not authorized; the deployment of this algorithm needs "commands": true'):
            platform.popen(own_hub.node, ["true"])
    own_hub.cli("stop", instance)


def test_popen_hears_of_an_end_that_it_has_missed(own_hub: Hub, platform: Platform) -> None:
    command = platform.popen(own_hub.node, ["sleep", "2"])
    own_hub.close()
    with kept_down(own_hub, "mosquitto", "broker"):
        time.sleep(3)
    assert command.wait(60) == 0


def test_popen_has_input(own_hub: Hub, platform: Platform) -> None:
    command = platform.popen(own_hub.node, ["sh", "-c", "read a; echo got $a; cat"], input=True)
    try:
        command.write("à\n")
        command.write(b"rest")
        command.close_input()
        assert command.wait(60) == 0
        assert list(command.stdout) == ["got à", "rest"]
    finally:
        command.kill()
