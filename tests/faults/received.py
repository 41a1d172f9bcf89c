"""A receiver in memory: it holds blocks once by their key, as the cloud does, and reads out what an account wants."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field, replace

from edge.contract.block import Block, decode_block
from edge.contract.dictionary import open_dictionary
from edge.contract.types import Alarm, Batch, Cause, Dropped, LedgerRow, Quality
from edge.journal.counts import HOUR_NS
from edge.ports import StoredBlock
from tests.faults.numbered import Account, Counts, Declaration, value_of

MAX_NS = 2**63 - 1
Key = tuple[str, int]
"""Epoch and number of a block."""
ALARM = 4000
"""An alarm is accounted for like a reading, of this tag."""


def name_of(tag: int) -> str:
    return f"t{tag}"


def tag_of(name: str) -> int:
    return int(name[1:])


def opened(block: StoredBlock) -> Block:
    return opened_bytes(block.data, block.dictionary)


@functools.lru_cache(maxsize=20_000)
def opened_bytes(data: bytes, dictionary: bytes = b"") -> Block:
    """Remembered: the same blocks are met after every fault."""
    if not dictionary:
        return decode_block(data)
    known = open_dictionary(dictionary)
    return decode_block(data, {known.digest: known})


@dataclass
class Received:
    """Blocks by epoch and number. ``clashes`` are numbers that came twice with different bytes; of the ``acknowledged``
    ones the gateway was told that they are held."""

    blocks: dict[Key, StoredBlock] = field(default_factory=dict)
    acknowledged: set[Key] = field(default_factory=set)
    clashes: int = 0

    def take(self, epoch: str, block: StoredBlock) -> None:
        known = self.blocks.setdefault((epoch, block.seq), block)
        self.clashes += known.data != block.data

    def rows_of_others(self, epoch: str) -> list[LedgerRow]:
        """The ledger's rows of stores before that of ``epoch``, as they were told last: those broke, the rows stand."""
        last: dict[tuple[str, str, int], LedgerRow] = {}
        for (of, _), block in sorted(self.blocks.items()):
            for record in opened(block).records:
                if isinstance(record, LedgerRow) and of != epoch:
                    last[of, record.tag, record.hour_ns] = record
        return list(last.values())

    def copy(self) -> Received:
        return Received(dict(self.blocks), set(self.acknowledged), self.clashes)

    def fill(
        self, account: Account, *, after_power_cut: bool, waiting: Set[Key] = frozenset(), believe: bool = True,
        timeless: bool = False,
    ) -> Counts:  # fmt: skip
        """Enter what is held and what is declared. After a power cut a loss for power is declared by its times.

        Without ``believe`` declarations count for nothing: a harness that then finds no loss would be blind. Where
        clocks jump a declaration is ``timeless``: its count is what must be right.

        An alarm is said again where its block was dropped before its acknowledgement came, and the receiver may hold it
        all the same: as in the cloud's store it then counts once. Whose block is ``waiting`` or was acknowledged (which
        a power cut may take back) has no reason to say it again.
        """
        alarms: dict[Alarm, Key] = {}
        sound = waiting if after_power_cut else waiting | self.acknowledged
        epochs = list(dict.fromkeys(epoch for epoch, _ in self.blocks))
        for key in sorted(self.blocks, key=lambda key: (epochs.index(key[0]), key[1])):
            block = opened(self.blocks[key])
            for batch in block.batches():
                # What was thinned is merged around blocks that the receiver held already.
                _hold(account, batch, ordered=not block.header.thinned)
            for record in block.records:
                if isinstance(record, Alarm):
                    if record not in alarms or alarms[record] in sound:
                        account.hold(ALARM, record.value, record.at_ns)
                    alarms[record] = key
                elif isinstance(record, Dropped) and believe:
                    said = _declaration(record, after_power_cut=after_power_cut)
                    account.declare(tag_of(record.tag), replace(said, from_ns=0, to_ns=MAX_NS) if timeless else said)
        return Counts(altered=self.clashes)


def _declaration(record: Dropped, *, after_power_cut: bool) -> Declaration:
    # Of what waited in a store that broke the count is known, and when the last of it was polled.
    broken = record.cause is Cause.DISK and record.from_ns == record.to_ns
    return Declaration(
        record.count, 0 if broken else record.from_ns, record.to_ns,
        open=after_power_cut and record.cause is Cause.POWER,
    )  # fmt: skip


def declare_thinned(account: Account, rows: list[LedgerRow]) -> None:
    """What the ledger says was thinned out, which no declaration of its own tells."""
    for row in rows:
        if row.thinned:
            account.declare(tag_of(row.tag), Declaration(row.thinned, row.hour_ns, row.hour_ns + HOUR_NS - 1))


def declare_untold(account: Account, rows: list[LedgerRow], received: Received, epoch: str) -> None:
    """What the ledger counts as dropped beyond all declarations: the disk took a block with a declaration in it."""
    count: Counter[str] = Counter()
    for row in rows:
        count[row.tag] += row.dropped
    for (of, _), block in received.blocks.items():
        for record in opened(block).records:
            if isinstance(record, Dropped) and of == epoch:
                count[record.tag] -= record.count
    end_ns = max((row.hour_ns for row in rows), default=0) + HOUR_NS
    for name, untold in count.items():
        if untold > 0:
            account.declare(tag_of(name), Declaration(untold, 0, end_ns))


def numbered_batch(asset: str, tags: tuple[int, ...], number: int, at_ns: int, mono_ns: int, bad: int = 0) -> Batch:
    """One poll; bit ``i`` of ``bad`` says that its tag ``i`` gave no value. Odd tags are floats."""
    quality = tuple(Quality.BAD_DEVICE if bad >> i & 1 else Quality.GOOD for i in range(len(tags)))
    made = [value_of(tag, number) for tag in tags]
    return Batch(
        asset=asset, tags=tuple(map(name_of, tags)),
        values=tuple(
            None if q.is_bad else float(v) if tag % 2 else v for tag, v, q in zip(tags, made, quality, strict=True)
        ),
        quality=quality, source_ns=(at_ns,) * len(tags), read_ns=at_ns, mono_ns=mono_ns,
    )  # fmt: skip


def _hold(account: Account, batch: Batch, *, ordered: bool) -> None:
    for name, value, quality in zip(batch.tags, batch.values, batch.quality, strict=True):
        if not quality.is_bad:
            account.hold(tag_of(name), value, batch.read_ns, ordered=ordered)
