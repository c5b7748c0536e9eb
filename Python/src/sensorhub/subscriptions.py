"""The topics that a connection is subscribed to."""

from __future__ import annotations

import logging
import threading
from typing import Iterable, Sequence

from paho.mqtt.client import MQTT_ERR_SUCCESS, Client
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

_log = logging.getLogger("sensorhub")
#: One packet for all topics could grow beyond what a broker takes.
_TOPICS_PER_PACKET = 100


class Subscriptions:
    """Knows the topics that are wanted and subscribes to them anew after each reconnect. Thread-safe."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._changed = threading.Condition()
        self._online = False
        self._closed = False
        # Dictionaries without values, for their order.
        self._wanted: dict[str, None] = {}
        self._asked: dict[int, list[str]] = {}
        self._active: set[str] = set()

    def add(self, topics: Iterable[str]) -> None:
        """Subscribes to those topics that are not subscribed to yet."""
        with self._changed:
            new = [topic for topic in dict.fromkeys(topics) if topic not in self._wanted]
            self._wanted.update(dict.fromkeys(new))
            self._subscribe(new)

    def remove(self, topics: Iterable[str]) -> None:
        """Ends the subscriptions of those topics that are subscribed to."""
        with self._changed:
            old = [topic for topic in dict.fromkeys(topics) if topic in self._wanted]
            for topic in old:
                del self._wanted[topic]
                self._active.discard(topic)
            if self._online:
                for start in range(0, len(old), _TOPICS_PER_PACKET):
                    self._client.unsubscribe(old[start : start + _TOPICS_PER_PACKET])

    def wait_until_active(self, topic: str, timeout: float) -> bool:
        """Waits until the broker has confirmed a subscription; False if it did not within `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: topic in self._active or self._closed, timeout)
            return topic in self._active

    def close(self) -> None:
        """Lets go of whoever waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # What follows is called by the connection.

    def connected(self) -> None:
        """The session is new and empty: subscribes to everything that is wanted."""
        with self._changed:
            self._online = True
            self._asked.clear()
            self._active.clear()
            self._subscribe(list(self._wanted))

    def disconnected(self) -> None:
        """Nothing is subscribed to until the next connection."""
        with self._changed:
            self._online = False
            self._asked.clear()
            self._active.clear()

    def confirmed(self, message_id: int, reason_codes: Sequence[ReasonCode]) -> None:
        """The broker answered a request to subscribe."""
        with self._changed:
            for topic, reason in zip(self._asked.pop(message_id, ()), reason_codes):
                if reason.is_failure:
                    _log.warning("the broker refused the subscription to %s: %s", topic, reason)
                elif topic in self._wanted:
                    self._active.add(topic)
            self._changed.notify_all()

    def _subscribe(self, topics: list[str]) -> None:
        if not self._online:
            return
        for start in range(0, len(topics), _TOPICS_PER_PACKET):
            some = topics[start : start + _TOPICS_PER_PACKET]
            result, message_id = self._client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in some])
            if result == MQTT_ERR_SUCCESS and message_id is not None:
                self._asked[message_id] = some
