"""Batches as columns of whole numbers, and back: what lies between a poll's values and a block's bytes.

A series is every batch of one asset with one tuple of tags, in the order in which they came. Where a quality is bad
there is no value, so nothing is stored for it but the quality itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract import kinds as k
from edge.contract.columns import Bytes, Flags, Ints, spans
from edge.contract.types import Batch, Quality, Value
from edge.errors import BlockError

Column = NDArray[np.float64] | NDArray[np.int64] | NDArray[np.bool_] | list[str] | list[Value]
"""One tag's values. A list is text, or, rarely, a mix of types; an array has NaN, 0 or False where quality is bad."""

_BAD = int(Quality.BAD_BUS)
_QUALITIES = np.array(sorted(Quality), np.uint8)


@dataclass(frozen=True, slots=True)
class Series:
    """``n`` polls of one asset's ``m`` tags, as arrays; where ``quality`` is bad a column's value means nothing.

    ``read_ns``, ``mono_ns`` int64[n]; ``trusted`` bool[n]; ``source_ns`` int64[n, m]; ``quality`` uint8[n, m];
    ``columns``: one a tag, each of length n.
    """

    asset: str
    tags: tuple[str, ...]
    read_ns: Ints
    mono_ns: Ints
    trusted: Flags
    source_ns: Ints
    quality: Bytes
    columns: tuple[Column, ...]

    def batches(self) -> Iterator[Batch]:
        """The polls as they were taken, in order; None where quality is bad."""
        lists = [c if isinstance(c, list) else c.tolist() for c in self.columns]
        rows: Iterator[tuple[Any, ...]] = zip(*lists, strict=True) if lists else itertools.repeat(())
        times = zip(self.read_ns.tolist(), self.mono_ns.tolist(), self.trusted.tolist(), strict=True)
        notes = zip(self.source_ns.tolist(), self.quality.tolist(), strict=True)
        known = {int(quality): quality for quality in Quality}
        for row, (read_ns, mono_ns, trusted), (source_ns, codes) in zip(rows, times, notes, strict=False):
            values = tuple(None if code >= _BAD else value for value, code in zip(row, codes, strict=True))
            quality = tuple(known[code] for code in codes)
            yield Batch(self.asset, self.tags, values, quality, tuple(source_ns), read_ns, mono_ns, trusted)


@dataclass(frozen=True, slots=True)
class Shape:
    """What the directory says of a series. ``spread``: each tag has source times of its own; ``flawed``: not all good."""

    asset: str
    tags: tuple[str, ...]
    rows: int
    spread: bool
    flawed: bool

    @property
    def sources(self) -> int:
        return len(self.tags) if self.spread else 1


@dataclass(frozen=True, slots=True)
class Table:
    """All series of a block as columns end to end, with what their kinds refer to.

    Columns, in this order: ``read_ns`` of every series, ``mono_ns - read_ns`` of every series, ``trusted`` of every
    series, source times of every series, values of every series. ``lengths`` and ``kinds`` have one entry a column,
    ``cells`` is int64[sum(lengths)], ``quality`` the quality bytes of flawed series, tag after tag.
    """

    shapes: list[Shape]
    texts: list[str]
    scales: list[k.Scale]
    quality: bytes
    kinds: Ints
    lengths: Ints
    cells: Ints
    good: int


def layout(shapes: Sequence[Shape], quality: bytes) -> tuple[Ints, int]:
    """How long each column is, and how many of the columns are not values but times and flags."""
    rows = [shape.rows for shape in shapes]
    sources = [shape.rows for shape in shapes for _ in range(shape.sources)]
    values: list[Ints] = []
    at = 0
    for shape in shapes:
        width = len(shape.tags)
        if shape.flawed:
            codes = np.frombuffer(quality, np.uint8, shape.rows * width, at).reshape(width, shape.rows)
            values.append((codes < _BAD).sum(axis=1))
            at += codes.size
        else:
            values.append(np.full(width, shape.rows))
    control = np.array(rows * 3 + sources, np.int64)
    return np.concatenate([control, *values]).astype(np.int64), len(control)


