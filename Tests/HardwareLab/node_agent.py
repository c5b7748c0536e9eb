"""A real agent in the guest, and programs for it that take all they can get, for tests of limits."""

from __future__ import annotations

import hashlib
import io
import json
import os
import uuid
import zipfile
from pathlib import Path
from typing import Any, Callable

from broker import ROOT, Broker
from guest import Guest

CHECKOUT = Path(__file__).resolve().parents[2]
SENSORHUB = "/run/tmp/sensorhub"
GROUPS = "/sys/fs/cgroup"
EXECUTABLE = json.loads((CHECKOUT / "Runtimes" / "executable.json").read_text())
# Of those that are started here, whose Python takes its time to start under emulation.
PATIENCE = 120
NOBODY = 65_534

# What each program finds out it writes into its folder; the name comes last, so that it is all there.
START = """\
#!/usr/bin/python3
import os, signal, sys, time
state = os.environ["SENSORHUB_STATE"]


def tell(name, text):
    with open(f"{state}/{name}.new", "w") as file:
        file.write(str(text))
    os.rename(f"{state}/{name}.new", f"{state}/{name}")


"""
# Where nothing holds it, it holds itself.
FORK_BOMB = START + """\
signal.alarm(120)
children = 0
try:
    while children < 200:
        if os.fork() == 0:
            signal.alarm(120)
            signal.pause()
        children += 1
except OSError as error:
    tell("held", f"{children}: {error.strerror}")
else:
    tell("held", "not held")
time.sleep(600)
"""
MEMORY_HOG = START + """\
if os.path.exists(f"{state}/has"):
    tell("again", "")
    time.sleep(600)
# What it has started goes with it.
if os.fork() == 0:
    time.sleep(600)
held = []
for number in range(1, 20):
    held.append(bytearray(os.urandom(1 << 20) * 8))
    tell("has", 8 * number)
tell("not-held", "")
time.sleep(600)
"""
BUSY = START + """\
began, used = time.monotonic(), time.process_time()
while time.monotonic() < began + 6:
    pass
tell("share", (time.process_time() - used) / (time.monotonic() - began))
time.sleep(600)
"""
NEIGHBOUR = START + """\
number = 0
while True:
    number += 1
    tell("count", number)
    time.sleep(0.2)
"""


