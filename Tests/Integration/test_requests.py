"""Requests that come twice are carried out once, and each is carried out whole or not at all."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import psycopg
import pytest

from device import SHELL_APP, tar_gz
from hub import Hub, wait_until
from samples import PROBE_TYPE, app_zip, deployment, write

SLEEPER = "#!/bin/sh\nexec sleep 1000\n"
APP = base64.b64encode(tar_gz({"app.info": "name: twice\n", "app": SHELL_APP})).decode()

# Says what it hears.
LISTENER = """
import signal, sys
signal.signal(signal.SIGUSR1, lambda *_: print("usr"))
print("up")
for line in sys.stdin:
    print("got", line, end="")
"""


@pytest.fixture(scope="module", autouse=True)
def probe_type(own_hub: Hub) -> None:
    own_hub.rpc("types", "register", document=PROBE_TYPE)


@pytest.fixture
def name() -> str:
    """What a request is called."""
    return uuid.uuid4().hex


def events(hub: Hub, kind: str) -> int:
    return int(hub.value("SELECT count(*) FROM hub.event WHERE kind = %s", kind))


def install(hub: Hub, folder: Path, app: str) -> None:
    hub.cli("apps", "install", app, app_zip(folder, app, "main.sh", SLEEPER))


def kill_and_wait(hub: Hub) -> None:
    """Kills the hub service, and waits for the next one."""
    old = hub.part("hub")
    os.kill(old, signal.SIGKILL)
    hub.close()
    wait_until(lambda: hub.part("hub") != old, 60, "another hub", (AssertionError,))
    wait_until(lambda: hub.request("hub", "status", timeout=2)["status"] == 200, 60, "the hub", (Exception,))


def test_a_deployment(own_hub: Hub, tmp_path: Path, name: str) -> None:
    install(own_hub, tmp_path, "once")
    ask: dict[str, Any] = {"document": deployment("once"), "request": name}
    reply = own_hub.request("deployments", "deploy", **ask)
    assert (reply["status"], reply["entries"][0]["instance_id"]) == (200, "once-main-1")
    assert own_hub.request("deployments", "deploy", **ask) == reply
    # Another name is another request.
    other = own_hub.request("deployments", "deploy", **{**ask, "request": uuid.uuid4().hex})
    assert other["entries"][0]["instance_id"] == "once-main-2"
    # Also by the next hub.
    kill_and_wait(own_hub)
    assert own_hub.request("deployments", "deploy", **ask) == reply
    assert {row["id"] for row in own_hub.json("ps", "--where", "app=once")["programs"]} == {"once-main-1", "once-main-2"}
    own_hub.cli("stop", "once-main-1")
    own_hub.cli("stop", "once-main-2")


def test_what_was_refused_may_be_tried_again(own_hub: Hub, tmp_path: Path, name: str) -> None:
    install(own_hub, tmp_path, "later")
    id = own_hub.rpc("deployments", "deploy", document=deployment("later"))["entries"][0]["instance_id"]
    own_hub.wait_until_running(id)
    own_hub.cli("disable", id)
    reply = own_hub.request("programs", "restart", id=id, request=name)
    assert reply["status"] == 409 and "is disabled" in reply["error"]
    own_hub.cli("enable", id)
    assert own_hub.request("programs", "restart", id=id, request=name)["status"] == 200
    own_hub.cli("stop", id)


def test_a_sensor_without_a_name(own_hub: Hub, name: str) -> None:
    ask = {"document": {"sensor_type": PROBE_TYPE["name"]}, "request": name}
    replies = [own_hub.rpc("sensors", "register", **ask) for _ in range(2)]
    assert replies[0] == replies[1] and replies[0]["results"][0]["status"] == 201
    assert own_hub.value("SELECT count(*) FROM hub.sensor WHERE removed_at IS NULL") == 1
    own_hub.cli("sensors", "remove", replies[0]["results"][0]["name"])


def test_a_password_is_made_once_and_not_written_down(own_hub: Hub, name: str) -> None:
    own_hub.rpc("sensors", "register", document={"sensor_type": PROBE_TYPE["name"], "name": "outside"})
    ask = {"name": "outside", "rotate": True, "request": name}
    reply = own_hub.rpc("sensors", "credentials", **ask)
    assert own_hub.rpc("sensors", "credentials", **ask) == reply
    own_hub.peer(reply["user"], reply["password"]).close()
    kept = own_hub.value("SELECT count(*) FROM hub.request WHERE strpos(reply::text, %s) > 0", reply["password"])
    assert kept == 0
    own_hub.cli("sensors", "remove", "outside")


def test_a_restart(own_hub: Hub, tmp_path: Path, name: str) -> None:
    install(own_hub, tmp_path, "again")
    id = own_hub.rpc("deployments", "deploy", document=deployment("again"))["entries"][0]["instance_id"]
    own_hub.wait_until_running(id)
    before = own_hub.program(id)["pid"]
    for _ in range(3):
        assert own_hub.rpc("programs", "restart", id=id, request=name)["node"] == own_hub.node
    wait_until(lambda: own_hub.program(id)["pid"] not in (None, before), what="another process")
    assert own_hub.value("SELECT generation FROM hub.program_wish WHERE id = %s", id) == 1
    own_hub.cli("stop", id)


@pytest.mark.parametrize("wrong", ["a b", "", 7, "x" * 500])
def test_a_name_that_is_none(own_hub: Hub, wrong: Any) -> None:
    reply = own_hub.request("programs", "stop", id="nobody", request=wrong)
    assert reply["status"] == 400 and reply["error"].startswith("request: ")


def fast_deploy(hub: Hub, **more: Any) -> dict[str, Any]:
    return hub.request(
        "devices", "fast_deploy", node=hub.node, app_id="twice", app_type="executable", app_tarball=APP, **more)


def test_a_reply_that_is_waited_for(own_hub: Hub, name: str) -> None:
    """The second request is the first one's, whose reply comes when the device has done it."""
    topic = own_hub.topic("clients/user.owner/twice")
    ask = json.dumps({
        "node": own_hub.node, "app_id": "twice", "app_type": "executable", "app_tarball": APP, "request": name,
        "reply_to": topic})
    with own_hub.as_owner() as peer:
        peer.subscribe(topic)
        peer.publish(own_hub.topic("rpc/devices/fast_deploy"), ask.encode())
        peer.publish(own_hub.topic("rpc/devices/fast_deploy"), ask.encode())
        reply = peer.wait_for_topic(topic).json
        assert reply["status"] in (200, 202) and reply["app_id"] == "twice", reply
        peer.messages.clear()
        # Once more, when it has been answered.
        peer.publish(own_hub.topic("rpc/devices/fast_deploy"), ask.encode())
        assert {**peer.wait_for_topic(topic).json, "process": {}} == {**reply, "process": {}}
    assert events(own_hub, "app.installed") == 1 + own_hub.value("SELECT count(*) FROM hub.app")
    own_hub.rpc("devices", "delete_app", node=own_hub.node, app_id="twice")


