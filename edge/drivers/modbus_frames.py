"""Modbus frames as bytes: requests, the TCP header (MBAP), the serial frame with its CRC, and what a reply means.

Pure functions: no clock, no socket. They survive any bytes: whatever does not answer the question that was asked
becomes a ``Reply`` of bad quality with its reason, never a value. Source: Modbus Application Protocol V1.1b3, Modbus
Messaging on TCP/IP V1.0b, Modbus over Serial Line V1.02.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from edge.contract.types import Quality
from edge.line_counts import Fault

MBAP_BYTES = 7
PDU_BYTES_MAX = 253
RTU_BYTES_MAX = 256
EXCEPTION_BYTES = 5
EXCEPTION_FLAG = 0x80

EXCEPTION_WORDS = {
    0x01: "illegal function",
    0x02: "illegal data address",
    0x03: "illegal data value",
    0x04: "device failure",
    0x05: "acknowledged, still working",
    0x06: "device busy",
    0x07: "negative acknowledge",
    0x08: "memory parity error",
    0x0A: "gateway path unavailable",
    0x0B: "gateway target did not answer",
}
_OF_THE_GATEWAY = frozenset({0x0A, 0x0B})
"""A gateway between us and the unit says that it could not reach it: trouble of the bus, not of the device."""


@dataclass(frozen=True, slots=True)
class Request:
    """A question: ``count`` registers (functions 3 and 4) or bits (1 and 2) from ``address``."""

    function: int
    address: int
    count: int

    @property
    def pdu(self) -> bytes:
        return struct.pack(">BHH", self.function, self.address, self.count)

    @property
    def data_bytes(self) -> int:
        """How many bytes of data its answer must carry."""
        return 2 * self.count if self.function >= 3 else (self.count + 7) // 8

    @property
    def rtu_reply_bytes(self) -> int:
        """Length of its good answer on a serial line: unit, function, byte count, data, CRC."""
        return 5 + self.data_bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one request: ``data``, or a bad ``quality`` and why. ``heard``: the unit gave a sign of life.

    ``fault`` is the reason as the line's counts know it, ``code`` the exception's.
    """

    data: bytes
    quality: Quality
    detail: str = ""
    heard: bool = True
    fault: Fault = ""
    code: int = 0


def silent(detail: str, fault: Fault = "timeout") -> Reply:
    """Nothing of this unit was heard."""
    return Reply(b"", Quality.BAD_BUS, detail, heard=False, fault=fault)


def garbled(detail: str, fault: Fault = "mismatch") -> Reply:
    """Something came, and it does not answer the question."""
    return Reply(b"", Quality.BAD_BUS, detail, fault=fault)


def check_reply(request: Request, pdu: bytes) -> Reply:
    """The meaning of the reply ``pdu`` to ``request``."""
    if len(pdu) == 2 and pdu[0] == request.function | EXCEPTION_FLAG:
        return exception_reply(pdu[1])
    if not pdu or pdu[0] != request.function:
        return garbled(f"reply to function {pdu[0] if pdu else 'none'}, asked {request.function}")
    if len(pdu) < 2 or pdu[1] != request.data_bytes or len(pdu) != 2 + request.data_bytes:
        return garbled(f"reply of {max(len(pdu) - 2, 0)} bytes of data, asked for {request.data_bytes}")
    return Reply(pdu[2:], Quality.GOOD)


def exception_reply(code: int) -> Reply:
    words = f"exception {code:#04x} {EXCEPTION_WORDS.get(code, 'unknown code')}"
    if code in _OF_THE_GATEWAY:
        return Reply(b"", Quality.BAD_BUS, words, heard=False, fault="refused", code=code)
    return Reply(b"", Quality.BAD_DEVICE, words, fault="refused", code=code)


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


def find_rtu_reply(request: Request, unit: int, data: bytes | bytearray) -> Reply | None:
    """The unit's reply in what a serial line has given since the request, None while it may still come.

    Noise and other units' late replies before it are passed over; bytes after it are left. A reply that has its head
    and its length but not its CRC is given up at once, so that a corrupted frame does not cost a timeout.
    """
    head = bytes((unit, request.function, request.data_bytes))
    refusal = bytes((unit, request.function | EXCEPTION_FLAG))
    corrupted = False
    at = data.find(unit)
    while at >= 0:
        if data[at : at + 2] == refusal and whole_frame(data, at, EXCEPTION_BYTES):
            return exception_reply(data[at + 2])
        if data[at : at + 3] == head:
            if whole_frame(data, at, request.rtu_reply_bytes):
                return Reply(bytes(data[at + 3 : at + request.rtu_reply_bytes - 2]), Quality.GOOD)
            corrupted |= at == 0 and len(data) >= request.rtu_reply_bytes
        at = data.find(unit, at + 1)
    return garbled("CRC error", "crc") if corrupted else None


def what_came_instead(request: Request, unit: int, data: bytes | bytearray, waited_ms: float) -> Reply:
    """Says, after the deadline, why ``data`` holds no reply."""
    waited = f"within {waited_ms:.0f} ms"
    if not data:
        return silent(f"no answer {waited}")
    if any(whole_frame(data, 0, length) for length in range(4, min(len(data), RTU_BYTES_MAX) + 1)):
        if data[0] != unit:
            return silent(f"no answer {waited}, only a frame of unit {data[0]}", "foreign")
        if data[1] & ~EXCEPTION_FLAG != request.function:
            return garbled(f"reply to function {data[1]}, asked {request.function}")
        return garbled(f"reply of {data[2]} bytes of data, asked for {request.data_bytes}")
    if bytes((unit, request.function)) in data:
        return garbled(f"CRC error or cut off, {len(data)} of {request.rtu_reply_bytes} bytes {waited}", "crc")
    return silent(f"no answer {waited}, only noise ({len(data)} bytes)", "noise")