def tabulate(batches: Sequence[Batch]) -> Table:
    """Batches as a table. A value of None, or of no known type, where the quality is not bad is an AssertionError."""
    groups: dict[tuple[str, tuple[str, ...]], list[Batch]] = {}
    for batch in batches:
        groups.setdefault((batch.asset, batch.tags), []).append(batch)
    shapes: list[Shape] = []
    sources: list[Ints] = []
    quality: list[bytes] = []
    values = _Values()
    for (asset, tags), group in groups.items():
        spread = any(b.source_ns.count(b.source_ns[0]) != len(tags) for b in group if tags)
        flawed = any(b.quality.count(Quality.GOOD) != len(tags) for b in group)
        shapes.append(Shape(asset, tags, len(group), spread, flawed))
        sources.append(_source_cells(group, spread))
        if flawed:
            quality.append(b"".join(map(bytes, zip(*(b.quality for b in group), strict=True))))
        values.add(group, flawed)
    ordered = [batch for group in groups.values() for batch in group]
    read = np.array([b.read_ns for b in ordered], np.int64)
    mono = np.array([b.mono_ns for b in ordered], np.int64)
    trusted = np.array([b.trusted for b in ordered], np.int64)
    lengths, control = layout(shapes, b"".join(quality))
    kinds, cells = values.encode(lengths[control:])
    flags = np.full(control, k.INT)
    flags[2 * len(shapes) : 3 * len(shapes)] = k.BOOL
    return Table(
        shapes=shapes,
        texts=list(values.texts),
        scales=values.scales.entries(),
        quality=b"".join(quality),
        kinds=np.concatenate([flags, kinds]),
        lengths=lengths,
        cells=np.concatenate([read, mono - read, trusted, *sources, cells]),
        good=len(cells),
    )


def _source_cells(group: Sequence[Batch], spread: bool) -> Ints:
    """Source times against the read time, or, where each tag has its own, against the tag before."""
    read = np.array([b.read_ns for b in group], np.int64)
    if not spread:
        return np.array([b.source_ns[0] if b.source_ns else b.read_ns for b in group], np.int64) - read
    table = np.array([b.source_ns for b in group], np.int64).T
    return np.diff(table, axis=0, prepend=read[np.newaxis]).ravel()


