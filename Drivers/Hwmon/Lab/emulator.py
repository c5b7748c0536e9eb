"""National's LM75, a thermometer that the kernel has a hwmon driver for, from its data sheet ("Internal Register
Structure"): as far as that driver needs it."""

from emulation import Chip


class LM75(Chip):
    def __init__(self) -> None:
        self.celsius = 20.0
        self.pointer = 0
        # Configuration; hysteresis and limit are 75 and 80 °C after power-up.
        self.configuration = 0
        self.limits = {2: 0x4B00, 3: 0x5000}

    def write(self, data: bytes) -> None:
        if data:
            self.pointer = data[0] & 3
        if len(data) > 1 and self.pointer == 1:
            self.configuration = data[1] & 0x1F
        elif len(data) > 2 and self.pointer > 1:
            self.limits[self.pointer] = int.from_bytes(data[1:3], "big") & 0xFF80

    def read(self, count: int) -> bytes:
        if self.pointer == 1:
            return bytes([self.configuration] * count)
        # Nine bits, half a degree each; the lower seven say nothing.
        value = self.limits.get(self.pointer, (round(self.celsius * 2) & 0x1FF) << 7)
        return value.to_bytes(2, "big")[:count].ljust(count, b"\xff")
