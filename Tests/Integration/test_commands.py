"""Commands on a named machine: asked for by people and by algorithms."""

from __future__ import annotations

import signal
import time
import uuid
from pathlib import Path
from typing import Any, Iterator

import pytest

from hub import Hub, wait_until
from other_node import OtherNode
from samples import SLEEPER, app_zip, deployment, probe, register, write

TICKER = "trap 'echo farewell; exit 5' TERM; trap 'echo hup' HUP; echo up; while :; do sleep 0.05; done"


def run(hub: Hub, *command: str, **parameters: Any) -> str:
    reply = hub.rpc("commands", "run", **({"node": hub.node, "command": list(command)} | parameters))
    return str(reply["id"])


def show(hub: Hub, id: str) -> dict[str, Any]:
    return dict(hub.rpc("commands", "show", id=id)["command"])


def events_of(hub: Hub, id: str) -> list[str]:
    """The kinds of events of a command."""
    return [event["kind"] for event in hub.json("events", "--last", 100)["events"] if event["subject"] == id]


def ended(hub: Hub, id: str) -> dict[str, Any]:
    return wait_until(lambda: show(hub, id)["ended_at"] and show(hub, id), what=f"the end of {id}")


def printed(hub: Hub, id: str) -> list[tuple[str, str]]:
    return [(line["stream"], line["text"]) for line in hub.rpc("logs", "get", id=id)["lines"]]


def wait_for_line(hub: Hub, id: str, text: str) -> None:
    wait_until(lambda: any(line == text for _, line in printed(hub, id)), what=f"'{text}' of {id}")


@pytest.fixture
def ticker(own_hub: Hub) -> Iterator[str]:
    id = run(own_hub, "sh", "-c", TICKER, name="ticker")
    own_hub.wait_until_running(id)
    wait_for_line(own_hub, id, "up")
    yield id
    if own_hub.program(id):
        own_hub.cli("stop", id)


@pytest.mark.parametrize("command, state, exit_code, number", [
    (["sh", "-c", "echo one; echo two >&2; exit 3"], "EXITED", 3, None), (["true"], "EXITED", 0, None),
    (["sh", "-c", "kill -USR1 $$"], "EXITED", None, signal.SIGUSR1),
])
def test_a_command_runs_once_and_its_end_is_told(
    own_hub: Hub, command: list[str], state: str, exit_code: int | None, number: int | None,
) -> None:
    id = run(own_hub, *command)
    assert id.rsplit("-", 1)[0] == command[0]
    end = ended(own_hub, id)
    assert (end["state"], end["exit_code"], end["signal"]) == (state, exit_code, number)
    assert end["command"] == command and end["instance"] is None and end["node"] == own_hub.node
    # It has left the plan; its run and its lines stay.
    assert own_hub.program(id) == {}
    wait_until(lambda: own_hub.value("SELECT count(*) FROM hub.program WHERE id = %s", id) == 0, what="it is forgotten")
    (run_row,) = own_hub.sql("SELECT * FROM hub.run WHERE kind = 'command' AND id = %s", id)
    assert (run_row["run"], run_row["exit_code"], run_row["signal"]) == (1, exit_code, number)
    if exit_code == 3:
        assert sorted(printed(own_hub, id)) == [("stderr", "two"), ("stdout", "one")]
        assert "one" in own_hub.cli("logs", id, "--run", 1)
    assert events_of(own_hub, id) == ["command.started", "command.ended"]


def test_what_cannot_be_started_says_why(own_hub: Hub) -> None:
    end = ended(own_hub, run(own_hub, "/no/such/program"))
    assert end["state"] == "FATAL" and "/no/such/program" in end["reason"] and end["exit_code"] is None
    assert not [i for i in own_hub.rpc("incidents", "list")["incidents"] if "command" in i["subject"]]


def test_it_gets_its_words_and_variables_and_no_secrets(own_hub: Hub) -> None:
    id = run(
        own_hub, "sh", "-c", 'echo "[$1][$WORD]"; env; cat', "sh", "a 'b' \n$c", environment={"WORD": "à la", "HOME": "/"})
    ended(own_hub, id)
    lines = [text for _, text in printed(own_hub, id)]
    assert lines[:2] == ["[a 'b' ", "$c][à la]"]
    variables = dict(line.split("=", 1) for line in lines[2:])
    assert variables["HOME"] == "/" and "PATH" in variables
    assert not [name for name in variables if name.startswith("SENSORHUB_")]


