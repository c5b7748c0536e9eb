"""NXP PCA9685, from its data sheet (Rev. 4, section 7.3)."""

import time

from emulation import RegisterChip

MODE1, MODE2, LED0, ALL_LED, PRE_SCALE = 0x00, 0x01, 0x06, 0xFA, 0xFE
RESTART, EXTCLK, AI, SLEEP = 0x80, 0x40, 0x20, 0x10


class PCA9685(RegisterChip):
    def __init__(self) -> None:
        super().__init__()
        # Of "about 25 MHz".
        self.oscillator = 25_000_000
        self.reset()

    def reset(self) -> None:
        self.registers[:] = bytes(256)
        self.registers[MODE1] = 0x11
        self.registers[MODE2] = 0x04
        # SUBADR1 to 3, and ALLCALLADR.
        self.registers[2:6] = bytes([0xE2, 0xE4, 0xE8, 0xE0])
        for channel in range(16):
            self.registers[LED0 + 4 * channel + 3] = 0x10
        self.registers[PRE_SCALE] = 0x1E
        self.awake_since = 0.0
        # Writes to PRE_SCALE that came while the chip was awake.
        self.blocked = 0

    def write(self, data: bytes) -> None:
        if data:
            self.pointer = data[0]
        for byte in data[1:]:
            self.write_register(self.pointer, byte)
            self.advance()

    def read(self, count: int) -> bytes:
        result = bytearray()
        for _ in range(count):
            result.append(self.read_register(self.pointer))
            self.advance()
        return bytes(result)

    def advance(self) -> None:
        if self.registers[MODE1] & AI:
            # "0xFF rolls over to 0", and so it does after the last channel.
            self.pointer = 0 if self.pointer in (0x45, 0xFF) else self.pointer + 1

    def read_register(self, register: int) -> int:
        # ALL_LED reads as 0.
        return 0 if 0x46 <= register < PRE_SCALE else self.registers[register]

    def write_register(self, register: int, value: int) -> None:
        asleep = self.registers[MODE1] & SLEEP
        if register == MODE1:
            # RESTART is cleared by writing 1 to it. It is set when the chip goes to sleep while channels run.
            restart = self.registers[MODE1] & RESTART
            if value & RESTART:
                restart = 0
            if value & SLEEP and not asleep and any(self.duty(channel) not in (0, 1) for channel in range(16)):
                restart = RESTART
            if asleep and not value & SLEEP:
                self.awake_since = time.monotonic()
            # EXTCLK stays until the chip is reset.
            self.registers[MODE1] = value & 0x3F | restart | (self.registers[MODE1] | value) & EXTCLK
        elif register == MODE2:
            self.registers[MODE2] = value & 0x1F
        elif register == PRE_SCALE:
            # "Writes to PRE_SCALE register are blocked when SLEEP bit is logic 0"; the least is 3.
            if asleep:
                self.registers[PRE_SCALE] = max(value, 3)
            else:
                self.blocked += 1
        elif ALL_LED <= register < PRE_SCALE:
            for channel in range(16):
                self.write_register(LED0 + 4 * channel + register - ALL_LED, value)
        elif LED0 <= register < 0x46:
            self.registers[MODE1] &= ~RESTART & 0xFF
            self.registers[register] = value & (0x1F if (register - LED0) % 2 else 0xFF)
        elif register < LED0:
            self.registers[register] = value & 0xFE

    def hertz(self) -> float:
        return self.oscillator / 4096 / (self.registers[PRE_SCALE] + 1)

    def duty(self, channel: int) -> float:
        """How much of a period a channel is on, 0 to 1."""
        first = LED0 + 4 * channel
        on = int.from_bytes(self.registers[first:first + 2], "little")
        off = int.from_bytes(self.registers[first + 2:first + 4], "little")
        # "always off" is above "always on".
        if off & 0x1000:
            return 0
        if on & 0x1000:
            return 1
        return (off - on) % 4096 / 4096

    def output(self, channel: int) -> float:
        """The same at the pin, where there are no pulses while the chip sleeps."""
        duty = self.duty(channel)
        return duty if duty in (0, 1) or not self.registers[MODE1] & SLEEP else 0
