"""A broker of the tests' own, on this machine, and a listener that keeps what passes over it."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from paho.mqtt import client as paho

ROOT = "sensorhub/lab"
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Message:
    topic: str
    payload: bytes
    # When it came, in seconds of time.time().
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Broker:
    """mosquitto on the loopback interface, which the guest reaches at 10.0.2.2. It lets everybody in."""

    def __init__(self, folder: Path) -> None:
        self.port = 0
        self._messages: list[Message] = []
        self._changed = threading.Condition()
        for _ in range(5):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            configuration = folder / "mosquitto.conf"
            configuration.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
            self._process = subprocess.Popen(
                ["mosquitto", "-c", str(configuration)], stdin=subprocess.DEVNULL,
                stdout=(folder / "mosquitto.log").open("wb"), stderr=subprocess.STDOUT)
            if self._is_up():
                break
        else:
            raise AssertionError(f"mosquitto does not start: {(folder / 'mosquitto.log').read_text()}")
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="lab", protocol=paho.MQTTv5)
        self._client.on_message = self._on_message
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect("127.0.0.1", self.port)
        self._client.loop_start()
        self._client.subscribe(f"{ROOT}/#", qos=1)
        assert subscribed.wait(TIMEOUT_SECONDS), "the broker does not answer"

    def _is_up(self) -> bool:
        while self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return True
            time.sleep(0.05)
        return False

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        with self._changed:
            self._messages.append(Message(message.topic, bytes(message.payload), time.time()))
            self._changed.notify_all()

    def messages(self, topic: str) -> list[Message]:
        """What was published on a topic below the root so far, oldest first."""
        with self._changed:
            return [message for message in self._messages if message.topic == f"{ROOT}/{topic}"]

    def wait(self, predicate: Callable[[], Any], what: Callable[[], str], timeout: float = TIMEOUT_SECONDS) -> Any:
        """Waits until `predicate` gives something true, and returns that."""
        deadline = time.monotonic() + timeout
        while True:
            value = predicate()
            if value:
                return value
            left = deadline - time.monotonic()
            assert left > 0, f"not within {timeout} s: {what()}"
            with self._changed:
                self._changed.wait(min(left, 0.5))

    def publish(self, topic: str, document: Any) -> None:
        self.publish_bytes(topic, json.dumps(document).encode())

    def publish_bytes(self, topic: str, payload: bytes) -> None:
        self._client.publish(f"{ROOT}/{topic}", payload, qos=1).wait_for_publish(TIMEOUT_SECONDS)

    def call(self, sensor: str, function: str, **parameters: Any) -> dict[str, Any]:
        """Calls a control function and returns the reply."""
        id = uuid.uuid4().hex
        self.publish(f"sensors/{sensor}/control", {"id": id, "function": function, "params": parameters})
        topic = f"sensors/{sensor}/control/reply"

        def reply() -> Any:
            return next((found.json for found in self.messages(topic) if found.json["id"] == id), None)

        return dict(self.wait(reply, lambda: f"the reply to {function} of {sensor}"))

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._process.terminate()
        self._process.wait(10)
