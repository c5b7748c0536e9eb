"""Publishes malformed payloads as a registered device, while another sensor goes on.

    malformed.py [--count 1000000] [--seed N]

Every payload is certainly no reading, so each must become a dead letter, and nothing else may happen: the hub lives on
in the same process, with bounded memory, and every good reading is stored. Exits non-zero where that is not so.
"""

from __future__ import annotations

import argparse
import json
import random
import selectors
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Callable, Iterator

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Integration"))

import packets  # noqa: E402
from hub import BUILD, Hub, wait_until  # noqa: E402

TYPE = {
    "name": "target", "company": "Tests",
    "sensor_data_structure": {"level": "float", "count": "int", "state": "string", "open": "bool"},
}
# Not far above what a hub at full load has.
MEMORY_LIMIT_MEGABYTES = 400
HUGE_BYTES = 10 << 20
WINDOW = 2_000
# No more than so many messages wait in the broker for the hub: what comes beyond its bounds (mosquitto.conf), which are
# several times this, it throws away.
MAXIMUM_BACKLOG = 50_000
GOOD_SECONDS = 0.02


def make(dice: random.Random) -> bytes:
    """A payload that no rule lets through."""
    good = {
        "t": time.time_ns() // 1000, "boot": 1, "seq": dice.randrange(1, 1 << 40),
        "v": {"level": 1.5, "count": dice.randrange(1000), "state": "ok", "open": True},
    }
    text = json.dumps(good)
    kind = dice.randrange(10)
    if kind == 0:
        # Byte FF never stands in UTF-8.
        noise = bytearray(dice.randbytes(dice.randrange(1, 300)))
        noise[dice.randrange(len(noise))] = 0xFF
        return bytes(noise)
    if kind == 1:
        # A beginning of an object, without the end.
        return text[:dice.randrange(1, len(text))].encode()
    if kind == 2:
        # A byte within a string that is a control character, or no UTF-8.
        place = text.index("ok")
        byte = dice.choice((b"\xff", b"\xc3(", b"\x00", b"\n", b"\xed\xa0\x80", b"\xf8"))
        return text[:place].encode() + byte + text[place:].encode()
    if kind == 3:
        depth = dice.choice((2, 100, 1023, 1024, 1025, 5_000))
        opening, closing = dice.choice((("[", "]"), ('{"v":', "}")))
        inner = dice.choice(("1", "null", '"x"'))
        return (opening * depth + inner + closing * dice.choice((depth, depth - 1))).encode()
    if kind == 4:
        number = dice.choice((
            "1e999", "9" * 400, "9223372036854775808", "-9223372036854775809", "1e-400e", "0x10", "01", "NaN", "-"))
        return text.replace(f'"count": {good["v"]["count"]}', f'"count": {number}').encode()
    if kind == 5:
        field, value = dice.choice((
            ("level", "text"), ("level", True), ("level", []), ("count", 1.5), ("count", "1"), ("count", {}),
            ("state", 1), ("state", False), ("state", "a\0b"), ("open", 1), ("open", "true"), ("other", 1), ("", None),
            ("Level", 1)))
        good["v"][field] = value
        return json.dumps(good).encode()
    if kind == 6:
        key, value = dice.choice((
            ("t", -1), ("t", 1 << 62), ("t", "now"), ("t", None), ("t", 1.5), ("boot", -1), ("boot", 1 << 60),
            ("boot", True), ("seq", -1), ("seq", 1e300), ("seq", [1]), ("x", 1), ("offset", 1)))
        good[key] = value
        return json.dumps(good).encode()
    if kind == 7:
        return json.dumps(dice.choice((
            None, True, 1, -1.5, "text", {}, {"boot": 1, "lost": [1]}, {"boot": 1, "lost": [2, 1]},
            {"boot": -1, "end": 1}, {"boot": 1, "end": "1"}, {"boot": 1, "clock": [1, 2]},
            {"boot": 1, "clock": [1, 2], "offset": 1 << 62},
            {"v": 1}, {"v": {}}, {"level": None}, {"level": 1, "lvl": 1}))).encode()
    if kind == 8:
        # One place within the JSON, where any other byte is a mistake: the colon after a key.
        place = text.index(":", dice.choice((0, text.index('"v"'), text.index('"count"'))))
        return text[:place].encode() + bytes([dice.choice(b";,}]\"\\\x00\x80\xff")]) + text[place + 1:].encode()
    return text.encode() + dice.choice((b",", b"}", b"]", b"{", b"\x00", b"x", text.encode()))