def test_nothing_is_left_of_what_fails_half_way(own_hub: Hub) -> None:
    """As where the hub is killed between the two parts of fast_deploy: the database cannot store the second one."""
    own_hub.sql_script("""
        CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no start today'; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON hub.event FOR EACH ROW WHEN (NEW.kind = 'app.started')
        EXECUTE FUNCTION public.fail()""")
    before = events(own_hub, "app.installed")
    reply = fast_deploy(own_hub)
    own_hub.sql_script("DROP TRIGGER fail ON hub.event; DROP FUNCTION public.fail()")
    assert (reply["status"], "no start today" in reply["error"]) == (500, True)
    assert own_hub.rpc("devices", "apps", node=own_hub.node)["apps"] == []
    assert own_hub.value("SELECT count(*) FROM hub.algorithm_instance WHERE app_id = 'twice' AND stopped_at IS NULL") == 0
    assert events(own_hub, "app.installed") == before
    # The hub does not take it for installed either.
    assert fast_deploy(own_hub)["status"] in (200, 202)
    own_hub.rpc("devices", "delete_app", node=own_hub.node, app_id="twice")


@pytest.mark.parametrize("part", ["hub", "mosquitto"])
def test_a_person_is_answered_when_the_hub_is_back(own_hub: Hub, tmp_path: Path, part: str) -> None:
    """A request that hub or broker had when they died is asked again."""
    install(own_hub, tmp_path, f"patient-{part}")
    document = write(tmp_path / "deployment.json", deployment(f"patient-{part}"))
    hub = own_hub.part("hub")
    victim = own_hub.part(part)
    own_hub.close()
    os.kill(hub, signal.SIGSTOP)
    with ThreadPoolExecutor() as pool:
        try:
            log = Path(own_hub.data, "log", "mosquitto.log")
            size = log.stat().st_size
            asking = pool.submit(own_hub.run, "deploy", document, "--json")
            wait_until(lambda: "connected from" in log.read_text()[size:], 60, "the person's connection")
            with pytest.raises(NotYet):
                asking.result(timeout=2)
            os.kill(victim, signal.SIGKILL)
        finally:
            if part != "hub":
                os.kill(hub, signal.SIGCONT)
        result: subprocess.CompletedProcess[str] = asking.result()
    assert result.returncode == 0, result.stdout + result.stderr
    (entry,) = json.loads(result.stdout)["entries"]
    assert entry["instance_id"] == f"patient-{part}-main-1"
    wait_until(
        lambda: [row["id"] for row in own_hub.json("ps", "--where", f"app=patient-{part}")["programs"]]
        == [entry["instance_id"]], 60, "the instance", (AssertionError,))
    wait_until(lambda: own_hub.run("stop", entry["instance_id"]).returncode == 0, 60, "its end")


