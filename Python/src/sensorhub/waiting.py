"""Waiting that no signal is missed by."""

from __future__ import annotations

import queue
import threading
import time
from typing import Callable, Optional, TypeVar

Item = TypeVar("Item")

# CPython looks for signals before it begins to wait, and a signal wakes it up. One that comes in between does neither:
# it is seen when the wait is over.
_LONGEST_WAIT_SECONDS = 1.0


def get(source: queue.SimpleQueue[Item], timeout: Optional[float]) -> Item:
    """As `source.get(timeout=timeout)`."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        try:
            return source.get(timeout=_next_wait(deadline))
        except queue.Empty:
            if _is_over(deadline):
                raise


def wait_for(condition: threading.Condition, predicate: Callable[[], bool], timeout: Optional[float]) -> bool:
    """As `condition.wait_for(predicate, timeout)`."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while not condition.wait_for(predicate, _next_wait(deadline)):
        if _is_over(deadline):
            return False
    return True


def _next_wait(deadline: Optional[float]) -> float:
    if deadline is None:
        return _LONGEST_WAIT_SECONDS
    return min(_LONGEST_WAIT_SECONDS, max(0.0, deadline - time.monotonic()))


def _is_over(deadline: Optional[float]) -> bool:
    return deadline is not None and time.monotonic() >= deadline
