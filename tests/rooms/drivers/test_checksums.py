"""Checksums of serial frames against the catalogue's check values, and against frames of real protocols."""

from __future__ import annotations

from typing import get_args

import pytest

from edge.config.profiles.serial import ChecksumKind
from edge.drivers.checksums import checksum, width_of

CHECKS = {
    "crc8": 0xF4, "crc8-maxim": 0xA1, "crc16-arc": 0xBB3D, "crc16-modbus": 0x4B37, "crc16-xmodem": 0x31C3,
    "crc16-ccitt-false": 0x29B1, "crc16-kermit": 0x2189, "crc16-x25": 0x906E, "sum8": 0xDD, "sum8-complement": 0x23,
    "sum8-inverted": 0x22, "sum16": 0x1DD, "xor8": 0x31,
}  # fmt: skip
"""Over ``123456789``: the CRCs by the catalogue, the others by hand (its sum is 477)."""


@pytest.mark.parametrize("kind", get_args(ChecksumKind))
def test_every_kind_gives_its_check_value(kind: ChecksumKind) -> None:
    assert checksum(kind, b"123456789") == CHECKS[kind]
    assert checksum(kind, b"123456789") < 1 << 8 * width_of(kind)


def test_frames_of_public_standards() -> None:
    # NMEA 0183's own example, and the LRC of Modbus over Serial Line, 2.5.2.2: F7 03 13 89 00 0A gives 60.
    assert checksum("xor8", b"GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,") == 0x47
    assert checksum("sum8-complement", bytes.fromhex("F7031389000A")) == 0x60
