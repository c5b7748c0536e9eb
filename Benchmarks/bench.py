"""Measures how fast readings are stored, against what the broker, a naive script and PostgreSQL itself can do, and prints the
tables of docs/performance.md. Everything runs on this machine: a real broker, a real database, the release build.

    make bench                  all of it
    Benchmarks/bench.py --only rate,latency --count 100000
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "Tests" / "Integration")]

import psycopg  # noqa: E402

from figures import cpu_seconds, machine, percentile, rates, row  # noqa: E402
from hub import Hub  # noqa: E402
from load import Load, Publisher  # noqa: E402

FIELDS = {"temperature": "float", "humidity": "float", "state": "string"}
ROUNDS = 3


class Bench:
    """A fresh hub for one measurement."""

    def __init__(self, build: Path, tools: Path) -> None:
        self.build, self.tools = build, tools
        self.hub = Hub().start()
        self.port = int(self.hub.connection["broker"].rsplit(":", 1)[1])
        self.user = "hub.main"
        self.password = json.loads((self.hub.data / "hub.json").read_text())["broker"]["password"]
        self.boot = 1
        self.next_number = 1
        self.sink_seconds = 0.0
        self.database: Optional[psycopg.Connection[Any]] = None

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        if self.database is not None:
            self.database.close()
        left = self.hub.destroy()
        assert not left, f"left behind: {left}"

    def register(self, types: int, instances: int) -> list[str]:
        """Names of `instances` sensors, evenly of `types` types."""
        documents = [{"name": f"climate{n}", "sensor_data_structure": FIELDS} for n in range(types)]
        sensors = [{"sensor_type": f"climate{n % types}", "name": f"s{n}"} for n in range(instances)]
        self.hub.rpc("types", "register", document=documents)
        for start in range(0, instances, 2_000):
            self.hub.rpc("sensors", "register", document=sensors[start:start + 2_000])
        return [sensor["name"] for sensor in sensors]

    def peak_mib(self) -> float:
        """The most memory that the hub has had resident."""
        status = Path(f"/proc/{self.hub.part('hub')}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024

    def cpu(self) -> dict[str, float]:
        """The processor time that each part has used so far, in seconds."""
        times = {part: cpu_seconds(self.hub.part(part)) for part in ("hub", "mosquitto")}
        postmaster = self.hub.part("postgres")
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        times["postgres"] = sum(cpu_seconds(pid) for pid in [postmaster, *children])
        times["publisher"] = time.process_time()
        times["sink"] = self.sink_seconds
        return times

    def stored(self) -> int:
        # Over one connection: a new one for each look would take time from what is measured.
        if self.database is None:
            self.database = psycopg.connect(self.hub.connection["database"], autocommit=True)
        found = self.database.execute("SELECT coalesce(sum(readings), 0) FROM hub.sensor_type", prepare=True).fetchone()
        assert found
        return int(found[0])

    def publisher(self, load: Load, topic: Optional[Callable[[str], str]] = None) -> Publisher:
        publisher = Publisher(self.port, self.user, self.password, f"load{time.monotonic_ns()}")
        messages: Iterator[tuple[str, bytes]] = load.messages()
        if topic:
            messages = ((topic(name), body) for name, body in messages)
        publisher.prepare(messages)
        return publisher

    def next_load(self, names: list[str], count: int, per_message: int = 1) -> Load:
        self.boot += 1
        return Load(names, count, per_message, boot=self.boot)

    # What is measured: readings a second, from the first message published to the last one taken

    def hub_rate(self, names: list[str], count: int, per_message: int = 1) -> float:
        """Of the same sensors each time, which go on counting: a driver starts once and then runs."""
        rounds = count // (len(names) * per_message)
        publisher = self.publisher(Load(names, count, per_message, boot=1, first=self.next_number))
        self.next_number += rounds * per_message
        total = rounds * len(names) * per_message
        before = self.stored()
        start = time.perf_counter()
        sender = threading.Thread(target=publisher.publish)
        sender.start()
        while self.stored() - before < total:
            assert time.perf_counter() - start < 300, "the hub does not get on"
            time.sleep(0.02)
        seconds = time.perf_counter() - start
        sender.join()
        publisher.close()
        return total / seconds

    def other_rate(self, names: list[str], count: int, command: Callable[[str, int], list[str]]) -> float:
        """The rate of a process that prints `ready`, and a line when it has had everything."""
        # On topics that the hub does not listen to.
        topic = "sensorhub/main/bench/{}/data"
        publisher = self.publisher(self.next_load(names, count), lambda name: topic.format(name.split("/")[3]))
        total = count // len(names) * len(names)
        process = subprocess.Popen(command(topic.format("+"), total), stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            start = time.perf_counter()
            sender = threading.Thread(target=publisher.publish)
            sender.start()
            assert process.stdout.readline()
            seconds = time.perf_counter() - start
            sender.join()
            self.sink_seconds += cpu_seconds(process.pid)
            return total / seconds
        finally:
            process.kill()
            process.wait()
            publisher.close()

    def sink_rate(self, names: list[str], count: int) -> float:
        return self.other_rate(names, count, lambda topic, total: [
            str(self.tools / "sink"), "127.0.0.1", str(self.port), self.user, self.password, f"sink{self.boot}", topic,
            str(total)])

    def naive_rate(self, names: list[str], count: int) -> float:
        return self.other_rate(names, count, lambda topic, total: [
            sys.executable, str(HERE / "naive.py"), str(self.port), self.user, self.password, topic, str(total),
            self.hub.connection["database"]])

    def database_rate(self, names: list[str], count: int, leaving_repeats: bool = False) -> float:
        """PostgreSQL's own: the same rows, the same statement, from a loop with nothing else; as for batches that may hold
        repeats, or as for others."""
        batch = 5_000
        # Microseconds since 2000, as PostgreSQL has times.
        now = int(time.time() * 1e6) - 946_684_800_000_000
        batches = []
        for turn in range(count // batch):
            numbers = [turn * batch + i for i in range(batch)]
            times = [struct.pack(">q", now + number) for number in numbers]
            batches.append([
                array(23, [struct.pack(">i", 1 + number % len(names)) for number in numbers]), array(1184, times),
                array(20, [struct.pack(">q", 1)] * batch), array(20, [struct.pack(">q", number) for number in numbers]),
                array(1184, times), array(701, [struct.pack(">d", 20.5)] * batch),
                array(701, [struct.pack(">d", 40.5)] * batch), array(25, [b"ok"] * batch)])
        statement = (
            b"INSERT INTO public.ceiling (instance_id, event_time, boot, seq, received_at, temperature, humidity, state) "
            b"SELECT * FROM unnest($1::int4[], $2::timestamptz[], $3::int8[], $4::int8[], $5::timestamptz[], $6::float8[], "
            b"$7::float8[], $8::text[])" + (b" ON CONFLICT DO NOTHING" if leaving_repeats else b""))
        with psycopg.connect(self.hub.connection["database"], autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS public.ceiling (LIKE readings.climate0 INCLUDING ALL)")
            connection.execute("TRUNCATE public.ceiling")
            connection.pgconn.prepare(b"ceiling", statement)
            start = time.perf_counter()
            for parameters in batches:
                connection.pgconn.exec_prepared(b"ceiling", parameters, [1] * 8)
            seconds = time.perf_counter() - start
            stored = connection.execute("SELECT count(*) FROM public.ceiling").fetchone()
            assert stored and stored[0] == len(batches) * batch, stored
            return len(batches) * batch / seconds


def array(element: int, items: list[bytes]) -> bytes:
    """An array in PostgreSQL's binary format."""
    return struct.pack(">iiIii", 1, 0, element, len(items), 1) + b"".join(struct.pack(">i", len(i)) + i for i in items)


