"""Apps on a device, as a user of device-app-manager knows them: a plain MQTT client, the old names, real processes."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from device import Client, INIT_CONF, PYTHON_APP, SHELL_APP, lines, tar_gz, zipped
from hub import CHECKOUT, Hub, run, wait_until
from samples import write


def test_a_python_app_by_the_old_names(device_hub: Hub, client: Client) -> None:
    assert client.ok("is_alive")["status"] == 200
    assert client.ok("apps")["apps"] == []
    reply = client.install("hello", {"app.py": PYTHON_APP, "requirements.txt": "# none\n"}, "py3")
    assert reply["app_id"] == "hello"
    assert client.wait_for("hello", "STOPPED")["reason"] == "waits for start_app"
    app = client.app("hello")
    assert (app["type"], app["state"], app["process"]["pid"]) == ("py3", 0, None)
    assert abs(app["created_at"] - time.time()) < 3600
    assert client.ok("apps/running")["apps"] == []

    client.start("hello", app_args=["-l", "a b", 3])
    process = client.wait_for("hello", "RUNNING", timeout=300)
    assert client.app("hello")["state"] == 1
    words = Path(f"/proc/{process['pid']}/cmdline").read_bytes().split(b"\0")
    assert words[-5].endswith(b"/app.py") and words[-4:] == [b"-l", b"a b", b"3", b""]
    assert [app["name"] for app in client.ok("apps.running")["apps"]] == ["hello"]
    # The two streams are read side by side.
    told = {'arguments ["-l", "a b", "3"]', "parameters {}", "on stderr"}
    wait_until(lambda: told <= set(lines(device_hub, app)), what="its lines")
    assert "already running" in client.refused("start_app", 409, app_id="hello")

    client.ok("stop_app", app_id="hello")
    assert client.app("hello")["process"]["state"] == "STOPPED", "the reply is for what is done"
    wait_until(lambda: "farewell" in lines(device_hub, app), what="its farewell")
    assert not Path(f"/proc/{process['pid']}").exists()
    assert "not running" in client.refused("stop_app", 409, app_id="hello")
    client.ok("delete_app", app_id="hello")
    assert client.ok("apps")["apps"] == []
    assert "not installed" in client.refused("start_app", 404, app_id="hello")


# Archives and envelopes


def test_an_archive_as_it_is(device_hub: Hub, client: Client) -> None:
    """The app's id is in the topic or in app.info; replies go by MQTT 5 as well."""
    info = "name: raw-named\ntype: executable\n"
    with device_hub.as_owner() as peer:
        reply_topic = f"{device_hub.root}/clients/{device_hub.connection['user']}/raw"
        peer.subscribe(reply_topic)
        install = f"{client.base}/install_app"
        reply = peer.request(f"{install}/raw-zip", zipped({"app": SHELL_APP, "app.info": "type: executable"}), reply_topic)
        assert (reply["status"], reply["app_id"]) == (200, "raw-zip")
        reply = peer.request(install, tar_gz({"app": SHELL_APP, "app.info": info}), reply_topic)
        assert (reply["status"], reply["app_id"]) == (200, "raw-named")
        reply = peer.request(install, tar_gz({"app": SHELL_APP, "app.info": "type: executable"}), reply_topic)
        assert reply["status"] == 400 and "app_id is missing, and app.info has no name" in reply["error"]
        reply = peer.request(install, b"\x1f\x8b rubbish", reply_topic)
        assert reply["status"] == 400 and "the archive cannot be taken" in reply["error"]
        reply = peer.request(install, b"rubbish", reply_topic)
        assert reply["status"] == 400 and "neither an archive nor JSON" in reply["error"]
    for id in ("raw-zip", "raw-named"):
        client.ok("start_app", app_id=id)
        client.wait_for(id, "RUNNING")
        client.ok("delete_app", app_id=id)