def test_people_look_at_it_and_steer_it(own_hub: Hub, ticker: str) -> None:
    (program,) = own_hub.json("ps", "--where", "kind=command")["programs"]
    assert (program["id"], program["state"], program["command"]) == (ticker, "RUNNING", ["sh", "-c", TICKER])
    assert f"{ticker} " in own_hub.cli("ps") and " sh -c " in own_hub.cli("ps")
    assert "restart" not in own_hub.refusal("enable", ticker) and "runs once" in own_hub.refusal("restart", ticker)
    own_hub.cli("signal", ticker, "HUP")
    wait_for_line(own_hub, ticker, "hup")
    with own_hub.as_owner() as person:
        person.subscribe(own_hub.topic(f"commands/{ticker}/log"), own_hub.topic(f"commands/{ticker}/events"))
        assert "stopped" in own_hub.cli("stop", ticker)
        person.wait_for(lambda m: m.topic.endswith("/log") and b"farewell" in m.payload, "its last line")
        person.wait_for(lambda m: m.topic.endswith("/events") and m.json["state"] == "STOPPED", "its end")
    end = ended(own_hub, ticker)
    assert (end["state"], end["exit_code"]) == ("STOPPED", 5)
    assert events_of(own_hub, ticker) == ["command.started", "program.signalled", "command.ended"]
    assert "no program" in own_hub.refusal("signal", ticker, "HUP")


def test_it_gets_its_input(own_hub: Hub) -> None:
    id = run(own_hub, "cat", input=True)
    own_hub.wait_until_running(id)
    own_hub.cli("send", id, "hello")
    wait_for_line(own_hub, id, "hello")
    own_hub.cli("send", id, "--eof")
    assert ended(own_hub, id)["exit_code"] == 0


def test_a_request_that_comes_twice_is_carried_out_once(own_hub: Hub) -> None:
    request = uuid.uuid4().hex
    id = run(own_hub, "cat", input=True, request=request)
    assert run(own_hub, "cat", input=True, request=request) == id
    own_hub.wait_until_running(id)
    for text, request_of_input in (("one", "a"), ("one", "a"), ("two", "b"), ("three", None), ("three", None)):
        more = {"request": f"{request}{request_of_input}"} if request_of_input else {}
        reply = own_hub.rpc("programs", "send", id=id, text=f"{text}\n", **more)
        assert reply["bytes"] == len(text) + 1
    own_hub.rpc("programs", "send", id=id, eof=True)
    assert ended(own_hub, id)["exit_code"] == 0
    assert [text for _, text in printed(own_hub, id)] == ["one", "two", "three", "three"]
    # Also when it is over, and by another hub.
    own_hub.replace("hub")
    assert run(own_hub, "cat", input=True, request=request) == id
    assert "is no id" in own_hub.request("commands", "run", node=own_hub.node, command=["true"], request="a b")["error"]


def test_what_cannot_be_run_is_refused(own_hub: Hub) -> None:
    def refusal(status: int, **parameters: Any) -> str:
        reply = own_hub.request("commands", "run", **({"node": own_hub.node, "command": ["true"]} | parameters))
        assert reply["status"] == status, reply
        return str(reply["error"])

    assert "there is no node 'nowhere'" in refusal(404, node="nowhere")
    assert "command: must begin with the program" in refusal(400, command=[])
    assert "command: must begin with the program" in refusal(400, command=[""])
    assert "command[1]: expected text" in refusal(400, command=["true", 7])
    assert "NUL" in refusal(400, command=["true", "a\0b"])
    assert "at most 256 words" in refusal(400, command=["true"] * 257)
    assert "65536 bytes" in refusal(400, command=["true", "x" * 65_536])
    assert "is no name of a variable" in refusal(400, environment={"A=B": "x"})
    assert "environment.A: expected text" in refusal(400, environment={"A": 7})
    assert "name: 'a/b' is no id" in refusal(400, name="a/b")
    assert "unknown key 'shell'" in refusal(400, shell=True)
    node = OtherNode(own_hub).connect()
    try:
        wait_until(lambda: own_hub.request("commands", "run", node="other", command=["true"])["status"] == 403)
        assert "set agent.commands to true" in refusal(403, node="other")
    finally:
        node.leave()


