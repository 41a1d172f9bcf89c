"""What a message of a serial device says: from its bytes to one answer for each point that lives in it. Pure.

A message that is none of the profile's, or another unit's, says nothing. One that is, but holds what its profile does
not know, is an answer of bad quality for that point alone, with what was found.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass

from edge.config.profiles.patterns import compiled
from edge.config.profiles.serial import (
    ADDRESS_FIELDS,
    CODE_OF,
    PLACEHOLDER,
    AnySerial,
    AskedMessage,
    Field,
    Frame,
    Message,
    SerialPoint,
    Status,
    as_bytes,
)
from edge.contract.types import Quality
from edge.drivers.serial_framer import checksum_bytes
from edge.ports import Answer

Raw = str | int | float
_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]{1,16}")
_DDMM = re.compile(r"(\d{1,3})(\d\d(\.\d{0,10})?)", re.ASCII)
_GS1 = "\x1c\x1d\x1e\x1f"
"""Separators that belong into bar codes; any other control character would do harm where a value is shown."""


@dataclass(frozen=True, slots=True)
class Said:
    """``answers`` of ``places``, which are indices of ``profile.point``; ``message`` is its index in the profile."""

    message: int
    places: tuple[int, ...]
    answers: tuple[Answer, ...]


class Reader:
    """Reads the messages of one unit by one profile."""

    def __init__(self, profile: AnySerial, unit: int) -> None:
        self.profile = profile
        self._unit = unit
        self._kinds = [_Kind(profile, message) for message in profile.message]

    def places(self, message: int) -> tuple[int, ...]:
        return self._kinds[message].places

    def read(self, data: bytes, only: int | None = None) -> Said | None:
        """What ``data`` says; None where it is no message of this unit, or not the one of number ``only``."""
        for i, kind in enumerate(self._kinds):
            answers = kind.answers(data, self._unit) if only in (None, i) else None
            if answers is not None:
                return Said(i, kind.places, answers)
        return None


class _Kind:
    """One kind of message, compiled."""

    def __init__(self, profile: AnySerial, message: Message) -> None:
        self._message = message
        self._begins = as_bytes(message.begins)
        self._pattern = compiled(message.pattern) if message.pattern else None
        self._refusals = [(compiled(pattern), words) for pattern, words in message.refusals.items()]
        self.places = tuple(i for i, point in enumerate(profile.point) if point.message == message.name)
        self._points = [profile.point[i] for i in self.places]

    def answers(self, data: bytes, unit: int) -> tuple[Answer, ...] | None:
        if data.startswith(self._begins):
            fields = self._fields(data)
            if fields is not None:
                return self._read(fields) if _is_of(fields, unit) else None
        for pattern, words in self._refusals:
            found = pattern.fullmatch(data)
            if found is not None:
                return self._refused(words) if _is_of(_texts(found), unit) else None
        return None

    def _fields(self, data: bytes) -> dict[str, Raw] | None:
        if self._pattern is not None:
            found = self._pattern.fullmatch(data)
            return _texts(found) if found is not None else None
        if len(data) != self._message.bytes:
            return None
        return {field.name: _at_place(field, data) for field in self._message.fields}

    def _refused(self, words: str) -> tuple[Answer, ...]:
        return (Answer(None, Quality.BAD_DEVICE, words),) * len(self.places)

    def _read(self, fields: dict[str, Raw]) -> tuple[Answer, ...]:
        bad, uncertain = _standing(self._message.status, fields)
        status = self._message.status.field if self._message.status is not None else ""
        answers = []
        for point in self._points:
            if bad and point.field != status:
                answers.append(Answer(None, Quality.BAD_DEVICE, bad))
                continue
            answer = answer_of(point, fields)
            if uncertain and point.field != status and answer.quality == Quality.GOOD:
                answer = Answer(answer.value, Quality.UNCERTAIN, uncertain)
            answers.append(answer)
        return tuple(answers)


def answer_of(point: SerialPoint, fields: dict[str, Raw]) -> Answer:
    """The point's value in ``fields``, or why there is none."""
    raw = fields[point.field]
    key = str(raw).strip()
    if key in point.not_available:
        return Answer(None, Quality.BAD_DEVICE, "not available")
    if point.values:
        return _mapped(point, key)
    if point.type == "text":
        return _text(str(raw))
    number = _number(point, raw)
    if number is None:
        return _puzzling(f"{_shown(raw)} is no {'number' if point.type == 'number' else point.type}")
    factor = 1.0
    if point.factor is not None:
        said = str(fields[point.factor.field]).strip()
        known = point.factor.factors
        if said not in known:
            return _puzzling(f"{point.factor.field} is {_shown(said)}, known are {', '.join(known)}")
        factor = known[said]
    if (factor, point.scale, point.offset) != (1.0, 1.0, 0.0):
        number = number * factor * point.scale + point.offset
    return Answer(number, Quality.GOOD) if math.isfinite(number) else _puzzling("not a finite number")


