"""What the hub is for: sensors registered, readings stored, algorithms bound to sensors and controlling them."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hub import EXAMPLES, SENSORHUB, Hub, environment, wait_until
from samples import READING, WATCHER, app_zip, deploy_sleeper, deployment, probe, register, write

BUS = EXAMPLES / "bus-management"
LIGHT_LUX = 60
# The example as it is, but ten times as fast.
LUX_PERIOD_SECONDS = 6


@dataclass(frozen=True)
class Bus:
    folder: Path
    light_control: str
    fare_calculator: str
    pages: Any


@pytest.fixture(scope="module")
def bus(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The example with the buses, by the commands of its README."""
    folder = tmp_path_factory.mktemp("bus")
    sensors = json.loads((BUS / "sensorInstance.json").read_text())
    for sensor in sensors:
        sensor["interval"] /= 10
        for pattern in sensor["simulate"].values():
            for key in {"period_seconds", "every_seconds"} & pattern.keys():
                pattern[key] /= 10
    hub.cli("types", "register", BUS / "sensorTypeRegistration.json")
    hub.cli("sensors", "register", write(folder / "sensorInstance.json", sensors))
    archive = folder / "bus-management.zip"
    subprocess.run(
        ["python3", "-m", "zipfile", "-c", archive, *sorted((BUS / "app").iterdir())], check=True)
    hub.cli("apps", "install", "bus-management", archive)
    with hub.as_owner() as pages:
        pages.subscribe(hub.topic("apps/bus-management/page"))
        output = hub.cli("deploy", BUS / "deployConfig.json", timeout=400)
        # The first of its kind is number 1.
        instances = [f"bus-management-{name}-1" for name in ("lightControl", "fareCalculator")]
        for number, instance in enumerate(instances, start=1):
            assert f'entry "{number}": deployed {instance}' in output
            assert f"{instance}: RUNNING" in output
        yield Bus(folder, instances[0], instances[1], pages)


def lux_readings(hub: Hub, sensor: str) -> list[dict[str, Any]]:
    readings: list[dict[str, Any]] = hub.rpc("readings", "get", sensor=sensor, last=1_000)["readings"]
    return readings


def log_text(hub: Hub, id: str) -> str:
    return "\n".join(line["text"] for line in hub.rpc("logs", "get", id=id, last=1_000)["lines"])


# Sensors