def test_what_a_node_is_to_run_is_bounded(own_hub: Hub) -> None:
    ids = [run(own_hub, "sleep", "1000", environment={"X": "x" * 65_000}, name="long") for _ in range(32)]
    try:
        reply = own_hub.request(
            "commands", "run", node=own_hub.node, command=["true"], environment={"X": "x" * 65_000})
        assert reply["status"] == 413 and "the most is 2097152" in reply["error"], reply
    finally:
        for id in ids:
            own_hub.rpc("programs", "stop", id=id, kind="command")
    ended(own_hub, run(own_hub, "true"))


def test_it_outlives_hub_and_agent_and_is_never_started_twice(own_hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "starts"
    tmp_path.chmod(0o777)
    id = run(own_hub, "sh", "-c", f"echo start >> {file}; exec sleep 1000")
    own_hub.wait_until_running(id)
    pid = own_hub.program(id)["pid"]
    own_hub.replace("hub")
    own_hub.wait_until_running(id)
    assert own_hub.program(id)["pid"] == pid
    own_hub.replace("agent")
    # It is told how it is, and steers it, as if nothing had been.
    own_hub.wait_until_running(id)
    own_hub.cli("signal", id, "KILL")
    assert ended(own_hub, id)["signal"] == signal.SIGKILL
    assert file.read_text() == "start\n"


def test_only_the_last_ones_are_kept(own_hub: Hub, ticker: str) -> None:
    ids = [run(own_hub, "echo", str(number)) for number in range(3)]
    for id in ids:
        ended(own_hub, id)
        wait_until(lambda: printed(own_hub, id), what="its line")
        time.sleep(0.01)
    last = own_hub.value("SELECT id FROM hub.command WHERE ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT 1")
    own_hub.sql("SELECT hub.forget_commands(1)")
    for table in ("command", "run", "log_line"):
        kind = "" if table == "command" else "AND kind = 'command'"
        left = own_hub.sql(f"SELECT DISTINCT id FROM hub.{table} WHERE true {kind}")
        assert {row["id"] for row in left} == {last, ticker}, table


# Algorithms


class Caller:
    """An algorithm instance, and its requests."""

    def __init__(self, hub: Hub, instance: str) -> None:
        self.hub, self.instance = hub, instance
        self.peer = hub.as_program(instance)
        self.replies = hub.topic(f"clients/algorithm.{instance}/x")
        self.peer.subscribe(self.replies, hub.topic("commands/+/log"), hub.topic("commands/+/events"))

    def request(self, service: str, method: str, **parameters: Any) -> dict[str, Any]:
        topic = self.hub.topic(f"algorithms/{self.instance}/rpc/{service}/{method}")
        return self.peer.request(topic, parameters, self.replies)

    def run(self, *command: str) -> str:
        reply = self.request("commands", "run", node=self.hub.node, command=list(command))
        assert reply["status"] == 200, reply
        return str(reply["id"])


def deploy(hub: Hub, folder: Path, app: str, **members: Any) -> str:
    register(hub, probe("calls-1", driver=False, site="calls"))
    hub.cli("apps", "install", app, app_zip(folder, app, "main.sh", SLEEPER, "probe"))
    document = deployment(app, {"sensor_type": "probe", "filter_sensors": {"site": "calls"}})
    document["1"] |= members
    (entry,) = hub.json("deploy", write(folder / f"{app}.json", document))["entries"]
    hub.wait_until_running(entry["instance_id"])
    return str(entry["instance_id"])


@pytest.fixture(scope="module")
def caller(own_hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    caller = Caller(own_hub, deploy(own_hub, tmp_path_factory.mktemp("calls"), "calls", commands=True))
    yield caller
    caller.peer.close()


def test_an_algorithm_has_commands_run_and_hears_of_them(own_hub: Hub, caller: Caller) -> None:
    id = caller.run("sh", "-c", "echo first; echo last; exit 4")
    end = caller.peer.wait_for(
        lambda m: m.topic == own_hub.topic(f"commands/{id}/events") and m.json["state"] == "EXITED", "its end")
    assert end.json["exit_code"] == 4
    # All of its lines had come before.
    lines = [
        line["text"] for message in caller.peer.messages if message.topic == own_hub.topic(f"commands/{id}/log")
        for line in message.json
    ]
    assert lines == ["first", "last"]
    ended(own_hub, id)
    reply = caller.request("commands", "show", id=id, kind="command")["command"]
    assert (reply["instance"], reply["exit_code"]) == (caller.instance, 4)


def test_an_algorithm_steers_its_own_commands_and_no_others(own_hub: Hub, caller: Caller, ticker: str) -> None:
    own = caller.run("sh", "-c", TICKER)
    own_hub.wait_until_running(own)
    wait_for_line(own_hub, own, "up")
    assert caller.request("programs", "signal", id=own, kind="command", signal="HUP")["status"] == 200
    wait_for_line(own_hub, own, "hup")
    for parameters in (
        {"id": ticker, "kind": "command"}, {"id": own}, {"id": "calls-1", "kind": "driver"},
        {"id": caller.instance, "kind": "algorithm"}, {"id": caller.instance, "kind": "command"},
    ):
        for service, method, more in (
            ("programs", "signal", {"signal": "KILL"}), ("programs", "send", {"text": "x"}), ("programs", "stop", {}),
            ("commands", "show", {}),
        ):
            reply = caller.request(service, method, **parameters, **more)
            assert reply["status"] == 403 and "is no command of" in reply["error"], reply
    for service, method in (("sensors", "remove"), ("programs", "list"), ("hub", "status")):
        assert caller.request(service, method, id=own, kind="command")["status"] == 403
    assert own_hub.program(ticker)["state"] == "RUNNING"
    # It hears nothing of others' commands.
    own_hub.cli("signal", ticker, "HUP")
    wait_for_line(own_hub, ticker, "hup")
    assert caller.request("programs", "stop", id=own, kind="command")["status"] == 200
    assert ended(own_hub, own)["exit_code"] == 5
    assert not [m for m in caller.peer.messages if f"/commands/{ticker}/" in m.topic]
    # Nor may it ask in the name of a person, or have others answered.
    assert not caller.peer.may_publish(own_hub.topic("rpc/commands/run"), {"node": own_hub.node, "command": ["true"]})
    before = own_hub.value("SELECT count(*) FROM hub.event WHERE kind = 'command.started'")
    with own_hub.as_owner() as person:
        person.subscribe(own_hub.topic(f"clients/{own_hub.connection['user']}/#"))
        caller.peer.publish(
            own_hub.topic(f"algorithms/{caller.instance}/rpc/hub/status"), {},
            response_topic=own_hub.topic(f"clients/{own_hub.connection['user']}/x"))
        own_hub.rpc("hub", "status")
        assert not [m for m in person.messages if m.topic.endswith("/x")]
    assert own_hub.value("SELECT count(*) FROM hub.event WHERE kind = 'command.started'") == before


def test_an_algorithm_that_may_not_is_refused(own_hub: Hub, caller: Caller, tmp_path: Path) -> None:
    instance = deploy(own_hub, tmp_path, "quiet")
    with own_hub.as_program(instance) as quiet:
        for name in (instance, caller.instance):
            topic = own_hub.topic(f"algorithms/{name}/rpc/commands/run")
            assert not quiet.may_publish(topic, {"node": own_hub.node, "command": ["true"]})
    document = deployment("quiet", {"sensor_type": "probe"})
    document["1"]["commands"] = "yes"
    assert "commands: expected true or false" in own_hub.refusal("deploy", write(tmp_path / "wrong.json", document))
    own_hub.cli("stop", instance)


def test_an_algorithms_commands_end_with_it(own_hub: Hub, tmp_path: Path) -> None:
    caller = Caller(own_hub, deploy(own_hub, tmp_path, "leaving", commands=True))
    try:
        id = caller.run("sh", "-c", TICKER)
        own_hub.wait_until_running(id)
        own_hub.cli("restart", caller.instance)
        assert own_hub.program(id)["state"] == "RUNNING"
        own_hub.cli("stop", caller.instance)
        assert ended(own_hub, id)["state"] == "STOPPED"
    finally:
        caller.peer.close()
