"""Measures drivers with the real GPIO and I2C devices of the lab's guest, and prints the tables of docs/performance.md.

    make hardware-bench                 all of it
    Tests/HardwareLab/run --bench --only edges,delay,i2c --rounds 3

What is compared has the same line in the same guest, each alone, in turn. mqtt-io, which does what the driver
`digital_input` does, is taken from PyPI into a folder of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

from broker import ROOT, Broker
from devices import Emulated, GPIOChip, I2CBus
from guest import Guest, Process
from sensor import Sensor, configuration

CHECKOUT = Path(__file__).resolve().parents[2]
DRIVERS = CHECKOUT / "Drivers"
DRIVER = "/run/tmp/sensor-driver"
NEWER_DRIVER = "/run/tmp/sensor-driver-libgpiod2"
TOOLS = "/run/tmp/bench_guest.py"
# With what is newest it neither finds a GPIO line (gpiod 2) nor connects to a broker (paho-mqtt 2).
MQTT_IO = ["mqtt-io==2.3.0", "gpiod==1.5.4", "paho-mqtt==1.6.1"]
# Ticks of /proc/PID/stat in a second.
TICKS = 100

# Chips that have a value whenever they are asked: (driver, address, folder, emulator, its state, attributes).
CHIPS: list[tuple[str, int, str, str, dict[str, Any], dict[str, Any]]] = [
    ("bh1750", 0x23, "BH1750", "BH1750", {"lux": 100}, {"resolution": "low"}),
    ("ina219", 0x40, "INA219", "INA219", {}, {}),
    ("ina219", 0x41, "INA219", "INA219", {}, {}),
    ("tmp102", 0x48, "TMP102", "TMP102", {}, {}),
    ("tmp102", 0x49, "TMP102", "TMP102", {}, {}),
    ("lm75", 0x4C, "LM75", "LM75", {}, {}),
    ("lm75", 0x4D, "LM75", "LM75", {}, {}),
]


class Usage:
    """What a process in the guest has used so far."""

    def __init__(self, guest: Guest, pid: int) -> None:
        fields = guest.read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()
        # utime and stime, fields 14 and 15 of the file (proc(5)).
        self.cpu = (int(fields[11]) + int(fields[12])) / TICKS
        sizes = dict(re.findall(r"^(\w+): +(\d+) kB$", guest.read(f"/proc/{pid}/smaps_rollup"), re.MULTILINE))
        self.resident = int(sizes["Rss"]) / 1024
        self.private = (int(sizes["Private_Clean"]) + int(sizes["Private_Dirty"])) / 1024


class Line:
    """A line of gpio-sim, and what watches it."""

    def __init__(self, guest: Guest, broker: Broker) -> None:
        self.guest, self.broker = guest, broker
        self.chip = GPIOChip(guest, f"bench-{uuid.uuid4().hex[:6]}", 1)
        self.path = f"{self.chip._line(0)}/pull"

    def pulses(self, count: int, pause: float) -> float:
        """Pulls it up and down so often, with a pause in seconds after each edge; how long that took."""
        return float(self.guest.run("python3", TOOLS, "pulses", self.path, str(count), str(pause), timeout=300).stdout)


class Watcher:
    """What sees edges of a line: `start`, `edges` and `stop`."""

    title = ""
    topic = ""

    def __init__(self, line: Line) -> None:
        self.line, self.guest, self.broker = line, line.guest, line.broker
        self.process: Optional[Process] = None

    def start(self) -> None:
        raise NotImplementedError

    def edges(self) -> int:
        """How many it has seen so far."""
        raise NotImplementedError

    def lost(self) -> str:
        """How many it says that it has lost."""
        return "does not say"

    def settle(self) -> None:
        """Waits until no more come."""
        before = -1
        while before != self.edges():
            before = self.edges()
            time.sleep(2)

    def stop(self) -> None:
        assert self.process
        self.process.stop()


class Gpiomon(Watcher):
    title = "gpiomon 1.6"

    def start(self) -> None:
        self.process = self.guest.spawn("gpiomon", "--format=%o", self.line.chip.name, "0")
        # It says nothing when it has the line.
        time.sleep(3)

    def edges(self) -> int:
        # What it has in its buffer it writes when it ends.
        return 0

    def count(self) -> int:
        assert self.process
        return len(self.process.output.split())


class Ours(Watcher):
    def __init__(self, line: Line, program: str) -> None:
        super().__init__(line)
        self.title = f"digital_input, libgpiod {'2' if program == NEWER_DRIVER else '1.6'}"
        self.program = program

    def start(self) -> None:
        name = f"line-{uuid.uuid4().hex[:6]}"
        document = configuration(
            "digital_input", DRIVERS / "DigitalInput/DigitalInput.type.json", name, 3_600,
            line={"chip": self.line.chip.label, "offset": 0})
        self.sensor = Sensor(self.guest, self.broker, self.program, document).start()
        self.process = self.sensor.process
        self.sensor.wait_for_values(1)
        self.topic = f"{ROOT}/sensors/{name}/data"

    def edges(self) -> int:
        return len(self.sensor.values) - 1

    def lost(self) -> str:
        return str(self.sensor.values[-1]["lost_edges"])


class MQTTIO(Watcher):
    title = "mqtt-io"

    def __init__(self, line: Line, python: Path) -> None:
        super().__init__(line)
        self.python = python

    def start(self) -> None:
        prefix = f"mqttio-{uuid.uuid4().hex[:6]}"
        self.topic = f"{ROOT}/{prefix}/input/line"
        settings = {
            "mqtt": {"host": "10.0.2.2", "port": self.broker.port, "topic_prefix": f"{ROOT}/{prefix}", "ha_discovery": {"enabled": False}},
            "gpio_modules": [{"name": "lines", "module": "gpiod", "chip": f"/dev/{self.line.chip.name}"}],
            # Its smallest. What comes sooner after another edge it passes over.
            "digital_inputs": [{"name": "line", "module": "lines", "pin": 0, "interrupt": "both", "bouncetime": 1}],
            # A line in the log for each edge would cost time.
            "logging": {"version": 1, "loggers": {"mqtt_io": {"level": "ERROR"}}},
        }
        # YAML, which JSON is part of.
        file = f"/run/tmp/{prefix}.yml"
        self.guest.write(file, json.dumps(settings))
        self.process = self.guest.spawn(str(self.python), "-m", "mqtt_io", file)
        self.broker.wait(
            lambda: any(message.payload == b"running" for message in self.broker.messages(f"{prefix}/status")),
            lambda: f"mqtt-io; it says: {self.process and self.process.output}", timeout=240)
        time.sleep(3)

    def edges(self) -> int:
        return len(self.broker.messages(self.topic.removeprefix(f"{ROOT}/")))


class Table:
    def __init__(self, *header: str) -> None:
        self.rows = [list(header), ["---"] * len(header)]

    def add(self, *cells: Any) -> None:
        self.rows.append([str(cell) for cell in cells])

    def show(self, title: str) -> None:
        print(f"\n{title}\n")
        for row in self.rows:
            print(f"| {' | '.join(row)} |")
        sys.stdout.flush()


def spread(values: list[float], digits: int = 0) -> str:
    """`median (least to most)`"""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


class Bench:
    def __init__(self, guest: Guest, broker: Broker, mqtt_io: Path, options: argparse.Namespace) -> None:
        self.guest, self.broker, self.mqtt_io, self.options = guest, broker, mqtt_io, options

    def watchers(self) -> list[Callable[[Line], Watcher]]:
        made: list[Callable[[Line], Watcher]] = [Gpiomon, lambda line: Ours(line, DRIVER)]
        if self.guest.glob(NEWER_DRIVER):
            made.append(lambda line: Ours(line, NEWER_DRIVER))
        return made + [lambda line: MQTTIO(line, self.mqtt_io)]

    def watched(self, make: Callable[[Line], Watcher]) -> Iterator[tuple[Line, Watcher]]:
        """A line of its own with a watcher, both taken down afterwards."""
        line = Line(self.guest, self.broker)
        watcher = make(line)
        print(f"{time.strftime('%H:%M:%S')} {watcher.title}", file=sys.stderr)
        try:
            watcher.start()
            yield line, watcher
        finally:
            if watcher.process:
                watcher.process.stop()
            line.chip.remove()

    def edges(self) -> None:
        """Edges seen, at several rates."""
        for pulses, pause in ((2_000, 0.0), (250, 0.005)):
            made = 2 * pulses
            found: dict[str, list[tuple[int, str, float, float]]] = {}
            for _ in range(self.options.rounds):
                for make in self.watchers():
                    for line, watcher in self.watched(make):
                        assert watcher.process
                        before = Usage(self.guest, watcher.process.pid)
                        seconds = line.pulses(pulses, pause)
                        if isinstance(watcher, Gpiomon):
                            time.sleep(2)
                            after = Usage(self.guest, watcher.process.pid)
                            watcher.stop()
                            seen = watcher.count()
                        else:
                            watcher.settle()
                            after = Usage(self.guest, watcher.process.pid)
                            seen = watcher.edges()
                        found.setdefault(watcher.title, []).append(
                            (seen, watcher.lost(), made / seconds, after.cpu - before.cpu))
            table = Table("", "edges seen", "reported lost", "edges made per second", "its CPU time, ms per edge seen")
            for title, rounds in found.items():
                table.add(
                    title, spread([seen for seen, *_ in rounds]), ", ".join(lost for _, lost, *_ in rounds),
                    spread([rate for *_, rate, _ in rounds]),
                    spread([1_000 * cpu / max(1, seen) for seen, _, _, cpu in rounds], 2))
            table.show(
                f"{made} edges, " + (f"{pause * 1000:g} ms pause after each" if pause else "as fast as they can be made")
                + f", {self.options.rounds} rounds: median (least to most)")

    def delay(self) -> None:
        """From an edge to the message about it, as the guest itself sees both; memory."""
        table = Table(
            "", "edge to message, ms: median", "95 %", "most", "kernel's time stamp to message, ms: median",
            "private memory, MiB", "resident, MiB", "CPU, ms per edge")
        for make in self.watchers()[1:]:
            for line, watcher in self.watched(make):
                assert watcher.process
                before = Usage(self.guest, watcher.process.pid)
                done = self.guest.run(
                    sys.executable, TOOLS, "delay", str(self.broker.port), watcher.topic, line.path,
                    str(self.options.count), timeout=300)
                after = Usage(self.guest, watcher.process.pid)
                result = json.loads(done.stdout)
                delays = sorted(result["delays"])
                stamped = result["stamped"]
                table.add(
                    watcher.title, f"{statistics.median(delays):.1f}", f"{delays[int(len(delays) * 0.95)]:.1f}",
                    f"{delays[-1]:.1f}", f"{statistics.median(stamped):.1f}" if stamped else "has none",
                    f"{after.private:.1f}", f"{after.resident:.1f}",
                    f"{1_000 * (after.cpu - before.cpu) / len(delays):.1f}")
        done = self.guest.run(
            sys.executable, TOOLS, "echo", str(self.broker.port), f"{ROOT}/echo", str(self.options.count), timeout=300)
        echo = sorted(json.loads(done.stdout))
        table.add("(the listener's own message, to the broker and back)", f"{statistics.median(echo):.1f}",
                  f"{echo[int(len(echo) * 0.95)]:.1f}", f"{echo[-1]:.1f}", "", "", "", "")
        table.show(f"{self.options.count} single edges, 30 ms apart")

    def i2c(self) -> None:
        """All chips of one bus at once, ten times a second."""
        bus = I2CBus(self.guest, f"bench-{uuid.uuid4().hex[:6]}", {
            address: Emulated(DRIVERS / folder / "Lab/emulator.py", emulator, **state)
            for _, address, folder, emulator, state, _ in CHIPS
        })
        sensors: list[tuple[str, int, Sensor]] = []
        table = Table("", "readings", "expected", "missed deadlines", "distance of two, ms: median (least to most)", "private memory, MiB")
        try:
            for driver, address, folder, _, _, attributes in CHIPS:
                document = configuration(
                    driver, DRIVERS / folder / f"{folder}.type.json", f"{driver}-{address:02x}-{uuid.uuid4().hex[:4]}", 0.1,
                    i2c=bus.name, i2c_address=f"0x{address:02X}", **attributes)
                sensors.append((driver, address, Sensor(self.guest, self.broker, DRIVER, document).start()))
            for _, _, sensor in sensors:
                sensor.wait_for_values(5)
            begun = {sensor.name: len(sensor.readings) for _, _, sensor in sensors}
            time.sleep(self.options.seconds)
            for driver, address, sensor in sensors:
                assert sensor.process
                usage = Usage(self.guest, sensor.process.pid)
                readings = sensor.readings[begun[sensor.name]:]
                times = [reading["t"] / 1e3 for reading in readings]
                distances = [after - before for before, after in zip(times, times[1:])]
                expected = round((times[-1] - times[0]) / 100) + 1
                sensor.stop()
                missed = sum(int(number) for number in re.findall(r"readings were left out.*?: (\d+)", sensor.log))
                table.add(f"{driver} at 0x{address:02X}", len(readings), expected, missed, spread(distances, 1), f"{usage.private:.1f}")
        finally:
            for _, _, sensor in sensors:
                if sensor.process and sensor.process.is_running:
                    sensor.stop()
            bus.remove()
        table.show(f"{len(CHIPS)} chips of one bus, each by a driver of its own, at 10 Hz for {self.options.seconds} s")


def python_with_mqtt_io(folder: Path) -> Path:
    """A virtual environment with mqtt-io, which is left for the next time."""
    python = folder / "bin/python"
    stamp = folder / "ready"
    if not stamp.exists() or stamp.read_text() != " ".join(MQTT_IO):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *MQTT_IO], check=True)
        stamp.write_text(" ".join(MQTT_IO))
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="edges,delay,i2c", help="which of edges, delay and i2c")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=200, help="single edges for the delay")
    parser.add_argument("--seconds", type=int, default=60, help="how long I2C chips are read")
    options = parser.parse_args()
    build, lab = Path(os.environ["SENSORHUB_TEST_BUILD"]).resolve(), Path(os.environ["SENSORHUB_LAB"]).resolve()
    mqtt_io = python_with_mqtt_io(lab / "mqtt-io")
    guest = Guest(lab, Path(os.environ["SENSORHUB_LAB_STATE"]))
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder))
        try:
            guest.kill()
            guest.start()
            guest.put(build / "sensor-driver", DRIVER)
            if (build / "sensor-driver-libgpiod2").exists():
                guest.put(build / "sensor-driver-libgpiod2", NEWER_DRIVER)
            guest.put(Path(__file__).parent / "guest" / "bench_guest.py", TOOLS)
            model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
            print(f"{model.split(':', 1)[1].strip()}, {os.cpu_count()} processors, Linux {platform.release()}; guest: one "
                  f"emulated processor (QEMU's TCG), {guest.run('uname', '-sr').stdout.strip()}; load of the machine at the "
                  f"start {os.getloadavg()[0]:.1f}")
            bench = Bench(guest, broker, mqtt_io, options)
            for part in options.only.split(","):
                {"edges": bench.edges, "delay": bench.delay, "i2c": bench.i2c}[part]()
            print(f"\nload of the machine at the end {os.getloadavg()[0]:.1f}")
        finally:
            guest.kill()
            broker.stop()


if __name__ == "__main__":
    main()
