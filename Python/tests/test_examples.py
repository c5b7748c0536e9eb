"""The apps in Examples/: their files fit each other, and their algorithms do what they say."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import time
from pathlib import Path
from typing import Any, Callable

import pytest
from broker import INSTANCE, Broker
from peers import ROOT, FakeDriver, FakeHub, FakeIngest, sensor, wait_until

EXAMPLES = Path(__file__).parent.parent.parent / "Examples"
FOLDERS = ["bus-management", "comfort", "load-alarm", "template"]
Program = Callable[..., "subprocess.Popen[str]"]
Driver = Callable[..., FakeDriver]


def load(*path: str) -> Any:
    return json.loads(EXAMPLES.joinpath(*path).read_text())


def types_of(folder: str) -> dict[str, Any]:
    document = load(folder, "sensorTypeRegistration.json")
    listed = document["sensor_type_list"] if "sensor_type_list" in document else [document]
    return {one["name"]: one for one in listed}


def instances_of(folder: str) -> list[Any]:
    document = load(folder, "sensorInstance.json")
    return document if isinstance(document, list) else [document]


def functions_of(sensor_type: Any) -> dict[str, list[str]]:
    details = sensor_type.get("control_functions", {}).get("function_details", [])
    return {function["name"]: [one["name"] for one in function["params"]] for function in details}


@pytest.mark.parametrize("folder", FOLDERS)
def test_sensors_fit_their_types(folder: str) -> None:
    types = types_of(folder)
    for instance in instances_of(folder):
        fields = types[instance["sensor_type"]]["sensor_data_structure"]
        assert instance.get("no_of_fields", len(fields)) == len(fields)
        for field, pattern in instance.get("simulate", {}).items():
            assert field in fields
            assert set(pattern.get("add", {})) <= set(fields)
        functions = functions_of(types[instance["sensor_type"]])
        for function, sets in instance.get("on_control", {}).items():
            assert set(sets) <= set(fields)
            assert {value[1:] for value in sets.values() if str(value).startswith("$")} <= set(functions[function])


@pytest.mark.parametrize("folder", FOLDERS)
def test_deployment_fits_app_and_sensors(folder: str) -> None:
    config, deployment = load(folder, "app", "appConfig.json"), load(folder, "deployConfig.json")
    algorithms = {one["algorithm_name"]: one for one in config["algorithm_list"]}
    entries = {key: value for key, value in deployment.items() if key != "noOfAlgo"}
    assert list(entries) == [str(number + 1) for number in range(deployment["noOfAlgo"])]
    for entry in entries.values():
        algorithm = algorithms[entry["algorithm_name"]]
        assert entry["application_id"] == config["application_id"]
        assert (EXAMPLES / folder / "app" / algorithm["script"]["name"]).is_file()
        wanted = [one["sensor_type"] for one in algorithm["input_sensors"]]
        info = entry.get("sensor_info", algorithm["input_sensors"])
        assert [one["sensor_type"] for one in info] == wanted
        outputs = {one["name"]: one for one in instances_of(folder) if "name" in one}
        written = [outputs[id] for id in entry.get("output_info", [])]
        assert [one["sensor_type"] for one in written] == [
            one["sensor_type"] for one in algorithm.get("output_sensors", [])]
        assert not any("driver" in one for one in written)
        for position in info:
            given = position.get("filter_sensors", {})
            filters = {k: v for one in (given if isinstance(given, list) else [given]) for k, v in one.items()}
            assert any(
                instance["sensor_type"] == position["sensor_type"]
                and all(instance.get(key) == value for key, value in filters.items())
                for instance in instances_of(folder)
            )


def lines_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    output = ""
    for line in process.stdout:
        output += line
        if text in line:
            return output
    raise AssertionError(f"'{text}' never came: {output}")


def feed(hub: FakeHub, send: Callable[[], Any]) -> Any:
    """Sends until the program has subscribed, and returns its first page."""
    deadline = time.monotonic() + 60
    while hub.received.empty():
        assert time.monotonic() < deadline
        send()
        time.sleep(0.1)
    return hub.page()


def test_light_control(hub: FakeHub, driver: Driver, program: Program) -> None:
    lit = [False]

    def switch(call: dict[str, Any]) -> dict[str, Any]:
        lit[0] = call["params"]["on"]
        return {"status": "done"}

    lux = driver("lux-1", answer=switch)
    hub.bind_ids(("luxsensor", "lux-1"))
    program(EXAMPLES / "bus-management" / "app" / "lightControl.py")
    page = feed(hub, lambda: lux.send(lux=5 + 60 * lit[0], light=lit[0]))
    assert (page["sensor"], page["light"]) == ("lux-1", "on")
    # Two days and nights as in sensorInstance.json, with the light that shines on its own sensor.
    for step in range(240):
        ambient = 100 - 100 * math.cos(step / 120 * 2 * math.pi)
        reading = lux.send(lux=ambient + 60 * lit[0], light=lit[0])["v"]
        # The time of this test goes on when the program has come so far.
        if reading["lux"] < 40 or (reading["lux"] > 150 and reading["light"]):
            wait_until(lambda: lit[0] == (reading["lux"] < 40))
        time.sleep(0.005)
    assert [call["params"]["on"] for call in lux.calls] == [True, False, True, False, True]


def test_fare_calculator(hub: FakeHub, driver: Driver, program: Program) -> None:
    gps, biometric = driver("gps-1"), driver("bio-1")
    hub.bind_ids(("gps", "gps-1"), ("biometric", "bio-1"))
    process = program(EXAMPLES / "bus-management" / "app" / "fareCalculator.py")

    def ride() -> None:
        gps.send(latitude=17.0, longitude=78.0)
        for _ in range(3):
            biometric.send(passenger_id="asha", boarded=True)
        time.sleep(0.1)
        gps.send(latitude=18.0, longitude=78.0)
        # Two drivers: the broker keeps the order of each, not the one between them.
        time.sleep(0.1)
        for _ in range(3):
            biometric.send(passenger_id="asha", boarded=False)

    page = feed(hub, ride)
    while page["distance_km"] == 0:
        # The program had just subscribed, and heard of that ride's end alone.
        page = feed(hub, ride)
    # One degree of latitude is 111.195 km on a sphere with the earth's mean radius.
    assert page["distance_km"] == pytest.approx(111.195, abs=0.001)
    assert page["fare"] == pytest.approx(10 + 5 * 111.195, abs=0.01)
    assert "asha got off" in lines_until(process, "got off after 111.20 km: fare 565.98")


def test_fare_of_who_boarded_before_the_first_position() -> None:
    path = EXAMPLES / "bus-management" / "app" / "fareCalculator.py"
    spec = importlib.util.spec_from_file_location("fareCalculator", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    bus = module.Bus()
    assert bus.boarded("asha") and not bus.boarded("asha")
    bus.moved((17.0, 78.0))
    bus.moved((18.0, 78.0))
    assert bus.alighted("asha") == pytest.approx(111.195, abs=0.001)
    assert bus.alighted("asha") is None


def machine(hub: FakeHub) -> None:
    fields = types_of("load-alarm")["system"]["sensor_data_structure"]
    document = {**sensor("machine-1", "gps"), "fields": fields}
    hub.bind(("system", [document]))


def test_load_alarm(hub: FakeHub, driver: Driver, program: Program) -> None:
    system = driver("machine-1")
    machine(hub)
    process = program(EXAMPLES / "load-alarm" / "app" / "loadAlarm.py")
    page = feed(hub, lambda: system.send(cpu_percent=5, uptime_seconds=1))
    assert page["alarms"] == [] and page["memory_used_percent"] is None
    assert "machine-1: cpu 5 %, memory unknown" in lines_until(process, "cpu")
    for cpu in (85, 75, 85, 65, 55, 75):
        system.send(cpu_percent=cpu)
    assert lines_until(process, "normal again").splitlines() == [
        "machine-1: cpu high, 85 %",
        "machine-1: cpu normal again, 55 %",
    ]
    assert [hub.page()["alarms"], hub.page()["alarms"]] == [["cpu"], []]


def test_template(hub: FakeHub, driver: Driver, program: Program) -> None:
    thermometer = driver("thermometer-1")
    registered = types_of("template")["my-sensor"]
    document = {
        **sensor("thermometer-1", "luxsensor"),
        "fields": registered["sensor_data_structure"],
        "functions": registered["control_functions"]["function_details"],
    }
    hub.bind(("my-sensor", [document]))
    process = program(EXAMPLES / "template" / "app" / "myAlgorithm.py")
    page = feed(hub, lambda: thermometer.send(temperature=20.5, fan=False))
    assert page == {"sensor": "thermometer-1", "temperature": 20.5, "fan": False}
    assert "thermometer-1: 20.5 °C, fan off" in lines_until(process, "°C")
    assert thermometer.calls == []
    thermometer.send(temperature=30, fan=False)
    wait_until(lambda: [call["params"] for call in thermometer.calls] == [{"on": True}])
    thermometer.send(temperature=20, fan=True)
    wait_until(lambda: [call["params"] for call in thermometer.calls] == [{"on": True}, {"on": False}])


def test_comfort(hub: FakeHub, broker: Broker, driver: Driver, program: Program) -> None:
    types = {name: {"fields": one["sensor_data_structure"]} for name, one in types_of("comfort").items()}
    document = {
        "instance": INSTANCE, "app": "comfort", "algorithm": "comfort", "version": 1_000, "reason": "test",
        "positions": [
            {"index": 0, "sensor_type": "thermometer", "sensors": [sensor("lux-1", types["thermometer"])]},
            {"index": 1, "sensor_type": "hygrometer", "sensors": [sensor("lux-2", types["hygrometer"])]},
        ],
        "outputs": [{"index": 0, "sensor_type": "comfort", "sensor": {
            **sensor("comfort-1", types["comfort"]), "committed": f"{ROOT}/sensors/comfort-1/committed"}}],
    }
    hub.publish(f"{ROOT}/algorithms/{INSTANCE}/binding", document, retain=True)
    thermometer, hygrometer = driver("lux-1"), driver("lux-2")
    with FakeIngest(broker, "comfort-1") as ingest:
        program(EXAMPLES / "comfort" / "app" / "comfort.py")
        deadline = time.monotonic() + 60
        while not ingest.stored:
            assert time.monotonic() < deadline
            hygrometer.send(humidity=50.0)
            reading = thermometer.send(temperature=25.0)
            time.sleep(0.1)
        hygrometer.send(humidity=80.0)
        thermometer.send(temperature=None)
        thermometer.send(temperature=25)
        wait_until(lambda: list(ingest.stored.values())[-1]["v"] == {"dew_point": 21.31, "comfortable": False})
    # 25 °C and 50 % have a dew point of 13.9 °C (psychrometric tables).
    first = list(ingest.stored.values())[0]
    assert first["v"] == {"dew_point": 13.86, "comfortable": True}
    assert first["t"] <= reading["t"]
    hub.unbind()


def test_dew_point() -> None:
    spec = importlib.util.spec_from_file_location("comfort", EXAMPLES / "comfort" / "app" / "comfort.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for temperature in (-40, 0, 20, 50):
        assert module.dew_point(temperature, 100) == pytest.approx(temperature)
    # Saturation vapour pressures in hPa of ice-free water (Goff and Gratch): half of that at 20 °C is that at 9.27 °C.
    assert module.dew_point(20, 50) == pytest.approx(9.27, abs=0.02)
    assert module.comfort(None, 50) is None and module.comfort(20, 0) is None and module.comfort(20, 101) is None
    assert module.comfort(27, 30)["comfortable"] is False and module.comfort(19.9, 30)["comfortable"] is False
