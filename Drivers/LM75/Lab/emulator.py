"""LM75 and relatives, from their data sheets: LM75 (SNOSBV1, "Internal Register Structure"), NXP LM75B, TI TMP75."""

import time

from emulation import Chip


class LM75(Chip):
    bits = 9
    conversion_seconds = 0.1
    # Bits of the configuration that can be written.
    writable = 0x1F

    def __init__(self) -> None:
        self.celsius = 20.0
        self.power_up()

    def power_up(self) -> None:
        self.pointer = 0
        self.configuration = 0
        self.limits = {2: 0x4B00, 3: 0x5000}
        self.result = 0
        self.done_at = time.monotonic() + self.conversion_seconds

    def write(self, data: bytes) -> None:
        if not data:
            return
        self.convert()
        self.pointer = data[0] & 3
        if len(data) < 2:
            return
        if self.pointer == 1:
            if self.configuration & 1 and not data[1] & 1:
                self.done_at = time.monotonic() + self.conversion_seconds
            self.configuration = data[1] & self.writable
        elif self.pointer > 1:
            self.limits[self.pointer] = int.from_bytes(data[1:3].ljust(2, b"\0"), "big") & 0xFF80

    def read(self, count: int) -> bytes:
        self.convert()
        if self.pointer == 1:
            # A register of one byte gives that again and again.
            return bytes([self.configuration] * count)
        value = self.result if self.pointer == 0 else self.limits[self.pointer]
        return value.to_bytes(2, "big")[:count].ljust(count, b"\xff")

    def convert(self) -> None:
        # While shut down, the register keeps what was converted last.
        if self.configuration & 1 or time.monotonic() < self.done_at:
            return
        self.done_at = time.monotonic() + self.conversion_seconds
        bits = self.resolution()
        limit = 1 << bits - 1
        steps = max(-limit, min(limit - 1, round(self.celsius * 2 ** (bits - 8))))
        # "Undefined": anything may be there.
        self.result = (steps << 16 - bits | self.unused(bits)) & 0xFFFF

    def resolution(self) -> int:
        return self.bits

    def unused(self, bits: int) -> int:
        return (1 << 16 - bits) - 1


class LM75B(LM75):
    """Five bits that are 0."""

    bits = 11

    def unused(self, bits: int) -> int:
        return 0


class TMP75(LM75):
    """R1 and R0 set 9 to 12 bits; the conversion takes longer the more there are. OS (bit 7) always reads 0."""

    writable = 0x7F

    def resolution(self) -> int:
        return 9 + (self.configuration >> 5 & 3)

    def unused(self, bits: int) -> int:
        return 0

    @property
    def conversion_seconds(self) -> float:  # type: ignore[override]
        return 0.0275 * 2 ** (self.configuration >> 5 & 3)
