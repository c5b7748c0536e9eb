"""What programs and machines take, as seen from the command line and in the database."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import statistics
import subprocess
import termios
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import psycopg
import pytest

from hub import SENSORHUB, Hub, environment, wait_until
from mqtt import Peer, Refused
from other_node import OtherNode
from samples import app_zip, deployment, probe, register, write
from test_outages import kept_down

MIB = 1 << 20

# Holds 50 MiB, and burns in six children, three of them with sessions of their own, which nobody else would end. Each
# wants little, and gets it on a busy machine, too; both threes together have to be counted to make half a core.
BURNER = """\
#!/usr/bin/env python3
import signal, subprocess, sys
held = b"x" * (50 << 20)
burn = '''
import time
while True:
    end = time.thread_time() + 0.015
    while time.thread_time() < end: pass
    time.sleep(0.085)
'''
command = [sys.executable, "-c", burn]
children = [subprocess.Popen(command, start_new_session=is_away) for is_away in 3 * (False, True)]
signal.signal(signal.SIGTERM, lambda *_: ([child.kill() for child in children], sys.exit(0)))
children[0].wait()
"""


@pytest.fixture(scope="module")
def burner(own_hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An algorithm instance beside an idle driver."""
    folder = tmp_path_factory.mktemp("burn")
    register(own_hub, probe("idle-1", interval=1, site="burn"))
    own_hub.cli("apps", "install", "burn", app_zip(folder, "burn", "main.py", BURNER, "probe"))
    position = {"sensor_type": "probe", "filter_sensors": {"site": "burn"}}
    # Or bubblewrap's own processes would be among its processes.
    file = write(folder / "deployConfig.json", deployment("burn", position, isolation=False))
    (entry,) = own_hub.json("deploy", file)["entries"]
    instance = str(entry["instance_id"])
    own_hub.wait_until_running(instance, "idle-1")
    return instance


def figures(hub: Hub, id: str) -> dict[str, Any]:
    (program,) = hub.json("ps", "--where", f"id={id}")["programs"]
    return dict(program)


def wait_for_cpu(hub: Hub, id: str) -> dict[str, Any]:
    """Of a whole interval in which it ran."""

    def sample(after: int = 0) -> Optional[dict[str, Any]]:
        program = figures(hub, id)
        return program if (program["uptime"] or 0) > 6 and program["sampled"] > after else None

    first = wait_until(sample, 60, f"a sample of {id}")
    return wait_until(lambda: sample(first["sampled"]), 60, f"another sample of {id}")


def test_cpu_and_memory_are_those_of_the_program_and_its_children(own_hub: Hub, burner: str) -> None:
    wait_for_cpu(own_hub, burner)

    def busy() -> Optional[dict[str, Any]]:
        program = figures(own_hub, burner)
        return program if 50 <= (program["cpu"] or 0) <= 120 else None

    program = wait_until(busy, 120, "half a core at least, and little more than one")
    # Taken just now.
    assert abs(program["sampled"] / 1e6 - time.time()) < 60
    assert program["memory"] >= 50 * MIB and program["private"] >= 50 * MIB
    assert program["private"] <= program["proportional"] <= program["memory"] < 200 * MIB
    assert program["processes"] == 7 and program["threads"] == 7 and program["files"] >= 6
    assert program["read"] >= 0 and program["written"] >= 0
    assert program["line"].endswith(burner) and program["status"] in "SRD" and program["nice"] == 0
    assert program["main"] == program["pid"]
    # Root's agent runs it as somebody else.
    assert (program["uid"] == os.geteuid()) == (os.geteuid() != 0) and program["user"] != "root"
    assert abs(program["started"] / 1e6 + program["uptime"] - program["sampled"] / 1e6) < 15
    idle = wait_for_cpu(own_hub, "idle-1")
    assert idle["cpu"] < 20 and idle["processes"] == 1 and idle["memory"] < 50 * MIB


