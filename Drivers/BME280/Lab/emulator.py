"""Bosch BME280 and BMP280, from their data sheets ("Memory map", "Sensor modes", "Measurement time").

What is measured is given as what the converters say (`temperature`, `pressure`: 20 bits, `humidity`: 16 bits), together
with the calibration that the data sheet of the BMP280 has in its example of a calculation."""

import struct
import time

from emulation import Chip


class BME280(Chip):
    id = 0x60
    has_humidity = True

    def __init__(self) -> None:
        # BMP280, "Calculating pressure and temperature": T1 to T3, P1 to P9, and two bytes that are reserved.
        self.calibration = [27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000]
        # H1 to H6; the data sheet has no example of them.
        self.humidity_calibration = [75, 362, 0, 313, 50, 30]
        self.temperature = 519_888
        self.pressure = 415_148
        self.humidity = 28_160
        # A chip whose conversions never end.
        self.is_stuck = False
        self.power_up()

    def power_up(self) -> None:
        self.pointer = 0
        self.control_humidity = self.latched_humidity = 0
        self.control = self.configuration = 0
        self.data = bytes.fromhex("800000 800000 8000".replace(" ", ""))
        self.done_at: "float | None" = None
        self.ready_at = time.monotonic() + 0.002

    def write(self, data: bytes) -> None:
        if not data:
            return
        self.measure()
        self.pointer = data[0]
        # "Multiple byte writing" is pairs of register and value; the address does not count up.
        for register, value in zip(data[::2], data[1::2]):
            self.write_register(register, value)

    def write_register(self, register: int, value: int) -> None:
        if register == 0xE0 and value == 0xB6:
            self.power_up()
        elif register == 0xF2 and self.has_humidity:
            self.control_humidity = value & 7
        elif register == 0xF5 and self.control & 3 == 0:
            # "In normal mode writes to the config register may be ignored."
            self.configuration = value & 0xFD
        elif register == 0xF4:
            self.control = value
            self.latched_humidity = self.control_humidity
            if value & 3:
                self.done_at = time.monotonic() + self.seconds()

    def oversampling(self) -> "tuple[int, int, int]":
        counts = (0, 1, 2, 4, 8, 16, 16, 16)
        return counts[self.control >> 5], counts[self.control >> 2 & 7], counts[self.latched_humidity]

    def seconds(self) -> float:
        """Typical measurement time."""
        t, p, h = self.oversampling()
        return (1 + 2 * t + (2 * p + 0.5 if p else 0) + (2 * h + 0.5 if h else 0)) / 1_000

    def read(self, count: int) -> bytes:
        self.measure()
        result = bytes(self.register(self.pointer + index & 0xFF) for index in range(count))
        self.pointer = self.pointer + count & 0xFF
        return result

    def register(self, register: int) -> int:
        if register == 0xD0:
            return self.id
        if 0x88 <= register <= 0x9F:
            t1, t2, t3, p1, *p = self.calibration
            return struct.pack("<HhhH8h", t1, t2, t3, p1, *p)[register - 0x88]
        if self.has_humidity and (register == 0xA1 or 0xE1 <= register <= 0xE7):
            h1, h2, h3, h4, h5, h6 = self.humidity_calibration
            if register == 0xA1:
                return h1
            # 0xE5 is shared: H4's lower four bits, and H5's.
            shared = h4 & 0x0F | (h5 & 0x0F) << 4
            return struct.pack("<hBbBbb", h2, h3, h4 >> 4, shared, h5 >> 4, h6)[register - 0xE1]
        if register == 0xF2 and self.has_humidity:
            return self.control_humidity
        if register == 0xF3:
            is_measuring = self.done_at is not None and time.monotonic() < self.done_at or self.is_stuck
            return is_measuring << 3 | (time.monotonic() < self.ready_at)
        if register == 0xF4:
            return self.control
        if register == 0xF5:
            return self.configuration
        if 0xF7 <= register <= (0xFE if self.has_humidity else 0xFC):
            return self.data[register - 0xF7]
        return 0

    def measure(self) -> None:
        if self.done_at is None or self.is_stuck or time.monotonic() < self.done_at:
            return
        if self.control & 3 == 3:
            # Normal mode goes on after the standby time; the shortest one is taken for all.
            self.done_at = time.monotonic() + self.seconds() + 0.0005
        else:
            self.done_at = None
            self.control &= ~3
        t, p, h = self.oversampling()
        has_filter = bool(self.configuration >> 2 & 7)

        def digits(value: int, count: int) -> bytes:
            if not count:
                return b"\x80\x00\x00"
            # 16 bits, one more for each doubling, and all 20 with the filter.
            bits = 20 if has_filter else min(20, 15 + count.bit_length())
            return (value >> 20 - bits << 24 - bits).to_bytes(3, "big")

        self.data = digits(self.pressure, p) + digits(self.temperature, t) + (
            self.humidity if h else 0x8000).to_bytes(2, "big")


class BMP280(BME280):
    id = 0x58
    has_humidity = False
