"""Makes chunks from blocks, a small step at a time, beside storing: each step is one short transaction of the writer.

Blocks of an hour are appended as loose chunks when they have become many, or some minutes after it is over; then its
loose chunks are joined. A block that comes late makes its hour wait again, and its readings are joined with the rest.
Nothing is kept between steps but what is in the tables, so a process may be killed after any of them.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cloud.store.chunk import Polls, joined, pack_column, pack_times, unpack_column, unpack_times
from cloud.store.rollup import HOUR_S, SECOND_NS, run_of
from edge.contract.block import Block, Series

SETTLED_S = 600
"""How long after an hour is over its last blocks, or one that came late, are waited for."""
BLOCKS_MAX = 256
READINGS_MAX = 2**18
CELLS_MAX = 2**19
HOURS_MAX = 64
"""What one step takes: blocks and readings opened, readings joined, hours let go of. An hour with that many blocks is
appended while it runs; fewer are opened by whoever asks for raw readings."""

_CHUNKED = """
UPDATE chunk_hour SET (waiting, blocks) =
    (SELECT min(block), count(*) FROM span WHERE asset=?1 AND hour_s=?2 AND block>?3)
WHERE asset=?1 AND hour_s=?2
"""

Opened = Callable[[Sequence[int]], Sequence[Block]]
"""Gives blocks by their rows, in that order, with times as they are known today."""
Hour = tuple[int, int]
"""An asset and the start of an hour."""


@dataclass(frozen=True, slots=True)
class Append:
    """These blocks, of one asset and hour the oldest that wait, go into chunks of whatever is in them."""

    hour: Hour
    blocks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """These chunks, alike in asset, hour and tags, become one."""

    hour: Hour
    tags: str
    chunks: tuple[int, ...]


def touched(connection: sqlite3.Connection, hours: Iterable[Hour], block: int) -> None:
    """Say that a block has readings of these hours. Blocks have to be told in the order of their ids."""
    connection.executemany(
        "INSERT INTO chunk_hour(asset, hour_s, waiting, blocks) VALUES (?,?,?,1)"
        " ON CONFLICT(asset, hour_s) DO UPDATE SET waiting = coalesce(waiting, excluded.waiting), blocks = blocks + 1",
        [(asset, hour_s, block) for asset, hour_s in hours],
    )


def redo(connection: sqlite3.Connection, hours: Iterable[Hour]) -> None:
    """Let go of these hours' chunks, whose spans have changed; they are made again from the blocks that there are."""
    for hour in hours:
        _delete(connection, _of(connection, hour))
        connection.execute("INSERT OR IGNORE INTO chunk_hour(asset, hour_s, blocks) VALUES (?,?,0)", hour)
        connection.execute(_CHUNKED, (*hour, 0))


def forget(connection: sqlite3.Connection, before_s: int) -> bool:
    """Let go of a few hours that start before ``before_s`` and have no blocks left; False where there are none."""
    hours = connection.execute(
        "SELECT h.asset, h.hour_s FROM asset CROSS JOIN chunk_hour AS h ON h.asset = asset.id AND h.hour_s < ?"
        " WHERE NOT gone AND NOT EXISTS"
        " (SELECT 1 FROM span WHERE span.asset = h.asset AND span.hour_s = h.hour_s) LIMIT ?",
        (before_s, HOURS_MAX),
    ).fetchall()
    for hour in hours:
        _delete(connection, _of(connection, hour))
        connection.execute("UPDATE chunk_hour SET gone=1, waiting=NULL WHERE asset=? AND hour_s=?", hour)
    return bool(hours)


def next_step(connection: sqlite3.Connection, now_ns: int) -> Append | Join | None:
    """What is to be done next, None where nothing is. Reads only."""
    over_s = now_ns // SECOND_NS - HOUR_S - SETTLED_S
    return _next_append(connection, over_s, now_ns - SETTLED_S * SECOND_NS) or _next_join(connection, over_s)


