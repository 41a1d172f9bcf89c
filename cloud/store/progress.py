"""How far the derived tables are: steps that move them on, each leaving its mark in the same transaction."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from cloud.store import repair
from cloud.store.clock import corrected_block
from cloud.store.clocks import Clocks
from cloud.store.derive import NOTHING_KEPT, RECORDS, Kept, Wanted, derive
from cloud.store.dictionaries import Dictionaries
from cloud.store.repeats import stored_twice
from cloud.store.stored import OPEN, Names, Stored, open_rows, opened
from cloud.store.told import tell
from cloud.store.trouble import Refusal, count_refusal, is_trouble
from edge.contract.block import Block

BLOCKS_AT_ONCE = 256

log = logging.getLogger(__name__)

Part = tuple[int, str] | None
"""A gateway's number and an asset's name: its readings. None: all that is in blocks beside readings."""
Transaction = Callable[[], AbstractContextManager[None]]


class Tables:
    """The derived tables of one connection, with what is remembered of them. Belongs to one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.names, self.clocks, self.dictionaries = Names(connection), Clocks(connection), Dictionaries(connection)

    def forget(self) -> None:
        """After a rollback: what was remembered may be gone."""
        for part in (self.names, self.clocks, self.dictionaries):
            part.forget()

    def tell(self, stored: Sequence[Stored]) -> None:
        """What pages need at once. May be repeated."""
        for one in stored:
            tell(self._connection, self.names, one)

    def derive(self, stored: Sequence[Stored], kept: Kept = NOTHING_KEPT) -> None:
        """Derive from blocks, in the order of their rows: each stream's next ones, without the parts that are done."""
        try:
            with self._savepoint():
                self._derive(stored, kept, self._undone())
        except Exception as error:
            if is_trouble(error):
                raise
            if len(stored) > 1:
                for one in stored:
                    self.derive([one], kept)
                return
            # A mistake of this program must not stop all the others; a release without it can derive them anew.
            log.exception("the block in row %d is stored, but not derived", stored[0].id)
            self._pass_over(stored[0], error)
        for stream, blocks in _by_stream(stored).items():
            last = blocks[-1].id
            self._connection.execute(
                "INSERT OR REPLACE INTO derived SELECT id, ?, through FROM stream WHERE id=?", (last, stream)
            )
            self._connection.execute("DELETE FROM derived_part WHERE stream=? AND block <= ?", (stream, last))

    def derive_part(self, stored: Sequence[Stored], part: Part) -> None:
        """Derive the readings of one asset, or the records, of these blocks; the mark of it is left beside."""
        undone = self._undone()
        try:
            with self._savepoint():
                number = RECORDS if part is None else self.names.asset(*part)
                self._derive(stored, NOTHING_KEPT, lambda one, asset: asset == number and undone(one, asset))
        except Exception as error:
            if is_trouble(error):
                raise
            log.debug("a part is left to be derived block by block: %r", error)
            return
        self._connection.executemany(
            "INSERT INTO derived_part VALUES (?,?,?) ON CONFLICT(stream, asset) DO UPDATE SET"
            " block = max(block, excluded.block)",
            [(stream, number, blocks[-1].id) for stream, blocks in _by_stream(stored).items()],
        )

    def _undone(self) -> Wanted:
        rows = self._connection.execute("SELECT stream, asset, block FROM derived_part").fetchall()
        done = {(stream, asset): block for stream, asset, block in rows}
        return lambda one, asset: one.id > done.get((one.stream, asset), 0)

    def _derive(self, stored: Sequence[Stored], kept: Kept, wanted: Wanted) -> None:
        derive(self._connection, self.names, self.clocks, stored, kept, wanted)
        for stream, blocks in _by_stream(stored).items():
            twice = stored_twice(self._connection, self.names, self.clocks, self.dictionaries, blocks, wanted)
            if twice:
                self._connection.execute(
                    "UPDATE stream SET stored_twice = stored_twice + ? WHERE id=?", (twice, stream)
                )

    def _pass_over(self, one: Stored, error: Exception) -> None:
        refusal = Refusal("not derived", repr(error))
        count_refusal(self._connection, one.block.header.key.gateway, refusal, time.time_ns())

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        self._connection.execute("SAVEPOINT derive")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO derive")
            self.forget()
            raise
        finally:
            if self._connection.in_transaction:
                self._connection.execute("RELEASE derive")

    def mark(self, block: int) -> None:
        """Every block up to this row is derived."""
        self._connection.execute("UPDATE progress SET block=?", (block,))

    def opened(self, ids: Sequence[int]) -> list[Stored]:
        return opened(self._connection, self.dictionaries, ids)

    def corrected(self, ids: Sequence[int]) -> list[Block]:
        """Blocks by their rows, with true times."""
        return [corrected_block(one.block, self.clocks.of(one.gateway, one.boot)) for one in self.opened(ids)]

    def repair(self, step: repair.Boot | repair.Minutes) -> None:
        repair.take(self._connection, self.names, self.clocks, self.opened, step)

    def repair_all(self) -> None:
        while step := repair.next_step(self._connection):
            self.repair(step)

    def catch_up(
        self,
        *,
        transaction: Transaction = nullcontext,
        kept: Kept = NOTHING_KEPT,
        progress: Callable[[int], None] = lambda _blocks: None,
    ) -> int:
        """Derive from every stored block that is not derived yet, a part a transaction; how many there were."""
        done = 0
        for blocks, last in self._behind():
            with transaction():
                self.tell(blocks)
                if blocks:
                    self.derive(blocks, kept)
                self.mark(last)
            done += len(blocks)
            progress(done)
        return done

    def _behind(self) -> Iterator[tuple[list[Stored], int]]:
        (after,) = self._connection.execute("SELECT block FROM progress").fetchone()
        while rows := self._connection.execute(_BEHIND, (after, BLOCKS_AT_ONCE)).fetchall():
            after = rows[-1][0]
            yield open_rows((row for row in rows if not row[4]), self.dictionaries), after


_BEHIND = OPEN.replace(" FROM", ", block.id <= coalesce(derived.block, 0) FROM") + (
    " LEFT JOIN derived USING (stream) WHERE block.id > ? ORDER BY block.id LIMIT ?"
)


def parts_of(stored: Sequence[Stored]) -> list[Part]:
    """What ``derive_part`` may be called with for these blocks, in this order; ``derive`` does what is left."""
    return [None, *dict.fromkeys((one.gateway, series.asset) for one in stored for series in one.block.series)]


def _by_stream(stored: Sequence[Stored]) -> dict[int, list[Stored]]:
    found: dict[int, list[Stored]] = defaultdict(list)
    for one in stored:
        found[one.stream].append(one)
    return found
