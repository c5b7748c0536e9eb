"""Ports for the tests, in however many processes they run."""

from __future__ import annotations

import socket

_held: list[socket.socket] = []


def free_port() -> int:
    """A port of the loopback interface that nobody else gets by chance while this process lives.

    A socket that is bound and does not listen keeps it. A broker can listen there all the same, as often as it is
    started: it allows that its address is used again, and so do we.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _held.append(holder)
    return int(holder.getsockname()[1])
