"""The iterator over readings."""

from __future__ import annotations

import queue
import threading
from typing import Callable, Iterator, Optional

from . import waiting
from .binding import Binding, Sensor
from .reading import Reading


class _End:
    """Stands in the queue behind the last reading and wakes whoever waits."""


_END = _End()


class ReadingStream(Iterator[Reading]):
    """Readings in the order of their arrival; made by `Platform.readings`.

    At most `queue_size` readings wait to be taken. When more arrive, the oldest are dropped and counted in `dropped`.
    Several threads may take from one stream; each reading goes to one of them.
    """

    def __init__(
        self,
        indexes: tuple[int, ...],
        timeout: Optional[float],
        queue_size: int,
        on_close: Callable[[], None],
    ) -> None:
        if timeout is not None and timeout < 0:
            raise ValueError("timeout must not be negative")
        self._indexes = frozenset(indexes)
        self._timeout = timeout
        self._queue_size = queue_size
        self._on_close = on_close
        # A SimpleQueue, because put() on it is allowed in a signal handler.
        self._queue: queue.SimpleQueue[Reading | _End] = queue.SimpleQueue()
        self._ended = False
        self._error: Optional[Exception] = None
        self._stopped = False
        #: The threads that know of the stop.
        self._told: set[int] = set()
        self._told_all = False
        #: How many readings were dropped because the queue was full.
        self.dropped = 0

    @property
    def is_open(self) -> bool:
        """False once no more readings can come: after `close()`, or when the program is to stop."""
        return not self._ended

    def __iter__(self) -> ReadingStream:
        return self

    def __next__(self) -> Reading:
        if not self._ended:
            try:
                item = waiting.get(self._queue, self._timeout)
            except queue.Empty:
                raise StopIteration from None
            if not isinstance(item, _End):
                return item
            self._queue.put(_END)  # for the next thread that waits
        if self._error is not None:
            raise self._error
        if self._stopped:
            if self._told_all or threading.get_ident() in self._told:
                raise SystemExit(0)
            self._told.add(threading.get_ident())
        raise StopIteration

    def close(self) -> None:
        """Ends the iteration and lets go of the subscriptions."""
        self.end()
        self._on_close()

    def __enter__(self) -> ReadingStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What follows is for Platform.

    def wants(self, sensor: Sensor) -> bool:
        """True if the stream is for the position of this sensor."""
        return not self._indexes or sensor.index in self._indexes

    def check(self, binding: Binding) -> None:
        """Raises `LookupError` if the stream is for a position that does not exist."""
        for index in sorted(self._indexes):
            binding.position(index)

    def put(self, reading: Reading) -> int:
        """Adds a reading and returns how many had to be dropped. Called by the network thread only."""
        if self._ended:
            return 0
        self._queue.put(reading)
        dropped = 0
        while self._queue.qsize() > self._queue_size:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if isinstance(item, _End):
                self._queue.put(item)
                break
            dropped += 1
        self.dropped += dropped
        return dropped

    def end(self, error: Optional[Exception] = None) -> None:
        """Ends the iteration at once; waiting readings are not given out."""
        if self._ended:
            return
        self._error = error
        self._ended = True
        self._queue.put(_END)

    def stop(self, told: bool) -> None:
        """Ends the iteration because the program is to stop. Takes no lock: a signal handler calls it.

        Whoever asks for a reading after the end, or begins an iteration when the program is already `told` to stop,
        gets SystemExit: an endless loop around the iteration would otherwise spin until the hub kills the program.
        """
        self._stopped = True
        self._told_all = told
        self.end()
