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
from functools import partial
from operator import itemgetter
from typing import Any, cast, get_args, get_origin, get_type_hints

from edge.contract import waveform
from edge.contract.commands import Outcome
from edge.contract.types import (
    Alarm,
    Asset,
    BundleChange,
    Checkpoint,
    ClockSet,
    Dropped,
    LedgerRow,
    Reason,
    Record,
    Samples,
    SensorState,
    SurvivalPoint,
    Tag,
    Verdict,
    Waveform,
)
from edge.errors import BlockError

_TYPES: dict[str, type[Any]] = {
    "asset": Asset, "verdict": Verdict, "alarm": Alarm, "dropped": Dropped, "ledger": LedgerRow, "clock": ClockSet,
    "waveform": Waveform, "checkpoint": Checkpoint, "bundle": BundleChange,
    "outcome": Outcome,
}  # fmt: skip
_NAMES = {cls: name for name, cls in _TYPES.items()}
_PARTS = (Reason, SensorState, SurvivalPoint, Tag)
_FIELDS = {cls: tuple(field.name for field in fields(cls)) for cls in (*_TYPES.values(), *_PARTS)}
_LATER = {
    Alarm: ("latched", "held", "until_ns", "by", "why", "group", "first", "repeats"),
    Reason: ("since_ns",),
    Tag: ("period_ms", "heartbeat_ms"),
    Verdict: (
        "anomaly_p",
        "failure_p",
        "stop_h",
        "survival",
        "sensors",
        "basis",
        "number",
        "seal",
        "mono_ns",
        "first_ns",
        "polls",
    ),
}
"""Fields that a type was given later: left out where they are as by default, so that what is old and what is new
agree."""
_OPTIONAL: dict[type[Any], dict[str, Any]] = {
    cls: {field.name: field.default for field in fields(cls) if field.name in names} for cls, names in _LATER.items()
}
_REQUIRED = object()
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

Json = Any
"""What the json module gives: checked field by field before it is believed."""
Reader = Callable[[Json], Any]
"""From what was found to what is believed. Raises BlockError."""


def to_json(record: Record, samples: list[bytes]) -> dict[str, Json]:
    """The record as an object that json.dumps takes with ``allow_nan=False``; what is binary goes into ``samples``."""
    if isinstance(record, Waveform):
        note, planes = waveform.pack(record.samples)
        samples.append(planes)
        return {"type": "waveform", **_object(record), "samples": note}
    return {"type": _NAMES[type(record)], **_object(record)}


def _object(record: Any) -> dict[str, Json]:
    optional = _OPTIONAL.get(type(record), {})
    return {
        name: _plain(value)
        for name in _FIELDS[type(record)]
        if name != "samples" and ((value := getattr(record, name)) != optional.get(name, _REQUIRED))
    }


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
        if name in _AT_ONCE and (record := _AT_ONCE[name](entry)) is not None:
            records.append(record)
            continue
        told = {key: value for key, value in entry.items() if key != "type"}
        if name == "waveform":
            told["samples"] = waveform.unpack(told.get("samples"), take, room)
            room -= len(told["samples"])
        records.append(cast(Record, _READERS[name](told)))
    return tuple(records)


def _at_once(cls: type[Any]) -> Callable[[dict[str, Json]], Any]:
    """A reader of a type with nothing but texts and whole numbers; None of what is not plainly right.

    A gateway of 2,000 signals tells 2,000 rows of its ledger at once: a third of the time, and nobody waits for it.
    """
    hints = get_type_hints(cls)
    names = _FIELDS[cls]
    expected, kinds = {"type", *names}, tuple(hints[name] for name in names)
    pick, pick_whole = itemgetter(*names), itemgetter(*(name for name in names if hints[name] is int))

    def read(found: dict[str, Json]) -> Any:
        if found.keys() != expected:
            return None
        values = pick(found)
        if tuple(map(type, values)) != kinds:
            return None
        whole = pick_whole(found)
        return cls(*values) if min(whole) >= -(2**63) and max(whole) < 2**63 else None

    return read


def _readers(cls: type[Any], where: str) -> Reader:
    """How to read an object of type ``cls``. Made once for each type: a drained backlog brings rows by the thousand."""
    hints = get_type_hints(cls)
    optional = _OPTIONAL.get(cls, {}).keys()
    of_fields = {field.name: _reader(hints[field.name], f"{where}.{field.name}") for field in fields(cls)}

    def read(found: Json) -> Any:
        if not isinstance(found, dict) or (found.keys() ^ of_fields.keys()) - optional:
            raise BlockError("block", f"the fields of a record ({where}) are not those of its type")
        if len(found) == len(of_fields):
            return cls(*[of_field(found[name]) for name, of_field in of_fields.items()])
        return cls(**{name: of_field(found[name]) for name, of_field in of_fields.items() if name in found})

    return read


def _reader(hint: Any, where: str) -> Reader:
    """How to read one field of the type ``hint``; only the kinds of field that the contract's types have."""
    if hint == Samples:
        return lambda found: found
    if get_origin(hint) is types.UnionType:
        inner = _reader(get_args(hint)[0], where)
        return lambda found: None if found is None else inner(found)
    if get_origin(hint) is tuple:
        items, item = _plain_reader(list, where), _readers(get_args(hint)[0], where)
        return lambda found: tuple(map(item, items(found)))
    if issubclass(hint, StrEnum):
        return _member_reader(hint, where)
    return {int: _whole_reader, float: _number_reader}.get(hint, partial(_plain_reader, hint))(where)


def _plain_reader(kind: type[Any], where: str) -> Reader:
    def read(found: Json) -> Any:
        if type(found) is not kind:
            raise BlockError("block", f"{where} of a record is no {kind.__name__}")
        return found

    return read


def _whole_reader(where: str) -> Reader:
    def read(found: Json) -> int:
        if type(found) is not int:
            raise BlockError("block", f"{where} of a record is no int")
        if not -(2**63) <= found < 2**63:
            raise BlockError("block", f"{where} of a record is beyond 64 bits")
        return found

    return read


def _number_reader(where: str) -> Reader:
    whole, real = _whole_reader(where), _plain_reader(float, where)

    def read(found: Json) -> float:
        if isinstance(found, str) and found in _NON_FINITE:
            return _NON_FINITE[found]
        if type(found) is int:
            return float(whole(found))
        if not math.isfinite(real(found)):
            raise BlockError("block", f"{where} of a record is beyond any float")
        return cast(float, found)

    return read


def _member_reader(enum: type[StrEnum], where: str) -> Reader:
    members = {member.value: member for member in enum}

    def read(found: Json) -> StrEnum:
        member = members.get(found) if isinstance(found, str) else None
        if member is None:
            raise BlockError("block", f"{where} of a record is no {enum.__name__}")
        return member

    return read


_READERS = {name: _readers(cls, name) for name, cls in _TYPES.items()}
_AT_ONCE = {"ledger": _at_once(LedgerRow)}
