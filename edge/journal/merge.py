"""Which blocks are thinned next, and the one block that takes their place.

Blocks of one span are merged and thinned: over 10 s, later over 60 s, at last over 600 s. Ten seconds still show what
happened within a shift, a minute and ten minutes are what rollups are made of, and each step leaves a fraction of the
one before. At each span the oldest come first; and of the three spans that one is next whose oldest block is the oldest
in proportion to it. So what is new keeps its detail longest, and what is six times as old has a sixth of it.

Only telemetry is thinned that was never handed out: of what was, the receiver may hold the original. A span is thinned
once newer blocks are of another, in pieces that one block can hold, and only where that saves enough to be worth it.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from edge.contract.block import READINGS_MAX, Block, encode_block
from edge.contract.types import Lane, LedgerRow
from edge.errors import BlockError
from edge.journal.blocks import Blocks, Entry, Row
from edge.journal.counts import Counts, Held, ScanGroup
from edge.journal.seal import Sealed
from edge.journal.thin import thin

log = logging.getLogger("babbitt.journal")

SPANS_S = (10, 60, 600)
# How many blocks are merged at most, and how much of their bytes must go.
BLOCKS_MAX = 600
SAVED_SHARE_MIN = 1 / 4


@dataclass(frozen=True, slots=True)
class Merged:
    """``block`` takes the place of ``gone``, None where nothing is left; ``removed`` are the readings that went."""

    gone: list[Entry]
    block: Sealed | None
    removed: tuple[Held, ...]
    saved_bytes: int


@dataclass(frozen=True, slots=True)
class _Run:
    """Blocks that follow each other within one span."""

    span_s: int
    rows: list[Row]


class Merger:
    """Goes through the store once for each span. Called under the store's lock only."""

    def __init__(self, blocks: Blocks, groups: Mapping[int, ScanGroup]) -> None:
        self._blocks, self._groups = blocks, groups
        self._done = dict.fromkeys(SPANS_S, 0)

    def merges(self, spare: Container[int]) -> Iterator[tuple[int, Merged | None]]:
        """One merge after the other, without what is to ``spare``: how many readings were opened, and what came of it.

        The caller puts each in the blocks' place before it asks for the next. Raises ``sqlite3.DatabaseError``.
        """
        while (run := self._next(spare)) is not None:
            self._done[run.span_s] = run.rows[-1].seq
            yield sum(row.readings for row in run.rows), self._merge(run)

    def _next(self, spare: Container[int]) -> _Run | None:
        newest = self._blocks.newest()
        if newest is None:
            return None
        runs = [run for span_s in SPANS_S if (run := self._run(span_s, newest, spare)) is not None]
        return max(runs, key=lambda run: (newest.seq - run.rows[0].seq) / run.span_s, default=None)

    def _run(self, span_s: int, newest: Row, spare: Container[int]) -> _Run | None:
        """The oldest blocks that are still to be thinned over this span."""

        def span(row: Row) -> int:
            return row.from_ns // (span_s * 10**9)

        rows = self._free(span_s, spare)
        if not rows or span(rows[0]) == span(newest):
            return None
        total = itertools.accumulate(row.readings for row in rows)
        together = itertools.takewhile(
            lambda pair: span(pair[0]) == span(rows[0]) and (pair[1] <= READINGS_MAX or pair[0] is rows[0]),
            zip(rows, total, strict=True),
        )
        return _Run(span_s, [row for row, _ in together])

    def _free(self, span_s: int, spare: Container[int]) -> list[Row]:
        """The oldest blocks that may be thinned and follow each other.

        One that was handed out, or was thinned as much before, ends a run: what is older must not come after it.
        """

        def is_free(row: Row) -> bool:
            return row.thinned < span_s and row.seq not in spare

        while found := self._blocks.telemetry(after=self._done[span_s], limit=BLOCKS_MAX):
            begin = next((row.seq for row in found if is_free(row)), found[-1].seq + 1)
            if begin == found[0].seq:
                return list(itertools.takewhile(is_free, found))
            self._done[span_s] = begin - 1
        return []

    def _merge(self, run: _Run) -> Merged | None:
        """None where it is not worth it, or cannot be done."""
        opened = [(row, block) for row in run.rows if (block := self._blocks.opened(row.seq)) is not None]
        # A block is of one boot.
        opened = [(row, block) for row, block in opened if block.header.boot == opened[0][1].header.boot]
        if not opened:
            return None
        self._done[run.span_s] = opened[-1][0].seq
        return self._thinned([row for row, _ in opened], [block for _, block in opened], run.span_s)

    def _thinned(self, rows: list[Row], blocks: list[Block], span_s: int) -> Merged | None:
        found = thin((one for block in blocks for one in block.series), span_s * 10**9)
        gone = self._blocks.find(row.seq for row in rows)
        held, removed = _parted(gone, found.removed, self._groups)
        records = [record for block in blocks for record in block.records if not isinstance(record, LedgerRow)]
        header, data = blocks[-1].header, b""
        try:
            if found.batches or records:
                data = encode_block(
                    header.key, boot=header.boot, lane=Lane.TELEMETRY, sealed_ns=header.sealed_ns,
                    batches=found.batches, records=records, thinned=True,
                )  # fmt: skip
        except BlockError as error:
            log.warning("blocks %d to %d are not thinned: %s", rows[0].seq, rows[-1].seq, error.problem)
            return None
        before = sum(row.size for row in rows)
        if before - len(data) < before * SAVED_SHARE_MIN:
            return None
        block = Sealed(
            seq=header.key.seq, lane=Lane.TELEMETRY, readings=len(found.batches), sealed_ns=header.sealed_ns,
            from_ns=min(entry.from_ns for entry in gone), to_ns=max(entry.to_ns for entry in gone), held=held,
            data=data, thinned=span_s, owes=tuple(loss for entry in gone for loss in entry.owes),
        )  # fmt: skip
        return Merged(gone, block if data else None, removed, before - len(data))


def _parted(
    gone: Iterable[Entry], removed: Mapping[tuple[str, str, int], int], groups: Mapping[int, ScanGroup]
) -> tuple[tuple[Held, ...], tuple[Held, ...]]:
    """What blocks held, by scan group and hour, as what stays and what is removed."""
    held: dict[tuple[int, int], Counts] = {}
    for part in (part for entry in gone for part in entry.held):
        key = (part.group, part.hour_ns)
        held[key] = held[key] + part.good if key in held else part.good
    left = dict(removed)
    stays, goes = [], []
    for (number, hour_ns), good in held.items():
        group = groups[number]
        # A tag that is in two groups of its asset is taken from the first that has it: their sum is what is told.
        taken = np.zeros_like(good)
        for index, (tag, count) in enumerate(zip(group.tags, good.tolist(), strict=True)):
            name = (group.asset, tag, hour_ns)
            taken[index] = min(count, left.get(name, 0))
            if taken[index]:
                left[name] -= int(taken[index])
        stays.append(Held(number, hour_ns, good - taken))
        goes.append(Held(number, hour_ns, taken))
    return tuple(part for part in stays if part.good.any()), tuple(part for part in goes if part.good.any())