def test_a_registered_type_has_a_table_and_a_view_with_its_fields(hub: Hub, bus: Bus) -> None:
    columns = {
        row["column_name"]: row["data_type"] for row in hub.sql(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'readings' AND table_name = 'luxsensor'")
    }
    assert columns["lux"] == "double precision" and columns["light"] == "boolean"
    assert hub.sql("SELECT sensor, lux, light FROM report.luxsensor LIMIT 1") is not None
    assert "lux=float light=bool" in hub.cli("types", "show", "luxsensor")


def test_a_type_may_use_words_of_sql_as_field_names(hub: Hub) -> None:
    register(hub, probe("words-1"))
    hub.wait_for_more_readings("words-1")
    row = hub.sql("SELECT level, count, \"select\", \"Open\" FROM report.probe WHERE sensor = 'words-1' LIMIT 1")[0]
    assert row["select"] == "" and row["Open"] is False


def test_readings_of_all_registered_sensors_arrive_in_their_tables(hub: Hub, bus: Bus) -> None:
    sensors = [f"{kind}-bus-{number}" for kind in ("lux", "gps", "biometric") for number in (1, 2)]
    hub.wait_for_more_readings(*sensors)
    for row in hub.sql(
        "SELECT event_time, received_at, attributes, passenger_id FROM report.biometric "
        "WHERE sensor = 'biometric-bus-2'"
    ):
        assert row["passenger_id"] in ("divya", "emil", "farah")
        assert row["attributes"]["bus_id"] == 2
        assert abs((row["received_at"] - row["event_time"]).total_seconds()) < 60
    assert hub.value("SELECT count(*) FROM report.latest WHERE sensor LIKE '%-bus-_' AND age < '1 minute'") == 6


def test_the_system_driver_says_what_proc_says(hub: Hub) -> None:
    def uptime() -> float:
        return float(Path("/proc/uptime").read_text().split()[0])

    folder = EXAMPLES / "load-alarm"
    hub.cli("types", "register", folder / "sensorTypeRegistration.json")
    before = uptime()
    hub.cli("sensors", "register", folder / "sensorInstance.json")
    hub.wait_for_more_readings("this-machine", number=2)

    def values() -> dict[str, float]:
        (reading,) = hub.json("readings", "this-machine", "--last", 1)["readings"]
        return dict(reading["v"])

    def meminfo(name: str) -> int:
        (line,) = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith(f"{name}:")]
        return int(line.split()[1]) * 1_024

    def free() -> int:
        disk = os.statvfs("/")
        return disk.f_bavail * disk.f_frsize

    said = values()
    assert before <= said["uptime_seconds"] <= uptime()
    assert 0 <= said["cpu_percent"] <= 100
    assert said["memory_used_percent"] == pytest.approx(
        100 * (1 - said["memory_available_bytes"] / meminfo("MemTotal")), abs=0.1)
    # Others are at work on this machine: a reading may be older than what they have just done to it, but not each one.
    for name, actual, margin in (
        ("load_1m", lambda: os.getloadavg()[0], {"abs": 2}),
        ("memory_available_bytes", lambda: meminfo("MemAvailable"), {"rel": 0.25}),
        ("disk_free_bytes", free, {"rel": 0.1}),
    ):
        wait_until(lambda: values()[name] == pytest.approx(actual(), **margin), what=f"{name} as it is: {actual()}")


def test_readings_are_shown_newest_last(hub: Hub, bus: Bus) -> None:
    hub.wait_for_more_readings("gps-bus-1")
    lines = hub.cli("readings", "gps-bus-1", "--last", 3).splitlines()
    assert lines[0].split() == ["TIME", "LATITUDE", "LONGITUDE"]
    assert len(lines) == 4 and lines[1:] == sorted(lines[1:])


# Algorithms


def test_light_control_switches_the_light_and_the_next_readings_show_it(hub: Hub, bus: Bus) -> None:
    with hub.as_owner() as witness:
        witness.subscribe(hub.topic("sensors/lux-bus-1/control"), hub.topic("sensors/lux-bus-1/control/reply"))
        call = witness.wait_for(
            lambda m: m.topic.endswith("/control") and m.json["params"] == {"on": True}, "the light switched on").json
        assert call["function"] == "set_light"
        reply = witness.wait_for(
            lambda m: m.topic.endswith("/reply") and m.json["id"] == call["id"], "the driver's reply").json
        assert reply["status"] == "done"

        def lit() -> list[tuple[int, int]]:
            """From each reply that the light is on to the next reply, as far as that has come."""
            on = {m.json["id"]: m.json["params"]["on"] for m in list(witness.messages) if m.topic.endswith("/control")}
            replies = [m.json for m in list(witness.messages) if m.topic.endswith("/reply")]
            return [
                (first["t"], second["t"]) for first, second in zip(replies, replies[1:])
                if on.get(first["id"]) and on.get(second["id"]) is False]

        page = bus.pages.wait_for(
            lambda m: m.json.get("instance") == bus.light_control and m.json["light"] == "on", "the page").json
        assert page["sensor"] == "lux-bus-1" and page["lux"] < 40

        def after_a_call() -> list[dict[str, Any]]:
            readings = lux_readings(hub, "lux-bus-1")
            return [r for r in readings if any(begin < r["t"] < end for begin, end in lit())]

        # An algorithm that gets to it late may switch it on and off again before there is another reading.
        assert wait_until(after_a_call, what="a reading after a call")[0]["v"]["light"] is True
    # The light adds its part to what the sensor would see without it, and nothing else does.
    for reading in lux_readings(hub, "lux-bus-1"):
        phase = reading["t"] / 1e6 / LUX_PERIOD_SECONDS * 2 * math.pi
        dark = 100 + 100 * math.sin(phase)
        assert reading["v"]["lux"] == pytest.approx(dark + LIGHT_LUX * reading["v"]["light"], abs=0.05)
    wait_until(lambda: "light off" in log_text(hub, bus.light_control), what="the light is switched off again")


