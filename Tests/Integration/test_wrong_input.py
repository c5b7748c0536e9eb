"""Everything that people can get wrong in files and archives: one clear error each, nothing changed, nothing dead."""

from __future__ import annotations

import copy
import io
import json
import os
import stat
import zipfile
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import pytest

from hub import Hub, wait_until
from samples import (
    PROBE_TYPE, SLEEPER, app_config, app_zip, deployment, probe, register, write,
)

pytestmark = pytest.mark.usefixtures("nothing_dies")

# Tables that only people's requests change.
TABLES = ("sensor_type", "sensor_field", "sensor", "app", "app_version", "algorithm_instance", "binding", "broker_user")


@pytest.fixture
def unchanged(hub: Hub) -> Iterator[None]:
    """Holds that a test changes nothing."""

    def counts() -> dict[str, int]:
        result = {table: hub.value(f"SELECT count(*) FROM hub.{table}") for table in TABLES}
        result["tables"] = hub.value("SELECT count(*) FROM pg_tables WHERE schemaname LIKE 'readings%'")
        return result

    before = counts()
    yield
    assert counts() == before


def error_of(hub: Hub, *arguments: Any) -> str:
    """What a refused command says; never an error of the machinery."""
    error = hub.refusal(*arguments)
    for word in ("Fatal", "SQL", "psql", "ERROR:", "Optional(", "NSError", "DecodingError"):
        assert word not in error, error
    return error


# Files that are no JSON


@pytest.mark.parametrize("command", [["types", "register"], ["sensors", "register"], ["deploy"]], ids=" ".join)
@pytest.mark.parametrize("content, place", [
    ('[\n  {"name": "x",\n   "company" "y"}\n]', "line 3"),
    ('{"name": "x"', None),
    ("", "empty"),
    ("[1, 2,]", "line 1, column"),
    (b'{"name": "\xff\xfe"}', None),
    ("[" * 100_000, None),
    ("{'name': 'x'}", "line 1, column"),
    ('{"name": "a", "name": "b"}', "name"),
], ids=["colon", "cut off", "empty", "comma", "not UTF-8", "too deep", "quotes", "twice"])
def test_a_file_that_is_no_json_is_refused_with_the_place(
    hub: Hub, unchanged: None, tmp_path: Path, command: list[str], content: Any, place: Optional[str],
) -> None:
    file = write(tmp_path / "wrong.json", content)
    error = error_of(hub, *command, file)
    assert str(file) in error and "not valid JSON" in error
    assert place is None or place in error


def test_a_file_that_is_not_there_is_named(hub: Hub, unchanged: None, tmp_path: Path) -> None:
    for arguments in (["types", "register"], ["sensors", "register"], ["deploy"], ["apps", "install", "x"]):
        assert f"{tmp_path}/absent: No such file" in error_of(hub, *arguments, tmp_path / "absent")
        assert str(tmp_path) in error_of(hub, *arguments, tmp_path)


# Sensor types


def changed(document: Any, path: list[Any], value: Any) -> Any:
    """A copy of `document` with another value at `path`; `...` removes it."""
    document = copy.deepcopy(document)
    target = document
    for key in path[:-1]:
        target = target[key]
    if value is ...:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return document


FRESH_TYPE = PROBE_TYPE | {"name": "fresh"}
FUNCTIONS = ["control_functions"]
DETAILS = ["control_functions", "function_details"]


