"""Limits by control groups (v2), which a real agent in the guest makes for real programs."""

from __future__ import annotations

import uuid
from typing import Any, Iterator

import pytest

from broker import Broker
from guest import Guest, Process
from node_agent import GROUPS, NOBODY, PATIENCE, Agent, put_sensorhub


class Running:
    """An agent that the test itself has started."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def output(self) -> str:
        return self._process.output

    def stop(self) -> None:
        self._process.stop(timeout=PATIENCE)


def agent_in(guest: Guest, broker: Broker, group: str = GROUPS, uid: int = 0) -> Agent:
    """Root puts the service into its group, as systemd does it."""
    user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []

    def start(command: list[str], environment: dict[str, str]) -> Any:
        joining = ["sh", "-c", f'echo 0 > {group}/cgroup.procs && exec "$@"', "sh"]
        return Running(guest.spawn(*joining, *user, *command, env=environment))

    return Agent(guest, broker, start, uid)


@pytest.fixture
def unit(guest: Guest) -> str:
    """A group that is nobody's own, as by Delegate=yes."""
    put_sensorhub(guest)
    guest.write(f"{GROUPS}/cgroup.subtree_control", "+cpu +memory +pids")
    unit = f"{GROUPS}/unit-{uuid.uuid4().hex[:6]}"
    guest.call("mkdir", path=unit)
    for name in ("", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"):
        guest.run("chown", str(NOBODY), unit + name)
    return unit


@pytest.fixture(params=["root", "service"])
def agent(request: pytest.FixtureRequest, guest: Guest, broker: Broker, unit: str) -> Iterator[Agent]:
    """One of root's, in the group of everything; and one without any rights, in a group of its own."""
    agent = agent_in(guest, broker) if request.param == "root" else agent_in(guest, broker, unit, NOBODY)
    yield agent
    agent.stop()


def test_programs_are_held(agent: Agent) -> None:
    agent.check_that_programs_are_held()
    assert agent.events("bomb", "pids.events")["max"] >= 1
    # All of the hog was killed.
    events = agent.events("hog", "memory.events")
    assert events["oom_kill"] >= 2 and events["oom_group_kill"] == 1
    assert agent.events("busy", "cpu.stat")["nr_throttled"] >= 10
    # What is gone leaves no group behind.
    group = agent.group("bomb")
    agent.remove("bomb")
    agent.wait(lambda: not agent.guest.glob(group), "the end of the bomb's group")


def test_an_agent_that_starts_again_finds_its_group(guest: Guest, broker: Broker, unit: str) -> None:
    """It begins where the one before has put all processes, as one that `sensorhub up` starts again."""
    first = agent_in(guest, broker, unit, NOBODY)
    first.stop()
    second = agent_in(guest, broker, f"{unit}/sensorhub-services", NOBODY)
    second.stop()
    assert first.limits == second.limits and unit in first.limits
