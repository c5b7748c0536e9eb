"""What an algorithm works with: its binding, readings, control functions and its app's page."""

from __future__ import annotations

import json
import logging
import threading
import time as clock
from typing import Any, Callable, Mapping, Optional, Sequence, Union

from . import termination, waiting
from .binding import Binding, Sensor
from .callbacks import BindingCallbacks
from .command import Command, Commands
from .connection import Connection
from .control import Calls, ControlReply
from .environment import Settings
from .errors import BindingTimeout, PlatformClosed
from .feed import Feed
from .outputs import Outputs, Time
from .reading import Reading
from .stream import ReadingStream

_log = logging.getLogger("sensorhub")
_BINDING_SECONDS = 30.0
_CALL_SECONDS = 10.0
_FLUSH_SECONDS = 2.0
_NO_PARAMS: Mapping[str, Any] = {}


class Platform:
    """The connection of one algorithm instance to the hub.

    Made without arguments it takes what the hub has put into the environment, connects in the background, and comes
    back by itself when the broker was away. Use it in a `with` statement, or call `close()` at the end. Thread-safe.

    In the main thread it also sees to SIGTERM, by which the hub stops an algorithm, unless the program has set a
    handler of its own: the iterations over readings end. If there is none, the program exits with status 0.

    `queue_size` is how many readings wait in each iterator before the oldest are dropped.
    """

    def __init__(self, settings: Optional[Settings] = None, *, queue_size: int = 1000) -> None:
        if queue_size < 1:
            raise ValueError("queue_size must be at least 1")
        self._settings = settings or Settings.from_environment()
        # Guards the binding; never held while something waits for the broker.
        self._changed = threading.Condition()
        self._binding: Optional[Binding] = None
        self._reply_topics: frozenset[str] = frozenset()
        self._closed = False
        self._callbacks = BindingCallbacks()
        self._connection = Connection(self._settings, self._received, self._published, self._linked)
        self._outputs = Outputs(self._settings, self._connection)
        self._calls = Calls(self._connection)
        self._commands = Commands(self._settings, self._connection)
        self._feed = Feed(self._connection.subscriptions, queue_size)
        self._connection.subscriptions.add([self._settings.binding_topic])
        self._connection.start()
        termination.watch(self)

    def __enter__(self) -> Platform:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all iterations and calls, sends what was published, and disconnects. A second time does nothing."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._feed.close()
        termination.unwatch(self)
        self._calls.close()
        self._commands.close()
        self._callbacks.close()
        self._outputs.close(_FLUSH_SECONDS)
        self._connection.close()

    def stop(self) -> bool:
        """Ends all iterations over readings, and returns True if this call ended any. Allowed in a signal handler.

        Taking a reading after that raises SystemExit with status 0.
        """
        return self._feed.stop()

    # Who this is

    @property
    def instance(self) -> str:
        """The id of the algorithm instance."""
        return self._settings.instance

    @property
    def app(self) -> str:
        """The id of the app."""
        return self._settings.app

    @property
    def stopping(self) -> bool:
        """True once the program is to end: for a loop of one's own, `while not platform.stopping`."""
        return self._feed.stopping or self._closed

    # Binding

    @property
    def binding(self) -> Optional[Binding]:
        """The binding as it is now; None before the first has arrived and after the instance was stopped."""
        return self._binding

    def wait_for_binding(self, timeout: Optional[float] = _BINDING_SECONDS) -> Binding:
        """The binding, waiting for it if need be; raises `BindingTimeout` after `timeout` seconds."""
        with self._changed:
            waiting.wait_for(self._changed, lambda: self._binding is not None or self._closed, timeout)
            self._refuse_when_closed()
            if self._binding is not None:
                return self._binding
        raise BindingTimeout(
            self._connection.problem
            or f"no binding for '{self.instance}' within {timeout:g} s: is it deployed on hub '{self._settings.hub}'?"
        )

    def sensors(self, index: int, timeout: Optional[float] = _BINDING_SECONDS) -> tuple[Sensor, ...]:
        """The sensors that are bound at a position; waits for the binding as `wait_for_binding` does."""
        return self.wait_for_binding(timeout).position(index).sensors

    def on_binding_change(self, callback: Callable[[Binding], None]) -> None:
        """Has `callback` called with the current binding, if there is one, and then with each new one.

        It is called in a thread of the library. What it raises goes to the log.
        """
        with self._changed:
            self._refuse_when_closed()
            self._callbacks.add(callback, self._binding)

    # Readings

    def readings(self, *indexes: int, timeout: Optional[float] = None) -> ReadingStream:
        """An iterator over the readings of these positions, or of all positions if none is named.

        It follows the binding: when a sensor comes or goes, so do its readings. It ends when the platform is closed or
        the program is to stop. With `timeout` it also ends when no reading has come for so many seconds; the same
        iterator can then be used again, and what came in between is not lost.

        A program that has been told to stop and asks for readings once more gets SystemExit with status 0.

        A position that does not exist raises `LookupError`, at the latest when the binding has arrived.
        """
        return self._feed.open(indexes, timeout)

    def run(self, on_reading: Callable[[Reading], Any], *indexes: int) -> None:
        """Calls `on_reading` with each reading of these positions, or of all, until the program is to stop."""
        for reading in self.readings(*indexes):
            on_reading(reading)

    @property
    def dropped(self) -> int:
        """How many readings were dropped because an iterator's queue was full."""
        return self._feed.dropped

    @property
    def malformed(self) -> int:
        """How many readings were passed over because they are not what their sensor's type says."""
        return self._feed.malformed

    @property
    def repeated(self) -> int:
        """How many readings were passed over because a driver had sent them before."""
        return self._feed.repeated

    # Control

    def call(
        self,
        index_or_sensor_id: Union[int, str],
        function: str,
        positional: Mapping[str, Any] = _NO_PARAMS,
        /,
        *,
        timeout: float = _CALL_SECONDS,
        **params: Any,
    ) -> ControlReply:
        """Calls a control function and waits for the driver's reply: `platform.call(0, "set_light", on=True)`.

        A position means its first sensor. A parameter that is itself called `timeout` goes into a dictionary:
        `platform.call(0, "arm", {"timeout": 5})`. The `timeout` is in seconds and holds for everything, from waiting
        for the binding on.

        Raises `ControlRefused`, `ControlFailed`, `ControlTimeout` or `ControlUndelivered`, all of them `ControlError`;
        `LookupError` for a sensor that is not bound; `BindingTimeout` if there is no binding yet.
        """
        deadline = clock.monotonic() + timeout
        sensor = self.wait_for_binding(timeout).sensor(index_or_sensor_id)
        return self._calls.perform(sensor, function, {**positional, **params}, max(0.0, deadline - clock.monotonic()))

    def send(
        self,
        index_or_sensor_id: Union[int, str],
        function: str,
        positional: Mapping[str, Any] = _NO_PARAMS,
        /,
        *,
        timeout: float = _CALL_SECONDS,
        **params: Any,
    ) -> None:
        """Like `call`, but does not wait for the reply; whether the call was carried out stays unknown.

        The driver does not get it later than about `timeout` seconds from now.
        """
        sensor = self.wait_for_binding(timeout).sensor(index_or_sensor_id)
        self._calls.send(sensor, function, {**positional, **params}, timeout)

    # Commands

    def popen(
        self,
        node: str,
        args: Sequence[str],
        *,
        environment: Optional[Mapping[str, str]] = None,
        name: Optional[str] = None,
        input: bool = False,
        timeout: float = _CALL_SECONDS,
    ) -> Command:
        """Runs a command on a node, once, and returns when it has a process: `platform.popen("pi-kitchen", ["ls", "-l"])`.

        What comes back is like `subprocess.Popen`: `for line in command.stdout`, `command.wait()`, `command.kill()`.
        With `input` its standard input is what `command.write` sends, else it has none. `environment` has variables
        besides those that every command has; `name` stands at the beginning of its id. It goes on when this program
        ends, and is stopped when the algorithm instance is stopped for good.

        Raises `CommandError` if it cannot be started: the deployment needs `"commands": true`, and the node's agent
        the setting `agent.commands`.
        """
        if self._closed:
            raise PlatformClosed("the platform is closed")
        return self._commands.start(node, args, environment, name, input, timeout)

    # Readings of its own

    def publish(
        self, index_or_sensor_id: Union[int, str], values: Mapping[str, Any], *, time: Time = None
    ) -> None:
        """Publishes a reading of a virtual sensor: `platform.publish(0, {"comfort": 0.7})`.

        The position is that in the app's `output_sensors`. `values` has fields of the sensor's type, not all of which
        need be there. `time` is when it was, by default now: a `datetime` with a time zone, seconds since 1970 as a
        float, or microseconds since 1970 as a whole number, as `reading.t` has it.

        The reading is numbered and kept, in the folder SENSORHUB_STATE if the environment names one, before this
        returns; then it is sent until the hub has stored it, whatever dies on the way. It does not wait for the broker,
        but for the first binding if there is none yet.

        Raises `InvalidReading` for what does not fit the type; `LookupError` for an output that there is not, or that
        has no sensor now; `OutputTaken` if somebody else publishes it; `BindingTimeout` if no binding comes.
        """
        binding = self.wait_for_binding()
        self._outputs.publish(binding, binding.output(index_or_sensor_id), values, time)

    @property
    def uncommitted(self) -> int:
        """How many published readings are not in the database yet, as far as the hub has told."""
        return self._outputs.uncommitted

    # Page

    def publish_page(self, content: Any) -> bool:
        """Publishes what the app's page is to show: anything that JSON can say. Does not wait.

        Through an outage up to 1000 messages are kept and sent later. Returns False if this one had to be dropped
        because so many wait already.
        """
        payload = json.dumps(content, allow_nan=False).encode()
        if self._closed:
            raise PlatformClosed("the platform is closed")
        return self._connection.publish(self._settings.page_topic, payload)

    # What comes from the broker, in the network thread

    def _received(self, topic: str, payload: bytes, retained: bool) -> None:
        if topic == self._settings.binding_topic:
            self._binding_received(payload)
        elif topic in self._outputs.committed_topics:
            self._outputs.committed(topic, payload)
        elif topic == self._settings.hub_status_topic:
            self._outputs.hub_status(payload, retained)
        elif topic in self._reply_topics:
            self._calls.replied(topic, payload)
        elif self._commands.received(topic, payload):
            pass
        else:
            self._feed.received(topic, payload)

    def _linked(self, is_connected: bool) -> None:
        self._outputs.linked(is_connected)
        self._commands.linked(is_connected)

    def _published(self, number: int, refusal: Optional[str], is_heard: bool) -> None:
        self._outputs.published(number, refusal)
        self._commands.published(number, refusal, is_heard)
        if refusal is not None or not is_heard:
            self._calls.undelivered(number, refusal or "no driver listens")

    def _binding_received(self, payload: bytes) -> None:
        binding: Optional[Binding] = None
        if payload:
            try:
                binding = Binding.parse(payload)
            except ValueError as error:
                _log.warning("the binding stays as it is: %s", error)
                return
        with self._changed:
            # A broker that lost its latest state may come back with an older document; after a reconnect the same
            # one comes again.
            if binding is not None and self._binding is not None and binding.version <= self._binding.version:
                return
            self._binding = binding
            sensors = binding.sensors if binding is not None else ()
            replies = frozenset(sensor.reply_topic for sensor in sensors if sensor.reply_topic is not None)
            self._connection.subscriptions.remove(self._reply_topics - replies)
            self._reply_topics = replies
            self._feed.adopt(binding)
            if binding is not None:
                self._outputs.adopt(binding)
                self._callbacks.binding_changed(binding)
            self._changed.notify_all()

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise PlatformClosed("the platform is closed")