class _Values:
    """Value columns while they are gathered by Python type, so that each type is turned into arrays once."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}
        self.scales = k.Scales()
        self._columns: list[Sequence[Value]] = []
        self._types: dict[type, list[int]] = {}

    def add(self, group: Sequence[Batch], flawed: bool) -> None:
        rows = [batch.values for batch in group]
        columns: list[Sequence[Value]] = list(zip(*rows, strict=True))
        if flawed:
            assert all((v is None) == (q >= _BAD) for b in group for v, q in zip(b.values, b.quality, strict=True))
            columns = [[value for value in column if value is not None] for column in columns]
        patterns = {tuple(map(type, row)) for row in rows}
        types = [_type_of(c) for c in columns] if flawed or len(patterns) > 1 else patterns.pop()
        for index, kind in enumerate(types, start=len(self._columns)):
            self._types.setdefault(kind, []).append(index)
        self._columns += columns

    def encode(self, lengths: Ints) -> tuple[Ints, Ints]:
        """Kinds and cells of all columns that were added."""
        kinds = np.full(len(lengths), k.NONE)
        cells = np.zeros(int(lengths.sum()), np.int64)
        starts = np.cumsum(lengths) - lengths
        mixed = self._types.pop(object, [])
        for kind, members in self._types.items():
            inside = np.array(members)
            where = spans(starts[inside], lengths[inside])
            flat = itertools.chain.from_iterable(self._columns[index] for index in members)
            if kind is float:
                numbers = np.fromiter(flat, np.float64, len(where))
                kinds[inside], cells[where] = k.floats_to_ints(numbers, lengths[inside], self.scales)
            elif kind is int:
                mixed += self._ints(members, starts, lengths, kinds, cells)
            elif kind is bool:
                kinds[inside], cells[where] = k.BOOL, np.fromiter(flat, np.int64, len(where))
            elif kind is str:
                kinds[inside], cells[where] = k.TEXT, self._indices(flat, len(where))
            else:
                assert kind is type(None), f"a value of type {kind.__name__}"
                assert not len(where), "a value of None with a quality that is not bad"
        for index in mixed:
            spelled = map(k.spell, self._columns[index])
            start = starts[index]
            kinds[index] = k.MIXED
            cells[start : start + lengths[index]] = self._indices(spelled, int(lengths[index]))
        return kinds, cells

    def _ints(self, members: list[int], starts: Ints, lengths: Ints, kinds: Ints, cells: Ints) -> list[int]:
        """Write columns of whole numbers; gives back those with numbers beyond 64 bits."""
        fit, beyond = members, list[int]()
        try:
            flat = np.array([value for index in fit for value in self._columns[index]], np.int64)
        except OverflowError:
            fit = [i for i in members if all(-(2**63) <= value < 2**63 for value in self._columns[i])]  # type: ignore[operator]
            beyond = sorted(set(members) - set(fit))
            flat = np.array([value for index in fit for value in self._columns[index]], np.int64)
        inside = np.array(fit, np.int64)
        kinds[inside], cells[spans(starts[inside], lengths[inside])] = k.INT, flat
        return beyond

    def _indices(self, texts: Iterator[Any], count: int) -> Ints:
        known = self.texts
        return np.fromiter((known.setdefault(text, len(known)) for text in texts), np.int64, count)


def _type_of(column: Sequence[Value]) -> type:
    found = set(map(type, column))
    if len(found) > 1:
        return object
    return found.pop() if found else type(None)


def untabulate(table: Table) -> tuple[Series, ...]:
    """The series of a table whose sizes have been checked. Raises BlockError where a cell is beyond its kind."""
    starts = (np.cumsum(table.lengths) - table.lengths).tolist()
    count, cells = len(table.shapes), table.cells
    floats = _floats(table)
    column, value_column = 3 * count, 3 * count + sum(shape.sources for shape in table.shapes)
    at, series = 0, []
    for index, shape in enumerate(table.shapes):
        rows, width = shape.rows, len(shape.tags)
        read, mono, trusted = (cells[starts[index + count * part] :][:rows] for part in range(3))
        source = cells[starts[column] :][: rows * shape.sources].reshape(shape.sources, rows)
        column += shape.sources
        quality = np.zeros((width, rows), np.uint8)
        if shape.flawed:
            quality = np.frombuffer(table.quality, np.uint8, rows * width, at).reshape(width, rows)
            at += rows * width
        columns = tuple(
            _column(table, floats, c, starts[c], quality[c - value_column] < _BAD if shape.flawed else None, rows)
            for c in range(value_column, value_column + width)
        )
        value_column += width
        source_ns = np.broadcast_to((np.cumsum(source, axis=0) + read).T, (rows, width))
        series.append(Series(shape.asset, shape.tags, read, mono + read, trusted != 0, source_ns, quality.T, columns))
    return tuple(series)


def _floats(table: Table) -> NDArray[np.float64]:
    """Doubles at the place of every cell of a float kind; anything elsewhere."""
    floats = np.zeros(len(table.cells))
    starts = np.cumsum(table.lengths) - table.lengths
    for kind in np.unique(table.kinds).tolist():
        if kind in (k.FLOAT64, k.FLOAT32) or kind >= k.SCALED:
            inside = table.kinds == kind
            where = spans(starts[inside], table.lengths[inside])
            floats[where] = k.ints_to_floats(kind, table.cells[where], table.scales)
    return floats


def _column(
    table: Table, floats: NDArray[np.float64], column: int, start: int, present: Flags | None, rows: int
) -> Column:
    kind = int(table.kinds[column])
    cells = table.cells[start : start + int(table.lengths[column])]
    if kind in (k.TEXT, k.MIXED):
        return _texts(table.texts, kind, cells, present, rows)
    empty: float | int | bool
    if kind == k.BOOL:
        array, empty = cells != 0, False
    elif kind == k.INT:
        array, empty = cells, 0
    else:
        array, empty = floats[start : start + len(cells)], np.nan
    if present is None:
        return array
    full = np.full(rows, empty, array.dtype)
    full[present] = array
    return full


def _texts(texts: list[str], kind: int, cells: Ints, present: Flags | None, rows: int) -> Column:
    if len(cells) and not (0 <= cells.min() and cells.max() < len(texts)):
        raise BlockError("block", "a text is not in the block's list")
    found = iter([texts[index] if kind == k.TEXT else k.unspell(texts[index]) for index in cells.tolist()])
    if present is None:
        return list(found)
    return [next(found) if here else "" for here in present.tolist()]