def test_only_the_bound_bus_is_controlled(hub: Hub, bus: Bus) -> None:
    wait_until(lambda: "light on" in log_text(hub, bus.light_control), what="the light of bus 1")
    assert not any(r["v"]["light"] for r in lux_readings(hub, "lux-bus-2"))
    assert "lux-bus-2" not in log_text(hub, bus.light_control)


def test_fare_calculator_prints_fares_and_shows_them_on_the_page(hub: Hub, bus: Bus) -> None:
    page = bus.pages.wait_for(lambda m: m.json.get("instance") == bus.fare_calculator, "a fare on the page").json
    assert page["fare"] == pytest.approx(10 + 5 * page["distance_km"], abs=0.02)
    # Not the distance itself: the page has it rounded to metres, and rounding that again may give another last digit.
    line = re.compile(rf"{page['passenger']} got off after (\d+\.\d\d) km: fare {page['fare']:.2f}$", re.MULTILINE)
    found = wait_until(lambda: line.search(hub.cli("logs", bus.fare_calculator)), what=f"{line.pattern} in the log")
    assert float(found[1]) == pytest.approx(page["distance_km"], abs=0.006)


def test_ps_lists_drivers_and_algorithms_with_their_sensors(hub: Hub, bus: Bus) -> None:
    hub.wait_until_running("lux-bus-1", bus.fare_calculator)
    lines = {line.split()[0]: line for line in hub.cli("ps").splitlines()}
    assert "driver" in lines["lux-bus-1"] and "simulated" in lines["lux-bus-1"]
    line = lines[bus.fare_calculator]
    assert "bus-management/fareCalculator" in line and "RUNNING" in line and "gps-bus-1, biometric-bus-1" in line
    for id in ("lux-bus-1", bus.fare_calculator):
        assert Path(f"/proc/{hub.program(id)['pid']}").exists()


def test_logs_and_readings_can_be_followed(hub: Hub, bus: Bus) -> None:
    for command in (["readings", "lux-bus-1"], ["logs", bus.fare_calculator]):
        follower = subprocess.Popen(
            [SENSORHUB, *command, "--last", "1", "--follow", "--data", str(hub.data)],
            stdout=subprocess.PIPE, env=environment(), text=True)
        try:
            assert follower.stdout is not None
            lines = [follower.stdout.readline() for _ in range(4)]
        finally:
            follower.terminate()
            follower.wait(60)
        assert all(lines), lines


def test_an_algorithm_can_be_any_executable(hub: Hub, tmp_path: Path) -> None:
    register(hub, probe("executable-1", site="executable"))
    instance = deploy_sleeper(hub, tmp_path, "any-executable", {"site": "executable"})
    line = f"instance {instance} of any-executable at mqtt://"
    wait_until(lambda: line in log_text(hub, instance), what="its output")
    assert "! a word on the error output" in hub.cli("logs", instance)
    hub.cli("stop", instance)


