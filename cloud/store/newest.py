"""The newest value of each tag, and when each asset was last read.

Within one stream the higher block number is newer, then the later monotonic time: a clock that once was ahead does not
hold its readings in front for ever. Between streams, which have no common order, the later time is newer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge.contract.block import Series
from edge.contract.types import Quality

_NEWER = (
    "(excluded.{0}stream = {0}stream AND (excluded.{0}seq, excluded.{0}mono_ns) >= ({0}seq, {0}mono_ns))"
    " OR (excluded.{0}stream <> {0}stream AND excluded.{1} >= {1})"
)
_LATEST = f"""
INSERT INTO latest(tag, value, quality, source_ns, read_ns, stream, seq, mono_ns) VALUES (?,?,?,?,?,?,?,?)
ON CONFLICT(tag) DO UPDATE SET
    value = excluded.value, quality = excluded.quality, source_ns = excluded.source_ns, read_ns = excluded.read_ns,
    stream = excluded.stream, seq = excluded.seq, mono_ns = excluded.mono_ns
WHERE {_NEWER.format("", "read_ns")}
"""
# Its row is there already: a good reading is a reading.
_GOOD = f"""
INSERT INTO latest(tag, good_value, good_ns, good_stream, good_seq, good_mono_ns,
    quality, source_ns, read_ns, stream, seq, mono_ns) VALUES (?,?,?,?,?,?,0,0,0,0,0,0)
ON CONFLICT(tag) DO UPDATE SET
    good_value = excluded.good_value, good_ns = excluded.good_ns, good_stream = excluded.good_stream,
    good_seq = excluded.good_seq, good_mono_ns = excluded.good_mono_ns
WHERE good_stream IS NULL OR {_NEWER.format("good_", "good_ns")}
"""
_READ = f"""
INSERT INTO glance(asset, last_read_ns, read_stream, read_seq, read_mono_ns) VALUES (?,?,?,?,?)
ON CONFLICT(asset) DO UPDATE SET
    last_read_ns = excluded.last_read_ns, read_stream = excluded.read_stream, read_seq = excluded.read_seq,
    read_mono_ns = excluded.read_mono_ns
WHERE read_stream IS NULL OR {_NEWER.format("read_", "last_read_ns")}
"""


def newest(
    connection: sqlite3.Connection,
    asset: int,
    tags: Sequence[int],
    stream: int,
    members: Sequence[tuple[int, Series]],
) -> None:
    """Bring both up to date with series of the same tags, each with its block's number, inside a transaction."""
    ordered = sorted(members, key=lambda member: member[0])
    seq, series = ordered[-1]
    row = int(np.argsort(series.mono_ns, kind="stable")[-1])
    read_ns, mono_ns = int(series.read_ns[row]), int(series.mono_ns[row])
    sources, quality = series.source_ns[row].tolist(), series.quality[row].tolist()
    connection.executemany(_LATEST, [
        (tag, _value(series, row, j), quality[j], sources[j], read_ns, stream, seq, mono_ns)
        for j, tag in enumerate(tags)
    ])  # fmt: skip
    connection.executemany(_GOOD, _good(tags, stream, ordered))
    connection.execute(_READ, (asset, read_ns, stream, seq, mono_ns))


def _good(tags: Sequence[int], stream: int, ordered: Sequence[tuple[int, Series]]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    missing = np.arange(len(tags))
    for seq, series in reversed(ordered):
        order = np.argsort(series.mono_ns, kind="stable")[::-1]
        good = series.quality[order][:, missing] < Quality.BAD_BUS
        found, first = good.any(axis=0), good.argmax(axis=0)
        for j, row in zip(missing[found].tolist(), order[first[found]].tolist(), strict=True):
            read_ns, mono_ns = int(series.read_ns[row]), int(series.mono_ns[row])
            rows.append((tags[j], _value(series, row, j), read_ns, stream, seq, mono_ns))
        missing = missing[~found]
        if not len(missing):
            break
    return rows


def _value(series: Series, row: int, column: int) -> Any:
    """One value as it came, None where it is bad."""
    if series.quality[row, column] >= Quality.BAD_BUS:
        return None
    found = series.columns[column]
    return _plain(found.item(row) if isinstance(found, np.ndarray) else found[row])


def _plain(value: Any) -> Any:
    """What SQLite can hold: an integer beyond 64 bits is kept as its digits, half of a character as a question mark."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return str(value) if isinstance(value, int) and not -(2**63) <= value < 2**63 else value
