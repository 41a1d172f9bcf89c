"""A device on a serial line that speaks frames of its own: how a message is cut, checked and read, as data.

Bytes are written as text of one character a byte, with TOML's own escapes: ``"\\u0002"`` is STX, ``"\\r\\n"`` CR LF.
A *message* is what lies between ``frame.start`` and the checksum or ``frame.end``; offsets count in it from 0.

Two protocols: devices of ``serial`` answer requests, those of ``serial-stream`` speak by themselves.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge.config.profiles.patterns import PatternError, compiled
from edge.config.profiles.signal import AnyProfile, Device, Signal, Strict

FRAME_BYTES_MAX = 1024
Bytes = Annotated[str, Meta(pattern=r"^[\x00-\xff]*$")]
Order = Literal["big", "little"]
ChecksumKind = Literal[
    "sum8", "sum8-complement", "sum8-inverted", "xor8", "sum16", "crc8", "crc8-maxim", "crc16-modbus", "crc16-arc",
    "crc16-xmodem", "crc16-ccitt-false", "crc16-kermit", "crc16-x25",
]  # fmt: skip
FieldType = Literal[
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64", "bcd", "text",
]  # fmt: skip
CODE_OF = {
    "uint8": "B", "int8": "b", "uint16": "H", "int16": "h", "uint32": "I", "int32": "i", "uint64": "Q", "int64": "q",
    "float32": "f", "float64": "d",
}  # fmt: skip
ADDRESS_FIELDS = {"address": 10, "address_hex": 16}
"""Fields of these names are the unit's number, in this base where they are text; other units' messages are not read."""
PLACEHOLDER = re.compile(r"\{\{|\}\}|\{checksum\}|\{unit(?::(?:(0[1-9])?([dXx])|b))?\}")
"""What a request may have in braces; doubled ones are braces."""


def as_bytes(text: str) -> bytes:
    return text.encode("latin-1")


class Length(Strict, frozen=True, kw_only=True):
    """A field that says how long the message is: the whole frame has its value plus ``adjust`` bytes."""

    offset: Annotated[int, Meta(ge=0, le=64)]
    bytes: Annotated[int, Meta(ge=1, le=5)] = 1
    form: Literal["binary", "decimal", "hex"] = "binary"
    order: Order = "big"
    adjust: Annotated[int, Meta(ge=-FRAME_BYTES_MAX, le=FRAME_BYTES_MAX)] = 0


class Escape(Strict, frozen=True, kw_only=True):
    """Byte stuffing: after ``byte`` comes the byte meant, through ``map`` (SLIP) or else xor-ed (HDLC: 32; DLE: 0)."""

    byte: Annotated[str, Meta(min_length=1, max_length=1)]
    xor: Annotated[int, Meta(ge=0, le=255)] = 0
    map: dict[str, str] = msgspec.field(default_factory=dict)


class Checksum(Strict, frozen=True, kw_only=True):
    """What proves a message: the last bytes before the end (``after`` stands before them), or those behind the end.

    It is computed over the message, and over ``start`` and ``end`` where that is said.
    """

    kind: ChecksumKind
    form: Literal["binary", "hex"] = "binary"
    order: Order = "big"
    after: Annotated[Bytes, Meta(max_length=4)] = ""
    place: Literal["before-end", "after-end"] = "before-end"
    covers_start: bool = False
    covers_end: bool = False


class Frame(Strict, frozen=True, kw_only=True):
    """How the stream is cut into messages: by ``end``, by a fixed number of ``bytes``, or by a ``length`` field.

    ``start`` occurs nowhere but at a beginning. A pause of ``gap_ms`` within a message means that its rest is lost.
    """

    start: Annotated[Bytes, Meta(max_length=8)] = ""
    end: Annotated[Bytes, Meta(max_length=8)] = ""
    bytes: Annotated[int, Meta(ge=1, le=FRAME_BYTES_MAX)] | None = None
    length: Length | None = None
    escape: Escape | None = None
    checksum: Checksum | None = None
    bytes_max: Annotated[int, Meta(ge=1, le=FRAME_BYTES_MAX)] = 256
    gap_ms: Annotated[int, Meta(ge=5, le=60_000)] = 1000


class Field(Strict, frozen=True, kw_only=True):
    """A value at a fixed place of a binary message. ``bytes`` is for ``text`` and ``bcd``."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
    offset: Annotated[int, Meta(ge=0, lt=FRAME_BYTES_MAX)]
    type: FieldType
    order: Order = "big"
    bytes: Annotated[int, Meta(ge=1, le=64)] = 1

    @property
    def size(self) -> int:
        return struct.calcsize(">" + CODE_OF[self.type]) if self.type in CODE_OF else self.bytes


