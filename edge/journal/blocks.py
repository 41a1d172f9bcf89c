"""The blocks that lie in the store: the rows of one table, and those of them that are already let go.

A block that the disk has altered is found when it is read. Its bytes are set aside in a table of their own, the newest
few, for whoever wants to know what happened to them.
"""

from __future__ import annotations

import itertools
import logging
import sqlite3
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from edge.contract.block import Block, Header, decode_block, peek
from edge.contract.types import Lane
from edge.errors import BlockError
from edge.journal.counts import Held, Owes, pack_held, pack_owes, unpack_held, unpack_owes
from edge.journal.groups import Groups
from edge.journal.seal import Sealed
from edge.journal.signed import sign, verified
from edge.ports import StoredBlock

log = logging.getLogger("babbitt.journal")

QUARANTINED_MAX = 64

_URGENT = int(Lane.URGENT)
_CHOOSE = "SELECT seq, dictionary, data FROM block WHERE"


@dataclass(frozen=True, slots=True)
class Row:
    """A block as it is chosen from: ``thinned`` is the span of its thinning in seconds, 0 as it was polled."""

    seq: int
    size: int
    readings: int
    from_ns: int
    thinned: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A block's account: what is lost or gained with it."""

    seq: int
    readings: int
    held: tuple[Held, ...]
    from_ns: int
    to_ns: int
    tells: int
    owes: Owes


@dataclass(frozen=True, slots=True)
class Chosen:
    """Blocks that are as they were sealed, and of those on the way that are not: what is wrong, by number."""

    sound: list[StoredBlock]
    altered: dict[int, str]


