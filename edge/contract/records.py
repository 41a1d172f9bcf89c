"""Records (assets, verdicts, alarms, declarations, ledger rows) as plain JSON objects, and strictly back.

An object has the type's name under ``type`` and exactly the type's fields. A float that is not finite is the text
``NaN``, ``Infinity`` or ``-Infinity``, which JSON numbers cannot hold.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Set
from dataclasses import fields
from enum import StrEnum
from typing import Any, cast, get_args, get_origin, get_type_hints

from edge.contract import waveform
from edge.contract.types import (
    Alarm,
    Asset,
    ClockSet,
    Dropped,
    LedgerRow,
    Reason,
    Record,
    Samples,
    Tag,
    Verdict,
    Waveform,
)
from edge.errors import BlockError

_TYPES: dict[str, type[Any]] = {
    "asset": Asset, "verdict": Verdict, "alarm": Alarm, "dropped": Dropped, "ledger": LedgerRow, "clock": ClockSet,
    "waveform": Waveform,
}  # fmt: skip
_NAMES = {cls: name for name, cls in _TYPES.items()}
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

Json = Any
"""What the json module gives: checked field by field before it is believed."""


def to_json(record: Record, samples: list[bytes]) -> dict[str, Json]:
    """The record as an object that json.dumps takes with ``allow_nan=False``; what is binary goes into ``samples``."""
    if isinstance(record, Waveform):
        note, planes = waveform.pack(record.samples)
        samples.append(planes)
        return {"type": "waveform", **_object(record), "samples": note}
    return {"type": _NAMES[type(record)], **_object(record)}


def _object(record: Any) -> dict[str, Json]:
    return {name: _plain(getattr(record, name)) for name in _READERS[type(record)] if name != "samples"}


def _plain(value: object) -> Json:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, tuple):
        return [_object(item) for item in value]
    return value


def all_from_json(found: list[Json], known: Set[str], take: Callable[[int], bytes]) -> tuple[Record, ...]:
    """The records that ``to_json`` was given, of ``known`` types; ``take(n)`` gives the next ``n`` bytes of samples.

    Raises BlockError naming a record's type and field.
    """
    records, room = [], waveform.SAMPLES_MAX
    for entry in found:
        name = entry.get("type") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name not in known:
            raise BlockError("block", "a record is of no known type")
        told = {key: value for key, value in entry.items() if key != "type"}
        if name == "waveform":
            told["samples"] = waveform.unpack(told.get("samples"), take, room)
            room -= len(told["samples"])
        records.append(cast(Record, _read(_TYPES[name], told, name)))
    return tuple(records)


def _read(cls: type[Any], found: Json, where: str) -> Any:
    readers = _READERS[cls]
    if not isinstance(found, dict) or found.keys() != readers.keys():
        raise BlockError("block", f"the fields of a record ({where}) are not those of its type")
    return cls(**{name: read(found[name], f"{where}.{name}") for name, read in readers.items()})


def _reader(hint: Any) -> Callable[[Json, str], Any]:
    """How to read one field of the type ``hint``; only the kinds of field that the contract's types have."""
    if hint == Samples:
        return lambda found, _: found
    if get_origin(hint) is types.UnionType:
        inner = _reader(get_args(hint)[0])
        return lambda found, where: None if found is None else inner(found, where)
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        assert item in (Reason, Tag)
        return lambda found, where: tuple(_read(item, one, where) for one in _checked(found, list, where))
    if issubclass(hint, StrEnum):
        return lambda found, where: _member(hint, found, where)
    return {str: _text, bool: _flag, int: _whole, float: _number}[hint]


def _checked(found: Json, kind: type[Any], where: str) -> Any:
    if type(found) is not kind:
        raise BlockError("block", f"{where} of a record is no {kind.__name__}")
    return found


def _text(found: Json, where: str) -> str:
    return cast(str, _checked(found, str, where))


def _flag(found: Json, where: str) -> bool:
    return cast(bool, _checked(found, bool, where))


def _whole(found: Json, where: str) -> int:
    number = cast(int, _checked(found, int, where))
    if not -(2**63) <= number < 2**63:
        raise BlockError("block", f"{where} of a record is beyond 64 bits")
    return number


def _number(found: Json, where: str) -> float:
    if isinstance(found, str) and found in _NON_FINITE:
        return _NON_FINITE[found]
    if type(found) is int:
        return float(_whole(found, where))
    if not math.isfinite(_checked(found, float, where)):
        raise BlockError("block", f"{where} of a record is beyond any float")
    return cast(float, found)


def _member(enum: type[StrEnum], found: Json, where: str) -> StrEnum:
    if not isinstance(found, str) or found not in enum.__members__.values():
        raise BlockError("block", f"{where} of a record is no {enum.__name__}")
    return enum(found)


_READERS: dict[type[Any], dict[str, Callable[[Json, str], Any]]] = {
    cls: {field.name: _reader(hints[field.name]) for field in fields(cls)}
    for cls in (*_TYPES.values(), Reason, Tag)
    if (hints := get_type_hints(cls))
}
"""How to read each field of each type, in the order of its fields."""
