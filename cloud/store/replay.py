"""A gateway's blocks once more in the order in which it sealed them, with true times: what is learned from.

``cloud.store.sequence`` reads them, a few at a time, however long the history; here it is told how much there is of
each journal, also as an earlier run has seen it, and times are put right as they are known today.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cloud.store.clock import corrected_block
from cloud.store.clocks import settings_of
from cloud.store.reader import Reader
from cloud.store.sequence import Journal, in_order
from edge.contract.block import Block


@dataclass(frozen=True, slots=True)
class Extent:
    """One journal of a gateway, ``blocks`` of it held with numbers up to ``last_seq``, and ``missing`` ones between.

    ``removed``: of the missing ones, those that the policy of retention took.
    """

    gateway: str
    epoch: str
    stream: int
    last_seq: int
    blocks: int
    missing: int
    removed: int


def extents(reader: Reader) -> list[Extent]:
    """Every stream with blocks, those of one gateway in the order in which they were first heard of."""
    with reader.snapshot() as connection:
        rows = connection.execute(_EXTENTS).fetchall()
    return [
        Extent(gateway, epoch, stream, last, held, last - held, removed)
        for gateway, epoch, stream, last, held, removed in rows
    ]


def upto(reader: Reader, gateway: str, epoch: str, last_seq: int) -> Extent | None:
    """A stream as far as ``last_seq``, as an earlier run has seen it; None where it is not known here."""
    with reader.snapshot() as connection:
        row = connection.execute(_UPTO, (last_seq, gateway, epoch)).fetchone()
    return None if row is None else Extent(gateway, epoch, row[0], last_seq, row[1], last_seq - row[1], row[2])


def blocks_of(reader: Reader, extent: Extent) -> Iterator[tuple[int, Block | None]]:
    """Number and block, in order, with times as they are known today; None for one that was altered in the store."""
    journal = Journal(extent.stream, extent.gateway, extent.epoch, through=extent.last_seq, last=extent.last_seq)
    with reader.snapshot() as connection:
        (gateway,) = connection.execute("SELECT gateway FROM stream WHERE id=?", (extent.stream,)).fetchone()
    for step in in_order(reader, journal, 0):
        if step.block is not None:
            yield step.seq, _timed(reader, step.block, gateway)
        elif step.hole == "altered":
            yield step.seq, None


def _timed(reader: Reader, block: Block, gateway: int) -> Block:
    with reader.snapshot() as connection:
        return corrected_block(block, settings_of(connection, gateway, block.header.boot))


_HELD = "max(seq), count(*), stream.removed_blocks FROM block JOIN stream ON stream.id = block.stream"
_EXTENTS = f"""
SELECT gateway.gateway, epoch, stream.id, {_HELD} JOIN gateway ON gateway.id = stream.gateway
GROUP BY stream.id ORDER BY gateway.gateway, stream.id
"""
_UPTO = """
SELECT stream.id, (SELECT count(*) FROM block WHERE block.stream = stream.id AND seq <= ?), stream.removed_blocks
FROM stream JOIN gateway ON gateway.id = stream.gateway WHERE gateway.gateway = ? AND epoch = ?
"""