def test_stop_ends_the_process_and_leaves_a_history(hub: Hub, tmp_path: Path) -> None:
    register(hub, probe("history-1", site="history"))
    instance = deploy_sleeper(hub, tmp_path, "history", {"site": "history"})
    pid = hub.program(instance)["pid"]
    assert f"{instance}: stopped" in hub.cli("stop", instance)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what=f"the end of process {pid}")
    assert instance not in hub.cli("ps")
    run = wait_until(
        lambda: hub.sql("SELECT * FROM report.run WHERE id = %s AND ended_at IS NOT NULL", instance),
        what="the run's end")
    assert [(row["pid"], row["exit_code"], row["signal"]) for row in run] == [(pid, 0, None)]
    binding = hub.sql("SELECT * FROM report.binding WHERE instance = %s", instance)
    assert [(row["sensor"], row["reason"], row["until_reason"]) for row in binding] == [
        ("history-1", "deployed", "stopped")]
    assert "farewell" in hub.cli("logs", instance)
    assert "no algorithm instance" in hub.refusal("stop", instance)


def test_each_deployment_gets_an_id_that_no_instance_ever_had(hub: Hub, tmp_path: Path) -> None:
    register(hub, probe("numbered-1", site="numbered"))
    for number in (1, 2):
        instance = deploy_sleeper(hub, tmp_path, "numbered", {"site": "numbered"})
        assert instance == f"numbered-main-{number}"
        hub.cli("stop", instance)


def test_a_dry_run_says_what_would_be_bound_and_starts_nothing(hub: Hub, bus: Bus) -> None:
    before = hub.value("SELECT count(*) FROM hub.algorithm_instance")
    output = hub.cli("deploy", BUS / "deployConfig.json", "--dry-run")
    assert "gps-bus-1" in output and "biometric-bus-1" in output
    assert hub.value("SELECT count(*) FROM hub.algorithm_instance") == before


def test_an_app_with_running_instances_is_not_deleted(hub: Hub, tmp_path: Path) -> None:
    register(hub, probe("delete-1", site="delete"))
    instance = deploy_sleeper(hub, tmp_path, "to-delete", {"site": "delete"})
    assert instance in hub.refusal("apps", "delete", "to-delete")
    assert "to-delete" in hub.cli("apps", "list")
    hub.cli("stop", instance)
    hub.cli("apps", "delete", "to-delete")
    assert "to-delete" not in hub.cli("apps", "list")
    assert hub.value("SELECT count(*) FROM report.binding WHERE instance = %s", instance) == 1


def test_an_update_leaves_running_instances_at_their_version(hub: Hub, tmp_path: Path) -> None:
    register(hub, probe("update-1", site="update"))
    instance = deploy_sleeper(hub, tmp_path, "update", {"site": "update"})
    pid = hub.program(instance)["pid"]
    newer = app_zip(tmp_path, "update", "main.sh", "#!/bin/sh\necho newer\nexec sleep 1000\n", "probe")
    assert hub.json("apps", "install", "update", newer)["changed"] is True
    assert hub.json("apps", "install", "update", newer)["changed"] is False
    file = write(tmp_path / "deployConfig.json", deployment(
        "update", {"sensor_type": "probe", "filter_sensors": {"site": "update"}}))
    (entry,) = hub.json("deploy", file)["entries"]
    wait_until(lambda: "newer" in log_text(hub, entry["instance_id"]), what="the newer version's output")
    assert hub.program(instance)["pid"] == pid
    assert "newer" not in log_text(hub, instance)
    for id in (instance, entry["instance_id"]):
        hub.cli("stop", id)


# Control


def test_control_sets_values_of_every_type(hub: Hub) -> None:
    register(hub, probe("control-1"))
    hub.wait_until_running("control-1")
    hub.wait_for_more_readings("control-1", number=1)
    output = hub.cli("control", "control-1", "set_all", "level=2", "count=-3", "select=1", "Open=true")
    assert output == "control-1: done\n"

    def newest() -> Any:
        return hub.rpc("readings", "get", sensor="control-1", last=1)["readings"][0]["v"]

    wanted = {"level": 2, "count": -3, "select": "1", "Open": True}
    wait_until(lambda: newest() == wanted, what="readings with the values set")
    hub.cli("control", "control-1", "shut")
    wait_until(lambda: newest() == wanted | {"Open": False}, what="a reading with 'Open' false")


