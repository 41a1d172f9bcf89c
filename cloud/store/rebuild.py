"""Makes every derived table anew from the blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cloud.store.chunk import CHUNK_TABLES
from cloud.store.derive import Names, Stored, derive
from cloud.store.dictionaries import Dictionaries
from cloud.store.schema import DERIVED, DERIVED_TABLES, Lock, database, open_for_writing
from edge.contract.block import decode_block
from edge.errors import StoreError

BLOCKS_AT_ONCE = 256


def rebuild(folder: Path, *, progress: Callable[[int], None] = lambda _blocks: None) -> int:
    """Derive everything again, in one transaction; returns how many blocks were read.

    The store must not be in use. Raises ``StoreError``.
    """
    if not database(folder).exists():
        raise StoreError(str(folder), "holds no store", "name the folder that `babbitt cloud serve` was given")
    lock = Lock(folder)
    connection = open_for_writing(database(folder))
    try:
        connection.execute("BEGIN IMMEDIATE")
        for table in (*DERIVED_TABLES, *CHUNK_TABLES):
            connection.execute(f"DROP TABLE IF EXISTS {table}")
        for statement in DERIVED.split(";"):
            if statement.strip():
                connection.execute(statement)
        names, dictionaries = Names(connection), Dictionaries(connection)
        done, after = 0, 0
        while rows := connection.execute(
            "SELECT block.id, stream, gateway, bytes FROM block JOIN stream ON stream.id = block.stream"
            " WHERE block.id > ? ORDER BY block.id LIMIT ?",
            (after, BLOCKS_AT_ONCE),
        ).fetchall():
            derive(connection, names, [Stored(i, s, g, decode_block(b, dictionaries)) for i, s, g, b in rows])
            done, after = done + len(rows), rows[-1][0]
            progress(done)
        connection.execute("COMMIT")
    finally:
        connection.close()  # undoes what was not committed
        lock.close()
    return done
