"""Programs that take all they can get, under limits, and what isolated ones see of the machine."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Iterator, Optional

import pytest

from hub import Hub, wait_until
from samples import app_zip, deployment, write

MIB = 1 << 20

# Counts, and stops when it is told to.
NEIGHBOUR = """\
#!/usr/bin/env python3
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("farewell", flush=True), sys.exit(0)))
number = 0
while True:
    number += 1
    print(f"count {number}", flush=True)
    time.sleep(0.2)
"""

# Where nothing holds it, it holds itself: 200 processes, for a minute.
FORK_BOMB = """\
#!/usr/bin/env python3
import os, signal, time
signal.alarm(60)
children = 0
try:
    while children < 200:
        if os.fork() == 0:
            signal.alarm(60)
            signal.pause()
        children += 1
except OSError as error:
    print(f"held at {children}: {error.strerror}", flush=True)
else:
    print("not held", flush=True)
time.sleep(60)
"""

# Where nothing holds it, it ends with 1 GiB.
MEMORY_HOG = """\
#!/usr/bin/env python3
held = []
while len(held) < 128:
    held.append(b"x" * (8 << 20))
    print(f"has {8 * len(held)} MiB", flush=True)
print("not held", flush=True)
"""

FLOOD_BYTES = 1 << 30
FLOOD = """\
#!/usr/bin/env python3
import os, time
line = b"x" * 1023 + b"\\n"
block = line * 64
for _ in range((1 << 30) // len(block)):
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(1, rest):]
print("flooded", flush=True)
time.sleep(3600)
"""

OPENER = """\
#!/usr/bin/env python3
import time
held = []
try:
    while len(held) < 10_000:
        held.append(open("/dev/null"))
except OSError as error:
    held.pop()
    print(f"held at {len(held)}: {error.strerror}", flush=True)
time.sleep(3600)
"""

# What an app of a stranger would look for.
STRANGER = """\
#!/usr/bin/env python3
import json, os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("farewell", flush=True), sys.exit(0)))


def can(action):
    try:
        action()
        return True
    except OSError:
        return False


def write(path):
    return can(lambda: open(path, "w").close())


state = os.environ["SENSORHUB_STATE"]
data = state.split("/agent/programs/")[0]
print(json.dumps({
    "uid": os.getuid(), "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
    "app": can(lambda: os.listdir(os.getcwd())), "app_written": write("written"), "state": write(f"{state}/written"),
    "tmp": write("/tmp/written"), "usr": write("/usr/written"), "home": sorted(os.listdir("/home")) if os.path.exists("/home") else [],
    "home_variable": os.environ["HOME"] == state, "data": can(lambda: os.listdir(data)),
    "connection": can(lambda: open(f"{data}/connection.json").close()),
    "secrets": can(lambda: os.listdir(f"{data}/agent/secrets")),
    "devices": sorted(os.listdir("/dev")),
}), flush=True)
while True:
    time.sleep(0.1)
"""

CRASHER = """\
#!/bin/sh
echo about to crash
sleep 2
kill -SEGV $$
"""


@pytest.fixture(scope="module")
def tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("limits")


@pytest.fixture(scope="module")
def offered(own_hub: Hub) -> dict[str, Any]:
    """What the agent has found that this machine can do."""
    return dict(json.loads((own_hub.data / "agent" / "confinement.json").read_text()))


class Programs:
    def __init__(self, hub: Hub, folder: Path) -> None:
        self.hub = hub
        self.folder = folder
        self.running: list[str] = []

    def deploy(self, app: str, text: str, lang: str = "executable", **entry: Any) -> str:
        """Installs an app with this program as its algorithm, deploys it, and returns the instance's id."""
        archive = app_zip(self.folder, app, "main.py", text)
        self.hub.cli("apps", "install", app, archive)
        document = deployment(app, lang=lang, **entry)
        (result,) = self.hub.json("deploy", write(self.folder / f"{app}.json", document), "--no-wait")["entries"]
        self.running.append(str(result["instance_id"]))
        return self.running[-1]

    def lines(self, id: str) -> list[str]:
        return [line["text"] for line in self.hub.rpc("logs", "get", id=id, last=1_000)["lines"]]

    def line(self, id: str, start: str, timeout: float = 60) -> str:
        """Waits for a line that begins so."""
        def found() -> Optional[str]:
            return next((text for text in self.lines(id) if text.startswith(start)), None)

        return str(wait_until(found, timeout, f"a line '{start}…' of {id}"))

    def stop(self) -> None:
        for id in self.running:
            self.hub.cli("stop", id)
            wait_until(lambda: not self.hub.program(id), 60, f"the end of {id}")


