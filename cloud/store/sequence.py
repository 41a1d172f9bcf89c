"""A journal's blocks in the order in which its gateway sealed them, with the reason where one is not there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cloud.store.reader import Reader
from edge.contract.block import Block, decode_block, peek
from edge.errors import BlockError

READ_AT_ONCE = 32

Hole = Literal["never", "policy", "altered", "gone"]
"""Why blocks are not there: their gateway gave them up, the policy of retention took them, they were altered, or they
are gone without a reason.
"""


@dataclass(frozen=True, slots=True)
class Journal:
    """One journal of one gateway: each number up to ``through`` is held or will never come; ``last`` is the highest."""

    stream: int
    gateway: str
    epoch: str
    through: int
    last: int


@dataclass(frozen=True, slots=True)
class Step:
    """Blocks up to and including ``seq``: one that is opened, or those since the step before, that are not there."""

    seq: int
    block: Block | None
    hole: Hole | None = None


def journals(reader: Reader) -> list[Journal]:
    """Every journal, those of one gateway in the order in which they were first seen."""
    with reader.snapshot() as connection:
        return [Journal(*row) for row in connection.execute(_JOURNALS)]


def in_order(reader: Reader, journal: Journal, after: int) -> Iterator[Step]:
    """The blocks numbered above ``after``, up to the journal's ``through``."""
    while after < journal.through:
        with reader.snapshot() as connection:
            rows = connection.execute(_NEXT, (journal.stream, after, journal.through, READ_AT_ONCE)).fetchall()
            last = rows[-1][0] if len(rows) == READ_AT_ONCE else journal.through
            absent = connection.execute(_ABSENT, (journal.stream, after + 1, last)).fetchall()
        for seq, data in rows:
            if seq > after + 1:
                yield from _holes(after + 1, seq - 1, absent)
            yield _opened(reader, seq, data)
            after = seq
        if after < last:
            yield from _holes(after + 1, last, absent)
        after = last


def _opened(reader: Reader, seq: int, data: bytes) -> Step:
    try:
        digest = peek(data).dictionary
        block = decode_block(data, reader.dictionary(digest) if digest else {})
    except BlockError:
        return Step(seq, None, "altered")
    return Step(seq, block) if block.header.key.seq == seq else Step(seq, None, "altered")


def _holes(first: int, last: int, absent: list[tuple[int, int, Hole]]) -> Iterator[Step]:
    """The numbers from ``first`` to ``last``, none of which is held, by cause."""
    for from_seq, to_seq, cause in absent:
        if to_seq < first or from_seq > last:
            continue
        if from_seq > first:
            yield Step(from_seq - 1, None, "gone")
        first = min(to_seq, last) + 1
        yield Step(first - 1, None, cause)
    if first <= last:
        yield Step(last, None, "gone")


_JOURNALS = """
SELECT stream.id, gateway.gateway, epoch, through,
    max(through, coalesce((SELECT max(seq) FROM block WHERE stream = stream.id), 0))
FROM stream JOIN gateway ON gateway.id = stream.gateway ORDER BY gateway.gateway, stream.id
"""
_NEXT = "SELECT seq, bytes FROM block WHERE stream=? AND seq>? AND seq<=? ORDER BY seq LIMIT ?"
_ABSENT = """
SELECT first_seq, last_seq, cause FROM absent WHERE stream=? AND last_seq>=? AND first_seq<=? ORDER BY first_seq
"""
