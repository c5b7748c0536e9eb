"""What an emulator of an I2C chip is written against. An emulator is a class with the chip's registers, written from its
data sheet, and not from the driver that it is to test.

    class Thermometer(Chip):
        def __init__(self) -> None:
            self.celsius = 20.0

        def write(self, data: bytes) -> None: …
        def read(self, count: int) -> bytes: …

Tests set the chip's attributes (`celsius`) while it is in use.

As a program in the guest it is one bus with its chips: `emulation.py NAME SETUP`, with SETUP as JSON:
{"timeout_ms", "smbus_only", "chips": {"0x23": {"file": path, "class": name, "attributes": {…}}}}. A line on standard
input is a request of the test, {"chip": "0x23", "set": {…}, "get": […], "call": [method, …]}; each is answered with a
line.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import select
import struct
import sys
from typing import Any


class Nack(Exception):
    """The chip does not acknowledge its address or a byte."""


class Hang(Exception):
    """The chip holds the clock line, so that the transfer never ends."""


class Chip:
    """A chip at an address of a bus. It acknowledges everything, and reads as a bus that nobody pulls down."""

    # For tests of what goes wrong: it holds the clock, and transfers to it do not end.
    hangs = False

    def start(self, is_read: bool) -> None:
        """Its address came; also for a message without bytes."""

    def write(self, data: bytes) -> None:
        """The bytes of one message."""

    def read(self, count: int) -> bytes:
        """`count` bytes for one message."""
        return b"\xff" * count


class RegisterChip(Chip):
    """A chip with registers of one byte each: the first byte written sets the pointer, which then counts up."""

    def __init__(self, size: int = 256) -> None:
        self.registers = bytearray(size)
        self.pointer = 0

    def write(self, data: bytes) -> None:
        if data:
            self.pointer = data[0] % len(self.registers)
        for byte in data[1:]:
            self.write_register(self.pointer, byte)
            self.pointer = (self.pointer + 1) % len(self.registers)

    def read(self, count: int) -> bytes:
        result = bytearray()
        for _ in range(count):
            result.append(self.read_register(self.pointer) & 0xFF)
            self.pointer = (self.pointer + 1) % len(self.registers)
        return bytes(result)

    def write_register(self, register: int, value: int) -> None:
        self.registers[register] = value

    def read_register(self, register: int) -> int:
        return self.registers[register]


I2C_M_RD = 1


class Bus:
    """An adapter of the module i2c_lab, and the chips behind it."""

    def __init__(self, name: str, chips: dict[int, Chip], timeout_ms: int = 1_000, smbus_only: bool = False) -> None:
        self.chips = chips
        self.descriptor = os.open("/dev/i2c-lab", os.O_RDWR | os.O_CLOEXEC)
        os.write(self.descriptor, struct.pack("<II40s", timeout_ms, smbus_only, name.encode()))

    def serve(self) -> None:
        """Answers one request."""
        request = os.read(self.descriptor, 32_768)
        number, count = struct.unpack_from("<IH", request)
        try:
            reply = struct.pack("<Ii", number, 0) + self.transfer(request[6:], count)
        except Nack:
            # What i2c-bcm2835 and others say.
            reply = struct.pack("<Ii", number, -errno.EREMOTEIO)
        except Hang:
            return
        try:
            os.write(self.descriptor, reply)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise

    def transfer(self, messages: bytes, count: int) -> bytes:
        result = b""
        for _ in range(count):
            address, flags, length = struct.unpack_from("<HHH", messages)
            messages = messages[6:]
            chip = self.chips.get(address)
            if chip is None:
                raise Nack
            if chip.hangs:
                raise Hang
            chip.start(bool(flags & I2C_M_RD))
            if flags & I2C_M_RD:
                data = chip.read(length)
                assert len(data) == length, f"{type(chip).__name__}.read({length}) gave {len(data)} bytes"
                result += data
            else:
                chip.write(messages[:length])
                messages = messages[length:]
        return result


def load(setup: dict[str, Any]) -> Chip:
    spec = importlib.util.spec_from_file_location("emulator", setup["file"])
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    chip: Chip = getattr(module, setup["class"])()
    change(chip, setup["attributes"])
    return chip


def change(chip: Chip, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        if not hasattr(chip, name):
            raise AttributeError(f"{type(chip).__name__} has no '{name}'")
        setattr(chip, name, value)


def handle(bus: Bus, removed: dict[int, Chip], request: dict[str, Any]) -> Any:
    address = int(request["chip"], 0)
    if request.get("present") is not None:
        source, target = (removed, bus.chips) if request["present"] else (bus.chips, removed)
        if address in source:
            target[address] = source.pop(address)
    chip = bus.chips.get(address) or removed[address]
    change(chip, request.get("set") or {})
    if request.get("call"):
        name, *arguments = request["call"]
        return getattr(chip, name)(*arguments)
    return {name: getattr(chip, name) for name in request.get("get") or []}


def main() -> None:
    # Emulators import this file by its name, and its classes are to be the same ones.
    sys.modules["emulation"] = sys.modules["__main__"]
    setup = json.loads(sys.argv[2])
    chips = {int(address, 0): load(chip) for address, chip in setup["chips"].items()}
    bus = Bus(sys.argv[1], chips, setup["timeout_ms"], setup["smbus_only"])
    removed: dict[int, Chip] = {}
    print(json.dumps("ready"), flush=True)
    poll = select.poll()
    poll.register(bus.descriptor, select.POLLIN)
    poll.register(sys.stdin, select.POLLIN | select.POLLHUP)
    waiting = b""
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == bus.descriptor:
                bus.serve()
                continue
            received = os.read(descriptor, 65_536)
            if not received:
                return
            *lines, waiting = (waiting + received).split(b"\n")
            for line in lines:
                try:
                    answer: Any = {"result": handle(bus, removed, json.loads(line))}
                except Exception as error:  # For the test to see.
                    answer = {"error": f"{type(error).__name__}: {error}"}
                print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
