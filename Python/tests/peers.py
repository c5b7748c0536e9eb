"""The other side: what the hub and the drivers do, as far as an algorithm sees it."""

from __future__ import annotations

import json
import queue
import threading
import time
from typing import Any, Callable, Optional, Sequence

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from broker import APP, INSTANCE, PASSWORDS, Broker

from sensorhub.spans import Span, SpanSet

ROOT = "sensorhub/main"
TYPES: dict[str, dict[str, Any]] = {
    "luxsensor": {
        "fields": {"lux": "float", "light": "bool"},
        "functions": [{"name": "set_light", "params": [{"name": "on", "type": "bool"}]}],
    },
    "comfort": {"fields": {"comfort": "float", "count": "int", "word": "string", "open": "bool"}},
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


def wait_until(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.01)


def now() -> int:
    return time.time_ns() // 1000


class Peer:
    """A client with the hub's rights, which comes back after the broker was away."""

    def __init__(self, broker: Broker, *topics: str, has_session: bool = False) -> None:
        """With a session the broker keeps for it what comes while it is away."""
        self.received: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._topics = topics
        self._subscribed = threading.Event()
        client_id = "test-session" if has_session else ""
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
        self.client.username_pw_set("hub.main", PASSWORDS["hub.main"])
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = self._connected
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = lambda client, userdata, message: self.got(message.topic, message.payload)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3_600 if has_session else 0
        self.client.connect("127.0.0.1", broker.port, clean_start=not has_session, properties=properties)
        self.client.loop_start()
        assert self._subscribed.wait(60)

    def _connected(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe([(topic, 1) for topic in self._topics or (f"{ROOT}/status",)])

    def got(self, topic: str, payload: bytes) -> None:
        self.received.put((topic, payload))

    def publish(self, topic: str, content: Any, retain: bool = False) -> None:
        payload = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(60)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sensor(id: str, type: str | dict[str, Any], **attributes: Any) -> dict[str, Any]:
    """`type` is one of `TYPES`, or what could stand there."""
    known = TYPES[type] if isinstance(type, str) else type
    document = {
        "id": id,
        "data": f"{ROOT}/sensors/{id}/data",
        "fields": known["fields"],
        "functions": known.get("functions", []),
        "attributes": attributes,
    }
    if document["functions"]:
        document["control"] = f"{ROOT}/sensors/{id}/control"
        document["reply"] = f"{ROOT}/sensors/{id}/control/reply"
    return document


def output(index: int, id: Optional[str]) -> dict[str, Any]:
    item: dict[str, Any] = {"index": index, "sensor_type": "comfort"}
    if id is not None:
        item["sensor"] = {**sensor(id, "comfort"), "committed": f"{ROOT}/sensors/{id}/committed"}
    return item


class FakeHub(Peer):
    """Publishes binding documents and receives pages."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker, f"{ROOT}/apps/{APP}/page")
        self.version = 0

    def bind(
        self, *positions: tuple[str, list[dict[str, Any]]], version: Optional[int] = None,
        outputs: Sequence[Optional[str]] = (),
    ) -> int:
        """`bind(("luxsensor", [sensor("lux-1", "luxsensor")]))`; outputs by id, None for one that is not there."""
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
        if outputs:
            document["outputs"] = [output(index, id) for index, id in enumerate(outputs)]
        self.publish(f"{ROOT}/algorithms/{INSTANCE}/binding", document, retain=True)
        return self.version

    def bind_ids(self, *positions: tuple[str, str]) -> int:
        """`bind_ids(("luxsensor", "lux-1 lux-2"))`"""
        return self.bind(*((type, [sensor(id, type) for id in ids.split()]) for type, ids in positions))

    def unbind(self) -> None:
        self.publish(f"{ROOT}/algorithms/{INSTANCE}/binding", b"", retain=True)

    def page(self, timeout: float = 60) -> Any:
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


class FakeIngest(Peer):
    """What the hub does with the readings of one sensor: stores them by number and says how far it is."""

    def __init__(self, broker: Broker, sensor: str) -> None:
        self.sensor = sensor
        self.stored: dict[tuple[int, int], dict[str, Any]] = {}
        self.lost: set[tuple[int, int]] = set()
        self.ends: dict[int, int] = {}
        #: How many times a reading came that was there already.
        self.repeats = 0
        self.messages = 0
        #: Messages that are thrown away unseen, as by a broker that dies.
        self.swallow: Callable[[int], bool] = lambda number: False
        #: False for a hub that is away.
        self.answers = True
        super().__init__(broker, f"{ROOT}/sensors/{sensor}/data")

    def got(self, topic: str, payload: bytes) -> None:
        self.messages += 1
        if self.swallow(self.messages):
            return
        document = json.loads(payload)
        for item in document if isinstance(document, list) else [document]:
            if "v" in item:
                key = item["boot"], item["seq"]
                self.repeats += key in self.stored
                assert self.stored.setdefault(key, item) == item, "a number with two readings"
            elif "lost" in item:
                first, last = item["lost"]
                self.lost |= {(item["boot"], seq) for seq in range(first, last + 1)}
            else:
                self.ends[item["boot"]] = item["end"]
        if self.answers:
            self.answer()

    @property
    def missing(self) -> list[tuple[int, int]]:
        last = dict(self.ends)
        for boot, seq in self.stored:
            last[boot] = max(last.get(boot, 0), seq)
        known = self.stored.keys() | self.lost
        return sorted((boot, seq) for boot in last for seq in range(1, last[boot] + 1) if (boot, seq) not in known)

    def answer(self) -> None:
        if not self.stored:
            return
        boot, seq = max(self.stored)
        missing = [[*span] for span in SpanSet(Span(boot, seq, seq) for boot, seq in self.missing).spans[:20]]
        word = {"boot": boot, "seq": seq, **({"missing": missing} if missing else {})}
        # Not waited for: this is the network thread.
        self.client.publish(f"{ROOT}/sensors/{self.sensor}/committed", json.dumps(word), qos=1, retain=True)

    @property
    def counts(self) -> list[Any]:
        """The field `count` of what is stored, in the order of the numbers."""
        return [self.stored[key]["v"]["count"] for key in sorted(self.stored)]
