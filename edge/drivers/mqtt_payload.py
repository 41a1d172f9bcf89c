"""What one message says of one point: a value with its quality and its time, or why not.

A payload may hold anything. Whatever it holds, ``Meaning.of`` gives an answer or says nothing, and never raises.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from edge.config.json_pointer import MISSING, parse_pointer, resolve
from edge.config.profiles.mqtt import PLACE, Point
from edge.contract.types import Quality, Value
from edge.drivers.source_time import Reading, dated
from edge.ports import Answer

TEXT_CHARS_MAX = 1000
SHOWN_CHARS_MAX = 40
_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,4})?", re.ASCII)
_TRUTH = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
_NS_OF = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _NotSo(Exception):
    """The message is not what the profile says."""

    def __init__(self, detail: str, quality: Quality = Quality.BAD_DECODE) -> None:
        self.answer = Answer(None, quality, detail)


@dataclass(slots=True)
class Arrival:
    """One message: its JSON is decoded once, however many points ask for it.

    ``now_ns`` is the wall time, None where the clock is not to be trusted.
    """

    topic: str
    payload: bytes
    retained: bool
    now_ns: int | None
    payload_bytes_max: int
    _document: Any = field(default=MISSING, init=False)

    def document(self) -> Any:
        """The decoded JSON. Raises ``_NotSo``."""
        if self._document is MISSING:
            self._document = self._decoded()
        if isinstance(self._document, _NotSo):
            raise self._document
        return self._document

    def text(self) -> str:
        """Raises ``_NotSo``."""
        self._measure()
        try:
            return self.payload.decode()
        except UnicodeDecodeError as error:
            raise _NotSo(f"not UTF-8: {_shown(self.payload)}") from error

    def _decoded(self) -> Any:
        try:
            self._measure()
            return msgspec.json.decode(self.payload)
        except _NotSo as error:
            return error
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return _NotSo(f"not JSON: {_shown(self.payload)}")

    def _measure(self) -> None:
        if len(self.payload) > self.payload_bytes_max:
            raise _NotSo(f"a payload of {len(self.payload)} bytes, `payload_kb_max` allows {self.payload_bytes_max}")
        if not self.payload:
            raise _NotSo("an empty payload", Quality.BAD_DEVICE)


class Meaning:
    """One point of one unit, at ``at``."""

    def __init__(self, point: Point, at: str) -> None:
        self._point = point
        self._keys = parse_pointer(point.pointer)
        self._time = parse_pointer(point.time) if point.time else None
        self._where = [(parse_pointer(keys), text.replace(PLACE, at)) for keys, text in point.where.items()]
        levels = point.filter(at).split("/")
        self._level = levels.index("+") if "+" in levels else -1

    def of(self, arrival: Arrival) -> Reading | None:
        """What ``arrival`` says of the point; None where it says nothing of it."""
        try:
            if self._where and not self._is_meant(arrival):
                return None
            raw = self._raw(arrival)
            if raw is MISSING and self._point.optional:
                return None
            return self._dated(self._value(raw), arrival)
        except _NotSo as error:
            return error.answer, None

    def _is_meant(self, arrival: Arrival) -> bool:
        try:
            document = arrival.document()
        except _NotSo:
            return False  # Nobody can say whose it is.
        found = [(resolve(document, keys), text) for keys, text in self._where]
        return all(not isinstance(value, dict | list) and _spelt(value) == text for value, text in found)

    def _raw(self, arrival: Arrival) -> Any:
        match self._point.payload:
            case "json":
                return resolve(arrival.document(), self._keys)
            case "raw":
                return arrival.text()
            case "level":
                return arrival.topic.split("/")[self._level]

    def _value(self, raw: Any) -> Value:
        point = self._point
        if raw is MISSING:
            raise _NotSo(f"nothing at {point.pointer}")
        if raw is None:
            raise _NotSo("null: it has no value", Quality.BAD_DEVICE)
        if isinstance(raw, dict | list):
            raise _NotSo(f"an {'object' if isinstance(raw, dict) else 'array'} where a value was expected")
        if point.values:
            spelt = _spelt(raw).strip()
            if spelt not in point.values:
                raise _NotSo(f"{_shown(spelt)} is none of {', '.join(point.values)}")
            return point.values[spelt]
        match point.type:
            case "number":
                return self._scaled(_number(raw))
            case "integer":
                return self._integer(_number(raw))
            case "bool":
                return _truth(raw)
            case "text":
                return _text(raw)

    def _integer(self, raw: float) -> Value:
        if (self._point.scale, self._point.offset) != (1.0, 0.0):
            return self._scaled(raw)
        if raw != int(raw) or abs(raw) >= 2**63:
            raise _NotSo(f"{_shown(raw)} is no whole number of 64 bits")
        return int(raw)

    def _scaled(self, raw: float) -> float:
        value = float(raw) * self._point.scale + self._point.offset
        if not math.isfinite(value):
            raise _NotSo(f"{_shown(raw)} leads out of what a number holds")
        return value

    def _dated(self, value: Value, arrival: Arrival) -> Reading:
        if self._time is None:
            if arrival.retained:
                return Answer(value, Quality.UNCERTAIN, "retained, its age is unknown"), None
            return Answer(value, Quality.GOOD), None
        at_ns = _time_ns(resolve(arrival.document(), self._time), self._point.time_unit)
        return dated(Answer(value, Quality.GOOD), at_ns, arrival.now_ns)


def _number(raw: Any) -> float:
    """A JSON number, or text that is one. Whole numbers stay whole."""
    if isinstance(raw, str):
        text = raw.strip()
        if not _NUMBER.fullmatch(text):
            raise _NotSo(f"{_shown(raw)} is no number")
        raw = int(text) if text.lstrip("+-").isdigit() else float(text)
    if isinstance(raw, bool):
        raise _NotSo(f"{_spelt(raw)} is no number")
    assert isinstance(raw, int | float)
    if abs(raw) > 1.7e308 or not math.isfinite(raw):
        raise _NotSo(f"{_shown(raw)} is beyond what a number holds")
    return raw


def _truth(raw: Any) -> bool:
    found = _TRUTH.get(_spelt(raw).strip().lower())
    if found is None:
        raise _NotSo(f"{_shown(raw)} is neither true nor false")
    return found


def _text(raw: Any) -> str:
    text = _spelt(raw)
    if len(text) > TEXT_CHARS_MAX:
        raise _NotSo(f"a text of {len(text)} characters, more than {TEXT_CHARS_MAX}")
    return text


def _spelt(raw: Any) -> str:
    """A JSON scalar as text, as JSON spells it; a number without needless decimals."""
    if isinstance(raw, str):
        return raw
    if isinstance(raw, bool) or raw is None:
        return {True: "true", False: "false", None: "null"}[raw]
    if isinstance(raw, float) and raw.is_integer() and abs(raw) < 2**53:
        return str(int(raw))
    return _shown(raw) if isinstance(raw, int) and abs(raw) > 10**SHOWN_CHARS_MAX else str(raw)


def _time_ns(raw: Any, unit: str) -> int:
    if raw is MISSING or raw is None:
        raise _NotSo("it has no time")
    if unit == "iso":
        if not isinstance(raw, str):
            raise _NotSo(f"{_shown(raw)} is no ISO 8601 time")
        try:
            moment = datetime.fromisoformat(raw.strip())
        except ValueError as error:
            raise _NotSo(f"{_shown(raw)} is no ISO 8601 time") from error
        since = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)) - _EPOCH
        return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    if isinstance(raw, dict | list):
        raise _NotSo("no time, but an object or array")
    number = _number(raw)
    factor = _NS_OF[unit]
    if abs(number) > 2**63:
        raise _NotSo(f"{_shown(raw)} is no time in {unit}")
    whole = int(number)
    return whole * factor + round((number - whole) * factor)


def _shown(raw: Any) -> str:
    """A few characters of it, all of them printable."""
    if isinstance(raw, int) and not isinstance(raw, bool) and raw.bit_length() > 128:
        return f"a number of {raw.bit_length()} bits"
    text = repr(raw[:200] if isinstance(raw, str | bytes) else raw).removeprefix("b")
    return text if len(text) <= SHOWN_CHARS_MAX else text[: SHOWN_CHARS_MAX - 3] + "..."
