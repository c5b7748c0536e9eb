"""A second look at what drivers send, apart from the hub: a subscriber of the broker that notes what passes.

It speaks MQTT 3.1.1 over a plain socket at QoS 0: nothing waits for it, and at thousands of readings a second it takes
little of the machine. What passes while it is not connected it does not see; so it can tell that a reading was there,
never that one was not.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import defaultdict
from typing import Any, Iterable

import packets

Boot = tuple[str, int]


class Witness:
    """To be stopped with `stop`; `seen`, `ends` and `lost` are then complete."""

    def __init__(self, port: int, root: str, user: str, password: str) -> None:
        self.seen: dict[Boot, set[int]] = defaultdict(set)
        # What drivers said of themselves.
        self.ends: dict[Boot, int] = {}
        self.lost: dict[Boot, set[tuple[int, int]]] = defaultdict(set)
        self.messages = 0
        self.connections = 0
        # What a driver must never send: two different ends of a boot, or what is not JSON.
        self.oddities: list[str] = []
        self.last_message = time.monotonic()
        self._port, self._root, self._user, self._password = port, root, user, password
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._is_stopping = True
        self._thread.join(10)

    def _run(self) -> None:
        while not self._is_stopping:
            try:
                with packets.connect(self._port, self._user, self._password, "chaos-witness") as connection:
                    self._listen(connection)
            except OSError:
                # The broker is killed and frozen all the time. Drivers are slower to come back.
                time.sleep(0.02)

    def _listen(self, connection: socket.socket) -> None:
        connection.sendall(packets.subscribe(f"{self._root}/sensors/+/data"))
        connection.settimeout(0.5)
        self.connections += 1
        data = b""
        while not self._is_stopping:
            try:
                chunk = connection.recv(1 << 18)
            except TimeoutError:
                continue
            if not chunk:
                raise ConnectionError("the broker has closed the connection")
            data = self._take(data + chunk)

    def _take(self, data: bytes) -> bytes:
        """Takes the whole packets of `data`, and returns the rest."""
        position = 0
        while True:
            start, size, shift = position + 1, 0, 0
            while start < len(data):
                byte = data[start]
                size |= (byte & 127) << shift
                start, shift = start + 1, shift + 7
                if byte < 128:
                    break
            else:
                return data[position:]
            if len(data) < start + size:
                return data[position:]
            if data[position] >> 4 == 3:
                end = start + 2 + struct.unpack_from(">H", data, start)[0]
                self._note(data[start + 2:end].decode().split("/")[-2], data[end:start + size])
            position = start + size

    def _note(self, sensor: str, payload: bytes) -> None:
        self.messages += 1
        self.last_message = time.monotonic()
        try:
            items: Any = json.loads(payload)
            for item in items if isinstance(items, list) else [items]:
                boot = (sensor, item["boot"])
                if "seq" in item:
                    self.seen[boot].add(item["seq"])
                elif "end" in item:
                    if self.ends.setdefault(boot, item["end"]) != item["end"]:
                        self.oddities.append(f"{boot}: ends at {self.ends[boot]} and at {item['end']}")
                elif "lost" in item:
                    self.lost[boot].add(tuple(item["lost"]))
        except (ValueError, TypeError, KeyError) as error:
            self.oddities.append(f"{sensor}: {error!r} in {payload[:200]!r}")


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as ranges, both ends included."""
    result: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if result and result[-1][1] + 1 == number:
            result[-1] = (result[-1][0], number)
        else:
            result.append((number, number))
    return result
