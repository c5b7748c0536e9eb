"""Kills, freezes and starves a hub while drivers read, then accounts for every reading.

    chaos.py [--seconds 480] [--drivers 20] [--rate 150] [--faults 45] [--seed N]

Exits non-zero when a single reading is not accounted for. What is run comes from $SENSORHUB_TEST_BUILD. As root the
hub's folder is a file system of limited size, so that the disk can be full for a while.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Integration"))

import journal
from audit import Result, audit
from faults import Chaos, Disk, plan, send_signal, state_of
from hub import BUILD, Hub, processes_of, wait_until
from witness import Boot, Witness

TYPE = {
    "name": "chaos", "company": "Tests", "sensor_data_structure": {"level": "float", "count": "int", "state": "string"},
}


def say(text: str = "") -> None:
    print(text, flush=True)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=480, help="how long faults go on (default: 480)")
    parser.add_argument("--drivers", type=int, default=20)
    parser.add_argument("--rate", type=float, default=150, help="readings of each driver a second (default: 150)")
    parser.add_argument("--faults", type=int, default=45, help="how many in all (default: 45)")
    parser.add_argument("--seed", type=int, help="repeats the faults of an earlier run (default: others each time)")
    parser.add_argument("--disk", type=int, default=2048, help="size of the hub's file system in MiB (default: 2048)")
    parser.add_argument("--keep", action="store_true", help="keep the hub's log files after a failed run")
    return parser.parse_args()


def register(hub: Hub, count: int, rate: float) -> list[str]:
    names = [f"chaos-{number}" for number in range(1, count + 1)]
    hub.rpc("types", "register", document=TYPE)
    hub.rpc("sensors", "register", document=[
        {
            "sensor_type": "chaos", "name": name, "driver": "simulated", "interval": 1 / rate,
            "simulate": {"level": {"pattern": "ramp", "min": 0, "max": 100, "period_seconds": 10}},
        } for name in names])
    return names


def drivers_of(hub: Hub) -> list[int]:
    return [
        pid for pid, command in processes_of(hub.data).items() if command.split(" ")[0].endswith("/sensor-driver")]


def lag(hub: Hub, names: list[str], table: str) -> float:
    """How many seconds the sensor that is furthest behind is behind."""
    rows = hub.sql(
        f"SELECT extract(epoch FROM now() - max(event_time))::float8 AS lag FROM readings.{table} "
        "WHERE event_time > now() - interval '1 minute' GROUP BY instance_id")
    return max(row["lag"] for row in rows) if len(rows) == len(names) else 60.0


def settle(hub: Hub, names: list[str], table: str) -> None:
    """Waits until no reading is on its way, each driver's boot but the last has ended, and the drivers stand still."""
    def is_caught_up() -> bool:
        return lag(hub, names, table) < 3 and not hub.value("SELECT count(*) FROM hub.gap WHERE closed_at IS NULL")

    def wait(what: str) -> None:
        try:
            wait_until(is_caught_up, 120, what, retry_on=(Exception,))
        except AssertionError as error:
            # The audit will tell what is missing.
            say(f"not settled: {error}")

    wait("all sensors are up to date after the faults")
    # A driver tells at its next start how many readings it took.
    for pid in drivers_of(hub):
        send_signal(pid, signal.SIGTERM)
    time.sleep(3)
    wait("all sensors are up to date after a new start of the drivers")
    for pid in drivers_of(hub):
        send_signal(pid, signal.SIGSTOP)
    # Ingest commits at least every 200 ms when nothing more comes.
    last, since = -1, time.monotonic()
    while time.monotonic() < since + 3:
        count = hub.value(f"SELECT count(*) FROM readings.{table}")
        if count != last:
            last, since = count, time.monotonic()
        time.sleep(0.5)


def newest_boots(hub: Hub) -> list[Boot]:
    return [
        (row["sensor"], row["boot"]) for row in hub.sql(
            "SELECT s.name AS sensor, max(p.boot) AS boot FROM hub.reached p JOIN hub.sensor s ON s.id = p.sensor_id "
            "GROUP BY 1")]