def test_input_and_signals_over_the_death_of_the_hub(own_hub: Hub) -> None:
    """The next hub does not know what the last one has passed on, but the node does."""
    id = own_hub.rpc("commands", "run", node=own_hub.node, command=["/usr/bin/python3", "-uc", LISTENER], input=True)["id"]

    def lines() -> list[str]:
        return [line["text"] for line in own_hub.rpc("logs", "get", id=id)["lines"]]

    wait_until(lambda: lines() == ["up"], what="its start")
    asks: list[tuple[str, dict[str, Any]]] = [
        ("send", {"text": "one\n", "request": uuid.uuid4().hex}),
        ("signal", {"signal": "USR1", "request": uuid.uuid4().hex}),
    ]
    for method, parameters in asks:
        own_hub.rpc("programs", method, id=id, **parameters)
    wait_until(lambda: sorted(lines()[1:]) == ["got one", "usr"], what="both")
    before = lines()
    kill_and_wait(own_hub)
    for method, parameters in asks:
        # Its node tells the new hub of it first.
        wait_until(lambda: own_hub.request("programs", method, id=id, **parameters)["status"] == 200, what="the program")
    own_hub.rpc("programs", "send", id=id, text="two\n", eof=True)
    wait_until(lambda: own_hub.rpc("commands", "show", id=id)["command"]["state"] == "EXITED", what="its end")
    wait_until(lambda: lines()[-1] == "got two", what="its last line")
    assert lines() == [*before, "got two"]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def listener(own_hub: Hub) -> Iterator[str]:
    id: str = own_hub.rpc(
        "commands", "run", node=own_hub.node, command=["/usr/bin/python3", "-uc", LISTENER], input=True)["id"]
    wait_until(lambda: own_hub.rpc("logs", "get", id=id)["lines"], what="its start")
    yield id
    own_hub.rpc("programs", "stop", id=id)


def test_a_name_is_for_one_method(own_hub: Hub, listener: str, name: str) -> None:
    own_hub.rpc("programs", "signal", id=listener, signal="USR1", request=name)
    own_hub.rpc("programs", "send", id=listener, text="one\n", request=name)
    wait_until(
        lambda: {line["text"] for line in own_hub.rpc("logs", "get", id=listener)["lines"]} == {"up", "usr", "got one"},
        what="both")
    own_hub.rpc("sensors", "register", document={"sensor_type": PROBE_TYPE["name"], "name": "named"})
    own_hub.rpc("sensors", "remove", name="named", request=name)
    assert own_hub.request("programs", "stop", id="nobody", request=name)["status"] == 404


def test_who_asks_last_is_answered(own_hub: Hub, listener: str, name: str) -> None:
    """A client that has a new topic for replies asks again, by the name of what still waits for its node."""
    first, second = own_hub.topic("clients/user.owner/first"), own_hub.topic("clients/user.owner/second")
    ask = {"id": listener, "kind": "command", "signal": "USR1", "request": name}
    with own_hub.as_owner() as peer, own_hub.as_node() as node:
        peer.subscribe(first, second)
        node.subscribe(own_hub.topic(f"nodes/{own_hub.node}/command"))
        with stopped(own_hub.part("agent")):
            peer.publish(own_hub.topic("rpc/programs/signal"), ask, response_topic=first)
            peer.publish(own_hub.topic("rpc/programs/signal"), ask, response_topic=second)
            # Nothing else waits for that.
            assert own_hub.request("hub", "status", request=name)["status"] == 200
            sent = wait_until(
                lambda: [m.expiry or 0 for m in node.messages if f"programs/signal/{name}".encode() in m.payload][2:],
                what="the signal, sent again")
            # None is there still when nobody expects it any more.
            assert max(sent) < 8
        assert peer.wait_for_topic(second).json["signal"] == "SIGUSR1"
    wait_until(lambda: len(own_hub.rpc("logs", "get", id=listener)["lines"]) > 1, what="the signal")
    assert [line["text"] for line in own_hub.rpc("logs", "get", id=listener)["lines"]] == ["up", "usr"]


