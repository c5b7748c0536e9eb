"""ams-TAOS TSL2561, from its data sheet (TAOS059N, "Register Set")."""

import time

from emulation import Chip

CONTROL, TIMING, ID, DATA0LOW = 0x0, 0x1, 0xA, 0xC
CYCLES = {0: 11, 1: 81, 2: 322}
LIMITS = {0: 5_047, 1: 37_177, 2: 65_535}


class TSL2561(Chip):
    def __init__(self) -> None:
        # What the two channels would count in 402 ms with a gain of 16, if they could count so far.
        self.broadband = 0.0
        self.infrared = 0.0
        # Part number and revision: TSL2561T/FN/CL.
        self.id = 0x50
        self.reset()

    def reset(self) -> None:
        self.registers = bytearray(16)
        self.registers[TIMING] = 0x02
        self.pointer = 0
        self.started = 0.0

    def write(self, data: bytes) -> None:
        # Without the bit CMD a byte is no command, and there is nowhere to write to.
        if not data or not data[0] & 0x80:
            return
        self.pointer = data[0] & 0x0F
        for value in data[1:]:
            self.finish()
            if self.pointer == CONTROL:
                if value & 3 == 3 and not self.is_on():
                    self.started = time.monotonic()
                self.registers[CONTROL] = value & 3
            elif self.pointer == TIMING:
                # A new integration begins.
                self.registers[TIMING] = value & 0x1B
                self.started = time.monotonic()
            elif self.pointer < ID:
                self.registers[self.pointer] = value
            self.pointer = (self.pointer + 1) & 0x0F

    def read(self, count: int) -> bytes:
        self.finish()
        result = bytearray()
        for _ in range(count):
            result.append(self.id if self.pointer == ID else self.registers[self.pointer])
            self.pointer = (self.pointer + 1) & 0x0F
        return bytes(result)

    def is_on(self) -> bool:
        return self.registers[CONTROL] & 3 == 3

    def finish(self) -> None:
        """The data registers get their values at the end of an integration; 3 stands for integration by hand."""
        integration = self.registers[TIMING] & 3
        if not self.is_on() or integration == 3:
            return
        # The clock has 735 kHz, and an integration so many times 918 clocks.
        if time.monotonic() - self.started < CYCLES[integration] * 918 / 735_000:
            return
        gain = 16 if self.registers[TIMING] & 0x10 else 1
        for index, light in enumerate((self.broadband, self.infrared)):
            count = min(int(light * CYCLES[integration] / 322 * gain / 16), LIMITS[integration])
            self.registers[DATA0LOW + 2 * index:DATA0LOW + 2 * index + 2] = count.to_bytes(2, "little")