def own_counts(
    hub: Hub, names: list[str], witness: Witness, chaos: Chaos,
) -> tuple[dict[Boot, int], dict[Boot, int], list[str]]:
    """What drivers say of their own.

    Returns:
        How many readings the boots had that are over, by what the drivers sent and by their files; the last reading of
        each boot in the files; and where two of these do not fit together.
    """
    own, kept, oddities = dict(witness.ends), {}, []
    for name in names:
        files = journal.read(state_of(hub, name), name)
        kept.update({(name, boot): last for boot, last in files.last.items()})
        for boot, end in files.ends.items():
            if own.setdefault((name, boot), end) != end:
                oddities.append(
                    f"{name}, boot {boot}: ends at {own[name, boot]} at the broker, at {end} in the driver's file")
    for boot, last in chaos.at_death.items():
        # More is right where files could not be written, and the hub knows more than they do.
        if own.get(boot, last) < last:
            oddities.append(
                f"{boot[0]}, boot {boot[1]}: ends at {own[boot]}, but {last} was in the driver's file when it died")
    return own, kept, oddities


def report(result: Result, chaos: Chaos, seconds: float, expected: int) -> None:
    say()
    for name, value in (
        ("taken by the drivers", result.taken), ("by rate and time at most", expected), ("stored", result.stored),
        ("doubled", result.doubled), ("recorded as lost", result.lost), ("kept by drivers, not yet sent", result.kept),
        ("missing without a record", result.unexplained), ("dead letters", result.dead_letters),
        ("gaps not closed", result.open_gaps), ("boots of drivers", result.boots),
        ("boots without the driver's count", result.untold), ("seen by the witness", result.seen),
    ):
        say(f"{name:34}{value:12,}")
    say(f"{'longest outage of ingest':34}{result.longest_outage:11.1f}s")
    say(f"{'faults':34}{sum(chaos.done.values()):12,}  in {seconds:.0f} s")
    for kind, number in sorted(chaos.done.items()):
        say(f"  {kind:32}{number:12,}")
    for kind, number in sorted(chaos.missed.items()):
        say(f"  {kind + ', nothing to hit':32}{number:12,}")


def main() -> int:
    arguments = options()
    seed = arguments.seed if arguments.seed is not None else random.randrange(1_000_000)
    # Nothing may be left when somebody ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="ch-", dir="/tmp"))
    folder.chmod(0o755)
    disk: Optional[Disk] = Disk(folder, arguments.disk)
    refusal = disk.mount()
    if refusal:
        disk = None
    hub = Hub(folder / "hub")
    hub.output = Path(f"{folder}.out")
    hub.data.mkdir()
    hub.data.chmod(0o755)
    chaos: Optional[Chaos] = None
    failed = True
    try:
        say(f"chaos --seed {seed} --seconds {arguments.seconds:g} --drivers {arguments.drivers} "
            f"--rate {arguments.rate:g} --faults {arguments.faults}, {BUILD.name} build")
        if refusal:
            say(f"NOT COVERED: a full disk, for {refusal}")
        hub.start()
        witness = Witness(hub.broker[1], hub.root, hub.connection["user"], hub.connection["password"])
        wait_until(lambda: witness.connections, what="the witness is connected")
        names = register(hub, arguments.drivers, arguments.rate)
        table = hub.value("SELECT table_name FROM hub.sensor_type WHERE name = 'chaos'")
        wait_until(lambda: lag(hub, names, table) < 5, 120, "the first readings")
        chaos = Chaos(hub, names, disk, say)
        started = time.monotonic()
        chaos.run(plan(seed, arguments.faults, arguments.seconds, disk is not None), arguments.seconds)
        chaos.heal()
        seconds = time.monotonic() - started
        say(f"{seconds:7.1f} s  the faults are over" + (f", {disk.megabytes_used} MiB in use" if disk else ""))
        settle(hub, names, table)
        witness.stop()
        own, kept, oddities = own_counts(hub, names, witness, chaos)
        result = audit(hub.connection["database"], table, witness, own, newest_boots(hub), kept)
        result.findings += oddities
        report(result, chaos, seconds, int((time.monotonic() - started) * arguments.rate * arguments.drivers))
        say()
        for finding in result.findings:
            say(f"FAULT: {finding}")
        failed = bool(result.findings)
        say("every reading is accounted for" if not failed else f"NOT every reading is accounted for; --seed {seed}")
        return 1 if failed else 0
    finally:
        if chaos:
            chaos.heal()
        for pid in drivers_of(hub):
            send_signal(pid, signal.SIGCONT)
        if failed and arguments.keep:
            logs = Path(f"{folder}.logs")
            logs.write_text(hub.logs)
            say(f"the logs' ends are in {logs}")
        hub.destroy()
        if disk:
            disk.unmount()
        folder.rmdir()


if __name__ == "__main__":
    sys.exit(main())
