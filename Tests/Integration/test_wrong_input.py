"""Everything that people, devices and programs can get wrong: one clear error each, nothing changed, nothing dead."""

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
from mqtt import Peer
from samples import (
    PROBE_TYPE, READING, SLEEPER, app_config, app_zip, deploy_sleeper, deployment, probe, register, write,
)

# Tables that only people's requests change.
TABLES = ("sensor_type", "sensor_field", "sensor", "app", "app_version", "algorithm_instance", "binding", "broker_user")


@pytest.fixture(scope="module", autouse=True)
def nothing_dies(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same processes run at the end of this file as at its beginning, and the readings go on."""
    register(hub, probe("taken-1", site="taken"), probe("taken-2", driver=False, site="taken"))
    instance = deploy_sleeper(hub, tmp_path_factory.mktemp("taken"), "taken", {"site": "taken"})
    hub.wait_until_running("taken-1")

    def processes() -> dict[str, int]:
        parts = {name: hub.part(name) for name in ("hub", "agent", "mosquitto", "postgres")}
        return parts | {id: hub.program(id)["pid"] for id in ("taken-1", instance)}

    before = processes()
    yield
    hub.rpc("hub", "status")
    hub.wait_for_more_readings("taken-1")
    assert processes() == before


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
    assert "waiting for node 'attic'" in hub.program("elsewhere-1")["reason"]
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
        "1.environment.lang: 'perl' is not known: python or executable"]),
    (changed(GOOD, ["1", "environment", "dependencies"], ["numpy"]), ["dependencies are for lang python"]),
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
    wait_until(lambda: hub.program(instance)["state"] in ("BACKOFF", "FATAL"), what="a failed start")
    reason = hub.program(instance)["reason"]
    assert "main.sh" in reason and "interpreter" in reason
    hub.cli("stop", instance)


# Readings


@pytest.fixture(scope="module")
def device(hub: Hub, nothing_dies: None) -> Iterator[Peer]:
    register(hub, probe("wrong-1", driver=False))
    with hub.as_device("wrong-1") as peer:
        yield peer


def newest_letter(hub: Hub) -> int:
    return int(hub.value("SELECT coalesce(max(id), 0) FROM hub.dead_letter"))


def letters_since(hub: Hub, last: int, topic: str) -> list[dict[str, Any]]:
    return hub.sql("SELECT * FROM hub.dead_letter WHERE id > %s AND topic = %s ORDER BY id", last, topic)


def keyed(t: Any, seq: Any, v: Any, boot: Any = 1) -> dict[str, Any]:
    return {"t": t, "boot": boot, "seq": seq, "v": v}


TIME = 1_763_677_055_123_456


@pytest.mark.parametrize("payload, field, reason", [
    (b"not JSON", "", "not valid JSON"),
    (b"", "", "not valid JSON: empty"),
    (os.urandom(1_000), "", "not valid JSON"),
    (b"\xff" * 10, "", "not valid JSON"),
    (b"7", "", "expected an object, found a whole number"),
    (b"null", "", "expected an object, found null"),
    ({}, "", "there is no value in it"),
    ({"level": None}, "", "there is no value in it"),
    ({"levle": 1}, "levle", "no such field (did you mean 'level'?)"),
    ({"level": "1"}, "level", "expected a number, found text"),
    ({"count": 1.5}, "count", "expected a whole number, found a number"),
    ({"count": True}, "count", "expected a whole number, found true or false"),
    (b'{"count": 9223372036854775808}', "count", "expected a whole number"),
    (b'{"count": 123456789012345678901234567890}', "", "not valid JSON"),
    (b'{"level": 1e999}', "", "not valid JSON"),
    ({"select": "a\0b"}, "select", "NUL"),
    ({"Open": 1}, "Open", "expected true or false, found a whole number"),
    ({"level": [1]}, "level", "expected a number, found a list"),
    ({"level": {"a": 1}}, "level", "expected a number, found an object"),
    (b'{"level": 1, "level": 2}', "level", "twice"),
    (b'{"level": ' + b"[" * 2_000 + b"]" * 2_000 + b"}", "", "not valid JSON"),
    (b'{"level": ' + b"[" * 1_000 + b"]" * 1_000 + b"}", "level", "expected a number, found a list"),
    (keyed(TIME, 1, {"level": "x"}), "v.level", "expected a number, found text"),
    (keyed(TIME, 1, {"a\0b": 1}), "v.ab", "no such field"),
    (keyed(TIME, 1, {}), "v", "there is no value in it"),
    (keyed(None, 1, {"level": 1}), "t", "expected a whole number, found null"),
    (keyed("now", 1, {"level": 1}), "t", "expected a whole number, found text"),
    (keyed(-1, 1, {"level": 1}), "t", "-1 is out of range"),
    (keyed(TIME * 1_000, 1, {"level": 1}), "t", "is out of range"),
    (keyed(TIME, -1, {"level": 1}), "seq", "-1 is out of range"),
    (keyed(TIME, 1.5, {"level": 1}), "seq", "expected a whole number"),
    (keyed(TIME, 1, {"level": 1}, boot=[]), "boot", "expected a whole number, found a list"),
    ({"t": TIME, "v": {"level": 1}}, "boot", "is missing"),
    (keyed(TIME, 1, {"level": 1}) | {"unit": "lux"}, "", "and no other key"),
])
def test_a_wrong_reading_is_kept_with_field_and_reason_and_good_ones_pass(
    hub: Hub, device: Peer, payload: Any, field: str, reason: str,
) -> None:
    payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    topic = hub.topic("sensors/wrong-1/data")
    before, last = hub.count("wrong-1"), newest_letter(hub)
    device.publish(topic, READING)
    device.publish(topic, payload)
    device.publish(topic, READING)
    (letter,) = wait_until(lambda: letters_since(hub, last, topic), what="the dead letter")
    assert letter["field"] == field and reason in letter["reason"]
    assert letter["payload"] == payload
    (shown,) = hub.sql("SELECT field, reason FROM report.dead_letter WHERE id = %s", letter["id"])
    assert shown == {"field": field, "reason": letter["reason"]}
    wait_until(lambda: hub.count("wrong-1") == before + 2, what="the good readings")


def test_of_an_array_the_good_readings_are_stored(hub: Hub, device: Peer) -> None:
    before, last = hub.count("wrong-1"), newest_letter(hub)
    bad = keyed(TIME, 2, {"level": 1, "colour": "red"})
    device.publish(
        hub.topic("sensors/wrong-1/data"),
        [keyed(TIME, 1, {"level": 1}, 5), bad, keyed(TIME, 3, {"level": 3}, 5), 7, {"level": 4.0}])
    wait_until(lambda: hub.count("wrong-1") == before + 3, what="the good readings")
    letters = letters_since(hub, last, hub.topic("sensors/wrong-1/data"))
    assert [letter["field"] for letter in letters] == ["v.colour", ""]
    assert json.loads(letters[0]["payload"]) == bad


def test_readings_beyond_the_types_range_are_stored_as_they_are(hub: Hub, device: Peer) -> None:
    values: list[dict[str, Any]] = [
        {"count": (1 << 63) - 1}, {"count": -(1 << 63)}, {"level": 1e308}, {"level": -0.0}, {"level": 5},
        {"select": "ä€𝄞\"\\\n\t"}, {"select": ""}, {"select": "x" * 100_000}, {"Open": False}]
    for number, value in enumerate(values):
        device.publish(hub.topic("sensors/wrong-1/data"), keyed(4_000_000_000_000_000 + number, number, value, 9))

    def stored() -> list[dict[str, Any]]:
        readings = hub.rpc("readings", "get", sensor="wrong-1", last=len(values))["readings"]
        return [reading for reading in readings if reading["boot"] == 9]

    wait_until(lambda: len(stored()) == len(values), what="the readings")
    nothing = {"level": None, "count": None, "select": None, "Open": None}
    assert [reading["v"] for reading in stored()] == [nothing | value for value in values]


def test_a_reading_that_comes_twice_is_there_once(hub: Hub, device: Peer) -> None:
    before = hub.count("wrong-1")
    reading = keyed(TIME + 1, 1, {"level": 7}, 77)
    for _ in range(3):
        device.publish(hub.topic("sensors/wrong-1/data"), [reading, reading])
    device.publish(hub.topic("sensors/wrong-1/data"), READING)
    wait_until(lambda: hub.count("wrong-1") == before + 2, what="one of the first and one of the second")


def test_a_sensor_that_nobody_knows_is_a_dead_letter(hub: Hub) -> None:
    with hub.as_hub() as speaker:
        for name in ("never-registered", "user.owner", "x" * 100, "ä"):
            last = newest_letter(hub)
            topic = hub.topic(f"sensors/{name}/data")
            assert speaker.may_publish(topic, READING)
            (letter,) = wait_until(lambda: letters_since(hub, last, topic), what="the dead letter")
            assert letter["reason"] == "no such sensor is registered"


# Requests


@pytest.mark.parametrize("payload, expected", [
    (b"garbage", "the request is not valid JSON"),
    (os.urandom(5 << 20), "the request is not valid JSON"),
    (b"[" * (5 << 20), "the request is not valid JSON"),
    (b"[]", "a request is an object, not"),
    (b'"text"', "a request is an object, not"),
    (b'{"nmae": "taken-1"}', "unknown key 'nmae' (did you mean 'name'?)"),
    (b"{}", "'name' is missing"),
    (b"", "'name' is missing"),
    (b'{"name": 7}', "name: expected text, found"),
    (b'{"name": null}', "'name' is missing"),
    (json.dumps({"name": "x" * 1_000_000}).encode(), "is not registered"),
    (b'{"name": ' + b"[" * 900 + b"]" * 900 + b"}", "name: expected text, found"),
], ids=[
    "garbage", "5 MB", "5 MB of brackets", "list", "text", "misspelt", "missing", "empty", "number", "null", "long",
    "deep",
])
def test_a_wrong_request_gets_a_reply_that_says_what_is_wrong(hub: Hub, payload: bytes, expected: str) -> None:
    reply = hub.owner.request(hub.topic("rpc/sensors/show"), payload, hub.topic("clients/user.owner/tests"))
    assert reply["status"] in (400, 404) and expected in reply["error"]
    assert len(reply["error"]) < 1_000


def test_an_unknown_request_is_answered_with_what_was_meant(hub: Hub) -> None:
    reply = hub.request("sensors", "lst")
    assert reply["status"] == 404
    assert reply["error"] == "there is no request 'sensors/lst' (did you mean 'sensors/list'?)"
    assert hub.request("x" * 500, "y")["status"] == 404


def test_a_request_without_a_way_back_harms_nobody(hub: Hub) -> None:
    for payload in ({}, {"id": 1}, {"reply_to": 7}, {"reply_to": None}, {"reply_to": "x" * 60_000}):
        assert hub.owner.may_publish(hub.topic("rpc/sensors/list"), payload)
    assert hub.request("hub", "status")["status"] == 200


@pytest.mark.parametrize("last", [0, -1, 10_001, 1.5, "ten", 1 << 63])
def test_a_number_out_of_range_is_refused(hub: Hub, last: Any) -> None:
    for reply in (hub.request("logs", "get", id="taken-1", last=last),
                  hub.request("readings", "get", sensor="taken-1", last=last)):
        assert reply["status"] == 400 and reply["error"].startswith("last: ")


# Garbage


GARBAGE = [
    b"", b"\0", b"{", b"[]", b"null", b"7", b'""', b"{}", os.urandom(2_000), b"\xff\xfe\xfd", b"[" * 5_000,
    b'{"kind": 7}', b'{"kind": "state"}', b'{"kind": "plan", "programs": 7}', b'{"kind": "snapshot", "programs": [7]}',
    b'{"id": 7}', b'{"id": "x", "function": 7}', b'{"boot": "x", "seq": -1}', b'{"boot": 9e99, "seq": 1}',
    b'{"status": 7}', b'{"status": "gone", "reason": 7}', b'{"t": 1e30, "stream": "stdout", "text": "x"}',
    b'[{"t": 1, "stream": "\\u0000", "text": "\\u0000"}]', b'{"instance": "x", "version": "y", "positions": 7}',
    json.dumps({"id": "x" * 70_000, "function": "shut", "params": {}}).encode(),
]


def test_garbage_on_every_topic_that_somebody_may_write_to_kills_nothing(hub: Hub, device: Peer) -> None:
    node = hub.node
    topics: list[tuple[Callable[[], Peer], list[str]]] = [
        (lambda: hub.as_owner(), ["sensors/taken-1/control", "sensors/wrong-1/control", "rpc/hub/status", "rpc/a/b"]),
        (lambda: hub.as_device("taken-2"), [f"sensors/taken-2/{leaf}" for leaf in ("data", "status", "control/reply")]),
        (lambda: hub.as_program("taken-1"), [f"sensors/taken-1/{leaf}" for leaf in ("status", "control/reply")]),
        (lambda: hub.as_program("taken-main-1"), ["sensors/taken-1/control", "apps/taken/page"]),
        (lambda: hub.as_node(), [
            f"nodes/{node}/status", f"nodes/{node}/report", "sensors/taken-1/log", "sensors/taken-1/events",
            "algorithms/taken-main-1/log", "algorithms/taken-main-1/events"]),
        # What comes from the hub is trusted for its content, not for its form.
        (lambda: hub.as_hub(), [
            f"nodes/{node}/command", f"nodes/{node}/archive/{'0' * 64}", f"nodes/{node}/archive/x", "status",
            "sensors/taken-1/committed", "algorithms/taken-main-1/binding", "nodes/../status", "sensors//data", "x"]),
    ]
    for connect, rests in topics:
        with connect() as peer:
            for rest in rests:
                for payload in GARBAGE:
                    peer.publish(hub.topic(rest), payload)
    hub.rpc("hub", "status")
    hub.wait_for_more_readings("taken-1")
    hub.cli("control", "taken-1", "shut")