def test_what_nobody_can_wait_for_is_refused(own_hub: Hub, listener: str) -> None:
    replies = own_hub.topic("clients/user.owner/many")
    ask: dict[str, Any] = {"id": listener, "kind": "command", "text": "x"}

    def refused() -> list[int]:
        return [m.json["status"] for m in peer.messages if "wait for nodes" in m.json.get("error", "")]

    with own_hub.as_owner() as peer:
        peer.subscribe(replies)
        with stopped(own_hub.part("agent")):
            peer.flood(own_hub.topic("rpc/programs/send"), ask, 3_000, replies)
            wait_until(refused, what="a refusal")
        assert set(refused()) == {503}
        # Those that were not refused were heard, or not answered.
        assert {m.json["status"] for m in peer.messages} <= {200, 503}
    wait_until(lambda: own_hub.request("programs", "send", **ask)["status"] == 200, what="the next one")


def test_an_incident_is_told_of_when_it_is_over(own_hub: Hub) -> None:
    """Also where the database has another try at what ends it."""
    own_hub.rpc("sensors", "register", document={"sensor_type": PROBE_TYPE["name"], "name": "faulty"})
    with own_hub.as_owner() as peer, own_hub.as_device("faulty") as device:
        peer.subscribe(own_hub.topic("events/#"))
        device.publish(own_hub.topic("sensors/faulty/status"), {"status": "fault", "reason": "smoke"})
        peer.wait_for_topic(own_hub.topic("events/incident.opened"))
        own_hub.sql_script("""
            CREATE SEQUENCE public.tries;
            CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('public.tries') = 1 THEN RAISE 'not now' USING ERRCODE = '40001'; END IF;
                RETURN NULL;
            END $$;
            CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON hub.event INITIALLY DEFERRED FOR EACH ROW
            WHEN (NEW.kind = 'sensor.removed') EXECUTE FUNCTION public.fail()""")
        own_hub.rpc("sensors", "remove", name="faulty")
        assert own_hub.value("SELECT last_value FROM public.tries") == 2
        own_hub.sql_script("DROP TRIGGER fail ON hub.event; DROP FUNCTION public.fail(); DROP SEQUENCE public.tries")
        assert peer.wait_for_topic(own_hub.topic("events/incident.closed"), 10).json["subject"] == "faulty"


def test_a_hub_that_a_request_tells_that_another_one_leads_ends(own_hub: Hub) -> None:
    old = own_hub.part("hub")
    with psycopg.connect(own_hub.connection["database"], autocommit=True) as other:
        with ThreadPoolExecutor() as pool:
            leading = pool.submit(
                other.execute, "SELECT pg_advisory_lock(hashtext('sensorhub leader'), hashtext(%s))",
                [own_hub.connection["hub"]])
            wait_until(lambda: own_hub.sql("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
            own_hub.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sensorhub hub'")
            leading.result()
        own_hub.owner.publish(own_hub.topic("rpc/hub/status"))
        own_hub.close()
        wait_until(lambda: own_hub.part("hub") != old, 60, "its end", (AssertionError,))
    wait_until(lambda: own_hub.request("hub", "status", timeout=2)["status"] == 200, 60, "the hub", (Exception,))


def test_input_and_signals_over_the_death_of_hub_and_agent(own_hub: Hub, listener: str) -> None:
    """The program's watch knows of them."""
    asks: list[tuple[str, dict[str, Any]]] = [
        ("send", {"text": "one\n" + "x" * 9_999 + "\n", "request": uuid.uuid4().hex}),
        ("signal", {"signal": "USR1", "request": uuid.uuid4().hex}),
    ]

    def lines() -> list[str]:
        return [line["text"][:7] for line in own_hub.rpc("logs", "get", id=listener)["lines"]]

    for method, parameters in asks:
        own_hub.rpc("programs", method, id=listener, **parameters)
    wait_until(lambda: {"got one", "got xxx", "usr"} <= set(lines()), what="both")
    before = lines()
    kill_and_wait(own_hub)
    own_hub.replace("agent")
    for method, parameters in asks:
        wait_until(
            lambda: own_hub.request("programs", method, id=listener, **parameters)["status"] == 200, what="the program")
    own_hub.rpc("programs", "send", id=listener, text="two\n")
    wait_until(lambda: "got two" in lines(), what="what came after it")
    assert lines() == [*before, "got two"]
