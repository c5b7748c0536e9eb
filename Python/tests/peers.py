"""The other side: what the hub and the drivers do, as far as an algorithm sees it."""

from __future__ import annotations

import json
import queue
import threading
import time
from typing import Any, Callable, Optional

import paho.mqtt.client as mqtt
from broker import APP, INSTANCE, PASSWORDS, Broker

ROOT = "sensorhub/main"
TYPES: dict[str, dict[str, Any]] = {
    "luxsensor": {
        "fields": {"lux": "float", "light": "bool"},
        "functions": [{"name": "set_light", "params": [{"name": "on", "type": "bool"}]}],
    },
    "gps": {"fields": {"latitude": "float", "longitude": "float"}},
    "biometric": {"fields": {"passenger_id": "string", "boarded": "bool"}},
    "counter": {
        "fields": {"count": "int", "label": "string"},
        "functions": [
            {"name": "reset", "params": []},
            {"name": "arm", "params": [{"name": "timeout", "type": "int"}]},
        ],
    },
}


def wait_until(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.01)


def now() -> int:
    return time.time_ns() // 1000


class Peer:
    """A client with the hub's rights, which comes back after the broker was away."""

    def __init__(self, broker: Broker, *topics: str) -> None:
        self.received: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._topics = topics
        self._subscribed = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.username_pw_set("hub.main", PASSWORDS["hub.main"])
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = self._connected
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = lambda client, userdata, message: self.got(message.topic, message.payload)
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        assert self._subscribed.wait(10)

    def _connected(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe([(topic, 1) for topic in self._topics or (f"{ROOT}/status",)])

    def got(self, topic: str, payload: bytes) -> None:
        self.received.put((topic, payload))

    def publish(self, topic: str, content: Any, retain: bool = False) -> None:
        payload = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sensor(id: str, type: str, **attributes: Any) -> dict[str, Any]:
    document = {
        "id": id,
        "data": f"{ROOT}/sensors/{id}/data",
        "fields": TYPES[type]["fields"],
        "functions": TYPES[type].get("functions", []),
        "attributes": attributes,
    }
    if document["functions"]:
        document["control"] = f"{ROOT}/sensors/{id}/control"
        document["reply"] = f"{ROOT}/sensors/{id}/control/reply"
    return document


class FakeHub(Peer):
    """Publishes binding documents and receives pages."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker, f"{ROOT}/apps/{APP}/page")
        self.version = 0

    def bind(self, *positions: tuple[str, list[dict[str, Any]]], version: Optional[int] = None) -> int:
        """`bind(("luxsensor", [sensor("lux-1", "luxsensor")]))`"""
        self.version = self.version + 1 if version is None else version
        document = {
            "instance": INSTANCE,
            "app": APP,
            "algorithm": "lightControl",
            "version": self.version,
            "reason": "test",
            "positions": [
                {"index": index, "sensor_type": type, "sensors": sensors}
                for index, (type, sensors) in enumerate(positions)
            ],
        }
        self.publish(f"{ROOT}/algorithms/{INSTANCE}/binding", document, retain=True)
        return self.version

    def bind_ids(self, *positions: tuple[str, str]) -> int:
        """`bind_ids(("luxsensor", "lux-1 lux-2"))`"""
        return self.bind(*((type, [sensor(id, type) for id in ids.split()]) for type, ids in positions))

    def unbind(self) -> None:
        self.publish(f"{ROOT}/algorithms/{INSTANCE}/binding", b"", retain=True)

    def page(self, timeout: float = 10) -> Any:
        return json.loads(self.received.get(timeout=timeout)[1])


class FakeDriver(Peer):
    """Publishes readings and answers calls: with "done", unless `answer` says otherwise."""

    def __init__(
        self, broker: Broker, sensor: str, answer: Optional[Callable[[dict[str, Any]], Optional[dict[str, Any]]]] = None
    ) -> None:
        self.sensor = sensor
        self.calls: list[dict[str, Any]] = []
        self._answer = answer or (lambda call: {"status": "done"})
        self._boot, self._seq = now() // 1_000_000, 0
        super().__init__(broker, f"{ROOT}/sensors/{sensor}/control")

    def got(self, topic: str, payload: bytes) -> None:
        call = json.loads(payload)
        self.calls.append(call)
        answer = self._answer(call)
        if answer is not None:
            # Not waited for: this is the network thread.
            reply = json.dumps({"id": call["id"], "t": now(), **answer})
            self.client.publish(f"{ROOT}/sensors/{self.sensor}/control/reply", reply, qos=1)

    def reading(self, **values: Any) -> dict[str, Any]:
        self._seq += 1
        return {"t": now(), "boot": self._boot, "seq": self._seq, "v": values}

    def send(self, **values: Any) -> dict[str, Any]:
        reading = self.reading(**values)
        self.send_raw(reading)
        return reading

    def send_raw(self, content: Any) -> None:
        self.publish(f"{ROOT}/sensors/{self.sensor}/data", content)
