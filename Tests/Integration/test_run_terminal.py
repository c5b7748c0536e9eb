"""`sensorhub run --tty`: programs that have the person's terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import Iterator

import pytest

from hub import SENSORHUB, Hub, environment, processes_of, wait_until
from test_commands import printed
from test_outages import kept_down
from test_run import commands

PROMPT = "ready> "


class Person:
    """Somebody at a terminal in which `sensorhub run --tty` is started."""

    def __init__(self, hub: Hub, *command: str, rows: int = 30, columns: int = 100, options: tuple[str, ...] = ()) -> None:
        self.keyboard, self.inner = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.inner)
        self.seen = b""
        inner = self.inner

        def take_terminal() -> None:
            fcntl.ioctl(inner, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [SENSORHUB, "run", "--data", str(hub.data), "--tty", *options, "--", *command], stdin=inner, stdout=inner,
            stderr=inner, env=environment(TERM="vt100"), cwd="/", start_new_session=True, preexec_fn=take_terminal)

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)
        if self.keyboard >= 0:
            self.leave()

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.keyboard, text.encode())

    def see(self, text: str, timeout: float = 60) -> str:
        """Waits until `text` is on the screen, and returns what came up to its end."""
        deadline = time.monotonic() + timeout
        while text.encode() not in self.seen:
            assert time.monotonic() < deadline, f"'{text}' never came: {self.seen[-2_000:]!r}"
            if select.select([self.keyboard], [], [], 0.2)[0]:
                self.seen += os.read(self.keyboard, 65_536)
        before, _, self.seen = self.seen.partition(text.encode())
        return before.decode()

    def ask(self, line: str) -> str:
        """What a shell answers."""
        self.type(f"{line}; echo '<''end''>'\n")
        answer = self.see("<end>")
        self.see(PROMPT)
        # What was typed is seen as well.
        return answer.split("\r\n", 1)[1].strip()

    def leave(self) -> None:
        """Closes the terminal's window."""
        os.close(self.keyboard)
        os.close(self.inner)
        self.keyboard = -1

    def end(self) -> int:
        code = self.process.wait(60)
        assert termios.tcgetattr(self.inner) == self.before, "the terminal is not as it was"
        return code


@pytest.fixture(autouse=True)
def nothing_is_left(own_hub: Hub) -> Iterator[None]:
    before = set(Path("/tmp").glob("sensorhub-*"))
    yield
    wait_until(lambda: not commands(own_hub), 60, "the end of all commands", (AssertionError,))
    # Those of anybody else's tests go with these.
    wait_until(lambda: set(Path("/tmp").glob("sensorhub-*")) <= before, what="no folder of a terminal is left")


@pytest.fixture
def shell(own_hub: Hub) -> Iterator[Person]:
    with Person(own_hub, "bash", "--norc", "--noprofile", "-i", options=("--env", f"PS1={PROMPT}")) as person:
        person.see(PROMPT)
        # What comes then is nothing but what programs write.
        person.type("bind 'set enable-bracketed-paste off'\n")
        person.see(PROMPT)
        yield person


def test_a_shell_has_a_terminal(own_hub: Hub, shell: Person) -> None:
    assert shell.ask("stty size") == "30 100"
    assert shell.ask("tty").startswith("/dev/pts/") and shell.ask("echo $TERM") == "vt100"
    shell.resize(40, 120)
    wait_until(lambda: shell.ask("stty size") == "40 120", what="the new size")
    (program,) = commands(own_hub)
    assert program["id"].startswith("bash-")
    own_hub.wait_until_running(program["id"])
    shell.type("exit 7\n")
    assert shell.end() == 7
    told = {("stdout", "30 100"), ("stdout", "40 120")}
    wait_until(lambda: told <= set(printed(own_hub, program["id"])), what="its lines")


def test_a_prompt_without_an_end_of_line_is_seen(own_hub: Hub) -> None:
    with Person(own_hub, "sh", "-c", "printf 'name? '; read name; printf \"hello $name\"; exit 5") as person:
        person.see("name? ")
        person.type("Ada\n")
        person.see("hello Ada")
        assert person.end() == 5


def sleeps(hub: Hub) -> bool:
    return "sleep 1000" in processes_of(hub.data).values()


