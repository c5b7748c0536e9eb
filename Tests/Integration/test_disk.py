"""A disk that is nearly full: readings wait, everything else goes on, and so do they when there is room."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import psycopg
import pytest

from hub import Hub, temporary_folder, wait_until
from samples import probe, register
from test_incidents import Watch, configure

SENSOR = "disk-1"


def check(hub: Hub, fill: Callable[[], None], make_room: Callable[[], None]) -> None:
    """What is so while the disk is filled, and after."""
    register(hub, probe(SENSOR, interval=0.05))
    hub.wait_for_more_readings(SENSOR)
    watch = Watch(hub)
    fill()
    row = watch.wait_for("ingest", "opened")
    assert "MiB are kept for the hub itself: make room" in row["reason"]
    stored, pid = hub.count(SENSOR), hub.part("postgres")
    # Registrations and control go on.
    register(hub, probe("disk-2", interval=0.05))
    hub.wait_until_running("disk-2")
    hub.cli("control", SENSOR, "shut")
    assert hub.count(SENSOR) == stored and hub.count("disk-2") == 0
    make_room()
    watch.wait_for("ingest", "opened", "closed")
    hub.wait_for_more_readings(SENSOR, "disk-2")
    for sensor in (SENSOR, "disk-2"):
        wait_until(lambda: _is_whole(hub, sensor), 60, f"all readings of {sensor}")
    assert hub.part("postgres") == pid, "the database has not even noticed"
    watch.peer.close()


def _is_whole(hub: Hub, sensor: str) -> bool:
    (row,) = hub.sql(
        "SELECT count(*) AS count, max(seq) AS last FROM report.probe WHERE sensor = %s", sensor)
    return bool(row["count"] == row["last"] > 40)


def test_a_reserve_that_is_not_there(own_hub: Hub) -> None:
    """As anybody can have it: the hub is told to keep more free than there is."""
    folder = str(own_hub.data / "postgres")
    check(
        own_hub, lambda: configure(own_hub, storage={"folder": folder, "reserveMiB": 1 << 30}),
        lambda: configure(own_hub, storage={"folder": folder, "reserveMiB": 1}))


@pytest.fixture
def small_hub() -> Iterator[Hub]:
    """A hub on a file system of 512 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system of limited size")
    folder = temporary_folder()
    options = ["-t", "tmpfs", "-o", "size=512m,mode=755", "tests"]
    if subprocess.run(["mount", *options, str(folder)], capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("a file system of limited size cannot be mounted here")
    hub = Hub(folder / "hub")
    hub.output = Path(f"{folder}.out")
    hub.data.mkdir(mode=0o755)
    try:
        yield hub.start()
    finally:
        hub.destroy()
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def fill(ballast: Path) -> None:
    """Leaves 100 MiB; the reserve is 128 MiB."""
    state = os.statvfs(ballast.parent)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize - (100 << 20))


def test_a_disk_that_fills_up(small_hub: Hub) -> None:
    ballast = small_hub.data.parent / "ballast"

    def fill_and_ask() -> None:
        fill(ballast)
        # Whoever looks is told what to do.
        assert "make room" in small_hub.run("doctor").stdout

    check(small_hub, fill_and_ask, ballast.unlink)


def test_a_database_that_is_started_again_while_the_disk_is_full(small_hub: Hub) -> None:
    ballast = small_hub.data.parent / "ballast"
    register(small_hub, probe(SENSOR, interval=0.05))
    small_hub.wait_for_more_readings(SENSOR)
    watch = Watch(small_hub)
    fill(ballast)
    watch.wait_for("ingest", "opened")
    postgres = small_hub.part("postgres")
    os.kill(postgres, signal.SIGKILL)
    wait_until(lambda: small_hub.part("postgres") != postgres, what="a new server", retry_on=(AssertionError,))
    wait_until(lambda: small_hub.count(SENSOR), 60, "an answer of it", retry_on=(psycopg.Error,))
    ballast.unlink()
    watch.wait_for("ingest", "opened", "closed")
    small_hub.wait_for_more_readings(SENSOR)
    wait_until(lambda: _is_whole(small_hub, SENSOR), 60, "all readings")
    watch.peer.close()
