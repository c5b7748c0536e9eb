"""A whole hub of the test's own: `sensorhub up` in a folder of its own, and the ways to talk to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Iterable, Optional, TypeVar

import psycopg
from psycopg.rows import dict_row

from mqtt import Peer

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = CHECKOUT / "Examples"
BUILD = Path(os.environ.get("SENSORHUB_TEST_BUILD") or CHECKOUT / ".build" / "debug").resolve()
SENSORHUB = BUILD / "sensorhub"

Value = TypeVar("Value")


def wait_until(
    predicate: Callable[[], Optional[Value]], timeout: float = 60, what: str = "",
    retry_on: tuple[type[Exception], ...] = (),
) -> Value:
    """Polls until `predicate` gives something true, and returns that."""
    deadline = time.monotonic() + timeout
    last: Any = None
    while True:
        try:
            value = predicate()
            if value:
                return value
            last = value
        except retry_on as error:
            last = error
        assert time.monotonic() < deadline, f"not within {timeout} s: {what or predicate}; at last {last!r}"
        time.sleep(0.05)


def temporary_folder() -> Path:
    """Short, since the path of a Unix socket has a limit; for root also open to the accounts of broker and database."""
    folder = Path(tempfile.mkdtemp(prefix="sh-", dir="/tmp"))
    if os.geteuid() == 0:
        folder.chmod(0o755)
    return folder


def environment(**variables: str) -> dict[str, str]:
    """Ours, without what would lead a hub of the tests to somebody else's files."""
    result = {name: value for name, value in os.environ.items() if not name.startswith(("SENSORHUB_", "PG"))}
    # A place where nobody has a configuration file.
    result["XDG_CONFIG_HOME"] = "/nonexistent"
    if CHECKOUT not in BUILD.parents:
        result["SENSORHUB_SHARE"] = str(CHECKOUT)
    return {**result, **variables}


