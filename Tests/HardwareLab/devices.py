"""GPIO chips and I2C buses in the guest that tests make, and what is behind them."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any, Callable, Optional, TypeVar, Union

from guest import HERE, Guest, GuestError, Process

Value = TypeVar("Value")
CONFIG = "/sys/kernel/config/gpio-sim"
EMULATION = "/run/tmp/emulation.py"


def wait_until(predicate: Callable[[], Value], what: str, timeout: float = 30) -> Value:
    """Polls until `predicate` gives something true, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}; at last {value!r}"
        time.sleep(0.05)


class GPIOChip:
    """A chip of gpio-sim: /dev/gpiochipN, and the other ends of its lines."""

    def __init__(self, guest: Guest, label: str, lines: Union[int, dict[int, str]]) -> None:
        """`lines` is how many lines it has, or what those are called that have a name."""
        self._guest = guest
        self.label = label
        self._folder = f"{CONFIG}/{label}"
        named = {} if isinstance(lines, int) else lines
        self.size = lines if isinstance(lines, int) else max(lines) + 1
        guest.call("mkdir", path=f"{self._folder}/bank")
        guest.write(f"{self._folder}/bank/label", label)
        guest.write(f"{self._folder}/bank/num_lines", str(self.size))
        for offset, name in named.items():
            guest.call("mkdir", path=f"{self._folder}/bank/line{offset}")
            guest.write(f"{self._folder}/bank/line{offset}/name", name)
        self._named = named
        self._offsets = {name: offset for offset, name in named.items()}
        guest.write(f"{self._folder}/live", "1")
        self.name = guest.read(f"{self._folder}/bank/chip_name")
        self._device = f"/sys/devices/platform/{guest.read(f'{self._folder}/dev_name')}/{self.name}"
        self.path = f"/dev/{self.name}"

    def _line(self, line: Union[int, str]) -> str:
        offset = self._offsets[line] if isinstance(line, str) else line
        return f"{self._device}/sim_gpio{offset}"

    def pull(self, line: Union[int, str], up: bool) -> None:
        """What the outside does to a line: for a line that is an input, its level."""
        self._guest.write(f"{self._line(line)}/pull", "pull-up" if up else "pull-down")

    def value(self, line: Union[int, str]) -> bool:
        """The level that can be measured at the line."""
        return self._guest.read(f"{self._line(line)}/value") == "1"

    def is_pulled_up(self, line: Union[int, str]) -> bool:
        """Where the line is pulled to, by `pull` or by the bias that its user asked for."""
        return self._guest.read(f"{self._line(line)}/pull") == "pull-up"

    def pulses(self, line: Union[int, str], count: int) -> None:
        """Pulls a line up and down again, `count` times, as fast as it goes."""
        path = f"{self._line(line)}/pull"
        self._guest.run(
            "python3", "-c",
            "import os, sys\nfile = os.open(sys.argv[1], os.O_WRONLY)\n"
            "for _ in range(int(sys.argv[2])):\n"
            "    os.pwrite(file, b'pull-up', 0)\n    os.pwrite(file, b'pull-down', 0)\n", path, str(count))

    def remove(self) -> None:
        """Takes the chip away, as when an expander is unplugged."""
        if not self._guest.glob(self._folder):
            return
        self._guest.write(f"{self._folder}/live", "0")
        for offset in self._named:
            self._guest.call("rmdir", path=f"{self._folder}/bank/line{offset}")
        self._guest.call("rmdir", path=f"{self._folder}/bank")
        self._guest.call("rmdir", path=self._folder)


class Emulated:
    """What a test says how a chip on a bus is to be made."""

    def __init__(self, file: Path, name: str, **attributes: Any) -> None:
        """`file` is an emulator (see guest/emulation.py), `name` a class in it, `attributes` its state at first."""
        self.file = file
        self.name = name
        self.attributes = attributes


class I2CBus:
    """An I2C adapter whose chips are emulators. Its name is what a driver finds it by; the number is the kernel's."""

    def __init__(
        self, guest: Guest, name: str, chips: dict[int, Emulated], timeout_ms: int = 1_000, smbus_only: bool = False,
    ) -> None:
        self._guest = guest
        self.name = name
        guest.put(HERE / "guest" / "emulation.py", EMULATION)
        setup: dict[str, Any] = {"timeout_ms": timeout_ms, "smbus_only": smbus_only, "chips": {}}
        for address, chip in chips.items():
            file = f"/run/tmp/{uuid.uuid4().hex[:12]}.py"
            guest.put(chip.file, file)
            setup["chips"][hex(address)] = {"file": file, "class": chip.name, "attributes": chip.attributes}
        self._process: Process = guest.spawn("python3", "-u", EMULATION, name, json.dumps(setup), pipes=True)
        assert json.loads(self._process.talk()) == "ready", self._process.output
        self.path = wait_until(self._find, f"the bus '{name}'")
        self.number = int(self.path.removeprefix("/dev/i2c-"))

    def _find(self) -> Optional[str]:
        for path in self._guest.glob("/sys/class/i2c-dev/i2c-*/name"):
            try:
                if self._guest.read(path) == self.name:
                    return f"/dev/{path.split('/')[-2]}"
            except GuestError:
                # Another bus is being removed.
                pass
        return None

    def _ask(self, **request: Any) -> Any:
        answer = json.loads(self._process.talk(json.dumps(request)))
        assert "error" not in answer, f"emulator: {answer['error']}"
        return answer["result"]

    def set(self, address: int, **attributes: Any) -> None:
        """Sets attributes of a chip's emulator."""
        self._ask(chip=hex(address), set=attributes)

    def get(self, address: int, attribute: str) -> Any:
        return self._ask(chip=hex(address), get=[attribute])[attribute]

    def call(self, address: int, method: str, *arguments: Any) -> Any:
        """Calls a method of a chip's emulator."""
        return self._ask(chip=hex(address), call=[method, *arguments])

    def unplug(self, address: int) -> None:
        """Takes a chip off the bus: nobody answers at its address then."""
        self._ask(chip=hex(address), present=False)

    def plug(self, address: int) -> None:
        """Puts it back."""
        self._ask(chip=hex(address), present=True)

    def bind(self, driver: str, address: int, module: Optional[str] = None) -> str:
        """Has one of the kernel's own drivers take the chip. Returns the chip's folder under /sys."""
        self._guest.modprobe(module or driver)
        bus = f"/sys/bus/i2c/devices/i2c-{self.number}"
        self._guest.write(f"{bus}/new_device", f"{driver} {address:#04x}")
        folder = f"/sys/bus/i2c/devices/{self.number}-{address:04x}"
        wait_until(lambda: self._guest.glob(f"{folder}/driver"), f"the kernel's driver {driver}")
        return folder

    def unbind(self, address: int) -> None:
        """Takes the chip from the kernel's driver again."""
        self._guest.write(f"/sys/bus/i2c/devices/i2c-{self.number}/delete_device", f"{address:#04x}")

    def remove(self) -> None:
        """Takes the whole adapter away, as when one on USB is pulled out."""
        if self._process.is_running:
            self._process.stop()
