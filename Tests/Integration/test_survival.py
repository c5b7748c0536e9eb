"""Programs outlive what watches them: watches, agent, hub and broker are killed in every order, again and again."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from hub import wait_until, watches_of
from samples import app_zip, deployment, write
from services import Services

PROGRAMS = 50
LINES = 10_000
# The node's id.
NODE = "mill"

# Not isolated: their own numbers for their processes are to be the machine's.
# Each start is on record beside what the agent and the hub say; the last one but the counter ends as it is told.
PROGRAM = """#!/bin/sh
echo $$ >> "$SENSORHUB_STATE/starts"
while [ ! -s "$SENSORHUB_STATE/end" ]; do sleep 0.3; done
exit "$(cat "$SENSORHUB_STATE/end")"
"""
COUNTER = f"""#!/bin/sh
echo $$ >> "$SENSORHUB_STATE/starts"
i=0
while [ $i -lt {LINES} ]; do
    i=$((i + 1))
    echo "line $i"
    [ $((i % 25)) -eq 0 ] && sleep 0.1
done
sleep 2
kill -USR1 $$
"""


class Machine:
    """A hub, a broker and an agent that are started anew as soon as they were killed, as systemd would do it."""

    def __init__(self, services: Services) -> None:
        self.services = services
        services.start_hub(logs={"lines": 20_000})
        self.person = services.person_at(NODE)

    @property
    def programs(self) -> Path:
        return self.services.folder / "agent" / "programs"

    def kill(self, part: str) -> None:
        if part != "watch":
            self.services.restart(part, signal.SIGKILL)
            return
        watches = watches_of(self.programs)
        # The counter's, and some of the others.
        for program in {"algorithm-counter-main-1", *random.sample(sorted(watches), min(5, len(watches)))}:
            try:
                os.kill(watches[program], signal.SIGKILL)
            except (KeyError, ProcessLookupError):
                pass


def test_whatever_is_killed_no_program_is_lost_or_doubled_and_every_line_comes_once(
    services: Services, tmp_path: Path,
) -> None:
    machine = Machine(services)
    hub = machine.person
    hub.cli("apps", "install", "sleeper", app_zip(tmp_path, "sleeper", "main.sh", PROGRAM))
    hub.cli("apps", "install", "counter", app_zip(tmp_path, "counter", "main.sh", COUNTER))
    sleepers: dict[str, Any] = {"noOfAlgo": PROGRAMS - 1}
    for number in range(1, PROGRAMS):
        sleepers[str(number)] = deployment("sleeper", isolation=False)["1"]
    entries = hub.json("deploy", write(tmp_path / "sleepers.json", sleepers))["entries"]
    ids = [entry["instance_id"] for entry in entries]
    assert len(set(ids)) == PROGRAMS - 1
    hub.wait_until_running(*ids)
    (entry,) = hub.json("deploy", write(tmp_path / "counter.json", deployment("counter", isolation=False)))["entries"]
    counter = entry["instance_id"]
    hub.wait_until_running(counter)

    for order in itertools.permutations(("watch", "agent", "hub", "mosquitto")):
        for part in order:
            machine.kill(part)
            time.sleep(random.uniform(0, 0.4))
        time.sleep(random.uniform(0, 1))

    # Each ends in a way of its own.
    expected: dict[str, tuple[str, int]] = {counter: ("signal", signal.SIGUSR1)}
    for number, id in enumerate(ids):
        state = machine.programs / f"algorithm-{id}" / "state"
        (pid,) = (state / "starts").read_text().split()
        if number % 3 == 2:
            expected[id] = ("signal", [signal.SIGKILL, signal.SIGSEGV, signal.SIGUSR2][number // 3 % 3])
            os.kill(int(pid), expected[id][1])
        else:
            expected[id] = ("exit_code", number)
            (state / "end").write_text(str(number))

    def ended() -> dict[str, dict[str, Any]]:
        rows = hub.sql("SELECT id, exit_code, signal, reason FROM hub.run WHERE run = 1 AND ended_at IS NOT NULL")
        return {row["id"]: row for row in rows if row["id"] in expected}

    wait_until(lambda: len(ended()) == PROGRAMS, 240, "the end of each first run", retry_on=(Exception,))
    for id, row in ended().items():
        what, value = expected[id]
        assert row[what] == value and row["exit_code" if what == "signal" else "signal"] is None, (id, row)

    def lines() -> list[dict[str, Any]]:
        return hub.sql("SELECT line, at FROM hub.log_line WHERE id = %s AND run = 1 ORDER BY number", counter)

    wait_until(lambda: len(lines()) >= LINES, 120, "the lines", retry_on=(Exception,))
    texts = [row["line"] for row in lines()]
    doubled = [text for text, count in Counter(texts).items() if count > 1]
    assert not doubled, doubled[:10]
    assert texts == [f"line {number}" for number in range(1, LINES + 1)]
    hub.close()
