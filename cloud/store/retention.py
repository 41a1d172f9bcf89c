"""What is kept for how long. The policy removes in small steps, counts what it removed, and tells it from loss.

Hours, verdicts and alarms stay for ever; so do the counts of what was held, which the ledger is verified by.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from cloud.store import chunker, numbers
from cloud.store.rollup import HOUR_S, SECOND_NS

DAY_S = 86_400
BLOCKS_MAX = 128
LOOK_S = 60.0
"""How often it is looked for what has grown too old."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Days since they were received for raw blocks, since they began for minutes; None keeps them for ever."""

    raw_days: int | None = None
    minutes_days: int | None = None


def step(connection: sqlite3.Connection, policy: Retention, now_ns: int) -> bool:
    """Remove a little, inside the caller's transaction; False where nothing is too old."""
    removed = False
    if policy.raw_days is not None:
        before_ns = now_ns - policy.raw_days * DAY_S * SECOND_NS
        removed = _remove_blocks(connection, before_ns) > 0
        removed = removed or chunker.forget(connection, before_ns // SECOND_NS // HOUR_S * HOUR_S)
    if not removed and policy.minutes_days is not None:
        removed = _remove_minutes(connection, now_ns // SECOND_NS - policy.minutes_days * DAY_S)
    return removed


def _remove_blocks(connection: sqlite3.Connection, before_ns: int) -> int:
    """Blocks in the order in which they came, as far as they are derived."""
    rows = connection.execute(
        "SELECT id, stream, seq, readings, received_ns FROM block WHERE id <= (SELECT block FROM progress)"
        " ORDER BY id LIMIT ?",
        (BLOCKS_MAX,),
    ).fetchall()
    old = [row for row in rows if row[4] < before_ns]
    for block, stream, seq, readings, _ in old:
        connection.execute("INSERT OR IGNORE INTO frozen SELECT asset, hour_s FROM span WHERE block=?", (block,))
        for table in ("span", "waveform", "untrusted"):
            connection.execute(f"DELETE FROM {table} WHERE block=?", (block,))
        numbers.removed(connection, stream, seq)
        connection.execute("DELETE FROM block WHERE id=?", (block,))
        connection.execute(
            "UPDATE stream SET removed_blocks = removed_blocks + 1, removed_readings = removed_readings + ? WHERE id=?",
            (readings, stream),
        )
    return len(old)


def _remove_minutes(connection: sqlite3.Connection, before_s: int) -> bool:
    """The oldest hour's minutes of one asset that has any too old."""
    for (asset,) in connection.execute("SELECT id FROM asset"):
        (first_s,) = connection.execute("SELECT min(start_s) FROM minute WHERE asset=?", (asset,)).fetchone()
        if first_s is not None and first_s // HOUR_S * HOUR_S + HOUR_S <= before_s:
            hour_s = first_s // HOUR_S * HOUR_S
            where = (asset, hour_s, hour_s + HOUR_S - 1)
            connection.execute("INSERT OR IGNORE INTO frozen VALUES (?,?)", where[:2])
            connection.execute("DELETE FROM dirty WHERE asset=? AND minute_s BETWEEN ? AND ?", where)
            connection.execute("DELETE FROM minute WHERE asset=? AND start_s BETWEEN ? AND ?", where)
            return True
    return False
