"""TI ADS1115 and ADS1015, from their data sheets (SBAS444, SBAS473: "Register Map", "Operating Modes")."""

import time

from emulation import Chip

RANGES = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256)


class ADS1115(Chip):
    bits = 16
    rates = (8, 16, 32, 64, 128, 250, 475, 860)

    def __init__(self) -> None:
        # At AIN0 to AIN3.
        self.volts = [0.0, 0.0, 0.0, 0.0]
        # A chip whose conversions never end.
        self.is_stuck = False
        self.power_up()

    def power_up(self) -> None:
        self.pointer = 0
        # Single shot, 2.048 V, AIN0 against AIN1, comparator off; OS is apart.
        self.configuration = 0x0583
        self.limits = {2: 0x8000, 3: 0x7FFF}
        self.result = 0
        self.done_at: "float | None" = None

    def write(self, data: bytes) -> None:
        if not data:
            return
        self.convert()
        self.pointer = data[0] & 3
        if len(data) < 3:
            return
        value = int.from_bytes(data[1:3], "big")
        if self.pointer == 1:
            self.configuration = value & 0x7FFF
            if value & 0x8000 or not value & 0x0100:
                self.done_at = time.monotonic() + self.seconds()
        elif self.pointer > 1:
            self.limits[self.pointer] = value & self.mask()

    def seconds(self) -> float:
        # It wakes up first, 25 us.
        return 1 / self.rates[self.configuration >> 5 & 7] + 0.000_025

    def read(self, count: int) -> bytes:
        self.convert()
        if self.pointer == 0:
            value = self.result & 0xFFFF
        elif self.pointer == 1:
            # OS: "1: the device is not currently performing a conversion".
            value = self.configuration | (0x8000 if self.done_at is None else 0)
        else:
            value = self.limits[self.pointer]
        return value.to_bytes(2, "big")[:count].ljust(count, b"\xff")

    def convert(self) -> None:
        if self.done_at is None or self.is_stuck or time.monotonic() < self.done_at:
            return
        is_single = self.configuration & 0x0100
        self.done_at = None if is_single else time.monotonic() + self.seconds()
        ain, mux = self.volts, self.configuration >> 12 & 7
        volts = (ain[0] - ain[1], ain[0] - ain[3], ain[1] - ain[3], ain[2] - ain[3], *ain)[mux]
        limit = 1 << self.bits - 1
        steps = round(volts / RANGES[self.configuration >> 9 & 7] * limit)
        # Left-justified.
        self.result = max(-limit, min(limit - 1, steps)) << 16 - self.bits

    def mask(self) -> int:
        return 0xFFFF << 16 - self.bits & 0xFFFF


class ADS1015(ADS1115):
    bits = 12
    rates = (128, 250, 490, 920, 1_600, 2_400, 3_300, 3_300)