@pytest.fixture
def programs(own_hub: Hub, tmp: Path) -> Iterator[Programs]:
    programs = Programs(own_hub, tmp)
    yield programs
    programs.stop()


@pytest.fixture(scope="module")
def neighbour(own_hub: Hub, tmp: Path) -> str:
    programs = Programs(own_hub, tmp)
    id = programs.deploy("neighbour", NEIGHBOUR)
    own_hub.wait_until_running(id)
    return id


def last_count(hub: Hub, neighbour: str) -> int:
    lines = [line["text"] for line in hub.rpc("logs", "get", id=neighbour, last=50)["lines"]]
    counts = [int(text.split()[1]) for text in lines if text.startswith("count ")]
    return counts[-1] if counts else 0


def assert_all_is_well(hub: Hub, neighbour: str, agent: int) -> None:
    """The neighbour goes on in the same run, hub and agent are there and answer soon."""
    before = last_count(hub, neighbour)
    wait_until(lambda: last_count(hub, neighbour) >= before + 5, 60, "the neighbour goes on")
    program = hub.program(neighbour)
    assert program["state"] == "RUNNING" and program["runs"] == 1
    began = time.monotonic()
    assert hub.rpc("hub", "status")["nodes"] == [{"node": hub.node, "status": "online"}]
    assert time.monotonic() - began < 30
    assert hub.part("agent") == agent


def test_a_fork_bomb_is_held(own_hub: Hub, programs: Programs, neighbour: str, offered: dict[str, Any]) -> None:
    agent = own_hub.part("agent")
    bomb = programs.deploy("bomb", FORK_BOMB, limits={"processes": 20})
    own_hub.wait_until_running(bomb)
    if not offered["processes"]:
        # Nothing is promised then, but that it is said.
        assert programs.line(bomb, "not limited as asked for: processes: ")
        return
    held = programs.line(bomb, "held at ")
    # Itself is one of the twenty.
    assert held == "held at 19: Resource temporarily unavailable"
    assert_all_is_well(own_hub, neighbour, agent)


def test_a_memory_hog_is_held(own_hub: Hub, programs: Programs, neighbour: str) -> None:
    agent = own_hub.part("agent")
    hog = programs.deploy("hog", MEMORY_HOG, limits={"memory": "64M"})
    programs.line(hog, "has 8 MiB")
    wait_until(lambda: own_hub.program(hog).get("state") in ("BACKOFF", "STARTING", "FATAL"), 60, "its end")
    wait_until(lambda: own_hub.program(hog)["runs"] >= 2, 60, "its next start")
    lines = programs.lines(hog)
    most = max(int(text.split()[1]) for text in lines if text.startswith("has "))
    assert 8 <= most < 64 and "not held" not in lines
    assert_all_is_well(own_hub, neighbour, agent)


def test_a_log_flood_is_held(own_hub: Hub, programs: Programs, neighbour: str) -> None:
    agent = own_hub.part("agent")
    flood = programs.deploy("flood", FLOOD)
    own_hub.wait_until_running(flood)
    most = 0

    def is_over() -> bool:
        nonlocal most
        resident = Path(f"/proc/{agent}/statm").read_text().split()[1]
        most = max(most, int(resident) * os.sysconf("SC_PAGE_SIZE"))
        return written(own_hub.program(flood)["pid"]) >= FLOOD_BYTES

    before = last_count(own_hub, neighbour)
    wait_until(is_over, 300, "all of the gigabyte")
    assert last_count(own_hub, neighbour) > before
    assert most < 256 * MIB
    assert_all_is_well(own_hub, neighbour, agent)
    # What was left out is said, and the log keeps its bound.
    wait_until(lambda: any(" lines dropped" in text for text in programs.lines(flood)), 60, "what was left out")
    assert own_hub.value("SELECT count(*) FROM hub.log_line WHERE id = %s", flood) <= 12_000


