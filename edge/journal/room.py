"""Makes room in the store before what is new is written: by thinning, then by dropping, a bounded part a commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Container
from pathlib import Path

from edge.contract.types import Cause
from edge.journal import schema
from edge.journal.limits import Limits
from edge.journal.merge import Merger
from edge.journal.space import Space, lacks_room, wal_bytes_max
from edge.journal.stock import Stock

# How many readings a commit opens to thin them, and how many once the store takes more than it may.
OPENED_MAX, OPENED_OVER_MAX = 2**17, 2**19
DROPPED_BLOCKS_MAX = 2000


class Room:
    """Called under the store's lock only."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, stock: Stock, merger: Merger, handed: Container[int],
        limits: Limits,
    ) -> None:  # fmt: skip
        """``handed``: which blocks the receiver may have."""
        self._path, self._connection, self._stock, self._merger = path, connection, stock, merger
        self._handed = handed
        self._space = Space(path, store_bytes_max=limits.store_bytes_max, free_bytes_min=limits.free_bytes_min)
        self._cramped = False
        self._waiting_max = limits.sealed_bytes_max // 2
        self._wal_max = wal_bytes_max(limits.store_bytes_max) * 5 // 4

    def make(self, now_ns: int) -> None:
        """Thin or drop what is too much. ``now_ns`` is monotonic. Raises ``sqlite3.DatabaseError``.

        What the receiver may have is dropped after what it cannot have, alarms last.
        """
        if self._stock.blocks.gone:
            return  # The disk did not take the last deletion: it still holds, and counts, what was let go.
        used = schema.used_bytes(self._connection)
        stuck = self._stuck(now_ns)
        self._cramped = stuck > 0
        allowed = self._space.allowed(used, self._path.stat().st_size, now_ns)
        saved = self._thin(max(used - allowed.thin, stuck), OPENED_MAX if used <= allowed.most else OPENED_OVER_MAX)
        # To drop for the log's sake is of use only where the dropping itself can still be written.
        self._drop(max(used - allowed.most, 0 if self._stock.sealed else stuck) - saved)

    def win(self, attempt: int, now_ns: int) -> bool:
        """After a write that found no room: whether there may be some now. Raises ``sqlite3.DatabaseError``.

        At the first attempt the reserve goes, and the write-ahead log into the database; at the second the oldest is
        thinned. It is dropped, its pages being of use, once memory would soon have to drop what is newer.
        """
        if attempt == 0:
            self._space.refused(self._path.stat().st_size, now_ns)
        elif attempt == 1 and not self._stock.blocks.gone:
            waiting = sum(len(block.data) for block in self._stock.sealed)
            saved = self._thin(waiting, OPENED_MAX)
            if waiting > self._waiting_max:
                self._drop(waiting - saved)
        if attempt > 1 or (attempt == 1 and not self._stock.blocks.gone):
            return False
        schema.fold_wal(self._connection)
        return True

    def give_back(self) -> None:
        """After a transaction: let the file become smaller where it has much to spare, or must."""
        schema.shrink(self._connection, in_need=self._cramped)

    def _stuck(self, now_ns: int) -> int:
        """Bytes by which the database would have to be smaller for the write-ahead log to fit into it, 0 where it does.

        SQLite does not say so of itself: the log would grow until nothing could be written any more.
        """
        size = schema.wal_bytes(self._path)
        if size <= self._wal_max and not self._space.is_refused:
            return 0
        for _ in range(2):
            try:
                schema.checkpoint(self._connection)
                return 0
            except sqlite3.OperationalError as error:
                if not lacks_room(error) or not self._space.refused(self._path.stat().st_size, now_ns):
                    break
        return size

    def _drop(self, size: int) -> None:
        if size > 0:
            oldest = self._stock.blocks.oldest(size, spare=self._handed)
            self._stock.drop(oldest[:DROPPED_BLOCKS_MAX], Cause.CAP)

    def _thin(self, excess: int, opened_max: int) -> int:
        """Bytes that were saved: ``excess``, or what is possible now."""
        saved = opened = 0
        if excess > 0:
            for readings, merged in self._merger.merges(self._handed):
                opened += readings
                if merged is not None:
                    self._stock.replace(merged)
                    saved += merged.saved_bytes
                if saved >= excess or opened >= opened_max:
                    break
        return saved
