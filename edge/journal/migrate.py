"""How a store of a former version becomes one of this version: each step in words, all of them in one transaction.

A power cut in their midst leaves the former version. Its epoch, numbers, blocks and ledger are kept. The library that
changes tables is heavy and is loaded only when a step is due.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

log = logging.getLogger("babbitt.journal")


def migrate(connection: sqlite3.Connection, *, version: int) -> None:
    """Bring a store of ``version`` to ours. Raises ``sqlite3.DatabaseError``, and has then changed nothing."""
    from sqlite_utils import Database

    db = Database(connection, execute_plugins=False)
    with db.atomic():
        for step in STEPS[version - 1 :]:
            step(db)
        connection.execute(f"PRAGMA user_version={len(STEPS) + 1}")
    # Until then the version in the file's first bytes is the former one.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    log.info("the store of version %d was brought to version %d", version, len(STEPS) + 1)


def _to_2(db: Database) -> None:
    """Dictionaries, what each block tells of the ledger, folded hours, blocks set aside, records lost.

    A block of version 1 does not say which rows of the ledger it tells. So each of those that wait counts as telling
    every row that any of them can: those of the hours since the oldest, and those with a loss, which are told late.
    """
    (last_seq,) = db.execute("SELECT last_seq FROM store").fetchone()
    block = db.table("block")
    block.add_column("dictionary", int, not_null_default=0)
    block.add_column("tells", int, not_null_default=last_seq)
    block.add_column("thinned", int, not_null_default=0)
    block.add_column("owes", str, not_null_default="")
    ledger = db.table("ledger")
    ledger.add_column("told", int)
    (clean, from_ns, committed_ns) = db.execute(
        "SELECT clean, (SELECT min(from_ns) FROM block), committed_ns FROM store"
    ).fetchone()
    hour_ns = 3600 * 10**9
    db.execute(
        """UPDATE ledger SET told = CASE WHEN hour_ns >= ? OR counts LIKE '%"dropped%' THEN ? ELSE 0 END""",
        ((committed_ns if from_ns is None else from_ns) // hour_ns * hour_ns, last_seq),
    )
    if not clean:
        # After a crash nobody knows which rows of the last hour went up.
        db.execute("UPDATE ledger SET told = NULL WHERE hour_ns >= ?", (committed_ns // hour_ns * hour_ns,))
    db.execute("CREATE INDEX ledger_told ON ledger (told)")
    db.table("folded").create(
        {"scan_group": int, "from_ns": int, "to_ns": int, "counts": str},
        pk="scan_group", not_null={"from_ns", "to_ns", "counts"}, strict=True,
    )  # fmt: skip
    db.table("quarantine").create(
        {"id": int, "seq": int, "found_ns": int, "problem": str, "data": bytes},
        pk="id", not_null={"seq", "found_ns", "problem", "data"}, strict=True,
    )  # fmt: skip
    store = db.table("store")
    store.add_column("handed", str, not_null_default="")
    store.add_column("records_lost", int, not_null_default=0)
    store.add_column("blocks_quarantined", int, not_null_default=0)


STEPS: tuple[Callable[[Database], None], ...] = (_to_2,)
"""From version 1 to 2, and so on."""
