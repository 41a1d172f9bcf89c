"""Makes every derived table anew from the blocks, as far as they are all there."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from cloud.store.derive import Kept
from cloud.store.progress import Tables
from cloud.store.schema import DERIVED_TABLES, Lock, database, make_derived, open_for_writing
from edge.errors import StoreError


def rebuild(folder: Path, *, progress: Callable[[int], None] = lambda _blocks: None) -> int:
    """Derive everything again, in one transaction; returns how many blocks were read.

    What the policy of retention has left no blocks of stays as it is. The store must not be in use. Raises
    ``StoreError``.
    """
    if not database(folder).exists():
        raise StoreError(str(folder), "holds no store", "name the folder that `babbitt cloud serve` was given")
    lock = Lock(folder)
    connection = open_for_writing(database(folder))
    try:
        connection.execute("BEGIN IMMEDIATE")
        kept = _kept(connection)
        if kept.hours or kept.streams:
            for statement in _EMPTY:
                connection.execute(statement)
        else:
            for table in DERIVED_TABLES:
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            make_derived(connection)
        connection.execute("UPDATE stream SET stored_twice = 0 WHERE removed_blocks = 0")
        tables = Tables(connection)
        done = tables.catch_up(kept=kept, progress=progress)
        tables.repair_all()
        connection.execute("COMMIT")
    finally:
        connection.close()  # undoes what was not committed
        lock.close()
    return done


def _kept(connection: sqlite3.Connection) -> Kept:
    hours: dict[int, set[int]] = defaultdict(set)
    for asset, hour_s in connection.execute("SELECT asset, hour_s FROM frozen"):
        hours[asset].add(hour_s)
    streams = connection.execute("SELECT id FROM stream WHERE removed_blocks > 0").fetchall()
    return Kept({asset: frozenset(found) for asset, found in hours.items()}, frozenset(row[0] for row in streams))


_HOUR_OF = "start_s - ((start_s % 3600) + 3600) % 3600"
# What is left stands: it follows from blocks that are gone. What only the newest block decides is written over.
_EMPTY = (
    "DELETE FROM chunk_column WHERE chunk IN (SELECT id FROM chunk WHERE (asset, hour_s) NOT IN frozen)",
    "DELETE FROM chunk WHERE (asset, hour_s) NOT IN frozen",
    "DELETE FROM chunk_hour WHERE (asset, hour_s) NOT IN frozen",
    "DELETE FROM span WHERE (asset, hour_s) NOT IN frozen",
    f"DELETE FROM minute WHERE (asset, {_HOUR_OF}) NOT IN frozen",
    "DELETE FROM hour WHERE ((SELECT asset FROM tag WHERE tag.id = hour.tag), start_s) NOT IN frozen",
    "DELETE FROM held WHERE stream NOT IN (SELECT id FROM stream WHERE removed_blocks > 0)",
    "DELETE FROM dropped WHERE block IN (SELECT id FROM block)",
    "DELETE FROM waveform",
    "DELETE FROM untrusted",
    "DELETE FROM unsettled",
    "DELETE FROM dirty",
    "DELETE FROM derived",
    "DELETE FROM derived_part",
    "UPDATE progress SET block = 0",
)
