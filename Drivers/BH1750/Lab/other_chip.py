"""A chip that is not the one that the driver is for, at the same address."""

from emulation import Chip


class Expander(Chip):
    """NXP PCF8574: it has one byte, which is what its eight pins are set to."""

    def __init__(self) -> None:
        self.pins = 0xFF

    def write(self, data: bytes) -> None:
        for byte in data:
            self.pins = byte

    def read(self, count: int) -> bytes:
        return bytes([self.pins] * count)