def take(connection: sqlite3.Connection, opened: Opened, step: Append | Join) -> None:
    """Do one step, inside the caller's transaction. ``opened`` gives blocks in the order of their ids."""
    if isinstance(step, Append):
        _append(connection, opened, step)
    else:
        _join(connection, step)


def _next_append(connection: sqlite3.Connection, over_s: int, before_ns: int) -> Append | None:
    """Hours with many blocks first; then hours that are over, the one whose blocks have waited longest."""
    row = connection.execute(
        "SELECT asset, hour_s, waiting FROM chunk_hour WHERE waiting IS NOT NULL AND blocks >= ? LIMIT 1", (BLOCKS_MAX,)
    ).fetchone() or connection.execute(
        "SELECT asset, hour_s, waiting FROM chunk_hour LEFT JOIN block ON block.id = waiting"
        " WHERE waiting IS NOT NULL AND hour_s < ? AND coalesce(received_ns, 0) <= ? ORDER BY waiting LIMIT 1",
        (over_s, before_ns),
    ).fetchone()  # fmt: skip
    if row is None:
        return None
    asset, hour_s, waiting = row
    blocks: list[int] = []
    readings = 0
    for block, count in connection.execute(
        "SELECT id, readings FROM block WHERE id IN (SELECT block FROM span WHERE asset=? AND hour_s=? AND block>=?"
        " ORDER BY block LIMIT ?) ORDER BY id",
        (asset, hour_s, waiting, BLOCKS_MAX),
    ):
        readings += count
        if blocks and readings > READINGS_MAX:
            break
        blocks.append(block)
    return Append((asset, hour_s), tuple(blocks))


