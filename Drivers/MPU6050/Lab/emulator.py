"""InvenSense MPU-6050, from its register map (RM-MPU-6000A, Rev. 4.2)."""

from emulation import RegisterChip

CONFIG, GYRO_CONFIG, ACCEL_CONFIG, ACCEL_XOUT, SIGNAL_PATH_RESET, PWR_MGMT_1, WHO_AM_I = (
    0x1A, 0x1B, 0x1C, 0x3B, 0x68, 0x6B, 0x75)
DEVICE_RESET, SLEEP = 0x80, 0x40


class MPU6050(RegisterChip):
    def __init__(self) -> None:
        super().__init__(128)
        # g, degrees per second, °C.
        self.acceleration = [0.0, 0.0, 1.0]
        self.rotation = [0.0, 0.0, 0.0]
        self.celsius = 25.0
        self.id = 0x68
        self.reset()

    def reset(self) -> None:
        # "The reset value is 0x00 for all registers other than" these.
        self.registers[:] = bytes(128)
        self.registers[PWR_MGMT_1] = SLEEP

    def write_register(self, register: int, value: int) -> None:
        if register == PWR_MGMT_1 and value & DEVICE_RESET:
            self.reset()
        elif register == CONFIG:
            self.registers[register] = value & 0x3F
        elif register not in (WHO_AM_I, 0x3A) and not ACCEL_XOUT <= register < 0x61:
            self.registers[register] = value

    def read(self, count: int) -> bytes:
        # "the data is guaranteed to be from the same sampling instant" in a burst.
        self.sample()
        return super().read(count)

    def read_register(self, register: int) -> int:
        # Bits 6 to 1 only; the pin AD0 is not in it.
        return self.id & 0x7E if register == WHO_AM_I else self.registers[register]

    def sample(self) -> None:
        if self.registers[PWR_MGMT_1] & SLEEP:
            return
        g = 16_384 >> (self.registers[ACCEL_CONFIG] >> 3 & 3)
        degrees = (131, 65.5, 32.8, 16.4)[self.registers[GYRO_CONFIG] >> 3 & 3]
        results = [value * g for value in self.acceleration]
        results += [(self.celsius - 36.53) * 340]
        results += [value * degrees for value in self.rotation]
        data = b"".join(
            max(-32_768, min(32_767, round(value))).to_bytes(2, "big", signed=True) for value in results)
        self.registers[ACCEL_XOUT:ACCEL_XOUT + 14] = data
