"""Maxim DS2482-100, a 1-wire master at an I2C bus, with one DS18B20 at its 1-wire bus; from their data sheets. The
kernel has drivers for both, so that the sensor is a real one under /sys/bus/w1."""

import time

from emulation import Chip, Nack


def crc8(data: bytes) -> int:
    """Of ROM and scratchpad: x^8 + x^5 + x^4 + 1, lowest bit first."""
    crc = 0
    for byte in data:
        for bit in range(8):
            feedback = (crc ^ byte >> bit) & 1
            crc = crc >> 1 ^ (0x8C if feedback else 0)
    return crc


class DS18B20:
    """The thermometer, bit by bit."""

    def __init__(self, serial: bytes) -> None:
        rom = bytes([0x28]) + serial
        self.rom = rom + bytes([crc8(rom)])
        self.celsius = 20.0
        self.eeprom = bytearray([0x4B, 0x46, 0x7F])
        # Its supply is not enough: it starts anew during each conversion.
        self.is_starved = False
        # A long cable: one bit of each scratchpad is read wrong.
        self.is_noisy = False
        self.converts_until = 0.0
        self.power_on()

    def power_on(self) -> None:
        # "The power-on reset value of the temperature register is +85 °C."
        self.temperature = 0x0550
        self.settings = bytearray(self.eeprom)
        self.mode, self.input, self.output, self.search = "idle", [], [], (0, 0)

    @property
    def scratchpad(self) -> bytes:
        body = self.temperature.to_bytes(2, "little") + bytes(self.settings) + bytes([0xFF, 0x0C, 0x10])
        return body + bytes([crc8(body)])

    def reset(self) -> None:
        self.mode, self.input, self.output, self.search = "rom", [], [], (0, 0)

    def read_bit(self) -> int:
        self.settle()
        if self.mode == "search":
            position, phase = self.search
            bit = self.rom[position // 8] >> position % 8 & 1
            self.search = (position, phase + 1)
            return bit ^ phase
        if self.mode == "converting":
            return int(time.monotonic() >= self.converts_until)
        return self.output.pop(0) if self.output else 1

    def write_bit(self, bit: int) -> None:
        self.settle()
        if self.mode == "search":
            position, _ = self.search
            if bit != self.rom[position // 8] >> position % 8 & 1:
                self.mode = "idle"
            elif position == 63:
                self.mode = "function"
            self.search = (position + 1, 0)
            return
        if self.mode in ("idle", "converting"):
            return
        self.input.append(bit)
        wanted = {"match": 64, "write": 24}.get(self.mode, 8)
        if len(self.input) == wanted:
            value = sum(bit << place for place, bit in enumerate(self.input))
            self.input = []
            self.take(value)

    def take(self, value: int) -> None:
        if self.mode == "rom":
            self.mode = {0xF0: "search", 0x55: "match", 0xCC: "function", 0x33: "idle"}.get(value, "idle")
            if value == 0x33:
                self.say(self.rom)
        elif self.mode == "match":
            self.mode = "function" if value == int.from_bytes(self.rom, "little") else "idle"
        elif self.mode == "write":
            self.settings[:] = value.to_bytes(3, "little")
            # Bits 7 and 4 to 0 of the configuration cannot be written.
            self.settings[2] = self.settings[2] & 0x60 | 0x1F
            self.mode = "idle"
        elif value == 0x44:
            resolution = 9 + (self.settings[2] >> 5 & 3)
            self.converts_until = time.monotonic() + 0.75 / (1 << 12 - resolution)
            self.mode = "converting"
        elif value == 0xBE:
            said = bytearray(self.scratchpad)
            if self.is_noisy:
                said[0] ^= 0x10
            self.say(said)
        elif value == 0x4E:
            self.mode = "write"
        elif value == 0x48:
            self.eeprom[:] = self.settings
        elif value == 0xB8:
            self.settings[:] = self.eeprom
        # 0xB4, Read Power Supply: with power of its own it lets the line high.

    def say(self, data: bytes) -> None:
        self.output = [byte >> place & 1 for byte in data for place in range(8)]

    def settle(self) -> None:
        """Ends a conversion whose time is over."""
        if not self.converts_until or time.monotonic() < self.converts_until:
            return
        self.converts_until = 0.0
        if self.is_starved:
            mode = self.mode
            self.power_on()
            self.mode = mode
            return
        undefined = 3 - (self.settings[2] >> 5 & 3)
        self.temperature = (round(self.celsius * 16) >> undefined << undefined) & 0xFFFF


class DS2482(Chip):
    """The master. Registers are read through a pointer that most commands move."""

    def __init__(self) -> None:
        self.thermometer = DS18B20(bytes.fromhex("a1b2c3d4e5f6"))
        # Whether the thermometer is at the bus.
        self.is_connected = True
        self.configuration = 0
        self.data = 0
        self.status = 0x18
        self.pointer = 0xF0
        self.busy_until = 0.0

    def starve(self, is_starved: bool) -> None:
        self.thermometer.is_starved = is_starved

    def make_noise(self, is_noisy: bool) -> None:
        self.thermometer.is_noisy = is_noisy

    def warm(self, celsius: float) -> None:
        self.thermometer.celsius = celsius

    def resolution(self) -> int:
        return 9 + (self.thermometer.settings[2] >> 5 & 3)

    def read_line(self) -> int:
        return self.thermometer.read_bit() if self.is_connected else 1

    def write_line(self, bit: int) -> None:
        if self.is_connected:
            self.thermometer.write_bit(bit)

    def slot(self, bit: int) -> int:
        """A time slot: writing 1 and reading are the same on the wire."""
        thermometer = self.thermometer
        if bit and self.is_connected and (
            thermometer.output or thermometer.mode in ("search", "converting") and thermometer.search[1] < 2
        ):
            return self.read_line()
        self.write_line(bit)
        return bit

    def write(self, data: bytes) -> None:
        command, value = data[0], data[1] if len(data) > 1 else 0
        if command == 0xF0:
            self.status, self.configuration, self.pointer = 0x18, 0, 0xF0
        elif command == 0xE1:
            # Only registers that it has.
            if value not in (0xF0, 0xE1, 0xC3):
                raise Nack
            self.pointer = value
        elif command == 0xD2:
            # The upper half is the complement of the lower one, or it is not taken.
            if value >> 4 == ~value & 0xF:
                self.configuration = value & 0xF
            self.status &= ~0x10
            self.pointer = 0xC3
        elif command == 0xB4:
            self.status = self.status & ~0x02 | (0x02 if self.is_connected else 0)
            if self.is_connected:
                self.thermometer.reset()
            self.busy(1.1e-3)
        elif command == 0x87:
            bit = self.slot(value >> 7)
            self.status = self.status & ~0x20 | bit << 5
            self.busy(0.07e-3)
        elif command == 0xA5:
            for place in range(8):
                self.slot(value >> place & 1)
            self.busy(0.56e-3)
        elif command == 0x96:
            self.data = sum(self.read_line() << place for place in range(8))
            self.busy(0.56e-3)
        elif command == 0x78:
            first, second = self.read_line(), self.read_line()
            # What was read decides; where both bits are 0, the one that was given.
            direction = value >> 7 if first == second == 0 else first
            self.write_line(direction)
            self.status = self.status & ~0xE0 | first << 5 | second << 6 | direction << 7
            self.busy(0.21e-3)
        else:
            raise Nack

    def busy(self, seconds: float) -> None:
        self.busy_until = time.monotonic() + seconds
        self.pointer = 0xF0

    def read(self, count: int) -> bytes:
        if self.pointer == 0xE1:
            value = self.data
        elif self.pointer == 0xC3:
            value = self.configuration
        else:
            value = self.status & ~1 | (time.monotonic() < self.busy_until)
        return bytes([value] * count)
