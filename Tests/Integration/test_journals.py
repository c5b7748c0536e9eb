"""What programs did and wrote, as their nodes have it in journals: each record once, whatever dies in between."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Any, Callable, Iterator

import psycopg
import pytest

from hub import Hub, wait_until
from mqtt import Disconnected, Refused
from other_node import Journal, OtherNode, line, now, state
from samples import probe, register


@pytest.fixture(scope="module")
def other(own_hub: Hub) -> Iterator[OtherNode]:
    node = OtherNode(own_hub).connect()
    try:
        yield node
    finally:
        node.close()


@pytest.fixture
def journal(own_hub: Hub, other: OtherNode, request: pytest.FixtureRequest) -> Journal:
    """Of a driver that is placed on the other node."""
    number = sum(map(ord, request.node.nodeid)) % 100_000
    id = f"far-{number}-{random.randrange(10**9)}"
    other.connect()
    register(own_hub, probe(id, node=other.id))
    wait_until(lambda: own_hub.program(id)["node"] == other.id, what="it is placed")
    return Journal(other, id)


def lines(hub: Hub, journal: Journal) -> list[str]:
    return [
        row["line"] for row in
        hub.sql("SELECT line FROM hub.log_line WHERE kind = %s AND id = %s ORDER BY number", journal.kind, journal.id)
    ]


def test_lines_and_states_are_stored_and_confirmed(own_hub: Hub, journal: Journal) -> None:
    began = now()
    answer = journal.send(
        0, state(1, "STARTING", pid=77), line(2, "hello"), line(3, "à la \0 \U0001f600 'quoted'", stream="stderr"),
        state(4, "RUNNING", pid=77, reason="up for 1 s", t=began))
    assert answer == (journal.origin, 4)
    program = own_hub.program(journal.id)
    assert (program["state"], program["pid"], program["runs"], program["reason"]) == ("RUNNING", 77, 1, "up for 1 s")
    reply = own_hub.rpc("logs", "get", id=journal.id)
    assert [(item["stream"], item["text"], item["run"]) for item in reply["lines"]] == [
        ("stdout", "hello", 1), ("stderr", "à la  \U0001f600 'quoted'", 1)]
    assert journal.send(4, state(5, "EXITED", reason="signal 9 (killed)", signal=9)) == (journal.origin, 5)
    (run,) = own_hub.sql("SELECT * FROM hub.run WHERE id = %s", journal.id)
    assert (run["node"], run["pid"], run["exit_code"], run["signal"]) == ("other", 77, None, 9)
    assert run["ended_at"] is not None and run["reason"] == "signal 9 (killed)"


def test_what_comes_again_changes_nothing(own_hub: Hub, journal: Journal) -> None:
    records = [state(1, "STARTING", pid=7), *(line(n, str(n)) for n in range(2, 12)), state(12, "RUNNING", pid=7)]
    for end in (5, 5, 12, 3, 12):
        assert journal.send(0, *records[:end]) == (journal.origin, max(end, 5 if end == 5 else 12))
    assert journal.send(4, *records[4:9]) == (journal.origin, 12)
    assert lines(own_hub, journal) == [str(n) for n in range(2, 12)]
    assert own_hub.program(journal.id)["state"] == "RUNNING"


def test_what_is_missing_in_between_is_waited_for(own_hub: Hub, journal: Journal) -> None:
    assert journal.send(0, line(1, "1")) == (journal.origin, 1)
    assert journal.send(2, line(3, "3")) == (journal.origin, 1)
    assert journal.send(1, line(2, "2"), line(3, "3")) == (journal.origin, 3)
    # These the node itself has no more.
    for _ in range(2):
        assert journal.send(3, line(1_000, "1000")) == (journal.origin, 1_000)
    dropped = "… 996 lines dropped: the node had no more room for them"
    assert lines(own_hub, journal) == ["1", "2", "3", dropped, "1000"]


def test_a_new_journal_begins_anew_and_an_old_one_is_over(own_hub: Hub, journal: Journal) -> None:
    assert journal.send(0, line(1, "first"), state(2, "RUNNING", pid=7)) == (journal.origin, 2)
    later = Journal(journal.node, journal.id, origin=journal.origin + 1)
    assert later.send(5, line(6, "second"), state(7, "RUNNING", run=2, pid=8)) == (later.origin, 7)
    assert journal.send(2, line(3, "too late"), state(4, "FATAL")) == (later.origin, 7)
    assert lines(own_hub, journal) == ["first", "second"]
    assert (own_hub.program(journal.id)["state"], own_hub.program(journal.id)["runs"]) == ("RUNNING", 2)


def test_a_bad_record_spoils_no_other_and_does_not_come_again(own_hub: Hub, journal: Journal) -> None:
    answer = journal.send(
        0, line(1, "1"), {"n": 2, "what": "is this"}, line(3, "3"), line(4, "4", stream="stdin"), state(5, "GONE"), 7)
    assert answer == (journal.origin, 6)
    assert journal.send(6, line(7, "7")) == (journal.origin, 7)
    assert lines(own_hub, journal) == ["1", "3", "7"]
    log = (own_hub.data / "log" / "hub.log").read_text()
    assert f"journal of driver-{journal.id} after 0: records[1]: 'state' is missing" in log


def test_a_run_has_its_own_lines(own_hub: Hub, journal: Journal) -> None:
    # The clock was set back in between.
    t = now()
    journal.send(
        0, state(1, "STARTING", pid=1, t=t), line(2, "of the first", t=t + 50_000_000),
        state(3, "EXITED", exit_code=1, t=t + 60_000_000), state(4, "STARTING", run=2, pid=2, t=t + 10_000_000),
        line(5, "of the second", run=2, t=t + 11_000_000))
    for run, text in ((1, "of the first"), (2, "of the second")):
        printed = own_hub.cli("logs", journal.id, "--run", run)
        assert printed.rstrip().endswith(text) and printed.count("\n") == 1, printed


def test_an_end_that_was_not_told_is_not_the_end_of_the_next_run(own_hub: Hub, journal: Journal) -> None:
    journal.send(0, state(1, "STARTING", pid=1))
    journal.send(1, state(500, "STARTING", run=4, pid=4), state(501, "EXITED", run=4, exit_code=3, reason="code 3"))
    rows = own_hub.sql("SELECT run, exit_code, reason FROM hub.run WHERE id = %s ORDER BY run", journal.id)
    assert [(row["run"], row["exit_code"], row["reason"]) for row in rows] == [
        (1, None, "its end was not told"), (4, 3, "code 3")]


# Snapshots


def snapshot_entry(journal: Journal, n: int | None, word: str, **members: Any) -> dict[str, Any]:
    entry = {"id": journal.id, "program": journal.kind} | state(0, word, **members)
    del entry["n"]
    return entry if n is None else entry | {"origin": journal.origin, "n": n}


def present(hub: Hub, journal: Journal) -> tuple[str, int]:
    # The hub has handled what was sent when it answers.
    program = hub.program(journal.id)
    return program["state"], program["runs"]


def test_nothing_older_sets_the_state_back(own_hub: Hub, journal: Journal) -> None:
    journal.send(0, state(1, "STARTING", pid=1), state(2, "RUNNING", pid=1))
    # The snapshot is ahead of what has come of the journal.
    journal.node.snapshot(snapshot_entry(journal, 8, "RUNNING", run=2, pid=2))
    assert present(own_hub, journal) == ("RUNNING", 2)
    journal.send(2, line(3, "x"), state(4, "EXITED", exit_code=3), state(5, "STARTING", run=2, pid=2))
    assert present(own_hub, journal) == ("RUNNING", 2)
    journal.node.snapshot(snapshot_entry(journal, 4, "EXITED", exit_code=3))
    assert present(own_hub, journal) == ("RUNNING", 2)
    journal.send(5, state(8, "RUNNING", run=2, pid=2), state(9, "STOPPING", run=2, pid=2))
    assert present(own_hub, journal) == ("STOPPING", 2)
    # What happened is the journal's to tell.
    rows = own_hub.sql("SELECT run, exit_code FROM hub.run WHERE id = %s ORDER BY run", journal.id)
    assert [(row["run"], row["exit_code"]) for row in rows] == [(1, 3), (2, None)]


def test_a_snapshot_that_is_from_no_journal_is_how_it_is(own_hub: Hub, journal: Journal) -> None:
    journal.send(0, state(1, "RUNNING", pid=1))
    journal.node.snapshot(snapshot_entry(journal, None, "FATAL", reason="cannot be prepared"))
    assert present(own_hub, journal) == ("FATAL", 1)
    journal.send(1, state(2, "RUNNING", run=2, pid=2))
    assert present(own_hub, journal) == ("RUNNING", 2)


def test_a_node_that_comes_back_says_again_how_it_is(own_hub: Hub, journal: Journal) -> None:
    journal.send(0, state(1, "RUNNING", pid=1))
    journal.node.peer.publish(own_hub.topic("nodes/other/status"), {"status": "offline"}, retain=True)
    wait_until(lambda: own_hub.program(journal.id)["state"] == "UNKNOWN", what="nobody knows")
    journal.node.connect()
    journal.node.snapshot(snapshot_entry(journal, 1, "RUNNING", pid=1))
    wait_until(lambda: own_hub.program(journal.id)["state"] == "RUNNING", what="it is known again")


# What it means


def test_each_bad_end_counts_once_for_a_crash_loop(own_hub: Hub, journal: Journal) -> None:
    t = now()
    ends = [state(n, "BACKOFF", run=n, exit_code=1, reason="exit code 1", t=t + n) for n in range(1, 4)]
    journal.send(0, line(1, "so it ends"))
    ends = [end | {"n": end["n"] + 1} for end in ends]
    for _ in range(3):
        journal.send(1, *ends[:2])
    assert not [i for i in own_hub.rpc("incidents", "list")["incidents"] if journal.id in i["subject"]]
    for _ in range(3):
        journal.send(1, *ends)
    (incident,) = wait_until(
        lambda: [i for i in own_hub.rpc("incidents", "list")["incidents"] if journal.id in i["subject"]], what="one")
    assert "3 times in a minute" in incident["reason"]
    assert own_hub.rpc("incidents", "show", id=incident["id"])["incident"]["log"] == ["so it ends"]


def test_a_hub_that_was_started_meanwhile_ends_a_crash_loop(own_hub: Hub, journal: Journal) -> None:
    def incidents() -> list[dict[str, Any]]:
        return [i for i in own_hub.rpc("incidents", "list")["incidents"] if journal.id in i["subject"]]

    t = now()
    journal.send(0, *[state(n, "BACKOFF", run=n, exit_code=1, t=t + n) for n in range(1, 4)])
    wait_until(incidents, what="an incident")
    journal.send(3, state(4, "RUNNING", run=4, pid=1))
    own_hub.replace("hub")
    assert incidents(), "nothing is known of it yet"
    journal.node.connect()
    journal.node.snapshot(snapshot_entry(journal, 4, "RUNNING", run=4, pid=1, t=now() - 90_000_000))
    wait_until(lambda: not incidents(), what="it is over")


def test_a_program_on_another_node_is_not_hidden_by_what_is_left_of_it_here(own_hub: Hub, journal: Journal) -> None:
    """Such as a sensor that was moved while its node was away."""
    journal.send(0, state(1, "RUNNING", pid=1))
    journal.node.close()
    own_hub.rpc("sensors", "remove", name=journal.id)
    register(own_hub, probe(journal.id, node=own_hub.node))
    own_hub.wait_until_running(journal.id)
    before = own_hub.program(journal.id)
    journal.node.connect()
    journal.node.snapshot(snapshot_entry(journal, 1, "RUNNING", pid=1))
    journal.send(1, state(2, "STOPPING", pid=1))
    assert own_hub.program(journal.id)["node"] == own_hub.node
    journal.send(2, state(3, "STOPPED"))
    after = own_hub.program(journal.id)
    assert [after[key] for key in ("state", "pid", "runs")] == ["RUNNING", before["pid"], 1]


def test_a_node_has_nothing_to_say_of_other_nodes_programs(own_hub: Hub, other: OtherNode) -> None:
    register(own_hub, probe("near-1", node=own_hub.node))
    own_hub.wait_until_running("near-1")
    for id, kind in (("near-1", "driver"), ("near-1", "algorithm"), ("nobody", "driver")):
        journal = Journal(other, id, kind)
        # It is told to go on: there is nothing to wait for.
        assert journal.send(0, line(1, "forged"), state(2, "EXITED", exit_code=0)) == (journal.origin, 2)
        assert "forged" not in lines(own_hub, journal)
    assert own_hub.program("near-1")["state"] == "RUNNING"
    assert own_hub.value("SELECT count(*) FROM hub.journal WHERE id IN ('near-1', 'nobody') AND node = 'other'") == 0


def test_the_last_words_of_a_program_that_was_removed_are_kept(own_hub: Hub, journal: Journal) -> None:
    journal.send(0, state(1, "RUNNING", pid=1))
    own_hub.rpc("sensors", "remove", name=journal.id)
    assert journal.send(1, line(2, "farewell"), state(3, "STOPPED", exit_code=0)) == (journal.origin, 3)
    assert lines(own_hub, journal) == ["farewell"]
    assert own_hub.value("SELECT count(*) FROM hub.program WHERE id = %s", journal.id) == 0
    assert own_hub.value("SELECT exit_code FROM hub.run WHERE id = %s", journal.id) == 0


@pytest.mark.parametrize("change", [
    lambda m: b"{", lambda m: m | {"origin": 0}, lambda m: m | {"origin": "1"}, lambda m: m | {"after": -1},
    lambda m: m | {"records": None}, lambda m: m | {"records": [7] * 1_001}, lambda m: m | {"id": "a/b"},
    lambda m: m | {"program": "cat"}, lambda m: m | {"fill": "x" * (1 << 20)}, lambda m: m | {"after": 2**80},
])
def test_what_is_no_journal_is_not_taken(own_hub: Hub, journal: Journal, change: Callable[[Any], Any]) -> None:
    journal.send(0, line(1, "1"))
    answers = len(journal.answers())
    journal.node.report(change(journal.message(1, line(2, "2"))))
    assert own_hub.rpc("hub", "status")["status"] == 200
    assert len(journal.answers()) == answers and lines(own_hub, journal) == ["1"]
    assert journal.send(1, line(2, "2")) == (journal.origin, 2)


# Much, and in bad times


def windows(hub: Hub, journal: Journal, count: int, disturb: Callable[[int], None]) -> None:
    """Sends lines 1 to `count` as an agent does that does not trust anybody: windows that begin anywhere in what the
    hub has confirmed."""
    known = 0
    while known < count:
        after = max(0, known - random.choice([0, 0, 0, 1, 50, 400]))
        end = min(count, after + random.randint(1, 400))
        disturb(end)
        try:
            records = [line(n, f"line {n} of {count}") for n in range(after + 1, end + 1)]
            origin, known = journal.send(after, *records, timeout=5)
            assert origin == journal.origin
        except (AssertionError, Disconnected, Refused, OSError):
            wait_until(lambda: journal.node.connect(), 60, "the broker", (Disconnected, Refused, OSError))


@pytest.mark.parametrize("victims", [(), ("hub",), ("hub", "postgres", "mosquitto")])
def test_ten_thousand_lines_arrive_once_each(own_hub: Hub, journal: Journal, victims: tuple[str, ...]) -> None:
    count = 10_000
    due = [1_500, 3_000, 4_500, 6_000, 7_500, 9_000] if victims else []

    def disturb(end: int) -> None:
        if due and end >= due[0]:
            # With a message under way.
            journal.node.report(journal.message(0, line(1, f"line 1 of {count}")))
            own_hub.close()
            os.kill(own_hub.part(victims[len(due) % len(victims)]), signal.SIGKILL)
            del due[0]
            time.sleep(random.uniform(0, 0.5))

    windows(own_hub, journal, count, disturb)
    assert not due
    assert lines(own_hub, journal) == [f"line {n} of {count}" for n in range(1, count + 1)]


def test_lines_are_bounded(own_hub: Hub, journal: Journal) -> None:
    for first in range(0, 13_000, 1_000):
        journal.send(first, *(line(n, str(n)) for n in range(first + 1, first + 1_001)))
    kept = lines(own_hub, journal)
    assert 10_000 <= len(kept) < 12_000 and kept == [str(n) for n in range(13_001 - len(kept), 13_001)]
    assert len(own_hub.rpc("logs", "get", id=journal.id, last=10_000)["lines"]) == 10_000


def test_of_what_is_gone_the_last_ones_are_kept(own_hub: Hub, journal: Journal) -> None:
    # Its last run goes on; of an older one its end was told.
    journal.send(0, *[
        record for run in range(1, 6)
        for record in (state(2 * run - 1, "RUNNING", run=run, pid=1), state(2 * run, "EXITED", run=run, exit_code=0))])
    journal.send(10, line(11, "it is there"), state(12, "RUNNING", run=6, pid=1))
    gone = [Journal(journal.node, f"{journal.id}-{number}") for number in range(3)]
    for other in gone:
        register(own_hub, probe(other.id, node=other.node.id))
        other.send(0, state(1, "RUNNING", pid=1), line(2, "it was there"))
        own_hub.rpc("sensors", "remove", name=other.id)
    # This name has a sensor again.
    register(own_hub, probe(gone[0].id, node=journal.node.id))

    def left(table: str) -> dict[str, int]:
        rows = own_hub.sql(
            f"SELECT id, count(*) FROM hub.{table} WHERE starts_with(id, %s) GROUP BY id", journal.id)
        return {row["id"].removeprefix(journal.id): row["count"] for row in rows}

    assert left("run") == {"": 6, "-0": 1, "-1": 1, "-2": 1}
    own_hub.sql("SELECT hub.forget_programs(1, 2)")
    assert left("run") == {"": 2, "-0": 1, "-2": 1}
    assert left("log_line") == {"": 1, "-0": 1, "-2": 1}


def test_a_database_from_before_is_carried_on(own_hub: Hub, journal: Journal) -> None:
    """The schema as it was when lines had no run: a start of the hub brings it up to date, and the lines stay."""
    with psycopg.connect(own_hub.connection["database"], autocommit=True) as database:
        database.execute("DROP VIEW report.log")
        database.execute("DROP TABLE hub.journal")
        database.execute("ALTER TABLE hub.log_line DROP COLUMN run, DROP COLUMN node")
        database.execute("ALTER TABLE hub.program DROP COLUMN origin, DROP COLUMN number")
        database.execute(
            "INSERT INTO hub.log_line (at, kind, id, stream, line) VALUES (now(), 'driver', %s, 'stdout', 'old')",
            [journal.id])
    own_hub.close()
    os.kill(own_hub.part("hub"), signal.SIGKILL)
    wait_until(lambda: own_hub.value("SELECT to_regclass('hub.journal') IS NOT NULL"), 60, "the new tables")
    wait_until(lambda: own_hub.request("hub", "status", timeout=2), 60, "the hub is back", (AssertionError,))
    journal.node.connect()
    assert journal.send(0, line(1, "new")) == (journal.origin, 1)
    assert lines(own_hub, journal) == ["old", "new"]
