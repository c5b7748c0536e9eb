"""What is wrong for longer than a moment is an incident: told, on record, and over when it is over."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest

from hub import Hub, wait_until
from mqtt import Peer
from samples import app_zip, deployment, probe, register, write

# mosquitto publishes its figures every 10 s.
PATIENCE = 120


class Watch:
    """Follows the incidents of a hub from now on, as events and in the database."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        # A slow start may be one.
        wait_until(
            lambda: not hub.sql("SELECT FROM hub.incident WHERE closed_at IS NULL"), PATIENCE, "no incident is open")
        self._before = hub.value("SELECT coalesce(max(id), 0) FROM hub.incident")
        self.peer = hub.as_owner()
        self.peer.subscribe(hub.topic("events/+"))

    def told(self, kind: str) -> list[str]:
        """`opened` and `closed`, in their order."""
        events = [message.json for message in self.peer.messages]
        return [event["kind"].removeprefix("incident.") for event in events if event.get("incident") == kind]

    def rows(self, kind: str) -> list[dict[str, Any]]:
        return self.hub.sql(
            "SELECT * FROM hub.incident WHERE kind = %s AND id > %s ORDER BY opened_at", kind, self._before)

    def wait_for(self, kind: str, *states: str) -> dict[str, Any]:
        """The last one on record, when the states have been told and the record agrees.

        A machine that stands still for some seconds makes an incident of its own of the database, before or after.
        """
        def is_so() -> bool:
            # The record comes last.
            told = self.told(kind)
            more = len(told) - len(states)
            if told[max(0, more):] != list(states) or (more and (kind, more) != ("ingest", 2)):
                return False
            rows = self.rows(kind)
            return len(rows) == told.count("opened") and (
                (rows[-1]["closed_at"] is not None) == (states[-1] == "closed"))

        wait_until(is_so, PATIENCE, f"{kind} {states}: {self.told(kind)}", retry_on=(Exception,))
        return self.rows(kind)[-1]


@pytest.fixture
def watch(own_hub: Hub) -> Iterator[Watch]:
    watch = Watch(own_hub)
    yield watch
    watch.peer.close()


def configure(hub: Hub, **changes: dict[str, Any]) -> None:
    """Starts the hub's process anew with other settings."""
    file = hub.data / "hub.json"
    settings = json.loads(file.read_text())
    for key, values in changes.items():
        settings[key] = settings.get(key, {}) | values
    file.write_text(json.dumps(settings))
    pid = hub.part("hub")
    os.kill(pid, signal.SIGKILL)
    hub.close()
    wait_until(lambda: hub.part("hub") != pid, what="a new process of the hub", retry_on=(AssertionError,))
    wait_until(lambda: hub.request("hub", "status", timeout=5)["status"] == 200, what="the hub", retry_on=(Exception,))


class Sleeper:
    """A client with a session that the broker keeps messages for while it is away."""

    def __init__(self, hub: Hub, topic: str) -> None:
        self.hub, self.id = hub, "incidents-sleeper"
        self._connect(clean=False, topic=topic)

    def _connect(self, clean: bool, topic: str = "") -> None:
        password = json.loads((self.hub.data / "hub.json").read_text())["broker"]["password"]
        peer = Peer(self.hub.broker, "hub.main", password, protocol=4, client_id=self.id, clean=clean)
        if topic:
            peer.subscribe(topic)
        peer.close()

    def forget(self) -> None:
        """Has the broker throw the session away, and what waits in it."""
        self._connect(clean=True)


def test_a_broker_whose_queue_is_nearly_full(own_hub: Hub, watch: Watch) -> None:
    topic = own_hub.topic("bench/queue")
    configure(own_hub, broker={"queueLimit": 1_000})
    sleeper = Sleeper(own_hub, topic)
    try:
        with own_hub.as_hub() as peer:
            for number in range(900):
                peer.publish(topic, {"number": number})
        row = watch.wait_for("broker-queue", "opened")
        assert row["subject"] == "broker" and "more than 1000" in row["reason"]
    finally:
        sleeper.forget()
    watch.wait_for("broker-queue", "opened", "closed")
    configure(own_hub, broker={"queueLimit": 500_000})


def test_a_broker_that_throws_messages_away(own_hub: Hub, watch: Watch) -> None:
    topic = own_hub.topic("bench/drops")
    sleeper = Sleeper(own_hub, topic)
    try:
        with own_hub.as_hub() as peer:
            # `max_queued_bytes` of mosquitto.conf are 128 MiB.
            for _ in range(16):
                peer.publish(topic, b"x" * (10 << 20))
    finally:
        sleeper.forget()
    # The broker repeats no figure that has not changed.
    row = watch.wait_for("broker-drops", "opened", "closed")
    assert "a queue was full" in row["reason"]