def test_a_person_reads_sizes_and_may_ask_for_them(own_hub: Hub, burner: str) -> None:
    wait_for_cpu(own_hub, burner)
    command = ("ps", "--columns", "id,cpu,memory,uptime", "--where", "app=burn")
    wait_until(lambda: burner in own_hub.cli(*command, "--where", "cpu>=50"), 60, "half a core at least")
    header, row = own_hub.cli(*command).splitlines()
    assert header.split() == ["ID", "CPU", "MEMORY", "UPTIME"]
    match = re.fullmatch(rf"{burner} +([0-9.]+) % +([0-9.]+) MiB +(\d+ s|\d+ min \d\d s)", row)
    assert match, row
    assert float(match[1]) > 5 and float(match[2]) >= 50

    def ids(*arguments: str) -> list[str]:
        return [program["id"] for program in own_hub.json("ps", *arguments)["programs"]]

    assert ids("--where", "cpu>5", "--where", "app=burn") == [burner]
    assert ids("--where", "memory>50M", "--sort", "-memory") == [burner]
    assert ids("--sort", "-cpu") == [burner, "idle-1"]
    assert ids("--where", "uptime<1s") == []
    assert "is a size such as" in own_hub.run("ps", "--where", "memory>much").stderr
    assert "is a length of time" in own_hub.run("ps", "--where", "uptime>ages").stderr


def test_a_node_tells_how_it_is(own_hub: Hub, burner: str) -> None:
    (node,) = wait_until(
        lambda: own_hub.json("nodes", "--where", "cpu>0")["nodes"], 60, "a sample of the node with its cpu")
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert abs(node["memory"] - total) < total / 10 and 0 < node["memory_available"] < node["memory"]
    disk = os.statvfs(own_hub.data)
    assert node["disk"] == disk.f_blocks * disk.f_frsize and 0 < node["disk_free"] <= node["disk"]
    assert 0 < node["cpu"] <= 100 and all(node[name] >= 0 for name in ("load", "load_5", "load_15"))
    assert abs(node["uptime"] - time.clock_gettime(time.CLOCK_BOOTTIME)) < 60
    assert (node["temperature"] is None) == (not list(Path("/sys/class/thermal").glob("thermal_zone*/temp")))
    text = own_hub.cli("nodes")
    assert re.search(r"[0-9.]+ % +[0-9.]+ [0-9.]+ [0-9.]+ +[0-9.]+ [MG]iB of [0-9.]+ [MGT]iB", text), text


def test_a_program_that_is_down_has_no_figures(own_hub: Hub, burner: str) -> None:
    wait_for_cpu(own_hub, "idle-1")
    own_hub.cli("disable", "idle-1")
    try:
        wait_until(lambda: own_hub.program("idle-1")["state"] == "STOPPED", what="its end")
        program = figures(own_hub, "idle-1")
        assert program["cpu"] is None and program["memory"] is None and program["uptime"] is None
    finally:
        own_hub.cli("enable", "idle-1")
    own_hub.wait_until_running("idle-1")
    assert wait_for_cpu(own_hub, "idle-1")["uptime"] > 0


def test_reports_have_the_history(own_hub: Hub, burner: str) -> None:
    wait_for_cpu(own_hub, burner)
    with psycopg.connect(own_hub.connection["database"].replace("user=sensorhub", "user=sensorhub_report")) as reader:
        (greatest,) = reader.execute(
            "SELECT max(cpu) FROM report.program_statistics WHERE id = %s", [burner]).fetchone() or (None,)
        (count,) = reader.execute("SELECT count(*) FROM report.node_statistics").fetchone() or (0,)
    assert greatest >= 50 and count >= 3


# What a node sends


def sample(t: int, *programs: dict[str, Any], **changes: Any) -> dict[str, Any]:
    node = {
        "cpu": 1.5, "load": [0.1, 0.2, 0.3], "memory": 100, "memory_available": 50, "disk": 1000, "disk_free": 500,
        "temperature": None, "uptime": 7.5,
    }
    return {"t": t, "node": node, "programs": list(programs), "dropped": 0} | changes


