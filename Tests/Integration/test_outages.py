"""What hub and database say while one of them, or the broker, is away: enough, and not again and again."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import Iterator

from hub import Hub, wait_until
from samples import probe, register

SENSORS = ("outage-1", "outage-2", "outage-3")


@contextmanager
def kept_down(hub: Hub, part: str, folder: str) -> Iterator[None]:
    """Kills a part that cannot be started again as long as its folder has another name."""
    place, away = hub.data / folder, hub.data / f"{folder}.away"
    place.rename(away)
    try:
        os.kill(hub.part(part), signal.SIGKILL)
        yield
    finally:
        away.rename(place)


def new_lines(hub: Hub, log: str, position: int) -> list[str]:
    return (hub.data / "log" / log).read_text()[position:].splitlines()


def size(hub: Hub, log: str) -> int:
    return len((hub.data / "log" / log).read_text())


def is_whole(hub: Hub, sensor: str) -> bool:
    (row,) = hub.sql("SELECT count(*) AS count, max(seq) AS last FROM report.probe WHERE sensor = %s", sensor)
    return bool(row["count"] == row["last"])


def test_an_outage_of_the_broker_is_told_once(own_hub: Hub) -> None:
    register(own_hub, *(probe(name, interval=0.01) for name in SENSORS))
    own_hub.wait_for_more_readings(*SENSORS)
    position = size(own_hub, "hub.log")
    own_hub.close()
    with kept_down(own_hub, "mosquitto", "broker"):
        wait_until(
            lambda: any("no connection to the broker" in line for line in new_lines(own_hub, "hub.log", position)),
            what="a word of the hub")
        # The attempts that fail meanwhile are told no more.
        time.sleep(4)
    wait_until(
        lambda: any("connected to the broker" in line for line in new_lines(own_hub, "hub.log", position)), 60,
        "the broker is back")
    own_hub.wait_for_more_readings(*SENSORS, timeout=60)
    lines = new_lines(own_hub, "hub.log", position)
    assert 1 <= sum("no connection to the broker" in line for line in lines) <= 3, lines
    assert not any("could not be published: no connection" in line for line in lines), lines
    for sensor in SENSORS:
        wait_until(lambda: is_whole(own_hub, sensor), 60, f"all readings of {sensor}")


def test_a_start_asks_the_database_for_nothing_before_it_can_answer(own_hub: Hub) -> None:
    """Also when it has to recover first."""
    position = size(own_hub, "postgres.log")
    own_hub.kill9()
    os.kill(own_hub.part("postgres"), signal.SIGKILL)
    own_hub.start()
    lines = new_lines(own_hub, "postgres.log", position)
    assert any("database system was not properly shut down" in line for line in lines), lines
    assert not any("the database system is starting up" in line for line in lines), lines
    assert not (own_hub.data / "log" / "postgres").exists()
