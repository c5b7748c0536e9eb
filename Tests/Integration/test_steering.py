"""Steering programs from the command line: start, restart, signal, enable, disable."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from hub import SENSORHUB, Hub, environment, wait_until
from samples import app_zip, deploy_sleeper, deployment, probe, register, write

# Ends well, fails for ever, or runs, as a file says.
MOODY = """\
#!/bin/sh
trap 'echo hup' HUP
echo there
case "$(cat {mood})" in
    well) exit 0 ;;
    ill) echo "no mood" >&2; exit 7 ;;
esac
while :; do sleep 0.1; done
"""


@pytest.fixture(scope="module")
def running(own_hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An algorithm instance beside a driver."""
    register(own_hub, probe("steer-1", site="steer"), probe("steer-2", driver=False))
    instance = deploy_sleeper(own_hub, tmp_path_factory.mktemp("steer"), "steer", {"site": "steer"})
    own_hub.wait_until_running("steer-1")
    return instance


def deploy_moody(hub: Hub, folder: Path, word: str) -> tuple[Path, str]:
    """The file that holds its mood, `word` at first, and the instance's id."""
    # Where any user may read it: root's algorithms are not root.
    mood = hub.data / "mood"
    mood.write_text(word)
    hub.cli("apps", "install", "moody", app_zip(folder, "moody", "main.sh", MOODY.format(mood=mood), "probe"))
    file = write(folder / "deployConfig.json", deployment("moody", {"sensor_type": "probe"}, isolation=False))
    (entry,) = hub.json("deploy", file)["entries"]
    return mood, str(entry["instance_id"])


def test_a_restart_gives_a_new_process_and_run(own_hub: Hub, running: str) -> None:
    for id in (running, "steer-1"):
        before = own_hub.program(id)
        text = own_hub.cli("restart", id)
        after = own_hub.program(id)
        assert after["state"] == "RUNNING" and after["pid"] != before["pid"] and after["runs"] == before["runs"] + 1
        assert text == f"{id}: RUNNING ({after['reason']}), run {after['runs']}, process {after['pid']}\n"
        assert not Path(f"/proc/{before['pid']}").exists()
        (event,) = own_hub.json("events", "--kind", "program", "--last", "1")["events"]
        assert (event["kind"], event["subject"]) == ("program.restarted", id)
    own_hub.wait_for_more_readings("steer-1")


def test_a_restart_is_over_when_the_hub_knows_it(own_hub: Hub, running: str) -> None:
    """Whoever listens to the node hears of it before: the command line does, and who sends a signal next asks the hub."""
    pid, run = own_hub.part("hub"), own_hub.program(running)["runs"] + 1
    with own_hub.as_owner() as person:
        person.subscribe(own_hub.topic(f"algorithms/{running}/events"))

        def wait_for(state: str) -> None:
            person.wait_for(lambda m: (m.json["state"], m.json["run"]) == (state, run), state)

        command = subprocess.Popen(
            [SENSORHUB, "restart", running, "--data", str(own_hub.data)], stdout=subprocess.DEVNULL,
            env=environment())
        wait_for("STARTING")
        os.kill(pid, signal.SIGSTOP)
        try:
            wait_for("RUNNING")
            time.sleep(1)
            assert command.poll() is None
        finally:
            os.kill(pid, signal.SIGCONT)
        assert command.wait(60) == 0
    program = own_hub.program(running)
    assert (program["state"], program["runs"]) == ("RUNNING", run)


def test_a_restart_is_not_repeated_when_hub_or_agent_come_back(own_hub: Hub, running: str) -> None:
    own_hub.cli("restart", running)
    pid = own_hub.program(running)["pid"]
    own_hub.replace("hub")
    # Another plan has come, by a change that has nothing to do with it.
    own_hub.cli("restart", "steer-1")
    assert own_hub.program(running)["pid"] == pid


