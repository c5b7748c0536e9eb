"""Apps on a device, as a user of device-app-manager knows them: a plain MQTT client, the old names, real processes."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time
import uuid
import zipfile
from pathlib import Path
from typing import Any, Iterator, Optional, Union

import pytest
from paho.mqtt import client as paho

from hub import CHECKOUT, Hub, run, wait_until
from samples import write

Files = dict[str, Union[str, bytes]]

# Says what it was given, and runs until it is asked to stop.
PYTHON_APP = """\
import json, os, signal, sys, time

def farewell(*_):
    print("farewell", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, farewell)
print("arguments", json.dumps(sys.argv[1:]))
print("parameters", os.environ["SENSORHUB_PARAMETERS"])
print("nice", os.nice(0))
print("on stderr", file=sys.stderr)
while True:
    time.sleep(0.1)
"""

SHELL_APP = """\
#!/bin/sh
echo "arguments $*"
trap 'exit 0' TERM
while :; do sleep 0.1; done
"""


def tar_gz(files: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def zipped(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


class Client:
    """What a person writes with paho: a connection, requests with `reply_to` and `id`, and what came on other topics."""

    def __init__(self, hub: Hub, device: Optional[str] = None) -> None:
        self.base = f"thing/{device or hub.node}/app_manager"
        self.replies = f"{hub.root}/clients/{hub.connection['user']}/{uuid.uuid4().hex}"
        self.messages: list[paho.MQTTMessage] = []
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(hub.connection["user"], hub.connection["password"])
        self._client.on_message = lambda _client, _data, message: self.messages.append(message)
        self._client.connect(*hub.broker)
        self._client.loop_start()
        wait_until(self._client.is_connected, what="the connection")
        self.follow(self.replies)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def follow(self, filter: str) -> None:
        self._client.subscribe(filter, qos=1)

    def publish(self, topic: str, payload: Union[str, bytes]) -> None:
        self._client.publish(topic, payload, qos=1)

    def call(self, service: str, timeout: float = 20, **parameters: Any) -> dict[str, Any]:
        id = uuid.uuid4().hex
        self.publish(f"{self.base}/{service}", json.dumps(parameters | {"reply_to": self.replies, "id": id}))

        def answer() -> Optional[dict[str, Any]]:
            found = (json.loads(message.payload) for message in self.messages if message.topic == self.replies)
            return next((reply for reply in found if reply.get("id") == id), None)

        reply = wait_until(answer, timeout, f"the reply to {service}")
        assert reply is not None
        return reply

    def ok(self, service: str, status: int = 200, **parameters: Any) -> dict[str, Any]:
        reply = self.call(service, **parameters)
        assert (reply["status"], reply["error"]) == (status, ""), f"{service}: {reply}"
        return reply

    def refused(self, service: str, status: int, **parameters: Any) -> str:
        reply = self.call(service, **parameters)
        assert reply["status"] == status, f"{service}: {reply}"
        return str(reply["error"])

    def start(self, id: str, **parameters: Any) -> None:
        """With preparations that may take longer than the hub waits."""
        reply = self.call("start_app", app_id=id, **parameters)
        assert reply["status"] in (200, 202) and reply["app_id"] == id and reply["error"] == "", reply

    def install(self, id: str, files: Files, type: Optional[str] = "executable") -> dict[str, Any]:
        parameters = {} if type is None else {"app_type": type}
        return self.ok("install_app", app_id=id, app_tarball=base64.b64encode(tar_gz(files)).decode(), **parameters)

    def app(self, id: str) -> dict[str, Any]:
        return next((app for app in self.ok("apps")["apps"] if app["name"] == id), {})

    def wait_for(self, id: str, state: str, timeout: float = 60) -> dict[str, Any]:
        def process() -> Optional[dict[str, Any]]:
            found: dict[str, Any] = self.app(id).get("process", {})
            return found if found.get("state") == state else None

        found = wait_until(process, timeout, f"{id} is {state}: {self.app(id)}")
        assert found is not None
        return found

    def on(self, topic: str) -> list[Any]:
        """What came on a topic below the device's own."""
        return [json.loads(m.payload) for m in list(self.messages) if m.topic == f"{self.base}/{topic}"]


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """A hub whose person has added a runtime and announcements."""
    hub = Hub()
    try:
        hub.start()
        # It reads them at its start.
        assert hub.stop() == 0
        (hub.data / "runtimes").mkdir()
        write(hub.data / "runtimes" / "shell.json", {
            "name": "shell", "entry": "main.txt", "files": ["words.txt"],
            "prepare": [{"file": "words.txt", "command": ["cp", "{APP}/words.txt", "{STATE}/prepared.txt"]}],
            "start": ["sh", "{ENTRY}", "first"],
        })
        write(hub.data / "runtimes" / "cobol.json", {
            "name": "cobol", "entry": "main.cob",
            "needs": [{"program": "cobol-of-the-tests", "install": "look for punched cards"}],
            "start": ["cobol-of-the-tests", "{ENTRY}"],
        })
        write(hub.data / "devices.json", {
            "heartbeat_seconds": 1,
            "announcements": [
                {"on": "started", "topic": "hermes/tts/say", "payload": {"text": "{APP_NAME} has started", "siteId": "{DEVICE_ID}"}},
                {"on": "stopped", "topic": "house/{DEVICE_ID}/said", "payload": "{APP_ID} is gone"},
            ],
        })
        yield hub.start()
    finally:
        left = hub.destroy()
        assert not left, f"these processes have outlived sensorhub up: {left}"


