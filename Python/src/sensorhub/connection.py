"""The connection to the broker."""

from __future__ import annotations

import logging
import math
import secrets
import sys
from typing import Any, Callable, Optional

from paho.mqtt.client import (
    MQTT_ERR_QUEUE_SIZE,
    MQTT_ERR_SUCCESS,
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
    MQTTMessageInfo,
    MQTTv5,
)
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from .environment import Settings
from .subscriptions import Subscriptions

_log = logging.getLogger("sensorhub")
_KEEPALIVE_SECONDS = 30
_RECONNECT_SECONDS = (1, 30)
#: How many publications wait for the broker through an outage.
_QUEUED_PUBLICATIONS = 1000
_FLUSH_SECONDS = 2.0
#: A reason code of MQTT 5 that is no failure: the message was accepted, but nobody has subscribed to its topic.
_NO_MATCHING_SUBSCRIBERS = 16


class Connection:
    """One MQTT 5 connection that comes back by itself. Thread-safe.

    `on_message` is called with topic, payload, and whether the message was retained. `on_published` is called with the
    number that `publish_call` or `publish_reading` returned, what the broker says against the message or None, and
    whether the message reached somebody. `on_link` is called with True for a new connection, False when it is lost. All
    are called in the network thread.

    paho calls `on_published` while it holds the lock that publishing needs, so whoever publishes must not hold a lock
    that `on_published` takes.
    """

    def __init__(
        self,
        settings: Settings,
        on_message: Callable[[str, bytes, bool], None],
        on_published: Callable[[int, Optional[str], bool], None],
        on_link: Callable[[bool], None],
    ) -> None:
        self._settings = settings
        self._on_message = on_message
        self._on_published = on_published
        self._on_link = on_link
        #: Empty while there is a connection.
        self._problem = "it has not answered yet"
        self._closing = False
        self._last_publication: Optional[MQTTMessageInfo] = None
        # The random part lets someone try an algorithm by hand without throwing out the one that the hub runs.
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{settings.user}-{secrets.token_hex(4)}",
            protocol=MQTTv5,
            transport="tcp" if settings.broker.socket is None else "unix",
        )
        self.subscriptions = Subscriptions(self._client)
        self._client.username_pw_set(settings.user, settings.password)
        self._client.reconnect_delay_set(*_RECONNECT_SECONDS)
        self._client.max_queued_messages_set(_QUEUED_PUBLICATIONS)
        self._client.on_connect = self._connected
        self._client.on_connect_fail = self._connect_failed
        self._client.on_disconnect = self._disconnected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._received
        self._client.on_publish = self._published

    @property
    def problem(self) -> Optional[str]:
        """Why there is no connection, for people; None while there is one."""
        return f"no connection to the broker {self._settings.broker}: {self._problem}" if self._problem else None

    def start(self) -> None:
        """Connects in the background, and tries until it succeeds."""
        broker = self._settings.broker
        # For a Unix socket, paho takes the path as the host; the port has no meaning then.
        self._client.connect_async(broker.socket or broker.host, broker.port, keepalive=_KEEPALIVE_SECONDS)
        self._client.loop_start()

    def close(self) -> None:
        """Sends what still waits, for at most two seconds, and disconnects."""
        self._closing = True
        self.subscriptions.close()
        if self._last_publication is not None and not self._problem:
            try:
                self._last_publication.wait_for_publish(_FLUSH_SECONDS)
            except (RuntimeError, ValueError):
                pass
        self._client.disconnect()
        # paho's thread goes on as long as a message is unacknowledged.
        _drop_unacknowledged(self._client)
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes) -> bool:
        """Publishes; through an outage the message waits. False if too many wait already and this one is dropped."""
        info = self._client.publish(topic, payload, qos=1)
        if info.rc == MQTT_ERR_QUEUE_SIZE:
            return False
        self._last_publication = info
        return True

    def publish_call(
        self, topic: str, payload: bytes, valid_seconds: float, response_topic: Optional[str] = None
    ) -> Optional[int]:
        """Publishes what is of no use later than `valid_seconds` from now, and returns a number for it.

        None if there is no connection or too much waits; nothing is sent then.
        """
        if self._problem:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.MessageExpiryInterval = max(1, math.ceil(valid_seconds))
        if response_topic is not None:
            properties.ResponseTopic = response_topic
        info = self._client.publish(topic, payload, qos=1, properties=properties)
        return info.mid if info.rc == MQTT_ERR_SUCCESS else None

    def publish_reading(self, topic: str, payload: bytes) -> Optional[int]:
        """Publishes what its sender keeps and sends again after each reconnect, and returns a number for it.

        None if too many messages wait already.
        """
        info = self._client.publish(topic, payload, qos=1)
        return None if info.rc == MQTT_ERR_QUEUE_SIZE else info.mid

    # paho's callbacks, in its network thread. An exception in one of them would end the thread.

    def _connected(
        self, client: Client, userdata: Any, flags: ConnectFlags, reason: ReasonCode, properties: Optional[Properties]
    ) -> None:
        if reason.is_failure:
            self._report(str(reason))
            return
        # paho sends again what was not acknowledged before the connection was lost. Right for a page, wrong for a
        # call: its caller has given up, and a door must not open minutes after it was asked to. Readings are sent again
        # by whoever keeps them.
        for message in _drop_unacknowledged(client):
            if message.topic == self._settings.page_topic:
                self._last_publication = client.publish(message.topic, message.payload, qos=1)
        self._problem = ""
        self.subscriptions.connected()
        self._on_link(True)
        _log.info("connected to the broker %s", self._settings.broker)

    def _connect_failed(self, client: Client, userdata: Any) -> None:
        # paho calls this while it handles the exception, and does not hand it over.
        self._report(self._settings.broker.why_unreachable(sys.exc_info()[1]))

    def _disconnected(
        self,
        client: Client,
        userdata: Any,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Optional[Properties],
    ) -> None:
        self.subscriptions.disconnected()
        self._on_link(False)
        if not self._closing and not self._problem:
            self._report(f"it was lost ({reason})")

    def _subscribed(
        self, client: Client, userdata: Any, mid: int, reasons: list[ReasonCode], properties: Optional[Properties]
    ) -> None:
        self.subscriptions.confirmed(mid, reasons)

    def _received(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        try:
            self._on_message(message.topic, bytes(message.payload), message.retain)
        except Exception:
            _log.exception("a message could not be handled")

    def _published(
        self, client: Client, userdata: Any, mid: int, reason: ReasonCode, properties: Optional[Properties]
    ) -> None:
        if reason.is_failure:
            _log.warning("the broker refused a message: %s", reason)
            self._on_published(mid, f"the broker refused it: {reason}", False)
        else:
            self._on_published(mid, None, reason.value != _NO_MATCHING_SUBSCRIBERS)

    def _report(self, problem: str) -> None:
        # Once for each problem: the attempts go on for as long as it lasts.
        if problem != self._problem:
            self._problem = problem
            _log.warning("%s; trying again", self.problem)


def _drop_unacknowledged(client: Client) -> list[MQTTMessage]:
    drop: Optional[Callable[[], list[MQTTMessage]]] = getattr(client, "drop_out_messages", None)
    if drop is not None:
        return drop()
    # paho before 2.2 has no public way.
    with client._out_message_mutex:
        messages = list(client._out_messages.values())
        client._out_messages.clear()
    return messages
