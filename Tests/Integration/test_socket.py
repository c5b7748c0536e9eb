"""Everything over the broker's Unix socket: it listens nowhere else."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from hub import BUILD, SENSORHUB, environment, run, wait_until
from samples import PROBE_TYPE, WATCHER, app_zip, deployment, probe, write
from services import ServiceHub, Services

# The broker has no other listener.
OVER_SOCKET = True
# The algorithm in Swift: it prints how late each reading of its first position is.
SWIFT = f"#!/bin/sh\nexec '{BUILD}/platform-latency' loop\n"


def deploy(
    person: ServiceHub, folder: Path, app: str, script: str, text: str, lang: str, **conditions: bool,
) -> str:
    person.cli("apps", "install", app, app_zip(folder, app, script, text, "probe"))
    position = {"sensor_type": "probe", "filter_sensors": {"site": "socket"}}
    (entry,) = person.json("deploy", write(folder / f"{app}.json", deployment(app, position, lang=lang, **conditions)))["entries"]
    instance = str(entry["instance_id"])
    person.wait_until_running(instance)
    return instance


def lines(person: ServiceHub, instance: str) -> int:
    return int(person.value("SELECT count(*) FROM report.log WHERE id = %s", instance))


def test_hub_agent_driver_algorithms_and_commands(person: ServiceHub, services: Services, tmp_path: Path) -> None:
    log = services.log("mosquitto").read_text()
    assert f"Opening unix listen socket on path {services.socket}." in log and "Opening ipv" not in log
    assert person.connection["broker"] == services.address == f"unix://{services.socket}"

    person.cli("types", "register", write(tmp_path / "types.json", PROBE_TYPE))
    sensors = [probe("socket-1", site="socket", node="workshop"), probe("socket-2", driver=False)]
    person.cli("sensors", "register", write(tmp_path / "sensors.json", sensors))
    algorithms = [
        deploy(person, tmp_path, "in-python", "main.py", WATCHER, "python3"),
        # What was built here is none of its own files.
        deploy(person, tmp_path, "in-swift", "main.sh", SWIFT, "executable", isolation=False),
    ]
    for program in ("socket-1", *algorithms):
        assert person.environment_of(program)["SENSORHUB_BROKER"] == services.address
    assert f"ok  broker           {services.address} as user.ann" in person.cli("doctor")
    person.cli("control", "socket-1", "shut")

    # A program of this machine that is not ours.
    credentials = person.rpc("sensors", "credentials", name="socket-2")
    assert credentials["brokers"] == [{"socket": str(services.socket)}]
    told = person.cli("sensors", "credentials", "socket-2", "--rotate")
    assert f"broker      socket {services.socket}\n" in told
    assert f"mosquitto_pub -V mqttv5 --unix '{services.socket}' -u" in told
    with person.as_device("socket-2") as device:
        device.publish(person.topic("sensors/socket-2/data"), {"level": 1, "count": 1, "select": "", "Open": True})
    wait_until(lambda: person.count("socket-2") == 1, what="the reading of a device")

    for number in (signal.SIGTERM, signal.SIGKILL, None):
        before = {instance: lines(person, instance) for instance in algorithms}
        person.wait_for_more_readings("socket-1")
        for instance in algorithms:
            wait_until(lambda: lines(person, instance) > before[instance] + 3, 60, f"readings in {instance}")
        if number is not None:
            person.close()
            services.restart("mosquitto", number)
            wait_until(
                lambda: person.run("doctor").returncode == 0, 60, "everybody is back", retry_on=(AssertionError,))
    # Every number is there once, those of the broker's absences included.
    wait_until(
        lambda: person.sql(
            "SELECT count(*) = max(seq) AS whole FROM report.probe WHERE sensor = 'socket-1'")[0]["whole"],
        what="all readings")


def test_a_person_without_a_broker_is_told_why(services: Services, person: ServiceHub, tmp_path: Path) -> None:
    for path, reason in (
        (tmp_path / "none", "there is no such socket; the broker makes it by 'listener 0 "),
        (Path("/dev/null"), "nobody listens at this socket"),
    ):
        connection = json.loads((person.data / "connection.json").read_text()) | {"broker": f"unix://{path}"}
        write(tmp_path / "connection.json", connection)
        result = run("ps", "--data", tmp_path)
        assert result.returncode == 1
        assert f"the broker at unix://{path} cannot be reached: {reason}" in result.stderr


def test_a_socket_that_comes_later_is_found(services: Services, tmp_path: Path) -> None:
    """A hub that is there before the broker waits for it."""
    later = tmp_path / "later.sock"
    file = services.write_settings("early", services.other_settings)
    services.start("early", SENSORHUB, "hub", "--config", file, "--id", "early", "--broker", f"unix://{later}")
    services.wait_for_line("early", "there is no such socket")
    os.symlink(services.socket, later)
    # This broker does not know it.
    services.wait_for_line("early", "ot authorized")
    assert services.stop("early") == 0


@pytest.mark.parametrize("path, reason", [
    ("unix://run/mqtt.sock", "is no absolute path of a socket"),
    ("unix:///" + "x" * 107, "is too long: the socket's path has 108 bytes, and Linux allows 107"),
    ("/run/mqtt.sock", "is no address such as mqtt://192.168.1.5:1883 or unix:///run/sensorhub/mqtt.sock"),
])
def test_what_can_be_no_socket_is_refused(services: Services, path: str, reason: str) -> None:
    result = run("hub", "--config", services.settings, "--broker", path, timeout=60)
    assert result.returncode == 1 and f"'broker.address' is '{path}', which {reason}" in result.stderr
    result = run("agent", "--node", "x", timeout=60, env=environment(
        SENSORHUB_BROKER_ADDRESS=path, SENSORHUB_BROKER_PASSWORD="x"))
    assert result.returncode == 1 and f"'broker.address' is '{path}', which {reason}" in result.stderr
