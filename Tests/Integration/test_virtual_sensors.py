"""Virtual sensors: an algorithm publishes readings of a sensor of its own, and they are stored once like a driver's."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any, Iterator

import pytest

from hub import EXAMPLES, Hub, processes_of, wait_until
from mqtt import NOT_AUTHORIZED, Refused
from samples import PROBE_TYPE, make_zip, register, write

TYPE = {"name": "virtual", "sensor_data_structure": {"number": "int", "half": "float"}}

# Publishes twenty numbers, and then runs until it is asked to stop.
COUNTER = """\
import time
from sensorhub import Platform

with Platform() as platform:
    for number in range(20):
        platform.publish(0, {"number": number, "half": number / 2}, time=1_763_677_055.0 + number)
    print("published", flush=True)
    while not platform.stopping:
        time.sleep(0.1)
"""

# Prints what it hears.
LISTENER = """\
from sensorhub import Platform

with Platform() as platform:
    for reading in platform.readings():
        print(f"heard {reading.values}", flush=True)
"""


def config(id: str, script: str, inputs: list[str], outputs: list[str]) -> dict[str, Any]:
    return {
        "application_name": id, "application_id": id,
        "algorithm_list": [{
            "algorithm_name": "main", "script": {"name": script},
            "input_sensors": [{"sensor_type": name} for name in inputs],
            "output_sensors": [{"sensor_type": name} for name in outputs],
        }],
    }


def install(hub: Hub, folder: Path, id: str, text: str, inputs: list[str], outputs: list[str]) -> None:
    files = {"appConfig.json": json.dumps(config(id, "main.py", inputs, outputs)), "main.py": text}
    hub.cli("apps", "install", id, make_zip(folder / f"{id}.zip", files))


def entry(app: str, *outputs: Any, **more: Any) -> dict[str, Any]:
    return {"application_id": app, "algorithm_name": "main", "output_info": list(outputs), **more}


def deployment(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"noOfAlgo": len(entries), **{str(number): one for number, one in enumerate(entries, start=1)}}


def deploy(hub: Hub, *entries: dict[str, Any]) -> list[str]:
    """Returns the instances' ids."""
    reply = hub.rpc("deployments", "deploy", document=deployment(*entries))
    return [one["instance_id"] for one in reply["entries"]]


def register_virtual(hub: Hub, *names: str, **attributes: Any) -> None:
    hub.rpc("types", "register", document=TYPE)
    hub.rpc("sensors", "register", document=[
        {"sensor_type": "virtual", "name": name, **attributes} for name in names])


def numbers(hub: Hub, sensor: str) -> list[int]:
    rows = hub.sql("SELECT number FROM report.virtual WHERE sensor = %s ORDER BY boot, seq", sensor)
    return [row["number"] for row in rows]


def state(hub: Hub, sensor: str) -> tuple[str, str]:
    shown = hub.rpc("sensors", "show", name=sensor)["sensor"]
    return shown["state"], shown["reason"]


def log(hub: Hub, id: str) -> str:
    return hub.cli("logs", id, "--last", "1000")


