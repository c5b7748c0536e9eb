"""Programs are started, started again and ended as their deployments say, in Supervisor's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import pytest

from hub import Hub, wait_until
from samples import app_zip, deployment, write

PROGRAM = """#!/bin/sh
trap 'echo asked; exit 0' INT
echo up
{body}
"""
SLEEP = "while :; do sleep 0.1; done"


def deploy(hub: Hub, folder: Path, app: str, body: str, **rules: Any) -> str:
    hub.cli("apps", "install", app, app_zip(folder, app, "main.sh", PROGRAM.format(body=body)))
    file = write(folder / f"{app}.json", deployment(app, supervision=rules))
    (entry,) = hub.json("deploy", file, "--no-wait")["entries"]
    return str(entry["instance_id"])


def wait_for(hub: Hub, id: str, state: str) -> dict[str, Any]:
    wait_until(lambda: hub.program(id).get("state") == state, what=f"{id} is {state}")
    return hub.program(id)


def lines(hub: Hub, id: str) -> list[str]:
    return [line["text"] for line in hub.rpc("logs", "get", id=id)["lines"]]


def wait_for_line(hub: Hub, id: str, text: str) -> None:
    """RUNNING is what has been there for a second, whether it has done anything or not."""
    wait_until(lambda: text in lines(hub, id), what=f"'{text}' of {id}")
    wait_for(hub, id, "RUNNING")


def ending(hub: Hub, id: str) -> tuple[Optional[int], Optional[int]]:
    """How its only run has ended: exit code and signal."""
    (run,) = hub.sql("SELECT exit_code, signal FROM hub.run WHERE id = %s", id)
    return run["exit_code"], run["signal"]


def test_one_that_does_not_start_by_itself_rests_until_it_is_enabled(own_hub: Hub, tmp_path: Path) -> None:
    id = deploy(own_hub, tmp_path, "resting", SLEEP, autostart=False)
    program = wait_for(own_hub, id, "STOPPED")
    assert program["runs"] == 0 and program["reason"] == "it is disabled"
    # Whoever deploys another one does not wait for it.
    assert "resting-main-2: STOPPED (it is disabled)" in own_hub.cli("deploy", tmp_path / "resting.json")
    own_hub.cli("enable", id)
    wait_for(own_hub, id, "RUNNING")
    own_hub.cli("stop", id)


def test_always_means_after_a_good_end_as_well(own_hub: Hub, tmp_path: Path) -> None:
    id = deploy(own_hub, tmp_path, "always", "sleep 1.2", autorestart=True, backoffsecs=1)
    wait_until(lambda: own_hub.program(id).get("runs", 0) >= 3, what="its third run")
    own_hub.cli("stop", id)


def test_an_expected_exit_code_is_a_good_end(own_hub: Hub, tmp_path: Path) -> None:
    id = deploy(own_hub, tmp_path, "expected", "exit 7", exitcodes=[3, 7])
    program = wait_for(own_hub, id, "EXITED")
    assert program["runs"] == 1 and program["reason"] == "exit code 7"
    own_hub.cli("stop", id)


def test_never_means_never(own_hub: Hub, tmp_path: Path) -> None:
    # Whatever a busy machine makes of the time, it has been RUNNING.
    id = deploy(own_hub, tmp_path, "never", "kill -9 $$", autorestart=False, startsecs=0)
    program = wait_for(own_hub, id, "EXITED")
    assert program["runs"] == 1 and "signal 9" in program["reason"]
    own_hub.cli("stop", id)


def test_it_is_given_up_after_so_many_failed_starts(own_hub: Hub, tmp_path: Path) -> None:
    id = deploy(own_hub, tmp_path, "given-up", "exit 1", startretries=2, backoffsecs=1)
    program = wait_for(own_hub, id, "FATAL")
    assert program["runs"] == 3 and program["reason"].startswith("given up after 3 failed starts")
    own_hub.cli("stop", id)


def test_it_can_be_stopped_while_it_waits_for_its_next_start(own_hub: Hub, tmp_path: Path) -> None:
    id = deploy(own_hub, tmp_path, "waiting", "exit 1", startretries="unlimited", backoffsecs=3600)
    wait_until(lambda: own_hub.program(id).get("state") == "BACKOFF", what="BACKOFF")
    own_hub.cli("disable", id)
    wait_for(own_hub, id, "STOPPED")
    own_hub.cli("stop", id)


def test_it_is_asked_to_end_by_its_own_signal(own_hub: Hub, tmp_path: Path) -> None:
    id = deploy(own_hub, tmp_path, "asked", SLEEP, stopsignal="INT")
    wait_for_line(own_hub, id, "up")
    own_hub.cli("disable", id)
    wait_for(own_hub, id, "STOPPED")
    assert ending(own_hub, id) == (0, None)
    assert lines(own_hub, id) == ["up", "asked"]
    own_hub.cli("stop", id)


def test_who_does_not_listen_is_killed_after_so_long(own_hub: Hub, tmp_path: Path) -> None:
    id = deploy(own_hub, tmp_path, "deaf", "trap '' TERM; echo deaf; " + SLEEP, stopwaitsecs=1)
    wait_for_line(own_hub, id, "deaf")
    own_hub.cli("disable", id)
    wait_for(own_hub, id, "STOPPED")
    assert ending(own_hub, id) == (None, 9)
    own_hub.cli("stop", id)


@pytest.mark.parametrize("rules, error", [
    ({"autorestart": "always"}, '1.supervision.autorestart: expected true, false or "unexpected"'),
    ({"stopsignal": "TREM"}, "1.supervision.stopsignal: 'TREM' is no signal (did you mean 'TERM'?)"),
    ({"startsec": 1}, "1.supervision: unknown key 'startsec' (did you mean 'startsecs'?)"),
])
def test_wrong_rules_are_named(own_hub: Hub, tmp_path: Path, rules: dict[str, Any], error: str) -> None:
    own_hub.cli("apps", "install", "wrong", app_zip(tmp_path, "wrong", "main.sh", PROGRAM))
    assert error in own_hub.refusal("deploy", write(tmp_path / "wrong.json", deployment("wrong", supervision=rules)))
