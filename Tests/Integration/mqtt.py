"""A client of the broker that shows what the broker says: reason codes, refusals, disconnections."""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any, Callable, Optional

from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

# Reason codes of MQTT 5.
SUCCESS = 0
NO_SUBSCRIBERS = 16
NOT_AUTHORIZED = 135

TIMEOUT_SECONDS = 60


class Refused(Exception):
    """The broker did not let us in."""


class Disconnected(Exception):
    """The connection ended while something was waited for."""


@dataclass(frozen=True)
class Message:
    topic: str
    payload: bytes
    retained: bool
    correlation: Optional[bytes]
    # After how many seconds the broker throws it away.
    expiry: Optional[int] = None

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Peer:
    """One connection. It does not come back by itself, so that its end is seen."""

    def __init__(
        self, address: tuple[str, int], user: Optional[str] = None, password: Optional[str] = None, *,
        protocol: int = 5, client_id: str = "", clean: bool = True,
    ) -> None:
        """`address` is a host and a port, or the path of a Unix socket and a port that says nothing.

        With `clean` off (and protocol 4) the broker keeps the session, and what comes for it, after our end.
        """
        self.user = user
        self.messages: list[Message] = []
        # Told of each message, on paho's thread; gives what is to be published for it at once: topic and payload.
        self.answer: Callable[[Message], Optional[tuple[str, bytes]]] = lambda _: None
        self._state = threading.Condition()
        self._connection: Optional[bool] = None
        self._refusal = ""
        self._published: dict[int, int] = {}
        self._subscribed: dict[int, list[int]] = {}
        self._protocol = protocol
        self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=client_id or f"test-{uuid.uuid4().hex[:12]}",
            protocol=paho.MQTTv5 if protocol == 5 else paho.MQTTv311, reconnect_on_failure=False,
            clean_session=None if protocol == 5 else clean,
            transport="unix" if address[0].startswith("/") else "tcp")
        if user is not None:
            self._client.username_pw_set(user, password)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.connect(*address, keepalive=60)
        self._client.loop_start()
        try:
            self._wait(lambda: self._connection is not None, "the broker's answer")
        except Disconnected:
            pass
        if not self._connection:
            self.close()
            raise Refused(self._refusal or "the connection was closed")

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def is_connected(self) -> bool:
        return self._connection is True

    # Callbacks come on paho's thread.

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        with self._state:
            self._connection = not reason.is_failure
            self._refusal = str(reason)
            self._state.notify_all()

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
        with self._state:
            self._connection = False
            self._state.notify_all()

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
        with self._state:
            self._published[mid] = reason.value
            self._state.notify_all()

    def _on_subscribe(self, _client: Any, _data: Any, mid: int, reasons: list[Any], _properties: Any) -> None:
        with self._state:
            self._subscribed[mid] = [reason.value for reason in reasons]
            self._state.notify_all()

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        properties = getattr(message, "properties", None)
        correlation = getattr(properties, "CorrelationData", None)
        expiry = getattr(properties, "MessageExpiryInterval", None)
        received = Message(message.topic, bytes(message.payload), message.retain, correlation, expiry)
        answer = self.answer(received)
        if answer is not None:
            self._client.publish(*answer, qos=1)
        with self._state:
            self.messages.append(received)
            self._state.notify_all()

    def _wait(self, predicate: Callable[[], Any], what: str, timeout: float = TIMEOUT_SECONDS) -> Any:
        deadline = time.monotonic() + timeout
        with self._state:
            while True:
                value = predicate()
                if value:
                    return value
                if self._connection is False:
                    raise Disconnected(f"while waiting for {what}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not within {timeout} s: {what}")
                self._state.wait(left)

    # What a test does.

    def subscribe(self, *filters: str) -> list[int]:
        """Returns the broker's reason code for each filter."""
        code, mid = self._client.subscribe([(name, 1) for name in filters])
        assert code == paho.MQTT_ERR_SUCCESS and mid is not None
        self._wait(lambda: mid in self._subscribed, f"the answer to subscribing to {filters}")
        return self._subscribed.pop(mid)

    def publish(
        self, topic: str, payload: Any = b"", *, retain: bool = False, response_topic: Optional[str] = None,
        correlation: Optional[bytes] = None,
    ) -> int:
        """Publishes at QoS 1 and returns the broker's reason code. What is neither text nor bytes becomes JSON."""
        if not isinstance(payload, (bytes, str)):
            payload = json.dumps(payload)
        properties = None
        if response_topic is not None:
            properties = Properties(PacketTypes.PUBLISH)
            properties.ResponseTopic = response_topic
            if correlation is not None:
                properties.CorrelationData = correlation
        info = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        self._wait(lambda: info.mid in self._published, f"the acknowledgement of {topic}")
        return self._published.pop(info.mid)

    def flood(self, topic: str, payload: Any, count: int, response_topic: str) -> None:
        """Publishes at QoS 0 and waits for nothing."""
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = response_topic
        for _ in range(count):
            self._client.publish(topic, json.dumps(payload), properties=properties)

    def may_publish(self, topic: str, payload: Any = b"") -> bool:
        return self.publish(topic, payload) in (SUCCESS, NO_SUBSCRIBERS)

    def wait_for(
        self, predicate: Callable[[Message], Any], what: str, timeout: float = TIMEOUT_SECONDS,
    ) -> Message:
        """The first message, already there or to come, that is as `predicate` says."""
        found: Message = self._wait(lambda: next((m for m in self.messages if predicate(m)), None), what, timeout)
        return found

    def wait_for_topic(self, topic: str, timeout: float = TIMEOUT_SECONDS) -> Message:
        return self.wait_for(lambda message: message.topic == topic, f"a message on {topic}", timeout)

    def wait_for_end(self, timeout: float = TIMEOUT_SECONDS) -> None:
        """Returns when the broker has ended the connection."""
        try:
            self._wait(lambda: None, "the end of the connection", timeout)
        except Disconnected:
            return

    def request(
        self, topic: str, payload: Any, reply_topic: str, timeout: float = TIMEOUT_SECONDS,
    ) -> dict[str, Any]:
        """A request by MQTT 5, and its reply."""
        correlation = uuid.uuid4().bytes
        self.publish(topic, payload, response_topic=reply_topic, correlation=correlation)
        reply = self.wait_for(lambda m: m.correlation == correlation, f"the reply to {topic}", timeout)
        document: dict[str, Any] = reply.json
        return document
