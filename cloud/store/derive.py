"""From stored blocks to the derived tables. Used alike when blocks arrive and when everything is made anew.

Order does not matter: sums add up, minima and maxima meet, the newest wins. So a block that comes late, or out of
order, repairs what it touches. Each block is derived once: what adds up would add twice.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cloud.store import chunker
from cloud.store.clock import corrected, corrected_ns
from cloud.store.clocks import Clocks
from cloud.store.newest import newest
from cloud.store.rollup import HOUR_S, MINUTE_S, SECOND_NS, Buckets, Run, buckets_of, rows_of, run_of
from cloud.store.stored import Names, Stored
from cloud.store.told import as_json
from edge.contract.block import Series
from edge.contract.types import ClockSet, Dropped, LedgerRow, Waveform

_VALUES = "count, good, bad_bus, bad_device, bad_decode, finite, total, low, high, last, last_ns"
_MERGED = """
    count = count + excluded.count, good = good + excluded.good, bad_bus = bad_bus + excluded.bad_bus,
    bad_device = bad_device + excluded.bad_device, bad_decode = bad_decode + excluded.bad_decode,
    finite = finite + excluded.finite, total = total + excluded.total,
    low = coalesce(min(low, excluded.low), low, excluded.low),
    high = coalesce(max(high, excluded.high), high, excluded.high),
    last = CASE WHEN excluded.last_ns >= last_ns THEN excluded.last ELSE last END,
    last_ns = max(last_ns, excluded.last_ns)
"""
_MINUTE = f"""
INSERT INTO minute(tag, start_s, {_VALUES}, asset) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)
ON CONFLICT(asset, start_s, tag) DO UPDATE SET {_MERGED}
"""
_HOUR = f"""
INSERT INTO hour(tag, start_s, {_VALUES}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)
ON CONFLICT(tag, start_s) DO UPDATE SET {_MERGED}
"""
_HELD = """
INSERT INTO held(asset, hour_s, tag, stream, good, bad, last_seq) VALUES (?,?,?,?,?,?,?)
ON CONFLICT(asset, hour_s, tag, stream) DO UPDATE SET
    good = good + excluded.good, bad = bad + excluded.bad, last_seq = max(last_seq, excluded.last_seq)
"""
_LEDGER = """
INSERT INTO ledger(asset, hour_s, tag, stream, seq, record) VALUES (?,?,?,?,?,?)
ON CONFLICT(asset, hour_s, tag, stream) DO UPDATE SET
    seq = excluded.seq, record = excluded.record WHERE excluded.seq >= seq