def written(pid: int) -> int:
    """How many bytes a process has written, with those below it: the one that is known may be a wrapping."""
    total = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(file.read_text().rsplit(")", 1)[1].split()[1])
            number = int(file.parent.name)
            if number == pid:
                fields = dict(line.split(": ") for line in (file.parent / "io").read_text().splitlines())
                total += int(fields["wchar"])
            elif parent == pid:
                total += written(number)
        except OSError:
            # It has ended.
            pass
    return total


def test_open_files_are_held(programs: Programs) -> None:
    opener = programs.deploy("opener", OPENER, limits={"files": 64})
    held = programs.line(opener, "held at ")
    assert held.endswith("Too many open files") and 40 < int(held.split()[2].rstrip(":")) < 64


def test_an_isolated_program_sees_little(
    own_hub: Hub, programs: Programs, neighbour: str, offered: dict[str, Any],
) -> None:
    if not offered["isolation"]:
        pytest.skip("this machine cannot isolate programs")
    stranger = programs.deploy("stranger", STRANGER)
    seen = json.loads(programs.line(stranger, "{"))
    assert seen["uid"] != 0
    # bubblewrap's own and itself.
    assert seen["processes"] == 2
    assert seen["app"] and not seen["app_written"] and seen["state"] and seen["tmp"] and not seen["usr"]
    assert seen["home"] == [] and seen["home_variable"]
    assert not seen["connection"] and not seen["secrets"]
    assert set(seen["devices"]) <= {
        "console", "core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero"}
    # What is told of its process is not of bubblewrap's.
    def described() -> dict[str, Any]:
        program = own_hub.program(stranger)
        return program if program["main"] not in (None, program["pid"]) and "python3" in program["line"] else {}

    program = wait_until(described, 60, "a sample of it")
    assert program["uid"] == seen["uid"]
    assert Path(f"/proc/{program['main']}/cmdline").read_text().replace("\0", " ").strip() == program["line"]
    # What it has kept is there again, and it hears that it is to stop.
    own_hub.cli("restart", stranger)
    wait_until(lambda: "farewell" in programs.lines(stranger), 60, "its farewell")
    state = own_hub.data / "agent" / "programs" / f"algorithm-{stranger}" / "state"
    assert (state / "written").exists()
    if os.geteuid() == 0:
        assert (state / "written").stat().st_uid == seen["uid"]


def test_isolation_can_be_off(own_hub: Hub, programs: Programs) -> None:
    open_one = programs.deploy("open", STRANGER, isolation=False)
    seen = json.loads(programs.line(open_one, "{"))
    assert seen["processes"] > 5
    assert seen["state"] and seen["app"]
    # Root's apps are somebody else's all the same.
    assert seen["uid"] != 0
    if os.geteuid() == 0:
        assert not seen["app_written"] and not seen["secrets"] and not seen["connection"]


@pytest.mark.parametrize("isolation", [True, False])
def test_how_it_ended_is_told_right(own_hub: Hub, programs: Programs, isolation: bool) -> None:
    crasher = programs.deploy(f"crasher-{isolation}", CRASHER, isolation=isolation)
    wait_until(
        lambda: "signal 11 (SIGSEGV)" in own_hub.program(crasher).get("reason", ""), 60, "the reason of its end")


def test_an_isolated_algorithm_in_python_runs(own_hub: Hub, programs: Programs) -> None:
    text = "from sensorhub import Platform\nwith Platform() as platform:\n    print('is bound', flush=True)\n"
    algorithm = programs.deploy("python", text, lang="python")
    programs.line(algorithm, "is bound", 180)


@pytest.mark.parametrize("entry, error", [
    ({"limits": {"memory": "lots"}}, "1.limits.memory: 'lots' is no amount of memory"),
    ({"limits": {"memroy": "64M"}}, "1.limits: unknown key 'memroy' (did you mean 'memory'?)"),
    ({"limits": {"cpu": 0}}, "1.limits.cpu: must be from 1 to 100000, is 0"),
    ({"isolation": "yes"}, "1.isolation: expected true or false, found text"),
])
def test_wrong_limits_are_named(own_hub: Hub, tmp: Path, neighbour: str, entry: dict[str, Any], error: str) -> None:
    assert error in own_hub.refusal("deploy", write(tmp / "wrong.json", deployment("neighbour", **entry)))