@pytest.mark.parametrize("document, expected", [
    (changed(FRESH_TYPE, ["name"], ...), ["'name' is missing"]),
    (changed(FRESH_TYPE, ["name"], "a b"), ["name: 'a b' is no id", "1 to 64 letters"]),
    (changed(FRESH_TYPE, ["name"], 7), ["name: expected text, found"]),
    (changed(FRESH_TYPE, ["sensor_data_structure"], ...), ["'sensor_data_structure' is missing"]),
    (changed(FRESH_TYPE, ["sensor_data_structure"], {}), ["sensor_data_structure", "at least one field"]),
    (changed(FRESH_TYPE, ["sensor_data_structure"], ["level"]), ["sensor_data_structure: expected an object, found"]),
    (
        changed(FRESH_TYPE, ["sensor_data_structure", "level"], "flaot"),
        ["sensor_data_structure.level: 'flaot' is no type: string, int, float or bool", "did you mean 'float'"],
    ),
    (changed(FRESH_TYPE, ["sensor_data_structure", "level"], None), ["sensor_data_structure.level"]),
    (changed(FRESH_TYPE, ["sensor_data_structure", "the level"], "int"), ["'the level' is no field name"]),
    (changed(FRESH_TYPE, ["sensor_data_structure", "1st"], "int"), ["'1st' is no field name", "not beginning with"]),
    (changed(FRESH_TYPE, ["sensor_data_structure", "x\"; DROP TABLE hub.sensor; --"], "int"), ["is no field name"]),
    *(
        (changed(FRESH_TYPE, ["sensor_data_structure", name], "int"), [f"the name '{name}' is taken by the hub"])
        for name in ("instance_id", "event_time", "boot", "seq", "received_at", "sensor", "ctid")
    ),
    (
        changed(FRESH_TYPE, ["sensor_data_structur"], {}),
        ["unknown key 'sensor_data_structur'", "did you mean 'sensor_data_structure'"],
    ),
    (changed(FRESH_TYPE, FUNCTIONS + ["number_of_functions"], 3), ["number_of_functions: says 3, but 2 are listed"]),
    (
        changed(FRESH_TYPE, DETAILS + [0, "number_of_parameters"], 1),
        ["function_details[0].number_of_parameters: says 1, but 4 are listed"],
    ),
    (changed(FRESH_TYPE, DETAILS + [1, "name"], "set_all"), ["function_details[1]", "stands here twice"]),
    (changed(FRESH_TYPE, DETAILS + [0, "params", 1, "name"], "level"), ["params[1]", "stands here twice"]),
    (changed(FRESH_TYPE, DETAILS + [0, "params", 0, "type"], "double"), ["params[0].type: 'double' is no type"]),
    (changed(FRESH_TYPE, DETAILS, ...), ["control_functions", "'function_details' is missing"]),
    (PROBE_TYPE | {"sensor_data_structure": {"other": "int"}}, ["field 'level', which is missing", "another type"]),
    (changed(PROBE_TYPE, ["sensor_data_structure", "level"], "int"), [
        "sensor_data_structure.level: is registered as float, and cannot become int"]),
    ([], ["there is no sensor type in it"]),
    ({}, ["is missing"]),
    ('"text"', ["expected an object"]),
    ({"sensor_type_list": 1}, ["sensor_type_list: expected a list"]),
    ({"sensor_type_list": [], "name": "x"}, ["unknown key 'name'"]),
    (FRESH_TYPE | {"sensor_data_structure": {f"f{n}": "int" for n in range(2_000)}}, ["2000 fields are more than"]),
])
def test_a_wrong_type_is_refused_with_place_and_expectation(
    hub: Hub, unchanged: None, tmp_path: Path, document: Any, expected: list[str],
) -> None:
    file = write(tmp_path / "types.json", document)
    error = error_of(hub, "types", "register", file)
    for text in [str(file), *expected]:
        assert text in error


def test_good_types_of_a_file_are_registered_beside_a_wrong_one(hub: Hub, tmp_path: Path) -> None:
    good = {"name": "beside", "sensor_data_structure": {"a": "int"}}
    file = write(tmp_path / "types.json", {"sensor_type_list": [good, good | {"name": "no id"}, good]})
    result = hub.run("types", "register", file)
    assert result.returncode == 1
    assert result.stdout == "beside: registered\nbeside: registered already\n"
    assert f"{file}: sensor_type_list[1].name: 'no id' is no id" in result.stderr
    assert "1 of 3 were refused" in result.stderr


# Sensors


FRESH = probe("fresh-1")


