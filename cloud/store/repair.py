"""Puts derived tables right where a clock was set later than blocks came, a small step at a time.

A boot's setting moves readings that are derived already: their blocks get new spans, and each minute that readings
went from, or came to, is made anew from the blocks that have a share in it. Each step is one short transaction, and
nothing is kept between steps but what is in the tables, so that a process may be killed after any of them.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from cloud.store import chunker
from cloud.store.clock import corrected
from cloud.store.clocks import Clocks
from cloud.store.derive import add_minutes, rows_within, span, waveform
from cloud.store.newest import newest
from cloud.store.rollup import HOUR_S, MINUTE_S, SECOND_NS, run_of
from cloud.store.stored import Names, Stored
from edge.contract.block import Series
from edge.contract.types import Waveform

BLOCKS_MAX = 16
MINUTES_MAX = 4

Opened = Callable[[Sequence[int]], Sequence[Stored]]
Boot = tuple[int, str, int, int]
"""A gateway, its boot, and from which row (exclusive) to which its blocks are to be settled."""
Minutes = tuple[int, tuple[int, ...]]
"""An asset and minutes of one of its hours."""


def next_step(connection: sqlite3.Connection) -> Boot | Minutes | None:
    """What is to be done next, None where nothing is. Reads only."""
    boot: Boot | None = connection.execute("SELECT gateway, boot, after, upto FROM unsettled LIMIT 1").fetchone()
    if boot is not None:
        return boot
    rows = connection.execute(
        "SELECT asset, minute_s FROM dirty WHERE asset = (SELECT min(asset) FROM dirty) ORDER BY minute_s LIMIT ?",
        (MINUTES_MAX,),
    ).fetchall()
    if not rows:
        return None
    asset, first_s = rows[0]
    return asset, tuple(minute for _, minute in rows if minute // HOUR_S == first_s // HOUR_S)


def take(connection: sqlite3.Connection, names: Names, clocks: Clocks, opened: Opened, step: Boot | Minutes) -> None:
    """Do one step, inside the caller's transaction. ``opened`` gives blocks by their rows."""
    if len(step) == 4:
        _settle(connection, names, clocks, opened, step)
    else:
        _remake(connection, names, clocks, opened, *step)


def _settle(connection: sqlite3.Connection, names: Names, clocks: Clocks, opened: Opened, boot: Boot) -> None:
    gateway, which, after, upto = boot
    rows = connection.execute(
        "SELECT block FROM untrusted WHERE gateway=? AND boot=? AND block > ? AND block <= ? ORDER BY block LIMIT ?",
        (gateway, which, after, upto, BLOCKS_MAX),
    ).fetchall()
    for one in opened([row[0] for row in rows]):
        _move(connection, names, clocks, one)
    if len(rows) < BLOCKS_MAX:
        connection.execute("DELETE FROM unsettled WHERE gateway=? AND boot=?", (gateway, which))
    else:
        where = (rows[-1][0], gateway, which)
        connection.execute("UPDATE unsettled SET after=? WHERE gateway=? AND boot=?", where)


