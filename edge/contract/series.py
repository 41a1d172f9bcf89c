"""Batches as columns of whole numbers, and back: what lies between a poll's values and a block's bytes.

A series is every batch of one asset with one tuple of tags, in the order in which they came. Where a quality is bad
there is no value, so nothing is stored for it but the quality itself.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

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
    """A series in the directory. ``spread``: each tag has source times of its own; ``flawed``: not all good."""

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
    scales: Sequence[k.Scale]
    quality: bytes
    kinds: Ints
    lengths: Ints
    cells: Ints
    control: int
    """How many columns are not values."""

    @property
    def good(self) -> int:
        """How many readings have a value."""
        return int(self.lengths[self.control :].sum())

    @property
    def rows(self) -> Ints:
        """How many polls each series has."""
        return self.lengths[: len(self.shapes)]


def layout(shapes: Sequence[Shape], quality: bytes) -> tuple[Ints, Ints]:
    """How long each column is, and the kinds of those that are not values but times and flags; they come first."""
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
    kinds = np.full(len(control), k.INT)
    kinds[2 * len(shapes) : 3 * len(shapes)] = k.BOOL
    return np.concatenate([control, *values]).astype(np.int64), kinds


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
    kinds, cells = values.encode(lengths[len(control) :])
    return Table(
        shapes=shapes,
        texts=list(values.texts),
        scales=k.STANDARD,
        quality=b"".join(quality),
        kinds=np.concatenate([control, kinds]),
        lengths=lengths,
        cells=np.concatenate([read, mono - read, trusted, *sources, cells]),
        control=len(control),
    )


def _source_cells(group: Sequence[Batch], spread: bool) -> Ints:
    """Source times against the read time, or, where each tag has its own, against the tag before."""
    read = np.array([b.read_ns for b in group], np.int64)
    if not spread:
        return np.array([b.source_ns[0] if b.source_ns else b.read_ns for b in group], np.int64) - read
    table = np.array([b.source_ns for b in group], np.int64).T
    return np.diff(table, axis=0, prepend=read[np.newaxis]).ravel()


class _Values:
    """Value columns while they are gathered, so that each Python type is turned into an array once."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}
        self._columns: list[Sequence[Value]] = []
        self._types: list[type] = []

    def add(self, group: Sequence[Batch], flawed: bool) -> None:
        rows = [batch.values for batch in group]
        columns: list[Sequence[Value]] = list(zip(*rows, strict=True))
        patterns = {tuple(map(type, row)) for row in rows}
        if flawed:
            assert all((v is None) == (q >= _BAD) for b in group for v, q in zip(b.values, b.quality, strict=True))
            columns = [[value for value in column if value is not None] for column in columns]
        self._types += [_type_of(c) for c in columns] if flawed or len(patterns) > 1 else patterns.pop()
        self._columns += columns

    def encode(self, lengths: Ints) -> tuple[Ints, Ints]:
        """Kinds and cells of all columns that were added, whose lengths are ``lengths``."""
        kinds = np.full(len(lengths), k.NONE)
        cells = np.zeros(int(lengths.sum()), np.int64)
        starts = lengths.cumsum() - lengths
        for kind, inside in self._by_type():
            where = spans(starts[inside], lengths[inside])
            flat = itertools.chain.from_iterable(map(self._columns.__getitem__, inside.tolist()))
            if kind is float:
                numbers = np.fromiter(flat, np.float64, len(where))
                kinds[inside], cells[where] = k.floats_to_ints(numbers, lengths[inside])
            elif kind is int:
                kinds[inside], cells[where] = k.INT, np.fromiter(flat, np.int64, len(where))
            elif kind is bool:
                kinds[inside], cells[where] = k.BOOL, np.fromiter(flat, np.int64, len(where))
            elif kind is str:
                kinds[inside], cells[where] = k.TEXT, self._indices(flat, len(where))
            elif kind is object:
                kinds[inside], cells[where] = k.MIXED, self._indices(map(k.spell, flat), len(where))
            else:
                assert kind is type(None), f"a value of type {kind.__name__}"
                assert not len(where), "a value of None with a quality that is not bad"
        return kinds, cells

    def _by_type(self) -> Iterator[tuple[type, Ints]]:
        """Each type with its columns; whole numbers beyond 64 bits make a column a mixed one."""
        codes = {kind: code for code, kind in enumerate(dict.fromkeys([object, *self._types]))}
        found = np.fromiter(map(codes.__getitem__, self._types), np.int64, len(self._types))
        if int in codes:
            for index in self._beyond((found == codes[int]).nonzero()[0].tolist()):
                found[index] = codes[object]
        for kind, code in codes.items():
            inside = (found == code).nonzero()[0]
            if len(inside):
                yield kind, inside

    def _beyond(self, columns: list[int]) -> list[int]:
        """Which of these columns of whole numbers hold one beyond 64 bits."""
        held: list[Sequence[Any]] = [self._columns[index] for index in columns]
        with contextlib.suppress(OverflowError):
            np.fromiter(itertools.chain.from_iterable(held), np.int64)
            return []
        return [
            i for i, column in zip(columns, held, strict=True) if max(column) > k.INT_MAX or min(column) < k.INT_MIN
        ]

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
    cells, reader = table.cells, _Reader(table)
    total = int(table.rows.sum())
    sources_at, row, at, found = 3 * total, 0, 0, []
    for shape in table.shapes:
        rows, width = shape.rows, len(shape.tags)
        read, mono, trusted = (cells[part * total + row :][:rows] for part in range(3))
        row += rows
        source_ns = cells[sources_at:][: rows * shape.sources].reshape(shape.sources, rows)
        sources_at += rows * shape.sources
        source_ns = (source_ns.cumsum(axis=0) if shape.spread else source_ns) + read
        if not shape.spread:
            source_ns = source_ns.repeat(width, axis=0)
        if shape.flawed:
            quality = np.frombuffer(table.quality, np.uint8, rows * width, at).reshape(width, rows)
            at += rows * width
            columns = reader.spaced(quality < _BAD)
        else:
            quality = np.zeros((width, rows), np.uint8)
            columns = reader.full(width, rows)
        found.append(Series(shape.asset, shape.tags, read, mono + read, trusted != 0, source_ns.T, quality.T, columns))
    return tuple(found)


