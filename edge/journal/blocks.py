"""The blocks that lie in the store: the rows of one table, and those of them that are already let go."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from edge.contract.block import peek
from edge.contract.types import Lane
from edge.errors import BlockError
from edge.journal.counts import Held, ScanGroup, pack_held, unpack_held
from edge.journal.seal import Sealed
from edge.ports import StoredBlock

log = logging.getLogger("babbitt.journal")


@dataclass(frozen=True, slots=True)
class Entry:
    """A block's account: what is lost or gained with it."""

    seq: int
    readings: int
    held: tuple[Held, ...]
    from_ns: int
    to_ns: int


class Blocks:
    """``gone`` are blocks that are settled in the ledger and wait for the transaction that deletes them."""

    def __init__(self, connection: sqlite3.Connection, groups: Mapping[int, ScanGroup]) -> None:
        self._connection, self._groups = connection, groups
        self.gone: set[int] = set()

    def write(self, sealed: Iterable[Sealed]) -> None:
        """Put new blocks into the open transaction and delete those that are gone."""
        self._connection.executemany(
            "INSERT INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (b.seq, b.lane, b.readings, len(b.data), b.sealed_ns, b.from_ns, b.to_ns, pack_held(b.held), b.data)
                for b in sealed
            ],
        )
        self._connection.executemany("DELETE FROM block WHERE seq = ?", [(seq,) for seq in self.gone])

    def written(self) -> None:
        """The transaction was committed."""
        self.gone.clear()

    def pending(self, limit_bytes: int) -> list[StoredBlock]:
        """Urgent first, then by age, at most ``limit_bytes`` but at least one."""
        blocks: list[StoredBlock] = []
        size = 0
        for lane in Lane:
            # The literal lets SQLite use the index of urgent blocks.
            rows = self._connection.execute(
                f"SELECT seq, readings, data FROM block WHERE lane = {int(lane)} ORDER BY seq"
            )
            for seq, readings, data in rows:
                if seq in self.gone:
                    continue
                size += len(data)
                if blocks and size > limit_bytes:
                    return blocks
                blocks.append(StoredBlock(seq, lane, readings, data))
        return blocks

    def find(self, seqs: Iterable[int]) -> list[Entry]:
        """Accounts of those that are there."""
        rows = [
            self._connection.execute(
                "SELECT seq, readings, account, from_ns, to_ns FROM block WHERE seq = ?", (seq,)
            ).fetchone()
            for seq in sorted(seqs)
        ]
        return [Entry(row[0], row[1], tuple(unpack_held(row[2], self._groups)), row[3], row[4]) for row in rows if row]

    def data(self, seq: int) -> bytes:
        row = self._connection.execute("SELECT data FROM block WHERE seq = ?", (seq,)).fetchone()
        return bytes(row[0]) if row else b""

    def oldest(self, size: int, *, spare: Collection[int]) -> list[int]:
        """Blocks of ``size`` bytes to let go: the oldest telemetry, then those to ``spare``, urgent ones last."""
        rows = self._connection.execute("SELECT seq, lane, size FROM block ORDER BY lane = 0, seq")
        chosen: list[int] = []
        later: list[tuple[int, int]] = []
        for seq, lane, bytes_ in rows:
            if size <= 0:
                return chosen
            if seq in self.gone:
                continue
            if lane == Lane.URGENT or seq in spare:
                later.append((seq, bytes_))
                continue
            chosen.append(seq)
            size -= bytes_
        for seq, bytes_ in later:
            if size > 0:
                chosen.append(seq)
                size -= bytes_
        return chosen

    def held(self) -> Iterator[Held]:
        """What all of them hold."""
        for seq, account in self._connection.execute("SELECT seq, account FROM block"):
            if seq not in self.gone:
                yield from unpack_held(account, self._groups)

    def sums(self) -> tuple[int, int]:
        """How many blocks and readings."""
        row = self._connection.execute("SELECT count(*), coalesce(sum(readings), 0) FROM block").fetchone()
        return int(row[0]), int(row[1])


def intact(blocks: Iterable[StoredBlock]) -> tuple[list[StoredBlock], list[int]]:
    """The blocks that are as they were sealed, and the numbers of those that the disk has altered."""
    sound, altered = [], []
    for block in blocks:
        try:
            peek(block.data)
            sound.append(block)
        except BlockError as error:
            log.error("block %d was altered on the disk: %s", block.seq, error.problem)
            altered.append(block.seq)
    return sound, altered