def figures_of(id: str, kind: str = "driver", **changes: Any) -> dict[str, Any]:
    return {
        "id": id, "program": kind, "run": 1, "cpu": 1, "memory": 1, "threads": 1, "processes": 1, "uptime": 1,
    } | changes


def send(hub: Hub, *payloads: Any) -> None:
    with hub.as_node() as node:
        for payload in payloads:
            node.publish(hub.topic(f"nodes/{hub.node}/statistics"), payload)
    # The hub has handled them when it answers this.
    hub.rpc("hub", "status")


def stored(hub: Hub, t: int) -> tuple[int, list[str]]:
    at = t / 1e6
    nodes = hub.value("SELECT count(*) FROM hub.node_statistics WHERE at = to_timestamp(%s)", at)
    rows = hub.sql("SELECT id FROM hub.program_statistics WHERE at = to_timestamp(%s) ORDER BY id", at)
    return nodes, [row["id"] for row in rows]


def an_hour_ago() -> int:
    return (time.time_ns() // 1_000) - 3_600_000_000


def test_a_sample_that_comes_twice_is_stored_once_and_confirmed_twice(own_hub: Hub, burner: str) -> None:
    t = an_hour_ago()
    payload = sample(t, figures_of("idle-1"), figures_of(burner, "algorithm"))
    with own_hub.as_node() as node:
        command = own_hub.topic(f"nodes/{own_hub.node}/command")
        node.subscribe(command)
        send(own_hub, payload, payload)
        wait_until(
            lambda: sum(m.json == {"kind": "statistics_committed", "t": t} for m in node.messages) == 2,
            what="two confirmations")
    assert stored(own_hub, t) == (1, sorted(["idle-1", burner]))


def test_a_node_tells_only_of_what_is_placed_on_it(own_hub: Hub, burner: str) -> None:
    t = an_hour_ago()
    register(own_hub, probe("device-1", driver=False))
    send(own_hub, sample(
        t, figures_of("device-1"), figures_of("nobody"), figures_of("idle-1", "algorithm"), figures_of("idle-1")))
    assert stored(own_hub, t) == (1, ["idle-1"])


@pytest.mark.parametrize("change", [
    lambda s: b"", lambda s: b"[]", lambda s: b"{", lambda s: b"\xff" * 100, lambda s: b"[" * 100_000,
    lambda s: s | {"t": "now"}, lambda s: s | {"t": -1}, lambda s: s | {"t": 10**18}, lambda s: s | {"node": None},
    lambda s: s | {"node": s["node"] | {"cpu": -1}}, lambda s: s | {"node": s["node"] | {"load": [1, 2]}},
    lambda s: s | {"node": s["node"] | {"load": [1, 2, 1e300]}}, lambda s: s | {"node": s["node"] | {"memory": 1.5}},
    lambda s: s | {"programs": None}, lambda s: s | {"programs": [7]},
    lambda s: s | {"programs": [figures_of("idle-1"), figures_of("idle-1")]},
    lambda s: s | {"programs": [figures_of("idle-1", memory=-1)]},
    lambda s: s | {"programs": [figures_of("idle-1", threads=2**40)]},
    lambda s: s | {"programs": [figures_of("idle-1", cpu="much")]},
    lambda s: s | {"programs": [figures_of("x'; DROP TABLE hub.program")]},
    lambda s: s | {"dropped": -1}, lambda s: s | {"fill": "x" * (3 << 20)},
])
def test_what_is_no_sample_is_not_stored(own_hub: Hub, burner: str, change: Callable[[Any], Any]) -> None:
    t = an_hour_ago()
    before = own_hub.value("SELECT count(*) FROM hub.node_statistics WHERE at < now() - interval '30 minutes'")
    send(own_hub, change(sample(t)))
    assert own_hub.value("SELECT count(*) FROM hub.node_statistics WHERE at < now() - interval '30 minutes'") == before
    assert stored(own_hub, t) == (0, [])


def test_history_is_bounded(own_hub: Hub, burner: str) -> None:
    now = time.time_ns() // 1_000
    day = 86_400_000_000
    for days, is_kept in ((1, True), (3, False), (400, False), (-2, False)):
        t = now - days * day
        send(own_hub, sample(t))
        assert stored(own_hub, t)[0] == is_kept, f"{days} days ago"
    own_hub.sql("SELECT hub.keep_statistics(1)")
    assert own_hub.value("SELECT count(*) FROM hub.node_statistics WHERE at < now() - interval '23 hours'") == 0
    assert own_hub.value("SELECT count(*) FROM hub.node_statistics") > 0
    own_hub.sql("SELECT hub.keep_statistics(2)")


# Outages


def witness(hub: Hub) -> Peer:
    """Hears the samples as the hub should."""
    peer = hub.as_owner()
    peer.subscribe(hub.topic(f"nodes/{hub.node}/statistics"))
    return peer


@pytest.mark.parametrize("part, folder", [("mosquitto", "broker"), ("hub", None), ("postgres", None)])
def test_an_outage_loses_no_sample_and_doubles_none(own_hub: Hub, burner: str, part: str, folder: str | None) -> None:
    wait_for_cpu(own_hub, burner)
    began = time.time()
    own_hub.close()
    witnesses = [witness(own_hub)]
    if folder:
        with kept_down(own_hub, part, folder):
            time.sleep(12)
        witnesses.append(wait_until(lambda: witness(own_hub), what="the broker", retry_on=(OSError, Refused)))
    else:
        os.kill(own_hub.part(part), signal.SIGKILL)

    def is_back() -> bool:
        own_hub.close()
        latest = own_hub.value("SELECT max(at) FROM hub.node_statistics")
        return bool(latest.timestamp() > began + 30)

    wait_until(is_back, 180, "samples go on", retry_on=(Exception,))
    for one in witnesses:
        one.close()
    told = [message.json["t"] / 1e6 for one in witnesses for message in one.messages]
    # Some are sent again a moment later.
    query = """SELECT extract(epoch FROM at)::float8 AS at, dropped,
        (SELECT count(*) FROM hub.program_statistics p WHERE p.node = n.node AND p.at = n.at AND p.id = ANY(%s)) AS programs
        FROM hub.node_statistics n WHERE at > to_timestamp(%s) ORDER BY at"""
    ids = [burner, "idle-1"]

    def is_whole() -> bool:
        rows = own_hub.sql(query, ids, began - 10)
        assert all(row["programs"] == len(ids) for row in rows)
        assert all(any(abs(row["at"] - at) < 0.001 for row in rows) for at in told), "what the broker has had"
        # Of what the agent had while there was no broker, two samples and more would be missing; one comes late where it
        # was given no processor.
        gaps = [later["at"] - earlier["at"] for earlier, later in zip(rows, rows[1:])]
        return max(gaps) < 2.8 * statistics.median(gaps)

    wait_until(is_whole, 60, "every sample with both programs", retry_on=(AssertionError,))
    assert own_hub.value("SELECT sum(dropped) FROM hub.node_statistics") == 0


# top


def test_top_prints_tables_where_there_is_no_terminal(own_hub: Hub, burner: str) -> None:
    wait_for_cpu(own_hub, burner)
    text = own_hub.cli("top", "--count", 2)
    tables = text.strip().split("\n\n")
    assert len(tables) == 4, text
    for machines, programs in (tables[:2], tables[2:]):
        assert machines.splitlines()[1].split()[:2] == [own_hub.node, "online"]
        assert [line.split()[0] for line in programs.splitlines()] == ["ID", burner, "idle-1"]
    lines = own_hub.cli("top", "--count", 2, "--interval", 0.2, "--json", "--sort", "memory").splitlines()
    assert len(lines) == 2
    assert [program["id"] for program in json.loads(lines[1])["programs"]] == [burner, "idle-1"]
    assert own_hub.run("top", "--count", 0).returncode != 0


def test_top_waits_for_a_broker_that_is_away(own_hub: Hub, burner: str, tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        top = subprocess.Popen(
            [SENSORHUB, "top", "--interval", "0.5", "--data", own_hub.data], stdin=subprocess.DEVNULL, stdout=stdout,
            stderr=stderr, env=environment())
    try:
        wait_until(lambda: burner in out.read_text(), what="a table")
        own_hub.close()
        with kept_down(own_hub, "mosquitto", "broker"):
            wait_until(lambda: "broker" in err.read_text(), what="a word about the broker")
            assert top.poll() is None
            assert err.read_text().count("\n") == 1, "said once"
        wait_until(lambda: "the hub is back" in err.read_text(), 60, "the hub is back")
        length = len(out.read_text())
        wait_until(lambda: len(out.read_text()) > length, what="further tables")
    finally:
        top.send_signal(signal.SIGINT)
        top.wait(60)


@pytest.fixture
def terminal_top(own_hub: Hub, burner: str) -> Iterator[tuple[int, int, Any]]:
    """`sensorhub top` on a terminal of its own: pid, our end, settings of the terminal before."""
    wait_for_cpu(own_hub, burner)
    master, slave = pty.openpty()
    settings = termios.tcgetattr(slave)
    pid = os.fork()
    if pid == 0:
        os.close(master)
        os.login_tty(slave) if hasattr(os, "login_tty") else _login_tty(slave)
        os.execve(SENSORHUB, ["sensorhub", "top", "--data", str(own_hub.data)], environment(TERM="xterm"))
    try:
        yield pid, master, (slave, settings)
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(master)
        os.close(slave)


def _login_tty(descriptor: int) -> None:
    import fcntl

    os.setsid()
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)
    for number in range(3):
        os.dup2(descriptor, number)


def _read_until(master: int, text: str, what: str) -> str:
    seen = ""
    deadline = time.monotonic() + 60
    while text not in seen:
        assert time.monotonic() < deadline, f"{what}: {seen!r}"
        if select.select([master], [], [], 0.2)[0]:
            seen += os.read(master, 65_536).decode(errors="replace")
    return seen


@pytest.mark.parametrize("end", [b"q", b"\x03"], ids=["q", "ctrl-c"])
def test_top_on_a_terminal_takes_keys_and_leaves_it_as_it_was(
    terminal_top: tuple[int, int, Any], burner: str, end: bytes,
) -> None:
    pid, master, (slave, settings) = terminal_top
    _read_until(master, "idle-1", "a picture")
    assert not termios.tcgetattr(slave)[3] & termios.ECHO
    os.write(master, b"m")
    _read_until(master, "idle-1", "a picture by memory")
    os.write(master, end)
    deadline = time.monotonic() + 60
    while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        assert time.monotonic() < deadline, "it does not end"
        if select.select([master], [], [], 0.1)[0]:
            os.read(master, 65_536)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    assert termios.tcgetattr(slave) == settings


# Placement: at the end, for others count the nodes


def test_the_node_with_the_lowest_load_gets_what_names_none(own_hub: Hub, burner: str) -> None:
    """And not the one with the fewest programs."""
    wait_until(
        lambda: own_hub.rpc("nodes", "list")["nodes"][0]["cpu"] is not None, what="the node has told its load")
    busy = OtherNode(own_hub, "busy").connect()
    try:
        machine = sample(0)["node"] | {"cpu": 100, "memory_available": 0}
        busy.peer.publish(own_hub.topic("nodes/busy/statistics"), sample(time.time_ns() // 1_000, node=machine))
        wait_until(lambda: busy.commands("statistics_committed"), what="the hub knows it")
        register(own_hub, probe("anywhere-1"), probe("anywhere-2"))
        own_hub.wait_until_running("anywhere-1", "anywhere-2")
        assert {own_hub.program(f"anywhere-{n}")["node"] for n in (1, 2)} == {own_hub.node}
    finally:
        busy.leave()
        for n in (1, 2):
            own_hub.request("sensors", "remove", name=f"anywhere-{n}")