def request_bytes(message: AskedMessage, frame: Frame, unit: int) -> bytes:
    """The request with its placeholders filled."""
    out = b""
    at = 0
    for found in PLACEHOLDER.finditer(message.request):
        out += as_bytes(message.request[at : found.start()])
        out += _filled(found, frame, unit, out)
        at = found.end()
    return out + as_bytes(message.request[at:])


def _filled(found: re.Match[str], frame: Frame, unit: int, before: bytes) -> bytes:
    text = found.group()
    if text in ("{{", "}}"):
        return text[:1].encode()
    if text == "{checksum}":
        return checksum_bytes(frame, _summed(before, frame))
    if text == "{unit:b}":
        return bytes((unit,))
    return f"{unit:{(found[1] or '') + (found[2] or 'd')}}".encode()


def _summed(before: bytes, frame: Frame) -> bytes:
    """The message in a request up to its checksum."""
    assert frame.checksum is not None
    message = before.removeprefix(as_bytes(frame.start)).removesuffix(as_bytes(frame.checksum.after))
    return message.removesuffix(as_bytes(frame.end)) if frame.checksum.place == "after-end" else message


def _texts(found: re.Match[bytes]) -> dict[str, Raw]:
    return {name: (value or b"").decode("latin-1") for name, value in found.groupdict().items()}


def _is_of(fields: dict[str, Raw], unit: int) -> bool:
    """Whether the message is the unit's: where it names none, it is."""
    for name, base in ADDRESS_FIELDS.items():
        if name in fields:
            raw = fields[name]
            try:
                return (int(raw, base) if isinstance(raw, str) else raw) == unit
            except ValueError:
                return False
    return True


def _at_place(field: Field, data: bytes) -> Raw:
    raw = data[field.offset : field.offset + field.size]
    if field.type in CODE_OF:
        value: int | float = struct.unpack((">" if field.order == "big" else "<") + CODE_OF[field.type], raw)[0]
        return value
    if field.type == "bcd":
        return (raw if field.order == "big" else raw[::-1]).hex()
    return raw.decode("latin-1")


def _standing(status: Status | None, fields: dict[str, Raw]) -> tuple[str, str]:
    """Why the message's values are bad, and why uncertain; empty where they are not."""
    if status is None:
        return "", ""
    said = str(fields[status.field]).strip()
    return status.bad.get(said, ""), status.uncertain.get(said, "")


def _mapped(point: SerialPoint, key: str) -> Answer:
    if key not in point.values:
        return _puzzling(f"{_shown(key)} is none of {', '.join(point.values)}")
    return Answer(point.values[key], Quality.GOOD)


def _text(raw: str) -> Answer:
    if any((ord(c) < 32 and c not in _GS1) or 127 <= ord(c) < 160 for c in raw):
        return _puzzling(f"{_shown(raw)} is no plain text")
    return Answer(raw.strip(), Quality.GOOD)


def _number(point: SerialPoint, raw: Raw) -> int | float | None:
    if not isinstance(raw, str):
        return raw
    text = raw.replace(" ", "")
    match point.type:
        case "integer":
            return int(text) if _INTEGER.fullmatch(text) else None
        case "hex":
            return int(text, 16) if _HEX.fullmatch(text) else None
        case "ddmm":
            found = _DDMM.fullmatch(text)
            return None if found is None else int(found[1]) + float(found[2]) / 60
        case _:
            return float(text) if _NUMBER.fullmatch(text) else None


def _puzzling(detail: str) -> Answer:
    return Answer(None, Quality.BAD_DECODE, detail)


def _shown(raw: Raw) -> str:
    return ascii(raw)[:40]
