"""What a sound block may still say that cannot be.

A block's format allows any name and any number. What is kept here is shown to people, put into addresses and added up,
so a name that no address can hold, or a count that no machine reaches, is refused with its block. No gateway sends
such a thing: its site file is held to narrower limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter

from edge.contract.block import Block
from edge.contract.commands import Outcome
from edge.contract.types import (
    CHECKPOINT_CHARS_MAX,
    Alarm,
    Asset,
    BundleChange,
    Checkpoint,
    ClockSet,
    Dropped,
    LedgerRow,
    Record,
    Verdict,
    Waveform,
)
from edge.errors import BlockError

NAME_CHARS_MAX = 128
TEXT_CHARS_MAX = 4096
COUNT_MAX = 2**40
"""Of readings, of one tag: more than a thousand a second for thirty years."""
PERIOD_MS_MAX = 7 * 86_400_000
DECIMALS_MAX = 9
SAID_MAX = 256
"""Reasons, sensors or points of a survival curve in one verdict."""
TIME_NS_MAX = 2**62
"""Of a clock and its correction, whose sum is a time: that is the year 2116."""
_BOOT = re.compile(r"^[0-9a-f]{32}$")

NAMES_KNOWN_MAX = 2**14
"""Names that were found sound, remembered: a gateway sends the same ones for years."""
_COUNTS = tuple(field.name for field in fields(LedgerRow) if field.type == "int" and field.name != "hour_ns")
_counts_of = attrgetter(*_COUNTS)


def check(block: Block) -> None:
    """Raises ``BlockError`` naming what cannot be."""
    for series in block.series:
        _check_asset(series.asset)
        for tag in series.tags:
            _check_name("tag", tag)
    for record in block.records:
        if not isinstance(record, ClockSet):
            _check_asset(record.asset)
        if not isinstance(record, LedgerRow):  # it has names only
            _check_texts(record)
        _check_record(record)


def _check_texts(record: Record) -> None:
    most = CHECKPOINT_CHARS_MAX if isinstance(record, Checkpoint) else TEXT_CHARS_MAX
    for name, text in _texts(record):
        if len(text) > most:
            raise BlockError("block", f"a {name} of {len(text)} characters; the limit is {most}")
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise BlockError("block", f"a {name} with half of a character, which no page can show")


@lru_cache(NAMES_KNOWN_MAX)
def _check_asset(asset: str) -> None:
    _check_name("asset", asset)
    if "/" in asset or asset in (".", ".."):
        raise BlockError("block", f"an asset called {asset!r}, which no address can hold")


@lru_cache(NAMES_KNOWN_MAX)
def _check_name(what: str, name: str) -> None:
    if not (0 < len(name) <= NAME_CHARS_MAX and name.isprintable()):
        problem = f"a name of {what} that is empty, longer than {NAME_CHARS_MAX} or not printable"
        raise BlockError("block", f"{problem}: {name[:40]!r}")


def _check_record(record: Record) -> None:
    match record:
        case Asset():
            for tag in record.tags:
                _check_name("tag", tag.tag)
                _check_number("decimals", tag.decimals, 0, DECIMALS_MAX)
                _check_number("period in ms", tag.period_ms, 0, PERIOD_MS_MAX)
                _check_number("heartbeat in ms", tag.heartbeat_ms, 0, PERIOD_MS_MAX)
            _check_number("period in ms", record.period_ms, 1, PERIOD_MS_MAX)
        case Alarm():
            _check_name("rule", record.rule)
            _check_number("repeats", record.repeats, 0, COUNT_MAX)
        case Outcome():
            if record.tag:  # A configuration is of no tag.
                _check_name("tag", record.tag)
            _check_number("order", record.order, 0, TIME_NS_MAX)
            _check_number("number", record.number, 0, TIME_NS_MAX)
        case Dropped():
            _check_name("tag", record.tag)
            _check_number("count", record.count, 0, COUNT_MAX)
        case LedgerRow():
            _check_name("tag", record.tag)
            counts = _counts_of(record)
            if min(counts) < 0 or max(counts) > COUNT_MAX:
                for name, count in zip(_COUNTS, counts, strict=True):
                    _check_number(name, count, 0, COUNT_MAX)
        case Waveform():
            _check_name("tag", record.tag)
        case ClockSet():
            if not _BOOT.match(record.boot):
                raise BlockError("block", f"a boot {record.boot[:40]!r}, which is no 32 hex digits")
            for name in ("mono_ns", "offset_ns"):
                _check_number(name, getattr(record, name), -TIME_NS_MAX, TIME_NS_MAX)
        case Verdict():
            for name in ("reasons", "sensors", "survival"):
                _check_number(f"number of {name}", len(getattr(record, name)), 0, SAID_MAX)
            for sensor in record.sensors:
                _check_name("tag", sensor.tag)
            _check_number("number", record.number, 0, TIME_NS_MAX)
        case BundleChange():
            _check_number("number", record.number, 0, TIME_NS_MAX)
            _check_number("verdicts", record.verdicts, 0, TIME_NS_MAX)


def _check_number(what: str, found: int, least: int, most: int) -> None:
    if not least <= found <= most:
        raise BlockError("block", f"{what} {found} of a record; it can be {least} to {most}")


def _texts(record: object) -> Iterator[tuple[str, str]]:
    """Every text of a record, with its field's name, through all that it holds."""
    for field in fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if isinstance(value, str):
            yield field.name, value
        elif isinstance(value, tuple):
            items: Iterable[object] = value
            for item in items:
                yield from _texts(item)
