"""What a unit may be asked, and what its reply means: the PDUs of functions 1 to 6, 15, 16, 23 and 43/14.

Pure functions that survive any bytes: whatever does not answer the question that was asked becomes a ``Reply`` of bad
quality with its reason, never a value. Source: Modbus Application Protocol V1.1b3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge.contract.types import Quality
from edge.line_counts import Fault

PDU_BYTES_MAX = 253
EXCEPTION_FLAG = 0x80
ECHO_BYTES = 5
"""Function and two words: what the answer to a write repeats of it."""

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


class Question(Protocol):
    """One question. Its good reply begins with ``head``, as far as that is known beforehand.

    ``size`` is how long the good reply's PDU is, as far as its beginning tells, and never more than ``size_max``;
    ``data`` is what a good reply carries.
    """

    @property
    def function(self) -> int: ...
    @property
    def pdu(self) -> bytes: ...
    @property
    def head(self) -> bytes: ...
    @property
    def size_max(self) -> int: ...
    def size(self, begun: bytes) -> int: ...
    def is_answered_by(self, pdu: bytes) -> bool: ...
    def data(self, pdu: bytes) -> bytes: ...
    def mismatch(self, pdu: bytes) -> str:
        """Why ``pdu``, of the right function, is no answer."""


class _Reading:
    """Questions whose answer carries ``data_bytes`` bytes of data, and says how many."""

    __slots__ = ()
    if TYPE_CHECKING:  # Where it runs, an inherited property would be a field's default.

        @property
        def function(self) -> int: ...
        @property
        def data_bytes(self) -> int: ...

    @property
    def head(self) -> bytes:
        return bytes((self.function, self.data_bytes))

    @property
    def size_max(self) -> int:
        return 2 + self.data_bytes

    def size(self, begun: bytes) -> int:  # noqa: ARG002 - known beforehand
        return self.size_max

    def is_answered_by(self, pdu: bytes) -> bool:
        return len(pdu) == self.size_max and pdu.startswith(self.head)

    def data(self, pdu: bytes) -> bytes:
        return pdu[2:]

    def mismatch(self, pdu: bytes) -> str:
        return f"reply of {max(len(pdu) - 2, 0)} bytes of data, asked for {self.data_bytes}"


class _Writing:
    """Questions whose answer repeats their first five bytes."""

    __slots__ = ()
    if TYPE_CHECKING:

        @property
        def function(self) -> int: ...
        @property
        def pdu(self) -> bytes: ...

    @property
    def head(self) -> bytes:
        return bytes((self.function,))

    @property
    def size_max(self) -> int:
        return ECHO_BYTES

    def size(self, begun: bytes) -> int:  # noqa: ARG002 - known beforehand
        return ECHO_BYTES

    def is_answered_by(self, pdu: bytes) -> bool:
        return pdu == self.pdu[:ECHO_BYTES]

    def data(self, pdu: bytes) -> bytes:  # noqa: ARG002
        return b""

    def mismatch(self, pdu: bytes) -> str:
        return f"reply {pdu[:ECHO_BYTES].hex()} to write {self.pdu[:ECHO_BYTES].hex()}"


@dataclass(frozen=True, slots=True)
class Request(_Reading):
    """Functions 1 to 4: read ``count`` bits (1 and 2) or registers (3 and 4) from ``address``."""

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


@dataclass(frozen=True, slots=True)
class WriteOne(_Writing):
    """Function 5: switch the coil at ``address`` (``raw`` 0xFF00 on, 0 off); function 6: write one register."""

    function: int
    address: int
    raw: int

    @property
    def pdu(self) -> bytes:
        return struct.pack(">BHH", self.function, self.address, self.raw)


@dataclass(frozen=True, slots=True)
class WriteMany(_Writing):
    """Functions 15 and 16: write ``count`` coils or registers from ``address``; ``raw`` is their bytes on the wire."""

    function: int
    address: int
    count: int
    raw: bytes

    @property
    def pdu(self) -> bytes:
        return struct.pack(">BHHB", self.function, self.address, self.count, len(self.raw)) + self.raw


@dataclass(frozen=True, slots=True)
class WriteThenRead(_Reading):
    """Function 23: write registers from ``write_address``, then read ``count`` from ``address``, in one go."""

    address: int
    count: int
    write_address: int
    raw: bytes

    @property
    def function(self) -> int:
        return 23

    @property
    def pdu(self) -> bytes:
        written = len(self.raw) // 2
        places = struct.pack(">BHHHHB", 23, self.address, self.count, self.write_address, written, len(self.raw))
        return places + self.raw

    @property
    def data_bytes(self) -> int:
        return 2 * self.count


@dataclass(frozen=True, slots=True)
class Identify:
    """Function 43/14: the objects by which a device says what it is, from ``first`` on.

    ``level`` is 1 for vendor, product and revision, 2 for all that the standard names. A good reply's data is the
    conformity level, whether more follows (0xFF), the next object's number, how many objects follow, and these: number,
    length, bytes.
    """

    level: int = 1
    first: int = 0

    @property
    def function(self) -> int:
        return 43

    @property
    def pdu(self) -> bytes:
        return bytes((43, 14, self.level, self.first))

    @property
    def head(self) -> bytes:
        return bytes((43, 14, self.level))

    @property
    def size_max(self) -> int:
        return PDU_BYTES_MAX

    def size(self, begun: bytes) -> int:
        end = 7
        if len(begun) < end:
            return end
        for _ in range(begun[6]):
            if len(begun) < end + 2:
                return min(end + 2, PDU_BYTES_MAX)
            end += 2 + begun[end + 1]
        return min(end, PDU_BYTES_MAX)

    def is_answered_by(self, pdu: bytes) -> bool:
        return 7 <= len(pdu) <= PDU_BYTES_MAX and pdu.startswith(self.head) and len(pdu) == self.size(pdu)

    def data(self, pdu: bytes) -> bytes:
        return pdu[3:]

    def mismatch(self, pdu: bytes) -> str:
        return f"reply of {len(pdu)} bytes is no identification"


def identification(data: bytes) -> tuple[dict[int, str], int | None]:
    """Of an ``Identify``'s answer: texts by their object's number, and the next one to ask for, None where all came.

    What is not printable ASCII in a text is a question mark.
    """
    texts, at = {}, 4
    for _ in range(data[3]):
        number, length = data[at], data[at + 1]
        text = data[at + 2 : at + 2 + length].decode("ascii", "replace")
        texts[number] = "".join(c if c.isascii() and c.isprintable() else "?" for c in text).strip()
        at += 2 + length
    return texts, data[2] if data[1] == 0xFF else None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one question: ``data``, or a bad ``quality`` and why. ``heard``: the unit gave a sign of life.

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


def check_reply(question: Question, pdu: bytes) -> Reply:
    """The meaning of the reply ``pdu`` to ``question``."""
    if question.is_answered_by(pdu):
        return Reply(question.data(pdu), Quality.GOOD)
    if len(pdu) == 2 and pdu[0] == question.function | EXCEPTION_FLAG:
        return exception_reply(pdu[1])
    if not pdu or pdu[0] != question.function:
        return garbled(f"reply to function {pdu[0] if pdu else 'none'}, asked {question.function}")
    return garbled(question.mismatch(pdu))


def exception_reply(code: int) -> Reply:
    words = f"exception {code:#04x} {EXCEPTION_WORDS.get(code, 'unknown code')}"
    if code in _OF_THE_GATEWAY:
        return Reply(b"", Quality.BAD_BUS, words, heard=False, fault="refused", code=code)
    return Reply(b"", Quality.BAD_DEVICE, words, fault="refused", code=code)