def rate(bench: Bench, count: int) -> Iterator[str]:
    names = bench.register(1, 100)
    bench.hub_rate(names, count // 4)
    ours, sink, naive = [], [], []
    used = {"sink": Counter(), "hub": Counter()}

    def counted(name: str, measure: Callable[[list[str], int], float]) -> float:
        before = Counter(bench.cpu())
        result = measure(names, count)
        used[name] += Counter(bench.cpu()) - before
        return result

    for _ in range(ROUNDS):
        sink.append(counted("sink", bench.sink_rate))
        ours.append(counted("hub", bench.hub_rate))
        naive.append(bench.naive_rate(names, count // 4))
    yield "### Rate: one reading a message\n"
    yield row("readings/s, median of 3", "", "ratio", "asked for")
    yield row("---", "---", "---", "---")
    yield row("subscriber that throws away, libmosquitto", rates(sink), "", "")
    yield row("hub: validated, typed, committed, then acknowledged", rates(ours),
              f"{statistics.median(a / b for a, b in zip(ours, sink)):.2f} of it", "at least 0.95")
    yield row("script on paho-mqtt and psycopg COPY", rates(naive),
              f"hub {statistics.median(a / b for a, b in zip(ours, naive)):.1f} times", "at least 2.5 times")
    yield f"\nThe hub's resident memory was {bench.peak_mib():.0f} MiB at most.\n"
    parts = ["mosquitto", "publisher", "sink", "hub", "postgres"]
    yield row("µs of processor time for each reading", *parts)
    yield row(*["---"] * (len(parts) + 1))
    for name, text in [("sink", "subscriber that throws away"), ("hub", "hub")]:
        yield row(text, *(f"{used[name][part] * 1e6 / (ROUNDS * count):.1f}" if used[name][part] else "" for part in parts))
    yield ""


def arrays(bench: Bench, count: int) -> Iterator[str]:
    names = bench.register(1, 100)
    ours, ceiling, careful = [], [], []
    bench.hub_rate(names, count, 100)
    for _ in range(ROUNDS):
        careful.append(bench.database_rate(names, count, leaving_repeats=True))
        ceiling.append(bench.database_rate(names, count))
        ours.append(bench.hub_rate(names, count * 3, 100))
    yield "### Rate: 100 readings a message\n"
    yield row("readings/s, median of 3", "", "ratio", "asked for")
    yield row("---", "---", "---", "---")
    yield row("PostgreSQL alone: the same rows and statement", rates(ceiling), "", "")
    yield row("the same, as where there may be repeats", rates(careful),
              f"{statistics.median(a / b for a, b in zip(careful, ceiling)):.2f} of it", "")
    yield row("hub", rates(ours), f"{statistics.median(a / b for a, b in zip(ours, ceiling)):.2f} of it", "at least 0.7")
    yield f"\nThe hub's resident memory was {bench.peak_mib():.0f} MiB at most.\n"


def probe(bench: Bench, sensor: str, seconds: float, sent: Optional[dict[int, float]] = None) -> None:
    """Publishes a reading of `sensor` every 10 ms, stamped with the time of sending."""
    publisher = Publisher(bench.port, bench.user, bench.password, f"probe{time.monotonic_ns()}")
    start, seq = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        seq += 1
        now = time.time()
        if sent is not None:
            sent[seq] = now
        body = json.dumps({"t": int(now * 1e6), "boot": bench.boot, "seq": seq, "v": {"temperature": 1.5}}).encode()
        publisher.prepare(iter([(f"sensorhub/main/sensors/{sensor}/data", body)]))
        publisher.publish()
        time.sleep(max(0.0, start + seq * 0.01 - time.perf_counter()))
    publisher.close()


def commit_delays(bench: Bench) -> list[float]:
    """Milliseconds that the database takes for the smallest of commits: what the disk allows, with nothing else going on."""
    delays = []
    with psycopg.connect(bench.hub.connection["database"], autocommit=True) as connection:
        connection.execute("CREATE TABLE public.alone (at timestamptz)")
        for _ in range(500):
            start = time.perf_counter()
            connection.execute("INSERT INTO public.alone VALUES (now())", prepare=True)
            delays.append((time.perf_counter() - start) * 1e3)
    return delays


def latency(bench: Bench, count: int) -> Iterator[str]:
    names = bench.register(1, 101)
    bench.boot += 1
    seconds = 20.0
    load = bench.publisher(Load(names[:100], int(5_000 * (seconds + 4)), boot=bench.boot))
    background = threading.Thread(target=load.publish, kwargs={"rate": 5_000.0})
    background.start()
    time.sleep(2)
    sent: dict[int, float] = {}
    visible: dict[int, float] = {}
    done = threading.Event()

    def watch() -> None:
        sensor = bench.hub.sql("SELECT id FROM hub.sensor WHERE name = 's100'")[0]["id"]
        with psycopg.connect(bench.hub.connection["database"], autocommit=True) as connection:
            query = f"SELECT coalesce(max(seq), 0) FROM readings.climate0 WHERE instance_id = {sensor} AND event_time > now() - interval '2 s'"
            highest = 0
            while not done.is_set():
                found = connection.execute(query, prepare=True).fetchone()
                now = time.time()
                for seq in range(highest + 1, (found[0] if found else 0) + 1):
                    visible[seq] = now
                highest = max(highest, found[0] if found else 0)
                time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    probe(bench, "s100", seconds, sent)
    time.sleep(0.5)
    done.set()
    watcher.join()
    background.join()
    load.close()
    delays = [(visible[seq] - sent[seq]) * 1e3 for seq in sent if seq in visible]
    assert len(delays) > 0.95 * len(sent), f"{len(delays)} of {len(sent)} seen"
    yield "### Delay, at 5,000 readings a second\n"
    yield row("ms", "median", "99th percentile", "asked for")
    yield row("---", "---", "---", "---")
    alone = commit_delays(bench)
    yield row("a commit of one row, by itself", f"{statistics.median(alone):.1f}", f"{percentile(alone, 0.99):.1f}", "")
    yield row("published → visible in SQL", f"{statistics.median(delays):.1f}", f"{percentile(delays, 0.99):.1f}", "99th under 100")
    yield from callback_latency(bench)


def callback_latency(bench: Bench) -> Iterator[str]:
    """All subscribers listen to the same readings at the same time, together with the load; the broker serves whoever
    subscribed first before the others, so that they subscribe in turn in another order."""
    sensor, topic = "s100", "sensorhub/main/sensors/s100/data"
    binding = {
        "instance": "bench-1", "app": "bench", "algorithm": "probe", "version": 1, "reason": "bench",
        "positions": [{"index": 0, "sensor_type": "climate0", "sensors": [
            {"id": sensor, "data": topic, "fields": FIELDS, "functions": [], "attributes": {}}]}]}
    subprocess.run(
        ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(bench.port), "-u", bench.user, "-P", bench.password, "-q", "1", "-r",
         "-t", "sensorhub/main/algorithms/bench-1/binding", "-m", json.dumps(binding)], check=True)
    environment = {
        **os.environ, "SENSORHUB_HUB": "main", "SENSORHUB_BROKER": f"mqtt://127.0.0.1:{bench.port}",
        # The owner may read what an algorithm may: what is measured is the library.
        "SENSORHUB_USER": bench.hub.connection["user"], "SENSORHUB_PASSWORD": bench.hub.connection["password"],
        "SENSORHUB_INSTANCE": "bench-1", "SENSORHUB_APP": "bench"}
    bare = [str(bench.tools / "latency_sink"), str(bench.port), bench.user, bench.password, topic]
    ours = [str(bench.build / "platform-latency")]
    for name, command, asked in [
        ("algorithm's callback, `onReading`", [*ours, "callback"], "median within 1.1 of the bare one"),
        ("algorithm's loop, `for await`", [*ours, "loop"], ""),
    ]:
        ratios, lines = [], {"bare": [], "ours": []}
        for order in [("bare", "ours"), ("ours", "bare")] * 3:
            round_ = listen(bench, sensor, {key: {"bare": bare, "ours": command}[key] for key in order}, environment)
            ratios.append(statistics.median(round_["ours"]) / statistics.median(round_["bare"]))
            for key in order:
                lines[key] += round_[key]
        for key, text in [("bare", "bare libmosquitto subscriber"), ("ours", name)]:
            yield row(f"published → {text}", f"{statistics.median(lines[key]) / 1e3:.3f}",
                      f"{percentile(lines[key], 0.99) / 1e3:.2f}",
                      f"{asked}: {statistics.geometric_mean(ratios):.2f}".lstrip(": ") if key == "ours" else "")


def listen(bench: Bench, sensor: str, commands: dict[str, list[str]], environment: dict[str, str]) -> dict[str, list[float]]:
    """Microseconds from the sending of each probe to its arrival, by process; they subscribe in the order given."""
    lines: dict[str, list[float]] = {name: [] for name in commands}
    processes, readers = [], []

    def read(stream: Any, name: str) -> None:
        for line in stream:
            lines[name].append(float(line))

    for name, command in commands.items():
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        processes.append(process)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        readers.append(threading.Thread(target=read, args=(process.stdout, name)))
        readers[-1].start()
    bench.boot += 1
    load = bench.publisher(Load([f"s{n}" for n in range(100)], 5_000 * 7, boot=bench.boot))
    background = threading.Thread(target=load.publish, kwargs={"rate": 5_000.0})
    background.start()
    time.sleep(0.5)
    probe(bench, sensor, 6)
    background.join()
    load.close()
    for process in processes:
        process.kill()
        process.wait()
    for reader in readers:
        reader.join()
    assert all(len(values) > 500 for values in lines.values()), {name: len(values) for name, values in lines.items()}
    return lines


def growth(build: Path, tools: Path, count: int) -> Iterator[str]:
    """Each size in turn with the smallest, round by round: what else the machine does hits both."""
    yield "### Growth\n"
    yield row("types", "instances", "readings/s, median of 3", "against 1 type, 100 instances", "hub, resident at most",
              "µs of PostgreSQL's processor time for each reading")
    yield row("---", "---", "---", "---", "---", "---")
    ratios = []
    with Bench(build, tools) as small:
        few = small.register(1, 100)
        small.hub_rate(few, count // 4)
        for types, instances in [(1, 1_000), (1, 10_000), (10, 1_000), (100, 1_000)]:
            with Bench(build, tools) as bench:
                names = bench.register(types, instances)
                bench.hub_rate(names, max(count // 4, instances))
                before, small_before = bench.cpu()["postgres"], small.cpu()["postgres"]
                pairs = [(small.hub_rate(few, count), bench.hub_rate(names, count)) for _ in range(ROUNDS)]
                cost, small_cost = bench.cpu()["postgres"] - before, small.cpu()["postgres"] - small_before
                ratios.append(statistics.median(large / base for base, large in pairs))
                yield row(types, f"{instances:,}", rates([large for _, large in pairs]), f"{ratios[-1]:.2f}",
                          f"{bench.peak_mib():.0f} MiB", f"{cost * 1e6 / (ROUNDS * count):.1f}")
        yield row(1, 100, rates([base for base, _ in pairs]), "1", f"{small.peak_mib():.0f} MiB",
                  f"{small_cost * 1e6 / (ROUNDS * count):.1f}")
    yield f"\nThe least is {min(ratios):.2f}; asked for: at least 0.8, and under 64 MB.\n"


def cost(bench: Bench, count: int) -> Iterator[str]:
    """Instructions of the hub for each reading: unlike times, nearly the same in each run."""
    if not shutil.which("valgrind"):
        yield "Cost: not measured, valgrind is not installed.\n"
        return
    names = bench.register(1, 100)
    found = {}
    # Valgrind does not understand all of Swift's debug information.
    program = bench.tools / "sensorhub"
    subprocess.run(["strip", "--strip-debug", "-o", str(program), str(bench.build / "sensorhub")], check=True)
    for per_message in (1, 100):
        # Ours stands by until the other one is gone; the one that `up` starts in its place stands by then.
        former = bench.hub.part("hub")
        out = bench.tools / f"callgrind.{per_message}"
        process = subprocess.Popen(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
             str(program), "hub", "--config", str(bench.hub.data / "hub.json")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "SENSORHUB_SHARE": str(HERE.parent)})
        try:
            assert process.stdout is not None
            if not any("another hub leads" in line for line in process.stdout):
                raise RuntimeError("the hub under valgrind has ended")
            threading.Thread(target=process.stdout.read, daemon=True).start()
            # `up` would have the next one ready before ours looks again.
            os.kill(bench.hub.pid, signal.SIGSTOP)
            os.kill(former, signal.SIGKILL)
            bench.hub_rate(names, 20_000, per_message)
            os.kill(bench.hub.pid, signal.SIGCONT)
            subprocess.run(["callgrind_control", "--zero", str(process.pid)], check=True, stdout=subprocess.DEVNULL)
            bench.hub_rate(names, count, per_message)
        finally:
            process.terminate()
            process.wait()
        total = next(line for line in out.read_text().splitlines() if line.startswith(("totals:", "summary:")))
        found[per_message] = int(total.split()[1]) / count
    yield "### Cost\n"
    yield row("instructions of the hub for each reading (callgrind)", "")
    yield row("---", "---")
    yield row("one reading a message", f"{found[1]:,.0f}")
    yield row("100 readings a message", f"{found[100]:,.0f}")
    yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="rate,arrays,latency,growth,cost", help="which measurements, with commas")
    parser.add_argument("--count", type=int, default=200_000, help="readings in each run")
    options = parser.parse_args()
    build = Path(os.environ["SENSORHUB_TEST_BUILD"]).resolve()
    print(f"Measured on {machine()}.\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        tools = Path(folder)
        for name in ("sink", "latency_sink"):
            subprocess.run(["cc", "-O2", "-o", str(tools / name), str(HERE / f"{name}.c"), "-lmosquitto"], check=True)
        for name in options.only.split(","):
            if name == "growth":
                for line in growth(build, tools, options.count):
                    print(line, flush=True)
                continue
            with Bench(build, tools) as bench:
                for line in {"rate": rate, "arrays": arrays, "latency": latency, "cost": cost}[name](bench, options.count):
                    print(line, flush=True)


if __name__ == "__main__":
    main()