@pytest.fixture(scope="module")
def client(hub: Hub) -> Iterator[Client]:
    client = Client(hub)
    yield client
    client.close()


def lines(hub: Hub, app: dict[str, Any]) -> list[str]:
    return [line["text"] for line in hub.rpc("logs", "get", id=app["process"]["instance"], last=1000)["lines"]]


def test_a_python_app_by_the_old_names(hub: Hub, client: Client) -> None:
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
    wait_until(lambda: "on stderr" in lines(hub, app), what="its lines")
    assert 'arguments ["-l", "a b", "3"]' in lines(hub, app)
    assert "parameters {}" in lines(hub, app)
    assert "already running" in client.refused("start_app", 409, app_id="hello")

    client.ok("stop_app", app_id="hello")
    assert client.app("hello")["process"]["state"] == "STOPPED", "the reply is for what is done"
    wait_until(lambda: "farewell" in lines(hub, app), what="its farewell")
    assert not Path(f"/proc/{process['pid']}").exists()
    assert "not running" in client.refused("stop_app", 409, app_id="hello")
    client.ok("delete_app", app_id="hello")
    assert client.ok("apps")["apps"] == []
    assert "not installed" in client.refused("start_app", 404, app_id="hello")


# Archives and envelopes


def test_an_archive_as_it_is(hub: Hub, client: Client) -> None:
    """The app's id is in the topic or in app.info; replies go by MQTT 5 as well."""
    info = "name: raw-named\ntype: executable\n"
    with hub.as_owner() as peer:
        reply_topic = f"{hub.root}/clients/{hub.connection['user']}/raw"
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


def test_a_client_of_commlib_is_understood(hub: Hub, client: Client) -> None:
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


def test_a_reply_goes_nowhere_else(hub: Hub, client: Client) -> None:
    with hub.as_owner() as peer:
        stolen = hub.topic("sensors/lux-1/control")
        peer.subscribe(stolen, f"{client.base}/app_stopped")
        for topic in (stolen, f"{client.base}/app_stopped", "rpc-a/b", "rpcs"):
            client.publish(f"{client.base}/is_alive", json.dumps({"reply_to": topic, "id": 1}))
        assert client.ok("is_alive")
        assert not [message for message in peer.messages if message.topic == stolen]


# init.conf, app.info, exec.conf

INIT_CONF = """\
params:
  - name: room          # where it is
    placeholder: a room
    type: string
    value: "kitchen"
  - name: speed
    type: float
    value: 0.5
  - name: count
    type: int
  - name: names
    type: array
    value: [a, b, 3]
"""

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