class Status(Strict, frozen=True, kw_only=True):
    """A field that says how far the message's other values may be believed: words by what it may say."""

    field: str
    bad: dict[str, str] = msgspec.field(default_factory=dict)
    uncertain: dict[str, str] = msgspec.field(default_factory=dict)


class Message(Strict, frozen=True, kw_only=True):
    """One kind of message. It is told from others by how it ``begins`` and whether ``pattern`` or ``fields`` fit.

    ``pattern`` matches the whole message, its named groups being its fields; ``fields`` lie at fixed places of a
    message of ``bytes``. ``refusals`` are messages that stand for it and say why there are no values: words by pattern.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
    begins: Annotated[Bytes, Meta(max_length=64)] = ""
    pattern: str = ""
    fields: tuple[Field, ...] = ()
    bytes: Annotated[int, Meta(ge=1, le=FRAME_BYTES_MAX)] | None = None
    refusals: dict[str, str] = msgspec.field(default_factory=dict)
    status: Status | None = None

    def names(self) -> set[str]:
        """Its fields. Raises ``PatternError``."""
        return set(compiled(self.pattern).groupindex) if self.pattern else {field.name for field in self.fields}


class AskedMessage(Message, frozen=True, kw_only=True):
    """A message that answers ``request``: bytes, in which ``{unit}`` (also ``{unit:02d}``, ``{unit:02X}``, and
    ``{unit:b}`` for one byte) is the unit's number and ``{checksum}`` that of what stands before it."""

    request: Annotated[Bytes, Meta(min_length=1, max_length=256)]


class Factor(Strict, frozen=True, kw_only=True):
    """The value is multiplied by what another ``field`` of the message stands for: its unit of measure, or its sign."""

    field: str
    factors: Annotated[dict[str, float], Meta(min_length=1)]


class SerialPoint(Signal, frozen=True, kw_only=True):
    """One value: ``field`` of ``message``. ``type`` says how text is read (``ddmm``: degrees and minutes as in NMEA).

    ``values`` stand for what the field says; what is none of them is bad. ``not_available``: there is no value.
    """

    message: str
    field: str
    type: Literal["number", "integer", "hex", "ddmm", "text"] = "number"
    values: dict[str, bool | int | float | str] = msgspec.field(default_factory=dict)
    not_available: tuple[str, ...] = ()
    factor: Factor | None = None


class SerialSample(Strict, frozen=True, kw_only=True):
    """An oracle: what is asked (``sends``), what comes, and what that must decode to; of ``bad`` tags no value."""

    receives: Annotated[Bytes, Meta(max_length=4 * FRAME_BYTES_MAX)]
    sends: Annotated[Bytes, Meta(max_length=256)] = ""
    unit: Annotated[int, Meta(ge=0, le=255)] = 1
    values: dict[str, float | int | bool | str] = msgspec.field(default_factory=dict)
    bad: tuple[str, ...] = ()


class SerialProfile(AnyProfile, frozen=True, kw_only=True):
    """The whole file of a device that is asked."""

    device: Device
    frame: Frame
    message: Annotated[tuple[AskedMessage, ...], Meta(min_length=1, max_length=64)]
    point: Annotated[tuple[SerialPoint, ...], Meta(min_length=1)]
    sample: tuple[SerialSample, ...] = ()

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from _problems(self)
        for i, message in enumerate(self.message):
            rest = PLACEHOLDER.sub("", message.request)
            if "{" in rest or "}" in rest:
                hint = "accepted in braces: unit, unit:02d, unit:02X, unit:b, checksum; double other braces"
                yield f"`message[{i}].request`: found {message.request!r}", hint
            if "{checksum}" in message.request and self.frame.checksum is None:
                yield f"`message[{i}].request`: a checksum, but the frame has none", "add `[frame.checksum]`"


