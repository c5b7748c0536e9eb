"""`sensorhub run`: programs under a watch of their own, as a person has them in the foreground."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterator, Optional

import pytest

from hub import SENSORHUB, Hub, environment, wait_until
from losing_link import losing_link
from other_node import OtherNode, now
from test_commands import TICKER, printed
from test_outages import kept_down

COUNTER = "i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo $i; sleep {pause}; done; exit 6"


class Foreground:
    """`sensorhub run` as a process, with pipes."""

    def __init__(self, hub: Hub, *arguments: str, **options: Any) -> None:
        # Unbuffered: what is read as a line must not take what comes after it.
        self.process = subprocess.Popen(
            [SENSORHUB, "run", "--data", str(hub.data), *arguments], env=environment(), cwd="/", bufsize=0,
            **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().rstrip("\n")

    def type(self, text: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def end(self, timeout: float = 60) -> tuple[int, str, str]:
        """Ends its input, waits for its end; exit code, and what else it has written."""
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out.decode(), err.decode()


def finished(hub: Hub, *command: str, input: bytes = b"", options: tuple[str, ...] = ()) -> tuple[int, str, str]:
    result = subprocess.run(
        [SENSORHUB, "run", "--data", str(hub.data), *options, "--", *command], env=environment(), cwd="/", input=input,
        capture_output=True, timeout=120)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def commands(hub: Hub) -> list[dict[str, Any]]:
    return list(hub.json("ps", "--where", "kind=command")["programs"])


@pytest.fixture(autouse=True)
def nothing_is_left(own_hub: Hub) -> Iterator[None]:
    yield
    wait_until(lambda: not commands(own_hub), what="the end of all commands", retry_on=(AssertionError,))


@pytest.mark.parametrize("command, code, out, err", [
    (["sh", "-c", "echo one; echo two >&2; printf three; exit 3"], 3, "one\nthree\n", "two\n"), (["true"], 0, "", ""),
    (["sh", "-c", "kill -USR1 $$"], 128 + signal.SIGUSR1, "", ""),
    (["sh", "-c", "kill -9 $$"], 128 + signal.SIGKILL, "", ""),
])
def test_output_and_exit_code_are_the_programs(own_hub: Hub, command: list[str], code: int, out: str, err: str) -> None:
    assert finished(own_hub, *command) == (code, out, err)


def test_the_exit_code_is_the_programs_however_much_goes_on_at_the_end(own_hub: Hub) -> None:
    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(lambda _: finished(own_hub, "sh", "-c", "echo one; exit 3"), range(80)))
    assert set(ends) == {(3, "one\n", "")}


def test_what_cannot_be_started(own_hub: Hub, tmp_path: Path) -> None:
    code, out, err = finished(own_hub, "/no/such/program")
    assert (code, out) == (127, "") and "the program '/no/such/program' does not exist" in err
    code, out, err = finished(own_hub, "no-such-program")
    assert (code, out) == (127, "") and "'no-such-program' is not in PATH" in err
    code, out, err = finished(own_hub, "/etc/passwd")
    assert (code, out) == (126, "") and "may not be executed" in err


def test_variables_and_words_arrive(own_hub: Hub) -> None:
    out = finished(own_hub, "sh", "-c", 'echo "$A|$B|$1"', "sh", "--env x", options=("--env", "A=a = b", "--env", "B="))
    assert out == (0, "a = b||--env x\n", "")


def test_input_goes_to_the_program_as_it_comes(own_hub: Hub) -> None:
    run = Foreground(own_hub, "--", "sh", "-c", "while read x; do echo got $x; done; echo over; exit 4")
    run.type(b"one\n")
    assert run.line() == "got one"
    run.type(b"two\nthree\n")
    assert run.line() == "got two"
    assert run.end() == (4, "got three\nover\n", "")
    assert finished(own_hub, "cat", input="à\nlast".encode())[:2] == (0, "à\nlast\n")


def test_much_input_arrives_whole(own_hub: Hub) -> None:
    content = os.urandom(6 << 20)
    code, out, _ = finished(own_hub, "sh", "-c", "sha256sum", input=content)
    assert (code, out.split()[0]) == (0, hashlib.sha256(content).hexdigest())


def test_output_comes_at_once_and_signals_are_passed_on(own_hub: Hub) -> None:
    script = "trap 'echo int' INT; trap 'echo usr' USR1; " + TICKER
    run = Foreground(own_hub, "--", "sh", "-c", script)
    assert run.line() == "up"
    for number, word in ((signal.SIGINT, "int"), (signal.SIGUSR1, "usr"), (signal.SIGHUP, "hup")):
        run.process.send_signal(number)
        assert run.line() == word
    run.process.send_signal(signal.SIGTERM)
    assert run.end()[:2] == (5, "farewell\n")


def test_a_signal_that_comes_early_is_not_lost(own_hub: Hub) -> None:
    run = Foreground(own_hub, "--", "sleep", "1000")
    wait_until(lambda: commands(own_hub), what="the command")
    time.sleep(0.1)
    run.process.send_signal(signal.SIGINT)
    assert run.end() == (128 + signal.SIGINT, "", "")


def test_a_flood_waits_and_loses_nothing(own_hub: Hub) -> None:
    run = Foreground(own_hub, "--", "sh", "-c", "seq 1 30000; seq 30001 30010 >&2")
    code, out, err = run.end(120)
    assert (code, err.split()) == (0, [str(n) for n in range(30_001, 30_011)])
    assert out.split() == [str(n) for n in range(1, 30_001)]


def test_a_reader_that_leaves_ends_the_program(own_hub: Hub) -> None:
    run = Foreground(own_hub, "--", "sh", "-c", "while :; do echo y; sleep 0.05; done")
    assert run.line() == "y"
    assert run.process.stdout is not None
    run.process.stdout.close()
    assert run.process.wait(60) == 128 + signal.SIGPIPE
    assert run.process.stdin is not None and run.process.stderr is not None
    run.process.stdin.close()
    run.process.stderr.close()


def test_a_detached_one_goes_on(own_hub: Hub) -> None:
    id = own_hub.cli("run", "--detach", "--name", "mine", "--", "sh", "-c", TICKER).strip()
    assert id.startswith("mine-")
    own_hub.wait_until_running(id)
    wait_until(lambda: ("stdout", "up") in printed(own_hub, id), what="its line")
    assert "up" in own_hub.cli("logs", id)
    own_hub.cli("stop", id)
    reply = own_hub.json("run", "--detach", "--", "true")
    assert reply["node"] == own_hub.node and reply["id"].startswith("true-")


def events_of(hub: Hub, id: str) -> list[dict[str, Any]]:
    return [event for event in hub.json("events", "--kind", "command", "--last", 5)["events"] if event["subject"] == id]


def test_the_hub_sees_it_all(own_hub: Hub) -> None:
    run = Foreground(own_hub, "--name", "seen", "--", "sh", "-c", TICKER)
    assert run.line() == "up"
    # Whoever listens hears of it before the hub has stored it.
    (program,) = commands(own_hub)
    own_hub.wait_until_running(program["id"])
    assert program["id"].startswith("seen-")
    own_hub.cli("stop", program["id"])
    code, out, err = run.end()
    assert (code, out) == (5, "farewell\n") and "asked to stop" in err
    wait_until(lambda: len(events_of(own_hub, program["id"])) == 2, what="both of its events")
    assert "farewell" in own_hub.cli("logs", program["id"])
    started, ended = events_of(own_hub, program["id"])
    assert (started["kind"], ended["kind"], ended["exit_code"]) == ("command.started", "command.ended", 5)


def test_wrong_usage(own_hub: Hub) -> None:
    for arguments in (
        [], ["--"], ["--", ""], ["ls"], ["--tty", "--detach", "--", "true"], ["--env", "=x", "--", "true"],
        ["--env", "x", "--", "true"], ["--json", "--", "true"],
    ):
        assert own_hub.run("run", *arguments).returncode == 64, arguments
    refusal = own_hub.refusal("run", "--node", own_hub.node + "x", "--", "true")
    assert f"there is no node '{own_hub.node}x'" in refusal and "did you mean" in refusal
    assert "no hub is running under" in own_hub.run("run", "--", "true", data=Path("/nonexistent")).stderr


# Outages


def numbers(run: Foreground, count: int) -> tuple[int, list[int], str]:
    """All of them; the first one has been read."""
    code, out, err = run.end(120)
    lines = [1, *(int(line) for line in out.splitlines())]
    breaks = [(a, b) for a, b in zip([0, *lines], lines) if b != a + 1]
    assert not breaks and len(lines) == count, f"{breaks[:10]} of {len(lines)}; {err}"
    return code, lines, err


def test_killed_hubs_lose_no_line(own_hub: Hub) -> None:
    run = Foreground(own_hub, "--", "sh", "-c", COUNTER.format(count=300, pause=0.03), stdin=subprocess.DEVNULL)
    assert run.line() == "1"
    for _ in range(3):
        time.sleep(1)
        old = own_hub.part("hub")
        own_hub.close()
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: own_hub.part("hub") != old, 60, "another hub", (AssertionError,))
    assert numbers(run, 300)[0] == 6


def test_a_broker_that_was_away_loses_no_line(own_hub: Hub) -> None:
    run = Foreground(own_hub, "--", "sh", "-c", COUNTER.format(count=300, pause=0.03), stdin=subprocess.DEVNULL)
    assert run.line() == "1"
    time.sleep(1)
    own_hub.close()
    with kept_down(own_hub, "mosquitto", "broker"):
        time.sleep(7)
    code, _, err = numbers(run, 300)
    assert code == 6 and "waiting for it" in err and "the hub is back" in err


def test_a_killed_agent_loses_no_line(own_hub: Hub) -> None:
    run = Foreground(own_hub, "--", "sh", "-c", COUNTER.format(count=200, pause=0.03), stdin=subprocess.DEVNULL)
    assert run.line() == "1"
    agent = own_hub.part("agent")
    os.kill(agent, signal.SIGKILL)
    wait_until(lambda: own_hub.part("agent") != agent, 60, "another agent", (AssertionError,))
    code, out, err = run.end(120)
    assert (code, out.split()) == (6, [str(n) for n in range(2, 201)]), err


def test_input_and_signals_wait_for_the_hub(own_hub: Hub) -> None:
    script = "trap 'echo usr; u=1' USR1; until read x; do :; done; echo got $x; until [ $u ]; do sleep 0.05; done; exit 0"
    run = Foreground(own_hub, "--", "sh", "-c", script)
    wait_until(lambda: [command["state"] for command in commands(own_hub)] == ["RUNNING"], what="the command")
    old = own_hub.part("mosquitto")
    own_hub.close()
    with kept_down(own_hub, "mosquitto", "broker"):
        wait_until(lambda: not Path(f"/proc/{old}").exists(), what="the end of the broker")
        time.sleep(1)
        run.process.send_signal(signal.SIGUSR1)
        run.type(b"word\n")
        time.sleep(1)
    try:
        wait_until(lambda: not commands(own_hub), 60, "its end", (AssertionError,))
        assert sorted(run.end()[1].splitlines()) == ["got word", "usr"]
    finally:
        run.process.kill()
    assert run.process.returncode == 0


def test_an_end_that_nobody_was_there_to_see_is_the_programs(own_hub: Hub) -> None:
    """Its watch alone sees it. The next agent, which waits for the hub, takes the last plan up, and has it in there still."""
    run = Foreground(own_hub, "--", "sh", "-c", "echo up; sleep 3; exit 9", stdin=subprocess.DEVNULL)
    assert run.line() == "up"
    (program,) = commands(own_hub)
    own_hub.close()
    log = own_hub.data / "log" / "agent.log"
    with kept_down(own_hub, "mosquitto", "broker"):
        for part in ("hub", "agent"):
            os.kill(own_hub.part(part), signal.SIGKILL)
        size = len(log.read_text())
        wait_until(lambda: "going on with the last plan" in log.read_text()[size:], what="an agent that waits no longer")
        time.sleep(1)
    code, out, err = run.end(120)
    assert (code, out) == (9, ""), err
    assert f"{program['id']} is FATAL" not in log.read_text()[size:]


def test_a_broker_that_is_away_at_the_start(own_hub: Hub) -> None:
    own_hub.close()
    with kept_down(own_hub, "mosquitto", "broker"):
        result = own_hub.run("run", "--", "true")
        assert result.returncode == 1 and "the broker at" in result.stderr and "sensorhub doctor" in result.stderr
    wait_until(lambda: finished(own_hub, "true")[0] == 0, 60, "the broker is back")


# Nodes


class Commanded(OtherNode):
    """A node that says it takes commands."""

    def connect(self) -> Commanded:
        super().connect()
        self.peer.publish(
            self.hub.topic(f"nodes/{self.id}/status"),
            {"status": "online", "version": "test", "commands": True, "t": now()}, retain=True)
        return self


def status(hub: Hub, node: str) -> Optional[dict[str, Any]]:
    return next((row for row in hub.json("nodes")["nodes"] if row["node"] == node), None)


def test_this_machines_node_is_taken(own_hub: Hub, tmp_path: Path) -> None:
    other = Commanded(own_hub, "zebra").connect()
    try:
        wait_until(lambda: (status(own_hub, "zebra") or {}).get("commands"), what="it takes commands")
        assert own_hub.json("run", "--detach", "--", "true")["node"] == own_hub.node
        assert finished(own_hub, "echo", "here", options=("--node", own_hub.node))[:2] == (0, "here\n")
        # Somebody on another machine, of whose nodes nothing is known.
        connection = json.loads((own_hub.data / "connection.json").read_text())
        (tmp_path / "connection.json").write_text(json.dumps(connection))
        result = own_hub.run("run", "--", "true", data=tmp_path)
        if own_hub.node not in (os.uname().nodename, os.uname().nodename.split(".")[0]):
            assert result.returncode == 1 and own_hub.node in result.stderr and "zebra" in result.stderr, result
            other.leave()
            wait_until(lambda: (status(own_hub, "zebra") or {})["status"] == "offline", what="it is offline")
        # The only one.
        assert own_hub.run("run", "--", "echo", "here", data=tmp_path).stdout == "here\n"
    finally:
        other.close()


def test_a_link_that_breaks_makes_nothing_happen_twice(own_hub: Hub, tmp_path: Path) -> None:
    """A message that the broker has and has not confirmed is sent again."""
    text = b"".join(b"%d\n" % number for number in range(20_000))
    with losing_link(own_hub, tmp_path, "commands/run", "programs/send") as (folder, link):
        result = subprocess.run(
            [SENSORHUB, "run", "--data", folder, "--node", own_hub.node, "--name", "once", "--", "sha256sum"],
            env=environment(), cwd="/", input=text, capture_output=True, timeout=120)
        assert not link.remaining
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[0].decode() == hashlib.sha256(text).hexdigest()
    started = own_hub.json("events", "--kind", "command.started", "--last", "100")["events"]
    assert len([event for event in started if event["subject"].startswith("once-")]) == 1
