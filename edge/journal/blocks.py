"""The blocks that lie in the store: the rows of one table, and those of them that are already let go."""

from __future__ import annotations

import itertools
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

_URGENT = int(Lane.URGENT)


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

    def pending(self, limit_bytes: int, since: int) -> list[StoredBlock]:
        """Urgent ones, then telemetry numbered ``since`` or later; by age, ``limit_bytes`` in all but at least one."""
        # The literals let SQLite use the index of urgent blocks.
        rows = itertools.chain(
            self._connection.execute(
                f"SELECT seq, lane, readings, data FROM block WHERE lane = {_URGENT} ORDER BY seq"
            ),
            self._connection.execute(
                f"SELECT seq, lane, readings, data FROM block WHERE lane <> {_URGENT} AND seq >= ? ORDER BY seq",
                (since,),
            ),
        )
        return self._up_to(limit_bytes, rows)

    def waiting(self, limit_bytes: int, until: int, *, newest_first: bool) -> list[StoredBlock]:
        """Telemetry numbered below ``until``, ``limit_bytes`` in all but at least one."""
        order = "DESC" if newest_first else "ASC"
        rows = self._connection.execute(
            f"SELECT seq, lane, readings, data FROM block WHERE lane <> {_URGENT} AND seq < ? ORDER BY seq {order}",
            (until,),
        )
        return self._up_to(limit_bytes, rows)

    def _up_to(self, limit_bytes: int, rows: Iterable[tuple[int, int, int, bytes]]) -> list[StoredBlock]:
        blocks: list[StoredBlock] = []
        size = 0
        for seq, lane, readings, data in rows:
            if seq in self.gone:
                continue
            size += len(data)
            if blocks and size > limit_bytes:
                break
            blocks.append(StoredBlock(seq, Lane(lane), readings, data))
        return blocks

    def lowest(self) -> int | None:
        """The lowest number in the store; what is let go counts until it is deleted."""
        (seq,) = self._connection.execute("SELECT min(seq) FROM block").fetchone()
        return None if seq is None else int(seq)

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
