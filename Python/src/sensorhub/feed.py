"""From the data topics into the iterators."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import Optional

from .binding import Binding, Sensor
from .errors import PlatformClosed
from .reading import Reading, decode
from .repeats import Repeats
from .stream import ReadingStream
from .subscriptions import Subscriptions

_log = logging.getLogger("sensorhub")
#: A sensor that sends nothing but nonsense must not fill the log.
_SECONDS_BETWEEN_WARNINGS = 60.0


class Feed:
    """Subscribes to the data topics that somebody reads, and gives each reading to those who want it.

    Thread-safe; `received` is for the network thread only.
    """

    def __init__(self, subscriptions: Subscriptions, queue_size: int) -> None:
        self._subscriptions = subscriptions
        self._queue_size = queue_size
        self._lock = threading.RLock()
        self._binding: Optional[Binding] = None
        self._sensors_by_topic: dict[str, list[Sensor]] = {}
        # Replaced as a whole, because stop() reads it in a signal handler. Weak, so that an iterator that a program
        # has left is not fed for ever.
        self._streams: tuple[weakref.ref[ReadingStream], ...] = ()
        self._closed = False
        self._repeats = Repeats()
        self._next_warning = 0.0
        self.stopping = False
        self.dropped = 0
        self.malformed = 0
        self.repeated = 0

    def open(self, indexes: tuple[int, ...], timeout: Optional[float]) -> ReadingStream:
        """A new iterator; raises `LookupError` if the binding is known and has no such position."""
        stream = ReadingStream(indexes, timeout, self._queue_size, self._update_topics)
        with self._lock:
            if self._closed:
                raise PlatformClosed("the platform is closed")
            if self._binding is not None:
                stream.check(self._binding)
            self._streams = (*(weakref.ref(one) for one in self._open_streams()), weakref.ref(stream))
            if self.stopping:
                stream.stop(told=True)
            self._update_topics()
        return stream

    def adopt(self, binding: Optional[Binding]) -> None:
        """Follows a new binding; an iterator for a position that it does not have ends with an error."""
        with self._lock:
            self._binding = binding
            self._repeats.keep_only(sensor.id for sensor in self._bound())
            if binding is not None:
                for stream in self._open_streams():
                    try:
                        stream.check(binding)
                    except LookupError as error:
                        stream.end(error)
            self._update_topics()

    def received(self, topic: str, payload: bytes) -> None:
        """A message came on a data topic."""
        now = time.time_ns() // 1000
        streams = self._open_streams()
        sensors = self._sensors_by_topic.get(topic, [])
        if not any(stream.wants(sensor) for stream in streams for sensor in sensors):
            # An iterator that was left without close() is found out here.
            self._update_topics()
            return
        # A sensor that is bound at two positions gives a reading for each.
        first, *others = sensors
        for reading in decode(payload, first, now, lambda reason: self._count_malformed(first, reason)):
            if self._repeats.is_repeat(reading):
                self.repeated += 1
                continue
            for sensor in (first, *others):
                one = Reading(sensor, reading.t, reading.boot, reading.seq, reading.values)
                self.dropped += sum(stream.put(one) for stream in streams if stream.wants(sensor))

    def stop(self) -> bool:
        """Ends the iterators and returns True if there were any. Takes no lock: a signal handler calls it."""
        first = not self.stopping
        self.stopping = True
        streams = self._open_streams()
        for stream in streams:
            stream.stop(told=False)
        return first and bool(streams)

    def close(self) -> None:
        """Ends the iterators; there will be no new ones."""
        with self._lock:
            self._closed = True
            for stream in self._open_streams():
                stream.end()

    def _update_topics(self) -> None:
        with self._lock:
            if self._closed:
                return
            streams = self._open_streams()
            wanted: dict[str, list[Sensor]] = {}
            for sensor in self._bound():
                if any(stream.wants(sensor) for stream in streams):
                    wanted.setdefault(sensor.data_topic, []).append(sensor)
            self._subscriptions.remove(topic for topic in self._sensors_by_topic if topic not in wanted)
            self._sensors_by_topic = wanted
            self._subscriptions.add(wanted)

    def _bound(self) -> tuple[Sensor, ...]:
        return self._binding.sensors if self._binding is not None else ()

    def _open_streams(self) -> list[ReadingStream]:
        streams = (reference() for reference in self._streams)
        return [stream for stream in streams if stream is not None and stream.is_open]

    def _count_malformed(self, sensor: Sensor, reason: str) -> None:
        self.malformed += 1
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + _SECONDS_BETWEEN_WARNINGS
            _log.warning("malformed reading of '%s' passed over: %s (%d so far)", sensor.id, reason, self.malformed)
