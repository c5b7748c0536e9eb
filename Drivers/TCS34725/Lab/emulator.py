"""ams TCS34725, from its data sheet (TCS3472, "Register Set")."""

import time

from emulation import Chip

ENABLE, ATIME, PERS, CONFIG, CONTROL, ID, STATUS, CDATA = 0x00, 0x01, 0x0C, 0x0D, 0x0F, 0x12, 0x13, 0x14
PON, AEN, AVALID = 0x01, 0x02, 0x01


class TCS34725(Chip):
    def __init__(self) -> None:
        # Counts of clear, red, green, blue that come in 2.4 ms with a gain of 1.
        self.light = [0.0, 0.0, 0.0, 0.0]
        self.id = 0x44
        self.reset()

    def reset(self) -> None:
        self.registers = bytearray(32)
        self.registers[ATIME] = self.registers[0x03] = 0xFF
        self.pointer = 0
        self.counts_up = False
        self.started = 0.0

    def write(self, data: bytes) -> None:
        # Bit 7 makes it a command; bits 6 and 5 are its type: 0 the same address again, 1 counting up, 3 special.
        if not data or not data[0] & 0x80 or data[0] >> 5 & 3 == 3:
            return
        self.pointer, self.counts_up = data[0] & 0x1F, data[0] >> 5 & 3 == 1
        for value in data[1:]:
            self.finish()
            if self.pointer == ENABLE:
                both = PON | AEN
                if value & both == both and self.registers[ENABLE] & both != both:
                    self.started = time.monotonic()
                    self.registers[STATUS] = 0
                if value & AEN == 0:
                    self.registers[STATUS] = 0
                self.registers[ENABLE] = value & 0x1B
            elif self.pointer < ID:
                self.registers[self.pointer] = value
            self.advance()

    def read(self, count: int) -> bytes:
        self.finish()
        result = bytearray()
        for _ in range(count):
            result.append(self.id if self.pointer == ID else self.registers[self.pointer])
            self.advance()
        return bytes(result)

    def advance(self) -> None:
        if self.counts_up:
            self.pointer = (self.pointer + 1) & 0x1F

    def finish(self) -> None:
        cycles = 256 - self.registers[ATIME]
        if self.registers[ENABLE] & (PON | AEN) != PON | AEN:
            return
        # A cycle before the first integration.
        if time.monotonic() - self.started < (cycles + 1) * 0.0024:
            return
        gain = (1, 4, 16, 60)[self.registers[CONTROL] & 3]
        for index, light in enumerate(self.light):
            count = min(int(light * cycles * gain), 1_024 * cycles, 65_535)
            self.registers[CDATA + 2 * index:CDATA + 2 * index + 2] = count.to_bytes(2, "little")
        self.registers[STATUS] |= AVALID
