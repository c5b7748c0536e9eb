"""Sensirion SHT31, from its data sheet (SHT3x-DIS, "Operation and Communication")."""

import time

from emulation import Chip, Nack

# Bits of the status that are reserved and not defined: some of them are set.
UNDEFINED = 0x0140
SECONDS = {0x2400: 0.0125, 0x240B: 0.0045, 0x2416: 0.0025}


def crc(data: bytes) -> int:
    """CRC-8, polynomial 0x31, initial value 0xFF ("Checksum Calculation")."""
    value = 0xFF
    for bit in range(16):
        value ^= (data[bit // 8] << bit % 8 & 0x80)
        value = (value << 1 ^ (0x31 if value & 0x80 else 0)) & 0xFF
    return value


class SHT31(Chip):
    def __init__(self) -> None:
        self.celsius = 20.0
        self.percent = 50.0
        # A bit of the next words is changed on the way.
        self.is_disturbed = False
        self.commands: "list[int]" = []
        self.power_up()

    def power_up(self) -> None:
        # Reset detected; an alert is pending after a reset.
        self.status = 0x8010 | UNDEFINED
        self.answer = b""
        self.ready_at: "float | None" = None

    def start(self, is_read: bool) -> None:
        if is_read and (not self.answer or self.ready_at is not None and time.monotonic() < self.ready_at):
            # "No ACK" while it measures, and where there is nothing to read.
            raise Nack

    def write(self, data: bytes) -> None:
        if len(data) < 2:
            return
        command = int.from_bytes(data[:2], "big")
        self.commands.append(command)
        if self.ready_at is not None and time.monotonic() < self.ready_at:
            raise Nack
        self.answer, self.ready_at = b"", None
        self.status &= ~0x0002
        if command in SECONDS:
            self.ready_at = time.monotonic() + SECONDS[command]
            self.answer = self.words(
                round((self.celsius + 45) / 175 * 65_535), round(self.percent / 100 * 65_535))
        elif command == 0xF32D:
            self.answer = self.words(self.status)
        elif command == 0x306D:
            self.status |= 0x2000
        elif command == 0x3066:
            self.status &= ~0x2000
        elif command == 0x3041:
            self.status &= 0x2000 | UNDEFINED
        elif command == 0x30A2:
            self.power_up()
        elif command in (0xE11F, 0xE114, 0xE102, 0xE109):
            # Limits of the alert at power-up: 60 and 58 degrees with 80 and 79 %, -10 and -9 degrees with 20 and 22 %.
            self.answer = self.words({0xE11F: 0xCD33, 0xE114: 0xC92D, 0xE102: 0x3466, 0xE109: 0x3869}[command])
        elif command != 0x3093:
            # "Last command not processed."
            self.status |= 0x0002

    def words(self, *words: int) -> bytes:
        answer = b"".join(word.to_bytes(2, "big") + bytes([crc(word.to_bytes(2, "big"))]) for word in words)
        return bytes([answer[0] ^ 1]) + answer[1:] if self.is_disturbed else answer

    def read(self, count: int) -> bytes:
        answer, self.answer = self.answer, b""
        return answer[:count].ljust(count, b"\xff")
