"""ST VL6180X, from its data sheet (DocID026171, section 6). Addresses have two bytes."""

import time

from emulation import Chip

MODEL_ID, INT_CONFIG, INT_CLEAR, FRESH, HOLD = 0x000, 0x014, 0x015, 0x016, 0x017
RANGE_START, ALS_START, ALS_GAIN, ALS_TIME = 0x018, 0x038, 0x03F, 0x040
RANGE_STATUS, ALS_STATUS, INT_STATUS, ALS_VALUE, RANGE_VALUE = 0x04D, 0x04E, 0x04F, 0x050, 0x062
GAINS = (20, 10, 5, 2.5, 1.67, 1.25, 1, 40)
NEW_SAMPLE = 4


class VL6180X(Chip):
    def __init__(self) -> None:
        # What is in front of it: mm, and 0 for nothing within reach; lux.
        self.distance = 50
        self.lux = 100.0
        # What ranging ends with, instead of 0 or 7 ("max convergence").
        self.error = 0
        self.id = 0xB4
        # For tests of what goes wrong: measurements do not end.
        self.is_stuck = False
        self.reset()

    def reset(self) -> None:
        self.registers = bytearray(0x400)
        self.registers[1:5] = bytes([1, 3, 1, 2])
        self.registers[FRESH] = 1
        self.registers[ALS_GAIN] = 0x06
        self.registers[ALS_TIME + 1] = 0xFF
        self.registers[RANGE_STATUS] = self.registers[ALS_STATUS] = 1
        self.pointer = 0
        # Names of what is being measured, and when it ends.
        self.running: dict[str, float] = {}

    def write(self, data: bytes) -> None:
        if len(data) >= 2:
            self.pointer = int.from_bytes(data[:2], "big") % len(self.registers)
        for value in data[2:]:
            self.write_register(self.pointer, value)
            self.pointer = (self.pointer + 1) % len(self.registers)

    def read(self, count: int) -> bytes:
        self.finish()
        result = bytearray()
        for _ in range(count):
            result.append(self.id if self.pointer == MODEL_ID else self.registers[self.pointer])
            self.pointer = (self.pointer + 1) % len(self.registers)
        return bytes(result)

    def write_register(self, register: int, value: int) -> None:
        self.finish()
        if register == INT_CLEAR:
            # Bit 0 range, bit 1 light, bit 2 error.
            for bit, mask in enumerate((0x07, 0x38, 0xC0)):
                if value & 1 << bit:
                    self.registers[INT_STATUS] &= ~mask & 0xFF
        elif register == RANGE_START and value & 1:
            self.running["range"] = time.monotonic() + 0.012
            self.registers[RANGE_STATUS] &= ~1
        elif register == ALS_START and value & 1:
            period = int.from_bytes(self.registers[ALS_TIME:ALS_TIME + 2], "big") + 1
            self.running["als"] = time.monotonic() + period / 1_000
            self.registers[ALS_STATUS] &= ~1
        elif not (register < 0x010 or RANGE_STATUS <= register < 0x080):
            self.registers[register] = value

    def peek(self, register: int) -> int:
        return self.registers[register]

    def finish(self) -> None:
        if self.is_stuck:
            return
        for name in [name for name, end in self.running.items() if time.monotonic() >= end]:
            del self.running[name]
            if name == "range":
                self.end_of_range()
            else:
                self.end_of_als()

    def end_of_range(self) -> None:
        code = self.error or (0 if 0 < self.distance < 255 else 7)
        self.registers[RANGE_VALUE] = self.distance if code == 0 else 255
        self.registers[RANGE_STATUS] = code << 4 | 1
        if self.registers[INT_CONFIG] & 7 == NEW_SAMPLE:
            self.registers[INT_STATUS] |= NEW_SAMPLE

    def end_of_als(self) -> None:
        gain = GAINS[self.registers[ALS_GAIN] & 7]
        period = int.from_bytes(self.registers[ALS_TIME:ALS_TIME + 2], "big") + 1
        # "0.32 lux/count" with a gain of 1 and 100 ms.
        count = int(self.lux / 0.32 * gain * period / 100)
        self.registers[ALS_STATUS] = (1 << 4 if count > 0xFFFF else 0) | 1
        self.registers[ALS_VALUE:ALS_VALUE + 2] = min(count, 0xFFFF).to_bytes(2, "big")
        if self.registers[INT_CONFIG] >> 3 & 7 == NEW_SAMPLE:
            self.registers[INT_STATUS] |= NEW_SAMPLE << 3
