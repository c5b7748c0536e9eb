"""Calls of the program's own functions."""

from __future__ import annotations

import logging
import queue
import threading
from typing import Callable, Optional

from .binding import Binding

_log = logging.getLogger("sensorhub")


class BindingCallbacks:
    """Calls functions with each new binding, one after the other, in a thread of their own.

    Not in the network thread: a function that waits there for a reply would wait for itself. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[Binding], None]] = []
        self._due: queue.SimpleQueue[Optional[tuple[Callable[[Binding], None], Binding]]] = queue.SimpleQueue()
        self._thread: Optional[threading.Thread] = None

    def add(self, callback: Callable[[Binding], None], current: Optional[Binding]) -> None:
        """Adds a function, which gets the current binding first, if there is one."""
        with self._lock:
            self._callbacks.append(callback)
            if current is not None:
                self._due.put((callback, current))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sensorhub-callbacks", daemon=True)
                self._thread.start()

    def binding_changed(self, binding: Binding) -> None:
        """Has every function called with this binding."""
        with self._lock:
            for callback in self._callbacks:
                self._due.put((callback, binding))

    def close(self) -> None:
        """No function is called any more, once the one that runs has returned."""
        with self._lock:
            self._callbacks.clear()
            self._due.put(None)

    def _run(self) -> None:
        while True:
            item = self._due.get()
            if item is None:
                return
            callback, binding = item
            try:
                callback(binding)
            except Exception:
                _log.exception("a function given to on_binding_change raised")
