"""Limits on a machine with systemd: it is started in the guest, and starts the agent as a service."""

from __future__ import annotations

from typing import Iterator

import pytest

from broker import Broker
from guest import Guest, Process
from node_agent import CHECKOUT, NEIGHBOUR, PATIENCE, Agent, put_sensorhub

UNITS = "/run/systemd/system"


class Systemd:
    """The first process of a process space of its own, with nothing to run but what a test gives it."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        guest.call("mkdir", path=UNITS)
        guest.write(f"{UNITS}/lab.target", "[Unit]\nDefaultDependencies=no\n")
        self.process: Process = guest.spawn(
            "unshare", "--fork", "--pid", "--mount-proc", "--kill-child", "env", "container=lab", "/lib/systemd/systemd",
            "--system", "--unit=lab.target", "--log-target=console", "--machine-id=0123456789abcdef0123456789abcdef")

    def run(self, *command: str, check: bool = True) -> str:
        """Runs a command where systemd is the first process."""
        pid = self.guest.run("pgrep", "--parent", str(self.process.pid)).stdout.strip()
        inside = ["nsenter", f"--target={pid}", "--pid", "--mount", "--root", "--wd", "--"]
        return self.guest.run(*inside, *command, check=check, timeout=PATIENCE).stdout

    def stop(self) -> None:
        self.process.stop(9)
        self.guest.run("rm", "-rf", "/run/systemd")


class Service:
    """A unit of the test's own."""

    def __init__(self, systemd: Systemd, name: str, settings: dict[str, str]) -> None:
        self.systemd = systemd
        self.name = name
        self.settings = settings

    def start(self, command: list[str], environment: dict[str, str]) -> Service:
        self._output = f"/run/tmp/{self.name}.out"
        lines = [f"{name}={value}" for name, value in self.settings.items()]
        lines += [f"Environment={name}={value}" for name, value in environment.items()]
        lines += [f"ExecStart={' '.join(command)}", f"StandardOutput=append:{self._output}"]
        text = "\n".join(["[Unit]", "DefaultDependencies=no", "[Service]", *lines, "StandardError=inherit", ""])
        self.systemd.guest.write(f"{UNITS}/{self.name}.service", text)
        # There before the service is.
        self.systemd.guest.write(self._output, "")
        self.systemd.run("systemctl", "start", self.name)
        return self

    @property
    def output(self) -> str:
        return self.systemd.guest.read(self._output)

    def stop(self) -> None:
        self.systemd.run("systemctl", "stop", self.name)


@pytest.fixture(scope="module")
def systemd(guest: Guest, broker: Broker) -> Iterator[Systemd]:
    put_sensorhub(guest)
    systemd = Systemd(guest)
    broker.wait(
        lambda: "running" in systemd.run("systemctl", "is-system-running", check=False),
        lambda: f"systemd: {systemd.process.output}", PATIENCE)
    yield systemd
    systemd.stop()


def test_a_delegated_unit_is_divided(guest: Guest, broker: Broker, systemd: Systemd) -> None:
    """As docs/running.md has it."""
    service = Service(systemd, "delegated", {"User": "nobody", "Delegate": "yes", "KillMode": "mixed"})
    agent = Agent(guest, broker, service.start, 65_534)
    assert "control group /sys/fs/cgroup/system.slice/delegated.service" in agent.limits
    agent.check_that_programs_are_held()
    agent.stop()
    # Nothing is left in the way of the next start.
    systemd.run("systemctl", "start", "delegated")
    agent.wait(lambda: service.output.count("connected to the broker") == 2, "its second start")
    agent.stop()


def test_a_killed_agent_comes_back_to_its_programs(guest: Guest, broker: Broker, systemd: Systemd) -> None:
    """With the unit's settings as docs/running.md has them."""
    text = (CHECKOUT / "docs" / "running.md").read_text()
    settings = dict(line.split("=", 1) for line in text.splitlines() if line.split("=")[0] in (
        "Restart", "RestartSec", "KillMode", "Delegate", "ExecStopPost"))
    service = Service(systemd, "killed", {"User": "nobody", **settings})
    agent = Agent(guest, broker, service.start, 65_534)
    neighbour = agent.deploy("neighbour", NEIGHBOUR, limits={"memory": "64M"})
    agent.finding(neighbour, "count")
    systemd.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", "killed")
    agent.wait(lambda: service.output.count("connected to the broker") == 2, "its second start")
    assert agent.limits.startswith("control group /sys/fs/cgroup/system.slice/killed.service")
    # The same run counts on, and is in its group.
    before = int(agent.finding(neighbour, "count"))
    agent.wait(lambda: int(agent.finding(neighbour, "count")) > before + 5, "the neighbour goes on")
    assert max(record["run"] for record in agent.records(neighbour)) == 1
    assert agent.events(neighbour, "pids.events")["max"] == 0
    agent.stop()


def test_without_delegation_roots_programs_get_scopes(guest: Guest, broker: Broker, systemd: Systemd) -> None:
    service = Service(systemd, "undelegated", {"KillMode": "mixed"})
    agent = Agent(guest, broker, service.start)
    assert "systemd-run --scope" in agent.limits
    agent.check_that_programs_are_held()
    assert systemd.run("systemctl", "list-units", "--type=scope", "--no-legend").count("sensorhub: algorithm-") == 3
    # That one was out of memory is not left with systemd.
    assert "sensorhub" not in systemd.run("systemctl", "list-units", "--state=failed", "--no-legend")
    agent.stop()


def test_without_delegation_and_rights_it_is_said(guest: Guest, broker: Broker, systemd: Systemd) -> None:
    agent = Agent(guest, broker, Service(systemd, "plain", {"User": "nobody", "KillMode": "mixed"}).start, 65_534)
    assert not agent.offers["memory"] and not agent.offers["cpu"]
    assert "Delegate=yes" in next(found["advice"] for found in agent.offers["findings"] if found["subject"] == "limits")
    agent.stop()