def test_readings_that_cannot_be_stored(own_hub: Hub, watch: Watch) -> None:
    """The database is down for longer than a moment: nothing can start in its folder."""
    register(own_hub, probe("incidents-1"))
    own_hub.wait_for_more_readings("incidents-1")
    folder, away = own_hub.data / "postgres", own_hub.data / "postgres.away"
    folder.rename(away)
    try:
        os.kill(own_hub.part("postgres"), signal.SIGKILL)
        wait_until(lambda: watch.told("ingest")[-1:] == ["opened"], PATIENCE, "the incident")
    finally:
        away.rename(folder)
    # It was over before the database could be told of it.
    row = watch.wait_for("ingest", "opened", "closed")
    assert "the broker keeps them" in row["reason"] and row["opened_at"] < row["closed_at"]
    own_hub.wait_for_more_readings("incidents-1")
    # In one look: readings go on coming.
    wait_until(
        lambda: own_hub.value("SELECT count(*) = max(seq) FROM report.probe WHERE sensor = 'incidents-1'"), PATIENCE,
        "all that was read meanwhile")


def stopped_between_two_commits(hub: Hub) -> int:
    """Stops what the database does for the readings, and returns its process; 0 where it was at work. It might hold
    something then that everybody else at the database has to wait for."""
    pid = int(hub.value("SELECT pid FROM pg_stat_activity WHERE application_name = 'sensorhub ingest'"))
    os.kill(pid, signal.SIGSTOP)
    # Then we would wait for it as well.
    end = threading.Timer(5, os.kill, (pid, signal.SIGCONT))
    end.start()
    state = hub.value("SELECT state FROM pg_stat_activity WHERE pid = %s", pid)
    end.cancel()
    end.join()
    if state == "idle" and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
        return pid
    os.kill(pid, signal.SIGCONT)
    return 0


def test_a_database_that_does_not_answer(own_hub: Hub, watch: Watch) -> None:
    """It is there, but what it does for the readings does not end."""
    register(own_hub, probe("incidents-2"))
    own_hub.wait_for_more_readings("incidents-2")
    pid = wait_until(lambda: stopped_between_two_commits(own_hub), what="a moment between two commits")
    try:
        row = watch.wait_for("ingest", "opened")
        assert "the database does not answer" in row["reason"]
    finally:
        os.kill(pid, signal.SIGCONT)
    watch.wait_for("ingest", "opened", "closed")
    own_hub.wait_for_more_readings("incidents-2")


def test_doctor_does_not_wait_for_a_database_that_takes_no_connection(own_hub: Hub) -> None:
    pid = own_hub.part("postgres")
    os.kill(pid, signal.SIGSTOP)
    try:
        result = own_hub.run("doctor")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert result.returncode == 1 and "timeout expired" in result.stdout


def test_a_program_that_keeps_ending(own_hub: Hub, watch: Watch, tmp_path: Path) -> None:
    script = "#!/bin/sh\nfor word in one two three; do echo $word; done\necho 'no module named bus' >&2\nexit 3\n"
    own_hub.cli("apps", "install", "crashing", app_zip(tmp_path, "crashing", "main.sh", script))
    file = write(tmp_path / "crashing-deployConfig.json", deployment("crashing"))
    (entry,) = own_hub.json("deploy", file)["entries"]
    instance = entry["instance_id"]
    row = watch.wait_for("crash-loop", "opened")
    assert row["subject"] == f"algorithm {instance}"
    # By the time that somebody looks, it may have been given up.
    assert "times in a minute" in row["reason"] or "it is not started again: given up" in row["reason"]
    assert "exit code 3: no module named bus" in row["reason"]
    shown = own_hub.json("incidents", row["id"])["incident"]
    # In which order lines of stdout and stderr come is nowhere said.
    out = [line for line in shown["log"] if line != "no module named bus"]
    assert out[:3] == ["one", "two", "three"] and "no module named bus" in shown["log"]
    text = own_hub.cli("incidents", row["id"])
    assert f"algorithm {instance}" in text and text.rstrip().endswith(("three", "no module named bus"))
    assert "there is no incident 999999" in own_hub.refusal("incidents", 999_999)
    own_hub.cli("stop", instance)
    watch.wait_for("crash-loop", "opened", "closed")
