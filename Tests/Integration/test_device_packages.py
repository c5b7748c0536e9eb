"""What the files of a device's app say and have done: parameters, rules, runtimes; and packages that are wrong."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import Any, Optional

import pytest

from device import Client, Files, INIT_CONF, PYTHON_APP, SHELL_APP, lines, tar_gz
from hub import Hub, wait_until
from other_node import OtherNode


# init.conf, app.info, exec.conf

APP_INFO = """\
name: A tidy app
version: 1.10
type: py3
description: >
  Tidies
  up.
tags:
  - test
  - robot
elsa_version: 1.0
"""


def test_the_files_of_a_package_take_effect(device_hub: Hub, client: Client) -> None:
    client.install(
        "tidy", {"app.py": PYTHON_APP, "init.conf": INIT_CONF, "app.info": APP_INFO, "exec.conf": "priority: 7\n"},
        type=None)
    app = client.app("tidy")
    assert app["info"]["name"] == "A tidy app" and app["info"]["version"] == "1.10"
    assert app["info"]["description"].split() == ["Tidies", "up."] and app["info"]["tags"] == ["test", "robot"]
    assert [p["name"] for p in app["init_params"]] == ["room", "speed", "count", "names"]
    assert app["init_params"][0]["placeholder"] == "a room" and app["scheduling"]["priority"] == 7

    assert "'count' (int) is missing" in client.refused("start_app", 400, app_id="tidy")
    for value in (1.5, "1", True, [1], {"a": 1}):
        error = client.refused("start_app", 400, app_id="tidy", app_args={"count": value})
        assert error.startswith("app_args.count: expected a whole number, found "), value
    error = client.refused("start_app", 400, app_id="tidy", app_args={"count": 1, "sped": 2})
    assert "'sped' is no parameter of init.conf (did you mean 'speed'?)" in error

    client.start("tidy", app_args={"count": 4, "speed": 2})
    client.wait_for("tidy", "RUNNING", timeout=300)
    wait_until(lambda: "nice 7" in lines(device_hub, app), what="its lines")
    given = next(line for line in lines(device_hub, app) if line.startswith("parameters "))
    assert json.loads(given.removeprefix("parameters ")) == {
        "room": "kitchen", "speed": 2, "count": 4, "names": ["a", "b", 3]}
    assert "arguments []" in lines(device_hub, app)

    # Another version: it is started anew, with the same values, as the new one takes them.
    changed = PYTHON_APP.replace('"nice"', '"version 2, nice"')
    client.install("tidy", {"app.py": changed, "init.conf": INIT_CONF, "app.info": APP_INFO}, type=None)
    wait_until(lambda: "version 2, nice 0" in lines(device_hub, app), 60, "its new version")
    again = [line for line in lines(device_hub, app) if line.startswith("parameters ")]
    assert again == [given, given]
    later = client.app("tidy")
    assert later["created_at"] == app["created_at"] and later["version"] != app["version"]
    stricter = INIT_CONF.replace("name: count", "name: amount")
    reply = client.call(
        "install_app", app_id="tidy", app_type="py3",
        app_tarball=base64.b64encode(tar_gz({"app.py": changed, "init.conf": stricter})).decode())
    assert reply["status"] == 409 and "stop it first" in reply["error"]
    client.ok("delete_app", app_id="tidy")


def test_an_app_is_started_at_its_time(device_hub: Hub, client: Client) -> None:
    start = time.time() + 4
    client.install("timed", {"app": SHELL_APP, "exec.conf": f"execution_timestamp: {start:.2f}\n"})
    # On a busy machine its time may have come by now.
    client.start("timed")
    client.wait_for("timed", "RUNNING")
    assert time.time() >= start
    client.ok("delete_app", app_id="timed")

    # One that is to wait for long can be stopped.
    client.install("timed", {"app": SHELL_APP, "exec.conf": f"execution_timestamp: {int(start) + 86_400}\n"})
    client.ok("start_app", 202, app_id="timed")
    assert "waits for its time" in client.wait_for("timed", "WAITING")["reason"]
    client.ok("stop_app", app_id="timed")
    client.wait_for("timed", "STOPPED")
    client.ok("delete_app", app_id="timed")


def test_retries(device_hub: Hub, client: Client) -> None:
    failing = "#!/bin/sh\necho try\necho 'it broke' >&2\nexit 3\n"
    client.install("once", {"app": failing})
    error = client.refused("start_app", 500, app_id="once")
    assert error.startswith("app 'once' is FATAL: ") and "it broke" in error
    assert "it broke" in client.wait_for("once", "FATAL")["reason"]
    assert lines(device_hub, client.app("once")).count("try") == 1

    client.install("thrice", {"app": failing, "exec.conf": "retry: 1\nmax_retries: 2\n"})
    # The hub may hear of all of its ends at once.
    assert re.match("app 'thrice' is (BACKOFF|FATAL): ", client.refused("start_app", 500, app_id="thrice"))
    reason = client.wait_for("thrice", "FATAL")["reason"]
    assert reason.startswith("given up after 2 restarts: ") and "exit code 3" in reason and "it broke" in reason
    assert lines(device_hub, client.app("thrice")).count("try") == 3
    for id in ("once", "thrice"):
        # It may be started again by hand.
        assert client.call("start_app", app_id=id)["status"] == 500
        client.wait_for(id, "FATAL")
        instance = client.app(id)["process"]["instance"]
        incidents = lambda: [i for i in device_hub.rpc("incidents", "list")["incidents"] if instance in i["subject"]]
        wait_until(incidents, what="an incident")
        # It need not be looked after any more.
        assert client.ok("stop_app", app_id=id)["process"]["state"] == "STOPPED"
        wait_until(lambda: not incidents(), what="the incident is over")
        assert "not running" in client.refused("stop_app", 409, app_id=id)
        client.ok("delete_app", app_id=id)


# Runtimes


def test_a_runtime_that_a_person_has_declared(device_hub: Hub, client: Client) -> None:
    text = 'echo "ran $* with $(cat "$SENSORHUB_STATE/prepared.txt")"; sleep 1000'
    client.install("shelly", {"main.txt": text, "words.txt": "words"}, "shell")
    client.ok("start_app", app_id="shelly", app_args=["second"])
    client.wait_for("shelly", "RUNNING")
    wait_until(lambda: "ran first second with words" in lines(device_hub, client.app("shelly")), what="its line")
    client.ok("delete_app", app_id="shelly")


def test_a_missing_interpreter_says_what_to_install(device_hub: Hub, client: Client) -> None:
    for id, type, files, words in (
        ("cards", "cobol", {"main.cob": ""}, ["cobol-of-the-tests", "look for punched cards"]),
        ("flow", "nodered", {"flows.json": "[]"}, ["node-red", "sudo npm install --global node-red"]),
        ("robot", "r4a_ros2_py", {"app.py": "", "requirements.txt": ""}, ["rclpy", "https://docs.ros.org"]),
    ):
        client.install(id, files, type)
        assert client.call("start_app", app_id=id)["status"] in (202, 500)
        reason = client.wait_for(id, "FATAL", timeout=120)["reason"]
        assert all(word in reason for word in words), reason
        client.ok("delete_app", app_id=id)


# Wrong input


@pytest.mark.parametrize(("files", "type", "error"), [
    ({"app.txt": ""}, "py3", "an app of type 'py3' needs the file 'app.py' at the top level of its archive"),
    ({"x/app.py": ""}, "py3", "it is at 'x/app.py'; pack the files, not the folder they are in"),
    ({"app.py": ""}, "py4", "app_type: 'py4' is no type of app: one of "),
    ({"app.py": ""}, None, "app_type is missing, and app.info has no type: one of "),
    ({"app.py": "", "app.info": "type: nodered"}, "py3", "app.info: type: is 'nodered', but app_type 'py3'"),
    ({"app.py": "", "app.info": "type: cobra"}, None, "app.info: type: 'cobra' is no type of app"),
    ({"app.py": "", "app.info": "tags: word"}, "py3", "app.info: tags: expected a list, found 'word'"),
    ({"app.py": "", "app.info": "- a\n"}, "py3", "app.info: expected 'key: value' lines, found a list"),
    ({"app.py": "", "app.info": "name: &x y"}, "py3", "app.info: line 1: '&x' would be an anchor: put such a"),
    ({"app.py": "", "app.info": b"\xff\xfe"}, "py3", "app.info: line 1: is no text in UTF-8"),
    ({"app.py": "", "app.info": "a: b\n" * 20_000}, "py3", "app.info: larger than 64 KiB"),
    ({"app.py": "", "exec.conf": "priority: 20"}, "py3", "exec.conf: priority: must be from -20 to 19, is 20"),
    ({"app.py": "", "exec.conf": "priority: high"}, "py3", "exec.conf: priority: expected a whole number, found 'high'"),
    ({"app.py": "", "exec.conf": "retry: 2"}, "py3", "exec.conf: retry: expected true or false, found '2'"),
    ({"app.py": "", "exec.conf": "max_retrys: 2"}, "py3", "unknown key 'max_retrys' (did you mean 'max_retries'?)"),
    ({"app.py": "", "exec.conf": "execution_timestamp: 1763677055123"}, "py3", "must be -1 for at once, or seconds"),
    ({"app.py": "", "init.conf": "params:\n - name: a\n   type: flot"}, "py3",
     "init.conf: params[0]: type: 'flot' is none of string, float, int, array (did you mean 'float'?)"),
    ({"app.py": "", "init.conf": "params:\n - name: a\n   type: int\n   value: b"}, "py3",
     "init.conf: params[0]: value: expected a whole number, found 'b'"),
    ({"app.py": "", "init.conf": "params:\n - type: int"}, "py3", "init.conf: params[0]: 'name' is missing"),
    ({"app.py": "", "requirements.txt": "paho-mqtt\n-r /etc/passwd"}, "py3",
     "requirements.txt: line 2: '-r /etc/passwd' is no PyPI package"),
    ({"app.py": "", "../evil": ""}, "py3", "'../evil' leads out of the archive"),
])
def test_a_wrong_package_is_refused(client: Client, files: Files, type: Optional[str], error: str) -> None:
    parameters: dict[str, Any] = {} if type is None else {"app_type": type}
    archive = base64.b64encode(tar_gz(files)).decode()
    assert error in client.refused("install_app", 400, app_id="wrong", app_tarball=archive, **parameters)
    assert client.app("wrong") == {}


@pytest.mark.parametrize(("parameters", "error"), [
    ({}, "'app_tarball' is missing"),
    ({"app_id": "x", "app_type": "py3", "app_tarball": ""}, "app_tarball: must not be empty"),
    ({"app_id": "x", "app_type": "py3", "app_tarball": "%%%"}, "app_tarball: expected an archive in base64"),
    ({"app_id": "x", "app_type": "py3", "app_tarball": {"data": 3}}, "app_tarball.data: expected text"),
    ({"app_id": "x", "app_type": "py3", "app_tarball": "AAAA"}, "the archive cannot be taken"),
    ({"app_id": "", "app_type": "executable", "app_tarball": base64.b64encode(tar_gz({"app": ""})).decode()},
     "app_id: must not be empty"),
    ({"app_id": "a/b", "app_type": "executable", "app_tarball": base64.b64encode(tar_gz({"app": ""})).decode()},
     "app_id: 'a/b' is no id"),
    ({"app_id": "x", "apptype": "py3"}, "unknown key 'apptype' (did you mean 'app_type'?)"),
])
def test_a_wrong_request_is_refused(client: Client, parameters: dict[str, Any], error: str) -> None:
    assert error in client.refused("install_app", 400, **parameters)


def test_devices_that_are_not_there(device_hub: Hub, client: Client) -> None:
    stranger = Client(device_hub, device="nowhere")
    try:
        assert "no device 'nowhere' was ever here" in stranger.refused("is_alive", 404)
    finally:
        stranger.close()
    assert device_hub.request("devices", "is_alve", node=device_hub.node)["error"] == (
        "there is no request 'devices/is_alve' (did you mean 'devices/is_alive'?)")


def test_an_app_that_is_deleted_while_its_device_is_away_may_run_on(device_hub: Hub) -> None:
    node = OtherNode(device_hub, "away").connect()
    client = Client(device_hub, "away")
    try:
        wait_until(lambda: client.call("is_alive")["status"] == 200, what="the device is there")
        for id in ("asked", "idle"):
            client.install(id, {"app": SHELL_APP})
        node.leave()
        wait_until(lambda: client.call("is_alive")["status"] == 503, what="the device is away")
        client.ok("start_app", 202, app_id="asked")
        told = device_hub.cli("apps", "delete", "asked", "--node", "away")
        assert told == "asked: deleted from away; it may run on there until that is online again\n"
        client.ok("delete_app", 200, app_id="idle")
    finally:
        client.close()
        node.close()


def test_what_broken_requirements_say_is_shown(device_hub: Hub, client: Client) -> None:
    package = "sensorhub-no-such-package==9"
    client.install("broken", {"app.py": "", "requirements.txt": package}, "py3")
    assert client.call("start_app", app_id="broken")["status"] in (202, 500)
    process = client.wait_for("broken", "BACKOFF", timeout=300)
    assert "sensorhub-no-such-package" in process["reason"]
    wait_until(lambda: any("ERROR" in line for line in lines(device_hub, client.app("broken"))), what="pip's own words")
    client.ok("delete_app", app_id="broken")