def test_what_nobody_hears_of_is_in_the_log(device_hub: Hub, client: Client) -> None:
    """Such as an archive that mosquitto_pub has sent."""
    client.publish(f"{client.base}/install_app/unheard", tar_gz({"app.py": ""}))
    client.publish(f"{client.base}/start_app", "{")
    log = device_hub.data / "log" / "hub.log"

    def told(service: str) -> str:
        mark = f"{client.base}/{service}: refused, and the request names no topic for the reply: "
        return next((line.split(mark)[1] for line in log.read_text().splitlines() if mark in line), "")

    assert "app_type is missing" in wait_until(lambda: told("install_app/unheard"), what="a line about the archive")
    assert "neither an archive nor JSON" in wait_until(lambda: told("start_app"), what="a line about what is no JSON")


def test_a_client_of_commlib_is_understood(device_hub: Hub, client: Client) -> None:
    """Its envelope, its reply topic, and the file message that its users put an archive in."""
    def call(service: str, **data: Any) -> dict[str, Any]:
        reply_to = f"rpc-{uuid.uuid4().hex}"
        client.follow(reply_to)
        header = {
            "reply_to": reply_to, "timestamp": 0, "content_type": "json", "encoding": "utf8", "agent": "commlib"}
        # The subscription is first: both go over one connection.
        client.publish(f"{client.base}/{service}", json.dumps({"header": header, "data": data}))
        message = wait_until(
            lambda: next((m for m in client.messages if m.topic == reply_to), None), what=f"the reply to {service}")
        reply = json.loads(message.payload)
        assert set(reply) == {"header", "data"} and reply["header"]["content_type"] == "json"
        result: dict[str, Any] = reply["data"]
        return result

    assert call("is_alive")["status"] == 200
    file = {"filename": "x.tar.gz", "data": base64.encodebytes(tar_gz({"app": SHELL_APP})).decode()}
    assert call("install_app", app_id="enveloped", app_type="executable", app_tarball=file)["app_id"] == "enveloped"
    assert [app["name"] for app in call("apps")["apps"]] == ["enveloped"]
    reply = call("delete_app", app_id="nobody")
    assert reply["status"] == 404 and "app 'nobody' is not installed on device" in reply["error"]
    assert call("delete_app", app_id="enveloped")["status"] == 200


def test_a_reply_goes_nowhere_else(device_hub: Hub, client: Client) -> None:
    with device_hub.as_owner() as peer:
        stolen = device_hub.topic("sensors/lux-1/control")
        peer.subscribe(stolen, f"{client.base}/app_stopped")
        for topic in (stolen, f"{client.base}/app_stopped", "rpc-a/b", "rpcs"):
            client.publish(f"{client.base}/is_alive", json.dumps({"reply_to": topic, "id": 1}))
        assert client.ok("is_alive")
        assert not [message for message in peer.messages if message.topic == stolen]


# What a device tells


def test_events_logs_statistics_and_announcements(device_hub: Hub, client: Client) -> None:
    client.follow(f"{client.base}/#")
    client.follow("hermes/tts/say")
    client.follow(f"house/{device_hub.node}/said")
    wait_until(lambda: len(client.on("heartbeat")) > 2, what="heartbeats")
    client.install("loud", {"app": SHELL_APP, "app.info": 'name: "A \\"loud\\" app"'})
    client.install("quiet", {
        "app": SHELL_APP, "exec.conf": "publish_logs: false\npublish_stats: no\npublish_events: off\n"})
    for id in ("loud", "quiet"):
        client.ok("start_app", app_id=id, app_args=["x"])
        client.wait_for(id, "RUNNING")
    (started,) = wait_until(lambda: client.on("app/loud/started"), what="the event")
    assert started["pid"] == client.app("loud")["process"]["pid"]
    (line,) = wait_until(lambda: client.on("app/loud/logs"), what="its line")
    assert line["log_msg"] == "arguments x" and abs(line["timestamp"] / 1000 - time.time()) < 3600
    statistics = wait_until(lambda: client.on("app/loud/stats"), 120, "its statistics")
    assert statistics[0]["memory"] > 0 and statistics[0]["app_id"] == "loud"
    assert client.on("app/loud/stopped") == []
    for id in ("loud", "quiet"):
        client.ok("stop_app", app_id=id)
        client.wait_for(id, "STOPPED")
    (stopped,) = wait_until(lambda: client.on("app/loud/stopped"), what="the event")
    assert stopped["run"] == started["run"] and stopped["exit_code"] == 0
    said = wait_until(lambda: [m.payload for m in client.messages if m.topic.startswith("house/")], what="words")
    assert said == [b"loud is gone", b"quiet is gone"] or len(said) == 1
    wait_until(lambda: sum(m.topic.startswith("house/") for m in client.messages) == 2, what="both words")
    announced = [json.loads(m.payload) for m in client.messages if m.topic == "hermes/tts/say"]
    assert announced == [
        {"text": text, "siteId": device_hub.node} for text in ('A "loud" app has started', "quiet has started")]
    assert not [m.topic for m in client.messages if m.topic.startswith(f"{client.base}/app/quiet/")]
    for id in ("loud", "quiet"):
        client.ok("delete_app", app_id=id)


