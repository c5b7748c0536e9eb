"""The command line: help, JSON, exit codes, and the template that one begins with."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hub import SENSORHUB, Hub, environment, processes_of, run, wait_until
from ports import free_port
from samples import PROBE_TYPE, READING, deploy_sleeper, deployment, probe, register, write

COMMANDS = [
    ["up"], ["hub"], ["agent"], ["enroll"], ["doctor"], ["detect"], ["types"], ["types", "register"], ["types", "list"],
    ["types", "show"], ["types", "retention"], ["dead-letters"], ["dead-letters", "list"], ["dead-letters", "replay"],
    ["dead-letters", "drop"], ["sensors"], ["sensors", "register"], ["sensors", "list"], ["sensors", "show"],
    ["sensors", "remove"], ["sensors", "credentials"], ["readings"], ["control"], ["apps"], ["apps", "install"],
    ["apps", "list"], ["apps", "delete"], ["apps", "start"], ["apps", "stop"], ["apps", "running"],
    ["apps", "fast-deploy"], ["deploy"], ["ps"], ["top"], ["run"], ["start"], ["stop"], ["restart"], ["signal"], ["send"],
    ["enable"], ["disable"], ["nodes"], ["events"], ["incidents"], ["logs"], ["new"], ["new", "app"], ["new", "driver"],
]

# Each that needs a running hub, with arguments that will do.
NEED_A_HUB = [
    ["types", "list"], ["types", "show", "x"], ["types", "retention", "x", "1d"], ["sensors", "list"],
    ["sensors", "show", "x"], ["sensors", "remove", "x"], ["sensors", "credentials", "x"], ["readings", "x"],
    ["control", "x", "y"], ["dead-letters", "list"], ["dead-letters", "replay", "1"], ["dead-letters", "drop", "1"],
    ["apps", "list"], ["apps", "delete", "x"], ["ps"], ["stop", "x"], ["logs", "x"],
]


@pytest.fixture(scope="module")
def running(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An algorithm instance that any test may look at."""
    register(hub, probe("cli-1", site="cli"), probe("cli-2", driver=False, site="elsewhere"))
    instance = deploy_sleeper(hub, tmp_path_factory.mktemp("cli"), "cli", {"site": "cli"})
    hub.wait_until_running("cli-1")
    hub.wait_for_more_readings("cli-1", number=1)
    # What it says of its connection comes another way than its readings.
    wait_until(lambda: hub.rpc("logs", "get", id="cli-1")["lines"], what="a line of cli-1")
    return instance


# Help


def test_the_help_names_every_command() -> None:
    result = run("--help")
    assert result.returncode == 0
    for name in {command[0] for command in COMMANDS}:
        assert re.search(rf"^  {name} ", result.stdout, re.MULTILINE), name


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(command: list[str]) -> None:
    for arguments in ([*command, "--help"], ["help", *command]):
        result = run(*arguments)
        assert result.returncode == 0 and not result.stderr
        assert result.stdout.startswith("OVERVIEW: ") and f"USAGE: sensorhub {' '.join(command)}" in result.stdout
    # A paragraph is broken where the terminal ends, and nowhere else.
    for paragraph in result.stdout.split("USAGE: ")[0].split("\n\n"):
        lines = paragraph.strip().splitlines()
        for line, following in zip(lines, lines[1:]):
            assert following.startswith("Such as ") or len(f"{line} {following.split()[0]}") >= 80, paragraph
    # Every option is explained.
    for line in result.stdout.splitlines():
        if line.startswith("  -"):
            assert re.match(r"  (-\w, )?--[\w-]+( <[^>]+>)?(\s+\S|$)", line), line


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", run("--version").stdout)


@pytest.mark.parametrize("arguments, hint", [
    (["tpyes", "list"], "tpyes"), (["types", "lst"], "lst"), (["readings"], "<sensor>"),
    (["readings", "x", "--lsat", "3"], "--lsat"), (["readings", "x", "--last", "many"], "many"),
    (["enroll", "robot", "x"], "robot"), (["dead-letters", "drop"], "--all"),
])
def test_misuse_is_told_with_exit_code_64(arguments: list[str], hint: str) -> None:
    result = run(*arguments)
    assert result.returncode == 64 and hint in result.stderr and "sage:" in result.stderr