def test_the_files_of_a_package_take_effect(hub: Hub, client: Client) -> None:
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
    wait_until(lambda: "nice 7" in lines(hub, app), what="its lines")
    given = next(line for line in lines(hub, app) if line.startswith("parameters "))
    assert json.loads(given.removeprefix("parameters ")) == {
        "room": "kitchen", "speed": 2, "count": 4, "names": ["a", "b", 3]}
    assert "arguments []" in lines(hub, app)

    # Another version: it is started anew, with the same values, as the new one takes them.
    changed = PYTHON_APP.replace('"nice"', '"version 2, nice"')
    client.install("tidy", {"app.py": changed, "init.conf": INIT_CONF, "app.info": APP_INFO}, type=None)
    wait_until(lambda: "version 2, nice 0" in lines(hub, app), 60, "its new version")
    again = [line for line in lines(hub, app) if line.startswith("parameters ")]
    assert again == [given, given]
    later = client.app("tidy")
    assert later["created_at"] == app["created_at"] and later["version"] != app["version"]
    stricter = INIT_CONF.replace("name: count", "name: amount")
    error = client.call(
        "install_app", app_id="tidy", app_type="py3",
        app_tarball=base64.b64encode(tar_gz({"app.py": changed, "init.conf": stricter})).decode())
    assert error["status"] == 409 and "stop it first" in error["error"]
    client.ok("delete_app", app_id="tidy")


def test_an_app_is_started_at_its_time(hub: Hub, client: Client) -> None:
    start = time.time() + 4
    client.install("timed", {"app": SHELL_APP, "exec.conf": f"execution_timestamp: {start:.2f}\n"})
    client.ok("start_app", 202, app_id="timed")
    wait_until(lambda: "waits for its time" in client.app("timed")["process"]["reason"], what="its waiting")
    client.wait_for("timed", "RUNNING")
    assert time.time() >= start
    client.ok("delete_app", app_id="timed")

    # One that is to wait for long can be stopped.
    client.install("timed", {"app": SHELL_APP, "exec.conf": f"execution_timestamp: {int(start) + 86_400}\n"})
    client.ok("start_app", 202, app_id="timed")
    wait_until(lambda: "waits for its time" in client.app("timed")["process"]["reason"], what="its waiting")
    client.ok("stop_app", app_id="timed")
    client.wait_for("timed", "STOPPED")
    client.ok("delete_app", app_id="timed")


def test_retries(hub: Hub, client: Client) -> None:
    failing = "#!/bin/sh\necho try\necho 'it broke' >&2\nexit 3\n"
    client.install("once", {"app": failing})
    error = client.refused("start_app", 500, app_id="once")
    assert error.startswith("app 'once' is FATAL: ") and "it broke" in error
    assert "it broke" in client.wait_for("once", "FATAL")["reason"]
    assert lines(hub, client.app("once")).count("try") == 1

    client.install("thrice", {"app": failing, "exec.conf": "retry: 1\nmax_retries: 2\n"})
    assert "app 'thrice' is BACKOFF: " in client.refused("start_app", 500, app_id="thrice")
    reason = client.wait_for("thrice", "FATAL")["reason"]
    assert reason.startswith("given up after 2 restarts: ") and "exit code 3" in reason and "it broke" in reason
    assert lines(hub, client.app("thrice")).count("try") == 3
    for id in ("once", "thrice"):
        # It may be started again by hand.
        assert client.call("start_app", app_id=id)["status"] == 500
        client.wait_for(id, "FATAL")
        client.ok("delete_app", app_id=id)


# Runtimes


def test_a_runtime_that_a_person_has_declared(hub: Hub, client: Client) -> None:
    text = 'echo "ran $* with $(cat "$SENSORHUB_STATE/prepared.txt")"; sleep 1000'
    client.install("shelly", {"main.txt": text, "words.txt": "words"}, "shell")
    client.ok("start_app", app_id="shelly", app_args=["second"])
    client.wait_for("shelly", "RUNNING")
    wait_until(lambda: "ran first second with words" in lines(hub, client.app("shelly")), what="its line")
    client.ok("delete_app", app_id="shelly")


def test_a_missing_interpreter_says_what_to_install(hub: Hub, client: Client) -> None:
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


def test_devices_that_are_not_there(hub: Hub, client: Client) -> None:
    stranger = Client(hub, device="nowhere")
    try:
        assert "no device 'nowhere' was ever here" in stranger.refused("is_alive", 404)
    finally:
        stranger.close()
    assert hub.request("devices", "is_alve", node=hub.node)["error"] == (
        "devices have no service 'is_alve' (did you mean 'is_alive'?)")


