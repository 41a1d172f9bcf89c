"""What waits to go up: blocks in the store, and sealed ones that the disk has not taken yet; and how they leave.

A block leaves by an acknowledgement, or is dropped for a cause. Then its readings move in the ledger, the recorder's
counters follow, a loss is declared with the next block, and what its records said is sent again as far as it can be.
"""

from __future__ import annotations

import itertools
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from edge.contract.types import Cause, Dropped, Lane
from edge.journal.blocks import Blocks, Chosen, Entry, open_block
from edge.journal.carry import carried, lost
from edge.journal.counts import Counts, Held, Owes, ScanGroup
from edge.journal.groups import Groups
from edge.journal.intake import Door, Intake, add_dropped
from edge.journal.ledger import Ledger
from edge.journal.merge import Merged
from edge.journal.seal import Sealed, owes_of
from edge.ports import Losses, StoredBlock

log = logging.getLogger("babbitt.journal")

# How many blocks' records are in memory while blocks are dropped.
DROPPED_AT_ONCE_MAX = 64


class Stock:
    """``sent`` are the blocks that were handed out in this run, ``backlog`` the blocks and readings that are durable,
    ``good`` the readings that wait, sealed ones too, ``declared`` the losses that the next block tells, ``again`` the
    records of dropped blocks that it says once more.

    Called under the store's lock only; ``backlog`` and ``losses`` are read by others too.
    """

    def __init__(
        self, connection: sqlite3.Connection, groups: Groups, ledger: Ledger, door: Door, *, losses: Losses
    ) -> None:
        self.blocks = Blocks(connection, groups)
        self.sealed: list[Sealed] = []
        self.sent: set[int] = set()
        self.declared: dict[tuple[str, str, Cause], Dropped] = {}
        self.again = Intake()
        self.losses = losses
        self.backlog = (0, 0)
        self.good = 0
        self._groups, self._ledger, self._door = groups, ledger, door
        self._places: dict[tuple[str, str], tuple[ScanGroup, int]] = {}
        self._owed: Counter[tuple[str, str]] = Counter()
        self._thinned: dict[int, Counts] = {}

    def count(self) -> None:
        """Begin with what earlier runs left. Raises ``sqlite3.DatabaseError``."""
        self.backlog = self.blocks.sums()
        self.good = 0
        for part in self.held():
            self.good += int(part.good.sum())
            self._door.cells(self._groups.by_id[part.group]).waiting[:] += part.good
        for owes in (*self.blocks.owes(), *(block.owes for block in self.sealed)):
            self._count_owed(owes, 1)
        for number, thinned in self._ledger.thinned_untold(self.blocks.lowest()):
            self._door.cells(self._groups.by_id[number]).waiting[:] += thinned
            self._owe_thinned(number, thinned)

    def held(self) -> Iterator[Held]:
        """All good readings that await acknowledgement, but for those that no commit has taken yet."""
        yield from self.blocks.held()
        for block in self.sealed:
            yield from block.held

    def hand_out(self, chosen: Chosen) -> list[StoredBlock]:
        """An acknowledgement may name these blocks from now on; those that the disk altered are let go."""
        if chosen.altered:
            self.blocks.set_aside(chosen.altered)
            self.settle(chosen.altered, Cause.DECODE)
            self.losses = Losses(self.losses.records, self.losses.blocks + len(chosen.altered))
        self.sent.update(block.seq for block in chosen.sound)
        return chosen.sound

    @property
    def owes(self) -> bool:
        """Whether the ledger's rows are all that is left to tell of some losses."""
        return any(self._owed.values())

    def owing(self, blocks: list[Sealed]) -> list[Sealed]:
        """Blocks that tell rows of the ledger: with them go losses whose own declaration was lost or refused."""
        owed = tuple((*name, count) for name, count in self._owed.items() if count)
        self._owed.clear()
        return [*blocks[:-1], replace(blocks[-1], owes=blocks[-1].owes + owed)]

    def add(self, blocks: Iterable[Sealed]) -> None:
        """Newly sealed blocks, to be written."""
        for block in blocks:
            self.good += sum(int(part.good.sum()) for part in block.held)
            if block.data:
                self.sealed.append(block)
            else:
                log.error("one poll or record is more than a block holds and was dropped")
                self._let_go(block, Cause.DECODE)
                self.count_lost(not block.readings)

    def trim(self, bytes_max: int) -> None:
        """Of what the disk has not taken, drop the oldest that is more than memory may hold."""
        while sum(len(block.data) for block in self.sealed) > bytes_max:
            oldest = min(self.sealed, key=lambda block: (-block.lane, block.seq))
            self.sealed.remove(oldest)
            self._let_go(oldest, Cause.DISK)
            self._carry(oldest.lane, oldest.data, oldest.dictionary)

    def settle(self, seqs: Iterable[int], cause: Cause | None) -> None:
        """Let stored blocks go: acknowledged, or dropped for a cause. Raises before the first change or not at all."""
        found = self.blocks.find(seqs)
        self._ledger.load((part.hour_ns, part.group) for entry in found for part in entry.held)
        for entry in found:
            self.blocks.gone.add(entry.seq)
            self.sent.discard(entry.seq)
            self.backlog = (self.backlog[0] - 1, self.backlog[1] - entry.readings)
            self._let_go(entry, cause)

    def refuse(self, seqs: Iterable[int]) -> None:
        """Drop blocks that the receiver will never take.

        What they say goes up once more, unless that is all they hold: then it would be refused for ever.
        """
        found = self.blocks.find(seqs)
        self.drop((entry.seq for entry in found if entry.readings), Cause.DECODE)
        for entry in found:
            if not entry.readings:
                block = self.blocks.opened(entry.seq)
                self.settle([entry.seq], Cause.DECODE)
                self.count_lost(lost(block.records) if block else 0)

    def drop(self, seqs: Iterable[int], cause: Cause) -> None:
        """Drop stored blocks; what their records say goes up with a later one."""
        numbers = iter(seqs)
        while some := list(itertools.islice(numbers, DROPPED_AT_ONCE_MAX)):
            stored = self.blocks.read(some)
            self.settle(some, cause)
            for lane, data, named in stored:
                self._carry(lane, data, named)

    def replace(self, merged: Merged) -> None:
        """Let merged blocks go for the one that takes their place. Raises before the first change or not at all."""
        self._ledger.load((part.hour_ns, part.group) for part in merged.removed)
        for entry in merged.gone:
            self.blocks.gone.add(entry.seq)
            self.backlog = (self.backlog[0] - 1, self.backlog[1] - entry.readings)
            if entry.tells:
                self._ledger.untold(entry.tells)
        self._ledger.thinned(merged.removed)
        for part in merged.removed:
            # They go on waiting in the recorder until the ledger has told of them.
            self.good -= int(part.good.sum())
            self._owe_thinned(part.group, part.good)
        if merged.block is not None:
            self.sealed.append(merged.block)

    def drained(self) -> None:
        """Where nothing waits and the ledger has nothing to tell, the receiver knows what was thinned."""
        if self._thinned and not self.backlog[0] and not self.sealed and not self._ledger.is_due:
            for number, thinned in self._thinned.items():
                self._door.cells(self._groups.by_id[number]).waiting[:] -= thinned
            self._thinned.clear()

    def forgo(self, group: ScanGroup, unchanged: Counts) -> None:
        """Readings that are stored nowhere wait for nobody: were the store to break, they would not be lost with it."""
        self._door.cells(group).waiting[:] -= unchanged

    def lost(self, group: ScanGroup, good: Counts, cause: Cause, from_ns: int, to_ns: int) -> None:
        """Declare lost readings of ``group``, a count a tag, with the next block."""
        for tag, count in zip(group.tags, good.tolist(), strict=True):
            if count:
                add_dropped(self.declared, Dropped(group.asset, tag, cause, count, from_ns, to_ns))

    def count_lost(self, records: int) -> None:
        """Records that nobody will ever see; logged with the first one of a loss."""
        if records:
            self.losses = Losses(self.losses.records + records, self.losses.blocks)
            log.warning("%d records (verdicts, snapshots) were lost; %d in all", records, self.losses.records)

    def write(self, now_ns: int) -> None:
        """Put new blocks into the open transaction, and take out those that left. ``now_ns`` is the wall clock."""
        self.blocks.write(self.sealed, now_ns)

    def written(self) -> None:
        """The transaction was committed."""
        blocks, readings = self.backlog
        self.backlog = (blocks + len(self.sealed), readings + sum(block.readings for block in self.sealed))
        self.sealed.clear()
        self.blocks.written()

    def _let_go(self, block: Entry | Sealed, cause: Cause | None) -> None:
        """Move its readings out of what is pending; a loss is declared with the next commit."""
        self._ledger.settled(block.held, cause)
        if cause is None:
            self._count_owed(block.owes, -1)
        else:
            self._owe(block.owes, 1)
            if block.tells:
                self._ledger.untold(block.tells)
        for part in block.held:
            self.good -= int(part.good.sum())
            group = self._groups.by_id[part.group]
            if cause is None:
                self._door.cells(group).waiting[:] -= part.good
            else:
                self.lost(group, part.good, cause, block.from_ns, block.to_ns)

    def _owe_thinned(self, number: int, thinned: Counts) -> None:
        self._thinned[number] = self._thinned.get(number, 0) + thinned

    def _owe(self, owes: Owes, times: int) -> None:
        """Losses that no block declares any more: less those that a later one does."""
        for asset, tag, count in owes:
            self._owed[asset, tag] += times * count

    def _count_owed(self, owes: Owes, times: int) -> None:
        """A loss waits in the recorder until the receiver has been told: with the store it would be forgotten."""
        for asset, tag, count in owes:
            group, place = self._place(asset, tag)
            self._door.cells(group).waiting[place] += times * count

    def _place(self, asset: str, tag: str) -> tuple[ScanGroup, int]:
        if (asset, tag) not in self._places:
            groups = list(self._groups.by_id.values())
            group = next((g for g in groups if g.asset == asset and tag in g.tags), None)
            group = group or self._groups.of(asset, (tag,))
            self._places[asset, tag] = group, group.tags.index(tag)
        return self._places[asset, tag]

    def _carry(self, lane: Lane, data: bytes, named: int) -> None:
        block = open_block(data, named, self._groups)
        again = carried(block.records if block else ())
        for record in again.records:
            self.again.add(record, lane)
        for dropped in again.dropped:
            add_dropped(self.declared, dropped)
        self._owe(owes_of(again.dropped), -1)
        self.count_lost(again.lost)
