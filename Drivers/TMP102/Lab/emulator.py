"""TI TMP102, from its data sheet (SBOS397: "Register Maps", "Device Functional Modes")."""

import time

from emulation import Chip


class TMP102(Chip):
    def __init__(self) -> None:
        self.celsius = 20.0
        # Power-up: 12 bits, four conversions per second, no alert; limits 75 and 80 degrees.
        self.power_up()

    def power_up(self) -> None:
        self.pointer = 0
        self.configuration = 0x60A0
        self.limits = {2: 0x4B00, 3: 0x5000}
        self.result = 0
        # When the conversion that goes on ends.
        self.done_at: "float | None" = time.monotonic() + 0.026
        self.was_one_shot = False

    def write(self, data: bytes) -> None:
        if not data:
            return
        self.pointer = data[0] & 3
        if len(data) < 2:
            return
        self.convert()
        value = int.from_bytes(data[1:3].ljust(2, b"\0"), "big")
        if self.pointer == 1:
            mask = 0xFFFF if len(data) > 2 else 0xFF00
            value = self.configuration & ~mask | value & mask
            starts = value & 0x8000 and value & 0x0100
            was_shut_down = self.configuration & 0x0100
            # R1, R0 and AL are read-only, the lowest four bits always 0.
            self.configuration = value & 0x1FD0 | 0x6000 | self.configuration & 0x0020
            if starts:
                self.was_one_shot = True
                self.done_at = time.monotonic() + 0.026
            elif not value & 0x0100 and was_shut_down:
                self.done_at = time.monotonic() + 0.026
                self.was_one_shot = False
        elif self.pointer > 1:
            self.limits[self.pointer] = value & 0xFFF8

    def read(self, count: int) -> bytes:
        self.convert()
        if self.pointer == 0:
            value = self.result
        elif self.pointer == 1:
            # OS is 0 while a conversion goes on that was asked for.
            is_busy = self.was_one_shot and self.done_at is not None
            value = self.configuration | (0x8000 if self.configuration & 0x0100 and not is_busy else 0)
        else:
            value = self.limits[self.pointer]
        return value.to_bytes(2, "big")[:count].ljust(count, b"\xff")

    def convert(self) -> None:
        if self.done_at is None or time.monotonic() < self.done_at:
            return
        is_extended = self.configuration & 0x0010
        limit = 4095 if is_extended else 2047
        steps = max(-limit - 1, min(limit, round(self.celsius / 0.0625)))
        self.result = (steps << 3 | 1) & 0xFFFF if is_extended else steps << 4 & 0xFFFF
        if self.configuration & 0x0100:
            self.done_at = None
        else:
            self.done_at = time.monotonic() + (4, 1, 0.25, 0.125)[self.configuration >> 6 & 3]