"""
_UNSETTLED = """
INSERT INTO unsettled(gateway, boot, after, upto) VALUES (?,?,0,?)
ON CONFLICT(gateway, boot) DO UPDATE SET after = 0, upto = max(upto, excluded.upto)
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is not made anew, since some of its blocks are gone by the policy of retention.

    ``hours``: hours (their starts, seconds) of an asset; ``streams``: whose counts of what is held stay as they are.
    """

    hours: Mapping[int, frozenset[int]] = field(default_factory=dict)
    streams: frozenset[int] = frozenset()


NOTHING_KEPT = Kept()


RECORDS = 0
"""Stands for an asset where all that is in a block beside readings is meant. No asset has this number."""
Wanted = Callable[[Stored, int], bool]
"""Whether a part of a block is to be derived: the readings of an asset (its number), or ``RECORDS``."""


def everything(_one: Stored, _asset: int) -> bool:
    return True


def derive(
    connection: sqlite3.Connection,
    names: Names,
    clocks: Clocks,
    stored: Sequence[Stored],
    kept: Kept = NOTHING_KEPT,
    wanted: Wanted = everything,
) -> None:
    """Bring the derived tables up to date with blocks in the order of their rows, inside the caller's transaction.

    All but what is told at once (``cloud.store.told``). The records of blocks come before, or with, their readings: a
    clock's setting is among them.
    """
    telling = [one for one in stored if wanted(one, RECORDS)]
    # A part of these may have been derived before a crash: their records first, so that is how far it can have come.
    known = max((one.id for one in stored if not wanted(one, RECORDS)), default=stored[0].id - 1)
    for one in telling:
        _settings(connection, clocks, one, upto=known)
    stamped: dict[tuple[int, int, tuple[str, ...]], list[tuple[int, Series]]] = defaultdict(list)
    true: dict[tuple[int, int, tuple[str, ...]], list[tuple[int, Series]]] = defaultdict(list)
    for one in stored:
        for series in one.block.series:
            asset = names.asset(one.gateway, series.asset)
            if not wanted(one, asset):
                continue
            at = corrected(series, clocks.of(one.gateway, one.boot))
            if not series.trusted.all():
                row = (one.gateway, one.boot, one.id)
                connection.execute("INSERT OR IGNORE INTO untrusted(gateway, boot, block) VALUES (?,?,?)", row)
            at = _without(at, kept.hours.get(asset))
            if len(at.read_ns):
                chunker.touched(connection, span(connection, asset, one.id, at), one.id)
                true[one.stream, asset, series.tags].append((one.seq, at))
            stamped[one.stream, asset, series.tags].append((one.seq, series))
    for one in telling:
        _records(connection, names, clocks, one)
    _ledger(connection, names, telling)
    for (stream, asset, tags), members in stamped.items():
        ids = [names.tag(asset, tag) for tag in tags]
        hours, found = None, true.get((stream, asset, tags), [])
        if found:
            hours = add(connection, asset, ids, [series for _, series in found])
            newest(connection, asset, ids, stream, found)
        if stream not in kept.streams:
            if hours is None or not _are_same(members, found):
                hours = buckets_of(run_of([series for _, series in members]), HOUR_S)
            _held(connection, asset, ids, stream, hours, _last_seqs(members))


def span(connection: sqlite3.Connection, asset: int, block: int, series: Series) -> list[chunker.Hour]:
    """Write down which hours a block has readings of."""
    hours = series.read_ns // (HOUR_S * SECOND_NS)
    touched = np.unique(hours).tolist()
    for hour in touched:
        inside = series.read_ns if len(touched) == 1 else series.read_ns[hours == hour]
        connection.execute(
            "INSERT OR IGNORE INTO span(asset, hour_s, first_ns, last_ns, block) VALUES (?,?,?,?,?)",
            (asset, hour * HOUR_S, int(inside.min()), int(inside.max()), block),
        )
    return [(asset, hour * HOUR_S) for hour in touched]


def add(connection: sqlite3.Connection, asset: int, tags: Sequence[int], parts: Sequence[Series]) -> Buckets:
    """Add series of the same tags to their minutes and hours; gives the hours."""
    run = run_of(parts)
    add_minutes(connection, asset, tags, run)
    hours = buckets_of(run, HOUR_S)
    connection.executemany(_HOUR, rows_of(hours, tags))
    return hours


def add_minutes(connection: sqlite3.Connection, asset: int, tags: Sequence[int], run: Run) -> None:
    rows = rows_of(buckets_of(run, MINUTE_S), tags)
    connection.executemany(_MINUTE, [(*row, asset) for row in rows])


def rows_within(series: Series, first_ns: int, end_ns: int) -> Series:
    """The polls of a series from ``first_ns`` to before ``end_ns``."""
    return _rows(series, (series.read_ns >= first_ns) & (series.read_ns < end_ns))


def _without(series: Series, hours: frozenset[int] | None) -> Series:
    if not hours:
        return series
    return _rows(series, ~np.isin(series.read_ns // (HOUR_S * SECOND_NS) * HOUR_S, list(hours)))


def _rows(series: Series, wanted: Any) -> Series:
    if wanted.all():
        return series
    chosen = np.flatnonzero(wanted).tolist()
    columns = tuple([c[i] for i in chosen] if isinstance(c, list) else c[wanted] for c in series.columns)
    return replace(
        series, read_ns=series.read_ns[wanted], mono_ns=series.mono_ns[wanted], trusted=series.trusted[wanted],
        source_ns=series.source_ns[wanted], quality=series.quality[wanted], columns=columns,
    )  # fmt: skip


def _are_same(members: Sequence[tuple[int, Series]], others: Sequence[tuple[int, Series]]) -> bool:
    return len(members) == len(others) and all(a is b for (_, a), (_, b) in zip(members, others, strict=True))


def _last_seqs(members: Sequence[tuple[int, Series]]) -> dict[int, int]:
    """The newest block with readings of each hour."""
    found: dict[int, int] = {}
    for seq, series in members:
        for hour in np.unique(series.read_ns // (HOUR_S * SECOND_NS)).tolist():
            found[hour * HOUR_S] = max(seq, found.get(hour * HOUR_S, 0))
    return found


def _held(
    connection: sqlite3.Connection,
    asset: int,
    tags: Sequence[int],
    stream: int,
    hours: Buckets,
    last_seqs: Mapping[int, int],
) -> None:
    """Count what is held by the hours that the gateway's clock stamped."""
    counted = zip(hours.start_s.tolist(), hours.good.tolist(), hours.count.tolist(), strict=True)
    connection.executemany(_HELD, [
        (asset, start, tag, stream, good, count - good, last_seqs[start])
        for start, goods, counts in counted
        for tag, good, count in zip(tags, goods, counts, strict=True)
    ])  # fmt: skip


