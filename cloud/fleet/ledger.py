"""Compares what a gateway's journal says it delivered with what is held here, for every tag and hour.

A gateway's row says how many good readings it has kept, with all that its journal did up to and including the block
that carries the row. What it did not thin or drop must be here once every block up to that one is. More than that is
here only from blocks that came after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cloud.store.reader import LedgerPair

State = Literal["agrees", "waiting", "disagrees"]


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

    ``waiting`` counts tags and hours that cannot be compared yet: blocks are missing, or newer ones have come.
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
    held_bad: int
    compared: int
    waiting: int
    mismatches: tuple[Mismatch, ...]


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


def balance(pairs: Sequence[LedgerPair]) -> Balance:
    """The sums of an asset, and each disagreement."""
    states = [judge(pair) for pair in pairs]
    told = [pair.told for pair in pairs if pair.told is not None]
    mismatches = tuple(
        Mismatch(pair.tag, pair.hour_s, expected_of(pair), pair.held_good)
        for pair, state in zip(pairs, states, strict=True)
        if state == "disagrees"
    )
    agreed = states.count("agrees")
    return Balance(
        state="disagrees" if mismatches else "agrees" if agreed else "waiting",
        offered=sum(row.offered for row in told), good=sum(row.good for row in told),
        bad_bus=sum(row.bad_bus for row in told), bad_device=sum(row.bad_device for row in told),
        bad_decode=sum(row.bad_decode for row in told), unchanged=sum(row.unchanged for row in told),
        thinned=sum(row.thinned for row in told), dropped=sum(row.dropped for row in told),
        held_good=sum(pair.held_good for pair in pairs), held_bad=sum(pair.held_bad for pair in pairs),
        compared=agreed + len(mismatches), waiting=states.count("waiting"), mismatches=mismatches,
    )  # fmt: skip
