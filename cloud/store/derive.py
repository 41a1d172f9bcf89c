"""From stored blocks to the derived tables. Used alike when a block arrives and when everything is made anew.

Every statement is such that the order of blocks does not matter: sums add up, minima and maxima meet, the newest wins.
So a block that comes late, or out of order, repairs what it touches.
"""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from cloud.store import chunker, healths
from cloud.store.rollup import HOUR_S, MINUTE_S, SECOND_NS, Run, buckets_of, rows_of, run_of
from edge.contract.block import Block, Series
from edge.contract.types import Alarm, Asset, Dropped, LedgerRow, Quality, Verdict

_ROLLUP = """
INSERT INTO {name} VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(tag, start_s) DO UPDATE SET
    count = count + excluded.count, good = good + excluded.good, bad_bus = bad_bus + excluded.bad_bus,
    bad_device = bad_device + excluded.bad_device, bad_decode = bad_decode + excluded.bad_decode,
    finite = finite + excluded.finite, total = total + excluded.total,
    low = coalesce(min(low, excluded.low), low, excluded.low),
    high = coalesce(max(high, excluded.high), high, excluded.high),
    last = CASE WHEN excluded.last_ns >= last_ns THEN excluded.last ELSE last END,
    last_ns = max(last_ns, excluded.last_ns)
"""
_MINUTE, _HOUR = _ROLLUP.format(name="minute"), _ROLLUP.format(name="hour")
_HELD = """
INSERT INTO held VALUES (?,?,?,?,?,?) ON CONFLICT(tag, hour_s, stream) DO UPDATE SET
    good = good + excluded.good, bad = bad + excluded.bad, last_seq = max(last_seq, excluded.last_seq)
"""
_LATEST = """
INSERT INTO latest VALUES (?,?,?,?,?,?,?) ON CONFLICT(tag) DO UPDATE SET
    value = CASE WHEN excluded.read_ns >= read_ns THEN excluded.value ELSE value END,
    quality = CASE WHEN excluded.read_ns >= read_ns THEN excluded.quality ELSE quality END,
    source_ns = CASE WHEN excluded.read_ns >= read_ns THEN excluded.source_ns ELSE source_ns END,
    good_value = CASE WHEN excluded.good_ns >= good_ns AND excluded.good_ns > 0 THEN excluded.good_value
                      ELSE good_value END,
    good_ns = max(good_ns, excluded.good_ns), read_ns = max(read_ns, excluded.read_ns)
"""
_SEEN = """
INSERT INTO glance(asset, last_read_ns) VALUES (?,?)
ON CONFLICT(asset) DO UPDATE SET last_read_ns = max(last_read_ns, excluded.last_read_ns)
"""
_NEWEST = """
INSERT INTO glance(asset, {what}, {what}_ns) VALUES (?,?,?) ON CONFLICT(asset) DO UPDATE SET
    {what} = CASE WHEN excluded.{what}_ns >= {what}_ns THEN excluded.{what} ELSE {what} END,
    {what}_ns = max({what}_ns, excluded.{what}_ns)
"""
_RECORD, _NEWEST_VERDICT = _NEWEST.format(what="record"), _NEWEST.format(what="verdict")
_ALARM = """
INSERT INTO alarm VALUES (?,?,?,?,?) ON CONFLICT(asset, rule) DO UPDATE SET
    state = excluded.state, record = excluded.record, at_ns = excluded.at_ns WHERE excluded.at_ns >= at_ns
"""
_LEDGER = """
INSERT INTO ledger VALUES (?,?,?,?,?) ON CONFLICT(tag, hour_s, stream) DO UPDATE SET
    seq = excluded.seq, record = excluded.record WHERE excluded.seq >= seq
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A block as it lies in the store: its row, its stream's row, and what is in it."""

    id: int
    stream: int
    gateway: int
    block: Block

    @property
    def seq(self) -> int:
        return self.block.header.key.seq


class Names:
    """Numbers for assets and tags, made on first sight. Forget them after a rollback: they may be gone."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._assets: dict[tuple[int, str], int] = {}
        self._tags: dict[tuple[int, str], int] = {}

    def asset(self, gateway: int, asset: str) -> int:
        return self._number(self._assets, "asset", "gateway", gateway, asset)

    def tag(self, asset: int, tag: str) -> int:
        return self._number(self._tags, "tag", "asset", asset, tag)

    def forget(self) -> None:
        self._assets.clear()
        self._tags.clear()

    def _number(self, known: dict[tuple[int, str], int], table: str, owner: str, owner_id: int, name: str) -> int:
        key = (owner_id, name)
        if key not in known:
            self._connection.execute(f"INSERT OR IGNORE INTO {table}({owner}, {table}) VALUES (?,?)", key)
            row = self._connection.execute(f"SELECT id FROM {table} WHERE {owner}=? AND {table}=?", key).fetchone()
            known[key] = row[0]
        return known[key]


def derive(connection: sqlite3.Connection, names: Names, stored: Sequence[Stored]) -> None:
    """Bring every derived table up to date with these blocks, inside the caller's transaction."""
    runs: dict[tuple[int, int, tuple[str, ...]], list[tuple[Stored, Series]]] = defaultdict(list)
    for one in stored:
        for series in one.block.series:
            asset = names.asset(one.gateway, series.asset)
            chunker.touched(connection, _span(connection, asset, one.id, series), one.id)
            runs[(one.stream, asset, series.tags)].append((one, series))
        for record in one.block.records:
            _record(connection, names, one, record)
    for (stream, asset, _tags), members in runs.items():
        run = run_of([series for _, series in members])
        tag_ids = [names.tag(asset, tag) for tag in run.tags]
        _readings(connection, run, asset, tag_ids, stream, max(one.seq for one, _ in members))


