"""A node whose agent is the test: it says what it likes of the programs that are placed on it."""

from __future__ import annotations

import json
import time
from typing import Any, Optional

from hub import Hub, run, wait_until
from mqtt import Message, Peer


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1_000


class OtherNode:
    """Enrolled, and online from `connect` on."""

    def __init__(self, hub: Hub, id: str = "other") -> None:
        self.hub, self.id = hub, id
        result = run("enroll", "node", id, "--config", hub.data / "hub.json")
        assert result.returncode == 0, result.stderr
        self._password = json.loads(result.stdout)["broker"]["password"]
        self._peer: Optional[Peer] = None

    def connect(self) -> OtherNode:
        self.close()
        self._peer = self.hub.peer(f"node.{self.id}", self._password)
        self._peer.answer = self._hear
        self._peer.subscribe(self._topic("command"))
        self._peer.publish(
            self._topic("status"), {"status": "online", "version": "test", "t": now()}, retain=True)
        return self

    def _hear(self, message: Message) -> Optional[tuple[str, bytes]]:
        command = json.loads(message.payload)
        if command["kind"] not in ("input", "signal"):
            return None
        heard = {"kind": "heard", "request": command["request"]}
        return self._topic("report"), json.dumps(heard).encode()

    def close(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def leave(self) -> None:
        """As an agent that stops: nothing is placed here any more."""
        self.peer.publish(self._topic("status"), {"status": "offline", "version": "test", "t": now()}, retain=True)
        self.close()

    @property
    def peer(self) -> Peer:
        assert self._peer is not None, "not connected"
        return self._peer

    def _topic(self, leaf: str) -> str:
        return self.hub.topic(f"nodes/{self.id}/{leaf}")

    def report(self, payload: Any) -> None:
        self.peer.publish(self._topic("report"), payload)

    def snapshot(self, *programs: dict[str, Any]) -> None:
        self.report({"kind": "snapshot", "t": now(), "programs": list(programs)})

    def commands(self, kind: str) -> list[dict[str, Any]]:
        """Those of a kind; what the hub has sent again, once."""
        commands = [message.json for message in list(self.peer.messages) if message.json["kind"] == kind]
        known = [command.get("request") for command in commands]
        return [
            command for index, command in enumerate(commands)
            if command.get("request") is None or command["request"] not in known[:index]]


class Journal:
    """The journal of one program on that node."""

    def __init__(self, node: OtherNode, id: str, kind: str = "driver", origin: Optional[int] = None) -> None:
        self.node, self.id, self.kind, self.origin = node, id, kind, origin or now()

    def message(self, after: int, *records: Any) -> dict[str, Any]:
        return {
            "kind": "journal", "id": self.id, "program": self.kind, "origin": self.origin, "after": after,
            "records": list(records),
        }

    def answers(self) -> list[tuple[int, int]]:
        """What the hub has said of how far it has come: origins and numbers."""
        return [
            (answer["origin"], answer["n"]) for answer in self.node.commands("journal_committed")
            if (answer["id"], answer["program"]) == (self.id, self.kind)
        ]

    def send(self, after: int, *records: Any, timeout: float = 60) -> tuple[int, int]:
        """Returns the hub's answer."""
        before = len(self.answers())
        self.node.report(self.message(after, *records))
        wait_until(lambda: len(self.answers()) > before, timeout, f"an answer about {self.id}")
        return self.answers()[before]


def line(
    n: int, text: str, run: int = 1, stream: str = "stdout", t: Optional[int] = None,
) -> dict[str, Any]:
    return {"n": n, "t": t or now(), "run": run, "stream": stream, "text": text}


def state(
    n: int, word: str, run: int = 1, reason: str = "", pid: Optional[int] = None, exit_code: Optional[int] = None,
    signal: Optional[int] = None, t: Optional[int] = None,
) -> dict[str, Any]:
    return {
        "n": n, "t": t or now(), "run": run, "state": word, "reason": reason, "pid": pid, "exit_code": exit_code,
        "signal": signal,
    }