def test_the_page_of_an_app(client: Client) -> None:
    client.install("paged", {"app": SHELL_APP, "ui/index.html": "<p>hello</p>", "ui/a/b.png": b"\x89PNG"})
    assert client.app("paged")["ui"] is True
    page = client.ok("app_page", app_id="paged")
    assert base64.b64decode(page["data"]) == b"<p>hello</p>" and page["files"] == ["ui/index.html", "ui/a/b.png"]
    assert base64.b64decode(client.ok("app_page", app_id="paged", file="a/b.png")["data"]) == b"\x89PNG"
    for file in ("../app", "none.html", "../../../etc/passwd"):
        assert "has no file" in client.refused("app_page", 404, app_id="paged", file=file)
    client.ok("delete_app", app_id="paged")


def test_fast_deploy_leaves_nothing_behind(device_hub: Hub, client: Client) -> None:
    client.follow(f"{client.base}/app/passing/logs")
    # It ends when it is told to.
    archive = base64.b64encode(tar_gz({"app": "#!/bin/sh\necho \"passing by $*\"\nread word\n"})).decode()
    reply = client.ok(
        "fast_deploy", app_id="passing", app_type="executable", app_tarball=archive, app_args=["now"])
    wait_until(lambda: client.app("passing").get("process", {}).get("state") == "RUNNING", what="its run")
    pid = client.app("passing")["process"]["pid"]
    device_hub.cli("send", reply["instance"], "end")
    wait_until(lambda: client.app("passing") == {}, 60, "its end")
    assert not Path(f"/proc/{pid}").exists()
    assert "passing by now" in [line["log_msg"] for line in client.on("app/passing/logs")]
    agent = device_hub.data / "agent"
    wait_until(lambda: not (agent / "programs" / f"algorithm-{reply['instance']}").exists(), what="its folder's end")
    # What it did stays on record.
    assert device_hub.rpc("logs", "get", id=reply["instance"])["lines"]
    assert device_hub.value("SELECT count(*) FROM hub.app_version WHERE app_id = 'passing' AND archive <> ''") == 0
    # And again, as if it had never been there; one that is installed is not taken away.
    client.ok("fast_deploy", app_id="passing", app_type="executable", app_tarball=archive)
    client.ok("stop_app", app_id="passing")
    wait_until(lambda: client.app("passing") == {}, 60, "its end")
    client.install("staying", {"app": SHELL_APP})
    assert "is installed on device" in client.refused(
        "fast_deploy", 409, app_id="staying", app_type="executable", app_tarball=archive)
    # Nor where its name stands in app.info alone.
    with device_hub.as_owner() as peer:
        reply_topic = f"{device_hub.root}/clients/{device_hub.connection['user']}/raw"
        peer.subscribe(reply_topic)
        raw = tar_gz({"app": SHELL_APP, "app.info": "name: staying\ntype: executable\n"})
        reply = peer.request(f"{client.base}/fast_deploy", raw, reply_topic)
        assert reply["status"] == 409 and "is installed on device" in reply["error"]
    client.ok("delete_app", app_id="staying")
    # Wrong values are found before anything is installed.
    archive = base64.b64encode(tar_gz({"app": SHELL_APP, "init.conf": INIT_CONF})).decode()
    for args in ({}, {"count": 1, "room": "a\0b"}):
        client.refused("fast_deploy", 400, app_id="wrong", app_type="executable", app_tarball=archive, app_args=args)
    assert client.app("wrong") == {}


