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
from cloud.store.derive import NOTHING_KEPT, Kept, derive
from cloud.store.dictionaries import Dictionaries
from cloud.store.repeats import stored_twice
from cloud.store.stored import OPEN, Names, Stored, open_rows, opened
from cloud.store.told import tell
from cloud.store.trouble import Refusal, count_refusal, is_trouble
from edge.contract.block import Block

BLOCKS_AT_ONCE = 256

log = logging.getLogger(__name__)

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
        """Derive from blocks, in the order of their rows: each stream's next ones."""
        try:
            with self._savepoint():
                self._derive(stored, kept)
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
            self._connection.execute(
                "INSERT OR REPLACE INTO derived SELECT id, ?, through FROM stream WHERE id=?", (blocks[-1].id, stream)
            )

    def _derive(self, stored: Sequence[Stored], kept: Kept) -> None:
        derive(self._connection, self.names, self.clocks, stored, kept)
        for stream, blocks in _by_stream(stored).items():
            twice = stored_twice(self._connection, self.names, self.clocks, self.dictionaries, blocks)
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


def _by_stream(stored: Sequence[Stored]) -> dict[int, list[Stored]]:
    found: dict[int, list[Stored]] = defaultdict(list)
    for one in stored:
        found[one.stream].append(one)
    return found
