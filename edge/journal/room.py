"""Makes room in the store before what is new is written: by thinning, then by dropping, a bounded part a commit."""

from __future__ import annotations

import sqlite3

from edge.contract.types import Cause
from edge.journal import schema
from edge.journal.limits import Limits
from edge.journal.merge import Merger
from edge.journal.space import Space
from edge.journal.stock import Stock

# Thinning begins at this part of what the store may take, so that dropping need not begin because thinning is slow.
THIN_FROM = 7 / 8
# How many readings a commit opens to thin them, and how many once the store takes more than it may.
OPENED_MAX, OPENED_OVER_MAX = 2**17, 2**19
DROPPED_BLOCKS_MAX = 2000


class Room:
    """Called under the store's lock only."""

    def __init__(
        self, connection: sqlite3.Connection, stock: Stock, merger: Merger, space: Space, *, limits: Limits
    ) -> None:
        self._connection, self._stock, self._merger, self._space = connection, stock, merger, space
        self._waiting_max = limits.sealed_bytes_max // 2

    def make(self, now_ns: int) -> None:
        """Thin or drop what is too much. ``now_ns`` is monotonic. Raises ``sqlite3.DatabaseError``.

        What the receiver may have is dropped after what it cannot have, alarms last.
        """
        if self._stock.blocks.gone:
            return  # The disk did not take the last deletion: it still holds, and counts, what was let go.
        used = schema.used_bytes(self._connection)
        allowed = self._space.allowed(used, now_ns)
        excess = used - int(allowed * THIN_FROM)
        over = used - allowed - self._thin(excess, OPENED_MAX if used <= allowed else OPENED_OVER_MAX)
        self._drop(over)

    def win(self, now_ns: int) -> bool:
        """After a write that found no room: whether there may be some now. Raises ``sqlite3.DatabaseError``.

        The reserve comes first, then thinning. The oldest in the store, whose pages can be used again, are dropped once
        memory would soon have to drop what is newer.
        """
        if not self._space.refused(now_ns):
            if self._stock.blocks.gone:
                return False
            waiting = sum(len(block.data) for block in self._stock.sealed)
            saved = self._thin(waiting, OPENED_MAX)
            if waiting > self._waiting_max:
                self._drop(waiting - saved)
            if not self._stock.blocks.gone:
                return False
        schema.fold_wal(self._connection)
        return True

    def _drop(self, size: int) -> None:
        if size > 0:
            oldest = self._stock.blocks.oldest(size, spare=self._stock.sent)
            self._stock.drop(oldest[:DROPPED_BLOCKS_MAX], Cause.CAP)

    def _thin(self, excess: int, opened_max: int) -> int:
        """Bytes that were saved: ``excess``, or what is possible now."""
        saved = opened = 0
        if excess > 0:
            for readings, merged in self._merger.merges(self._stock.sent):
                opened += readings
                if merged is not None:
                    self._stock.replace(merged)
                    saved += merged.saved_bytes
                if saved >= excess or opened >= opened_max:
                    break
        return saved