def watches_of(folder: Path) -> dict[str, int]:
    """The processes that watch programs whose folders are in `folder`, by the program, `driver-…` or `algorithm-…`."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().decode().split("\0")
        except (OSError, UnicodeDecodeError):
            continue
        if command[0].endswith("sensorhub-watch") and command[1].startswith(f"{folder}/"):
            found[Path(command[1]).parent.name] = int(entry.name)
    return found


def processes_of(folder: Path) -> dict[int, str]:
    """The processes that have `folder` in command line, environment or working directory, with their command lines."""
    needle = str(folder).encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        parts = []
        for name in ("cmdline", "environ", "cwd"):
            try:
                path = entry / name
                parts.append(os.readlink(path).encode() if name == "cwd" else path.read_bytes())
            except OSError:
                # It has ended, or is another user's.
                pass
        if any(needle + end in part + b"\0" for part in parts for end in (b"/", b"\0", b" ")):
            found[int(entry.name)] = parts[0].replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def parent_of(pid: int) -> int:
    """0 where it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def end_processes(pids: Iterable[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Hub:
    """`sensorhub up` on a fresh folder. To be followed by `destroy`."""

    def __init__(self, folder: Optional[Path] = None) -> None:
        self.data = folder or temporary_folder()
        self.connection: dict[str, Any] = {}
        # Of subprocess.Popen: user, group, extra_groups; ours where it is empty.
        self.account: dict[str, Any] = {}
        self.output = Path(f"{self.data}.out")
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._owner: Optional[Peer] = None

    # Start and end

    def start(self, *options: str) -> Hub:
        """Returns when the banner is there."""
        self.launch(*options)
        return self.wait_until_up()

    def wait_until_up(self) -> Hub:
        """After `launch`: returns when the banner is there."""
        wait_until(self._is_up, 120, "the banner of sensorhub up")
        self.connection = json.loads((self.data / "connection.json").read_text())
        return self

    def launch(self, *options: str) -> None:
        """Starts it and does not wait. Whom it runs as is in `account`."""
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [SENSORHUB, "up", "--data", str(self.data), *options], stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, env=environment(), cwd="/", start_new_session=True, **self.account)

    def _is_up(self) -> bool:
        assert self._process is not None
        text = self.output.read_text()
        assert self._process.poll() is None, f"sensorhub up has ended with {self._process.returncode}: {text}"
        return "is up; Ctrl-C stops it" in text and (self.data / "connection.json").exists()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Asks it to end, and returns its exit code."""
        self.close()
        assert self._process is not None
        self._process.send_signal(number)
        return self.wait(90)

    def wait(self, seconds: float) -> int:
        """Waits for its end, and returns its exit code."""
        assert self._process is not None
        return self._process.wait(seconds)

    def kill9(self) -> None:
        """Kills `sensorhub up` itself; what it has started lives on."""
        self.close()
        assert self._process is not None
        self._process.kill()
        self._process.wait(60)

    def destroy(self) -> dict[int, str]:
        """Ends everything and removes the folder.

        Returns the processes that were left, which is a fault of the hub unless it was killed.
        """
        try:
            if self._process is not None and self._process.poll() is None:
                self.stop()
        except subprocess.TimeoutExpired:
            pass
        finally:
            left = processes_of(self.data)
            end_processes(left)
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
                self._process.wait(60)
            wait_until(lambda: not processes_of(self.data), what=f"the end of {left}")
            shutil.rmtree(self.data)
            self.output.unlink(missing_ok=True)
        return left

    # Parts

    def part(self, name: str) -> int:
        """The process id of hub, agent, mosquitto or postgres."""
        mark = {
            "hub": f"hub --config {self.data}/hub.json", "agent": f"agent --config {self.data}/agent.json",
            "mosquitto": f"-c {self.data}/broker/mosquitto.conf", "postgres": f"-D {self.data}/postgres",
        }[name]
        pids = {pid for pid, command in processes_of(self.data).items() if command.endswith(mark)}
        # What it has just made has its command line until it has one of its own.
        pids -= {pid for pid in pids if parent_of(pid) in pids}
        assert len(pids) == 1, f"{name} runs {len(pids)} times: {pids}"
        return pids.pop()

    def replace(self, part: str) -> None:
        """Kills hub or agent, and returns when the successor works: the hub answers, and knows of its agent."""
        pid, before = self.part(part), self._node_since()
        os.kill(pid, signal.SIGKILL)
        self.close()
        wait_until(lambda: self.part(part) != pid, what=f"a new {part}", retry_on=(AssertionError,))
        wait_until(lambda: self._node_since(2) > before, what="hub and node", retry_on=(Exception,))

    def _node_since(self, timeout: float = 60) -> int:
        """Since when this machine's node is online, in microseconds; 0 while it is not."""
        nodes = self.request("nodes", "list", timeout=timeout)["nodes"]
        return next((node["since"] for node in nodes if (node["node"], node["status"]) == (self.node, "online")), 0)

    @property
    def logs(self) -> str:
        """The end of what its parts have to say, for a failed test."""
        texts = [f"--- {self.output}\n{self.output.read_text()[-4_000:]}"] if self.output.exists() else []
        for file in sorted((self.data / "log").glob("*.log")):
            texts.append(f"--- {file.name}\n{file.read_text(errors='replace')[-4_000:]}")
        return "\n".join(texts)

    # The command line

    def run(self, *arguments: Any, data: Optional[Path] = None, **options: Any) -> subprocess.CompletedProcess[str]:
        return run(*with_options(arguments, "--data", data or self.data), **options)

    def cli(self, *arguments: Any, expect: int = 0, **options: Any) -> str:
        """Runs a command and returns what it prints as its result."""
        result = self.run(*arguments, **options)
        told = f"{arguments}: exit code {result.returncode}\n{result.stdout}{result.stderr}"
        assert result.returncode == expect, told
        return result.stdout

    def json(self, *arguments: Any, expect: int = 0, **options: Any) -> Any:
        """Runs a command with --json and returns its result."""
        return json.loads(self.cli(*with_options(arguments, "--json"), expect=expect, **options))

    def refusal(self, *arguments: Any, **options: Any) -> str:
        """Runs a command that must fail, and returns what it says about that."""
        result = self.run(*arguments, **options)
        assert result.returncode == 1, f"{arguments}: exit code {result.returncode}\n{result.stdout}{result.stderr}"
        assert result.stderr.strip(), f"{arguments} failed without a word"
        return result.stderr

    # The broker

    @property
    def broker(self) -> tuple[str, int]:
        """For `Peer`."""
        if self.connection["broker"].startswith("unix://"):
            return self.connection["broker"].removeprefix("unix://"), 1883
        host, port = self.connection["broker"].removeprefix("mqtt://").rsplit(":", 1)
        return host, int(port)

    @property
    def root(self) -> str:
        return f"sensorhub/{self.connection['hub']}"

    def topic(self, rest: str) -> str:
        return f"{self.root}/{rest}"

    def peer(self, user: Optional[str] = None, password: Optional[str] = None, **options: Any) -> Peer:
        return Peer(self.broker, user, password, **options)

    def as_owner(self, **options: Any) -> Peer:
        return self.peer(self.connection["user"], self.connection["password"], **options)

    def as_hub(self) -> Peer:
        return self.peer("hub.main", json.loads((self.data / "hub.json").read_text())["broker"]["password"])

    def as_node(self) -> Peer:
        settings = json.loads((self.data / "agent.json").read_text())
        return self.peer(f"node.{settings['node']['id']}", settings["broker"]["password"])

    def as_program(self, id: str) -> Peer:
        """With the password that a driver or an algorithm has in its environment."""
        variables = self.environment_of(id)
        return self.peer(variables["SENSORHUB_USER"], variables["SENSORHUB_PASSWORD"])

    def as_device(self, sensor: str) -> Peer:
        """As a sensor without a driver."""
        credentials = self.rpc("sensors", "credentials", name=sensor, rotate=True)
        return self.peer(credentials["user"], credentials["password"])

    @property
    def node(self) -> str:
        return str(json.loads((self.data / "agent.json").read_text())["node"]["id"])

    @property
    def owner(self) -> Peer:
        if self._owner is None or not self._owner.is_connected:
            self.close()
            self._owner = self.as_owner()
            self._owner.subscribe(self._reply_topic)
        return self._owner

    def close(self) -> None:
        """Ends the connection of `request`."""
        if self._owner is not None:
            self._owner.close()
            self._owner = None

    def request(self, service: str, method: str, timeout: float = 60, **parameters: Any) -> dict[str, Any]:
        """The hub's reply, whatever its status."""
        return self.owner.request(self.topic(f"rpc/{service}/{method}"), parameters, self._reply_topic, timeout)

    @property
    def _reply_topic(self) -> str:
        return self.topic(f"clients/{self.connection['user']}/tests")

    def rpc(self, service: str, method: str, **parameters: Any) -> dict[str, Any]:
        reply = self.request(service, method, **parameters)
        assert reply["status"] == 200, f"{service}/{method}: {reply}"
        return reply

    # The database

    def sql(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        # The text is fixed here: '%' is for parameters only where there are some.
        with psycopg.connect(self.connection["database"], autocommit=True, row_factory=dict_row) as connection:
            return connection.execute(query, parameters or None).fetchall()

    def sql_script(self, statements: str) -> None:
        with psycopg.connect(self.connection["database"], autocommit=True) as connection:
            connection.execute(statements)

    def value(self, query: str, *parameters: Any) -> Any:
        return next(iter(self.sql(query, *parameters)[0].values()))

    # Programs

    def program(self, id: str) -> dict[str, Any]:
        programs = self.rpc("programs", "list")["programs"]
        return next((program for program in programs if program["id"] == id), {})

    def wait_until_running(self, *ids: str, timeout: float = 240) -> None:
        """The first algorithm in Python on a hub has an environment made, which takes a minute on a busy machine."""
        for id in ids:
            wait_until(lambda: self.program(id).get("state") == "RUNNING", timeout, f"{id} is RUNNING")

    def environment_of(self, id: str) -> dict[str, str]:
        """The environment of a running driver or algorithm."""
        pid = wait_until(lambda: self.program(id).get("pid"), what=f"a process of {id}")
        entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
        return dict(entry.split("=", 1) for entry in entries if entry)

    def count(self, sensor: str) -> int:
        """How many readings of a sensor are stored."""
        table = self.value(
            "SELECT t.table_name FROM hub.sensor s JOIN hub.sensor_type t ON t.id = s.type_id "
            "WHERE s.name = %s AND s.removed_at IS NULL", sensor)
        return int(self.value(f'SELECT count(*) FROM report."{table}" WHERE sensor = %s', sensor))

    def wait_for_more_readings(self, *sensors: str, number: int = 3, timeout: float = 60) -> None:
        """Returns when each of `sensors` has `number` more readings in the database than now."""
        before = {sensor: self.count(sensor) for sensor in sensors}
        for sensor in sensors:
            wait_until(
                lambda: self.count(sensor) >= before[sensor] + number, timeout, f"{number} more readings of {sensor}")


def with_options(arguments: tuple[Any, ...], *options: Any) -> tuple[Any, ...]:
    """A command line with more options: what comes after "--" is none."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return (*arguments[:end], *options, *arguments[end:])


def run(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs `sensorhub` to its end."""
    options = {"timeout": 180, "env": environment(), "cwd": "/", **options}
    return subprocess.run(
        [SENSORHUB, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