class Blocks:
    """``gone`` are blocks that are settled in the ledger and wait for the transaction that deletes them."""

    def __init__(self, connection: sqlite3.Connection, groups: Groups) -> None:
        self._connection, self._groups = connection, groups
        self.gone: set[int] = set()
        self._altered: dict[int, str] = {}

    def write(self, sealed: Iterable[Sealed], now_ns: int) -> None:
        """Delete in the open transaction the blocks that are gone and put in new ones."""
        if self._altered:
            self._quarantine(now_ns)
        # First, for their pages; and a block may take the number of one that it was merged from.
        self._connection.executemany("DELETE FROM block WHERE seq = ?", [(seq,) for seq in self.gone])
        self._connection.executemany(
            "INSERT INTO block (seq, lane, readings, size, sealed_ns, from_ns, to_ns, dictionary, tells, thinned,"
            " account, owes, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    b.seq, b.lane, b.readings, len(b.data), b.sealed_ns, b.from_ns, b.to_ns, b.dictionary, b.tells,
                    b.thinned, sign(pack_held(b.held), b.seq), sign(pack_owes(b.owes), b.seq) if b.owes else "",
                    b.data,
                )
                for b in sealed
            ],
        )  # fmt: skip

    def written(self) -> None:
        """The transaction was committed."""
        self.gone.clear()
        self._altered.clear()

    def pending(self, limit_bytes: int, since: int) -> Chosen:
        """Urgent ones, then telemetry numbered ``since`` or later; by age, ``limit_bytes`` in all but at least one."""
        # The literals let SQLite use the index of urgent blocks.
        urgent = self._connection.execute(f"{_CHOOSE} lane = {_URGENT} ORDER BY seq")
        later = self._connection.execute(f"{_CHOOSE} lane <> {_URGENT} AND seq >= ? ORDER BY seq", (since,))
        return self._up_to(limit_bytes, itertools.chain(urgent, later))

    def waiting(self, limit_bytes: int, until: int, *, newest_first: bool) -> Chosen:
        """Telemetry numbered below ``until``, ``limit_bytes`` in all but at least one."""
        order = "DESC" if newest_first else "ASC"
        return self._up_to(
            limit_bytes,
            self._connection.execute(f"{_CHOOSE} lane <> {_URGENT} AND seq < ? ORDER BY seq {order}", (until,)),
        )

    def lowest(self) -> int | None:
        """The lowest number in the store; what is let go counts until it is deleted."""
        (seq,) = self._connection.execute("SELECT min(seq) FROM block").fetchone()
        return None if seq is None else int(seq)

    def find(self, seqs: Iterable[int]) -> list[Entry]:
        """Accounts of those that are there."""
        rows = [
            self._connection.execute(
                "SELECT seq, readings, account, from_ns, to_ns, tells, owes FROM block WHERE seq = ?", (seq,)
            ).fetchone()
            for seq in sorted(seqs)
        ]
        return [
            Entry(
                seq, readings, tuple(unpack_held(verified(account, seq), self._groups.by_id)), from_ns, to_ns, tells,
                _owes(owes, seq),
            )
            for seq, readings, account, from_ns, to_ns, tells, owes in filter(None, rows)
        ]  # fmt: skip

    def read(self, seqs: Iterable[int]) -> list[tuple[Lane, bytes, int]]:
        """Lane, bytes and number of names of those that are there."""
        rows = [
            self._connection.execute("SELECT lane, data, dictionary FROM block WHERE seq = ?", (seq,)).fetchone()
            for seq in seqs
        ]
        return [(Lane(row[0]), row[1], row[2]) for row in rows if row]

    def opened(self, seq: int) -> Block | None:
        """A stored block with its readings and records; None where it is not there, or not as it was sealed."""
        for _, data, named in self.read([seq]):
            return open_block(data, named, self._groups)
        return None

    def set_aside(self, altered: dict[int, str]) -> None:
        """The next transaction keeps a copy of the bytes of these blocks, which are let go."""
        for seq, problem in altered.items():
            log.error("block %d was altered on the disk: %s", seq, problem)
        self._altered.update(altered)

    def oldest(self, size: int, *, spare: Container[int]) -> list[int]:
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

    def newest(self) -> Row | None:
        """The newest telemetry."""
        rows = self._rows("ORDER BY seq DESC LIMIT 1", ())
        return rows[0] if rows else None

    def telemetry(self, *, after: int, limit: int) -> list[Row]:
        """The oldest telemetry numbered above ``after``, by age; none only where there is none."""
        rows: list[Row] = []
        while not rows and (found := self._rows("AND seq > ? ORDER BY seq LIMIT ?", (after, limit))):
            rows = [row for row in found if row.seq not in self.gone]
            after = found[-1].seq
        return rows

    def held(self) -> Iterator[Held]:
        """What all of them hold."""
        for seq, account in self._connection.execute("SELECT seq, account FROM block"):
            if seq not in self.gone:
                yield from unpack_held(verified(account, seq), self._groups.by_id)

    def owes(self) -> Iterator[Owes]:
        """The losses that all of them declare."""
        for seq, owes in self._connection.execute("SELECT seq, owes FROM block WHERE owes <> ''"):
            if seq not in self.gone:
                yield _owes(owes, seq)

    def last_seq(self) -> int:
        """The highest number that is there, 0 where there is none."""
        return int(self._connection.execute("SELECT coalesce(max(seq), 0) FROM block").fetchone()[0])

    def sums(self) -> tuple[int, int]:
        """How many blocks and readings."""
        row = self._connection.execute("SELECT count(*), coalesce(sum(readings), 0) FROM block").fetchone()
        return int(row[0]), int(row[1])

    def _rows(self, which: str, values: tuple[int, ...]) -> list[Row]:
        found = self._connection.execute(
            f"SELECT seq, size, readings, from_ns, thinned FROM block WHERE lane <> {_URGENT} {which}", values
        )
        return [Row(*row) for row in found]

    def _up_to(self, limit_bytes: int, rows: Iterable[tuple[int, int, bytes]]) -> Chosen:
        chosen = Chosen([], {})
        size = 0
        for seq, named, data in rows:
            if seq in self.gone:
                continue
            try:
                header, dictionary = self._checked(seq, named, data)
            except BlockError as error:
                chosen.altered[seq] = error.problem
                continue
            size += len(data)
            if chosen.sound and size > limit_bytes:
                break
            chosen.sound.append(StoredBlock(seq, header.lane, header.readings, data, dictionary))
        return chosen

    def _checked(self, seq: int, named: int, data: bytes) -> tuple[Header, bytes]:
        """A block's header, and its packed dictionary. Raises ``BlockError`` where it, or its names, were altered."""
        header = peek(data)
        if header.key.seq != seq:
            raise BlockError("block", f"it is block {header.key.seq}")
        if not header.dictionary:
            return header, b""
        if not 0 < named <= len(self._groups.by_id):
            raise BlockError("block", "the number of its names was altered")
        dictionary, packed = self._groups.dictionary(named)
        if dictionary.digest != header.dictionary:
            raise BlockError("block", "its names were altered")
        return header, packed

    def _quarantine(self, now_ns: int) -> None:
        self._connection.executemany(
            "INSERT INTO quarantine (seq, found_ns, problem, data) SELECT seq, ?, ?, data FROM block WHERE seq = ?",
            [(now_ns, problem, seq) for seq, problem in list(self._altered.items())[-QUARANTINED_MAX:]],
        )
        self._connection.execute(
            "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?", (QUARANTINED_MAX,)
        )


def _owes(signed: str, seq: int) -> Owes:
    return unpack_owes(verified(signed, seq)) if signed else ()


def open_block(data: bytes, named: int, groups: Groups) -> Block | None:
    """A sealed block with its readings and records, ``named`` by the first groups; None where it was altered."""
    try:
        dictionaries = [groups.dictionary(named)[0]] if 0 < named <= len(groups.by_id) else []
        return decode_block(data, {dictionary.digest: dictionary for dictionary in dictionaries})
    except BlockError as error:
        log.error("a block cannot be opened: %s", error.problem)
        return None
