"""Looking at the hub from the command line: nodes, incidents, events, programs, logs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Optional

import pytest

from hub import SENSORHUB, Hub, environment, run, wait_until
from samples import deploy_sleeper, probe, register

NEW_COMMANDS = [
    ["nodes"], ["incidents"], ["events"], ["ps"], ["logs", "x"], ["start", "x"], ["restart", "x"], ["enable", "x"],
    ["disable", "x"], ["signal", "x", "HUP"],
]


@pytest.fixture(scope="module")
def running(own_hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An algorithm instance beside two drivers."""
    register(own_hub, probe("look-1", site="look"), probe("look-2", site="look"), probe("look-3", driver=False))
    instance = deploy_sleeper(own_hub, tmp_path_factory.mktemp("look"), "look", {"site": "look"})
    own_hub.wait_until_running("look-1", "look-2")
    return instance


@pytest.mark.parametrize("command", NEW_COMMANDS, ids=" ".join)
def test_without_a_hub_it_is_said_where_it_was_looked_for(tmp_path: Path, command: list[str]) -> None:
    result = run(*command, "--data", tmp_path / "nowhere")
    assert result.returncode == 1 and f"no hub is running under {tmp_path}/nowhere" in result.stderr


# Nodes


def test_a_node_is_told_with_what_is_placed_on_it(own_hub: Hub, running: str) -> None:
    (node,) = own_hub.json("nodes")["nodes"]
    assert node["node"] == own_hub.node and node["status"] == "online"
    assert (node["drivers"], node["algorithms"], node["states"]) == (2, 1, {"RUNNING": 3})
    assert f"{node['version']}\n" == run("--version").stdout
    assert abs(node["since"] / 1e6 - time.time()) < 3_600
    taking = own_hub.cli("nodes", "--columns", "node,commands", "--where", "commands=true", "--no-header")
    assert taking.split() == [own_hub.node, "true"]
    assert own_hub.json("nodes", "--where", "status=offline")["nodes"] == []
    assert "RUNNING=3" in own_hub.cli("nodes")


def test_a_node_that_goes_and_comes_is_told(own_hub: Hub, running: str) -> None:
    pid = own_hub.part("agent")
    follower = Follower(own_hub, "events", "--follow", "--last", "1", "--kind", "node", "--json")
    try:
        assert follower.next()["kind"] == "node.online"
        os.kill(pid, signal.SIGKILL)
        assert follower.next()["kind"] == "node.offline"
        assert follower.next()["kind"] == "node.online"
    finally:
        follower.end()
    own_hub.wait_until_running("look-1", "look-2", running)
    kinds = [event["kind"] for event in own_hub.json("events", "--kind", "node", "--last", "2")["events"]]
    assert kinds == ["node.offline", "node.online"]


# Incidents


def report(hub: Hub, status: str) -> None:
    """What the device look-3 says of itself."""
    with hub.as_device("look-3") as device:
        device.publish(
            hub.topic("sensors/look-3/status"), {"status": status, "reason": "a broken wire", "t": 1}, retain=True)


def test_incidents_are_listed_while_they_are_open_and_afterwards(own_hub: Hub, running: str) -> None:
    report(own_hub, "fault")
    wait_until(lambda: own_hub.json("incidents", "--kind", "sensor-fault")["incidents"], what="the incident")
    (listed,) = own_hub.json("incidents", "--kind", "sensor-fault")["incidents"]
    assert listed["subject"] == "look-3" and "a broken wire" in listed["reason"] and listed["closed_at"] is None
    assert abs(listed["opened_at"] / 1e6 - time.time()) < 600
    for arguments in ([], ["--open"]):
        assert listed in own_hub.json("incidents", *arguments)["incidents"]
    assert listed in own_hub.json("incidents", "--all", "--where", "subject=look-3")["incidents"]
    assert own_hub.json("incidents", "--kind", "broker-queue")["incidents"] == []
    assert re.search(r"^\d+ +sensor-fault +look-3 .* a broken wire", own_hub.cli("incidents"), re.MULTILINE)

    report(own_hub, "online")
    wait_until(lambda: not own_hub.json("incidents", "--kind", "sensor-fault")["incidents"], what="its end")
    assert own_hub.cli("incidents", "--kind", "sensor-fault") == "no incident is open\n"
    (over,) = own_hub.json("incidents", "--all", "--kind", "sensor-fault", "--last", "1")["incidents"]
    assert over["closed_at"] > over["opened_at"] == listed["opened_at"] and over["id"] == listed["id"]
    events = own_hub.json("events", "--kind", "incident", "--since", "1h")["events"]
    ends = [(event["kind"], event["t"]) for event in events if event["incident"] == "sensor-fault"]
    assert ends == [("incident.opened", over["opened_at"]), ("incident.closed", over["closed_at"])]