@pytest.mark.parametrize("document, expected", [
    (FRESH | {"sensor_type": "prob"}, ["sensor_type: 'prob' is not registered (did you mean 'probe'?)"]),
    ([probe("taken-1", site="taken"), FRESH | {"sensor_type": "prbe"}], [
        "[1].sensor_type: 'prbe'", "did you mean 'probe'"]),
    (changed(FRESH, ["sensor_type"], ...), ["'sensor_type' is missing"]),
    ({"sensor_typ": "probe", "name": "fresh-1"}, ["unknown key 'sensor_typ'", "did you mean 'sensor_type'"]),
    (FRESH | {"intervall": 1}, ["unknown key 'intervall'", "did you mean 'interval'"]),
    (FRESH | {"drivers": "x"}, ["unknown key 'drivers'", "did you mean 'driver'"]),
    (FRESH | {"no_of_fields": 3}, ["no_of_fields: says 3, but type 'probe' has 4"]),
    (FRESH | {"interval": 0}, ["interval: must be from 0.001 to 86400 seconds"]),
    (FRESH | {"interval": "1"}, ["interval: expected a number, found"]),
    (FRESH | {"node": "two words"}, ["node: 'two words' is no id"]),
    (probe("fresh-1", driver=False) | {"node": "vm"}, ["node", "no 'driver'"]),
    (FRESH | {"Name": "other"}, ["say the same thing twice"]),
    (probe("taken-1", site="other"), ["'taken-1' is already registered", "sensorhub sensors remove taken-1"]),
    ([], ["there is no sensor in it"]),
    ([7], ["[0]: expected an object, found"]),
    (FRESH | {"name": {"a": 1}}, ["name: expected text"]),
    (FRESH | {"name": "nul\0"}, ["NUL"]),
])
def test_a_wrong_sensor_is_refused_with_place_and_expectation(
    hub: Hub, unchanged: None, tmp_path: Path, document: Any, expected: list[str],
) -> None:
    file = write(tmp_path / "sensors.json", document)
    error = error_of(hub, "sensors", "register", file)
    for text in [str(file), *expected]:
        assert text in error


def test_the_same_sensor_twice_in_a_file_is_one_and_a_different_one_is_refused(hub: Hub, tmp_path: Path) -> None:
    first = probe("double-1", driver=False)
    file = write(tmp_path / "sensors.json", [first, first, first | {"site": "elsewhere"}])
    result = hub.run("sensors", "register", file)
    assert result.returncode == 1
    assert "[2]: sensor 'double-1' is already registered, and not the same" in result.stderr
    assert hub.value("SELECT count(*) FROM hub.sensor WHERE name = 'double-1'") == 1
    assert "site" not in hub.rpc("sensors", "show", name="double-1")["sensor"]["attributes"]


@pytest.mark.parametrize("sensor, reason", [
    (probe("wrong-driver") | {"driver": "simulatd"}, "did you mean 'simulated'"),
    (probe("wrong-driver") | {"simulate": {"level": {"pattern": "sinus"}}}, "sinus"),
    (probe("wrong-driver") | {"simulate": {"levle": {"pattern": "ramp"}}}, "levle"),
    (probe("wrong-driver") | {"driver": "system"}, "level"),
])
def test_a_driver_that_cannot_work_says_why_and_the_others_go_on(hub: Hub, sensor: dict[str, Any], reason: str) -> None:
    register(hub, sensor)
    wait_until(lambda: hub.program("wrong-driver").get("state") == "FATAL", what="FATAL")
    program = hub.program("wrong-driver")
    lines = hub.rpc("logs", "get", id="wrong-driver")["lines"]
    assert any(reason in line["text"] for line in lines) or reason in program["reason"], (program, lines)
    hub.cli("sensors", "remove", "wrong-driver")
    hub.wait_for_more_readings("taken-1", number=1)


def test_a_sensor_for_a_node_that_is_not_there_waits_for_it(hub: Hub) -> None:
    register(hub, probe("elsewhere-1") | {"node": "attic"})
    program = hub.program("elsewhere-1")
    assert (program["state"], program["code"], program["reason"]) == ("WAITING", 50, "waiting for node 'attic'")
    hub.cli("disable", "elsewhere-1")
    program = hub.program("elsewhere-1")
    assert (program["state"], program["code"], program["reason"]) == ("STOPPED", 0, "it is disabled")
    hub.cli("sensors", "remove", "elsewhere-1")


# Apps


