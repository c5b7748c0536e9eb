"""A hub as a service: a broker and a database that somebody else runs, and whatever else is started with them."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Callable, Optional

import psycopg

from hub import CHECKOUT, SENSORHUB, Hub, end_processes, environment, processes_of, run, temporary_folder, wait_until
from ports import free_port
from samples import write

CONNECTED = "connected to the broker"


class MissingPostgres(Exception):
    pass


def account(name: str) -> dict[str, Any]:
    """For subprocess: a service's own account where we are root, else ours."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def algorithms_account() -> pwd.struct_passwd:
    """Whom a root's agent runs algorithms as."""
    try:
        return pwd.getpwnam("sensorhub")
    except KeyError:
        return pwd.getpwnam("nobody")


class Services:
    """PostgreSQL and mosquitto, and whatever else a test starts; all under one folder."""

    def __init__(self, over_socket: bool = False) -> None:
        """With `over_socket` the broker listens at its Unix socket alone, and everybody reaches it there."""
        self.folder = temporary_folder()
        self.port = free_port()
        self.socket = self.folder / "mqtt" / "mqtt.sock"
        self.address = f"unix://{self.socket}" if over_socket else f"mqtt://127.0.0.1:{self.port}"
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, Callable[[], subprocess.Popen[bytes]]] = {}

    def start(
        self, name: str, *command: Any, env: Optional[dict[str, str]] = None, **options: Any,
    ) -> subprocess.Popen[bytes]:
        def start() -> subprocess.Popen[bytes]:
            with self.log(name).open("ab") as log:
                return subprocess.Popen(
                    list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env or environment(),
                    cwd="/", start_new_session=True, **options)

        self._commands[name] = start
        self._started[name] = start()
        return self._started[name]

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def stop(self, name: str, number: int = signal.SIGTERM) -> int:
        process = self._started.pop(name)
        process.send_signal(number)
        return process.wait(60)

    def restart(self, name: str, number: int = signal.SIGTERM) -> None:
        """Ends it by a signal, and starts it as it was."""
        self.stop(name, number)
        self.start_again(name)

    def start_again(self, name: str) -> None:
        self._started[name] = self._commands[name]()

    def own_folder(self, name: str, owner: str) -> Path:
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(folder, owner, owner)
        return folder

    # Database

    @property
    def database(self) -> str:
        return f"host={self.folder}/postgres dbname=sensorhub user=sensorhub"

    def start_postgres(self) -> None:
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        if not programs:
            raise MissingPostgres("PostgreSQL is not where Debian has it")
        folder = self.own_folder("postgres", "postgres")
        data = folder / "data"
        subprocess.run(
            [programs[-1] / "initdb", "-D", data, "-U", "postgres", "--auth", "trust", "--no-sync"], check=True,
            capture_output=True, cwd="/", **account("postgres"))
        self.start(
            "postgres", programs[-1] / "postgres", "-D", data, "-c", "listen_addresses=", "-c",
            f"unix_socket_directories={folder}", "-c", "unix_socket_permissions=0700", "-c", "fsync=off",
            **account("postgres"))

        def connect() -> psycopg.Connection[Any]:
            return psycopg.connect(f"host={folder} dbname=postgres user=postgres", autocommit=True)

        with wait_until(connect, what="PostgreSQL", retry_on=(psycopg.OperationalError,)) as server:
            server.execute("CREATE ROLE sensorhub LOGIN")
            server.execute("CREATE ROLE sensorhub_report LOGIN")
            server.execute("CREATE DATABASE sensorhub OWNER sensorhub")
            # For hubs that must not meddle with the one above.
            server.execute("CREATE DATABASE another OWNER sensorhub")

    # Broker

    @property
    def broker_settings(self) -> dict[str, Any]:
        folder = self.folder / "broker"
        return {
            "address": self.address, "password": "the hub's own password",
            "passwordFile": str(folder / "passwords"), "aclFile": str(folder / "acl"),
            "pidFile": str(folder / "mosquitto.pid"),
        }

    def start_mosquitto(self) -> None:
        """With the project's own configuration, other paths put in."""
        folder = self.own_folder("broker", "mosquitto")
        sockets = self.own_folder("mqtt", "mosquitto")
        if os.geteuid() == 0:
            # As docs/running.md has it: the socket takes its group from the folder.
            os.chown(sockets, -1, algorithms_account().pw_gid)
            sockets.chmod(0o2750)
        settings = self.broker_settings
        listeners = [f"0 {self.socket}"]
        if self.address.startswith("mqtt:"):
            listeners.append(f"{self.port} 127.0.0.1")
        values = {
            "listener": "\nlistener ".join(listeners), "password_file": settings["passwordFile"],
            "acl_file": settings["aclFile"], "pid_file": settings["pidFile"], "persistence_location": f"{folder}/",
            "log_dest": "stderr",
        }
        if os.geteuid() != 0:
            values["user"] = pwd.getpwuid(os.geteuid()).pw_name
        lines = []
        for line in (CHECKOUT / "mosquitto.conf").read_text().splitlines():
            key = line.split(" ")[0]
            lines.append(f"{key} {values[key]}" if key in values else line)
        write(folder / "mosquitto.conf", "\n".join(lines) + "\n")
        # The hub fills them when it starts.
        for name in ("passwordFile", "aclFile"):
            Path(settings[name]).touch(mode=0o600)
        if os.geteuid() == 0:
            for file in folder.iterdir():
                shutil.chown(file, "mosquitto", "mosquitto")
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        self.start("mosquitto", program, "-c", folder / "mosquitto.conf")
        wait_until(lambda: Path(settings["pidFile"]).exists(), what="mosquitto")

    # Hub

    @property
    def settings(self) -> Path:
        """Of the hub that has broker and database for itself."""
        return self.write_settings("hub", {"broker": self.broker_settings, "database": self.database})

    def write_settings(self, name: str, settings: dict[str, Any]) -> Path:
        file = write(self.folder / f"{name}.json", settings)
        file.chmod(0o600)
        return file

    @property
    def other_settings(self) -> dict[str, Any]:
        """Of one that only tells what it understood: the broker does not know it."""
        return {
            "broker": {"address": self.address, "password": "x"},
            "database": self.database.replace("dbname=sensorhub", "dbname=another"),
        }

    def start_hub(self, **settings: Any) -> None:
        """With the `settings` besides broker and database."""
        file = self.write_settings("hub", {"broker": self.broker_settings, "database": self.database, **settings})
        before = self.log("hub").read_text().count(CONNECTED) if self.log("hub").exists() else 0
        process = self.start("hub", SENSORHUB, "hub", "--config", file)

        def is_up() -> bool:
            assert process.poll() is None, self.log("hub").read_text()
            return self.log("hub").read_text().count(CONNECTED) > before

        wait_until(is_up, what="the hub is up")

    def wait_for_line(self, name: str, text: str) -> None:
        """Returns when a program that must not end has written `text`."""

        def has_written() -> bool:
            assert self._started[name].poll() is None, self.log(name).read_text()
            return text in self.log(name).read_text()

        wait_until(has_written, what=f"'{text}' of {name}")

    def enroll(self, kind: str, id: str, file: str) -> Path:
        """The file that the new one needs, in a folder of its own."""
        result = run("enroll", kind, id, "--config", self.settings)
        assert result.returncode == 0, result.stderr
        folder = self.folder / f"{kind}-{id}"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = write(folder / file, result.stdout)
        path.chmod(0o600)
        return path

    def start_agent(self, id: str) -> None:
        self.start(
            "agent", SENSORHUB, "agent", "--config", self.enroll("node", id, "agent.json"), "--data",
            self.folder / "agent")

    def person(self, id: str) -> ServiceHub:
        return ServiceHub(self.enroll("person", id, "connection.json").parent, self.database)

    def person_at(self, node: str) -> ServiceHub:
        """A person, and an agent that is there for him."""
        self.start_agent(node)
        person = self.person("ann")
        wait_until(lambda: f"node {node}" in person.run("doctor").stdout, what="the agent is there")
        return person

    def destroy(self) -> None:
        for name in reversed(list(self._started)):
            self.stop(name, signal.SIGINT if name == "postgres" else signal.SIGTERM)
        left = processes_of(self.folder)
        end_processes(left)
        wait_until(lambda: not processes_of(self.folder), what=f"the end of {left}")
        shutil.rmtree(self.folder)
        assert not left, left


class ServiceHub(Hub):
    """Reaches a hub that runs as a service as a person would."""

    def __init__(self, folder: Path, database: str) -> None:
        super().__init__(folder)
        self.connection = json.loads((folder / "connection.json").read_text()) | {"database": database}

    @property
    def logs(self) -> str:
        files = sorted(self.data.parent.glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-4_000:]}" for file in files)
