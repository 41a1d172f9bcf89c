"""Counts readings that stand in two blocks, whatever the blocks' keys say: a check on exactly-once from outside of it.

A poll is known by its asset, its tags, the machine's boot and both clocks. Only blocks whose times overlap can share
one, and in a healthy stream none do; so nothing is opened again unless something is amiss.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from cloud.store.clock import corrected
from cloud.store.clocks import Clocks
from cloud.store.derive import Wanted, everything
from cloud.store.rollup import HOUR_S, SECOND_NS
from cloud.store.stored import Names, Stored, opened
from edge.contract.block import Block, Dictionary, Series

BLOCK_SPAN_NS_MAX = 61 * SECOND_NS
"""A gateway seals at least once a minute, so an older beginning cannot reach here."""

Polls = set[tuple[tuple[str, ...], str, int, int]]


def stored_twice(
    connection: sqlite3.Connection,
    names: Names,
    clocks: Clocks,
    dictionaries: Mapping[bytes, Dictionary],
    stored: Sequence[Stored],
    wanted: Wanted = everything,
) -> int:
    """How many readings of these blocks, whose spans are written, stand in another block as well."""
    new = {one.id for one in stored}
    count = 0
    for place, one in enumerate(stored):
        for series in one.block.series:
            asset = names.asset(one.gateway, series.asset)
            if not wanted(one, asset):
                continue
            others = _overlapping(connection, asset, corrected(series, clocks.of(one.gateway, one.boot))) - {one.id}
            if not others:
                continue
            earlier = [s.block for s in stored[:place] if s.id in others]
            earlier += [s.block for s in opened(connection, dictionaries, sorted(others - new))]
            count += len(_polls(series, one.boot) & _of_asset(earlier, series.asset)) * len(series.tags)
    return count


def _overlapping(connection: sqlite3.Connection, asset: int, series: Series) -> set[int]:
    first, last = int(series.read_ns.min()), int(series.read_ns.max())
    start = max(first - BLOCK_SPAN_NS_MAX, -(2**63))
    hours = (start // SECOND_NS // HOUR_S * HOUR_S, last // SECOND_NS // HOUR_S * HOUR_S)
    # Hours that are named let the key find the place within them.
    which = "hour_s IN (?,?)" if hours[1] - hours[0] <= HOUR_S else "hour_s BETWEEN ? AND ?"
    rows = connection.execute(
        f"SELECT block FROM span WHERE asset=? AND {which} AND first_ns BETWEEN ? AND ? AND last_ns >= ?",
        (asset, *hours, start, last, first),
    )
    return {row[0] for row in rows}


def _of_asset(blocks: Iterable[Block], asset: str) -> Polls:
    found: Polls = set()
    for block in blocks:
        for series in block.series:
            if series.asset == asset:
                found |= _polls(series, block.header.boot)
    return found


def _polls(series: Series, boot: str) -> Polls:
    times = zip(series.read_ns.tolist(), series.mono_ns.tolist(), strict=True)
    return {(series.tags, boot, read_ns, mono_ns) for read_ns, mono_ns in times}
