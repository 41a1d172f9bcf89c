"""Thinning: of many readings the few that tell what happened.

Of each tag and span (of the wall clock, aligned, so that a span lies within one minute or hour of the rollups) its
minimum, its maximum and its last reading stay; of equal ones the latest. And whatever the span, both edges of each
event stay:

- where the quality changes, and where the clock's trust does: of a run of bad readings the first and the last;
- where a boolean or a text changes, and where a whole number does, as long as that is a state and not a measurement;
- where nothing was read for longer than the span: the last reading before and the first after.

A reading that stays is not touched: its value, its quality and its three times are what they were. To thin again what
was thinned over a span of which the new one is a multiple comes to the same as to thin it at once; only of a whole
number that changes often a few more readings may stay.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.contract.kinds import spell, unspell
from edge.contract.series import Column, Series
from edge.contract.types import Batch, Quality
from edge.journal.counts import HOUR_NS

# A whole number that changes more often than this in a span is a measurement: a counter, a raw register. It is one
# number for all spans, so that what is a state over a longer span was one over each shorter span within.
STATE_CHANGES_MAX = 32

_BAD = int(Quality.BAD_BUS)
_QUALITIES = {int(quality): quality for quality in Quality}
_NAN, _UNTRUSTED = 1 << 8, 1 << 9
_MAGNITUDE = np.int64(2**63 - 1)

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Kind = type | list[Any]
"""A tag's type, or, of texts and of values of various types, the list of all that occur."""


@dataclass(frozen=True, slots=True)
class Thinned:
    """``batches`` of one tag each, by tag and age; ``removed``: good readings that went, by asset, tag and hour."""

    batches: list[Batch]
    removed: dict[tuple[str, str, int], int]


def thin(series: Iterable[Series], span_ns: int) -> Thinned:
    """Thin series of one boot, given in the order in which they were sealed, over spans of ``span_ns``."""
    cells = _gathered(series)
    if cells is None:
        return Thinned([], {})
    keep = _kept(cells, span_ns)
    return Thinned(_batches(cells, keep), _removed(cells, keep))


@dataclass(frozen=True, slots=True)
class _Cells:
    """Every tag's readings by age, all tags end to end, as int64[n] each.

    ``tag`` is an index of ``names`` (asset and tag) and ``kinds``. ``bits`` are whole numbers as they are, doubles by
    their bits, and else an index of the kind's list; where quality is bad they mean nothing.
    """

    names: list[tuple[str, str]]
    kinds: list[Kind]
    tag: Ints
    read: Ints
    mono: Ints
    source: Ints
    quality: Ints
    trusted: Ints
    bits: Ints

    @property
    def valued(self) -> Flags:
        return self.quality < _BAD

    def of(self, kind: type) -> Flags:
        """Which cells are of tags of this type."""
        flags: Flags = np.array([found is kind for found in self.kinds])[self.tag]
        return flags


class _Part(NamedTuple):
    """One tag in one series; ``valued``: whether any of it is not bad."""

    series: Series
    column: int
    valued: bool


def _gathered(series: Iterable[Series]) -> _Cells | None:
    names: dict[tuple[str, str], list[_Part]] = {}
    for one in series:
        best = np.minimum.reduce(one.quality, axis=0).tolist()
        for column, (tag, quality) in enumerate(zip(one.tags, best, strict=True)):
            names.setdefault((one.asset, tag), []).append(_Part(one, column, quality < _BAD))
    if not names:
        return None
    kinds, bits = zip(*map(_column, names.values()), strict=True)
    parts = [(part.series, part.column) for found in names.values() for part in found]
    rows = np.stack([
        np.arange(len(names)).repeat([len(column) for column in bits]),
        np.concatenate([one.read_ns for one, _ in parts]),
        np.concatenate([one.mono_ns for one, _ in parts]),
        np.concatenate([one.source_ns[:, column] for one, column in parts]),
        np.concatenate([one.quality[:, column] for one, column in parts]),
        np.concatenate([one.trusted for one, _ in parts]),
        np.concatenate(bits),
    ])  # fmt: skip
    tag, _, mono, *_ = rows
    if ((np.diff(mono) < 0) & (np.diff(tag) == 0)).any():
        # A tag that is asked beside various others lies in several series of a block.
        rows = rows[:, np.lexsort((mono, tag))]
    return _Cells(list(names), list(kinds), *rows)


