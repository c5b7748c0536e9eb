"""NXP PCF8574, from its data sheet (Rev. 5). It has one byte: the pins' latch when it is written, the
pins' levels when it is read."""

from emulation import Chip


class PCF8574(Chip):
    def __init__(self) -> None:
        # "At power on the I/Os are HIGH."
        self.latch = 0xFF
        # What the outside does to pins, one bit each: connects them to ground, or to the supply.
        self.grounded = 0
        self.shorted = 0
        self.writes: list[int] = []

    def levels(self) -> int:
        # High is a current of 100 µA, which anything pulls down; low is driven.
        return self.latch & ~self.grounded | self.shorted

    def write(self, data: bytes) -> None:
        # "The number of data bytes that can be sent successively is not limited."
        for byte in data:
            self.latch = byte
            self.writes.append(byte)

    def read(self, count: int) -> bytes:
        return bytes([self.levels() & 0xFF] * count)
