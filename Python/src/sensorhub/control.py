"""Calls of control functions."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Union

from .binding import Sensor
from .connection import Connection
from .errors import ControlFailed, ControlRefused, ControlTimeout, ControlUndelivered, PlatformClosed

_log = logging.getLogger("sensorhub")
_REMEMBERED_UNDELIVERED = 100


@dataclass(frozen=True)
class ControlReply:
    """What the driver answered to a call that it carried out."""

    #: The id of the call.
    id: str
    sensor_id: str
    function: str
    #: When the driver had carried it out, in microseconds since 1970-01-01 UTC; None if the driver did not say.
    t: Optional[int]


@dataclass(frozen=True)
class _Answer:
    status: str
    error: Optional[str]
    t: Optional[int]


@dataclass(frozen=True)
class _Undelivered:
    reason: str


class _Closed:
    pass


_Outcome = Union[_Answer, _Undelivered, _Closed]
_Waiting = queue.SimpleQueue[_Outcome]


class Calls:
    """The calls that wait for their replies. Thread-safe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._closed = False
        self._by_id: dict[tuple[str, str], _Waiting] = {}
        self._by_number: dict[int, _Waiting] = {}
        # The broker's answer can be there before publish_call has returned the number.
        self._undelivered: OrderedDict[int, tuple[float, str]] = OrderedDict()

    def perform(self, sensor: Sensor, function: str, params: Mapping[str, Any], timeout: float) -> ControlReply:
        """Calls and waits for the reply."""
        deadline = time.monotonic() + timeout
        call_id, payload, control, reply_topic = _prepare(sensor, function, params)
        self._connection.subscriptions.add([reply_topic])
        # Without the subscription the reply could come before anyone listens for it.
        subscribed = self._connection.subscriptions.wait_until_active(reply_topic, timeout)
        waiting: _Waiting = queue.SimpleQueue()
        with self._lock:
            if self._closed:
                raise PlatformClosed("the platform is closed")
            if subscribed:
                self._by_id[reply_topic, call_id] = waiting
        if not subscribed:
            reason = self._connection.problem or f"the broker did not confirm the subscription to {reply_topic}"
            raise ControlUndelivered(sensor.id, function, reason)
        number: Optional[int] = None
        try:
            started = time.monotonic()
            number = self._publish(sensor, function, control, payload, deadline - started)
            with self._lock:
                self._by_number[number] = waiting
                early = self._undelivered.pop(number, None)
            if early is not None and early[0] >= started:
                waiting.put(_Undelivered(early[1]))
            try:
                outcome = waiting.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                reason = self._connection.problem or f"the driver did not answer within {timeout:.1f} s"
                raise ControlTimeout(sensor.id, function, reason) from None
        finally:
            with self._lock:
                self._by_id.pop((reply_topic, call_id), None)
                if number is not None:
                    self._by_number.pop(number, None)
        return _result(outcome, call_id, sensor, function)

    def send(self, sensor: Sensor, function: str, params: Mapping[str, Any], valid_seconds: float) -> None:
        """Calls and does not wait; the call is void if it cannot reach the driver within `valid_seconds`."""
        _, payload, control, _ = _prepare(sensor, function, params)
        self._publish(sensor, function, control, payload, valid_seconds)

    def close(self) -> None:
        """Ends all calls that wait."""
        with self._lock:
            self._closed = True
            for waiting in self._by_id.values():
                waiting.put(_Closed())

    # What follows is called in the network thread.

    def replied(self, topic: str, payload: bytes) -> None:
        """A message came on a reply topic. Replies to calls of others come here too, and are passed over."""
        try:
            document = json.loads(payload)
            call_id, status = document["id"], document["status"]
            error, t = document.get("error"), document.get("t")
            waiting = self._by_id.get((topic, call_id))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
            _log.warning("malformed reply on %s: %s", topic, problem)
            return
        if waiting is None:
            return
        whole = isinstance(t, int) and not isinstance(t, bool)
        waiting.put(_Answer(str(status), error if isinstance(error, str) else None, t if whole else None))

    def undelivered(self, number: int, reason: str) -> None:
        """The broker says that a message reached nobody."""
        with self._lock:
            waiting = self._by_number.get(number)
            if waiting is not None:
                waiting.put(_Undelivered(reason))
                return
            self._undelivered[number] = (time.monotonic(), reason)
            if len(self._undelivered) > _REMEMBERED_UNDELIVERED:
                self._undelivered.popitem(last=False)

    def _publish(self, sensor: Sensor, function: str, topic: str, payload: bytes, valid_seconds: float) -> int:
        number = self._connection.publish_call(topic, payload, valid_seconds)
        if number is None:
            raise ControlUndelivered(
                sensor.id, function, self._connection.problem or "too many messages wait for the broker"
            )
        return number


def _prepare(sensor: Sensor, function: str, params: Mapping[str, Any]) -> tuple[str, bytes, str, str]:
    if sensor.control_topic is None or sensor.reply_topic is None:
        raise ControlRefused(sensor.id, function, f"type '{sensor.sensor_type}' has no control functions")
    call_id = uuid.uuid4().hex
    call = {"id": call_id, "function": function, "params": dict(params)}
    return call_id, json.dumps(call, allow_nan=False).encode(), sensor.control_topic, sensor.reply_topic


def _result(outcome: _Outcome, call_id: str, sensor: Sensor, function: str) -> ControlReply:
    if isinstance(outcome, _Closed):
        raise PlatformClosed("the platform was closed while a call waited for its reply")
    if isinstance(outcome, _Undelivered):
        raise ControlUndelivered(sensor.id, function, outcome.reason)
    if outcome.status == "done":
        return ControlReply(call_id, sensor.id, function, outcome.t)
    if outcome.status == "refused":
        raise ControlRefused(sensor.id, function, outcome.error)
    if outcome.status == "failed":
        raise ControlFailed(sensor.id, function, outcome.error)
    raise ControlFailed(sensor.id, function, f"the driver answered with the unknown status '{outcome.status[:80]}'")