def test_what_is_disabled_stays_so_over_restarts_of_hub_and_agent(own_hub: Hub, running: str) -> None:
    state = Path(own_hub.environment_of(running)["SENSORHUB_STATE"])
    (state / "kept").touch()
    runs = {id: own_hub.program(id)["runs"] for id in (running, "steer-1")}
    for id in runs:
        assert own_hub.cli("disable", id) == f"{id}: stopped and disabled\n"
        assert own_hub.cli("disable", id) == f"{id}: is disabled already\n"

    def check() -> None:
        for id in runs:
            program = wait_until(
                lambda: own_hub.program(id)["state"] == "STOPPED" and own_hub.program(id), what=f"{id} is STOPPED")
            assert program["pid"] is None and not program["enabled"] and program["reason"] == "it is disabled"
            assert program["runs"] == runs[id]

    check()
    for part in ("hub", "agent"):
        own_hub.replace(part)
        check()
    assert own_hub.stop() == 0
    own_hub.start()
    check()
    assert set(own_hub.json("nodes")["nodes"][0]["states"]) == {"STOPPED"}
    assert (state / "kept").exists(), "it has not been stopped for good"
    assert f"'{running}' is disabled: sensorhub enable {running}" in own_hub.refusal("start", running)
    assert own_hub.json("restart", "steer-1", expect=1)["status"] == 409
    for id in runs:
        assert own_hub.cli("enable", id).startswith(f"{id}: RUNNING")
        assert own_hub.cli("enable", id) == f"{id}: is enabled already\n"
        assert own_hub.program(id)["enabled"]
    own_hub.wait_for_more_readings("steer-1")


def test_a_new_sensor_of_a_disabled_ones_name_is_not_disabled(own_hub: Hub) -> None:
    register(own_hub, probe("again-1"))
    own_hub.wait_until_running("again-1")
    own_hub.cli("disable", "again-1")
    own_hub.cli("sensors", "remove", "again-1")
    register(own_hub, probe("again-1"))
    own_hub.wait_until_running("again-1")


def test_start_is_for_what_has_ended(own_hub: Hub, running: str, tmp_path: Path) -> None:
    assert f"'{running}' is RUNNING: sensorhub restart" in own_hub.refusal("start", running)
    mood, id = deploy_moody(own_hub, tmp_path, "well")
    wait_until(lambda: own_hub.program(id).get("state") == "EXITED", what="its good end")
    text = own_hub.refusal("signal", id, "HUP")
    assert f"'{id}' does not run: it is EXITED" in text
    mood.write_text("on")
    assert own_hub.cli("start", id).startswith(f"{id}: RUNNING")
    # What fails at its start is told, with the reason and an exit code.
    mood.write_text("ill")
    text = own_hub.refusal("restart", id)
    assert "no mood" in text and ("BACKOFF" in text or "FATAL" in text)
    # While it waits for its next start, some seconds by then, it can be started at once.

    def is_started_at_once() -> bool:
        wait_until(lambda: waits_for(own_hub.program(id)) > 3, what="a long wait")
        mood.write_text("on")
        result = own_hub.run("start", id)
        if "sensorhub restart starts it anew" in result.stderr:
            # We have come so late that its turn had come by itself.
            mood.write_text("ill")
            own_hub.refusal("restart", id)
            return False
        assert result.returncode == 0, result.stderr
        return True

    wait_until(is_started_at_once, 240, "a start while it waits")
    own_hub.wait_until_running(id)
    own_hub.cli("stop", id)


def waits_for(program: dict[str, Any]) -> float:
    """The seconds that it has said it will wait before its next start."""
    found = re.search(r"next start in ([\d.]+) s", program["reason"])
    return float(found[1]) if found and program["state"] == "BACKOFF" else 0


