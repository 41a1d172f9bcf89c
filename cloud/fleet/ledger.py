"""Compares what a gateway's journal says it delivered with what is held here, for every tag and hour.

A gateway's row says how many good readings it has kept, with all that its journal did up to and including the block
that carries the row. What it did not thin or drop must be here once every block up to that one is. Readings of later
blocks are set aside before the two are compared, so that the hour that is still running can be verified as well.

What is held is counted when a block comes. So that a store that loses a block afterwards does not go on agreeing, the
blocks of each stream are counted as well, now and then: what was acknowledged must still be there.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cloud.store.reader import AssetRow, LedgerPair, Reader
from cloud.store.rollup import HOUR_S, SECOND_NS
from edge.contract.block import decode_block
from edge.contract.types import Quality

LATER_BLOCKS_MAX = 256
REMEMBERED_MAX = 4096
RECOUNT_AFTER_S = 15.0

State = Literal["agrees", "waiting", "disagrees"]
Good = Counter[tuple[str, int]]
"""Good readings by tag and hour."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """``expected`` good readings of a tag and hour by the gateway's word, ``held`` by ours."""

    tag: str
    hour_s: int
    expected: int
    held: int


@dataclass(frozen=True, slots=True)
class Balance:
    """An asset's ledger in sums over tags and hours, as the gateway told it, with what is held beside it.

    ``held_good`` is held of what was told, ``later_good`` came after it. ``waiting`` counts tags and hours that cannot
    be compared yet, since blocks before the gateway's row are still missing, or no row has come. ``gone`` counts
    blocks, of all of the gateway's assets, that were acknowledged and are in the store no longer.
    """

    state: State
    offered: int
    good: int
    bad_bus: int
    bad_device: int
    bad_decode: int
    unchanged: int
    thinned: int
    dropped: int
    held_good: int
    later_good: int
    held_bad: int
    compared: int
    waiting: int
    gone: int
    mismatches: tuple[Mismatch, ...]


class Books:
    """Balances assets. What was held when a row was told does not change any more, so it is counted only once."""

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._held_then: OrderedDict[tuple[int, int, int], Good] = OrderedDict()
        self._gone: dict[int, tuple[float, int]] = {}

    def balance(self, reader: Reader, asset: AssetRow) -> Balance:
        pairs = reader.ledger(asset.id)
        gone = sum(self._gone_of(reader, stream) for stream in {pair.stream for pair in pairs})
        return balance(pairs, [self._as_told(reader, asset, pair) for pair in pairs], gone=gone)

    def _gone_of(self, reader: Reader, stream: int) -> int:
        now_s = self._monotonic_s()
        known = self._gone.get(stream)
        if known is None or now_s - known[0] >= RECOUNT_AFTER_S:
            known = self._gone[stream] = (now_s, reader.gone(stream))
        return known[1]

    def _as_told(self, reader: Reader, asset: AssetRow, pair: LedgerPair) -> LedgerPair:
        """The pair without what came after its row, as far as that can be told."""
        if pair.told is None or pair.told_seq > pair.through or pair.held_seq <= pair.told_seq:
            return pair
        key = (asset.id, pair.stream, pair.told_seq)
        if key not in self._held_then:
            then = held_then(reader, asset, pair)
            if then is None:
                return pair
            self._held_then[key] = then
            if len(self._held_then) > REMEMBERED_MAX:
                self._held_then.popitem(last=False)
        return replace(pair, held_good=self._held_then[key][(pair.tag, pair.hour_s)], held_seq=pair.told_seq)


def held_then(reader: Reader, asset: AssetRow, pair: LedgerPair) -> Good | None:
    """What is held of an asset in one stream up to the block with the pair's row; None where too much came since."""
    limit = LATER_BLOCKS_MAX + 1
    pairs, blocks = reader.ledger_with_later(asset.id, pair.stream, pair.told_seq, limit=limit)
    if len(blocks) == limit:
        return None
    then: Good = Counter({(p.tag, p.hour_s): p.held_good for p in pairs if p.stream == pair.stream})
    for data in blocks:
        for series in decode_block(data).series:
            if series.asset == asset.asset:
                hours = series.read_ns // (HOUR_S * SECOND_NS) * HOUR_S
                good = series.quality < Quality.BAD_BUS
                for hour in np.unique(hours).tolist():
                    counts = good[hours == hour].sum(axis=0).tolist()
                    then.subtract({(tag, hour): n for tag, n in zip(series.tags, counts, strict=True)})
    return then


def judge(pair: LedgerPair) -> State:
    """Whether the two sides of one tag and hour agree."""
    if pair.told is None or pair.told_seq > pair.through:
        return "waiting"
    expected = expected_of(pair)
    if pair.held_good < expected:
        return "disagrees"
    if pair.held_seq > pair.told_seq:
        return "waiting"
    return "agrees" if pair.held_good == expected else "disagrees"


def expected_of(pair: LedgerPair) -> int:
    """Good readings that must be held by the gateway's word."""
    assert pair.told is not None
    return pair.told.kept - pair.told.thinned - pair.told.dropped


def balance(pairs: Sequence[LedgerPair], as_told: Sequence[LedgerPair], *, gone: int) -> Balance:
    """The sums of an asset, and each disagreement; ``as_told`` are the pairs without what came after their rows."""
    states = [judge(pair) for pair in as_told]
    told = [pair.told for pair in pairs if pair.told is not None]
    mismatches = tuple(
        Mismatch(pair.tag, pair.hour_s, expected_of(pair), pair.held_good)
        for pair, state in zip(as_told, states, strict=True)
        if state == "disagrees"
    )
    agreed = states.count("agrees")
    held_good = sum(pair.held_good for pair in as_told if pair.told is not None)
    return Balance(
        state="disagrees" if mismatches or gone else "agrees" if agreed else "waiting",
        offered=sum(row.offered for row in told), good=sum(row.good for row in told),
        bad_bus=sum(row.bad_bus for row in told), bad_device=sum(row.bad_device for row in told),
        bad_decode=sum(row.bad_decode for row in told), unchanged=sum(row.unchanged for row in told),
        thinned=sum(row.thinned for row in told), dropped=sum(row.dropped for row in told),
        held_good=held_good, later_good=sum(pair.held_good for pair in pairs) - held_good,
        held_bad=sum(pair.held_bad for pair in pairs), compared=agreed + len(mismatches),
        waiting=states.count("waiting"), gone=gone, mismatches=mismatches,
    )  # fmt: skip
