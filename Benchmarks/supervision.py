"""Measures how programs are supervised, side by side with Debian's supervisor, and prints the tables of
docs/performance.md.

    make supervision
    Benchmarks/supervision.py --programs 100 --kills 100

All run the same script, which says in a file that it was started; ours once more isolated, which supervisor does not have.
Ours is a whole agent with its hub and broker; what these take is not counted, as supervisor has nothing that corresponds
to them. Of an isolated program bubblewrap's two processes are among those that supervise. What is run comes from
$SENSORHUB_TEST_BUILD.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "Tests" / "Integration")]

from figures import cpu_seconds, machine, percentile, row  # noqa: E402
from hub import BUILD, processes_of  # noqa: E402
from samples import app_zip, deployment, write  # noqa: E402
from services import Services  # noqa: E402

SCRIPT = """#!/bin/sh
echo started >> "${SENSORHUB_STATE:-$STATE}/starts"
exec sleep 100000
"""
CONFIGURATION = """[supervisord]
nodaemon = true
logfile = {folder}/supervisord.log
pidfile = {folder}/supervisord.pid
childlogdir = {folder}
"""
PROGRAM = """
[program:p{number}]
command = {folder}/main.sh
environment = STATE="{folder}/{number}"
autorestart = true
"""


class Programs:
    """The programs of one of the two, by the files in which they say that they were started."""

    def __init__(self, folders: list[Path]) -> None:
        self.files = [folder / "starts" for folder in folders]

    def process(self, file: Path) -> int:
        """The program itself, by its environment: its own number for itself may be another than the machine's."""
        mark = f"STATE={file.parent}\0".encode()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes() and (process / "comm").read_text() == "sleep\n":
                    return int(process.name)
            except OSError:
                # It has ended.
                pass
        raise AssertionError(f"there is no program that writes {file}")

    def wait_for_all(self, before: dict[Path, int]) -> float:
        """Returns when each has been started once more; how long that was after the call, in seconds."""
        begin = time.monotonic()
        left = list(self.files)
        while left:
            # A line has been written as soon as the file is longer.
            left = [file for file in left if size(file) == before.get(file, 0)]
            assert time.monotonic() < begin + 120, f"{len(left)} programs do not start"
            time.sleep(0.002)
        return time.monotonic() - begin

    def kill(self, file: Path) -> float:
        """Kills a program; how long until the next one is there, in seconds."""
        pid, before = self.process(file), size(file)
        begin = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        while size(file) == before:
            assert time.monotonic() < begin + 60, f"{file} is not started again"
            time.sleep(0.0002)
        return time.monotonic() - begin


def size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def memory(pids: list[int]) -> dict[str, float]:
    """Of all these processes together, in MiB."""
    sums: dict[str, float] = {}
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, value = line.split(":")
            sums[name] = sums.get(name, 0) + int(value.split()[0]) / 1_024
    return {
        "resident": sums["Rss"], "proportional": sums["Pss"], "private": sums["Private_Clean"] + sums["Private_Dirty"]}


class Result:
    def __init__(self, start: float, restarts: list[float], pids: list[int], idle: float) -> None:
        self.start = start
        self.restarts = restarts
        self.processes = len(pids)
        self.memory = memory(pids)
        # Percent of one core.
        begin = sum(map(cpu_seconds, pids))
        time.sleep(idle)
        self.cpu = (sum(map(cpu_seconds, pids)) - begin) / idle * 100


def measure(
    programs: Programs, start: Callable[[], None], supervisors: Callable[[], list[int]], kills: int, idle: float,
) -> Result:
    before = {file: size(file) for file in programs.files}
    start()
    took = programs.wait_for_all(before)
    # Past the seconds after which a program has been started well.
    time.sleep(5)
    restarts = [programs.kill(programs.files[number % len(programs.files)]) for number in range(kills)]
    time.sleep(5)
    return Result(took, restarts, supervisors(), idle)


