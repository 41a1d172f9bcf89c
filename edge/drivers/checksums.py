"""Checksums of serial frames, by name. Each gives the number that a frame carries, and how many bytes it takes.

The CRCs are those of the catalogue by G. Cook (reveng.sourceforge.io/crc-catalogue): width, polynomial, start, whether
bits are reflected, final xor. Over ``123456789`` they give their ``check`` values there, which the tests compare.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from operator import xor

from edge.config.profiles.serial import ChecksumKind

_CRCS = {
    "crc8": (8, 0x07, 0x00, False, 0x00),
    "crc8-maxim": (8, 0x31, 0x00, True, 0x00),
    "crc16-arc": (16, 0x8005, 0x0000, True, 0x0000),
    "crc16-modbus": (16, 0x8005, 0xFFFF, True, 0x0000),
    "crc16-xmodem": (16, 0x1021, 0x0000, False, 0x0000),
    "crc16-ccitt-false": (16, 0x1021, 0xFFFF, False, 0x0000),
    "crc16-kermit": (16, 0x1021, 0x0000, True, 0x0000),
    "crc16-x25": (16, 0x1021, 0xFFFF, True, 0xFFFF),
}


def width_of(kind: ChecksumKind) -> int:
    """Its bytes."""
    return 2 if kind == "sum16" or (kind in _CRCS and _CRCS[kind][0] == 16) else 1


def checksum(kind: ChecksumKind, data: bytes) -> int:
    """``sum8-complement`` is the two's complement of the sum (the LRC of Modbus ASCII), ``sum8-inverted`` the one's."""
    match kind:
        case "sum8":
            return sum(data) & 0xFF
        case "sum8-complement":
            return -sum(data) & 0xFF
        case "sum8-inverted":
            return ~sum(data) & 0xFF
        case "sum16":
            return sum(data) & 0xFFFF
        case "xor8":
            return reduce(xor, data, 0)
        case _:
            return _crc(kind, data)


def _crc(kind: str, data: bytes) -> int:
    width, polynomial, value, reflected, final = _CRCS[kind]
    table = _table(width, polynomial, reflected)
    mask = (1 << width) - 1
    if reflected:
        for byte in data:
            value = value >> 8 ^ table[(value ^ byte) & 0xFF]
    else:
        for byte in data:
            value = (value << 8 & mask) ^ table[value >> width - 8 ^ byte]
    return value ^ final


@lru_cache
def _table(width: int, polynomial: int, reflected: bool) -> tuple[int, ...]:
    mask, top = (1 << width) - 1, 1 << width - 1
    if reflected:
        polynomial = int(f"{polynomial:0{width}b}"[::-1], 2)
    table = []
    for value in range(256):
        if not reflected:
            value <<= width - 8
        for _ in range(8):
            if reflected:
                value = value >> 1 ^ polynomial if value & 1 else value >> 1
            else:
                value = (value << 1 ^ polynomial if value & top else value << 1) & mask
        table.append(value)
    return tuple(table)