def test_what_broken_requirements_say_is_shown(hub: Hub, client: Client) -> None:
    package = "sensorhub-no-such-package==9"
    client.install("broken", {"app.py": "", "requirements.txt": package}, "py3")
    assert client.call("start_app", app_id="broken")["status"] in (202, 500)
    process = client.wait_for("broken", "BACKOFF", timeout=300)
    assert "sensorhub-no-such-package" in process["reason"]
    wait_until(lambda: any("ERROR" in line for line in lines(hub, client.app("broken"))), what="pip's own words")
    client.ok("delete_app", app_id="broken")


# What a device tells


def test_events_logs_statistics_and_announcements(hub: Hub, client: Client) -> None:
    client.follow(f"{client.base}/#")
    client.follow("hermes/tts/say")
    client.follow(f"house/{hub.node}/said")
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
        {"text": 'A "loud" app has started', "siteId": hub.node}, {"text": "quiet has started", "siteId": hub.node}]
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


def test_fast_deploy_leaves_nothing_behind(hub: Hub, client: Client) -> None:
    client.follow(f"{client.base}/app/passing/logs")
    archive = base64.b64encode(tar_gz({"app": "#!/bin/sh\necho \"passing by $*\"\nsleep 1.5\n"})).decode()
    reply = client.ok(
        "fast_deploy", app_id="passing", app_type="executable", app_tarball=archive, app_args=["now"])
    wait_until(lambda: client.app("passing").get("process", {}).get("state") == "RUNNING", what="its run")
    pid = client.app("passing")["process"]["pid"]
    wait_until(lambda: client.app("passing") == {}, 30, "its end")
    assert not Path(f"/proc/{pid}").exists()
    assert "passing by now" in [line["log_msg"] for line in client.on("app/passing/logs")]
    agent = hub.data / "agent"
    wait_until(lambda: not (agent / "programs" / f"algorithm-{reply['instance']}").exists(), what="its folder's end")
    # What it did stays on record.
    assert hub.rpc("logs", "get", id=reply["instance"])["lines"]
    assert hub.value("SELECT count(*) FROM hub.app_version WHERE app_id = 'passing' AND archive <> ''") == 0
    # And again, as if it had never been there; one that is installed is not taken away.
    client.ok("fast_deploy", app_id="passing", app_type="executable", app_tarball=archive)
    client.ok("stop_app", app_id="passing")
    wait_until(lambda: client.app("passing") == {}, 30, "its end")
    client.install("staying", {"app": SHELL_APP})
    assert "is installed on device" in client.refused(
        "fast_deploy", 409, app_id="staying", app_type="executable", app_tarball=archive)
    # Nor where its name stands in app.info alone.
    with hub.as_owner() as peer:
        reply_topic = f"{hub.root}/clients/{hub.connection['user']}/raw"
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


def test_what_a_person_has_disabled_is_not_started(hub: Hub, client: Client) -> None:
    instance = client.install("resting", {"app": SHELL_APP})["instance"]
    client.wait_for("resting", "STOPPED")
    assert "apps start resting --node" in hub.refusal("start", instance)
    hub.cli("disable", instance)
    assert f"is disabled: sensorhub enable {instance}" in client.refused("start_app", 409, app_id="resting")
    hub.cli("enable", instance)
    client.ok("start_app", app_id="resting")
    client.ok("delete_app", app_id="resting")


def test_an_app_that_waits_for_its_next_try_can_be_stopped(hub: Hub, client: Client) -> None:
    client.install("crashing", {"app": "#!/bin/sh\nsleep 1.5\nexit 3\n", "exec.conf": "retry: true\n"})
    client.ok("start_app", app_id="crashing")
    client.wait_for("crashing", "EXITED")
    client.ok("stop_app", app_id="crashing")
    client.wait_for("crashing", "STOPPED")
    client.ok("delete_app", app_id="crashing")