def _move(connection: sqlite3.Connection, names: Names, clocks: Clocks, one: Stored) -> None:
    """Give one block its new place in time."""
    gone = connection.execute("SELECT asset, hour_s, first_ns, last_ns FROM span WHERE block=?", (one.id,)).fetchall()
    connection.execute("DELETE FROM span WHERE block=?", (one.id,))
    hours = {(asset, hour_s) for asset, hour_s, _, _ in gone}
    for asset, hour_s, first_ns, last_ns in gone:
        minutes = np.arange(first_ns // SECOND_NS // MINUTE_S, last_ns // SECOND_NS // MINUTE_S + 1) * MINUTE_S
        _stain(connection, asset, [minute for minute in minutes.tolist() if minute // HOUR_S * HOUR_S == hour_s])
    for series in one.block.series:
        asset = names.asset(one.gateway, series.asset)
        at = corrected(series, clocks.of(one.gateway, one.boot))
        hours.update(span(connection, asset, one.id, at))
        _stain(connection, asset, (np.unique(at.read_ns // (MINUTE_S * SECOND_NS)) * MINUTE_S).tolist())
        newest(connection, asset, [names.tag(asset, tag) for tag in at.tags], one.stream, [(one.seq, at)])
    connection.execute("DELETE FROM waveform WHERE block=?", (one.id,))
    for record in one.block.records:
        if isinstance(record, Waveform):
            waveform(connection, names, clocks, one, record)
    chunker.redo(connection, hours)


def _stain(connection: sqlite3.Connection, asset: int, minutes: Sequence[int]) -> None:
    """Note minutes to be made anew, but for hours that cannot be: their blocks are not all here."""
    connection.executemany(
        "INSERT OR IGNORE INTO dirty SELECT ?1, ?2"
        " WHERE NOT EXISTS (SELECT 1 FROM frozen WHERE asset = ?1 AND hour_s = ?3)",
        [(asset, minute, minute // HOUR_S * HOUR_S) for minute in minutes],
    )


def _remake(
    connection: sqlite3.Connection,
    names: Names,
    clocks: Clocks,
    opened: Opened,
    asset: int,
    minutes: tuple[int, ...],
) -> None:
    hour_s = minutes[0] // HOUR_S * HOUR_S
    name = connection.execute("SELECT asset FROM asset WHERE id=?", (asset,)).fetchone()[0]
    first_ns, end_ns = minutes[0] * SECOND_NS, (minutes[-1] + MINUTE_S) * SECOND_NS
    blocks = connection.execute(
        "SELECT DISTINCT block FROM span WHERE asset=? AND hour_s=? AND first_ns < ? AND last_ns >= ? ORDER BY block",
        (asset, hour_s, end_ns, first_ns),
    ).fetchall()
    parts: dict[tuple[tuple[str, ...], int], list[Series]] = defaultdict(list)
    for one in opened([row[0] for row in blocks]):
        for series in one.block.series:
            if series.asset == name:
                at = corrected(series, clocks.of(one.gateway, one.boot))
                for minute in minutes:
                    within = rows_within(at, minute * SECOND_NS, (minute + MINUTE_S) * SECOND_NS)
                    if len(within.read_ns):
                        parts[series.tags, minute].append(within)
    for minute in minutes:
        connection.execute("DELETE FROM minute WHERE asset=? AND start_s=?", (asset, minute))
        connection.execute("DELETE FROM dirty WHERE asset=? AND minute_s=?", (asset, minute))
    for (tags, _), found in parts.items():
        add_minutes(connection, asset, [names.tag(asset, tag) for tag in tags], run_of(found))
    waiting = "SELECT 1 FROM dirty WHERE asset=? AND minute_s BETWEEN ? AND ?"
    if connection.execute(waiting, (asset, hour_s, hour_s + HOUR_S - 1)).fetchone() is None:
        _sum_up(connection, asset, hour_s)


def _sum_up(connection: sqlite3.Connection, asset: int, hour_s: int) -> None:
    """Make an hour from its minutes."""
    where = {"asset": asset, "hour": hour_s, "last": hour_s + HOUR_S - 1}
    connection.execute(
        "DELETE FROM hour WHERE tag IN (SELECT id FROM tag WHERE asset = :asset) AND start_s = :hour", where
    )
    connection.execute(_HOUR_OF_MINUTES, where)


_HOUR_OF_MINUTES = """
INSERT INTO hour(tag, start_s, count, good, bad_bus, bad_device, bad_decode, finite, total, low, high, last, last_ns)
SELECT tag, :hour, sum(count), sum(good), sum(bad_bus), sum(bad_device), sum(bad_decode), sum(finite),
    CASE WHEN count(total) = count(*) THEN sum(total) END, min(low), max(high),
    (SELECT n.last FROM minute AS n WHERE n.asset = :asset AND n.start_s BETWEEN :hour AND :last AND n.tag = m.tag
     ORDER BY n.last_ns DESC LIMIT 1),
    max(last_ns)
FROM minute AS m WHERE asset = :asset AND start_s BETWEEN :hour AND :last GROUP BY tag
"""
