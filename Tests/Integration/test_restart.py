"""What survives when a part dies, or the whole hub, or the machine's owner stops it."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from hub import BUILD, SENSORHUB, Hub, parent_of, processes_of, run, wait_until
from samples import deploy_sleeper, probe, register

PARTS = ("hub", "agent", "mosquitto", "postgres")
SENSORS = ("steady-1", "steady-2")


@pytest.fixture(scope="module")
def busy(own_hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Hub:
    """A hub with two drivers that read often, and an algorithm."""
    register(own_hub, *(probe(name, interval=0.05, site="steady") for name in SENSORS))
    deploy_sleeper(own_hub, tmp_path_factory.mktemp("steady"), "steady", {"site": "steady"})
    own_hub.wait_for_more_readings(*SENSORS)
    return own_hub


def assert_nothing_is_missing(hub: Hub) -> None:
    """The numbers of each start of each driver begin with 1 and have no gap; each is there once.

    What a broker that was killed has lost is noticed and sent again, which takes a moment.
    """

    def faults() -> list[dict[str, Any]]:
        rows = hub.sql(
            "SELECT sensor, boot, count(*) AS count, count(DISTINCT seq) AS different, min(seq) AS first, "
            "max(seq) AS last FROM report.probe GROUP BY sensor, boot")
        assert {row["sensor"] for row in rows} >= set(SENSORS)
        return [row for row in rows if row["first"] != 1 or not row["count"] == row["different"] == row["last"]]

    wait_until(lambda: not faults(), 60, f"no reading is missing: {faults()}")
    # The hub itself agrees.
    wait_until(lambda: not hub.sql("SELECT * FROM report.gap WHERE missing > 0"), 60, "no gap is on record")
    assert not hub.sql("SELECT * FROM report.gap WHERE lost > 0")


def pids_of(hub: Hub) -> dict[str, int]:
    return {part: hub.part(part) for part in PARTS}


def wait_for_new(hub: Hub, part: str, old: int) -> int:
    def new() -> int:
        pids = [pid for pid in processes_of(hub.data) if pid != old]
        assert pids
        pid = hub.part(part)
        return pid if pid != old else 0

    return wait_until(new, 60, f"a new process of {part}", retry_on=(AssertionError,))


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_killed_is_started_again_and_no_reading_is_missing(busy: Hub, part: str) -> None:
    before = pids_of(busy)
    drivers = {id: busy.program(id)["pid"] for id in (*SENSORS, "steady-main-1")}
    os.kill(before[part], signal.SIGKILL)
    wait_for_new(busy, part, before[part])

    def is_back() -> bool:
        busy.wait_for_more_readings(*SENSORS, number=20)
        # Ingest and the rest of the hub each have a connection to the broker.
        return busy.request("hub", "status", timeout=2)["status"] == 200

    wait_until(is_back, 120, "readings go on and the hub answers", retry_on=(Exception,))
    busy.wait_until_running(*drivers)
    assert {name: pid for name, pid in pids_of(busy).items() if name != part} == {
        name: pid for name, pid in before.items() if name != part}
    if part != "agent":
        assert {id: busy.program(id)["pid"] for id in drivers} == drivers, "what the agent runs is not touched"
    assert_nothing_is_missing(busy)
    assert f"! {part}:" in busy.output.read_text(), "the person at the terminal is told"


def test_programs_that_are_killed_are_started_again(busy: Hub) -> None:
    for id in (SENSORS[0], "steady-main-1"):
        old = busy.program(id)
        os.kill(old["pid"], signal.SIGKILL)

        def runs_again() -> bool:
            new = busy.program(id)
            return bool(new["state"] == "RUNNING" and new["pid"] != old["pid"] and new["runs"] > old["runs"])

        wait_until(runs_again, 60, f"{id} runs again")
        query = "SELECT * FROM report.run WHERE id = %s AND pid = %s AND ended_at IS NOT NULL"
        ended = wait_until(lambda: busy.sql(query, id, old["pid"]), what="the record of the end")
        assert ended[0]["signal"] == signal.SIGKILL
    busy.wait_for_more_readings(*SENSORS)
    assert_nothing_is_missing(busy)


def test_readings_wait_while_the_database_stands_still(busy: Hub) -> None:
    postgres = busy.part("postgres")
    backends = [pid for pid in processes_of(busy.data) if parent_of(pid) == postgres]
    before = busy.count(SENSORS[0])
    for pid in (postgres, *backends):
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(1)
    finally:
        for pid in (postgres, *backends):
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: busy.count(SENSORS[0]) >= before + 30, what="the readings of the time between")
    assert_nothing_is_missing(busy)


def test_a_second_up_on_the_folder_says_where_the_first_one_is(busy: Hub) -> None:
    second = run("up", "--data", busy.data)
    assert second.returncode != 0
    for text in ("already running", str(busy.pid), busy.connection["broker"], "psql "):
        assert text in second.stdout + second.stderr
    busy.wait_for_more_readings(*SENSORS)


def test_after_a_stop_everything_is_there_again_at_the_next_start(busy: Hub) -> None:
    programs = {id: busy.program(id)["pid"] for id in (*SENSORS, "steady-main-1")}
    counts = {sensor: busy.count(sensor) for sensor in SENSORS}
    secrets = (busy.data / "secrets.json").read_text()
    variables = busy.environment_of(SENSORS[0])
    broker = busy.connection["broker"]

    assert busy.stop() == 0
    assert not processes_of(busy.data)
    assert "no hub is running" in busy.refusal("ps")
    assert not (busy.data / "connection.json").exists()

    busy.start()
    busy.wait_until_running(*programs)
    assert not {busy.program(id)["pid"] for id in programs} & set(programs.values())
    for sensor in SENSORS:
        assert busy.count(sensor) >= counts[sensor]
    busy.wait_for_more_readings(*SENSORS)
    assert_nothing_is_missing(busy)
    # Whoever has an address and a password goes on with them.
    assert (busy.data / "secrets.json").read_text() == secrets
    assert busy.connection["broker"] == broker
    assert busy.environment_of(SENSORS[0])["SENSORHUB_PASSWORD"] == variables["SENSORHUB_PASSWORD"]


def test_ctrl_c_ends_every_process(busy: Hub) -> None:
    assert busy.stop(signal.SIGINT) == 0
    assert not processes_of(busy.data)
    busy.start()
    busy.wait_until_running(*SENSORS)


def test_after_up_itself_was_killed_the_next_one_recovers(busy: Hub) -> None:
    """As after a power cut: nothing was stopped in order, and here it even runs on."""
    busy.wait_for_more_readings(*SENSORS)
    counts = {sensor: busy.count(sensor) for sensor in SENSORS}
    busy.kill9()
    former = processes_of(busy.data)
    assert len(former) >= len(PARTS)
    busy.start()
    busy.wait_until_running(*SENSORS, "steady-main-1")
    assert not former.keys() & processes_of(busy.data).keys()
    assert "was not stopped properly" in busy.output.read_text()
    busy.wait_for_more_readings(*SENSORS)
    for sensor in SENSORS:
        assert busy.count(sensor) > counts[sensor]
    assert_nothing_is_missing(busy)


def test_after_everything_was_killed_at_once_the_next_up_recovers(busy: Hub) -> None:
    busy.wait_for_more_readings(*SENSORS)
    counts = {sensor: busy.count(sensor) for sensor in SENSORS}
    busy.kill9()
    for pid in processes_of(busy.data):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    wait_until(lambda: not processes_of(busy.data), what="the end of all processes")
    busy.start()
    busy.wait_for_more_readings(*SENSORS)
    for sensor in SENSORS:
        assert busy.count(sensor) > counts[sensor]
    assert_nothing_is_missing(busy)


def test_a_start_that_is_interrupted_leaves_no_process(fresh_hub: Hub) -> None:
    for delay in (0.3, 1.2):
        fresh_hub.launch()
        time.sleep(delay)
        fresh_hub.stop(signal.SIGINT)
        # What was killed takes a moment to go.
        wait_until(lambda: not processes_of(fresh_hub.data), what=f"no process, {delay} s after the start")
    # And it is no hindrance for a start that is not interrupted.
    fresh_hub.start()
    fresh_hub.rpc("hub", "status")


def test_up_refuses_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"\xff\xd8")
    result = run("up", "--data", tmp_path)
    assert result.returncode != 0
    assert "holiday.jpg" in result.stderr and "--data" in result.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["holiday.jpg"]


def test_up_says_which_address_is_taken(fresh_hub: Hub) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run("up", "--data", fresh_hub.data, "--listen", address)
    assert result.returncode != 0
    assert address in result.stderr and "another program listens there" in result.stderr
    assert not processes_of(fresh_hub.data)


@pytest.mark.skipif(os.geteuid() != 0, reason="whoever is not root has seen it all along")
def test_up_needs_no_rights(fresh_hub: Hub) -> None:
    nobody = pwd.getpwnam("nobody")
    fresh_hub.account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    try:
        subprocess.run([SENSORHUB, "--version"], check=True, capture_output=True, cwd="/", **fresh_hub.account)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"the account nobody cannot run what is in {BUILD}")
    os.chown(fresh_hub.data, nobody.pw_uid, nobody.pw_gid)
    fresh_hub.start()
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in processes_of(fresh_hub.data)} == {nobody.pw_uid}
    register(fresh_hub, probe("nobody-1"))
    fresh_hub.wait_for_more_readings("nobody-1")


def test_a_dump_of_the_database_is_restored_into_a_new_folder(own_hub: Hub, fresh_hub: Hub, tmp_path: Path) -> None:
    """By the commands of docs/running.md."""
    register(own_hub, probe("dumped-1"))
    own_hub.wait_for_more_readings("dumped-1")
    dump = tmp_path / "sensorhub.dump"
    least = own_hub.count("dumped-1")
    began = own_hub.value("SELECT now()")
    subprocess.run(
        f'pg_dump --format custom "host={own_hub.data}/run dbname=sensorhub user=sensorhub" > {dump}',
        shell=True, check=True)
    most = own_hub.count("dumped-1")
    fresh_hub.start()
    target = f"host={fresh_hub.data}/run dbname=sensorhub user=sensorhub"
    subprocess.run(f'pg_restore --clean --if-exists --no-owner -d "{target}" {dump}', shell=True, check=True)
    fresh_hub.stop()
    fresh_hub.start()
    # Its driver has gone on already, with readings that are newer.
    restored = fresh_hub.value(
        "SELECT count(*) FROM report.probe WHERE sensor = 'dumped-1' AND event_time < %s", began)
    assert 3 <= least <= restored <= most
    # The sensor is there, and its driver goes on.
    fresh_hub.wait_for_more_readings("dumped-1")
    fresh_hub.cli("sensors", "remove", "dumped-1")
