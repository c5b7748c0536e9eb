"""What goes wrong, and when: a plan that a seed repeats, and the doing of it."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Integration"))

import journal  # noqa: E402
from hub import Hub, processes_of  # noqa: E402
from witness import Boot  # noqa: E402

KILLS = ("kill hub", "kill mosquitto", "kill postgres", "kill agent", "kill driver")
FREEZES = ("freeze hub", "freeze mosquitto", "freeze postgres backend", "freeze driver")
DISK = "full disk"
EVERYTHING = "kill everything"


@dataclass(frozen=True, order=True)
class Fault:
    at: float
    """Seconds after the start."""
    kind: str
    seconds: float = 0
    """How long it lasts; 0 where it is over at once."""
    draw: float = 0
    """From 0 to 1: which one it hits, where there are several."""


def plan(seed: int, count: int, seconds: float, with_disk: bool) -> list[Fault]:
    """`count` faults within `seconds`: each kind as often as the others, at random moments and in random order."""
    dice = random.Random(seed)
    kinds: list[str] = []
    while len(kinds) < count:
        turn = [*KILLS, *FREEZES, *([DISK] if with_disk else [])]
        dice.shuffle(turn)
        kinds += turn
    kinds = kinds[:count]
    # As with a power cut, though what the machine had not yet written to its disk is not lost.
    if count >= 10:
        kinds[dice.randrange(count // 2, count)] = EVERYTHING
    faults = []
    for kind in kinds:
        at = dice.uniform(2, max(3, seconds - 5))
        lasts = dice.uniform(1, 10) if kind in FREEZES else dice.uniform(4, 12) if kind == DISK else 0
        faults.append(Fault(at, kind, min(lasts, max(1, seconds - at)), dice.random()))
    return sorted(faults)


class Disk:
    """A file system of limited size, which can be filled. Only root can make one."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"
        self._megabytes = megabytes

    def mount(self) -> Optional[str]:
        """Returns why it cannot be had, or nothing."""
        if os.geteuid() != 0:
            return "only root can mount a file system of limited size"
        status = os.spawnlp(
            os.P_WAIT, "mount", "mount", "-t", "tmpfs", "-o", f"size={self._megabytes}m,mode=755", "chaos",
            str(self.folder))
        return f"mount has ended with {status}" if status else None

    def unmount(self) -> None:
        os.spawnlp(os.P_WAIT, "umount", "umount", str(self.folder))

    def fill(self) -> None:
        """Takes what is free now; to be called again and again, for others make room."""
        with self._ballast.open("ab") as file:
            while True:
                state = os.statvfs(self.folder)
                free = state.f_bfree * state.f_frsize
                if free <= 0:
                    return
                try:
                    os.posix_fallocate(file.fileno(), file.tell(), free)
                    file.seek(0, os.SEEK_END)
                except OSError:
                    return

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)

    @property
    def megabytes_used(self) -> int:
        state = os.statvfs(self.folder)
        return (state.f_blocks - state.f_bfree) * state.f_frsize >> 20


@dataclass
class Chaos:
    """Carries a plan out. Whatever happens, `heal` is to be called at the end."""

    hub: Hub
    drivers: Sequence[str]
    disk: Optional[Disk]
    tell: Callable[[str], None]
    done: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    # The last reading that was in a driver's files when it was killed.
    at_death: dict[Boot, int] = field(default_factory=dict)
    _frozen: dict[int, float] = field(default_factory=dict)
    _disk_until: float = 0

    def run(self, faults: Sequence[Fault], seconds: float) -> None:
        start = time.monotonic()
        waiting = list(faults)
        while time.monotonic() < start + seconds:
            while waiting and time.monotonic() >= start + waiting[0].at:
                self._do(waiting.pop(0), time.monotonic() - start)
            self._end_what_is_over()
            time.sleep(0.05)
        for fault in waiting:
            # The machine was too slow for the plan.
            self.missed[fault.kind] += 1

    def heal(self) -> None:
        self._disk_until = 0
        for pid in self._frozen:
            self._frozen[pid] = 0
        self._end_what_is_over()

    def _end_what_is_over(self) -> None:
        now = time.monotonic()
        if self.disk:
            if now < self._disk_until:
                self.disk.fill()
            else:
                self.disk.empty()
        for pid in [pid for pid, until in self._frozen.items() if until <= now]:
            del self._frozen[pid]
            send_signal(pid, signal.SIGCONT)

    def _do(self, fault: Fault, at: float) -> None:
        target = ""
        if fault.kind == DISK:
            self._disk_until = time.monotonic() + fault.seconds
        elif fault.kind == EVERYTHING:
            self._kill_everything()
        else:
            pid, target = self._find(fault)
            if pid is None:
                self.missed[fault.kind] += 1
                self.tell(f"{at:7.1f} s  {fault.kind}: {target}")
                return
            if fault.kind in KILLS:
                send_signal(pid, signal.SIGKILL)
                if fault.kind == "kill driver":
                    self._note_death(pid, self.drivers[int(fault.draw * len(self.drivers))])
            else:
                send_signal(pid, signal.SIGSTOP)
                self._frozen[pid] = max(time.monotonic() + fault.seconds, self._frozen.get(pid, 0))
        self.done[fault.kind] += 1
        lasting = f" for {fault.seconds:.1f} s" if fault.seconds else ""
        self.tell(f"{at:7.1f} s  {fault.kind}{target}{lasting}")

    def _find(self, fault: Fault) -> tuple[Optional[int], str]:
        """The process to hit, and what to say of it; without a process, why there is none."""
        name = fault.kind.split()[1]
        deadline = time.monotonic() + 3
        while True:
            processes = processes_of(self.hub.data)
            if name == "driver":
                sensor = self.drivers[int(fault.draw * len(self.drivers))]
                found = [
                    pid for pid, command in processes.items()
                    if command.split(" ")[0].endswith("/sensor-driver") and _sensor_of(pid) == sensor]
                target = f" {sensor}"
            elif "backend" in fault.kind:
                found = sorted(
                    pid for pid, command in processes.items()
                    if command.startswith("postgres: sensorhub sensorhub"))
                # Ingest's connection lives longest; all are worth a try.
                found = found[int(fault.draw * len(found)):][:1]
                target = ""
            else:
                try:
                    found = [self.hub.part(name)]
                except AssertionError:
                    found = []
                target = ""
            if found:
                return found[0], target
            if time.monotonic() > deadline:
                return None, f"nothing to hit{target}, it is down"
            self._end_what_is_over()
            time.sleep(0.1)

    def _note_death(self, pid: int, sensor: str) -> None:
        deadline = time.monotonic() + 0.5
        # Its next start comes a second later at the earliest.
        while Path(f"/proc/{pid}/exe").exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        last = journal.read(state_of(self.hub, sensor), sensor).last
        if last:
            boot = max(last)
            self.at_death[sensor, boot] = last[boot]

    def _kill_everything(self) -> None:
        """All processes at once, then a new start."""
        self.heal()
        pids = [self.hub.pid, *processes_of(self.hub.data)]
        for pid in pids:
            send_signal(pid, signal.SIGKILL)
        self.hub.kill9()
        self.hub.start()


def state_of(hub: Hub, sensor: str) -> Path:
    """Where the driver of a sensor keeps its files."""
    return hub.data / "agent" / "programs" / f"driver-{sensor}" / "state"


def _sensor_of(pid: int) -> str:
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    return next((entry[15:].decode() for entry in entries if entry.startswith(b"SENSORHUB_USER=")), "")


def send_signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