# JSON


@pytest.mark.parametrize("arguments, key", [
    (["types", "list"], "types"), (["types", "show", "probe"], "type"), (["sensors", "list"], "sensors"),
    (["sensors", "list", "--type", "probe", "--where", "site=cli"], "sensors"),
    (["sensors", "show", "cli-1"], "sensor"), (["dead-letters", "list"], "status"),
    (["sensors", "credentials", "cli-2", "--rotate"], "password"), (["readings", "cli-1", "--last", "1"], "readings"),
    (["apps", "list"], "apps"), (["ps"], "programs"), (["logs", "INSTANCE"], "lines"), (["logs", "cli-1"], "lines"),
    (["control", "cli-1", "shut"], "id"), (["doctor"], None),
])
def test_json_of_every_command_is_json(hub: Hub, running: str, arguments: list[str], key: Any) -> None:
    arguments = [word.replace("INSTANCE", running) for word in arguments]
    result = hub.json(*arguments)
    assert key is None or result[key]


def test_json_of_the_commands_that_change_something_is_json(hub: Hub, running: str, tmp_path: Path) -> None:
    types = write(tmp_path / "types.json", PROBE_TYPE)
    assert hub.json("types", "register", types)["results"] == [
        {"name": "probe", "status": 200, "changed": False}]
    sensors = write(tmp_path / "sensors.json", [probe("json-1", driver=False, site="json")])
    (result,) = hub.json("sensors", "register", sensors)["results"]
    assert result["status"] == 201 and result["data_topic"] == hub.topic("sensors/json-1/data")
    file = write(tmp_path / "deployConfig.json", deployment("cli", {"sensor_type": "probe"}))
    assert hub.json("deploy", file, "--dry-run")["entries"][0]["status"] == "would be deployed"
    instance = hub.json("deploy", file)["entries"][0]["instance_id"]
    assert hub.json("stop", instance)["status"] == 200
    folder = tmp_path / "AsJSON"
    assert run("new", "app", folder).returncode == 0
    assert hub.json("apps", "install", "AsJSON", folder / "app")["algorithms"] == ["myAlgorithm"]
    assert hub.json("apps", "delete", "AsJSON")["status"] == 200
    assert hub.json("sensors", "remove", "json-1")["status"] == 200


@pytest.mark.parametrize("arguments, status", [
    (["types", "show", "absent"], 404), (["sensors", "show", "absent"], 404), (["sensors", "remove", "absent"], 404),
    (["readings", "absent"], 404), (["apps", "delete", "absent"], 404), (["stop", "absent"], 404),
    (["logs", "absent"], 404), (["types", "retention", "absent", "1d"], 404),
    (["stop", "cli-1"], 409), (["sensors", "credentials", "cli-1"], 409),
])
def test_a_refusal_is_json_too_and_has_an_exit_code(hub: Hub, running: str, arguments: list[str], status: int) -> None:
    reply = hub.json(*arguments, expect=1)
    assert reply["status"] == status and reply["error"] in hub.refusal(*arguments)


def test_following_as_json_gives_an_object_a_line(hub: Hub, running: str) -> None:
    follower = subprocess.Popen(
        [SENSORHUB, "readings", "cli-1", "--last", "1", "--follow", "--json", "--data", str(hub.data)],
        stdout=subprocess.PIPE, env=environment(), text=True)
    try:
        assert follower.stdout is not None
        readings = [json.loads(follower.stdout.readline()) for _ in range(4)]
    finally:
        follower.terminate()
        follower.wait(60)
    assert all(reading["v"].keys() == READING.keys() for reading in readings)


