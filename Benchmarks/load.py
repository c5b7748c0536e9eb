"""A load of readings that costs the machine as little as can be: packets made beforehand, sent over plain sockets.

Publishing goes through no MQTT library on purpose: on two cores the publisher would take what is to be measured.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Optional, Sequence

sys.path.append(str(Path(__file__).resolve().parents[1] / "Tests" / "Chaos"))

import packets  # noqa: E402

# The packet ids that one connection uses in turn; far more than are ever unacknowledged.
_IDS = 60_000


@dataclass(frozen=True)
class Load:
    """Which readings are published: two fields and a string, about 85 bytes each."""

    instances: Sequence[str]
    count: int
    """How many readings in all, evenly over the instances."""
    per_message: int = 1
    boot: int = 1
    first: int = 1
    """The number that each instance begins with."""
    hub: str = "main"

    def messages(self) -> Iterator[tuple[str, bytes]]:
        """Topic and payload, the instances in turn, their numbers counting up from the first."""
        now = time.time_ns() // 1000
        rounds = self.count // (len(self.instances) * self.per_message)
        for turn in range(rounds):
            first = self.first + turn * self.per_message
            for index, instance in enumerate(self.instances):
                readings = [
                    '{"t":%d,"boot":%d,"seq":%d,"v":{"temperature":%.2f,"humidity":%.1f,"state":"ok"}}'
                    % (now + seq * 1000, self.boot, seq, 20 + seq % 100 / 10, 40 + index % 50)
                    for seq in range(first, first + self.per_message)
                ]
                body = readings[0] if self.per_message == 1 else f"[{','.join(readings)}]"
                yield f"sensorhub/{self.hub}/sensors/{instance}/data", body.encode()


class Publisher:
    """One connection, MQTT 3.1.1, QoS 1."""

    def __init__(self, port: int, user: str, password: str, client_id: str) -> None:
        self._socket = packets.connect(port, user, password, client_id)
        self._packets: list[bytes] = []

    def close(self) -> None:
        self._socket.close()

    def prepare(self, messages: Iterator[tuple[str, bytes]]) -> int:
        """Makes the packets; returns how many."""
        self._packets = []
        for number, (topic, payload) in enumerate(messages):
            self._packets.append(packets.publish(topic, payload, number % _IDS + 1))
        return len(self._packets)

    def publish(self, rate: Optional[float] = None, window: int = 4_000, timeout: float = 300) -> float:
        """Sends all packets, at most `window` of them unacknowledged, and returns the seconds until the last PUBACK.

        With `rate` it sends so many a second, evenly.
        """
        prepared, sent, acknowledged, partial = self._packets, 0, 0, 0
        pending = memoryview(b"")
        self._socket.setblocking(False)
        # Woken for 200 acknowledgements at a time, but for the last: to be woken for each would take time from what is
        # measured.
        is_patient = not rate and len(prepared) > window
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 800 if is_patient else 1)
        selector = selectors.DefaultSelector()
        selector.register(self._socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
        start = time.perf_counter()
        while acknowledged < len(prepared):
            if not pending and sent < len(prepared):
                allowed = min(len(prepared), acknowledged + window, sent + 500)
                if rate:
                    allowed = min(allowed, int((time.perf_counter() - start) * rate) + 1)
                if allowed > sent:
                    pending = memoryview(b"".join(prepared[sent:allowed]))
                    sent = allowed
            selector.modify(self._socket, selectors.EVENT_READ | (selectors.EVENT_WRITE if pending else 0))
            for _, events in selector.select(0.001 if rate else 0.1):
                if events & selectors.EVENT_READ:
                    data = self._socket.recv(1 << 18)
                    if not data:
                        raise RuntimeError("the broker closed the publisher's connection")
                    # Every PUBACK of MQTT 3.1.1 has four bytes.
                    acknowledged, partial = acknowledged + (partial + len(data)) // 4, (partial + len(data)) % 4
                    if is_patient and len(prepared) - acknowledged < window:
                        is_patient = False
                        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
                if events & selectors.EVENT_WRITE and pending:
                    pending = pending[self._socket.send(pending):]
            if time.perf_counter() - start > timeout:
                raise RuntimeError(f"only {acknowledged} of {len(prepared)} messages were taken in {timeout} s")
        selector.close()
        self._socket.setblocking(True)
        return time.perf_counter() - start
