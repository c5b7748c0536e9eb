"""Microchip MCP23017, from its data sheet (DS20001952C, section 3.5)."""

from emulation import RegisterChip

IODIR, IPOL, GPINTEN, DEFVAL, INTCON, IOCON, GPPU, INTF, INTCAP, GPIO, OLAT = range(0, 22, 2)
BANK, SEQOP = 0x80, 0x20


class MCP23017(RegisterChip):
    """Ports A and B alternate while IOCON.BANK is 0, and it says 0 for what is not there with BANK = 1."""

    def __init__(self) -> None:
        super().__init__(22)
        self.reset()
        # What the outside does to pins, port A in the low byte: drives those of `driven` to `outside`, and holds those
        # of `shorted_high` and `shorted_low` whatever the chip does.
        self.driven = self.outside = self.shorted_high = self.shorted_low = 0

    def reset(self) -> None:
        self.registers[:] = bytes(22)
        self.registers[IODIR] = self.registers[IODIR + 1] = 0xFF

    def word(self, register: int) -> int:
        return self.registers[register] | self.registers[register + 1] << 8

    def levels(self) -> int:
        inputs = self.word(IODIR)
        open_pins = self.word(GPPU) & ~self.driven
        level = self.word(OLAT) & ~inputs | (self.outside & self.driven | open_pins) & inputs
        return (level | self.shorted_high) & ~self.shorted_low & 0xFFFF

    def write_register(self, register: int, value: int) -> None:
        pair, port = register & ~1, register & 1
        if pair == IOCON:
            # One register at both addresses; its bit 0 is not there.
            self.registers[IOCON] = self.registers[IOCON + 1] = value & 0xFE
        elif pair == GPIO:
            # "Writing to this register modifies the Output Latch (OLAT) register."
            self.registers[OLAT + port] = value
        elif pair not in (INTF, INTCAP):
            self.registers[register] = value

    def read_register(self, register: int) -> int:
        if self.registers[IOCON] & BANK:
            return 0
        if register & ~1 == GPIO:
            return (self.levels() ^ self.word(IPOL)) >> 8 * (register & 1) & 0xFF
        return self.registers[register]
