"""A device, its apps, and a plain MQTT client that knows its services by their old names."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import uuid
import zipfile
from typing import Any, Mapping, Optional, Union

from paho.mqtt import client as paho

from hub import Hub, wait_until
from samples import write

Files = Mapping[str, Union[str, bytes]]

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
# What an app can be told.
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

    def call(self, service: str, timeout: float = 60, **parameters: Any) -> dict[str, Any]:
        id = uuid.uuid4().hex
        self.publish(f"{self.base}/{service}", json.dumps(parameters | {"reply_to": self.replies, "id": id}))

        def answer() -> Optional[dict[str, Any]]:
            found = (json.loads(message.payload) for message in self.messages if message.topic == self.replies)
            return next((reply for reply in found if reply.get("id") == id), None)

        return wait_until(answer, timeout, f"the reply to {service}")

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
        parameters: dict[str, Any] = {} if type is None else {"app_type": type}
        return self.ok("install_app", app_id=id, app_tarball=base64.b64encode(tar_gz(files)).decode(), **parameters)

    def app(self, id: str) -> dict[str, Any]:
        return next((app for app in self.ok("apps")["apps"] if app["name"] == id), {})

    def wait_for(self, id: str, state: str, timeout: float = 60) -> dict[str, Any]:
        def process() -> Optional[dict[str, Any]]:
            found: dict[str, Any] = self.app(id).get("process", {})
            return found if found.get("state") == state else None

        return wait_until(process, timeout, f"{id} is {state}: {self.app(id)}")

    def on(self, topic: str) -> list[Any]:
        """What came on a topic below the device's own."""
        return [json.loads(m.payload) for m in list(self.messages) if m.topic == f"{self.base}/{topic}"]


def declare(hub: Hub) -> None:
    """Adds runtimes and announcements, as a person does, and starts the hub again."""
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
            {"on": "started", "topic": "hermes/tts/say",
             "payload": {"text": "{APP_NAME} has started", "siteId": "{DEVICE_ID}"}},
            {"on": "stopped", "topic": "house/{DEVICE_ID}/said", "payload": "{APP_ID} is gone"},
        ],
    })
    hub.start()


def lines(hub: Hub, app: dict[str, Any]) -> list[str]:
    return [line["text"] for line in hub.rpc("logs", "get", id=app["process"]["instance"], last=1000)["lines"]]
