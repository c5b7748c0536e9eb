"""Requests to the hub."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
import uuid
from collections import OrderedDict
from typing import Any, Mapping, Optional, Union

from .connection import Connection
from .environment import Settings
from .errors import CommandError, PlatformClosed

_log = logging.getLogger("sensorhub")
_REMEMBERED_REFUSALS = 100


class _Closed:
    pass


_Outcome = Union[dict[str, Any], str, _Closed]


class Requests:
    """The requests that wait for their replies. Thread-safe."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._connection = connection
        self._topic = f"sensorhub/{settings.hub}/algorithms/{settings.instance}/rpc"
        self._replies = f"sensorhub/{settings.hub}/clients/{settings.user}/"
        self._lock = threading.Lock()
        self._closed = False
        self._by_topic: dict[str, queue.SimpleQueue[_Outcome]] = {}
        self._by_number: dict[int, queue.SimpleQueue[_Outcome]] = {}
        # The broker's refusal can be there before publish_call has returned the number.
        self._refused: OrderedDict[int, tuple[float, str]] = OrderedDict()

    def ask(self, service: str, method: str, parameters: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """Asks and waits for the reply; raises `CommandError` where the hub refuses or does not answer in time."""
        deadline = time.monotonic() + timeout
        everything = self._replies + "+"
        self._connection.subscriptions.add([everything])
        if not self._connection.subscriptions.wait_until_active(everything, timeout):
            self._refuse_when_closed()
            raise CommandError(self._connection.problem or f"the broker did not confirm the subscription to {everything}")
        # A topic for each request: its reply needs no other mark.
        name = uuid.uuid4().hex
        topic = self._replies + name
        waiting: queue.SimpleQueue[_Outcome] = queue.SimpleQueue()
        with self._lock:
            if not self._closed:
                self._by_topic[topic] = waiting
        self._refuse_when_closed()
        number: Optional[int] = None
        try:
            started = time.monotonic()
            # It may reach the hub twice, where the connection is lost before the broker has confirmed it.
            payload = json.dumps({**parameters, "request": name}, allow_nan=False).encode()
            number = self._connection.publish_call(
                f"{self._topic}/{service}/{method}", payload, max(0.0, deadline - started), response_topic=topic
            )
            if number is None:
                raise CommandError(self._connection.problem or "too many messages wait for the broker")
            with self._lock:
                self._by_number[number] = waiting
                early = self._refused.pop(number, None)
            if early is not None and early[0] >= started:
                waiting.put(early[1])
            try:
                outcome = waiting.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise CommandError(
                    self._connection.problem or f"the hub did not answer within {timeout:.1f} s"
                ) from None
        finally:
            with self._lock:
                self._by_topic.pop(topic, None)
                if number is not None:
                    self._by_number.pop(number, None)
        if isinstance(outcome, _Closed):
            raise PlatformClosed("the platform is closed")
        if isinstance(outcome, str):
            raise CommandError(outcome)
        status = outcome.get("status")
        if not isinstance(status, int) or not 200 <= status < 300:
            raise CommandError(str(outcome.get("error") or "the hub gave no reason"), status)
        return outcome

    def close(self) -> None:
        """Ends all requests that wait."""
        with self._lock:
            self._closed = True
            for waiting in self._by_topic.values():
                waiting.put(_Closed())

    # What follows is called in the network thread.

    def received(self, topic: str, payload: bytes) -> bool:
        """True where the message was a reply."""
        if not topic.startswith(self._replies):
            return False
        with self._lock:
            waiting = self._by_topic.get(topic)
        if waiting is not None:
            try:
                reply = json.loads(payload)
                waiting.put(reply if isinstance(reply, dict) else "the hub's reply is no object")
            except (ValueError, RecursionError) as problem:
                waiting.put(f"the hub's reply cannot be read: {problem}")
        return True

    def published(self, number: int, refusal: Optional[str], is_heard: bool) -> None:
        """The broker has taken a message, or refused it."""
        reason: Optional[str] = None
        if refusal is not None:
            reason = f'{refusal}; the deployment of this algorithm needs "commands": true'
        elif not is_heard:
            reason = "the hub is not there"
        if reason is None:
            return
        with self._lock:
            waiting = self._by_number.get(number)
            if waiting is not None:
                waiting.put(reason)
                return
            self._refused[number] = (time.monotonic(), reason)
            if len(self._refused) > _REMEMBERED_REFUSALS:
                self._refused.popitem(last=False)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise PlatformClosed("the platform is closed")