def _span(connection: sqlite3.Connection, asset: int, block: int, series: Series) -> list[chunker.Hour]:
    """Write down which hours a block has readings of."""
    hours = series.read_ns // (HOUR_S * SECOND_NS)
    touched = np.unique(hours).tolist()
    for hour in touched:
        inside = series.read_ns[hours == hour]
        connection.execute(
            "INSERT OR IGNORE INTO span(asset, hour_s, first_ns, last_ns, block) VALUES (?,?,?,?,?)",
            (asset, hour * HOUR_S, int(inside.min()), int(inside.max()), block),
        )
    return [(asset, hour * HOUR_S) for hour in touched]


def _readings(
    connection: sqlite3.Connection, run: Run, asset: int, tag_ids: list[int], stream: int, last_seq: int
) -> None:
    hours = buckets_of(run, HOUR_S)
    connection.executemany(_MINUTE, rows_of(buckets_of(run, MINUTE_S), tag_ids))
    connection.executemany(_HOUR, rows_of(hours, tag_ids))
    connection.executemany(
        _HELD,
        [
            (stream, tag, start, good, count - good, last_seq)
            for start, goods, counts in zip(
                hours.start_s.tolist(), hours.good.tolist(), hours.count.tolist(), strict=True
            )
            for tag, good, count in zip(tag_ids, goods, counts, strict=True)
        ],
    )
    connection.executemany(_LATEST, [_latest(run, j, tag) for j, tag in enumerate(tag_ids)])
    connection.execute(_SEEN, (asset, int(run.read_ns[-1])))


def _latest(run: Run, j: int, tag: int) -> tuple[Any, ...]:
    good = np.flatnonzero(run.quality[:, j] < Quality.BAD_BUS)
    good_value = _plain(run.value(int(good[-1]), j)) if len(good) else None
    good_ns = int(run.read_ns[good[-1]]) if len(good) else 0
    quality, source_ns = int(run.quality[-1, j]), int(run.source_ns[-1, j])
    return (tag, _plain(run.value(-1, j)), quality, source_ns, int(run.read_ns[-1]), good_value, good_ns)


def _plain(value: Any) -> Any:
    """What SQLite can hold: an integer beyond 64 bits is kept as its digits, half of a character as a question mark."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return str(value) if isinstance(value, int) and not -(2**63) <= value < 2**63 else value


def _record(connection: sqlite3.Connection, names: Names, one: Stored, record: object) -> None:
    match record:
        case Asset():
            asset = names.asset(one.gateway, record.asset)
            for tag in record.tags:
                names.tag(asset, tag.tag)
            connection.execute(_RECORD, (asset, as_json(record), record.at_ns))
        case Verdict():
            asset = names.asset(one.gateway, record.asset)
            told = finite(record)
            text = as_json(told)
            numbers = (told.health, told.anomaly, told.rul_h, told.rul_low_h, told.rul_high_h)
            connection.execute(
                "INSERT OR REPLACE INTO verdict VALUES (?,?,?,?,?,?,?,?,?)",
                (asset, told.at_ns, str(told.urgency), *numbers, text),
            )
            connection.execute(_NEWEST_VERDICT, (asset, text, told.at_ns))
            if told.health is not None:
                healths.add(connection, asset, told.at_ns, told.health)
        case Alarm():
            asset = names.asset(one.gateway, record.asset)
            text = as_json(record)
            connection.execute(_ALARM, (asset, record.rule, record.at_ns, str(record.state), text))
            connection.execute(
                "INSERT OR REPLACE INTO alarm_change VALUES (?,?,?,?,?)",
                (asset, record.at_ns, record.rule, str(record.state), text),
            )
        case Dropped():
            tag_id = names.tag(names.asset(one.gateway, record.asset), record.tag)
            row = (tag_id, one.id, str(record.cause), record.count, record.from_ns, record.to_ns)
            connection.execute("INSERT INTO dropped VALUES (?,?,?,?,?,?)", row)
        case LedgerRow():
            tag_id = names.tag(names.asset(one.gateway, record.asset), record.tag)
            hour_s = record.hour_ns // SECOND_NS
            connection.execute(_LEDGER, (one.stream, tag_id, hour_s, one.seq, as_json(record)))


def finite(verdict: Verdict) -> Verdict:
    """The verdict without figures that are no numbers. A life that is not given in full, with both ends, is none."""
    life = (verdict.rul_h, verdict.rul_low_h, verdict.rul_high_h)
    whole = all(figure is not None and math.isfinite(figure) for figure in life)
    rul_h, low_h, high_h = life if whole else (None, None, None)
    return replace(
        verdict,
        health=_number(verdict.health), anomaly=_number(verdict.anomaly), coverage=_number(verdict.coverage) or 0.0,
        rul_h=rul_h, rul_low_h=low_h, rul_high_h=high_h,
        reasons=tuple(replace(reason, share=_number(reason.share) or 0.0) for reason in verdict.reasons),
    )  # fmt: skip


def _number(figure: float | None) -> float | None:
    return figure if figure is not None and math.isfinite(figure) else None


def as_json(record: Asset | Verdict | Alarm | LedgerRow) -> str:
    """A record as JSON. A number that is not finite becomes null, so a verdict has to be ``finite`` before."""
    return msgspec.json.encode(record).decode()
