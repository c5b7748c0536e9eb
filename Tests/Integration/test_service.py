"""Hub and agent as services, with a broker and a database that somebody else runs."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any, Iterator, Optional

import psycopg
import pytest

from hub import CHECKOUT, SENSORHUB, Hub, end_processes, environment, processes_of, run, temporary_folder, wait_until
from mqtt import Refused
from samples import PROBE_TYPE, deploy_sleeper, probe, write


CONNECTED = "connected to the broker"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def account(name: str) -> dict[str, Any]:
    """For subprocess: a service's own account where we are root, else ours."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class Services:
    """PostgreSQL and mosquitto, and whatever else a test starts; all under one folder."""

    def __init__(self) -> None:
        self.folder = temporary_folder()
        self.port = free_port()
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self, name: str, *command: Any, env: Optional[dict[str, str]] = None, **options: Any,
    ) -> subprocess.Popen[bytes]:
        with self.log(name).open("ab") as log:
            self._started[name] = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env or environment(),
                cwd="/", start_new_session=True, **options)
        return self._started[name]

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def stop(self, name: str, number: int = signal.SIGTERM) -> int:
        process = self._started.pop(name)
        process.send_signal(number)
        return process.wait(60)

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
            pytest.skip("PostgreSQL is not where Debian has it")
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
            "address": f"mqtt://127.0.0.1:{self.port}", "password": "the hub's own password",
            "passwordFile": str(folder / "passwords"), "aclFile": str(folder / "acl"),
            "pidFile": str(folder / "mosquitto.pid"),
        }

    def start_mosquitto(self) -> None:
        """With the project's own configuration, other paths put in."""
        folder = self.own_folder("broker", "mosquitto")
        settings = self.broker_settings
        values = {
            "listener": f"{self.port} 127.0.0.1", "password_file": settings["passwordFile"],
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
            "broker": {"address": f"mqtt://127.0.0.1:{self.port}", "password": "x"},
            "database": self.database.replace("dbname=sensorhub", "dbname=another"),
        }

    def start_hub(self) -> None:
        before = self.log("hub").read_text().count(CONNECTED) if self.log("hub").exists() else 0
        process = self.start("hub", SENSORHUB, "hub", "--config", self.settings)

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


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    services = Services()
    try:
        services.start_postgres()
        services.start_mosquitto()
        yield services
    finally:
        services.destroy()


@pytest.fixture(scope="module")
def person(services: Services) -> Iterator[ServiceHub]:
    """A person at a hub with one agent."""
    services.start_hub()
    file = services.enroll("node", "workshop", "agent.json")
    services.start("agent", SENSORHUB, "agent", "--config", file, "--data", services.folder / "agent")
    connection = services.enroll("person", "ann", "connection.json")
    hub = ServiceHub(connection.parent, services.database)
    wait_until(lambda: "node workshop" in hub.run("doctor").stdout, what="the agent is there")
    yield hub
    hub.close()


def register(person: ServiceHub, folder: Path, sensor: dict[str, Any]) -> None:
    person.cli("types", "register", write(folder / "types.json", PROBE_TYPE))
    person.cli("sensors", "register", write(folder / "sensors.json", [sensor]))


def test_a_person_and_a_node_are_enrolled_and_everything_works(person: ServiceHub, tmp_path: Path) -> None:
    assert person.connection["user"] == "user.ann"
    assert person.run("doctor").returncode == 0
    register(person, tmp_path, probe("service-1", site="service", node="workshop"))
    instance = deploy_sleeper(person, tmp_path, "service", {"site": "service"})
    person.wait_for_more_readings("service-1")
    person.cli("control", "service-1", "shut")
    assert person.program(instance)["node"] == "workshop"
    person.cli("stop", instance)


def test_enrolling_again_makes_a_new_password(person: ServiceHub, services: Services) -> None:
    first, second = (json.loads(services.enroll("person", "bob", "connection.json").read_text()) for _ in range(2))
    assert second["password"] != first["password"]
    person.peer(second["user"], second["password"]).close()
    with pytest.raises(Refused):
        person.peer(first["user"], first["password"])


@pytest.mark.parametrize("id", ["a.b", "../x", "", "a b"])
def test_an_id_that_is_none_is_not_enrolled(services: Services, id: str) -> None:
    result = run("enroll", "person", id, "--config", services.settings)
    assert result.returncode == 64 and "is no id: 1 to 64 letters" in result.stderr


def test_programs_outlive_an_absence_of_the_hub(person: ServiceHub, services: Services, tmp_path: Path) -> None:
    register(person, tmp_path, probe("absence-1", interval=0.05))
    person.wait_for_more_readings("absence-1")
    pid, before = person.program("absence-1")["pid"], person.count("absence-1")
    services.stop("hub")
    os.kill(pid, 0)
    services.start_hub()
    wait_until(lambda: person.count("absence-1") > before + 20, what="the readings of the absence")
    assert person.program("absence-1")["pid"] == pid
    row = person.sql("SELECT count(*) AS count, max(seq) AS last FROM report.probe WHERE sensor = 'absence-1'")[0]
    assert row["count"] == row["last"]