@pytest.mark.parametrize("words, expected", [
    (["set_al", "level=1"], ["'set_al' is no function", "set_all, shut", "did you mean 'set_all'"]),
    (["shut", "now=1"], ["'now' is no parameter of 'shut'"]),
    (["set_all", "level=1", "count=1", "select=a"], ["'Open' (bool) is missing"]),
    (["set_all", "level=high", "count=1", "select=a", "Open=true"], ["params.level", "expected a number, found"]),
    (["set_all", "level=1", "count=1.5", "select=a", "Open=true"], ["params.count", "expected a whole number"]),
    (["set_all", "level=1", "count=1", "select=a", "Open=1"], ["params.Open", "expected true or false"]),
])
def test_a_call_that_does_not_fit_the_type_is_refused(hub: Hub, words: list[str], expected: list[str]) -> None:
    register(hub, probe("fit-1"))
    error = hub.refusal("control", "fit-1", *words)
    for text in expected:
        assert text in error


def test_the_driver_refuses_a_call_that_nobody_else_has_checked(hub: Hub) -> None:
    register(hub, probe("check-1"))
    hub.wait_until_running("check-1")
    with hub.as_owner() as caller:
        caller.subscribe(hub.topic("sensors/check-1/control/reply"))
        wait_until(lambda: hub.rpc("sensors", "show", name="check-1")["sensor"]["state"] == "online", what="the driver")
        for number, (function, params, reason) in enumerate([
            ("open", {}, "is no function"), ("shut", {"x": 1}, "is no parameter"),
            ("set_all", {"level": 1, "count": "1", "select": "", "Open": True}, "expected a whole number"),
            ("set_all", {"level": 1, "count": 1 << 63, "select": "", "Open": True}, "expected a whole number"),
        ]):
            caller.publish(
                hub.topic("sensors/check-1/control"), {"id": str(number), "function": function, "params": params})
            reply = caller.wait_for(
                lambda m: m.json["id"] == str(number), f"the reply to {function}").json
            assert reply["status"] == "refused" and reason in reply["error"]


# Devices that are not ours


def test_a_device_publishes_by_the_printed_line(hub: Hub) -> None:
    register(hub, probe("device-1", driver=False))
    output = hub.cli("sensors", "credentials", "device-1")
    (line,) = [line for line in output.splitlines() if line.startswith("mosquitto_pub ")]
    for command in (line, line.replace("-V mqttv5", "-V mqttv311")):
        before = hub.count("device-1")
        subprocess.run(command, shell=True, check=True, timeout=60)
        wait_until(lambda: hub.count("device-1") == before + 1, what="the reading")
    (reading,) = hub.json("readings", "device-1", "--last", 1)["readings"]
    assert reading["v"] == READING | {"level": 1.5}
    assert "password    was shown" in hub.cli("sensors", "credentials", "device-1")


def test_a_device_can_be_controlled(hub: Hub) -> None:
    register(hub, probe("device-2", driver=False))
    with hub.as_device("device-2") as device:
        device.subscribe(hub.topic("sensors/device-2/control"))
        caller = subprocess.Popen(
            [SENSORHUB, "control", "device-2", "shut", "--timeout", "60", "--data", str(hub.data)],
            stdout=subprocess.PIPE, env=environment(), text=True)
        call = device.wait_for_topic(hub.topic("sensors/device-2/control")).json
        assert call["function"] == "shut" and call["params"] == {}
        device.publish(hub.topic("sensors/device-2/control/reply"), {"id": call["id"], "status": "done", "t": 1})
        assert caller.communicate(timeout=60)[0] == "device-2: done\n"
        assert caller.returncode == 0


def test_control_of_a_device_that_does_not_answer_says_so(hub: Hub) -> None:
    register(hub, probe("device-3", driver=False))
    assert "no reply from 'device-3' within 1 seconds" in hub.refusal("control", "device-3", "shut", "--timeout", 1)