def test_a_signal_reaches_the_program_and_is_on_record(own_hub: Hub, tmp_path: Path) -> None:
    _, id = deploy_moody(own_hub, tmp_path, "on")
    own_hub.wait_until_running(id)
    wait_until(lambda: "there" in own_hub.cli("logs", id), what="its trap")
    program = own_hub.program(id)
    reply = own_hub.json("signal", id, "hup")
    assert reply == {"status": 200, "node": own_hub.node, "pid": program["pid"], "signal": "SIGHUP"}
    wait_until(lambda: "hup" in own_hub.cli("logs", id), what="the program's answer")
    assert own_hub.program(id)["pid"] == program["pid"]
    # It is sent to all processes of the group, and what ends by it is started again.
    own_hub.cli("signal", id, "9")
    wait_until(lambda: own_hub.program(id)["runs"] == program["runs"] + 1, what="a new run")
    (run,) = own_hub.sql("SELECT signal FROM hub.run WHERE id = %s AND run = %s", id, program["runs"])
    assert run["signal"] == signal.SIGKILL
    events = own_hub.json("events", "--kind", "program.signalled", "--last", "2")["events"]
    assert [(event["subject"], event["signal"]) for event in events] == [(id, "SIGHUP"), (id, "SIGKILL")]
    own_hub.cli("stop", id)


def test_a_signal_for_another_run_is_not_sent(own_hub: Hub, running: str) -> None:
    program = own_hub.program(running)
    command: dict[str, Any] = {"kind": "signal", "id": running, "program": "algorithm", "signal": 9}
    with own_hub.as_hub() as hub:
        for change in ({"run": program["runs"] - 1}, {"run": program["runs"] + 1}, {"run": "all"}, {}, {"signal": 65}):
            hub.publish(
                own_hub.topic(f"nodes/{own_hub.node}/command"), command | change | {"request": uuid.uuid4().hex})
    own_hub.cli("restart", "steer-1")
    assert own_hub.program(running)["pid"] == program["pid"]


def test_without_its_node_a_program_is_not_steered(own_hub: Hub, running: str) -> None:
    replaced = own_hub.part("agent")
    # Nobody starts a new agent while this one is only stopped, and the broker publishes its will after a while.
    own_hub.as_hub().publish(
        own_hub.topic(f"nodes/{own_hub.node}/status"), {"status": "offline", "version": "", "t": 1})
    wait_until(lambda: own_hub.json("nodes")["nodes"][0]["status"] == "offline", what="the node is offline")
    for command in (["restart", running], ["start", running], ["signal", running, "HUP"]):
        assert f"its node '{own_hub.node}' is offline" in own_hub.refusal(*command)
    # What is to be is kept for when it comes back.
    assert own_hub.cli("disable", running) == f"{running}: disabled\n"
    assert own_hub.cli("enable", running) == f"{running}: enabled; starts when it has a node that is online\n"
    os.kill(replaced, signal.SIGKILL)
    own_hub.wait_until_running(running, "steer-1")


@pytest.mark.parametrize("arguments, status, hint", [
    (["restart", "steer-9"], 404, "no program 'steer-9' (did you mean 'steer-1'?)"),
    (["start", "no id"], 404, "no program 'no id'"),
    (["disable", "steer-2"], 409, "sensor 'steer-2' has no driver"),
    (["enable", "steer-1", "--kind", "algorithm"], 404, "no program 'steer-1'"),
])
def test_what_cannot_be_steered_is_refused(
    own_hub: Hub, running: str, arguments: list[str], status: int, hint: str
) -> None:
    reply = own_hub.json(*arguments, expect=1)
    assert reply["status"] == status and hint in reply["error"] and hint in own_hub.refusal(*arguments)


@pytest.mark.parametrize("parameters, hint", [
    ({"id": "steer-1"}, "'signal' is missing"), ({"id": "steer-1", "signal": 0}, "signal: '0' is no signal"),
    ({"id": "steer-1", "signal": "SIGHOP"}, "did you mean 'HUP'?"), ({"signal": 1}, "'id' is missing"),
    ({"id": "steer-1", "signal": True}, "signal: expected text"),
    ({"id": "steer-1", "signal": 1, "kind": "app"}, "kind: must be 'driver', 'algorithm' or 'command'"),
])
def test_a_wrong_request_is_refused(own_hub: Hub, running: str, parameters: dict[str, Any], hint: str) -> None:
    reply = own_hub.request("programs", "signal", **parameters)
    assert reply["status"] == 400 and hint in reply["error"]
