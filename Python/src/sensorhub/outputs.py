"""From the program to the hub: the readings of virtual sensors, exactly once."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Iterable, Mapping, Optional, Union

from .binding import Binding, Output, Sensor
from .connection import Connection
from .environment import Settings
from .errors import BindingTimeout, InvalidReading, OutputTaken, PlatformClosed
from .fields import checked
from .journal import Batch, Journal, JournalTaken
from .outbox import GiveUp, Mark, Outbox, Send, Wait
from .reading import TIMES
from .spans import Position, Span

_log = logging.getLogger("sensorhub")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
#: A whole number below this is taken for seconds: as microseconds it would lie in 1973 or before.
_LEAST_MICROSECONDS = 10**14
_MOST_BYTES = 64 << 10
#: A retained message comes right after the subscription; there is none for a sensor that is new.
_PATIENCE_SECONDS = 1.0
_OPEN_SECONDS = 30.0
_CLOSE_SECONDS = 5.0
_SECONDS_BETWEEN_WARNINGS = 60.0

Time = Union[datetime, float, int, None]


def microseconds(moment: Time) -> int:
    """A time as microseconds since 1970; raises `ValueError` for what cannot be the time of a reading."""
    if moment is None:
        return time.time_ns() // 1000
    if isinstance(moment, datetime):
        if moment.utcoffset() is None:
            raise ValueError("time: a datetime without a time zone could be any time: datetime.now(timezone.utc)")
        t = (moment - _EPOCH) // _MICROSECOND
    elif isinstance(moment, bool) or not isinstance(moment, (int, float)):
        raise ValueError(f"time: expected a datetime or a number, not {type(moment).__name__}")
    elif isinstance(moment, float):
        if moment != moment or abs(moment) == float("inf"):
            raise ValueError(f"time: {moment} is no time")
        t = round(moment * 1e6)
    else:
        if 0 < moment < _LEAST_MICROSECONDS:
            raise ValueError(
                f"time: a whole number counts microseconds, and {moment} is too few: give seconds as a float"
            )
        t = moment
    if t not in TIMES:
        raise ValueError(f"time: {moment} does not lie between 1970 and 2100")
    return t


class Outputs:
    """Publishes readings of the sensors that are bound as outputs. Thread-safe.

    `publish` keeps a reading and returns; a thread of its own sends. What comes from the broker is only noted down in
    the network thread.
    """

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._settings = settings
        self._connection = connection
        # Guards what follows; never held while something waits for the disk or the broker.
        self._changed = threading.Condition()
        self._events: deque[Callable[[], None]] = deque()
        #: The newest word of the hub on each sensor.
        self._marks: dict[str, bytes] = {}
        self._is_work_due = False
        self._closed = False
        #: Bindings that the thread has yet to follow.
        self._adoptions = 0
        #: By sensor id. Replaced as a whole.
        self._writers: dict[str, _Writer] = {}
        #: Where the hub says how far it is; changed in the network thread only.
        self.committed_topics: frozenset[str] = frozenset()
        self._thread: Optional[threading.Thread] = None
        # For the thread, once there is one.
        self._is_online = False

    # For the program

    def publish(self, binding: Binding, output: Output, values: Mapping[str, Any], moment: Time) -> None:
        """Keeps a reading, which then is sent until the hub has it."""
        if output.sensor is None:
            raise LookupError(
                f"output {output.index} has no sensor of type '{output.sensor_type}' now: {binding.reason}"
            )
        sensor = output.sensor
        try:
            t = microseconds(moment)
            text = _text(values, sensor)
        except ValueError as error:
            raise InvalidReading(sensor.id, str(error)) from None
        self._writer(sensor).take(t, text)
        with self._changed:
            self._is_work_due = True
            self._changed.notify_all()

    @property
    def uncommitted(self) -> int:
        """How many readings are not in the database yet, as far as is known."""
        return sum(writer.uncommitted for writer in self._writers.values())

    def close(self, seconds: float) -> None:
        """Waits for `seconds` at most until the hub has everything, then ends. What is left is kept."""
        if self._thread is None:
            return
        deadline = time.monotonic() + seconds
        while self._is_online and self.uncommitted and time.monotonic() < deadline:
            with self._changed:
                self._changed.wait(0.05)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_SECONDS)

    def _writer(self, sensor: Sensor) -> _Writer:
        with self._changed:
            # The thread opens what the binding names.
            is_ready = self._changed.wait_for(lambda: self._closed or not self._adoptions, _OPEN_SECONDS)
            if self._closed:
                raise PlatformClosed("the platform is closed")
            if not is_ready:
                raise BindingTimeout(f"the journal of '{sensor.id}' could not be opened within {_OPEN_SECONDS:g} s")
            writer = self._writers.get(sensor.id)
        if writer is None:
            raise LookupError(f"sensor '{sensor.id}' is no output of '{self._settings.instance}' any more")
        return writer

    # In the network thread

    def adopt(self, binding: Binding) -> None:
        """Follows a new binding."""
        bound = [output for output in binding.outputs if output.sensor is not None]
        if self._thread is None and not binding.outputs:
            return
        topics = frozenset(output.committed_topic for output in bound if output.committed_topic is not None)
        self._connection.subscriptions.remove(self.committed_topics - topics)
        self.committed_topics = topics
        with self._changed:
            self._adoptions += 1
        self._note(lambda: self._adopt(binding))
        self._connection.subscriptions.add([*topics, self._settings.hub_status_topic])
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sensorhub-outputs", daemon=True)
            self._thread.start()

    def linked(self, is_connected: bool) -> None:
        """There is a new connection, or it is lost."""
        if self._thread is None:
            self._is_online = is_connected
        else:
            self._note(self._went_online if is_connected else self._went_offline)

    def published(self, message: int, refusal: Optional[str]) -> None:
        """The broker has taken a message, or refused it for this reason. Not all are from here."""
        if self._thread is not None:
            self._note(lambda: self._answered(message, refusal))

    def committed(self, topic: str, payload: bytes) -> None:
        """The hub says how far it is with a sensor."""
        with self._changed:
            self._marks[topic] = payload
            self._changed.notify_all()

    def hub_status(self, payload: bytes, retained: bool) -> None:
        """The hub says how it is. What is retained comes with the subscription, and tells nothing new."""
        try:
            is_back = not retained and json.loads(payload)["status"] == "online"
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        if is_back:
            self._note(lambda: self._each(lambda writer: writer.outbox.hub_returned()))

    def _note(self, event: Callable[[], None]) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    # In the thread

    def _run(self) -> None:
        moment: Optional[float] = None
        while True:
            with self._changed:
                wait = None if moment is None else max(0.0, moment - time.monotonic())
                self._changed.wait_for(self._is_due, wait)
                if self._closed:
                    break
                events, self._events = self._events, deque()
                marks, self._marks = self._marks, {}
                self._is_work_due = False
            for event in events:
                self._guarded(event)
            for topic, payload in marks.items():
                self._guarded(lambda: self._marked(topic, payload))
            moments = [self._guarded(lambda: writer.send(self._connection)) for writer in self._writers.values()]
            moment = min((one for one in moments if one is not None), default=None)
        for writer in self._writers.values():
            writer.close()

    @staticmethod
    def _guarded(action: Callable[[], Optional[float]]) -> Optional[float]:
        # A fault must not end the thread: what is kept would never be sent.
        try:
            return action()
        except Exception:
            _log.exception("readings are not sent for a second")
            return time.monotonic() + 1

    def _is_due(self) -> bool:
        return bool(self._events or self._marks) or self._is_work_due or self._closed

    def _adopt(self, binding: Binding) -> None:
        known = writers = self._writers
        wanted = {output.sensor.id: output for output in binding.outputs if output.sensor is not None}
        try:
            writers = {id: known[id] if id in known else self._open(output) for id, output in wanted.items()}
        finally:
            with self._changed:
                self._writers = writers
                self._adoptions -= 1
                self._changed.notify_all()
        for writer in (one for id, one in known.items() if id not in writers):
            writer.discard()

    def _open(self, output: Output) -> _Writer:
        writer = _Writer(output, self._settings.state)
        if self._is_online:
            writer.connected()
        return writer

    def _went_online(self) -> None:
        self._is_online = True
        self._each(lambda writer: writer.connected())

    def _went_offline(self) -> None:
        self._is_online = False
        self._each(lambda writer: writer.outbox.disconnected())

    def _answered(self, message: int, refusal: Optional[str]) -> None:
        now = time.monotonic()
        if refusal is None:
            self._each(lambda writer: writer.outbox.acknowledged(message))
        else:
            self._each(lambda writer: writer.refused(message, now, refusal))

    def _each(self, change: Callable[[_Writer], object]) -> None:
        for writer in self._writers.values():
            with writer.lock:
                change(writer)

    def _marked(self, topic: str, payload: bytes) -> None:
        for writer in self._writers.values():
            if writer.output.committed_topic == topic:
                writer.committed(payload)


class _Writer:
    """One output: its readings are numbered, kept, and sent until the hub has them."""

    def __init__(self, output: Output, folder: Optional[str]) -> None:
        assert output.sensor is not None
        self.output = output
        self._sensor = output.sensor
        #: Guards outbox and journal.
        self.lock = threading.Lock()
        self._closed = False
        self._asking_until: Optional[float] = None
        self._dropped = _Tally("readings of '%s' were given up, the oldest that are not stored yet, for want of room")
        self._refusals = _Tally("messages with readings of '%s' were refused by the broker, and will be sent again")
        self._journal: Optional[Journal] = None
        try:
            self._journal = journal = Journal(folder, self._sensor.id)
        except JournalTaken:
            self.outbox = Outbox(0)
            _log.warning("readings of '%s' are published by somebody else", self._sensor.id)
            return
        last = journal.boots[-1].boot if journal.boots else 0
        self.outbox = Outbox(
            max(time.time_ns() // 10**9, last + 1), [one for one in journal.boots if one.seq > 0], journal.kept
        )
        journal.remember([*journal.boots, self.outbox.boots[-1]], durable=True)

    @property
    def uncommitted(self) -> int:
        with self.lock:
            return self.outbox.kept.size

    def take(self, t: int, values: str) -> None:
        """Keeps a reading; `values` is its fields as JSON."""
        with self.lock:
            if self._closed:
                raise LookupError(f"sensor '{self._sensor.id}' is no output any more")
            if self._journal is None:
                raise OutputTaken(self._sensor.id)
            position = self.outbox.following
            item = f'{{"t":{t},"boot":{position.boot},"seq":{position.seq},"v":{values}}}'
            gone = self._journal.append(position, item)
            self.outbox.took()
            dropped = self.outbox.dropped(gone) if gone else 0
        if dropped:
            self._dropped.add(self._sensor.id, dropped)

    # In the thread of the outputs

    def connected(self) -> None:
        """With the lock held where other threads know of it."""
        self.outbox.connected()
        if not self.outbox.is_settled:
            self._asking_until = time.monotonic() + _PATIENCE_SECONDS

    def refused(self, message: int, now: float, reason: str) -> None:
        if self.outbox.refused(message, now):
            self._refusals.add(self._sensor.id, 1, reason)

    def committed(self, payload: bytes) -> None:
        # An empty message takes the retained one away, when the sensor is removed.
        if not payload or self._journal is None:
            return
        try:
            mark = Mark.parse(payload)
        except ValueError as error:
            _log.warning("what the hub says of '%s' cannot be read: %s", self._sensor.id, error)
            return
        with self.lock:
            was_settled = self.outbox.is_settled
            if self.outbox.committed(mark):
                if was_settled:
                    _log.warning("the hub has readings of '%s' that are not from here", self._sensor.id)
                self._journal.remember(self.outbox.boots, durable=True)
            self._journal.keep_only(self.outbox.kept)

    def send(self, connection: Connection) -> Optional[float]:
        """Sends what it is time for; returns when it is to be called again even if nothing happens."""
        while self._journal is not None:
            now = time.monotonic()
            with self.lock:
                if not self.outbox.is_settled and self._asking_until is not None:
                    if now < self._asking_until:
                        return self._asking_until
                    self.outbox.settle()
                step = self.outbox.step(now)
                if step is None:
                    return None
                if isinstance(step, Wait):
                    return step.until
                prepared = self._prepare(self._journal, step)
            if prepared is None:
                continue
            payload, span = prepared
            # Not with the lock held: whoever publishes a reading need not wait for this.
            message = connection.publish_reading(self._sensor.data_topic, payload)
            with self.lock:
                if message is None:
                    self.outbox.refused(None, now)
                elif span is not None:
                    self.outbox.sent(span, message, now)
                else:
                    self.outbox.gave_up(message)
        return None

    def _prepare(self, journal: Journal, step: Union[Send, GiveUp]) -> Optional[tuple[bytes, Optional[Span]]]:
        """The message, and the readings that are in it; None where they cannot be had."""
        if isinstance(step, GiveUp):
            return self._farewell(step.spans), None
        batch = journal.batch(step.span)
        if batch is not None:
            return self._message(batch), batch.span
        lost = self.outbox.dropped([step.span])
        _log.error("%d readings of '%s' cannot be read any more, and are lost", lost, self._sensor.id)
        return None

    def close(self) -> None:
        with self.lock:
            self._closed = True
            if self._journal is None:
                return
            self._journal.remember(self.outbox.boots)
            left, unsent, durable = self.outbox.kept.size, self.outbox.unsent, self._journal.is_durable
            self._journal.close()
        if left and durable:
            _log.info("%d readings of '%s' are kept for the next start", left, self._sensor.id)
        elif unsent:
            _log.error("%d readings of '%s' could not be sent and are lost", unsent, self._sensor.id)

    def discard(self) -> None:
        """The sensor was removed, and what had not arrived goes with it: the next one of its name is another one."""
        with self.lock:
            self._closed = True
            left = self.outbox.kept.size
            if self._journal is not None:
                self._journal.discard()
        if left:
            _log.warning("'%s' was removed, and %d readings with it that were not stored yet", self._sensor.id, left)

    def _message(self, batch: Batch) -> bytes:
        # How far the boot before went travels with the first reading: when that is stored, this has arrived.
        notes = self._end_before(batch.span)
        items = (*notes, *batch.items)
        return (items[0] if len(items) == 1 else f"[{','.join(items)}]").encode()

    def _farewell(self, spans: Iterable[Span]) -> bytes:
        items: list[str] = []
        count = 0
        for span in spans:
            count += span.size
            items += [*self._end_before(span), json.dumps({"boot": span.boot, "lost": [span.first, span.last]})]
        _log.warning("the hub misses %d readings of '%s' that are not kept any more", count, self._sensor.id)
        return f"[{','.join(items)}]".encode()

    def _end_before(self, span: Span) -> list[str]:
        end: Optional[Position] = self.outbox.end_before(span.boot) if span.first <= 1 else None
        return [json.dumps({"boot": end.boot, "end": end.seq})] if end is not None else []


class _Tally:
    """Tells of something that can happen often: at once, then at most once a minute, with how often it was."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._count = 0
        self._next = float("-inf")

    def add(self, sensor_id: str, count: int, reason: str = "") -> None:
        self._count += count
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _SECONDS_BETWEEN_WARNINGS
            _log.warning(f"%d {self._what}%s", self._count, sensor_id, f" ({reason})" if reason else "")
            self._count = 0


def _text(values: Mapping[str, Any], sensor: Sensor) -> str:
    """The fields as JSON; raises `ValueError` for what does not fit the sensor's type."""
    if not isinstance(values, Mapping):
        raise ValueError(f"expected a dictionary of field to value, not {type(values).__name__}")
    plain = {name: _plain(value) for name, value in values.items()}
    fitting = checked(plain, sensor.sensor_type, sensor.fields)
    given = {name: value for name, value in fitting.items() if value is not None}
    text = json.dumps(given, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > _MOST_BYTES:
        raise ValueError(f"it is too large: {len(text.encode())} bytes, at most {_MOST_BYTES}")
    return text


def _plain(value: Any) -> Any:
    # The scalars of NumPy are no numbers to Python's json.
    item = None if isinstance(value, (bool, int, float, str)) else getattr(value, "item", None)
    return item() if callable(item) else value
