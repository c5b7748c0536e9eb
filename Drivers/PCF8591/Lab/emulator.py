"""NXP PCF8591, from its data sheet (Rev. 7, "Control byte", "D/A conversion", "A/D conversion")."""

from emulation import Chip


class PCF8591(Chip):
    def __init__(self) -> None:
        # Volts at the pins, and between VREF and AGND.
        self.pins = [0.0, 0.0, 0.0, 0.0]
        self.reference = 3.3
        self.reset()

    def reset(self) -> None:
        # After power on all bits of the control register are 0, and the first byte read is 80h.
        self.control = 0
        self.dac = 0
        self.converted = 0x80
        self.channel = 0

    def write(self, data: bytes) -> None:
        if data:
            # Bits 7 and 3 are to be 0.
            self.control = data[0] & 0x77
            self.channel = data[0] & 3
        for byte in data[1:]:
            self.dac = byte

    def read(self, count: int) -> bytes:
        """The first byte of a read cycle is the result of the read cycle before."""
        result = bytearray()
        for _ in range(count):
            result.append(self.converted)
            self.converted = self.convert(self.channel)
            if self.control & 0x04:
                self.channel = (self.channel + 1) % len(self.inputs())
        return bytes(result)

    def inputs(self) -> list[tuple[int, int]]:
        """The pins of each channel; -1 is ground."""
        return [
            [(0, -1), (1, -1), (2, -1), (3, -1)],
            [(0, 3), (1, 3), (2, 3)],
            [(0, -1), (1, -1), (2, 3)],
            [(0, 1), (2, 3)],
        ][self.control >> 4 & 3]

    def convert(self, channel: int) -> int:
        inputs = self.inputs()
        # A channel that is not there is the highest that there is.
        plus, minus = inputs[min(channel, len(inputs) - 1)]
        steps = self.reference / 256
        if minus < 0:
            return max(0, min(255, int(self.pins[plus] / steps)))
        return max(-128, min(127, round((self.pins[plus] - self.pins[minus]) / steps))) & 0xFF

    def output(self) -> float:
        """Volts at AOUT; -1 while it is off."""
        return self.reference * self.dac / 256 if self.control & 0x40 else -1.0
