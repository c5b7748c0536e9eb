"""A sensor type, sensors and apps for the tests."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, Mapping, Union

from hub import Hub, wait_until

# Has a field and a parameter of each type, and the names of Python, SQL and people in it.
PROBE_TYPE = {
    "name": "probe",
    "company": "Tests",
    "sensor_data_structure": {"level": "float", "count": "int", "select": "string", "Open": "bool"},
    "control_functions": {
        "number_of_functions": 2,
        "function_details": [
            {
                "name": "set_all",
                "number_of_parameters": 4,
                "params": [
                    {"name": "level", "type": "float"}, {"name": "count", "type": "int"},
                    {"name": "select", "type": "string"}, {"name": "Open", "type": "bool"},
                ],
            },
            {"name": "shut", "number_of_parameters": 0, "params": []},
        ],
    },
}

READING = {"level": 1.5, "count": 1, "select": "text", "Open": True}

# Says who it is, and runs until it is asked to stop.
SLEEPER = """\
#!/bin/sh
trap 'echo farewell; exit 0' TERM
echo "instance $1 of $SENSORHUB_APP at $SENSORHUB_BROKER"
echo "a word on the error output" >&2
while :; do sleep 0.1; done
"""

# Prints what it is bound to, and which sensors it hears.
WATCHER = """\
from sensorhub import Platform


def describe(binding):
    ids = [[sensor.id for sensor in position.sensors] for position in binding.positions]
    print(f"binding {binding.version}: {ids}", flush=True)


with Platform() as platform:
    platform.on_binding_change(describe)
    for reading in platform.readings():
        print(f"heard {reading.sensor_id}", flush=True)
"""


def probe(name: str, *, driver: bool = True, interval: float = 0.1, **attributes: Any) -> dict[str, Any]:
    """A sensor; without a driver it is a device that publishes by itself."""
    sensor: dict[str, Any] = {"sensor_type": "probe", "name": name, "no_of_fields": 4, **attributes}
    if driver:
        sensor |= {
            "driver": "simulated", "interval": interval,
            "simulate": {"level": {"pattern": "ramp", "min": 0, "max": 100, "period_seconds": 10}},
            "on_control": {"shut": {"Open": False}},
        }
    return sensor


def register(hub: Hub, *sensors: dict[str, Any]) -> None:
    """Registers sensors, and their type if it is not there yet."""
    hub.rpc("types", "register", document=PROBE_TYPE)
    hub.rpc("sensors", "register", document=list(sensors))


def write(path: Path, content: Any) -> Path:
    """Writes text, bytes, or a document as JSON."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
    return path


def make_zip(path: Path, files: Mapping[str, Union[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def app_config(id: str, script: str, *sensor_types: str) -> dict[str, Any]:
    return {
        "application_name": f"The app {id}",
        "application_id": id,
        "developer_id": "tests",
        "environment": {"os": "linux", "modules": []},
        "algorithm_list": [
            {
                "algorithm_name": "main",
                "script": {"name": script},
                "input_sensors": [{"sensor_type": name} for name in sensor_types],
            }
        ],
    }


def app_zip(folder: Path, id: str, script: str, text: str, *sensor_types: str) -> Path:
    """An app with one algorithm, `main`."""
    config = json.dumps(app_config(id, script, *sensor_types))
    return make_zip(folder / f"{id}.zip", {"appConfig.json": config, script: text})


def deployment(app: str, *positions: dict[str, Any], lang: str = "executable", **besides: Any) -> dict[str, Any]:
    return {
        "noOfAlgo": 1,
        "1": {
            "application_id": app,
            "algorithm_name": "main",
            "sensor_info": list(positions),
            "scheduling_info": {"request_type": "start"},
            "environment": {"lang": lang, "dependencies": []},
            **besides,
        },
    }


def deploy_sleeper(hub: Hub, folder: Path, app: str, *sensors_by: dict[str, Any]) -> str:
    """Installs an app whose algorithm only runs, deploys it once, and returns the instance's id.

    `sensors_by` has the filter of each position, which are all of type `probe`.
    """
    archive = app_zip(folder, app, "main.sh", SLEEPER, *["probe"] * len(sensors_by))
    hub.cli("apps", "install", app, archive)
    positions = [{"sensor_type": "probe", "filter_sensors": filter} for filter in sensors_by]
    file = write(folder / f"{app}-deployConfig.json", deployment(app, *positions))
    (entry,) = hub.json("deploy", file)["entries"]
    instance = str(entry["instance_id"])
    hub.wait_until_running(instance)
    # RUNNING is what has been there for a second; on a busy machine the shell may have done nothing yet.
    wait_until(lambda: len(hub.rpc("logs", "get", id=instance)["lines"]) >= 2, what=f"both lines of {instance}")
    return instance