def test_credentials_are_not_given_out_for_a_driver_of_ours(hub: Hub) -> None:
    register(hub, probe("device-4"))
    assert "is read by the driver 'simulated'" in hub.refusal("sensors", "credentials", "device-4")


# Sensors that come and go


def test_a_running_algorithm_follows_sensors_that_come_and_go(hub: Hub, bus: Bus, tmp_path: Path) -> None:
    first, second = probe("come-1", site="come"), probe("come-2", site="come")
    register(hub, first, second)
    hub.cli("apps", "install", "come-and-go", app_zip(tmp_path, "come-and-go", "main.py", WATCHER, "probe"))
    file = write(tmp_path / "deployConfig.json", deployment(
        "come-and-go", {"sensor_type": "probe", "filter_sensors": {"site": "come"}}, lang="python"))
    (entry,) = hub.json("deploy", file)["entries"]
    instance, bound = entry["instance_id"], entry["positions"][0]["sensors"][0]
    hub.wait_until_running(instance)
    other = ({"come-1", "come-2"} - {bound}).pop()
    pid = hub.program(instance)["pid"]

    def wait_for(*lines: str) -> None:
        wait_until(lambda: all(line in log_text(hub, instance) for line in lines), what=f"{lines} in the log")

    wait_for(f"binding 1: [['{bound}']]", f"heard {bound}")
    hub.cli("sensors", "remove", bound)
    wait_for(f"binding 2: [['{other}']]", f"heard {other}")
    # Nothing is left that fits: the algorithm goes on without.
    hub.cli("sensors", "remove", other)
    wait_for("binding 3: [[]]")
    register(hub, first)
    wait_for("binding 4: [['come-1']]")
    wait_until(
        lambda: "heard come-1" in log_text(hub, instance).rpartition("binding 4")[2], what="come-1 is heard again")
    assert hub.program(instance)["pid"] == pid
    assert hub.value("SELECT count(*) FROM hub.event WHERE kind = 'instance.rebound' AND subject = %s", instance) == 3

    with hub.as_owner() as witness:
        witness.subscribe(hub.topic(f"algorithms/{instance}/binding"))
        document = witness.wait_for_topic(hub.topic(f"algorithms/{instance}/binding")).json
        assert document["version"] == 4 and "come-1" in document["reason"]
    hub.cli("stop", instance)


def test_count_all_takes_every_sensor_that_fits(hub: Hub, tmp_path: Path) -> None:
    register(hub, probe("all-1", driver=False, site="all"), probe("all-2", driver=False, site="all"))
    archive = app_zip(tmp_path, "count-all", "main.sh", "#!/bin/sh\nexec sleep 1000\n", "probe")
    hub.cli("apps", "install", "count-all", archive)
    file = write(tmp_path / "deployConfig.json", deployment(
        "count-all", {"sensor_type": "probe", "filter_sensors": {"site": "all"}, "count": "all"}))
    (entry,) = hub.json("deploy", file)["entries"]
    assert entry["positions"][0]["sensors"] == ["all-1", "all-2"]
    register(hub, probe("all-3", driver=False, site="all"), probe("all-4", driver=False, site="elsewhere"))
    assert hub.program(entry["instance_id"])["sensors"] == ["all-1", "all-2", "all-3"]
    hub.cli("stop", entry["instance_id"])


def test_a_removed_sensor_stops_its_driver_and_keeps_its_readings(hub: Hub) -> None:
    register(hub, probe("removed-1"))
    hub.wait_for_more_readings("removed-1")
    pid = hub.program("removed-1")["pid"]
    hub.cli("sensors", "remove", "removed-1")
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="the end of the driver")
    assert hub.value("SELECT count(*) FROM report.probe WHERE sensor = 'removed-1'") >= 3
    assert "'removed-1' is not registered" in hub.refusal("readings", "removed-1")
    assert hub.value("SELECT count(*) FROM report.sensor WHERE sensor = 'removed-1' AND removed_at IS NOT NULL") == 1
