"""ROHM BH1750FVI, from its data sheet ("Instruction Set Architecture"). It has commands of one byte and no registers."""

import time

from emulation import Chip


class BH1750(Chip):
    def __init__(self) -> None:
        self.lux = 0.0
        self.is_powered = False
        self.measurement_time = 69
        self.result = 0
        # (when it is done, opcode), or None.
        self.measuring: tuple[float, int] | None = None
        self.commands: list[int] = []

    def write(self, data: bytes) -> None:
        # "The command is one byte": more of them in one message are not defined.
        for command in data[:1]:
            self.commands.append(command)
            if command == 0x00:
                self.is_powered, self.measuring = False, None
            elif command == 0x01:
                self.is_powered = True
            elif command == 0x07:
                # "Reset command is not acceptable in Power Down mode."
                if self.is_powered:
                    self.result = 0
            elif command in (0x10, 0x11, 0x13, 0x20, 0x21, 0x23):
                self.is_powered = True
                # Typically 120 ms and 16 ms, for the default of the measurement time.
                seconds = (0.016 if command & 3 == 3 else 0.120) * self.measurement_time / 69
                self.measuring = (time.monotonic() + seconds, command)
            elif command >> 3 == 0b01000:
                self.measurement_time = self.measurement_time & 0b00011111 | (command & 0b111) << 5
            elif command >> 5 == 0b011:
                self.measurement_time = self.measurement_time & 0b11100000 | command & 0b11111

    def read(self, count: int) -> bytes:
        self.finish()
        return self.result.to_bytes(2, "big")[:count].ljust(count, b"\xff")

    def finish(self) -> None:
        if self.measuring is None or time.monotonic() < self.measuring[0]:
            return
        _, command = self.measuring
        # 1.2 counts per lux, twice as many in H-Resolution Mode2.
        count = self.lux * 1.2 * self.measurement_time / 69 * (2 if command & 3 == 1 else 1)
        self.result = min(round(count), 0xFFFF)
        if command & 0x20:
            # "It is automatically set to Power Down mode after measurement."
            self.is_powered, self.measuring = False, None