def _settings(connection: sqlite3.Connection, clocks: Clocks, one: Stored, *, upto: int) -> None:
    """Learn when a clock was set; what was derived before, ``upto`` this row, is settled by ``cloud.store.repair``."""
    for record in one.block.records:
        if isinstance(record, ClockSet) and clocks.add(one.gateway, record.boot, (record.mono_ns, record.offset_ns)):
            connection.execute(_UNSETTLED, (one.gateway, record.boot, upto))


def _records(connection: sqlite3.Connection, names: Names, clocks: Clocks, one: Stored) -> None:
    for record in one.block.records:
        match record:
            case Dropped():
                tag = names.tag(names.asset(one.gateway, record.asset), record.tag)
                row = (tag, one.id, str(record.cause), record.count, record.from_ns, record.to_ns)
                connection.execute("INSERT INTO dropped VALUES (?,?,?,?,?,?)", row)
            case Waveform():
                waveform(connection, names, clocks, one, record)


def _ledger(connection: sqlite3.Connection, names: Names, stored: Sequence[Stored]) -> None:
    """Keep what each stream said last of each tag and hour: a row is told again whenever it has changed."""
    last: dict[tuple[int, int, str, str, int], tuple[int, LedgerRow]] = {}
    for one in stored:
        for row in one.block.records:
            if isinstance(row, LedgerRow):
                key = (one.stream, one.gateway, row.asset, row.tag, row.hour_ns)
                if key not in last or last[key][0] <= one.seq:
                    last[key] = (one.seq, row)
    for (stream, gateway, name, tag, hour_ns), (seq, row) in last.items():
        asset = names.asset(gateway, name)
        told = (stream, seq, as_json(row))
        connection.execute(_LEDGER, (asset, hour_ns // SECOND_NS, names.tag(asset, tag), *told))


def waveform(connection: sqlite3.Connection, names: Names, clocks: Clocks, one: Stored, record: Waveform) -> None:
    """Write down where a snapshot is."""
    tag = names.tag(names.asset(one.gateway, record.asset), record.tag)
    at_ns = record.at_ns
    if not record.trusted:
        at_ns = corrected_ns(at_ns, record.mono_ns, clocks.of(one.gateway, one.boot))
        row = (one.gateway, one.boot, one.id)
        connection.execute("INSERT OR IGNORE INTO untrusted(gateway, boot, block) VALUES (?,?,?)", row)
    connection.execute("INSERT OR IGNORE INTO waveform VALUES (?,?,?)", (tag, at_ns, one.id))
