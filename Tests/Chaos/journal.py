"""Reads what a driver keeps in its state directory: an account of its readings that passes neither broker nor hub.

The format is that of Sources/SensorKit/RecordReader.swift and Entry.swift: a header, then records of length, CRC-32 and
body, numbers in little-endian order.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

_HEADER = b"SHJOURN\x01"
_READING, _UNCERTAIN_READING, _END = 1, 2, 3


@dataclass
class Journal:
    # By boot: the last reading that is there, and what the next start found to have been the last one.
    last: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)


def read(folder: Path, sensor: str) -> Journal:
    """What the segments of `folder` hold, torn ends left out; nothing where the driver has none."""
    journal = Journal()
    segments = sorted(folder.glob(f"{sensor}.journal.*"), key=lambda path: int(path.suffix[1:]))
    for segment in segments:
        data = segment.read_bytes()
        if not data.startswith(_HEADER):
            continue
        position = len(_HEADER)
        while position + 8 <= len(data):
            size, checksum = struct.unpack_from("<II", data, position)
            body = data[position + 8:position + 8 + size]
            if len(body) < size or zlib.crc32(body) != checksum:
                break
            position += 8 + size
            if body[0] in (_READING, _UNCERTAIN_READING, _END):
                boot, number = struct.unpack_from("<qq", body, 1)
                numbers = journal.ends if body[0] == _END else journal.last
                numbers[boot] = number
    return journal