class Agent:
    """`sensorhub agent` in the guest, and as much of a hub as it needs to be told what to run."""

    def __init__(
        self, guest: Guest, broker: Broker, start: Callable[[list[str], dict[str, str]], Any], uid: int = 0,
    ) -> None:
        """`start` starts a command line with an environment, and returns what has `output` and `stop`."""
        self.guest = guest
        self.broker = broker
        self.node = f"lab-{uuid.uuid4().hex[:6]}"
        self.data = f"/run/tmp/{self.node}"
        self.programs: list[dict[str, Any]] = []
        guest.call("mkdir", path=self.data)
        guest.run("chown", f"{uid}:{uid}", self.data)
        settings = {
            "hub": {"id": ROOT.split("/")[1]}, "node": {"id": self.node},
            "broker": {"address": f"mqtt://10.0.2.2:{broker.port}", "password": "any"},
            "agent": {"data": f"{self.data}/data", "statisticsSeconds": 0},
        }
        guest.write(f"{self.data}/agent.json", json.dumps(settings))
        self.process = start(
            [SENSORHUB, "agent", "--config", f"{self.data}/agent.json"],
            {"SENSORHUB_SHARE": str(CHECKOUT), "HOME": self.data, "LANG": "C.UTF-8"})
        self.wait(lambda: "connected to the broker" in self.process.output, "its connection")

    def wait(self, predicate: Callable[[], Any], what: str) -> Any:
        return self.broker.wait(predicate, lambda: f"{what}; the agent says:\n{self.process.output[-4_000:]}", PATIENCE)

    @property
    def offers(self) -> dict[str, Any]:
        return dict(json.loads(self.guest.read(f"{self.data}/data/confinement.json")))

    def deploy(self, id: str, text: str, **entry: Any) -> str:
        """Has the agent run a program, and returns its id."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("main.py", text)
        sha256 = hashlib.sha256(archive.getvalue()).hexdigest()
        program = {
            "id": id, "program": "algorithm", "credential": None, "app": id, "sha256": sha256, "script": "main.py",
            "runtime": EXECUTABLE, "requirements": [], "arguments": [], **entry,
        }
        self.programs.append(program)
        self.plan()
        program["credential"] = self.wait(lambda: self.told("credential", id=id), f"the password of {id}")["hash"]
        self.plan()
        self.wait(lambda: self.told("archive_wanted", sha256=sha256), f"the wish for {id}'s archive")
        self.broker.publish_bytes(f"nodes/{self.node}/archive/{sha256}", archive.getvalue())
        return id

    def plan(self) -> None:
        self.broker.publish(f"nodes/{self.node}/command", {"kind": "plan", "programs": self.programs})

    def told(self, kind: str, **wanted: Any) -> Any:
        reports = [message.json for message in self.broker.messages(f"nodes/{self.node}/report")]
        return next((report for report in reports if {"kind": kind, **wanted}.items() <= report.items()), None)

    def records(self, id: str) -> list[dict[str, Any]]:
        """What the program's journal has so far; nobody confirms it here, so that it comes again and again."""
        found: dict[int, dict[str, Any]] = {}
        for message in self.broker.messages(f"nodes/{self.node}/report"):
            report = message.json
            if report.get("kind") == "journal" and report["id"] == id:
                found |= {record["n"]: record for record in report["records"]}
        return [found[number] for number in sorted(found)]

    def finding(self, id: str, name: str) -> str:
        """What a program has written into its folder, once it has."""
        path = f"{self.data}/data/programs/algorithm-{id}/state/{name}"
        self.wait(lambda: self.guest.glob(path), f"{name} of {id}")
        return self.guest.read(path)

    def has_found(self, id: str, name: str) -> bool:
        return bool(self.guest.glob(f"{self.data}/data/programs/algorithm-{id}/state/{name}"))

    def group(self, id: str) -> str:
        name = f"{ROOT.split('/')[1]}.{self.node}.algorithm-{id}"
        # Below a group of a test's own, or below systemd's for services.
        (path,) = self.wait(
            lambda: self.guest.glob(f"{GROUPS}/*/{name}") + self.guest.glob(f"{GROUPS}/*/*/{name}"), f"the group of {id}")
        return str(path)

    def events(self, id: str, file: str) -> dict[str, int]:
        lines = self.guest.read(f"{self.group(id)}/{file}").splitlines()
        return {name: int(number) for name, number in (line.split() for line in lines)}

    @property
    def limits(self) -> str:
        """What it says of limits here."""
        return str(next(found["detail"] for found in self.offers["findings"] if found["subject"] == "limits"))

    def check_that_programs_are_held(self) -> None:
        """Runs one of each kind."""
        assert self.offers["memory"] and self.offers["cpu"] and self.offers["processes"]
        neighbour = self.deploy("neighbour", NEIGHBOUR)
        self.finding(neighbour, "count")

        bomb = self.deploy("bomb", FORK_BOMB, limits={"processes": 20})
        # Itself is one of the twenty.
        assert self.finding(bomb, "held") == "19: Resource temporarily unavailable"

        hog = self.deploy("hog", MEMORY_HOG, limits={"memory": "64M"})
        # It was killed, and was started again.
        self.finding(hog, "again")
        self.wait(
            lambda: any("out of memory" in record.get("reason", "") for record in self.records(hog)),
            "the reason of its end")
        assert 8 <= int(self.finding(hog, "has")) < 64 and not self.has_found(hog, "not-held")

        busy = self.deploy("busy", BUSY, limits={"cpu": 30})
        assert float(self.finding(busy, "share")) < 0.5

        before = int(self.finding(neighbour, "count"))
        self.wait(lambda: int(self.finding(neighbour, "count")) > before + 5, "the neighbour goes on")

    def remove(self, id: str) -> None:
        """Has a program no longer run there."""
        self.programs = [program for program in self.programs if program["id"] != id]
        self.plan()

    def stop(self) -> None:
        self.process.stop()


def put_sensorhub(guest: Guest) -> None:
    """Has the guest have what was built, and control groups."""
    for name in ("sensorhub", "sensorhub-watch"):
        guest.put(Path(os.environ["SENSORHUB_TEST_BUILD"]).resolve() / name, f"/run/tmp/{name}")
    if not guest.glob(f"{GROUPS}/cgroup.controllers"):
        guest.run("mount", "-t", "cgroup2", "cgroup2", GROUPS)
