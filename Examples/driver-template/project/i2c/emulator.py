"""An example: a thermometer with its temperature in two registers, the upper byte first. Write here what the chip of the
data sheet does, and not what its driver needs."""

from emulation import RegisterChip


class Thermometer(RegisterChip):
    def __init__(self) -> None:
        super().__init__()
        self.celsius = 20.0

    def read_register(self, register: int) -> int:
        if register > 1:
            return super().read_register(register)
        return (round(self.celsius * 256) & 0xFFFF).to_bytes(2, "big")[register]