def _append(connection: sqlite3.Connection, opened: Opened, step: Append) -> None:
    upto = max(step.blocks, default=0)
    assets = dict(connection.execute(
        "SELECT asset, id FROM asset WHERE gateway = (SELECT gateway FROM asset WHERE id=?)", (step.hour[0],)
    ).fetchall())  # fmt: skip
    found: dict[Hour, list[tuple[bool, Series]]] = defaultdict(list, {step.hour: []})
    for block in opened(step.blocks):
        for series in block.series:
            for hour in np.unique(series.read_ns // (HOUR_S * SECOND_NS)).tolist():
                found[(assets[series.asset], hour * HOUR_S)].append((block.header.thinned, series))
    for hour, parts in found.items():
        waiting = _waiting(connection, hour, upto)
        # An asset may have blocks between these that are not among them: those are its own step's, in their order.
        if hour == step.hour or (waiting and waiting <= set(step.blocks)):
            _write_hour(connection, hour, parts)
            connection.execute(_CHUNKED, (*hour, upto))


def _waiting(connection: sqlite3.Connection, hour: Hour, upto: int) -> set[int]:
    rows = connection.execute(
        "SELECT span.block FROM chunk_hour JOIN span USING (asset, hour_s)"
        " WHERE asset=? AND hour_s=? AND span.block BETWEEN waiting AND ?",
        (*hour, upto),
    )
    return {row[0] for row in rows}


def _write_hour(connection: sqlite3.Connection, hour: Hour, found: Sequence[tuple[bool, Series]]) -> None:
    groups: dict[tuple[tuple[str, ...], bool], list[Polls]] = defaultdict(list)
    for is_thinned, series in found:
        groups[(series.tags, is_thinned)].append(_polls(series, hour[1], is_thinned=is_thinned))
    numbers = dict(connection.execute("SELECT tag, id FROM tag WHERE asset=?", (hour[0],)).fetchall())
    for (tags, _), parts in groups.items():
        _write(connection, hour, [numbers[tag] for tag in tags], joined(parts), loose=True)


def _polls(series: Series, hour_s: int, *, is_thinned: bool) -> Polls:
    """What a series has within the hour."""
    run = run_of([series])
    first, last = np.searchsorted(run.read_ns, np.array([hour_s, hour_s + HOUR_S]) * SECOND_NS).tolist()
    at_ns = run.read_ns[first:last]
    thinned = ((int(at_ns[0]), int(at_ns[-1])),) if is_thinned else None
    return Polls(at_ns, run.numbers[first:last], run.quality[first:last], thinned)


def _write(connection: sqlite3.Connection, hour: Hour, tags: Sequence[int], polls: Polls, *, loose: bool) -> None:
    thinned = None if polls.thinned is None else json.dumps(polls.thinned)
    if polls.thinned is not None:
        connection.executemany("INSERT OR IGNORE INTO thinned_hour VALUES (?,?)", [(tag, hour[1]) for tag in tags])
    cursor = connection.execute(
        "INSERT INTO chunk(asset, hour_s, tags, polls, thinned, loose, times) VALUES (?,?,?,?,?,?,?)",
        (*hour, ",".join(map(str, tags)), len(polls.at_ns), thinned, loose, pack_times(polls.at_ns)),
    )
    connection.executemany("INSERT INTO chunk_column VALUES (?,?,?)", [
        (cursor.lastrowid, tag, pack_column(polls.numbers[:, j], polls.quality[:, j])) for j, tag in enumerate(tags)
    ])  # fmt: skip


def _next_join(connection: sqlite3.Connection, over_s: int) -> Join | None:
    row = connection.execute(
        "SELECT asset, hour_s, tags, thinned IS NULL FROM chunk WHERE loose AND hour_s < ? LIMIT 1", (over_s,)
    ).fetchone()
    if row is None:
        return None
    asset, hour_s, tags, is_whole = row
    width = tags.count(",") + 1
    chunks: list[int] = []
    cells = 0
    for chunk, polls in connection.execute(
        "SELECT id, polls FROM chunk WHERE asset=? AND hour_s=? AND tags=? AND (thinned IS NULL) = ?"
        " ORDER BY loose DESC, polls, id",
        (asset, hour_s, tags, is_whole),
    ):
        cells += polls * width
        if chunks and cells > CELLS_MAX:
            break
        chunks.append(chunk)
    return Join((asset, hour_s), tags, tuple(chunks))


def _join(connection: sqlite3.Connection, step: Join) -> None:
    if len(step.chunks) == 1:
        connection.execute("UPDATE chunk SET loose=0 WHERE id=?", step.chunks)
        return
    tags = [int(tag) for tag in step.tags.split(",")] if step.tags else []
    whole = joined(_read(connection, chunk, tags) for chunk in step.chunks)
    _delete(connection, [(chunk,) for chunk in step.chunks])
    _write(connection, step.hour, tags, whole, loose=True)


def _read(connection: sqlite3.Connection, chunk: int, tags: Sequence[int]) -> Polls:
    times, thinned = connection.execute("SELECT times, thinned FROM chunk WHERE id=?", (chunk,)).fetchone()
    data = dict(connection.execute("SELECT tag, data FROM chunk_column WHERE chunk=?", (chunk,)).fetchall())
    found = [unpack_column(data[tag]) for tag in tags]
    spans = None if thinned is None else tuple((first, last) for first, last in json.loads(thinned))
    numbers, quality = (np.column_stack(part) for part in zip(*found, strict=True))
    return Polls(unpack_times(times), numbers, quality, spans)


def _of(connection: sqlite3.Connection, hour: Hour) -> list[tuple[int]]:
    return connection.execute("SELECT id FROM chunk WHERE asset=? AND hour_s=?", hour).fetchall()


def _delete(connection: sqlite3.Connection, chunks: Sequence[tuple[int]]) -> None:
    connection.executemany("DELETE FROM chunk_column WHERE chunk=?", chunks)
    connection.executemany("DELETE FROM chunk WHERE id=?", chunks)
