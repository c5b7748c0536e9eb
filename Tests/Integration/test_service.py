"""Hub and agent as services, with a broker and a database that somebody else runs."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from hub import SENSORHUB, environment, run, wait_until
from mqtt import Refused
from samples import PROBE_TYPE, deploy_sleeper, probe, write
from services import CONNECTED, ServiceHub, Services


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


def test_who_is_enrolled_is_told_where_the_broker_is_reached(person: ServiceHub, services: Services, tmp_path: Path) -> None:
    """A Unix socket or loopback is of no use to another machine."""
    settings = json.loads(services.settings.read_text())

    def enroll(*advertised: str) -> tuple[str, str]:
        changed = settings | {"broker": settings["broker"] | {"advertised": list(advertised)}}
        result = run("enroll", "person", "carl", "--config", write(tmp_path / "hub.json", changed))
        assert result.returncode == 0 and "sensorhub ps --data FOLDER" in result.stderr
        return json.loads(result.stdout)["broker"], result.stderr

    for local in ("unix:///run/mqtt.sock", "127.0.0.1:1883", "localhost:1883", "[::1]:1883"):
        address, told = enroll(local)
        assert address.endswith(local) and "on this machine alone" in told and "broker.advertised" in told
    for public in ("192.168.1.5:1883", "127.example.org:1883"):
        address, told = enroll("unix:///run/mqtt.sock", public)
        assert address == f"mqtt://{public}" and "on this machine alone" not in told


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
    wait_until(
        lambda: person.value("SELECT count(*) = max(seq) FROM report.probe WHERE sensor = 'absence-1'"),
        what="all readings")


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
    result = run("agent", "--config", file, "--data", services.folder / "agent", timeout=60)
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
    result = run("hub", "--config", services.write_settings("wrong", services.other_settings | change), timeout=60)
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
