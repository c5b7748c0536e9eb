"""Bosch BMP180 and BMP085, from their data sheets ("Global Memory Map", "Measurement of pressure and temperature").

What is measured is given as what the converter says with one sample (`temperature`, `pressure`: 16 bits), together with
the calibration that the data sheets have in their example of a calculation."""

import time

from emulation import Chip


class BMP180(Chip):
    def __init__(self) -> None:
        # AC1 to AC6, B1, B2, MB, MC, MD.
        self.calibration = [408, -72, -14_383, 32_741, 32_757, 23_153, 6_190, 4, -32_768, -8_711, 2_868]
        self.temperature = 27_898
        self.pressure = 23_843
        self.id = 0x55
        self.is_stuck = False
        self.power_up()

    def power_up(self) -> None:
        self.pointer = 0
        self.control = 0
        self.result = 0x800000
        self.done_at: "float | None" = None

    def write(self, data: bytes) -> None:
        if not data:
            return
        self.convert()
        self.pointer = data[0]
        for register, value in zip(data[::2], data[1::2]):
            if register == 0xE0 and value == 0xB6:
                self.power_up()
            elif register == 0xF4:
                self.control = value
                # Typical conversion times; without the bit that starts it, nothing is measured.
                seconds = 0.003 if value & 0x1F == 0x0E else (0.003, 0.005, 0.009, 0.017)[value >> 6]
                self.done_at = time.monotonic() + seconds if value & 0x20 else None

    def read(self, count: int) -> bytes:
        self.convert()
        result = bytes(self.register(self.pointer + index & 0xFF) for index in range(count))
        self.pointer = self.pointer + count & 0xFF
        return result

    def register(self, register: int) -> int:
        if 0xAA <= register <= 0xBF:
            word = self.calibration[(register - 0xAA) // 2] & 0xFFFF
            return word & 0xFF if register & 1 else word >> 8
        if register == 0xD0:
            return self.id
        if register == 0xF4:
            return self.control_register()
        if 0xF6 <= register <= 0xF8:
            return self.result >> 8 * (0xF8 - register) & 0xFF
        return 0

    def control_register(self) -> int:
        # "Sco": 1 while it measures.
        return self.control

    def convert(self) -> None:
        if self.done_at is None or self.is_stuck or time.monotonic() < self.done_at:
            return
        self.done_at = None
        self.control &= ~0x20
        if self.control & 0x1F == 0x0E:
            self.result = self.temperature << 8
        elif self.control & 0x1F == 0x14:
            # 16 bits and one for each doubling of the samples, left-justified.
            self.result = self.pressure << 8


class BMP085(BMP180):
    """It has no bit that tells when it is done, but a pin."""

    def control_register(self) -> int:
        return self.control & ~0x20
