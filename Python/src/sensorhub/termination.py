"""What SIGTERM, by which the hub stops an algorithm, does to it."""

from __future__ import annotations

import signal
import threading
from typing import Any, Protocol


class Stoppable(Protocol):
    """What is to end when the program is told to stop."""

    def stop(self) -> bool:
        """Ends iterations; returns True if there was one to end. Called in a signal handler."""


# Replaced as a whole, never changed in place: the signal handler can come at any point.
_running: tuple[Stoppable, ...] = ()
_lock = threading.Lock()


def watch(stoppable: Stoppable) -> None:
    """Has SIGTERM stop this too. A handler that the program has set is left alone."""
    global _running
    with _lock:
        _running = (*_running, stoppable)
    if _in_main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def unwatch(stoppable: Stoppable) -> None:
    """Undoes `watch`. After the last one SIGTERM has its usual effect again."""
    global _running
    with _lock:
        _running = tuple(one for one in _running if one is not stoppable)
    if not _running and _in_main_thread() and signal.getsignal(signal.SIGTERM) == _terminate:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _terminate(number: int, frame: Any) -> None:
    ended = [stoppable.stop() for stoppable in _running]
    if not any(ended):
        # Nobody iterates over readings, so nothing else would end a program that sleeps or waits.
        raise SystemExit(0)
