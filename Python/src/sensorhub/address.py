"""Where the broker is."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import Optional
from urllib.parse import urlsplit

_SOCKET_SCHEME = "unix://"
#: The kernel's limit in bytes (`sun_path`, less the closing zero).
_LONGEST_SOCKET_PATH = 107
_STANDARD_PORT = 1883


@dataclass(frozen=True)
class BrokerAddress:
    """A host and a port; or, in their place, a Unix socket of this machine."""

    host: str = ""
    port: int = _STANDARD_PORT
    #: The path of the socket; None where the broker is reached over TCP.
    socket: Optional[str] = None

    @classmethod
    def parse(cls, text: str) -> BrokerAddress:
        """Reads `mqtt://host:port`, `mqtt://host` (port 1883 then) or `unix:///path`.

        Raises `ValueError` with the end of a sentence that begins with the name of what was read.
        """
        if text.startswith(_SOCKET_SCHEME):
            # Taken as it stands: nothing in it is escaped.
            path = text[len(_SOCKET_SCHEME):]
            _check_socket_path(path)
            return cls(socket=path)
        try:
            parts = urlsplit(text)
            port = _STANDARD_PORT if parts.port is None else parts.port
        except ValueError as error:
            raise ValueError(f"is no address: {error}") from None
        # The text itself is not repeated: someone may have put a password into it.
        if parts.scheme != "mqtt" or not parts.hostname or parts.username is not None or not 0 < port < 65536:
            raise ValueError("must have the form mqtt://host:port or unix:///path")
        return cls(parts.hostname, port)

    def __str__(self) -> str:
        if self.socket is not None:
            return _SOCKET_SCHEME + self.socket
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt://{host}:{self.port}"

    def why_unreachable(self, error: Optional[BaseException]) -> str:
        """For people: why an attempt to connect that ended with `error` has failed."""
        if self.socket is None or not isinstance(error, OSError):
            return "it cannot be reached"
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return f"there is no such socket; the broker makes it by 'listener 0 {self.socket}'"
        if error.errno == errno.ECONNREFUSED:
            return "nobody listens at this socket; the broker that made it has ended"
        if error.errno == errno.EACCES:
            return "this account may not use the socket; the broker makes it for its own account and group"
        return str(error.strerror or error)


def _check_socket_path(path: str) -> None:
    if not path.startswith("/") or path.endswith("/"):
        raise ValueError(
            "is no absolute path of a socket: the address of one is such as unix:///run/sensorhub/mqtt.sock"
        )
    if any(character < " " or character == "\x7f" for character in path):
        raise ValueError("has a control character in the socket's path")
    size = len(os.fsencode(path))
    if size > _LONGEST_SOCKET_PATH:
        raise ValueError(
            f"is too long: the socket's path has {size} bytes, and Linux allows {_LONGEST_SOCKET_PATH}"
        )