def test_what_a_person_has_disabled_is_not_started(device_hub: Hub, client: Client) -> None:
    instance = client.install("resting", {"app": SHELL_APP})["instance"]
    client.wait_for("resting", "STOPPED")
    assert "apps start resting --node" in device_hub.refusal("start", instance)
    device_hub.cli("disable", instance)
    assert f"is disabled: sensorhub enable {instance}" in client.refused("start_app", 409, app_id="resting")
    device_hub.cli("enable", instance)
    client.ok("start_app", app_id="resting")
    client.ok("delete_app", app_id="resting")


def test_an_app_that_waits_for_its_next_try_can_be_stopped(device_hub: Hub, client: Client) -> None:
    client.install("crashing", {"app": "#!/bin/sh\nsleep 1.5\nexit 3\n", "exec.conf": "retry: true\n"})
    # Where nobody came to look for a second, its end is taken for that of a start.
    assert client.call("start_app", app_id="crashing")["status"] in (200, 500)
    wait_until(lambda: client.app("crashing")["process"]["state"] in ("EXITED", "BACKOFF"), what="its end")
    app = client.app("crashing")
    assert app["process"]["state"] != "EXITED" or app["state"] == 1
    client.refused("delete_app", 409, app_id="crashing", force_stop=False)
    client.ok("stop_app", app_id="crashing")
    assert client.app("crashing")["process"]["state"] == "STOPPED"
    client.ok("delete_app", app_id="crashing")


def test_an_app_that_has_done_its_work_is_at_rest(device_hub: Hub, client: Client) -> None:
    client.install("done", {"app": "#!/bin/sh\nsleep 1.5\n", "exec.conf": "retry: true\n"})
    client.ok("start_app", app_id="done")
    client.wait_for("done", "EXITED")
    assert client.app("done")["state"] == 0
    assert "not running" in client.refused("stop_app", 409, app_id="done")
    client.ok("start_app", app_id="done")
    client.ok("delete_app", app_id="done")


@pytest.mark.parametrize("is_own_topic", [True, False], ids=["a device's topic", "a request to the hub"])
def test_a_retained_request_is_not_carried_out_again(device_hub: Hub, client: Client, is_own_topic: bool) -> None:
    """It would come again with each start of the hub."""
    client.install("retained", {"app": SHELL_APP})
    client.ok("start_app", app_id="retained")
    topic = f"{client.base}/delete_app" if is_own_topic else device_hub.topic("rpc/devices/delete_app")
    request = {} if is_own_topic else {"node": device_hub.node}
    with device_hub.as_owner() as owner:
        owner.publish(topic, request | {"app_id": "other"}, retain=True)
        owner.publish(topic, request | {"app_id": "retained"}, retain=True)
        wait_until(lambda: client.app("retained") == {}, what="its end")
        client.install("retained", {"app": SHELL_APP})
        pid = device_hub.part("hub")
        os.kill(pid, 9)
        wait_until(lambda: device_hub.part("hub") != pid, what="a new hub", retry_on=(AssertionError,))
        device_hub.close()
        wait_until(lambda: device_hub.request("hub", "status", timeout=5)["status"] == 200, 60, retry_on=(Exception,))
        assert client.app("retained")
        owner.publish(topic, b"", retain=True)
    client.ok("delete_app", app_id="retained")


# Rights, command line, restarts