def test_a_retained_request_is_not_carried_out_again(hub: Hub, client: Client) -> None:
    """It would come again with each start of the hub."""
    client.install("retained", {"app": SHELL_APP})
    client.ok("start_app", app_id="retained")
    with hub.as_owner() as owner:
        owner.publish(f"{client.base}/delete_app", {"app_id": "other"}, retain=True)
        owner.publish(f"{client.base}/delete_app", {"app_id": "retained"}, retain=True)
        wait_until(lambda: client.app("retained") == {}, what="its end")
        client.install("retained", {"app": SHELL_APP})
        pid = hub.part("hub")
        os.kill(pid, 9)
        wait_until(lambda: hub.part("hub") != pid, what="a new hub", retry_on=(AssertionError,))
        hub.close()
        wait_until(lambda: hub.request("hub", "status", timeout=5)["status"] == 200, 60, retry_on=(Exception,))
        assert client.app("retained")
        owner.publish(f"{client.base}/delete_app", b"", retain=True)
    client.ok("delete_app", app_id="retained")


# Rights, command line, restarts


def test_the_client_of_the_guide(hub: Hub, client: Client, tmp_path: Path) -> None:
    """As a newcomer copies it from docs/device-apps.md."""
    guide = (CHECKOUT / "docs" / "device-apps.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert sum(line != "" for line in code.splitlines()) <= 15
    script, archive = write(tmp_path / "client.py", code), tmp_path / "hello.tar.gz"
    archive.write_bytes(tar_gz({"app.py": "import time; time.sleep(1000)"}))
    result = subprocess.run(
        [sys.executable, script, hub.data, hub.node, archive], capture_output=True, text=True, timeout=30)
    reply = json.loads(result.stdout)
    assert (reply["status"], reply["app_id"], reply["id"]) == (200, "hello", 1), result.stderr
    assert client.app("hello")["type"] == "py3"
    client.ok("delete_app", app_id="hello")


def test_only_people_ask_and_only_the_device_tells(hub: Hub, client: Client) -> None:
    hub.rpc("types", "register", document={
        "name": "lone", "company": "Tests", "sensor_data_structure": {"x": "int"}})
    hub.rpc("sensors", "register", document=[{"sensor_type": "lone", "name": "lone-1", "no_of_fields": 1}])
    with hub.as_device("lone-1") as device:
        assert not device.may_publish(f"{client.base}/is_alive")
        assert not device.may_publish(f"{client.base}/heartbeat")
        assert not device.may_publish("rpc-abc")
    with hub.as_owner() as owner:
        assert owner.may_publish(f"{client.base}/is_alive", {})
        for topic in ("heartbeat", "connected", "disconnected", "app/x/logs"):
            assert not owner.may_publish(f"{client.base}/{topic}")
    with hub.as_node() as node:
        assert not node.may_publish(f"{client.base}/delete_app")
        assert not node.may_publish("thing/other/app_manager/heartbeat")


def test_the_command_line(hub: Hub, tmp_path: Path) -> None:
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
    assert "arguments" in hub.cli("logs", instance)
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


def test_the_device_goes_on_while_the_hub_is_away(hub: Hub, client: Client) -> None:
    """And a killed agent's successor starts what was running, and not what was stopped."""
    client.follow(f"{client.base}/#")
    slow = SHELL_APP.replace("sleep 0.1", "sleep 1; echo tick")
    for id in ("going", "resting"):
        client.install(id, {"app": slow})
        client.ok("start_app", app_id=id)
        client.wait_for(id, "RUNNING")
    client.ok("stop_app", app_id="resting")
    client.wait_for("resting", "STOPPED")
    pid = hub.part("hub")
    os.kill(pid, 19)
    try:
        seen = len(client.on("app/going/logs")), len(client.on("heartbeat"))
        wait_until(
            lambda: len(client.on("app/going/logs")) > seen[0] and len(client.on("heartbeat")) > seen[1],
            what="lines and heartbeats without the hub")
    finally:
        os.kill(pid, 18)
    connected = len(client.on("connected"))
    os.kill(hub.part("agent"), 9)
    wait_until(lambda: client.on("disconnected"), what="the last word of the agent")
    wait_until(lambda: len(client.on("connected")) > connected, what="its successor")
    client.wait_for("going", "RUNNING")
    client.wait_for("resting", "STOPPED")
    for id in ("going", "resting"):
        client.ok("delete_app", app_id=id)
