"""Measures how long no readings are stored when the hub, the database or the broker is killed or restarted, and prints
the table of docs/performance.md.

    make recovery
    Benchmarks/recovery.py --sensors 100 --times 10

Every sensor has a real driver. What is run comes from $SENSORHUB_TEST_BUILD. At the end no reading may be missing.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "Tests" / "Integration")]

import psycopg  # noqa: E402

from figures import machine, row  # noqa: E402
from hub import BUILD, Hub, wait_until  # noqa: E402
from services import Services  # noqa: E402

TYPE = {"name": "recovery", "sensor_data_structure": {"level": "float", "count": "int"}}
# The clock of the machine is everybody's here.
NEWEST = "SELECT coalesce(extract(epoch FROM max(received_at)), 0)::float8 FROM hub.latest"
PAUSE = (
    "SELECT coalesce(extract(epoch FROM max(pause)), 0)::float8 FROM ("
    "SELECT stored_at - lag(stored_at) OVER (ORDER BY stored_at) AS pause FROM readings.recovery "
    "WHERE stored_at > to_timestamp(%s)) AS t")
MISSING = (
    "SELECT s.name, r.boot, count(*) AS stored, count(DISTINCT r.seq) AS different, max(r.seq) AS last "
    "FROM readings.recovery r JOIN hub.sensor s ON s.id = r.instance_id GROUP BY 1, 2 "
    "HAVING count(*) <> max(r.seq) OR count(DISTINCT r.seq) <> count(*)")


class Watcher:
    """Looks into the database as a person would, and connects again when that fails."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._connection: psycopg.Connection[Any] | None = None

    def value(self, query: str, *parameters: Any) -> Any:
        if self._connection is None:
            self._connection = psycopg.connect(self._database, autocommit=True, connect_timeout=2)
        try:
            found = self._connection.execute(query, parameters or None).fetchone()
        except psycopg.Error:
            self._connection = None
            raise
        return found[0] if found else None

    def wait_for_reading_since(self, moment: float, what: str) -> float:
        """Returns when a reading is visible that the hub has received after `moment`, in seconds since then."""
        deadline = time.time() + 60
        while True:
            try:
                if self.value(NEWEST) > moment:
                    return time.time() - moment
            except psycopg.Error:
                pass
            assert time.time() < deadline, f"no reading for a minute after {what}"
            time.sleep(0.005)


def register(hub: Hub, sensors: int, interval: float, node: dict[str, str]) -> None:
    hub.rpc("types", "register", document=TYPE)
    hub.rpc("sensors", "register", document=[
        {
            "sensor_type": "recovery", "name": f"r{number}", "driver": "simulated", "interval": interval, **node,
            "simulate": {"level": {"pattern": "ramp", "min": 0, "max": 100, "period_seconds": 10}},
        } for number in range(sensors)])


def settle(hub: Hub, sensors: int) -> None:
    """Returns when every sensor's readings are up to date."""
    query = "SELECT count(*) FROM hub.latest WHERE event_time > now() - interval '2 s'"
    wait_until(lambda: hub.value(query) == sensors, 120, f"readings of {sensors} sensors", retry_on=(Exception,))


def measure(hub: Hub, sensors: int, times: int, what: str, prepare: Callable[[], Callable[[], None]]) -> str:
    """Each time: from the fault to the first reading that is received and visible after it, and the longest pause
    between two commits meanwhile."""
    watcher, visible, pauses = Watcher(hub.connection["database"]), [], []
    for _ in range(times):
        settle(hub, sensors)
        # What has run for less than 10 s `sensorhub up` takes for a part that dies again and again, and waits longer.
        time.sleep(11)
        fault = prepare()
        moment = time.time()
        fault()
        visible.append(watcher.wait_for_reading_since(moment, what))
        # A part that is asked to end may go on for a moment, so that the pause can come after that reading.
        time.sleep(3)
        settle(hub, sensors)
        pauses.append(watcher.value(PAUSE, moment - 0.5))
    return row(
        what, len(pauses), *(f"{value:.2f}" for value in (
            statistics.median(visible), max(visible), statistics.median(pauses), max(pauses))))


def check(hub: Hub) -> str:
    def missing() -> list[dict[str, Any]]:
        return hub.sql(MISSING)

    wait_until(lambda: not missing(), 60, f"no reading is missing or doubled: {missing()}")
    return f"\n{hub.value('SELECT count(*) FROM readings.recovery'):,} readings in all, none missing, none doubled.\n"


def under_up(sensors: int, interval: float, times: int) -> None:
    hub = Hub().start()
    try:
        register(hub, sensors, interval, {})

        def prepare(part: str, number: int) -> Callable[[], None]:
            # Looking for it takes longer than the signal.
            pid = hub.part(part)
            return lambda: os.kill(pid, number)

        for what, part, number in (
            ("`sensorhub up`: kill -9 of the hub", "hub", signal.SIGKILL),
            ("`sensorhub up`: kill -9 of the broker", "mosquitto", signal.SIGKILL),
            ("`sensorhub up`: the broker restarted (SIGTERM)", "mosquitto", signal.SIGTERM),
            ("`sensorhub up`: kill -9 of PostgreSQL", "postgres", signal.SIGKILL),
            ("`sensorhub up`: PostgreSQL restarted (SIGINT)", "postgres", signal.SIGINT),
        ):
            print(measure(hub, sensors, times, what, partial(prepare, part, number)), flush=True)
        print(check(hub), flush=True)
    finally:
        hub.destroy()


def as_service(sensors: int, interval: float, times: int) -> None:
    """The hub is started again by us, at the moment at which it is gone."""
    services = Services()
    try:
        services.start_postgres()
        services.start_mosquitto()
        services.start_hub()
        hub = services.person_at("bench")
        try:
            register(hub, sensors, interval, {"node": "bench"})
            what = "service: kill -9 of the hub, started again at once"
            kill = partial(services.restart, "hub", signal.SIGKILL)
            print(measure(hub, sensors, times, what, lambda: kill), flush=True)
            print(check(hub), flush=True)
        finally:
            hub.close()
    finally:
        services.destroy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sensors", type=int, default=100, help="how many, each with a driver (default: 100)")
    parser.add_argument("--interval", type=float, default=0.2, help="seconds between its readings (default: 0.2)")
    parser.add_argument("--times", type=int, default=10, help="how often each fault happens (default: 10)")
    options = parser.parse_args()
    print(f"Measured on {machine()}; {BUILD.name} build, {options.sensors} sensors with a driver each, "
          f"{options.sensors / options.interval:.0f} readings/s.\n")
    print(row("seconds", "times", "to the first new reading in SQL: median", "longest",
              "longest pause between commits: median", "longest"))
    print(row(*["---"] * 6), flush=True)
    as_service(options.sensors, options.interval, options.times)
    under_up(options.sensors, options.interval, options.times)


if __name__ == "__main__":
    main()