def test_a_second_hub_stands_by_and_takes_over(person: ServiceHub, services: Services) -> None:
    services.start("standby", SENSORHUB, "hub", "--config", services.settings)
    services.wait_for_line("standby", "another hub leads; standing by")
    assert CONNECTED not in services.log("standby").read_text()
    services.stop("hub", signal.SIGKILL)
    services.wait_for_line("standby", CONNECTED)
    wait_until(
        lambda: person.request("hub", "status", timeout=2)["status"] == 200, what="an answer",
        retry_on=(AssertionError,))
    assert services.stop("standby") == 0
    services.start_hub()


def test_two_agents_on_one_folder_are_one_too_many(person: ServiceHub, services: Services) -> None:
    file = services.folder / "node-workshop" / "agent.json"
    result = run("agent", "--config", file, "--data", services.folder / "agent", timeout=20)
    assert result.returncode == 1 and "another agent uses the data folder" in result.stderr


# Settings


@pytest.mark.parametrize("variables, options, expected", [
    ({}, [], "from-file"),
    ({"SENSORHUB_HUB_ID": "from-environment"}, [], "from-environment"),
    ({"SENSORHUB_HUB_ID": "from-environment"}, ["--id", "from-option"], "from-option"),
], ids=["file", "environment", "option"])
def test_options_are_stronger_than_variables_and_these_than_the_file(
    services: Services, variables: dict[str, str], options: list[str], expected: str,
) -> None:
    file = services.write_settings(expected, services.other_settings | {"hub": {"id": "from-file"}})
    services.start(expected, SENSORHUB, "hub", "--config", file, *options, env=environment(**variables))
    services.wait_for_line(expected, f"hub {expected} is up")
    assert services.stop(expected) == 0


def test_everything_can_come_from_the_environment(services: Services) -> None:
    folder = services.own_folder("access", "mosquitto")
    services.start("variables", SENSORHUB, "hub", env=environment(
        SENSORHUB_HUB_ID="variables", SENSORHUB_DATABASE=services.other_settings["database"],
        SENSORHUB_BROKER_ADDRESS=services.other_settings["broker"]["address"], SENSORHUB_BROKER_PASSWORD="x",
        SENSORHUB_BROKER_PASSWORD_FILE=str(folder / "passwords"), SENSORHUB_BROKER_ACL_FILE=str(folder / "acl")))
    services.wait_for_line("variables", "hub variables is up")
    assert "hub.variables:$7$" in (folder / "passwords").read_text()
    assert "user hub.variables\ntopic readwrite sensorhub/variables/#\n" in (folder / "acl").read_text()
    assert services.stop("variables") == 0


@pytest.mark.parametrize("change, expected", [
    ({"database": ""}, ["'database' is not set", "SENSORHUB_DATABASE"]),
    ({"broker": {}}, ["'broker.address' is not set", "SENSORHUB_BROKER_ADDRESS"]),
    ({"broker": {"address": "mqtt://127.0.0.1:1"}}, ["'broker.password' is not set", "SENSORHUB_BROKER_PASSWORD"]),
    ({"broker": {"address": "http://x", "password": "x"}}, ["'broker.address' is 'http://x'", "mqtt://"]),
    ({"hub": {"id": "two words"}}, ["'hub.id' is 'two words'", "is no id"]),
    ({"broker": {"address": "mqtt://127.0.0.1:1", "password": "x", "aclFile": "/x"}}, ["belong together"]),
    ({"database": "host=FOLDER/postgres dbname=absent user=sensorhub"}, ['database "absent" does not exist']),
])
def test_a_wrong_setting_is_named(services: Services, change: dict[str, Any], expected: list[str]) -> None:
    change = json.loads(json.dumps(change).replace("FOLDER", str(services.folder)))
    result = run("hub", "--config", services.write_settings("wrong", services.other_settings | change), timeout=20)
    assert result.returncode == 1
    for text in expected:
        assert text in result.stderr


@pytest.mark.parametrize("option, value, expected", [
    ("--broker", "mqtt://127.0.0.1:1", "no connection to the broker"),
    ("--database", "host=/nonexistent", "waiting for the database"),
])
def test_a_hub_says_what_it_waits_for_and_can_be_stopped(
    services: Services, option: str, value: str, expected: str,
) -> None:
    name = f"early{option}"
    file = services.write_settings(name, services.other_settings)
    services.start(name, SENSORHUB, "hub", "--config", file, "--id", "early", option, value)
    services.wait_for_line(name, expected)
    assert services.stop(name) == 0
