"""Commands on a named machine."""

from __future__ import annotations

import base64
import json
import logging
import subprocess
import threading
import time
from collections import deque
from typing import Any, Iterator, Mapping, Optional, Sequence, Union

from . import waiting
from .connection import Connection
from .environment import Settings
from .errors import CommandError, PlatformClosed
from .requests import Requests

_log = logging.getLogger("sensorhub")
_REQUEST_SECONDS = 10.0
_INPUT_BYTES = 64 << 10
_WAITING_LINES = 10_000
_EARLY_MESSAGES = 1_000
_ENDS = ("EXITED", "FATAL", "STOPPED")


class Lines:
    """The lines that a command writes, as they come, without their ends of line. The iteration ends with the command.

    When nobody takes them, 10,000 wait; then the oldest are dropped.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: deque[str] = deque(maxlen=_WAITING_LINES)
        self._ended = False
        #: How many lines were dropped because nobody took them.
        self.dropped = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        with self._changed:
            waiting.wait_for(self._changed, lambda: bool(self._lines) or self._ended, None)
            if self._lines:
                return self._lines.popleft()
        raise StopIteration

    def _add(self, line: str) -> None:
        with self._changed:
            self.dropped += len(self._lines) == _WAITING_LINES
            self._lines.append(line)
            self._changed.notify_all()

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class Command:
    """A command that `Platform.popen` has started on a node; used like `subprocess.Popen`. Thread-safe."""

    def __init__(self, id: str, node: str, args: Sequence[str], requests: Requests) -> None:
        #: Its id, as for `sensorhub ps`, `logs` and `stop`.
        self.id = id
        self.node = node
        self.args = list(args)
        self.stdout, self.stderr = Lines(), Lines()
        self._requests = requests
        self._changed = threading.Condition()
        self._closed = False
        self._ended = False
        #: Its exit code, or the negative number of the signal that ended it; None before.
        self.returncode: Optional[int] = None
        #: Why it is as it is, for people.
        self.reason = ""

    def poll(self) -> Optional[int]:
        """The return code, or None while it runs."""
        return self.returncode

    def wait(self, timeout: Optional[float] = None) -> int:
        """Waits for its end and returns the return code.

        Raises `subprocess.TimeoutExpired` after `timeout` seconds, and `CommandError` if it could not be started or
        what became of it is unknown.
        """
        with self._changed:
            if not waiting.wait_for(self._changed, lambda: self._ended or self._closed, timeout):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            if self.returncode is not None:
                return self.returncode
            if self._ended:
                raise CommandError(f"'{self.id}' has no return code: {self.reason}")
        raise PlatformClosed("the platform is closed")

    def write(self, text: Union[str, bytes]) -> None:
        """Writes to its standard input; for a command that was started with `input=True`."""
        data = text.encode() if isinstance(text, str) else bytes(text)
        for start in range(0, len(data), _INPUT_BYTES):
            piece = base64.b64encode(data[start : start + _INPUT_BYTES]).decode()
            self._ask("programs", "send", data=piece)

    def close_input(self) -> None:
        """Ends its standard input."""
        self._ask("programs", "send", eof=True)

    def send_signal(self, number: int) -> None:
        """Sends a signal to its process group; to one that has ended, nothing."""
        if self._ended:
            return
        try:
            self._ask("programs", "signal", signal=int(number))
        except CommandError as error:
            # It may have ended just now, and the hub hears of it before we do.
            with self._changed:
                if error.status not in (404, 409) or not self._changed.wait_for(lambda: self._ended, 2):
                    raise

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self.send_signal(15)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.send_signal(9)

    def __repr__(self) -> str:
        return f"<Command {self.id} on {self.node}: {self.args!r}, returncode {self.returncode}>"

    def _ask(self, service: str, method: str, **parameters: Any) -> dict[str, Any]:
        return self._requests.ask(service, method, {"id": self.id, "kind": "command", **parameters}, _REQUEST_SECONDS)

    def _wait_until_started(self, timeout: float) -> None:
        """Returns when the hub, too, knows that it has a process or has ended."""
        deadline = time.monotonic() + timeout
        pause = 0.02
        while True:
            state = self._look()
            if self._ended or state.get("pid") is not None:
                return
            if time.monotonic() > deadline:
                raise CommandError(f"'{self.id}' did not start within {timeout:.1f} s: {state.get('reason')}")
            with self._changed:
                self._changed.wait_for(lambda: self._ended, pause)
            pause = min(2 * pause, 0.5)

    def _look(self) -> dict[str, Any]:
        """Asks the hub how it is, and takes its end from there."""
        state: dict[str, Any] = self._ask("commands", "show")["command"]
        if state.get("state") in _ENDS:
            # Its own word comes after its last lines.
            with self._changed:
                self._changed.wait_for(lambda: self._ended, 2)
            self._take_state(state)
        return state

    # What follows is called in the network thread, too.

    def _take_lines(self, lines: Any) -> None:
        for line in lines if isinstance(lines, list) else [lines]:
            stream = self.stderr if line["stream"] == "stderr" else self.stdout
            stream._add(str(line["text"]))

    def _take_state(self, state: Mapping[str, Any]) -> None:
        with self._changed:
            if self._ended:
                return
            self.reason = str(state.get("reason") or "")
            if state.get("state") not in _ENDS:
                return
            code, signal = state.get("exit_code"), state.get("signal")
            self.returncode = code if code is not None else -signal if signal is not None else None
            self._ended = True
            self._changed.notify_all()
        self.stdout._end()
        self.stderr._end()

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.stdout._end()
        self.stderr._end()


class Commands:
    """The commands of this program. Thread-safe."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._connection = connection
        self._root = f"sensorhub/{settings.hub}/commands/"
        self._requests = Requests(settings, connection)
        self._lock = threading.Lock()
        self._commands: dict[str, Command] = {}
        # What a command writes may be there before the hub's reply with its id.
        self._starting = 0
        self._early: deque[tuple[str, str, bytes]] = deque(maxlen=_EARLY_MESSAGES)

    def start(
        self, node: str, args: Sequence[str], environment: Optional[Mapping[str, str]], name: Optional[str],
        input: bool, timeout: float,
    ) -> Command:
        """Starts a command, and returns when it has a process."""
        if isinstance(args, (str, bytes)):
            raise TypeError("a command is a list of words, such as ['ls', '-l']; for a shell: ['sh', '-c', 'ls | wc']")
        parameters: dict[str, Any] = {"node": node, "command": [str(word) for word in args], "input": input}
        if environment is not None:
            parameters["environment"] = dict(environment)
        if name is not None:
            parameters["name"] = name
        topics = [f"{self._root}+/log", f"{self._root}+/events"]
        self._connection.subscriptions.add(topics)
        for topic in topics:
            if not self._connection.subscriptions.wait_until_active(topic, timeout):
                raise CommandError(self._connection.problem or f"the broker did not confirm the subscription to {topic}")
        with self._lock:
            self._starting += 1
        try:
            id = str(self._requests.ask("commands", "run", parameters, timeout)["id"])
            command = Command(id, node, parameters["command"], self._requests)
            with self._lock:
                self._commands[id] = command
                for early, leaf, payload in self._early:
                    if early == id:
                        self._deliver(command, leaf, payload)
        finally:
            with self._lock:
                self._starting -= 1
                if not self._starting:
                    self._early.clear()
        command._wait_until_started(timeout)
        self._forget_ended()
        if command.poll() is None and command._ended:
            raise CommandError(f"{args[0]!r} could not be started on '{node}': {command.reason}")
        return command

    def close(self) -> None:
        """Lets go of whoever waits; the commands go on."""
        self._requests.close()
        with self._lock:
            commands = list(self._commands.values())
        for command in commands:
            command._close()

    # What follows is called in the network thread.

    def linked(self, is_connected: bool) -> None:
        """What has ended meanwhile has told nobody."""
        with self._lock:
            running = [command for command in self._commands.values() if not command._ended]
        if is_connected and running:
            self._start_asking(running)

    def received(self, topic: str, payload: bytes) -> bool:
        """True where the message was about commands."""
        if self._requests.received(topic, payload):
            return True
        if not topic.startswith(self._root):
            return False
        id, _, leaf = topic[len(self._root) :].partition("/")
        with self._lock:
            command = self._commands.get(id)
            if command is not None:
                self._deliver(command, leaf, payload)
                if command._ended:
                    del self._commands[id]
            elif self._starting:
                self._early.append((id, leaf, payload))
        return True

    def published(self, number: int, refusal: Optional[str], is_heard: bool) -> None:
        self._requests.published(number, refusal, is_heard)

    def _deliver(self, command: Command, leaf: str, payload: bytes) -> None:
        try:
            document = json.loads(payload)
            if leaf == "log":
                command._take_lines(document)
            elif document["state"] in _ENDS and document.get("exit_code") is None and document.get("signal") is None:
                # How it ended may have been told while we were not connected. The hub knows, or is about to.
                self._start_asking([command], _REQUEST_SECONDS)
            else:
                command._take_state(document)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
            _log.warning("malformed %s of command '%s': %s", leaf, command.id, problem)

    def _start_asking(self, commands: Sequence[Command], patience: float = 0) -> None:
        threading.Thread(
            target=self._ask_again, args=(commands, patience), name="sensorhub-commands", daemon=True
        ).start()

    def _ask_again(self, commands: Sequence[Command], patience: float) -> None:
        for command in commands:
            deadline = time.monotonic() + patience
            try:
                command._look()
                while not command._ended and time.monotonic() < deadline:
                    time.sleep(0.2)
                    command._look()
            except (CommandError, PlatformClosed) as error:
                _log.warning("what became of command '%s' is not known: %s", command.id, error)
        self._forget_ended()

    def _forget_ended(self) -> None:
        with self._lock:
            self._commands = {id: command for id, command in self._commands.items() if not command._ended}