class _Reader:
    """Value columns, read once from the first to the last."""

    def __init__(self, table: Table) -> None:
        self._texts = table.texts
        self._kinds: list[int] = table.kinds[table.control :].tolist()
        self._at = self._column = 0
        cells = table.cells[len(table.cells) - table.good :]
        floats = k.ints_to_floats(
            table.kinds[table.control :].repeat(table.lengths[table.control :]), cells, table.scales
        )
        whole = {k.BOOL: cells != 0, k.INT: cells, k.TEXT: cells, k.MIXED: cells}
        self._arrays: dict[int, Flags | Ints | k.Floats] = dict.fromkeys(set(self._kinds), floats) | whole

    def full(self, width: int, rows: int) -> tuple[Column, ...]:
        """The columns of a series that has a value everywhere."""
        kinds, at, end = self._next(width), self._at, self._at + width * rows
        self._at = end
        tables = {kind: self._arrays[kind][at:end].reshape(width, rows) for kind in set(kinds)}
        columns = [tables[kind][index] for index, kind in enumerate(kinds)]
        if k.TEXT in tables or k.MIXED in tables:
            return tuple(self._meant(cells, kind) for cells, kind in zip(columns, kinds, strict=True))
        return tuple(columns)

    def spaced(self, present: Flags) -> tuple[Column, ...]:
        """The columns of a series that has values only where ``present``, bool[width, rows]."""
        columns = []
        for kind, here, count in zip(self._next(len(present)), present, present.sum(axis=1).tolist(), strict=True):
            values = self._meant(self._arrays[kind][self._at : self._at + count], kind)
            self._at += count
            columns.append(_spaced(values, here))
        return tuple(columns)

    def _next(self, width: int) -> list[int]:
        self._column += width
        return self._kinds[self._column - width : self._column]

    def _meant(self, cells: NDArray[Any], kind: int) -> Column:
        if kind != k.TEXT and kind != k.MIXED:
            return cells
        indices = cells.tolist()
        if indices and not 0 <= min(indices) <= max(indices) < len(self._texts):
            raise BlockError("block", "a text is not in the block's list")
        found = [self._texts[index] for index in indices]
        return found if kind == k.TEXT else [k.unspell(text) for text in found]


def _spaced(values: Column, present: Flags) -> Column:
    """A column with something in the rows that have no value, too."""
    if isinstance(values, list):
        found = iter(values)
        return [next(found) if here else "" for here in present.tolist()]
    full: Any = np.full(len(present), np.nan if values.dtype.kind == "f" else 0, values.dtype)
    full[present] = values
    return cast(Column, full)
