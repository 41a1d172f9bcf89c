"""What the server says of a node, as an answer to a point: value, quality by its status code, time by its stamps."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from dataclasses import fields, is_dataclass
from typing import Any

from asyncua import ua

from edge.config.profiles.opcua import Point
from edge.contract.types import Quality, Value
from edge.opcua.structures import Structures
from edge.opcua.trouble import GARBLED, name_of
from edge.ports import Answer

TEXT_MAX = 4096
AHEAD_NS_MAX = 60_000_000_000
"""A stamp further ahead of a trusted clock than this is a wrong clock's: the arrival is nearer to the truth."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST_NS = 946_684_800_000_000_000
"""The year 2000. A clock that was never set says less."""
_LAST_NS = 4_102_444_800_000_000_000
"""The year 2100."""
_OVERFLOW = 0x0480
"""The info bits "data value" and "overflow" (Part 4, 7.39.1): samples were lost before this one."""

_COMMUNICATION = {
    ua.StatusCodes.BadCommunicationError, ua.StatusCodes.BadNoCommunication, ua.StatusCodes.BadTimeout,
    ua.StatusCodes.BadNotConnected, ua.StatusCodes.BadConnectionClosed, ua.StatusCodes.BadServerNotConnected,
    ua.StatusCodes.BadWaitingForInitialData, ua.StatusCodes.BadDisconnect, ua.StatusCodes.BadRequestTimeout,
    ua.StatusCodes.BadConnectionRejected, ua.StatusCodes.BadDataUnavailable,
}  # fmt: skip
_DECODING = {ua.StatusCodes.BadDecodingError, ua.StatusCodes.BadEncodingError, ua.StatusCodes.BadTypeMismatch}


def quality_of(code: int) -> Quality:
    """A status code as a quality: its severity, and for bad ones by whom the value was lost."""
    severity = code >> 30
    if severity == 0:
        return Quality.GOOD
    if severity == 1:
        return Quality.UNCERTAIN
    plain = code & 0xFFFF0000
    if plain in _COMMUNICATION:
        return Quality.BAD_BUS
    return Quality.BAD_DECODE if plain in _DECODING else Quality.BAD_DEVICE


def overflowed(value: ua.DataValue) -> bool:
    return value.StatusCode is not None and value.StatusCode.value & _OVERFLOW == _OVERFLOW


def answer_of(point: Point, value: ua.DataValue, structures: Structures) -> Answer:
    """What ``value`` means to ``point``."""
    code = value.StatusCode.value if value.StatusCode is not None else 0
    quality = quality_of(code)
    detail = "" if code == 0 else name_of(code)
    if quality.is_bad:
        return Answer(None, quality, detail)
    raw = value.Value.Value if value.Value is not None else None
    try:
        picked = None if raw is None else _plain(_picked(point, raw, structures))
        if picked is None:
            return Answer(None, Quality.BAD_DEVICE, "the server has no value")
        return Answer(_meant(point, picked), quality, "" if quality == Quality.GOOD else detail)
    except GARBLED as error:
        return Answer(None, Quality.BAD_DECODE, str(error)[:200] or type(error).__name__)


def source_ns(value: ua.DataValue, now_ns: int, *, trusted: bool) -> int | None:
    """When the value was true, by its source or else its server; None where neither can be believed."""
    latest_ns = now_ns + AHEAD_NS_MAX if trusted else _LAST_NS
    stamps: tuple[Any, ...] = (value.SourceTimestamp, value.ServerTimestamp)
    for stamp in stamps:
        if stamp is None:
            continue
        at_ns = (stamp - _EPOCH) // dt.timedelta(microseconds=1) * 1000
        if _FIRST_NS <= at_ns <= latest_ns:
            return int(at_ns)
    return None


def _picked(point: Point, raw: Any, structures: Structures) -> Any:
    """The one plain value in ``raw`` that the point means."""
    if point.element is not None:
        raw = _element(raw, point.element)
    for name in point.field.split(".") if point.field else ():
        raw = _member(raw, name, structures)
    if isinstance(raw, list | tuple):
        raise ValueError(f"an array of {len(raw)}: name one `element`")  # noqa: TRY004
    return raw


def _member(raw: Any, name: str, structures: Structures) -> Any:
    if isinstance(raw, ua.Variant):
        raw = raw.Value
    if isinstance(raw, ua.ExtensionObject):
        raw = structures.decoded(raw)
    if isinstance(raw, list | tuple):
        if not name.isdecimal():
            raise ValueError(f"field {name!r} of an array of {len(raw)}: name an index")
        return _element(raw, int(name))
    members = raw if isinstance(raw, dict) else _fields_of(raw)
    if name not in members:
        raise ValueError(f"no field {name!r}; it has {', '.join(map(str, members)) or 'none'}")
    return members[name]


def _fields_of(raw: Any) -> dict[str, Any]:
    if is_dataclass(raw) and not isinstance(raw, type):
        return {f.name: getattr(raw, f.name) for f in fields(raw)}
    return {}


def _element(raw: Any, index: int) -> Any:
    if not isinstance(raw, list | tuple):
        raise ValueError(f"element {index} of what is no array")  # noqa: TRY004
    if index >= len(raw):
        raise ValueError(f"element {index} of an array of {len(raw)}")
    return raw[index]


def _meant(point: Point, raw: Any) -> Value:
    if point.values:
        text = _text(raw)
        if text not in point.values:
            raise ValueError(f"{text[:80]!r} is none of `values`")
        return point.values[text]
    match point.type:
        case "text":
            return _text(raw)
        case "bool":
            if isinstance(raw, bool) or (isinstance(raw, int) and raw in (0, 1)):
                return bool(raw)
        case "integer" | "number":
            if isinstance(raw, int) and not isinstance(raw, bool):
                return _scaled(point, raw)
            if isinstance(raw, float) and (point.type == "number" or raw.is_integer()):
                return _scaled(point, raw if point.type == "number" else int(raw))
    raise ValueError(f"{_text(raw)[:80]!r} ({type(raw).__name__}) is no {point.type}")


def _scaled(point: Point, raw: float | int) -> float | int:
    value = raw if point.scale == 1.0 and point.offset == 0.0 else raw * point.scale + point.offset
    if not math.isfinite(value):
        raise ValueError(f"{value} is no measurement")
    return round(value) if point.type == "integer" else value


def _plain(raw: Any) -> Any:
    match raw:
        case ua.Variant():
            return _plain(raw.Value)
        case ua.LocalizedText():
            return raw.Text or ""
        case ua.QualifiedName():
            return raw.Name or ""
        case ua.NodeId():
            return raw.to_string()
        case ua.StatusCode():
            return raw.name
        case dt.datetime():
            return raw.isoformat()
        case uuid.UUID():
            return str(raw)
        case bytes():
            return raw.hex()
        case _:
            return raw


def _text(raw: Any) -> str:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if not isinstance(raw, str | int | float):
        raise ValueError(f"a {type(raw).__name__} is no plain value: name a `field`")  # noqa: TRY004
    text = str(raw)
    if len(text) > TEXT_MAX:
        raise ValueError(f"a text of {len(text)} characters")
    # asyncua hands on bytes that are no UTF-8 as lone surrogates, which nothing further can store.
    return text.encode("utf-8", "replace").decode("utf-8")