def test_where_tells_numbers_from_text(hub: Hub) -> None:
    register(hub, probe("where-1", driver=False, bus=1), probe("where-2", driver=False, bus="1"))
    for value, name in (("bus=1", "where-1"), ('bus="1"', "where-2")):
        sensors = hub.json("sensors", "list", "--where", value)["sensors"]
        assert [sensor["name"] for sensor in sensors] == [name]


# Hubs that are not there


@pytest.mark.parametrize("command", NEED_A_HUB, ids=" ".join)
def test_without_a_hub_a_command_says_where_it_looked_and_what_to_do(tmp_path: Path, command: list[str]) -> None:
    result = run(*command, "--data", tmp_path / "nowhere")
    assert result.returncode == 1
    assert result.stderr == (
        f"Error: no hub is running under {tmp_path}/nowhere: "
        "start one with 'sensorhub up', or name another folder with --data\n")


def test_the_folder_can_come_from_the_environment(hub: Hub, running: str, tmp_path: Path) -> None:
    result = run("ps", env=environment(SENSORHUB_DATA=str(hub.data)))
    assert result.returncode == 0 and running in result.stdout
    result = run("ps", "--data", tmp_path, env=environment(SENSORHUB_DATA=str(hub.data)))
    assert result.returncode == 1, "the option is stronger"