def huge(dice: random.Random) -> bytes:
    """10 MB of a kind that costs the parser most: text without end, a list of lists, one number."""
    return dice.choice((
        b'{"state":"' + b"x" * HUGE_BYTES,
        b"[" + b"[],[" * (HUGE_BYTES // 4),
        b"1" * HUGE_BYTES,
        b'{"level":1,' + b'"' + b"k" * HUGE_BYTES + b'":1}',
    ))


class Sender:
    """Publishes at QoS 1 with a window, and a good reading of another sensor now and then in between."""

    def __init__(self, hub: Hub, bad: str, good: str) -> None:
        self._topics = {name: hub.topic(f"sensors/{name}/data") for name in (bad, good)}
        self._bad, self._good = bad, good
        self._sockets = {name: self._connect(hub, name) for name in (bad, good)}
        self.good_readings = 0
        self.boot = int(time.time())
        self._next_good = time.monotonic()

    @staticmethod
    def _connect(hub: Hub, sensor: str) -> socket.socket:
        credentials = hub.rpc("sensors", "credentials", name=sensor, rotate=True)

        def attempt() -> socket.socket:
            return packets.connect(hub.broker[1], credentials["user"], credentials["password"], f"malformed-{sensor}")

        return wait_until(attempt, what="the broker knows the device", retry_on=(OSError,))

    def publish(self, payloads: Iterator[bytes], rate: float, progress: Callable[[], int]) -> int:
        """Returns how many have been acknowledged, which is all of them.

        Args:
            rate: at most so many a second.
            progress: how many the hub has dealt with.
        """
        bad, good = self._sockets[self._bad], self._sockets[self._good]
        selector = selectors.DefaultSelector()
        for connection in (bad, good):
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ)
        sent = acknowledged = partial = 0
        pending = memoryview(b"")
        is_over = False
        start = looked = time.monotonic()
        done = 0
        while not is_over or pending or acknowledged < sent:
            if not pending and not is_over:
                if time.monotonic() > looked + 0.3:
                    done, looked = progress(), time.monotonic()
                allowed = min(
                    acknowledged + WINDOW, sent + 200, done + MAXIMUM_BACKLOG,
                    int((time.monotonic() - start) * rate) + 1)
                batch = []
                while sent < allowed:
                    payload = next(payloads, None)
                    if payload is None:
                        is_over = True
                        break
                    sent += 1
                    batch.append(packets.publish(self._topics[self._bad], payload, sent % 60_000 + 1))
                pending = memoryview(b"".join(batch))
            selector.modify(bad, selectors.EVENT_READ | (selectors.EVENT_WRITE if pending else 0))
            for key, events in selector.select(0.005):
                if events & selectors.EVENT_READ:
                    data = key.fileobj.recv(1 << 16)
                    if not data:
                        raise ConnectionError("the broker has closed the connection")
                    if key.fileobj is bad:
                        # Every PUBACK has four bytes.
                        acknowledged, partial = acknowledged + (partial + len(data)) // 4, (partial + len(data)) % 4
                if events & selectors.EVENT_WRITE and pending:
                    pending = pending[bad.send(pending):]
            self._send_good(good)
        selector.close()
        return acknowledged

    def _send_good(self, connection: socket.socket) -> None:
        if time.monotonic() < self._next_good:
            return
        self._next_good = time.monotonic() + GOOD_SECONDS
        self.good_readings += 1
        reading = {"t": time.time_ns() // 1000, "boot": self.boot, "seq": self.good_readings, "v": {"level": 1.0}}
        connection.setblocking(True)
        connection.sendall(packets.publish(
            self._topics[self._good], json.dumps(reading).encode(), self.good_readings % 60_000 + 1))
        connection.setblocking(False)

    def close(self) -> None:
        for connection in self._sockets.values():
            connection.close()


def memory(pid: int, what: str) -> int:
    """In MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) >> 10
    raise KeyError(what)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--huge", type=int, default=4, help="how many of 10 MB (default: 4)")
    parser.add_argument("--rate", type=float, default=20_000, help="at most so many a second (default: 20000)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    print(f"malformed --seed {arguments.seed} --count {arguments.count}, {BUILD.name} build", flush=True)

    hub = Hub()
    # Nothing may be left when somebody ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        hub.start()
        hub.rpc("types", "register", document=TYPE)
        hub.rpc("sensors", "register", document=[
            {"sensor_type": "target", "name": name} for name in ("bad-1", "good-1")])
        sender = Sender(hub, "bad-1", "good-1")
        pid = hub.part("hub")
        before = memory(pid, "VmRSS")
        where = {dice.randrange(arguments.count) for _ in range(arguments.huge)}
        payloads = (huge(dice) if number in where else make(dice) for number in range(arguments.count))
        start = time.monotonic()
        with psycopg.connect(hub.connection["database"], autocommit=True) as database:
            def progress() -> int:
                # Counting so many would keep the database busy.
                row = database.execute("SELECT coalesce(max(id), 0) FROM hub.dead_letter").fetchone()
                return int(row[0]) if row else 0

            sent = sender.publish(payloads, arguments.rate, progress)

            def is_all_there() -> bool:
                # The last number alone does not say it: one that could not be stored at first has used up numbers.
                return progress() >= sent and hub.value("SELECT count(*) FROM hub.dead_letter") >= sent and (
                    hub.count("good-1") >= sender.good_readings)

            try:
                wait_until(is_all_there, 120, "all dead letters and good readings")
            except AssertionError:
                # Told below.
                pass
        seconds = time.monotonic() - start
        # Were there too many, the last would still be on their way.
        time.sleep(1)
        rows, strangers = hub.count("good-1"), hub.count("bad-1")
        dead = hub.value("SELECT count(*) FROM hub.dead_letter")
        reasons = hub.value("SELECT count(DISTINCT reason) FROM hub.dead_letter")
        alive = hub.part("hub") == pid
        after, peak = memory(pid, "VmRSS"), memory(pid, "VmHWM")
        sender.close()
        for name, value in (
            ("malformed payloads", sent), ("of 10 MB", len(where)), ("dead letters", dead),
            ("different reasons", reasons), ("stored by mistake", strangers),
            ("good readings sent", sender.good_readings), ("good readings stored", rows),
            ("hub's memory before, MiB", before), ("after, MiB", after),
            ("at most, MiB", peak),
        ):
            print(f"{name:28}{value:12,}")
        print(f"{'seconds':28}{seconds:12.1f}")
        faults = []
        if not alive:
            faults.append("the hub has ended and was started again")
        if dead != sent:
            faults.append(f"{sent} payloads have become {dead} dead letters")
        if strangers:
            faults.append(f"{strangers} malformed payloads were stored as readings")
        if rows != sender.good_readings:
            faults.append(f"{rows} of {sender.good_readings} good readings are stored")
        if peak > MEMORY_LIMIT_MEGABYTES:
            faults.append(f"the hub took {peak} MiB, more than {MEMORY_LIMIT_MEGABYTES}")
        for fault in faults:
            print(f"FAULT: {fault}")
        if faults:
            print(hub.logs)
        return 1 if faults else 0
    finally:
        hub.destroy()


if __name__ == "__main__":
    sys.exit(main())