def _column(parts: list[_Part]) -> tuple[Kind, Ints]:
    """One tag's type and bits. A block in which all of it is bad has no say in its type."""
    columns: list[Column] = [
        one.columns[column] if valued else np.zeros(len(one.read_ns), np.int64) for one, column, valued in parts
    ]
    found = {_type(column) for column, part in zip(columns, parts, strict=True) if part.valued}
    kind = found.pop() if len(found) == 1 else None if found else int
    if kind is not None:
        numbers = [c.view(np.int64) if _type(c) is float else c for c in columns if not isinstance(c, list)]
        return kind, np.concatenate(numbers).astype(np.int64, copy=False)
    spelled: dict[str, int] = {}
    values = [v for column in columns for v in (column if isinstance(column, list) else column.tolist())]
    indices = [spelled.setdefault(spell(value), len(spelled)) for value in values]
    return [unspell(text) for text in spelled], np.array(indices, np.int64)


def _type(column: Column) -> type | None:
    """None for a list."""
    return None if isinstance(column, list) else {"f": float, "i": int, "b": bool}[column.dtype.kind]


def _kept(cells: _Cells, span_ns: int) -> Flags:
    """Which readings stay. A run is of one tag, quality and trust, without a gap; a piece is what a span has of it."""
    values = _ordered(cells)
    new_tag, gap = _changes(cells.tag), np.diff(cells.mono, prepend=cells.mono[:1]) > span_ns
    run = new_tag | _changes(_states(cells)) | gap
    piece = run | _changes(cells.read // span_ns)
    starts = piece.nonzero()[0]
    number = piece.cumsum() - 1
    keep: Flags = run | _before(run)
    for extreme in (np.minimum, np.maximum):
        found = (values == extreme.reduceat(values, starts)[number]).nonzero()[0]
        latest = np.zeros(len(starts), np.int64)
        latest[number[found]] = found
        keep[latest] |= cells.valued[latest]
    keep |= _before(piece) & cells.valued
    change = ~run & _changes(values)
    few = np.bincount(number, change)[number] <= STATE_CHANGES_MAX
    event = change & ~cells.of(float) & (few | ~cells.of(int))
    keep |= event | _before(event)
    return keep


def _changes(column: Ints) -> Flags:
    """Where a cell differs from the one before; the first one does."""
    flags = np.ones(len(column), np.bool_)
    np.not_equal(column[1:], column[:-1], out=flags[1:])
    return flags


def _before(starts: Flags) -> Flags:
    """The cells before ``starts``, and the last."""
    return np.append(starts[1:], True)


def _ordered(cells: _Cells) -> Ints:
    """Whole numbers in the order of the values, 0 where there is none."""
    # The bits of a negative double fall as it rises.
    falling = np.where(cells.of(float), (cells.bits >> 63) & _MAGNITUDE, 0)
    ordered: Ints = np.where(cells.valued, cells.bits ^ falling, 0)
    return ordered


def _states(cells: _Cells) -> Ints:
    """Quality, trust, and whether a double is a number at all, as one."""
    doubles = np.where(cells.of(float) & cells.valued, cells.bits, 0).view(np.float64)
    states: Ints = cells.quality + np.isnan(doubles) * _NAN + (1 - cells.trusted) * _UNTRUSTED
    return states


def _batches(cells: _Cells, keep: Flags) -> list[Batch]:
    found = keep.nonzero()[0]
    columns = (cells.tag, cells.quality, cells.source, cells.read, cells.mono, cells.trusted)
    rows = zip(_values(cells, found), *(column[found].tolist() for column in columns), strict=True)
    return [
        Batch(
            cells.names[tag][0], (cells.names[tag][1],), (value if quality < _BAD else None,), (_QUALITIES[quality],),
            (source,), read, mono, trusted != 0,
        )
        for value, tag, quality, source, read, mono, trusted in rows
    ]  # fmt: skip


def _values(cells: _Cells, found: Ints) -> list[Any]:
    """Values as Python has them; anything where quality is bad."""
    bits = cells.bits[found]
    edges = cells.tag[found].searchsorted(np.arange(len(cells.names) + 1)).tolist()
    values: list[Any] = []
    for kind, (start, end) in zip(cells.kinds, itertools.pairwise(edges), strict=True):
        part = bits[start:end]
        if isinstance(kind, list):
            values += [kind[index] for index in part.tolist()]
        else:
            values += (part.view(np.float64) if kind is float else part.astype(kind)).tolist()
    return values


def _removed(cells: _Cells, keep: Flags) -> dict[tuple[str, str, int], int]:
    gone = (~keep & cells.valued).nonzero()[0]
    hours, hour = np.unique(cells.read[gone] // HOUR_NS, return_inverse=True)
    slots, counts = np.unique(cells.tag[gone] * len(hours) + hour, return_counts=True)
    return {
        (*cells.names[slot // len(hours)], int(hours[slot % len(hours)]) * HOUR_NS): count
        for slot, count in zip(slots.tolist(), counts.tolist(), strict=True)
    }