def test_ctrl_c_goes_to_the_job_in_the_foreground(own_hub: Hub, shell: Person) -> None:
    shell.type("sleep 1000\n")
    wait_until(lambda: sleeps(own_hub), what="the job in the foreground")
    shell.type("\x03")
    shell.see(PROMPT)
    assert shell.ask("echo $?") == "130"
    # Ctrl-Z and job control, too.
    shell.type("sleep 1000\n")
    wait_until(lambda: sleeps(own_hub), what="the job in the foreground")
    shell.type("\x1a")
    shell.see("Stopped")
    shell.see(PROMPT)
    assert "sleep 1000" in shell.ask("jobs")
    shell.ask("kill -9 %1")
    # At the first one it may not know yet that its stopped job is gone, and stays; the second one it obeys.
    shell.type("exit\nexit\n")
    shell.process.wait(60)


def test_ctrl_d_ends_the_input(own_hub: Hub) -> None:
    with Person(own_hub, "sh", "-c", "echo up; cat; echo over") as person:
        person.see("up")
        person.type("word\n\x04")
        person.see("over")
        assert person.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_end_it_as_they_would(own_hub: Hub, number: signal.Signals) -> None:
    with Person(own_hub, "sleep", "1000") as person:
        wait_until(lambda: commands(own_hub), what="the command")
        wait_until(lambda: raw(person), what="a raw terminal")
        person.process.send_signal(number)
        assert person.end() == 128 + number


def raw(person: Person) -> bool:
    return not termios.tcgetattr(person.inner)[3] & termios.ICANON


def test_stop_ends_what_has_a_terminal(own_hub: Hub) -> None:
    with Person(own_hub, "sh", "-c", "trap '' TERM HUP; echo up; while :; do sleep 0.1; done") as person:
        person.see("up")
        (program,) = commands(own_hub)
        # The terminal is not by way of the hub, which may not know yet that there is a process.
        own_hub.wait_until_running(program["id"])
        own_hub.cli("signal", program["id"], "KILL")
        assert person.end() == 128 + signal.SIGKILL


def test_a_terminal_that_goes_away_is_told(own_hub: Hub, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    file = tmp_path / "file"
    script = f"trap 'echo farewell; echo hup > {file}; exit 3' HUP; echo up; while :; do sleep 0.1; done"
    with Person(own_hub, "sh", "-c", script) as person:
        person.see("up")
        (program,) = commands(own_hub)
        person.leave()
        assert person.process.wait(60) == 128 + signal.SIGHUP
        wait_until(file.exists, what="the hangup")
        wait_until(lambda: not commands(own_hub), what="its end")
        assert own_hub.rpc("commands", "show", id=program["id"])["command"]["exit_code"] == 3
        assert ("stdout", "farewell") in printed(own_hub, program["id"])


def test_it_goes_on_without_a_person(own_hub: Hub) -> None:
    with Person(own_hub, "sh", "-c", "trap '' HUP; echo up; sleep 2; echo later; exit 4") as person:
        person.see("up")
        (program,) = commands(own_hub)
        # Not even a farewell.
        person.process.kill()
        person.process.wait(60)
        wait_until(lambda: not commands(own_hub), what="its end")
        assert own_hub.rpc("commands", "show", id=program["id"])["command"]["exit_code"] == 4
        assert ("stdout", "later") in printed(own_hub, program["id"])


def test_the_terminal_does_without_hub_agent_and_broker(own_hub: Hub, shell: Person) -> None:
    own_hub.close()
    with kept_down(own_hub, "mosquitto", "broker"):
        for part in ("hub", "agent"):
            os.kill(own_hub.part(part), signal.SIGKILL)
        assert shell.ask("echo $((6 * 7))") == "42"
        time.sleep(2)
        assert shell.ask("echo $((6 * 8))") == "48"
    shell.type("exit 9\n")
    assert shell.process.wait(60) == 9


def test_much_output_arrives_whole(own_hub: Hub) -> None:
    with Person(own_hub, "sh", "-c", "seq 1 30000; echo over") as person:
        assert person.see("over").split() == [str(n) for n in range(1, 30_001)]
        assert person.end() == 0


def test_what_cannot_have_a_terminal(own_hub: Hub) -> None:
    assert "--tty is for a terminal" in own_hub.refusal("run", "--tty", "--", "true")
    with Person(own_hub, "/no/such/program") as person:
        person.see("'/no/such/program' does not exist")
        assert person.end() == 127
    # A relay that finds nobody.
    relay = str(SENSORHUB.parent / "sensorhub-watch")
    result = subprocess.run(
        [relay, "--terminal", "/nonexistent/socket", "--", "true"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 126 and "no terminal: /nonexistent/socket: No such file" in result.stderr
