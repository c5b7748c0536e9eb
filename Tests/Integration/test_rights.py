"""Who may do what at the broker, as the table in docs/topics.md has it, tried with everybody's own password."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

import psycopg
import pytest

from hub import Hub, wait_until
from mqtt import NOT_AUTHORIZED, Disconnected, Peer, Refused
from samples import READING, deploy_sleeper, probe, register, write


@dataclass(frozen=True)
class Place:
    """Two devices, an algorithm that is bound to the first one, and a driver."""

    hub: Hub
    instance: str
    node: str

    @property
    def topics(self) -> set[str]:
        """One of every kind, of ours and of others."""
        sensors = {
            f"sensors/{sensor}/{leaf}" for sensor in ("right-1", "right-2", "right-driver")
            for leaf in ("data", "control", "control/reply", "status", "committed", "log", "events")
        }
        algorithms = {
            f"algorithms/{instance}/{leaf}" for instance in (self.instance, "others-main-1")
            for leaf in ("binding", "log", "events")
        }
        nodes = {
            f"nodes/{node}/{leaf}" for node in (self.node, "elsewhere")
            for leaf in ("status", "report", "statistics", "command", "archive/x")
        }
        return sensors | algorithms | nodes | {
            "status", "apps/rights/page", "apps/others/page", "rpc/hub/status", "rpc/sensors/remove", "events/test",
            "clients/user.owner/x", "clients/right-1/x", f"clients/algorithm.{self.instance}/x",
            f"clients/node.{self.node}/x", "clients/others/x", "something/else",
        }


@pytest.fixture(scope="module")
def place(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    register(
        hub, probe("right-1", driver=False, site="rights"), probe("right-2", driver=False, site="elsewhere"),
        probe("right-driver", interval=1))
    instance = deploy_sleeper(hub, tmp_path_factory.mktemp("rights"), "rights", {"site": "rights"})
    hub.wait_until_running("right-driver")
    yield Place(hub, instance, hub.node)
    hub.cli("stop", instance)


class Kind:
    """A user, and all that it may write and read, without the root."""

    def __init__(self, name: str, connect: Callable[[Place], Peer], write: set[str], read: set[str]) -> None:
        self.name, self.connect, self._write, self._read = name, connect, write, read

    def writes(self, place: Place) -> set[str]:
        return {self._filled(topic, place) for topic in self._write}

    def reads(self, place: Place) -> set[str]:
        patterns = [
            re.escape(self._filled(topic, place)).replace(r"\+", "[^/]+").replace(r"\#", ".*") for topic in self._read]
        return {topic for topic in place.topics if any(re.fullmatch(pattern, topic) for pattern in patterns)}

    @staticmethod
    def _filled(topic: str, place: Place) -> str:
        return topic.replace("INSTANCE", place.instance).replace("NODE", place.node)


KINDS = [
    Kind(
        "sensor", lambda place: place.hub.as_device("right-1"),
        {"sensors/right-1/data", "sensors/right-1/status", "sensors/right-1/control/reply"},
        {"status", "sensors/right-1/control", "sensors/right-1/committed", "clients/right-1/x"}),
    Kind(
        "algorithm", lambda place: place.hub.as_program(place.instance),
        {"sensors/right-1/control", "apps/rights/page"},
        {
            "status", "algorithms/INSTANCE/binding", "sensors/right-1/data", "sensors/right-1/status",
            "sensors/right-1/control/reply", "clients/algorithm.INSTANCE/x",
        }),
    Kind(
        "node", lambda place: place.hub.as_node(),
        {
            "nodes/NODE/status", "nodes/NODE/report", "nodes/NODE/statistics", "sensors/right-driver/log",
            "sensors/right-driver/events", "algorithms/INSTANCE/log", "algorithms/INSTANCE/events",
        },
        {"status", "nodes/NODE/command", "nodes/NODE/archive/x", "clients/node.NODE/x"}),
    Kind(
        "person", lambda place: place.hub.as_owner(),
        {
            "rpc/hub/status", "rpc/sensors/remove", "sensors/right-1/control", "sensors/right-2/control",
            "sensors/right-driver/control",
        },
        {
            "status", "sensors/+/data", "sensors/+/control", "sensors/+/control/reply", "sensors/+/status",
            "sensors/+/committed", "sensors/+/log", "sensors/+/events", "algorithms/#", "apps/#", "nodes/+/status",
            "nodes/+/statistics", "events/+", "clients/user.owner/x",
        }),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_everybody_publishes_only_what_is_theirs(place: Place, kind: Kind) -> None:
    with kind.connect(place) as peer:
        allowed = {
            topic for topic in place.topics | kind.writes(place)
            if peer.publish(place.hub.topic(topic), READING) != NOT_AUTHORIZED}
        assert allowed == kind.writes(place)
        for topic in ("sensorhub/other/sensors/right-1/data", "$SYS/broker/version", "elsewhere"):
            assert peer.publish(topic, b"{}") == NOT_AUTHORIZED


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_everybody_hears_only_what_is_theirs_whatever_they_subscribe_to(place: Place, kind: Kind) -> None:
    hub = place.hub
    with kind.connect(place) as peer, hub.as_hub() as speaker:
        wide = ("#", "sensorhub/#", "+/+/sensors/+/data", "+/+/+/+/control/reply", "$SYS/#")
        for filter in (*wide, *map(hub.topic, place.topics)):
            try:
                peer.subscribe(filter)
            except Disconnected:
                pytest.fail(f"disconnected for subscribing to {filter}")
        mark = json.dumps(READING | {"select": kind.name}).encode()
        for topic in sorted(place.topics):
            assert speaker.may_publish(hub.topic(topic), mark)
        # All before this has been delivered when this arrives.
        end = hub.topic(f"clients/{peer.user}/end")
        peer.subscribe(end)
        assert speaker.may_publish(end, mark)
        peer.wait_for_topic(end)
        heard = {message.topic.removeprefix(hub.root + "/") for message in peer.messages if message.payload == mark}
        assert heard - {f"clients/{peer.user}/end"} == kind.reads(place)
        assert not [message.topic for message in peer.messages if not message.topic.startswith(hub.root + "/")]


def test_nobody_is_anonymous(place: Place) -> None:
    for user, password in (
        (None, None), ("user.owner", None), ("user.owner", ""), ("user.owner", "wrong"), ("right-2", "right-2"),
        ("root", "root"), ("", ""),
    ):
        with pytest.raises(Refused):
            place.hub.peer(user, password)


def test_nobody_takes_the_name_of_another(place: Place) -> None:
    credentials = place.hub.rpc("sensors", "credentials", name="right-1", rotate=True)
    others = ("right-2", "right-driver", "user.owner", "hub.main")
    for user in (*others, f"node.{place.node}", f"algorithm.{place.instance}"):
        with pytest.raises(Refused):
            place.hub.peer(user, credentials["password"])


def test_every_user_but_a_sensor_has_a_dot_in_its_name(place: Place) -> None:
    sensors = {row["name"] for row in place.hub.sql("SELECT name FROM hub.sensor WHERE removed_at IS NULL")}
    names = {row["name"] for row in place.hub.sql("SELECT name FROM hub.broker_user")}
    assert {"hub.main", f"node.{place.node}", "user.owner", f"algorithm.{place.instance}", "right-driver"} <= names
    for name in names:
        assert ("." in name) != (name in sensors), name


@pytest.mark.parametrize("name", ["user.owner", "a.b", "a/b", "+", "#", "a b", "a\nb", "", "x" * 65, "ä", "%u"])
def test_a_sensor_id_that_could_be_more_than_an_id_is_refused(place: Place, tmp_path: Path, name: str) -> None:
    file = write(tmp_path / "sensors.json", [probe(name, driver=False)])
    assert "is no id: 1 to 64 letters, digits, '_' or '-'" in place.hub.refusal("sensors", "register", file)


def test_a_new_password_ends_the_old_one_at_once(place: Place) -> None:
    hub = place.hub
    register(hub, probe("rotate-1", driver=False))
    old = hub.rpc("sensors", "credentials", name="rotate-1")["password"]
    with hub.peer("rotate-1", old) as device:
        assert device.may_publish(hub.topic("sensors/rotate-1/data"), READING)
        new = json.loads(hub.cli("sensors", "credentials", "rotate-1", "--rotate", "--json"))["password"]
        device.wait_for_end()
    with pytest.raises(Refused):
        hub.peer("rotate-1", old)
    with hub.peer("rotate-1", new) as device:
        assert device.may_publish(hub.topic("sensors/rotate-1/data"), READING)


def test_a_password_is_good_for_use_as_soon_as_it_is_told(place: Place) -> None:
    for _ in range(5):
        place.hub.as_device("right-2").close()


def test_a_removed_sensor_is_shut_out_at_once(place: Place) -> None:
    hub = place.hub
    register(hub, probe("shut-1", driver=False))
    password = hub.rpc("sensors", "credentials", name="shut-1")["password"]
    with hub.peer("shut-1", password) as device:
        hub.cli("sensors", "remove", "shut-1")
        device.wait_for_end()
    with pytest.raises(Refused):
        hub.peer("shut-1", password)
    # The next one of its name is another one.
    register(hub, probe("shut-1", driver=False))
    with pytest.raises(Refused):
        hub.peer("shut-1", password)


def test_a_stopped_algorithm_loses_its_rights_at_once(place: Place, tmp_path: Path) -> None:
    hub = place.hub
    register(hub, probe("leave-1", driver=False, site="leave"))
    instance = deploy_sleeper(hub, tmp_path, "leave", {"site": "leave"})
    variables = hub.environment_of(instance)
    user, password = variables["SENSORHUB_USER"], variables["SENSORHUB_PASSWORD"]
    assert user == f"algorithm.{instance}"
    with hub.peer(user, password) as peer:
        hub.cli("stop", instance)
        peer.wait_for_end()
    with pytest.raises(Refused):
        hub.peer(user, password)


def test_what_is_unbound_is_out_of_reach_at_once(place: Place, tmp_path: Path) -> None:
    hub = place.hub
    register(hub, probe("unbind-1", driver=False, site="unbind"), probe("unbind-2", driver=False, site="unbind"))
    instance = deploy_sleeper(hub, tmp_path, "unbind", {"site": "unbind"})
    (bound,) = hub.program(instance)["sensors"]
    other = ({"unbind-1", "unbind-2"} - {bound}).pop()
    with hub.as_program(instance) as peer, hub.as_hub() as speaker:
        peer.subscribe(*(hub.topic(f"sensors/{sensor}/data") for sensor in (bound, other)), hub.topic("status"))
        assert peer.may_publish(hub.topic(f"sensors/{bound}/control"), b"{}")
        assert not peer.may_publish(hub.topic(f"sensors/{other}/control"), b"{}")
        hub.cli("sensors", "remove", bound)
        assert hub.program(instance)["sensors"] == [other]
        assert not peer.may_publish(hub.topic(f"sensors/{bound}/control"), b"{}")
        assert peer.may_publish(hub.topic(f"sensors/{other}/control"), b"{}")
        for sensor in (bound, other):
            speaker.publish(hub.topic(f"sensors/{sensor}/data"), READING)
        peer.wait_for_topic(hub.topic(f"sensors/{other}/data"))
        assert hub.topic(f"sensors/{bound}/data") not in {message.topic for message in peer.messages}
    hub.cli("stop", instance)


def test_a_reply_goes_nowhere_but_below_clients(place: Place) -> None:
    hub = place.hub
    with hub.as_device("right-1") as device, hub.as_owner() as owner, hub.as_hub() as witness:
        device.subscribe(hub.topic("sensors/right-1/control"), hub.topic("clients/right-1/#"))
        witness.subscribe("#")
        wrong = [hub.topic(rest) for rest in (
            "sensors/right-1/control", "nodes/x/command", "clients", "clientsx/y", "clients/+/x", "clients/#")]
        wrong += ["elsewhere", "$SYS/x", "", "sensorhub/other/clients/user.owner/x"]
        for number, topic in enumerate(wrong):
            owner.publish(hub.topic("rpc/hub/status"), {"reply_to": topic, "id": f"astray-{number}"})
            # As a response topic, the broker itself refuses those with wildcards.
            if topic and not set("+#") & set(topic):
                owner.publish(hub.topic("rpc/hub/status"), {}, response_topic=topic, correlation=b"wrong")
        # Requests are answered in their order.
        reply = hub.topic("clients/user.owner/x")
        owner.publish(hub.topic("rpc/hub/status"), {"reply_to": reply, "id": "right"})
        witness.wait_for_topic(reply)
        answers = [
            message.topic for message in witness.messages
            if (b"astray-" in message.payload or message.correlation == b"wrong") and "/rpc/" not in message.topic]
        assert not answers
        assert not device.messages


def test_a_client_of_mqtt_3_gets_its_reply_by_topic_and_id(place: Place) -> None:
    hub = place.hub
    with hub.as_owner(protocol=4) as owner:
        reply = hub.topic("clients/user.owner/three")
        owner.subscribe(reply)
        owner.publish(hub.topic("rpc/sensors/show"), {"reply_to": reply, "id": [7], "name": "right-1"})
        answer = owner.wait_for_topic(reply).json
        assert answer["id"] == [7] and answer["status"] == 200 and answer["sensor"]["name"] == "right-1"


def test_a_node_makes_passwords_only_for_what_it_runs(place: Place) -> None:
    hub, password, salt = place.hub, b"chosen by the node", b"twelve bytes"
    digest = hashlib.pbkdf2_hmac("sha512", password, salt, 101)
    hash = f"$7$101${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
    known = hub.sql("SELECT name, hash FROM hub.broker_user ORDER BY name")
    with hub.as_node() as node:
        for program, id in (
            ("driver", "right-2"), ("driver", "user.owner"), ("driver", "nobody"), ("algorithm", "others-main-1"),
            ("person", "owner"), ("driver", "hub.main"),
        ):
            node.publish(
                hub.topic(f"nodes/{place.node}/report"),
                {"kind": "credential", "program": program, "id": id, "hash": hash})
        # Would be the line of another user in the broker's file.
        node.publish(hub.topic(f"nodes/{place.node}/report"), {
            "kind": "credential", "program": "driver", "id": "right-driver", "hash": hash + "\nuser.evil:" + hash})
    # The hub has handled them when it answers this.
    hub.rpc("hub", "status")
    assert hub.sql("SELECT name, hash FROM hub.broker_user ORDER BY name") == known


def test_a_stolen_client_id_does_not_stop_the_hub(place: Place) -> None:
    """The broker lets anybody connect under any client id, and ends the connection that had it."""
    hub = place.hub
    pid = hub.part("hub")
    password = hub.rpc("sensors", "credentials", name="right-2", rotate=True)["password"]
    for client_id in ("hub.main", "ingest.main"):
        hub.peer("right-2", password, client_id=client_id).close()
    # A request that comes while it is away is not answered.
    wait_until(
        lambda: hub.request("hub", "status", timeout=1)["status"] == 200, what="an answer", retry_on=(AssertionError,))
    hub.wait_for_more_readings("right-driver", number=2)
    assert hub.part("hub") == pid


# Passwords


@pytest.fixture(scope="module")
def passwords(place: Place) -> dict[str, str]:
    hub = place.hub
    result: dict[str, str] = json.loads((hub.data / "secrets.json").read_text())
    for id in (place.instance, "right-driver"):
        result[id] = hub.environment_of(id)["SENSORHUB_PASSWORD"]
    result["right-1"] = hub.rpc("sensors", "credentials", name="right-1", rotate=True)["password"]
    assert all(len(password) >= 20 for password in result.values())
    return result


def test_files_with_passwords_are_for_their_owner_alone(place: Place, passwords: dict[str, str]) -> None:
    found: set[str] = set()
    # Folders of programs that were stopped go meanwhile.
    for path in (Path(folder) / name for folder, _, names in os.walk(place.hub.data) for name in names):
        try:
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode):
                continue
            content = path.read_bytes()
        except OSError:
            # Gone since, as the database's files may be.
            continue
        names = {name for name, password in passwords.items() if password.encode() in content}
        if names:
            assert status.st_mode & 0o077 == 0, f"{path} has the passwords of {names}"
            assert status.st_uid == os.geteuid(), path
            assert "log" not in path.relative_to(place.hub.data).parts, f"{path} has the passwords of {names}"
        found |= names
    # What was told once and never again is nowhere.
    assert found == passwords.keys() - {"right-1"}


def test_files_of_the_broker_with_hashes_and_rights_are_not_for_everybody(place: Place) -> None:
    for name in ("passwords", "acl", "mosquitto.conf"):
        assert (place.hub.data / "broker" / name).stat().st_mode & 0o007 == 0
    assert (place.hub.data / "broker").stat().st_mode & 0o077 == 0
    assert not place.hub.output.read_text().count("$7$")


def test_no_password_is_on_a_command_line(place: Place, passwords: dict[str, str]) -> None:
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes()
        except OSError:
            continue
        for name, password in passwords.items():
            assert password.encode() not in command, f"{entry}: the password of {name}"


def test_no_password_is_in_the_logs_or_in_the_database(place: Place, passwords: dict[str, str]) -> None:
    hub = place.hub
    texts = [path.read_text(errors="replace") for path in (hub.data / "log").rglob("*.log")] + [hub.output.read_text()]
    for table in ("event", "log_line", "run", "program", "sensor", "algorithm_instance", "broker_user"):
        texts += [str(row) for row in hub.sql(f"SELECT * FROM hub.{table}")]
    for name, password in passwords.items():
        assert not any(password in text for text in texts), name


def test_the_report_role_reads_reports_and_nothing_else(place: Place) -> None:
    target = place.hub.connection["database"].replace("user=sensorhub", "user=sensorhub_report")
    with psycopg.connect(target, autocommit=True) as database:
        assert database.execute("SELECT count(*) FROM report.sensor").fetchone()
        assert database.execute("SELECT count(*) FROM report.readings_per_hour").fetchone()
        for statement in (
            "SELECT * FROM hub.broker_user", "SELECT * FROM readings.probe", "DELETE FROM report.dead_letter",
            "UPDATE report.run SET reason = ''", "CREATE TABLE report.mine (a int)", "CREATE TABLE public.mine (a int)",
            "SELECT hub.make_partitions('probe')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                database.execute(statement)
