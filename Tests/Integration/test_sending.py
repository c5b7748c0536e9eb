"""Input for programs: what the command line and the request make of it, as the node gets it."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Iterator, Optional

import pytest

from hub import SENSORHUB, Hub, environment, wait_until, watches_of
from mqtt import Message
from other_node import Journal, OtherNode, state
from samples import app_zip, deployment, probe, register, write


@pytest.fixture(scope="module")
def journal(own_hub: Hub) -> Iterator[Journal]:
    """Of a driver that is up on a node that the test is."""
    node = OtherNode(own_hub).connect()
    register(own_hub, probe("keys-1", node=node.id), probe("keys-2", node=node.id))
    wait_until(lambda: own_hub.program("keys-1")["node"] == node.id, what="it is placed")
    journal = Journal(node, "keys-1")
    journal.send(0, state(1, "STARTING", run=5, pid=77), state(2, "RUNNING", run=5, pid=77))
    yield journal
    node.close()


def inputs(journal: Journal) -> list[tuple[bytes, bool]]:
    commands = journal.node.commands("input")
    for command in commands:
        assert (command["id"], command["program"], command["run"]) == ("keys-1", "driver", 5)
    return [(base64.b64decode(command["data"]), command["eof"]) for command in commands]


@pytest.fixture
def sent(journal: Journal) -> Any:
    """What the node is asked to write from now on."""
    before = len(inputs(journal))

    def wait_for(count: int) -> list[tuple[bytes, bool]]:
        wait_until(lambda: len(inputs(journal)) >= before + count, what=f"{count} inputs")
        return inputs(journal)[before:]

    return wait_for


def test_words_are_sent_as_a_line(own_hub: Hub, journal: Journal, sent: Any) -> None:
    printed = own_hub.cli("send", "keys-1", "set", "level", "à")
    assert printed == "keys-1: 13 bytes are on their way to process 77 on other\n"
    own_hub.cli("send", "keys-1", "--no-newline", "x")
    own_hub.cli("send", "keys-1", "last", "--eof")
    own_hub.cli("send", "keys-1", "--eof", "--kind", "driver")
    assert sent(5) == [
        ("set level à\n".encode(), False), (b"x", False), (b"last\n", False), (b"", True), (b"", True)]


def test_what_a_node_does_not_take_is_refused(own_hub: Hub, journal: Journal) -> None:
    """And sent again until it says something."""
    node = journal.node
    hear, asked = node.peer.answer, list[str]()

    def refuse(message: Message) -> Optional[tuple[str, bytes]]:
        command = json.loads(message.payload)
        asked.append(command["request"])
        heard = {"kind": "heard", "request": command["request"], "error": "it does not read"}
        return own_hub.topic(f"nodes/{node.id}/report"), json.dumps(heard).encode()

    def say_nothing(message: Message) -> None:
        asked.append(json.loads(message.payload)["request"])

    try:
        node.peer.answer = refuse
        assert "it does not read" in own_hub.refusal("send", "keys-1", "x")
        assert "it does not read" in own_hub.refusal("signal", "keys-1", "HUP")
        assert len(asked) == 2 == len(set(asked))
        node.peer.answer = say_nothing
        assert "node 'other' does not answer" in own_hub.refusal("send", "keys-1", "x")
        assert len(asked) > 3 and len(set(asked)) == 3
    finally:
        node.peer.answer = hear


def test_files_are_sent_as_they_are(own_hub: Hub, journal: Journal, sent: Any, tmp_path: Path) -> None:
    content = os.urandom(200_000)
    (tmp_path / "file").write_bytes(content)
    own_hub.cli("send", "keys-1", "--file", tmp_path / "file", "--eof")
    pieces = sent(5)
    assert b"".join(data for data, _ in pieces) == content and [end for _, end in pieces] == [False] * 4 + [True]
    assert all(len(data) <= 64 << 10 for data, _ in pieces)


def test_standard_input_is_sent_as_it_comes(own_hub: Hub, journal: Journal, sent: Any) -> None:
    command = subprocess.Popen(
        [SENSORHUB, "send", "keys-1", "--file", "-", "--data", own_hub.data], stdin=subprocess.PIPE, env=environment(),
        stdout=subprocess.DEVNULL)
    assert command.stdin is not None
    for number, word in enumerate((b"first\n", b"second")):
        command.stdin.write(word)
        command.stdin.flush()
        assert sent(number + 1)[number] == (word, False)
    command.stdin.close()
    assert command.wait(60) == 0


def test_what_cannot_be_sent_is_refused(own_hub: Hub, journal: Journal, tmp_path: Path) -> None:
    before = len(inputs(journal))
    assert "'keys-2' does not run: it is not started" in own_hub.refusal("send", "keys-2", "x")
    assert "no program 'keys-9' (did you mean 'keys-" in own_hub.refusal("send", "keys-9", "x")
    assert "/nowhere: No such file" in own_hub.refusal("send", "keys-1", "--file", "/nowhere")
    assert own_hub.run("send", "keys-1").returncode == 64
    assert own_hub.run("send", "keys-1", "x", "--file", "-").returncode == 64

    def refusal(**parameters: Any) -> str:
        reply = own_hub.request("programs", "send", **({"id": "keys-1"} | parameters))
        assert reply["status"] in (400, 409), reply
        return str(reply["error"])

    assert "there is nothing to send" in refusal()
    assert "not both" in refusal(data="", text="")
    assert "expected base64" in refusal(data="?")
    assert "65537 bytes are more than the 65536 of one request" in refusal(text="x" * 65_537)
    assert "65537 bytes" in refusal(data=base64.b64encode(b"x" * 65_537).decode())
    assert "run 4 of 'keys-1' is over: it is in run 5 now" in refusal(text="x", run=4)
    assert "unknown key" in refusal(text="x", signal=9)
    assert len(inputs(journal)) == before


def test_nothing_is_sent_to_a_node_that_is_offline(own_hub: Hub, journal: Journal) -> None:
    topic = own_hub.topic("nodes/other/status")
    journal.node.peer.publish(topic, {"status": "offline"}, retain=True)
    wait_until(lambda: own_hub.program("keys-1")["state"] == "UNKNOWN", what="it is offline")
    assert "'keys-1' cannot be reached: its node 'other' is offline" in own_hub.refusal("send", "keys-1", "x")


ECHO = """#!/bin/sh
while read line; do echo "got $line"; done
echo over
sleep 1000
"""


def test_a_real_program_reads_what_is_sent(own_hub: Hub, tmp_path: Path) -> None:
    own_hub.cli("apps", "install", "echo", app_zip(tmp_path, "echo", "main.sh", ECHO))
    (entry,) = own_hub.json("deploy", write(tmp_path / "deploy.json", deployment("echo")))["entries"]
    instance = str(entry["instance_id"])
    own_hub.wait_until_running(instance)

    def lines() -> list[str]:
        return [line["text"] for line in own_hub.rpc("logs", "get", id=instance)["lines"]]

    own_hub.cli("send", instance, "one", "two")
    wait_until(lambda: lines() == ["got one two"], what="the line")
    # The death of its watch is nothing that it notices.
    program, programs = f"algorithm-{instance}", own_hub.data / "agent" / "programs"
    watch = watches_of(programs)[program]
    os.kill(watch, signal.SIGKILL)
    wait_until(lambda: watches_of(programs).get(program, watch) != watch, what="another watch")
    own_hub.cli("send", instance, "three")
    wait_until(lambda: lines() == ["got one two", "got three"], what="the next line")
    own_hub.cli("send", instance, "--eof")
    wait_until(lambda: lines()[-1] == "over", what="the end of its input")
    own_hub.cli("stop", instance)
