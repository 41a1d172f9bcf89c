"""Modbus frames as bytes: the TCP header (MBAP), the serial frame with its CRC, and finding a reply in what came.

Pure functions: no clock, no socket; they survive any bytes. Source: Modbus Messaging on TCP/IP V1.0b, Modbus over
Serial Line V1.02.
"""

from __future__ import annotations

import struct

from edge.contract.types import Quality
from edge.drivers.modbus_questions import (
    EXCEPTION_FLAG,
    PDU_BYTES_MAX,
    Question,
    Reply,
    exception_reply,
    garbled,
    silent,
)

MBAP_BYTES = 7
RTU_BYTES_MAX = 256
RTU_OVERHEAD_BYTES = 3
"""Unit id and CRC."""
EXCEPTION_BYTES = 5


def mbap_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """A frame of Modbus TCP."""
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


class OutOfStepError(Exception):
    """Bytes that cannot be a Modbus TCP frame: where the next one begins is no longer known."""


class MbapStream:
    """Cuts a TCP byte stream into frames; holds at most one unfinished frame."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def unfinished(self) -> bool:
        return bool(self._rest)

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """``(transaction, unit, pdu)`` of each frame that is now complete. Raises ``OutOfStepError``."""
        data = self._rest + data if self._rest else data
        frames = []
        at = 0
        while len(data) - at >= MBAP_BYTES:
            transaction, protocol, length, unit = struct.unpack_from(">HHHB", data, at)
            if protocol != 0 or not 2 <= length <= PDU_BYTES_MAX + 1:
                raise OutOfStepError(f"header {data[at : at + MBAP_BYTES].hex()} is not Modbus TCP")
            if len(data) - at < 6 + length:
                break
            frames.append((transaction, unit, data[at + MBAP_BYTES : at + 6 + length]))
            at += 6 + length
        self._rest = data[at:]
        return frames


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ 0xA001 if byte & 1 else byte >> 1
        table.append(byte)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc16(data: bytes | bytearray | memoryview) -> int:
    """CRC-16/MODBUS: reflected polynomial 0xA001, start 0xFFFF; ``123456789`` gives 0x4B37."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """A frame of a serial line; its CRC goes low byte first."""
    body = bytes((unit,)) + pdu
    return body + crc16(body).to_bytes(2, "little")


def whole_frame(data: bytes | bytearray, at: int, length: int) -> bool:
    """Whether ``data[at:at + length]`` is all there and its CRC is right."""
    end = at + length
    return end <= len(data) and crc16(data[at : end - 2]) == data[end - 2] | data[end - 1] << 8


def frame_of(unit: int, data: bytes) -> bool:
    """Whether ``data`` holds a whole frame that ``unit`` sent: the length of an answer is in its third byte."""
    at = data.find(unit)
    while 0 <= at < len(data) - 2:
        refusal = data[at + 1] & EXCEPTION_FLAG
        if whole_frame(data, at, EXCEPTION_BYTES if refusal else EXCEPTION_BYTES + data[at + 2]):
            return True
        at = data.find(unit, at + 1)
    return False


def find_rtu_reply(question: Question, unit: int, data: bytes | bytearray) -> Reply | None:
    """The unit's reply in what a serial line has given since the question, None while it may still come.

    Noise, other units' late replies and replies to other questions before it are passed over; bytes after it are left.
    A reply that has its head and its length but not its CRC is given up at once, so that a corrupted frame does not
    cost a timeout.
    """
    head = bytes((unit,)) + question.head
    refusal = bytes((unit, question.function | EXCEPTION_FLAG))
    corrupted = False
    at = data.find(unit)
    while at >= 0:
        if data[at : at + 2] == refusal and whole_frame(data, at, EXCEPTION_BYTES):
            return exception_reply(data[at + 2])
        if data.startswith(head, at):
            length = rtu_reply_bytes(question, data, at)
            pdu = bytes(data[at + 1 : at + length - 2])
            if whole_frame(data, at, length):
                if question.is_answered_by(pdu):
                    return Reply(question.data(pdu), Quality.GOOD)
            else:
                corrupted |= at == 0 and len(data) >= length
        at = data.find(unit, at + 1)
    return garbled("CRC error", "crc") if corrupted else None


def rtu_reply_bytes(question: Question, data: bytes | bytearray, at: int = 0) -> int:
    """How long the good reply is that begins at ``at``: unit, PDU, CRC; as far as what came tells."""
    return RTU_OVERHEAD_BYTES + question.size(bytes(data[at + 1 : at + 1 + PDU_BYTES_MAX]))


def rtu_bytes_wanted(question: Question, data: bytes | bytearray) -> int:
    """How many bytes there must be before they are looked at again: fewer decide nothing.

    A refusal is shorter than a reply; between the two no byte decides anything.
    """
    return EXCEPTION_BYTES if len(data) < EXCEPTION_BYTES else rtu_reply_bytes(question, data)


def what_came_instead(question: Question, unit: int, data: bytes | bytearray, waited_ms: float) -> Reply:
    """Says, after the deadline, why ``data`` holds no reply."""
    waited = f"within {waited_ms:.0f} ms"
    if not data:
        return silent(f"no answer {waited}")
    for length in range(4, min(len(data), RTU_BYTES_MAX) + 1):
        if whole_frame(data, 0, length):
            return _of_another(question, unit, bytes(data[: length - 2]), waited)
    if bytes((unit, question.function)) in data:
        whole = rtu_reply_bytes(question, data, data.index(bytes((unit, question.function))))
        return garbled(f"CRC error or cut off, {len(data)} of {whole} bytes {waited}", "crc")
    return silent(f"no answer {waited}, only noise ({len(data)} bytes)", "noise")


def _of_another(question: Question, unit: int, body: bytes, waited: str) -> Reply:
    if body[0] != unit:
        return silent(f"no answer {waited}, only a frame of unit {body[0]}", "foreign")
    if body[1] & ~EXCEPTION_FLAG != question.function:
        return garbled(f"reply to function {body[1]}, asked {question.function}")
    return garbled(question.mismatch(body[1:]))