@pytest.fixture(scope="module")
def counter(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The hub, with the app `counter` and a listener to what it publishes."""
    folder = tmp_path_factory.mktemp("virtual")
    register_virtual(hub, "virtual-1", "virtual-2")
    install(hub, folder, "counter", COUNTER, [], ["virtual"])
    install(hub, folder, "listener", LISTENER, ["virtual"], [])
    yield hub


def test_what_an_algorithm_publishes_is_in_the_database_and_heard_by_others(counter: Hub) -> None:
    hub = counter
    register_virtual(hub, "virtual-heard", room="heard")
    (listener,) = deploy(hub, {
        "application_id": "listener", "algorithm_name": "main",
        "sensor_info": [{"sensor_type": "virtual", "filter_sensors": {"room": "heard"}}]})
    hub.wait_until_running(listener)
    (instance,) = deploy(hub, entry("counter", "virtual-heard"))
    wait_until(lambda: numbers(hub, "virtual-heard") == list(range(20)), what="the readings")
    rows = hub.sql("SELECT * FROM report.virtual WHERE sensor = 'virtual-heard' ORDER BY seq")
    assert [row["seq"] for row in rows] == list(range(1, 21)) and len({row["boot"] for row in rows}) == 1
    assert [row["half"] for row in rows] == [number / 2 for number in range(20)]
    assert [row["event_time"].timestamp() for row in rows] == [1_763_677_055.0 + number for number in range(20)]
    latest = hub.sql("SELECT value, state FROM report.latest WHERE sensor = 'virtual-heard'")
    assert latest[0]["value"] == {"number": 19, "half": 9.5}
    wait_until(lambda: "heard {'number': 19, 'half': 9.5}" in log(hub, listener), what="the last reading")
    assert log(hub, listener).count("heard") == 20
    program = hub.program(instance)
    assert (program["sensors"], program["outputs"]) == ([], ["virtual-heard"])
    assert "→ virtual-heard" in hub.cli("ps")
    (bound,) = hub.sql("SELECT sensor, role, until FROM report.binding WHERE instance = %s", instance)
    assert bound == {"sensor": "virtual-heard", "role": "output", "until": None}
    for one in (instance, listener):
        hub.cli("stop", one)


def test_a_sensor_has_one_writer(counter: Hub, tmp_path: Path) -> None:
    hub = counter
    (instance,) = deploy(hub, entry("counter", "virtual-1"))
    file = write(tmp_path / "again.json", deployment(entry("counter", "virtual-1")))
    refusal = hub.refusal("deploy", file)
    assert (
        f"1.output_info[0]: 'virtual-1' is written by '{instance}' already: sensorhub stop {instance}, or take another"
        in refusal)
    reply = hub.request("deployments", "deploy", document=deployment(entry("counter", "virtual-1")))
    assert reply["status"] == 409
    assert hub.request("deployments", "deploy", document=deployment(entry("counter", "virtual-1")), dry_run=True)[
        "status"] == 409
    reply = hub.request("sensors", "credentials", name="virtual-1")
    assert reply["status"] == 409 and f"is written by '{instance}'" in reply["error"]
    # It is free when the writer has been stopped, also before that has come to its end.
    hub.rpc("programs", "stop", id=instance)
    (other,) = deploy(hub, entry("counter", "virtual-1"))
    hub.wait_until_running(other)
    hub.cli("stop", other)


@pytest.mark.parametrize("change, expected", [
    ({"output_info": []}, "1.output_info: algorithm 'main' has 1 output sensors, but 0 are given"),
    ({"output_info": None}, "1: algorithm 'main' has 1 output sensors, but 0 are given"),
    ({"output_info": ["virtual-1", "virtual-2"]}, "1.output_info: algorithm 'main' has 1 output sensors, but 2 are"),
    ({"output_info": ["virtual-3"]}, "1.output_info[0]: sensor 'virtual-3' is not registered (did you mean 'virtual-"),
    ({"output_info": "virtual-1"}, "1.output_info: expected a list, found text"),
    ({"output_info": [{"sensor": "virtual-1"}]}, "1.output_info[0]: expected text, found an object"),
    ({"output_info": ["virtual 1"]}, "1.output_info[0]: 'virtual 1' is no id"),
    ({"output_infos": []}, "1: unknown key 'output_infos' (did you mean 'output_info'?)"),
    ({"output_info": ["wrong-type"]},
     "1.output_info[0]: 'wrong-type' is of type 'probe', but algorithm 'main' has 'virtual' there"),
    ({"output_info": ["has-driver"]}, "1.output_info[0]: 'has-driver' is read by the driver 'simulated'"),
    ({"output_info": ["has-device"]}, "1.output_info[0]: 'has-device' is published by a device, which has credentials"),
])
def test_a_deployment_whose_outputs_are_wrong_is_refused(
    counter: Hub, tmp_path: Path, change: dict[str, Any], expected: str,
) -> None:
    hub = counter
    register(hub, {"sensor_type": "probe", "name": "wrong-type"})
    register_virtual(hub, "has-device")
    hub.rpc("sensors", "register", document={
        "sensor_type": "virtual", "name": "has-driver", "driver": "simulated", "interval": 60})
    hub.rpc("sensors", "credentials", name="has-device")
    document = deployment({**entry("counter"), **change}, entry("counter", "virtual-2"))
    assert expected in hub.refusal("deploy", write(tmp_path / "wrong.json", document))
    # Nothing of it was started.
    assert not [one for one in hub.rpc("programs", "list")["programs"] if one.get("app") == "counter"]


def test_two_entries_cannot_write_the_same_sensor(counter: Hub, tmp_path: Path) -> None:
    document = deployment(entry("counter", "virtual-2"), entry("counter", "virtual-2"))
    refusal = counter.refusal("deploy", write(tmp_path / "twice.json", document))
    assert "2.output_info[0]: 'virtual-2' is written by entry \"1\" already" in refusal
    assert not [one for one in counter.rpc("programs", "list")["programs"] if one.get("app") == "counter"]


def test_the_order_of_outputs_is_kept_and_types_may_repeat(hub: Hub, tmp_path: Path) -> None:
    register_virtual(hub, "order-1", "order-2")
    register(hub, {"sensor_type": "probe", "name": "order-probe"})
    text = COUNTER.replace("platform.publish(0, {", "platform.publish(2, {").replace(
        'print("published"', 'platform.publish("order-probe", {"count": 7}); print("published"')
    install(hub, tmp_path, "order", text, [], ["virtual", "probe", "virtual"])
    file = write(tmp_path / "deploy.json", deployment(entry("order", "order-2", "order-probe", "order-1")))
    output = hub.cli("deploy", file)
    assert "  0  virtual → order-2\n  1  probe → order-probe\n  2  virtual → order-1\n" in output
    wait_until(lambda: numbers(hub, "order-1") == list(range(20)), what="the readings of the last one")
    wait_until(lambda: hub.count("order-probe") == 1, what="the reading of the one between")
    assert numbers(hub, "order-2") == []
    hub.cli("stop", "order-main-1")


def test_an_output_is_no_input_of_the_same_instance(hub: Hub, tmp_path: Path) -> None:
    register_virtual(hub, "loop-1", "loop-2", site="loop")
    install(hub, tmp_path, "loop", LISTENER, ["virtual"], ["virtual"])
    (instance,) = deploy(hub, entry(
        "loop", "loop-1", sensor_info=[{"sensor_type": "virtual", "filter_sensors": {"site": "loop"}, "count": "all"}]))
    assert hub.program(instance)["sensors"] == ["loop-2"]
    register_virtual(hub, "loop-3", site="loop")
    assert hub.program(instance)["sensors"] == ["loop-2", "loop-3"]
    hub.cli("stop", instance)


def test_only_the_writer_may_publish_and_only_while_it_is_one(counter: Hub) -> None:
    hub = counter
    register_virtual(hub, "rights-1")
    (instance,) = deploy(hub, entry("counter", "rights-1"))
    hub.wait_until_running(instance)
    wait_until(lambda: len(numbers(hub, "rights-1")) == 20, what="the readings")
    reading = {"number": 99}
    with hub.as_program(instance) as peer:
        allowed = {
            topic for sensor in ("rights-1", "virtual-2")
            for leaf in ("data", "status", "committed", "control", "control/reply")
            for topic in [f"sensors/{sensor}/{leaf}"] if peer.publish(hub.topic(topic), reading) != NOT_AUTHORIZED}
        assert allowed == {"sensors/rights-1/data"}
        committed = hub.topic("sensors/rights-1/committed")
        peer.subscribe(hub.topic("sensors/+/committed"), committed)
        # Readings are in the database before the hub says so.
        peer.wait_for(lambda m: m.topic == committed and m.json["seq"] == 20, "all is committed")
        assert {message.topic for message in peer.messages} == {committed}
        # It is not the writer of what is not registered,
        hub.cli("sensors", "remove", "rights-1")
        assert not peer.may_publish(hub.topic("sensors/rights-1/data"), reading)
        assert hub.program(instance)["outputs"] == ["rights-1"]
        # nor of what is registered as another thing,
        register(hub, {"sensor_type": "probe", "name": "rights-1"})
        assert not peer.may_publish(hub.topic("sensors/rights-1/data"), {"count": 1})
        hub.cli("sensors", "remove", "rights-1")
        # and it is again when the sensor is back.
        register_virtual(hub, "rights-1")
        assert peer.may_publish(hub.topic("sensors/rights-1/data"), reading)
        variables = hub.environment_of(instance)
        hub.cli("stop", instance)
        peer.wait_for_end()
    with pytest.raises(Refused):
        hub.peer(variables["SENSORHUB_USER"], variables["SENSORHUB_PASSWORD"])
    wait_until(lambda: not Path(variables["SENSORHUB_STATE"]).exists(), what="the end of its folder")


def test_an_output_with_control_functions_has_their_topics(hub: Hub, tmp_path: Path) -> None:
    document = {**PROBE_TYPE, "name": "virtual-control"}
    hub.rpc("types", "register", document={**document, "control_functions": None})
    hub.rpc("sensors", "register", document={"sensor_type": "virtual-control", "name": "virtual-control-1"})
    install(hub, tmp_path, "controlled", "import time\nwhile True: time.sleep(1)\n", [], ["virtual-control"])
    (instance,) = deploy(hub, entry("controlled", "virtual-control-1"))
    hub.wait_until_running(instance)
    with hub.as_program(instance) as peer:
        binding = hub.topic(f"algorithms/{instance}/binding")
        peer.subscribe(binding)
        (output,) = peer.wait_for_topic(binding).json["outputs"]
        assert not {"control", "reply"} & output["sensor"].keys()
        assert not peer.may_publish(hub.topic("sensors/virtual-control-1/control/reply"), b"{}")
        hub.rpc("types", "register", document=document)
        peer.wait_for(lambda m: m.topic == binding and "reply" in m.json["outputs"][0]["sensor"], "the new binding")
        assert peer.may_publish(hub.topic("sensors/virtual-control-1/control/reply"), b"{}")
        peer.subscribe(hub.topic("sensors/virtual-control-1/control"))
        hub.owner.publish(hub.topic("sensors/virtual-control-1/control"), b"{}")
        peer.wait_for_topic(hub.topic("sensors/virtual-control-1/control"))
    hub.cli("stop", instance)


def test_the_sensor_is_as_its_writer_is(counter: Hub) -> None:
    hub = counter
    register_virtual(hub, "state-1")
    # It is not started again by itself: of two changes at a time only the last one is told.
    (instance,) = deploy(hub, entry("counter", "state-1", supervision={"autorestart": False}))
    wait_until(lambda: state(hub, "state-1") == ("online", ""), 120, "online")
    with hub.as_owner() as watcher:
        watcher.subscribe(hub.topic("sensors/state-1/status"))
        assert watcher.wait_for_topic(hub.topic("sensors/state-1/status")).json["status"] == "online"
        os.kill(hub.program(instance)["pid"], signal.SIGKILL)
        message = watcher.wait_for(lambda m: m.json["status"] == "offline", "offline")
        assert message.json["reason"].startswith(f"algorithm instance '{instance}' is EXITED: killed by signal 9")
        watcher.messages.clear()
        hub.cli("start", instance)
        watcher.wait_for(lambda m: m.json["status"] == "online", "online again")
        hub.cli("stop", instance)
        watcher.wait_for(
            lambda m: m.json.get("reason") == f"algorithm instance '{instance}' was stopped", "the end")
    assert state(hub, "state-1") == ("offline", f"algorithm instance '{instance}' was stopped")


def test_a_wrong_field_is_an_exception_that_says_so(hub: Hub, tmp_path: Path) -> None:
    register_virtual(hub, "wrong-field")
    install(hub, tmp_path, "wrong", COUNTER.replace('"number":', '"numbr":'), [], ["virtual"])
    (instance,) = deploy(hub, entry("wrong", "wrong-field"))
    expected = (
        "sensorhub.errors.InvalidReading: reading of 'wrong-field': type 'virtual' has no field 'numbr' "
        "(did you mean 'number'?)")
    wait_until(lambda: expected in log(hub, instance), what="the exception")
    wait_until(lambda: expected in hub.program(instance)["reason"], what="the reason")
    assert hub.count("wrong-field") == 0
    assert hub.rpc("dead_letters", "list", sensor="wrong-field")["count"] == 0
    hub.cli("stop", instance)


def test_the_example_runs(hub: Hub, tmp_path: Path) -> None:
    folder = EXAMPLES / "comfort"
    hub.cli("types", "register", folder / "sensorTypeRegistration.json")
    hub.cli("sensors", "register", folder / "sensorInstance.json")
    hub.cli("apps", "install", "comfort", folder / "app")
    output = hub.cli("deploy", folder / "deployConfig.json")
    assert "  0  comfort → comfort-1\n" in output and "  0  comfort ← comfort-1\n" in output
    wait_until(lambda: hub.count("comfort-1") > 3, what="readings")
    wait_until(lambda: "office: " in log(hub, "comfort-airing-1"), what="what it says of them")
    rows = hub.sql("SELECT dew_point, comfortable FROM report.comfort WHERE sensor = 'comfort-1'")
    assert all(5 < row["dew_point"] < 22 and row["comfortable"] is not None for row in rows)
    for instance in ("comfort-comfort-1", "comfort-airing-1"):
        hub.cli("stop", instance)


# Publishes numbers that no run before has used, 2000 in all runs together, and notes down those that it has published.
STEADY = """\
import os, time
from pathlib import Path
from sensorhub import Platform

told = Path(os.environ["SENSORHUB_STATE"]) / "told"
before = [int(line) for line in told.read_text().split()] if told.exists() else []
first = max(before, default=0) + 1000
with Platform() as platform, told.open("a") as file:
    for number in range(first, first + 2000 - len(before)):
        platform.publish(0, {"number": number})
        file.write(f"{number}\\n")
        file.flush()
        time.sleep(0.005)
    print("all published", flush=True)
    while not platform.stopping:
        time.sleep(0.1)
"""


def test_nothing_is_lost_or_doubled_whatever_is_killed(own_hub: Hub, tmp_path: Path) -> None:
    hub = own_hub
    register_virtual(hub, "steady-1")
    install(hub, tmp_path, "steady", STEADY, [], ["virtual"])
    (instance,) = deploy(hub, entry("steady", "steady-1"))
    hub.wait_until_running(instance)
    file = Path(hub.environment_of(instance)["SENSORHUB_STATE"]) / "told"
    hub.close()

    def told() -> list[int]:
        # The last line may be torn: by the kill, or because it is being written.
        return [int(line) for line in file.read_text().split("\n")[:-1]]

    def algorithm() -> int:
        found = [pid for pid, command in processes_of(hub.data).items() if command.endswith(f"main.py {instance}")]
        return found[0] if found else 0

    kills = 0
    for count, what in (
        (200, "algorithm"), (500, "mosquitto"), (800, "hub"), (1100, "algorithm"), (1400, "mosquitto"), (1400, "hub"),
        (1400, "algorithm"), (1800, "hub"), (1801, "mosquitto"),
    ):
        wait_until(lambda: len(told()) >= count, 120, f"{count} numbers")
        if what == "algorithm":
            os.kill(wait_until(algorithm, 60, "the algorithm"), signal.SIGKILL)
            kills += 1
        else:
            # It may still be away since the last time.
            os.kill(wait_until(lambda: hub.part(what), what=what, retry_on=(AssertionError,)), signal.SIGKILL)
    wait_until(lambda: len(told()) >= 2000, 120, "all numbers")
    wait_until(
        lambda: set(told()) <= set(numbers(hub, "steady-1")), 60,
        "all readings in the database")
    stored = numbers(hub, "steady-1")
    assert len(stored) == len(set(stored))
    # What was killed between being kept and being noted down is there as well.
    assert len(set(stored) - set(told())) <= kills
    gaps = "SELECT * FROM report.gap WHERE sensor = 'steady-1' AND (missing > 0 OR lost > 0)"
    wait_until(lambda: not hub.sql(gaps), what="no gap is on record")
    assert hub.value("SELECT count(*) FROM report.dead_letter") == 0