def test_the_client_of_the_guide(device_hub: Hub, client: Client, tmp_path: Path) -> None:
    """As a newcomer copies it from docs/device-apps.md."""
    guide = (CHECKOUT / "docs" / "device-apps.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert sum(line != "" for line in code.splitlines()) <= 15
    script, archive = write(tmp_path / "client.py", code), tmp_path / "hello.tar.gz"
    archive.write_bytes(tar_gz({"app.py": "import time; time.sleep(1000)"}))
    result = subprocess.run(
        [sys.executable, script, device_hub.data, device_hub.node, archive], capture_output=True, text=True, timeout=60)
    reply = json.loads(result.stdout)
    assert (reply["status"], reply["app_id"], reply["id"]) == (200, "hello", 1), result.stderr
    assert client.app("hello")["type"] == "py3"
    client.ok("delete_app", app_id="hello")


def test_only_people_ask_and_only_the_device_tells(device_hub: Hub, client: Client) -> None:
    device_hub.rpc("types", "register", document={
        "name": "lone", "company": "Tests", "sensor_data_structure": {"x": "int"}})
    device_hub.rpc("sensors", "register", document=[{"sensor_type": "lone", "name": "lone-1", "no_of_fields": 1}])
    with device_hub.as_device("lone-1") as device:
        assert not device.may_publish(f"{client.base}/is_alive")
        assert not device.may_publish(f"{client.base}/heartbeat")
        assert not device.may_publish("rpc-abc")
    with device_hub.as_owner() as owner:
        assert owner.may_publish(f"{client.base}/is_alive", {})
        for topic in ("heartbeat", "connected", "disconnected", "app/x/logs"):
            assert not owner.may_publish(f"{client.base}/{topic}")
    with device_hub.as_node() as node:
        assert not node.may_publish(f"{client.base}/delete_app")
        assert not node.may_publish("thing/other/app_manager/heartbeat")


def test_the_command_line(device_hub: Hub, tmp_path: Path) -> None:
    hub = device_hub
    folder = tmp_path / "app"
    folder.mkdir()
    write(folder / "app", SHELL_APP)
    write(folder / "init.conf", INIT_CONF)
    on = ("--node", hub.node)
    assert "no apps are installed on" in hub.cli("apps", "list", *on)
    assert hub.cli("apps", "install", "typed", folder, *on, "--type", "executable") == f"typed: installed on {hub.node}\n"
    assert "'count' (int) is missing" in hub.refusal("apps", "start", "typed", *on)
    assert hub.cli("apps", "start", "typed", *on, "--set", "count=3", "--set", "room=hall") == f"typed: runs on {hub.node}\n"
    assert "RUNNING" in hub.cli("apps", "running", *on)
    (app,) = hub.json("apps", "list", *on)["apps"]
    assert app["app_args"] == {"count": 3, "room": "hall"}
    instance = app["process"]["instance"]
    wait_until(lambda: "arguments" in hub.cli("logs", instance), what="its line")
    assert f"'{instance}' is an app of device" in hub.refusal("stop", instance)
    assert hub.cli("apps", "stop", "typed", *on) == f"typed: stopped on {hub.node}\n"
    assert hub.json("apps", "running", *on)["apps"] == []
    hub.cli("apps", "delete", "typed", *on)
    archive = tmp_path / "word.zip"
    archive.write_bytes(zipped({"app": "#!/bin/sh\necho \"word $1\"\n"}))
    result = run(
        "apps", "fast-deploy", "word", archive, *on, "--type", "executable", "--data", hub.data, "--", "of-mouth")
    assert (result.returncode, result.stdout) == (0, f"word: runs on {hub.node}, once\n"), result.stderr
    wait_until(lambda: hub.json("apps", "list", *on)["apps"] == [], what="its end")
    events = [event["kind"] for event in hub.json("events", "--kind", "app", "--last", "3")["events"]]
    assert events == ["app.installed", "app.started", "app.deleted"]


def test_the_device_goes_on_while_the_hub_is_away(device_hub: Hub, client: Client) -> None:
    """And a killed agent's successor starts what was running, and not what was stopped."""
    client.follow(f"{client.base}/#")
    slow = SHELL_APP.replace("sleep 0.1", "sleep 1; echo tick")
    for id in ("going", "resting"):
        client.install(id, {"app": slow})
        client.ok("start_app", app_id=id)
        client.wait_for(id, "RUNNING")
    client.ok("stop_app", app_id="resting")
    client.wait_for("resting", "STOPPED")
    pid = device_hub.part("hub")
    os.kill(pid, 19)
    try:
        seen = len(client.on("app/going/logs")), len(client.on("heartbeat"))
        wait_until(
            lambda: len(client.on("app/going/logs")) > seen[0] and len(client.on("heartbeat")) > seen[1],
            what="lines and heartbeats without the hub")
    finally:
        os.kill(pid, 18)
    connected = len(client.on("connected"))
    device_hub.replace("agent")
    wait_until(lambda: client.on("disconnected"), what="the last word of the agent")
    wait_until(lambda: len(client.on("connected")) > connected, what="its successor")
    client.wait_for("going", "RUNNING")
    client.wait_for("resting", "STOPPED")
    for id in ("going", "resting"):
        client.ok("delete_app", app_id=id)