def test_a_broker_that_does_not_answer_is_named(hub: Hub, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"mqtt://127.0.0.1:{closed.getsockname()[1]}"
        write(tmp_path / "connection.json", hub.connection | {"broker": address})
        assert f"the broker at {address} cannot be reached" in hub.refusal("ps", data=tmp_path)


def test_a_wrong_password_is_told(hub: Hub, tmp_path: Path) -> None:
    write(tmp_path / "connection.json", hub.connection | {"password": "wrong"})
    assert "Not authorized" in hub.refusal("ps", data=tmp_path)
    write(tmp_path / "connection.json", "{}")
    assert f"{tmp_path}/connection.json: 'hub' is missing" in hub.refusal("ps", data=tmp_path)


# Doctor


def test_doctor_finds_a_running_hub_in_good_health(own_hub: Hub) -> None:
    findings = own_hub.json("doctor")
    assert {"version", "driver", "mosquitto", "postgres", "python3", "database", "schema", "broker", "hub"} <= {
        finding["subject"] for finding in findings}
    # A full disk is the machine's, not ours, and so is what it can hold programs to.
    machines = ("data folder", "limits", "isolation", "algorithms' user")
    wrong = [finding for finding in findings if finding["verdict"] != "ok" and finding["subject"] not in machines]
    assert not wrong
    free = os.statvfs(own_hub.data)
    (folder,) = [finding for finding in findings if finding["subject"] == "data folder"]
    found = int(re.search(r"(\d+) MiB free", folder["detail"])[1])  # type: ignore[index]
    assert found == pytest.approx((free.f_bavail * free.f_frsize) >> 20, rel=0.1)


def test_doctor_finds_what_is_wrong(own_hub: Hub) -> None:
    file = own_hub.data / "connection.json"
    file.chmod(0o644)
    assert f"chmod 600 {file}" in own_hub.cli("doctor", expect=1)
    file.chmod(0o600)
    register(own_hub, probe("doctor-1", driver=False))
    with own_hub.as_device("doctor-1") as device:
        device.publish(own_hub.topic("sensors/doctor-1/data"), b"garbage")
    wait_until(lambda: own_hub.value("SELECT count(*) FROM hub.dead_letter") == 1, what="the dead letter")
    assert "1 readings could not be stored" in own_hub.cli("doctor")
    pid = own_hub.part("hub")
    os.kill(pid, signal.SIGSTOP)
    try:
        assert "the hub does not answer" in own_hub.cli("doctor", expect=1)
    finally:
        os.kill(pid, signal.SIGCONT)
    own_hub.cli("doctor")


def test_doctor_says_that_no_hub_runs(tmp_path: Path) -> None:
    result = run("doctor", "--data", tmp_path)
    assert result.returncode == 1
    assert re.search(r"^FAIL\s+hub\s+none is running under .*→ start one: sensorhub up$", result.stdout, re.MULTILINE)


# Up


def test_up_listens_where_it_is_told_and_tells_devices_so(own_hub: Hub, tmp_path: Path) -> None:
    register(own_hub, probe("listen-1", driver=False))
    own_hub.stop()
    port = free_port()
    own_hub.start("--listen", f"127.0.0.1:{port}")
    assert f"mqtt://127.0.0.1:{port}" in own_hub.output.read_text()
    credentials = own_hub.json("sensors", "credentials", "listen-1", "--rotate")
    assert credentials["brokers"] == [{"host": "127.0.0.1", "port": port}]
    line = next(
        line for line in own_hub.cli("sensors", "credentials", "listen-1", "--rotate").splitlines()
        if line.startswith("mosquitto_pub "))
    subprocess.run(line, shell=True, check=True, timeout=60)
    wait_until(lambda: own_hub.count("listen-1") == 1, what="the reading")

    own_hub.stop()
    port = free_port()
    file = write(tmp_path / "sensorhub.json", {"listen": [f"127.0.0.1:{port}"]})
    own_hub.start("--config", str(file))
    assert f"mqtt://127.0.0.1:{port}" in own_hub.output.read_text() and str(file) in own_hub.output.read_text()


@pytest.mark.parametrize("content, expected", [
    ('{"lisen": []}', "unknown key 'lisen' (did you mean 'listen'?)"), ('{"listen": "x"}', "listen: expected a list"),
    ('{"listen": ["here:there"]}', "listen[0]: 'here:there' is no address"), ("{", "not valid JSON"),
])
def test_a_wrong_configuration_file_is_named(tmp_path: Path, content: str, expected: str) -> None:
    file = write(tmp_path / "sensorhub.json", content)
    result = run("up", "--data", tmp_path / "data", "--config", file)
    assert result.returncode != 0 and str(file) in result.stderr and expected in result.stderr
    assert not (tmp_path / "data").exists()


def test_the_demo_runs_the_example_apps(fresh_hub: Hub) -> None:
    fresh_hub.start("--demo")
    names = ("bus-management-lightControl-1", "bus-management-fareCalculator-1", "load-alarm-loadAlarm-1")
    fresh_hub.wait_until_running(*names)
    fresh_hub.wait_for_more_readings("this-machine", "lux-bus-1", number=2)
    assert fresh_hub.stop(signal.SIGINT) == 0
    assert not processes_of(fresh_hub.data)


# The template


def test_the_template_works_by_the_commands_of_its_readme(hub: Hub, tmp_path: Path) -> None:
    commands_folder = tmp_path / "bin"
    commands_folder.mkdir()
    (commands_folder / "sensorhub").symlink_to(SENSORHUB)
    variables = environment(SENSORHUB_DATA=str(hub.data), PATH=f"{commands_folder}:{os.environ['PATH']}")

    folder = tmp_path / "Greenhouse"
    output = run("new", "app", folder).stdout
    assert f"{folder}/README.md says how to go on" in output
    readme = (folder / "README.md").read_text()
    commands = [line.strip() for line in readme.splitlines() if line.startswith("    ")]
    assert any(command.startswith("sensorhub deploy") for command in commands)
    for command in commands:
        if command.endswith("--follow"):
            follow(command, folder, variables)
            continue
        if command.startswith("sensorhub stop"):
            assert hub.program("Greenhouse-myAlgorithm-1")["state"] == "RUNNING"
        result = subprocess.run(
            command, shell=True, cwd=folder, env=variables, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    assert not hub.program("Greenhouse-myAlgorithm-1")

    # What is there is not written over.
    assert run("new", "app", folder).returncode == 1
    assert run("new", "app", tmp_path / "no id").returncode == 64


def follow(command: str, folder: Path, variables: dict[str, str]) -> None:
    """Runs a command that goes on for ever, until it has shown a reading."""
    process = subprocess.Popen(
        f"exec {command}", shell=True, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "°C, fan" in line:
                return
    finally:
        process.terminate()
        process.wait(60)
    raise AssertionError(f"{command} has ended with {process.returncode}")
