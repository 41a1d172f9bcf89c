"""A historian's export as tracks: one asset's signals over time, in order, each stamp once.

Wide (a column a signal) or long (time, tag, value); separators comma, semicolon, tab or bar; decimal commas; gzip; with
or without a column that names the asset. What is wrong in it is put right where that is safe (order, repeated stamps),
left out where it is not (texts, numbers that are none), and said in ``notes``, with counts, either way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloud.backtest.stamps import NONE, is_time, read_times
from cloud.backtest.table import has_decimal_comma, number_of, table_of
from edge.errors import ConfigError

Array = NDArray[np.float64]

GAP_PERIODS = 10.0
"""A silence of so many median periods is a gap."""
_TAG = {"tag", "tagname", "tag_name", "point", "signal", "name", "variable", "item", "measurement", "sensor"}
_VALUE = {"value", "val", "reading", "data"}
_ASSET = {"asset", "machine", "equipment", "unit_id", "machine_id", "asset_id", "device"}
_LABELS = {"failure", "fault", "anomaly", "breakdown", "label", "failed", "is_failure", "changepoint", "target"}
_TIME = re.compile(r"time|date|stamp|^ts$|^t$|zeit|^$", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """How to read an export where it must not be guessed: names of columns, the format and zone of times."""

    time: str = ""
    asset: str = ""
    failure: str = ""
    form: str = ""
    zone: str = ""
    day_first: bool | None = None


@dataclass(frozen=True)
class Track:
    """One asset: ``at_ns`` [n], ascending, and by column [n], NaN where there is no number.

    ``failing`` [n] is what the column of failures says, None where there is none. In a ``partial`` track a row holds
    only the tags that were read then: no number means not asked, not bad.
    """

    asset: str
    at_ns: NDArray[np.int64]
    columns: Mapping[str, Array]
    failing: NDArray[np.bool_] | None
    partial: bool

    @property
    def period_ns(self) -> int:
        """The median distance of rows."""
        return max(int(np.median(np.diff(self.at_ns))), 1) if len(self.at_ns) > 1 else 10**9

    def gaps(self) -> list[tuple[int, int]]:
        """From when to when nothing was read."""
        apart = np.diff(self.at_ns)
        at = np.flatnonzero(apart > GAP_PERIODS * self.period_ns)
        return [(int(self.at_ns[i]), int(self.at_ns[i + 1])) for i in at]


@dataclass(frozen=True)
class Export:
    """``labels``: columns that look like failures and were not named; they are no signals either."""

    tracks: tuple[Track, ...]
    notes: tuple[str, ...]
    labels: tuple[str, ...]


def read_export(path: Path, reading: Reading | None = None) -> Export:
    """Raises ``ConfigError`` for a file that holds no history, with what to do about it."""
    reading = reading or Reading()
    where, (header, rows) = str(path), table_of(path)
    time = _time_column(where, header, rows, reading.time)
    long = _long(header, time)
    asset = _asset_column(where, header, reading.asset)
    at_ns, notes = read_times(
        [row[time] for row in rows], where, form=reading.form, zone=reading.zone, day_first=reading.day_first
    )
    timed = at_ns != NONE
    if not timed.all():
        first = rows[int(np.argmin(timed))][time]
        notes.append(f"rows without a time that can be read: {int((~timed).sum())} (first {first!r}), left out")
    names = [row[asset].strip() or "?" for row in rows] if asset is not None else [_stem(path)] * len(rows)
    decimal_comma = has_decimal_comma(rows, time)
    failure = _failure_column(where, header, reading.failure)
    if long is not None:
        tracks = _long_tracks(rows, long, at_ns, timed, names, notes, decimal_comma=decimal_comma)
        return _checked(where, tracks, notes, ())
    labels = tuple(
        name for i, name in enumerate(header) if i != failure and i != time and _plain(name) in _LABELS
    )  # fmt: skip
    signals = [i for i, name in enumerate(header) if i not in (time, asset, failure) and name not in labels]
    columns = _numbers(header, rows, signals, notes, decimal_comma=decimal_comma)
    failing = None if failure is None else _flags(where, header[failure], [row[failure] for row in rows])
    tracks = []
    of = np.array(names)
    for name in dict.fromkeys(names):
        chosen = np.flatnonzero((of == name) & timed)
        mine = {column: numbers[chosen] for column, numbers in columns.items() if np.isfinite(numbers[chosen]).any()}
        said = None if failing is None else failing[chosen]
        tracks.append(_in_order(Track(name, at_ns[chosen], mine, said, partial=False), notes))
    return _checked(where, tracks, notes, labels)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0] or path.name


def _named(where: str, header: Sequence[str], name: str) -> int:
    for i, found in enumerate(header):
        if found == name:
            return i
    raise ConfigError(where, f"has no column {name!r}", f"columns: {', '.join(map(repr, header[:12]))}")


def _time_column(where: str, header: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> int:
    if name:
        return _named(where, header, name)
    sample = rows[:20]
    likely = [i for i in range(len(header)) if sum(is_time(row[i]) for row in sample) * 2 > len(sample)]
    named = [i for i in likely if _TIME.search(header[i])]
    if not likely:
        raise ConfigError(where, "has no column of times that can be read", "name it with --time and --time-format")
    return (named or likely)[0]


def _long(header: Sequence[str], time: int) -> tuple[int, int] | None:
    """The columns of tags and of values, where a row is one reading."""
    plain = [_plain(name) for name in header]
    tags = [i for i, name in enumerate(plain) if name in _TAG and i != time]
    values = [i for i, name in enumerate(plain) if name in _VALUE and i != time]
    return (tags[0], values[0]) if tags and values else None


def _asset_column(where: str, header: Sequence[str], name: str) -> int | None:
    if name:
        return _named(where, header, name)
    return next((i for i, found in enumerate(header) if _plain(found) in _ASSET), None)


def _failure_column(where: str, header: Sequence[str], name: str) -> int | None:
    return _named(where, header, name) if name else None


def _numbers(
    header: Sequence[str], rows: Sequence[Sequence[str]], signals: Sequence[int], notes: list[str], *,
    decimal_comma: bool,
) -> dict[str, Array]:  # fmt: skip
    """Columns of numbers; those that are mostly text are no signals."""
    found = {}
    for i in signals:
        cells = [number_of(row[i], decimal_comma=decimal_comma) for row in rows]
        numbers = np.array([np.nan if cell is None else cell for cell in cells])
        none = int(np.isnan(numbers).sum())
        written = sum(bool(row[i].strip()) for row in rows)
        if written == 0:
            notes.append(f"column {header[i]!r} is empty: left out")
            continue
        if none - (len(rows) - written) > written / 2:
            notes.append(f"column {header[i]!r} is text: left out")
            continue
        if none:
            notes.append(f"column {header[i]!r}, cells without a number: {none}, taken as bad readings")
        found[header[i] or f"column {i + 1}"] = numbers
    return found


def _flags(where: str, name: str, cells: Sequence[str]) -> NDArray[np.bool_]:
    numbers = [number_of(cell) for cell in cells]
    if not any(number is not None for number in numbers):
        raise ConfigError(
            where, f"column {name!r} says neither 0 nor 1", "name a column of failures, or --failures FILE"
        )
    return np.array([bool(number) for number in numbers])


def _long_tracks(
    rows: Sequence[Sequence[str]], long: tuple[int, int], at_ns: NDArray[np.int64], timed: NDArray[np.bool_],
    names: Sequence[str], notes: list[str], *, decimal_comma: bool,
) -> list[Track]:  # fmt: skip
    tag, value = long
    cells = [number_of(row[value], decimal_comma=decimal_comma) for row in rows]
    none = sum(cell is None for cell in cells)
    if none:
        notes.append(f"values that are no numbers: {none}, taken as not read")
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for row, name, at, is_timed, cell in zip(rows, names, at_ns.tolist(), timed.tolist(), cells, strict=True):
        if is_timed:
            series = found.setdefault(name, {}).setdefault(row[tag].strip() or "?", [])
            if cell is not None:
                series.append((at, cell))
    tracks, twice = [], 0
    for name, series_of in found.items():
        stamps = np.unique(np.array([at for series in series_of.values() for at, _ in series], np.int64))
        columns = {}
        for column, series in series_of.items():
            numbers = np.full(len(stamps), np.nan)
            if series:
                at, cells_of = zip(*series, strict=True)
                numbers[np.searchsorted(stamps, np.array(at, np.int64))] = cells_of
            twice += len(series) - int(np.isfinite(numbers).sum())
            if series:
                columns[column] = numbers
        tracks.append(Track(name, stamps, columns, None, partial=True))
    if twice:
        notes.append(f"values with the tag and time of another: {twice}, the last one counts")
    return tracks


def _in_order(track: Track, notes: list[str]) -> Track:
    """Sorted, each stamp once: the last of those that repeat."""
    backwards = int((np.diff(track.at_ns) < 0).sum())
    if backwards:
        notes.append(
            f"{track.asset}: places where times go back: {backwards}, sorted (a clock, or daylight saving: --zone)"
        )
    order = np.argsort(track.at_ns, kind="stable")
    at_ns = track.at_ns[order]
    last = np.append(np.diff(at_ns) > 0, True) if len(at_ns) else np.zeros(0, bool)
    if not last.all():
        notes.append(f"{track.asset}: rows with the time of another: {int((~last).sum())}, the last one counts")
    keep = order[last]
    return Track(
        track.asset, track.at_ns[keep], {name: numbers[keep] for name, numbers in track.columns.items()},
        None if track.failing is None else track.failing[keep], track.partial,
    )  # fmt: skip


def _checked(where: str, tracks: Sequence[Track], notes: Sequence[str], labels: tuple[str, ...]) -> Export:
    sound = tuple(track for track in tracks if len(track.at_ns) > 1 and track.columns)
    few = [track.asset for track in tracks if len(track.at_ns) < 2 or not track.columns]
    said = [*notes, *(f"{asset}: not two rows with a time and a number: left out" for asset in few)]
    if not sound:
        raise ConfigError(where, f"holds no history: {'; '.join(said[-3:])}", "look at its columns")
    said += [f"column {name!r} looks like failures: no signal (--failure-column {name} takes it)" for name in labels]
    return Export(sound, tuple(said), labels)
