"""TI INA219, from its data sheet (SBOS448G, "Register Maps", "Programming")."""

import time

from emulation import Chip


class INA219(Chip):
    def __init__(self) -> None:
        self.bus_volts = 12.0
        # At the shunt.
        self.millivolts = 10.0
        self.power_up()

    def power_up(self) -> None:
        self.pointer = 0
        self.configuration = 0x399F
        self.calibration = 0
        self.shunt = self.bus = 0
        self.is_ready = False
        self.done_at: "float | None" = time.monotonic() + self.seconds()

    def seconds(self) -> float:
        """Typical conversion times: 9 to 12 bits, or several samples of 12 bits."""
        def one(bits: int) -> float:
            return 0.000532 * 2 ** (bits & 7) if bits & 8 else (84, 148, 276, 532)[bits & 3] / 1e6

        mode = self.configuration & 3
        return (one(self.configuration >> 3 & 15) if mode & 1 else 0) + (
            one(self.configuration >> 7 & 15) if mode & 2 else 0)

    def write(self, data: bytes) -> None:
        if not data:
            return
        self.convert()
        self.pointer = data[0]
        if len(data) < 3:
            return
        value = int.from_bytes(data[1:3], "big")
        if self.pointer == 0:
            if value & 0x8000:
                self.power_up()
                return
            # Bit 14 is not used. Writing starts a conversion, and ends one that goes on; CNVR is cleared.
            self.configuration = value & 0x3FFF
            self.is_ready = False
            self.done_at = time.monotonic() + self.seconds() if self.configuration & 3 else None
        elif self.pointer == 5:
            # "FS0 cannot be set."
            self.calibration = value & 0xFFFE

    def read(self, count: int) -> bytes:
        self.convert()
        current = int(self.shunt * self.calibration / 4_096)
        current = max(-32_768, min(32_767, current))
        power = abs(current) * self.bus // 5_000
        value = {
            0: self.configuration, 1: self.shunt & 0xFFFF, 2: self.bus << 3 | self.is_ready << 1, 3: power,
            4: current & 0xFFFF, 5: self.calibration,
        }.get(self.pointer, 0)
        if self.pointer == 3:
            # "Cleared when … reading the Power Register."
            self.is_ready = False
        return value.to_bytes(2, "big")[:count].ljust(count, b"\xff")

    def convert(self) -> None:
        if self.done_at is None or time.monotonic() < self.done_at:
            return
        mode = self.configuration & 7
        if mode & 1:
            limit = 4_000 << (self.configuration >> 11 & 3)
            self.shunt = max(-limit, min(limit, round(self.millivolts * 100)))
        if mode & 2:
            self.bus = min(round(self.bus_volts / 0.004), 8_000 if self.configuration & 0x2000 else 4_000)
        self.is_ready = True
        self.done_at = time.monotonic() + self.seconds() if mode & 4 else None