def ours(count: int, kills: int, idle: float, isolation: bool) -> Result:
    services = Services()
    try:
        services.start_postgres()
        services.start_mosquitto()
        services.start_hub()
        hub = services.person_at("bench")
        data = services.folder / "agent"
        try:
            hub.cli("apps", "install", "bench", app_zip(services.folder, "bench", "main.sh", SCRIPT))
            document: dict[str, Any] = {"noOfAlgo": count}
            for number in range(1, count + 1):
                document[str(number)] = deployment("bench", isolation=isolation)["1"]
            entries = hub.json("deploy", write(services.folder / "deploy.json", document))["entries"]
            hub.wait_until_running(*[entry["instance_id"] for entry in entries], timeout=120)
            folders = [data / "programs" / f"algorithm-{entry['instance_id']}" for entry in entries]
            # The apps are there now, as they are on every day but the first.
            services.stop("agent")

            def supervisors() -> list[int]:
                pids = [
                    pid for pid, command in processes_of(data).items() if command.startswith(f"{BUILD}/sensorhub")]
                assert len(pids) == count + 2, f"an agent, a keeper and {count} watches are not {len(pids)} processes"
                wrappers = bubblewraps(set(pids)) if isolation else []
                assert len(wrappers) == (2 * count if isolation else 0), f"{len(wrappers)} processes of bubblewrap"
                return pids + wrappers

            programs = Programs([folder / "state" for folder in folders])
            return measure(programs, lambda: services.start_again("agent"), supervisors, kills, idle)
        finally:
            hub.close()
    finally:
        services.destroy()


def bubblewraps(watches: set[int]) -> list[int]:
    """Those of programs of these watches: each is a watch's child, or such a one's."""
    found: list[int] = []
    parents = {int(line.split()[0]): int(line.split()[1]) for line in subprocess.check_output(
        ["ps", "-C", "bwrap", "-o", "pid=,ppid="], text=True).splitlines()}
    for pid, parent in parents.items():
        if parent in watches or parents.get(parent) in watches:
            found.append(pid)
    return found


def theirs(count: int, kills: int, idle: float) -> Result:
    program = shutil.which("supervisord")
    if program is None:
        sys.exit("supervisord is not in PATH: apt install supervisor")
    folder = Path(tempfile.mkdtemp(prefix="sh-"))
    process = None
    try:
        script = write(folder / "main.sh", SCRIPT)
        script.chmod(0o755)
        folders = [folder / str(number) for number in range(count)]
        for each in folders:
            each.mkdir()
        file = write(folder / "supervisord.conf", CONFIGURATION.format(folder=folder) + "".join(
            PROGRAM.format(folder=folder, number=number) for number in range(count)))
        started: list[subprocess.Popen[bytes]] = []

        def start() -> None:
            started.append(subprocess.Popen(
                [program, "-c", file], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

        result = measure(Programs(folders), start, lambda: [started[0].pid], kills, idle)
        process = started[0]
        return result
    finally:
        for process in started:
            process.terminate()
            process.wait(60)
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--programs", type=int, default=100)
    parser.add_argument("--kills", type=int, default=100, help="how many programs are killed, one after the other")
    parser.add_argument("--idle", type=float, default=30, help="for how many seconds processor time is counted")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(machine() + "\n")
    results: dict[str, list[Result]] = {"sensorhub": [], "supervisor": [], "sensorhub, isolated": []}
    for _ in range(options.rounds):
        results["supervisor"].append(theirs(options.programs, options.kills, options.idle))
        results["sensorhub"].append(ours(options.programs, options.kills, options.idle, isolation=False))
        results["sensorhub, isolated"].append(ours(options.programs, options.kills, options.idle, isolation=True))

    def line(what: str, value: Callable[[list[Result]], float], form: str = "{:.1f}") -> None:
        print(row(what, *(form.format(value(found)) for found in results.values())))

    def median(of: Callable[[Result], float]) -> Callable[[list[Result]], float]:
        return lambda found: statistics.median(of(each) for each in found)

    def restarts(found: list[Result]) -> list[float]:
        return [value * 1_000 for each in found for value in each.restarts]

    print(row("", *results))
    print(row("---", *("---:" for _ in results)))
    line(f"from its own start to {options.programs} programs, s", median(lambda each: each.start), "{:.2f}")
    line("from kill -9 to the next start, median, ms", lambda found: statistics.median(restarts(found)))
    line("the same, 99th percentile, ms", lambda found: percentile(restarts(found), 0.99))
    line("processes that supervise", median(lambda each: each.processes), "{:.0f}")
    for name in ("resident", "proportional", "private"):
        line(f"memory of these, {name}, MiB", median(lambda each, name=name: each.memory[name]))
    line("processor, idle, % of one core", median(lambda each: each.cpu), "{:.2f}")


if __name__ == "__main__":
    main()