class StreamProfile(AnyProfile, frozen=True, kw_only=True):
    """The whole file of a device that speaks by itself. ``silence`` says what it means when nothing comes: that nothing
    changed (a barcode reader), or that something is missing (a weather station)."""

    device: Device
    frame: Frame
    message: Annotated[tuple[Message, ...], Meta(min_length=1, max_length=64)]
    point: Annotated[tuple[SerialPoint, ...], Meta(min_length=1)]
    silence: Literal["unchanged", "missing"] = "missing"
    sample: tuple[SerialSample, ...] = ()

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from _problems(self)


AnySerial = SerialProfile | StreamProfile


def _problems(profile: AnySerial) -> Iterator[tuple[str, str]]:
    yield from _frame_problems(profile.frame)
    names: dict[str, set[str]] = {}
    for i, message in enumerate(profile.message):
        if message.name in names:
            yield f"`message[{i}].name`: {message.name!r} stands twice", "give each message a name of its own"
        names[message.name] = set()
        yield from _message_problems(f"`message[{i}]` ({message.name})", message, names)
    for i, point in enumerate(profile.point):
        where = f"`point[{i}]` ({point.tag})"
        if point.message not in names:
            yield f"{where}: there is no message {point.message!r}", f"messages: {', '.join(names)}"
            continue
        for field in (point.field, *([point.factor.field] if point.factor is not None else [])):
            if field not in names[point.message]:
                known = ", ".join(sorted(names[point.message])) or "none"
                yield f"{where}: message {point.message} has no field {field!r}", f"fields: {known}"
        numeric = point.type != "text" and not point.values
        if not numeric and (point.factor is not None or (point.scale, point.offset) != (1.0, 0.0)):
            yield f"{where}: text or mapped values with scale, offset or factor", "these are for numbers"


def _message_problems(where: str, message: Message, names: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    if bool(message.pattern) == bool(message.fields):
        yield f"{where}: wants either `pattern` or `fields`", "text is matched by a pattern, binary has fields"
    try:
        names[message.name] = message.names()
    except PatternError as error:
        yield f"{where}: pattern {message.pattern!r}: {error}", "see edge/config/profiles/patterns.py"
    for refusal in message.refusals:
        try:
            compiled(refusal)
        except PatternError as error:
            yield f"{where}: refusal {refusal!r}: {error}", "see edge/config/profiles/patterns.py"
    if message.fields and message.bytes is None:
        yield f"{where}: fields without `bytes`", "say how many bytes the message has"
    for field in message.fields:
        if message.bytes is not None and field.offset + field.size > message.bytes:
            yield f"{where}: field {field.name} ends past byte {message.bytes}", "offsets are 0-based, after `start`"
    if message.status is not None and message.status.field not in names[message.name]:
        yield f"{where}: status has no field {message.status.field!r}", f"fields: {', '.join(names[message.name])}"


def _frame_problems(frame: Frame) -> Iterator[tuple[str, str]]:
    if frame.bytes is None and frame.length is None and not frame.end:
        yield "`frame`: nothing says where a message ends", "give it `end`, `bytes` or `length`"
    if frame.bytes is not None and frame.length is not None:
        yield "`frame`: both `bytes` and `length`", "a message is of fixed length, or says its length"
    if frame.start and frame.start == frame.end:
        yield "`frame`: start and end are the same", "leave out `start`; empty messages are passed over"
    if frame.escape is not None and (frame.bytes is not None or frame.length is not None):
        yield "`frame`: escapes with a length", "escapes are for delimiters"
    if frame.bytes is not None and frame.bytes > frame.bytes_max:
        yield f"`frame.bytes`: {frame.bytes} is more than `frame.bytes_max`", f"bytes_max is {frame.bytes_max}"
    checksum = frame.checksum
    if checksum is not None and checksum.place == "after-end" and (checksum.after or not frame.end):
        yield "`frame.checksum`: behind the end it needs an `end` and has no `after`", "or place it before-end"