def test_an_unknown_kind_of_incident_is_refused(own_hub: Hub) -> None:
    text = own_hub.refusal("incidents", "--kind", "sensor-fualt")
    assert "'sensor-fualt'" in text and "did you mean 'sensor-fault'?" in text and "broker-drops" in text


# Events


class Follower:
    """A command that goes on for ever, with an object a line. What it first tells of the past shows that it listens."""

    def __init__(self, hub: Hub, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [SENSORHUB, *arguments, "--data", str(hub.data)], stdout=subprocess.PIPE, env=environment(), text=True)

    def next(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the follower has ended with {self._process.wait(60)}"
        return json.loads(line)

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """As on a laptop that is closed: meanwhile the broker forgets it."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(60)


def test_events_are_listed_oldest_first(own_hub: Hub, running: str) -> None:
    events = own_hub.json("events", "--since", "1h")["events"]
    assert [event["t"] for event in events] == sorted(event["t"] for event in events)
    assert {"kind": "instance.placed", "subject": running, "node": own_hub.node}.items() <= next(
        event for event in events if event["kind"] == "instance.placed").items()
    # The newest are those that count.
    newest = own_hub.json("events", "--last", "3")["events"]
    # An incident of a machine that stands still for some seconds may come in between.
    assert newest in (events[-3:], own_hub.json("events", "--since", "1h")["events"][-3:])
    assert own_hub.json("events", "--until", "1h")["events"] == []
    assert "instance.placed" in own_hub.cli("events", "--kind", "instance.placed", "--last", "1")


def test_each_event_is_followed_once_and_is_as_on_record(own_hub: Hub, running: str) -> None:
    follower = Follower(own_hub, "events", "--follow", "--last", "1", "--kind", "type", "--json")
    try:
        first = follower.next()
        names = [f"Event{number}" for number in range(20)]
        for name in names:
            own_hub.rpc("types", "register", document={
                "name": name, "company": "Tests", "sensor_data_structure": {"a": "int"}})
        followed = [follower.next() for _ in names]
    finally:
        follower.end()
    assert [event["subject"] for event in followed] == names
    listed = own_hub.json("events", "--kind", "type", "--last", "21")["events"]
    assert [first, *followed] == listed


def restart_broker(hub: Hub) -> None:
    """Returns when the hub answers over the new one."""
    pid = hub.part("mosquitto")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: hub.part("mosquitto") != pid, what="another broker", retry_on=(AssertionError,))
    hub.close()
    wait_until(lambda: hub.request("hub", "status", timeout=2)["status"] == 200, 60, "the hub", (Exception,))


def test_a_follower_that_was_away_is_told_every_event(own_hub: Hub) -> None:
    follower = Follower(own_hub, "events", "--follow", "--last", "1", "--kind", "type", "--json")
    try:
        own_hub.rpc("types", "register", document={
            "name": "Before", "company": "Tests", "sensor_data_structure": {"a": "int"}})
        while follower.next()["subject"] != "Before":
            pass
        with follower.asleep():
            restart_broker(own_hub)
            names = [f"Meanwhile{number}" for number in range(5)]
            for name in names:
                own_hub.rpc("types", "register", document={
                    "name": name, "company": "Tests", "sensor_data_structure": {"a": "int"}})
        assert [follower.next()["subject"] for _ in names] == names
    finally:
        follower.end()


def test_a_follower_that_was_away_is_told_every_line(own_hub: Hub) -> None:
    count = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"
    id = own_hub.rpc("commands", "run", node=own_hub.node, command=["sh", "-c", count], name="counting")["id"]
    follower: Optional[Follower] = None

    def newest() -> int:
        lines = own_hub.rpc("logs", "get", id=id, last=1)["lines"]
        return int(lines[0]["text"]) if lines else 0

    try:
        wait_until(newest, what="its first line")
        follower = Follower(own_hub, "logs", id, "--follow", "--json")
        numbers = [int(follower.next()["text"])]
        with follower.asleep():
            restart_broker(own_hub)
            seen = newest()
            wait_until(lambda: newest() > seen + 20, what="lines that it does not hear")
            last = newest()
        while numbers[-1] <= last + 5:
            line = follower.next()
            assert set(line) == {"t", "run", "origin", "n", "stream", "text"}
            numbers.append(int(line["text"]))
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
    finally:
        if follower is not None:
            follower.end()
        own_hub.rpc("programs", "stop", id=id)


def test_events_and_incidents_are_kept_for_a_year(own_hub: Hub) -> None:
    for days in (364, 366):
        own_hub.sql_script(f"""
            INSERT INTO hub.event (at, kind, subject, detail)
            VALUES (now() - interval '{days} days', 'sensor.online', 'year-{days}', '{{}}');
            INSERT INTO hub.incident (opened_at, closed_at, kind, subject, reason)
            VALUES (now() - interval '400 days', now() - interval '{days} days', 'sensor-fault', 'year-{days}', '')""")
    hub = own_hub.part("hub")
    os.kill(hub, signal.SIGKILL)
    own_hub.close()
    wait_until(lambda: own_hub.part("hub") != hub, 60, "another hub", (AssertionError,))
    for table in ("event", "incident"):
        kept = f"SELECT subject FROM hub.{table} WHERE subject LIKE 'year-%'"
        wait_until(lambda: [row["subject"] for row in own_hub.sql(kept)] == ["year-364"], 60, f"the end of the old {table}")


def test_kinds_are_told_from_each_other(own_hub: Hub, running: str) -> None:
    events = own_hub.json("events", "--kind", "sensor.registered", "--kind", "app", "--since", "1d")["events"]
    assert {event["kind"] for event in events} == {"sensor.registered", "app.installed"}
    assert "did you mean 'sensor.registered'?" in own_hub.refusal("events", "--kind", "sensor.registred")
    assert "there are app.deleted, " in own_hub.refusal("events", "--kind", "quite-another")
    assert "did you mean" in own_hub.refusal("events", "--follow", "--kind", "nodes")


@pytest.mark.parametrize("arguments, hint", [
    (["events", "--last", "0"], "--last"), (["events", "--last", "10001"], "--last"),
    (["events", "--follow", "--until", "1h"], "--until"), (["events", "--since", "1h", "--until", "2h"], "--until"),
    (["events", "--since", "31.12."], "--since"), (["events", "--since", "2026-04-31"], "--since"),
    (["events", "--since", "2026-04-30 24:00"], "--since"), (["events", "--since", "-1h"], "--since"),
    (["events", "--since", "1y"], "--since"), (["events", "--since", ""], "--since"),
    (["events", "--since", "99999999999999999999d"], "--since"),
    (["incidents", "--last", "0"], "--last"), (["incidents", "--open", "--all"], "--all"),
    (["logs", "x", "--run", "0"], "--run"), (["logs", "x", "--run", "1", "--follow"], "--follow"),
    (["logs", "x", "--last", "0"], "--last"),
])
def test_misuse_is_told_with_exit_code_64(arguments: list[str], hint: str) -> None:
    result = run(*arguments)
    assert result.returncode == 64 and hint in result.stderr


@pytest.mark.parametrize("service, method, parameters, hint", [
    ("events", "list", {"kinds": "node"}, "kinds: expected a list"), ("events", "list", {"kinds": [7]}, "kinds[0]"),
    ("events", "list", {"since": "1h"}, "since: expected a whole number"), ("events", "list", {"since": -1}, "since"),
    ("events", "list", {"since": 2, "until": 1}, "until: is before 'since'"),
    ("events", "list", {"last": 10_001}, "last"), ("events", "list", {"kind": "node"}, "did you mean 'kinds'?"),
    ("incidents", "list", {"all": 1}, "all: expected true or false"), ("incidents", "list", {"last": 0}, "last"),
    ("nodes", "list", {"x": 1}, "unknown key 'x'"), ("logs", "get", {"id": "look-1", "run": 0}, "run"),
])
def test_a_wrong_request_is_refused(
    own_hub: Hub, running: str, service: str, method: str, parameters: dict[str, Any], hint: str
) -> None:
    reply = own_hub.request(service, method, **parameters)
    assert reply["status"] == 400 and hint in reply["error"]


# Lists


def ids(hub: Hub, *arguments: str) -> list[str]:
    return [program["id"] for program in hub.json("ps", *arguments)["programs"]]


def test_programs_are_selected_by_conditions(own_hub: Hub, running: str) -> None:
    drivers = ["look-1", "look-2"]
    assert ids(own_hub, "--where", "kind=driver") == drivers
    assert ids(own_hub, "--where", "kind=Driver", "--where", "id!=look-1") == ["look-2"]
    assert ids(own_hub, "--where", "app=look") == ids(own_hub, "--where", "app ~ LOO") == [running]
    assert ids(own_hub, "--where", "app=") == drivers and ids(own_hub, "--where", "app!=") == [running]
    # The instance is bound to the first.
    assert ids(own_hub, "--where", "sensors=look-1") == [running, "look-1"]
    assert ids(own_hub, "--where", "sensors!=look-1") == ["look-2"]
    pid = str(own_hub.program("look-2")["pid"])
    assert ids(own_hub, "--where", f"pid={pid}") == ids(own_hub, "--where", f"pid={pid}.0") == ["look-2"]
    assert ids(own_hub, "--where", "runs>=1", "--where", "runs<1000000") == [running, *drivers]
    # By number, not by text.
    assert ids(own_hub, "--where", "runs>1000000") == [] and ids(own_hub, "--where", "pid<=9") == []
    assert ids(own_hub, "--where", "state=running", "--where", "enabled=true") == [running, *drivers]
    assert ids(own_hub, "--where", "code=20") == [running, *drivers]
    assert own_hub.cli("ps", "--where", "state=FATAL") == "none is like that\n"


def test_programs_are_sorted(own_hub: Hub, running: str) -> None:
    assert ids(own_hub, "--sort", "-id") == [running, "look-2", "look-1"]
    assert ids(own_hub, "--sort", "kind,-id") == [running, "look-2", "look-1"]
    # What has none comes last, either way.
    assert ids(own_hub, "--sort", "app")[0] == ids(own_hub, "--sort", "-app")[0] == running
    pids = [program["pid"] for program in own_hub.json("ps", "--sort", "-pid")["programs"]]
    assert pids == sorted(pids, reverse=True)


def test_columns_are_chosen(own_hub: Hub, running: str) -> None:
    lines = own_hub.cli("ps", "--columns", "state,id,program", "--sort", "id").splitlines()
    assert lines[0].split() == ["STATE", "ID", "PROGRAM"]
    assert [line.split() for line in lines[1:]] == [
        ["RUNNING", "look-1", "simulated"], ["RUNNING", "look-2", "simulated"], ["RUNNING", running, "look/main"]]
    assert own_hub.cli("ps", "--columns", "id", "--sort", "id", "--no-header") == f"look-1\nlook-2\n{running}\n"
    assert own_hub.cli("ps", "--no-header", "--where", "state=FATAL") == ""
    # As JSON the columns are members; without them everything is told.
    assert own_hub.json("ps", "--columns", "id,app", "--where", "id=look-1") == {
        "status": 200, "programs": [{"id": "look-1", "app": None}]}
    (whole,) = own_hub.json("ps", "--where", "id=look-1")["programs"]
    assert whole == own_hub.program("look-1")


@pytest.mark.parametrize("arguments, hint", [
    (["ps", "--columns", "id,stat"], "'stat' (did you mean 'state'?): there are id, kind, "),
    (["ps", "--columns", "id,,pid"], "a name is missing"), (["ps", "--columns", ""], "a name is missing"),
    (["ps", "--columns", "id,id"], "'id' is named twice"), (["ps", "--sort", "-rnus"], "did you mean 'runs'?"),
    (["ps", "--where", "stae=RUNNING"], "did you mean 'state'?"), (["ps", "--where", "state"], "no condition"),
    (["ps", "--where", "state=RUNING"], "did you mean 'RUNNING'?"),
    (["ps", "--where", "runs>many"], "'runs' is a number"),
    (["ps", "--where", "runs>nan"], "'runs' is a number"), (["ps", "--where", "runs>"], "a value is missing"),
    (["ps", "--where", "=RUNNING"], "no column ''"), (["nodes", "--where", "since>never"], "'never' is no time"),
    (["incidents", "--columns", "x"], "no column 'x'"),
])
def test_a_wrong_column_or_condition_is_told(arguments: list[str], hint: str) -> None:
    result = run(*arguments)
    assert result.returncode == 64 and hint in result.stderr and f"sensorhub {arguments[0]} " in result.stderr


def test_times_are_compared_as_times(own_hub: Hub, running: str) -> None:
    assert len(own_hub.json("nodes", "--where", "since>1h")["nodes"]) == 1
    assert own_hub.json("nodes", "--where", "since<2020-01-01")["nodes"] == []
    (program,) = own_hub.json("ps", "--where", f"id={running}", "--where", "since>1h")["programs"]
    assert abs(program["since"] / 1e6 - time.time()) < 3_600
    shown = own_hub.cli("ps", "--where", f"id={running}", "--columns", "since", "--no-header").strip()
    assert shown.startswith(time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(program["since"] // 1_000_000)))


# Logs


def test_logs_of_a_time_and_of_a_run(own_hub: Hub, running: str) -> None:
    own_hub.cli("restart", running)
    newest = own_hub.program(running)["runs"]
    wait_until(
        lambda: len(own_hub.json("logs", running, "--run", str(newest))["lines"]) == 2, what="two lines of the new run")
    lines = own_hub.json("logs", running, "--run", str(newest - 1))["lines"]
    # The two streams are read side by side.
    texts = [line["text"] for line in lines]
    assert len([text for text in texts if text.startswith(f"instance {running} ")]) == texts.count("farewell") == 1
    every = own_hub.json("logs", running)["lines"]
    assert every[-2:] == own_hub.json("logs", running, "--run", str(newest))["lines"]
    assert own_hub.json("logs", running, "--since", "1h")["lines"] == every
    assert own_hub.json("logs", running, "--until", "1h")["lines"] == []
    middle = every[-2]["t"]
    reply = own_hub.rpc("logs", "get", id=running, since=middle)
    assert reply["lines"] == [line for line in every if line["t"] >= middle]
    assert own_hub.rpc("logs", "get", id=running, until=middle)["lines"] == [
        line for line in every if line["t"] < middle]
    assert f"no driver '{running}'" in own_hub.refusal("logs", running, "--kind", "driver")
    text = own_hub.refusal("logs", running, "--run", str(newest + 100))
    assert f"no run {newest + 100} on record; its last one is {newest}" in text