def zip_with(entries: list[tuple[zipfile.ZipInfo | str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    config = json.dumps(app_config("bad", "main.sh", "probe"))
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("appConfig.json", config)
        archive.writestr("main.sh", SLEEPER)
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def link(name: str, target: str) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target.encode()


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("appConfig.json", json.dumps(app_config("bad", "main.sh", "probe")))
        with archive.open("main.sh", "w", force_zip64=True) as file:
            for _ in range(300):
                file.write(bytes(1 << 20))
    assert len(buffer.getvalue()) < 4 << 20
    return buffer.getvalue()


def packed(*files: tuple[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


def with_config(change: Callable[[dict[str, Any]], Any]) -> bytes:
    config = app_config("bad", "main.sh", "probe")
    change(config)
    return packed(("appConfig.json", json.dumps(config)), ("main.sh", SLEEPER))


@pytest.mark.parametrize("make, expected", [
    (lambda: zip_with([("../outside", b"x")]), ["'../outside' leads out of the archive"]),
    (lambda: zip_with([("a/../../outside", b"x")]), ["leads out of the archive"]),
    (lambda: zip_with([("/etc/outside", b"x")]), ["'/etc/outside' leads out of the archive"]),
    (lambda: zip_with([("a\\..\\b", b"x")]), ["leads out of the archive"]),
    (lambda: zip_with([link("passwd", "/etc/passwd")]), ["'passwd' is neither a file nor a folder"]),
    (lambda: zip_with([(f"f{n}", b"") for n in range(10_001)]), ["more than 10000 entries"]),
    (bomb, ["unpacks to more than 256 MiB"]),
    (lambda: b"this is no archive" * 10, ["neither a zip nor a tar.gz"]),
    (lambda: zip_with([])[:-40], []),
    (lambda: zip_with([])[:200] + bytes(100) + zip_with([])[300:], []),
    (lambda: b"", ["bad.zip"]),
    (lambda: os.urandom(33 << 20), ["larger than 32 MiB"]),
    (lambda: packed(("main.sh", SLEEPER)), ["no appConfig.json at its top level"]),
    (
        lambda: packed(("app/appConfig.json", "{}"), ("app/main.sh", "")),
        ["it is at 'app/appConfig.json'", "pack the files"],
    ),
    (lambda: packed(("appConfig.json", "{"), ("main.sh", "")), ["appConfig.json: not valid JSON"]),
    (
        lambda: with_config(lambda c: c["algorithm_list"][0]["script"].update(name="mian.sh")),
        ["appConfig.json: algorithm_list[0].script.name: the archive has no file 'mian.sh' (did you mean 'main.sh'?)"],
    ),
    (
        lambda: with_config(lambda c: c["algorithm_list"][0]["script"].update(name="/bin/sh")),
        ["script.name", "no path inside"],
    ),
    (
        lambda: with_config(lambda c: c.update(application_id="good")),
        ["appConfig.json: application_id: is 'good', but the app is installed as 'bad'"],
    ),
    (lambda: with_config(lambda c: c.update(algorithm_list=[])), ["algorithm_list: at least one algorithm"]),
    (lambda: with_config(lambda c: c["algorithm_list"].append(c["algorithm_list"][0])), ["algorithm_list[1]", "twice"]),
    (
        lambda: with_config(lambda c: c.update(aplication_name="x")),
        ["unknown key 'aplication_name'", "application_name"],
    ),
    *(
        (
            lambda name=name: with_config(lambda c: c["environment"].update(modules=[name])),
            ["modules[0]", "no PyPI package"],
        )
        for name in ("--index-url=http://x", "./here", "git+https://x/y", "a b", "numpy; python_version<'3'", "-r x")
    ),
])
def test_a_wrong_archive_is_refused_with_the_reason(
    hub: Hub, unchanged: None, tmp_path: Path, make: Callable[[], bytes], expected: list[str],
) -> None:
    file = write(tmp_path / "bad.zip", make())
    error = error_of(hub, "apps", "install", "bad", file)
    for text in [str(file), *expected]:
        assert text in error
    assert not [path for path in (hub.data / "agent" / "apps").rglob("*") if "outside" in path.name]


def test_an_app_id_that_is_none_is_refused(hub: Hub, unchanged: None, tmp_path: Path) -> None:
    file = app_zip(tmp_path, "good", "main.sh", SLEEPER, "probe")
    assert "app_id: '../x' is no id" in error_of(hub, "apps", "install", "../x", file)
    assert "'absent' is not installed" in error_of(hub, "apps", "delete", "absent")
    assert "did you mean 'taken'" in error_of(hub, "apps", "delete", "takn")


# Deployments


GOOD = deployment("taken", {"sensor_type": "probe", "filter_sensors": {"site": "taken"}})


@pytest.mark.parametrize("document, expected", [
    (changed(GOOD, ["1", "application_id"], "takn"), [
        "1.application_id: app 'takn' is not installed (did you mean 'taken'?)"]),
    (changed(GOOD, ["1", "algorithm_name"], "mian"), ["1.algorithm_name: app 'taken' has no algorithm 'mian'", "main"]),
    (changed(GOOD, ["1", "application_id"], ...), ["1: 'application_id' is missing"]),
    (changed(GOOD, ["noOfAlgo"], 2), ["noOfAlgo: says 2, but there is no entry \"2\""]),
    (changed(GOOD, ["noOfAlgo"], ...), ["'noOfAlgo' is missing"]),
    (changed(GOOD, ["noOfAlgo"], 0), ["noOfAlgo: must be from 1"]),
    (GOOD | {"2": GOOD["1"]}, ["unknown key '2'"]),
    (changed(GOOD, ["1", "sensor_info", 0, "sensor_type"], "gps-x"), [
        "1.sensor_info[0].sensor_type: is 'gps-x', but algorithm 'main' has 'probe' there"]),
    (changed(GOOD, ["1", "sensor_info"], []), ["1.sensor_info: algorithm 'main' has 1 input sensors, but 0 are given"]),
    (changed(GOOD, ["1", "sensor_info", 0, "filter_sensors"], {"site": "nowhere"}), [
        'entry "1": position 0 needs 1 of type \'probe\' with {"site":"nowhere"}, 0 found']),
    (changed(GOOD, ["1", "sensor_info", 0, "filter_sensors"], [{"site": "taken"}, {"site": "x"}]), [
        "1.sensor_info[0].filter_sensors[1]", "no sensor has both"]),
    (changed(GOOD, ["1", "sensor_info", 0, "count"], 50), ["needs 50 of type 'probe'", "2 found"]),
    (changed(GOOD, ["1", "sensor_info", 0, "count"], "5-2"), ["1.sensor_info[0].count: the range is empty"]),
    (changed(GOOD, ["1", "sensor_info", 0, "count"], "some"), ["1.sensor_info[0].count: expected a number, a range"]),
    (changed(GOOD, ["1", "sensor_info", 0, "count"], 0), ["1.sensor_info[0].count: must be from 1"]),
    (changed(GOOD, ["1", "sensor_info", 0, "filter"], {}), ["1.sensor_info[0]: unknown key 'filter'"]),
    *(
        (changed(GOOD, ["1", "scheduling_info", key], value), [
            f"1.scheduling_info.{key}: schedules are not possible yet"])
        for key, value in (("start_time", "10:00"), ("end_time", "11:00"), ("days", ["Monday"]), ("interval", 5))
    ),
    (changed(GOOD, ["1", "scheduling_info", "request_type"], "stop"), [
        "1.scheduling_info.request_type: only 'start' is possible here", "sensorhub stop"]),
    (changed(GOOD, ["1", "scheduling_info", "weekday"], 1), ["1.scheduling_info: unknown key 'weekday'"]),
    (changed(GOOD, ["1", "environment", "lang"], "perl"), [
        "1.environment.lang: 'perl' is not known: one of executable, "]),
    (changed(GOOD, ["1", "environment", "dependencies"], ["numpy"]), ["dependencies are for lang python, not for 'executable'"]),
    (changed(GOOD, ["1", "environment"], {"dependencies": ["--evil"]}), ["1.environment.dependencies[0]"]),
    ([GOOD], ["expected an object, found"]),
    ({}, ["'noOfAlgo' is missing"]),
    (
        {"noOfAlgo": 2, "1": GOOD["1"], "2": GOOD["1"] | {"algorithm_name": "mian"}},
        ["2.algorithm_name: app 'taken' has no algorithm 'mian'", "another entry of this deployment is wrong"],
    ),
])
@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["deploy", "dry run"])
def test_a_wrong_deployment_is_refused_and_starts_nothing(
    hub: Hub, unchanged: None, tmp_path: Path, document: Any, expected: list[str], options: list[str],
) -> None:
    file = write(tmp_path / "deployConfig.json", document)
    error = error_of(hub, "deploy", file, *options)
    for text in [str(file), *expected]:
        assert text in error


def test_an_algorithm_that_fails_says_why(hub: Hub, tmp_path: Path) -> None:
    archive = app_zip(tmp_path, "failing", "main.sh", "#!/bin/nothing-like-this\n", "probe")
    hub.cli("apps", "install", "failing", archive)
    file = write(tmp_path / "deployConfig.json", changed(GOOD, ["1", "application_id"], "failing"))
    instance = hub.json("deploy", file)["entries"][0]["instance_id"]

    def failed() -> Optional[dict[str, Any]]:
        program = hub.program(instance)
        return program if program["state"] in ("BACKOFF", "FATAL") else None

    reason = wait_until(failed, what="a failed start")["reason"]
    assert "main.sh" in reason and "interpreter" in reason
    hub.cli("stop", instance)
