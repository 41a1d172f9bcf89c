"""The one writer: stores blocks once by key, derives from them, and commits before anything is acknowledged.

Survives: SIGKILL and power cuts between any two statements (one FULL transaction a request, derived rows and counters
inside it), blocks that come again, late or out of order, and a full disk (the transaction is undone, the caller told).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cloud.store import chunker, numbers
from cloud.store.derive import Names, Stored, derive
from cloud.store.dictionaries import PER_GATEWAY_MAX, Dictionaries, keep
from cloud.store.repeats import stored_twice
from cloud.store.schema import Lock, database, open_for_writing
from edge.contract.block import Block, decode_block, peek
from edge.contract.types import Alarm, Key, Quality, Verdict

DETAIL_CHARS_MAX = 200


class StoreBusyError(Exception):
    """The disk is full, or the file is locked or damaged: nothing was stored; ask again later."""


@contextmanager
def _trouble_told() -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if _is_trouble(error):
            raise StoreBusyError(str(error)) from error
        raise


def _is_trouble(error: BaseException) -> bool:
    """Whether the disk or the file is to blame, not this program. A damaged file is told as a bare DatabaseError."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


@dataclass(frozen=True, slots=True)
class Seen:
    """When a gateway spoke, and what it said still waits in its journal."""

    at_ns: int
    backlog_blocks: int = 0
    backlog_readings: int = 0


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A block that is held already, sent again; ``readings`` by its header."""

    key: Key
    readings: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A block that was not taken: ``kind`` is one word for counting, ``detail`` says why."""

    kind: str
    detail: str


def count_readings(block: Block) -> tuple[int, int]:
    """Good and bad readings of a block, counted from its quality columns."""
    bad = sum(int(np.count_nonzero(s.quality >= Quality.BAD_BUS)) for s in block.series)
    return sum(s.quality.size for s in block.series) - bad, bad


class Writer:
    """Not thread-safe: belongs to one thread. Holds the data folder's lock until ``close``."""

    def __init__(self, folder: Path) -> None:
        self._lock = Lock(folder)
        try:
            self._connection = open_for_writing(database(folder))
        except BaseException:
            self._lock.close()
            raise
        self._names = Names(self._connection)
        self.dictionaries = Dictionaries(self._connection)

    def close(self) -> None:
        self._connection.close()
        self._lock.close()

    def holds(self, key: Key, data: bytes, *, thinned: bool = False) -> Literal["no", "same", "other"]:
        """Whether a block is stored under ``key``, and whether it is this one. Raises ``StoreBusyError``.

        Of a block and what is left of it once it was thinned, the one that is held stands for both; and one that the
        policy of retention has removed does not come back.
        """
        with _trouble_told():
            row = self._connection.execute(_STREAM, (key.gateway, key.epoch)).fetchone()
            if row is None:
                return "no"
            held = self._connection.execute(
                "SELECT bytes FROM block WHERE stream=? AND seq=?", (row[0], key.seq)
            ).fetchone()
            if held is None:
                is_removed = key.seq <= row[1] and numbers.was_removed(self._connection, row[0], key.seq)
                return "same" if is_removed else "no"
        return "same" if held[0] == data or peek(held[0]).thinned != thinned else "other"

    def store(
        self,
        gateway: str,
        epoch: str,
        blocks: Sequence[tuple[bytes, Block]],
        seen: Seen,
        *,
        dictionaries: Sequence[tuple[bytes, bytes]] = (),
        oldest: int = 1,
        duplicates: Sequence[Duplicate] = (),
        refusals: Sequence[Refusal] = (),
    ) -> int:
        """Store new blocks of one stream, with all that follows from them, in one transaction; returns ``through``.

        ``dictionaries`` are digests with bytes that were found sound; what is missing below ``oldest`` never comes.
        Raises ``StoreBusyError``; then nothing has changed.
        """
        with self._transaction():
            gateway_id = self._gateway(gateway, seen)
            stream = self._stream(gateway_id, epoch)
            for digest, data in dictionaries:
                keep(self._connection, gateway_id, digest, data, seen.at_ns)
            stored = [self._insert(stream, gateway_id, data, block, seen.at_ns) for data, block in blocks]
            derive(self._connection, self._names, stored)
            self._count(stream, stored, duplicates)
            for refusal in refusals:
                self._refuse(gateway, refusal, seen.at_ns)
            return numbers.settle(self._connection, stream, oldest)

    def tidy(self, now_ns: int) -> bool:
        """Do one short step of what can wait: chunks for raw history. False where nothing is to be done.

        Raises ``StoreBusyError``; then nothing has changed.
        """
        with _trouble_told():
            step = chunker.next_step(self._connection, now_ns)
        if step is None:
            return False
        with self._transaction():
            chunker.take(self._connection, self._opened, step)
        return True

    def _opened(self, ids: Sequence[int]) -> list[Block]:
        marks = ",".join("?" * len(ids))
        rows = self._connection.execute(f"SELECT bytes FROM block WHERE id IN ({marks}) ORDER BY id", ids)
        return [decode_block(row[0], self.dictionaries) for row in rows.fetchall()]

    def dictionaries_left(self, gateway: str) -> int:
        """How many more a gateway may send. Raises ``StoreBusyError``."""
        with _trouble_told():
            return PER_GATEWAY_MAX - self.dictionaries.count(gateway)

    def refuse(self, gateway: str, refusal: Refusal, at_ns: int) -> None:
        """Count a request that was refused as a whole. Raises ``StoreBusyError``."""
        with self._transaction():
            self._refuse(gateway, refusal, at_ns)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._names.forget()
            self.dictionaries.forget()
            if _is_trouble(error):
                raise StoreBusyError(str(error)) from error
            raise

    def _gateway(self, gateway: str, seen: Seen) -> int:
        row = self._connection.execute(
            "INSERT INTO gateway(gateway, first_seen_ns, last_seen_ns, backlog_blocks, backlog_readings)"
            " VALUES (?,?,?,?,?) ON CONFLICT(gateway) DO UPDATE SET last_seen_ns = excluded.last_seen_ns,"
            " backlog_blocks = excluded.backlog_blocks, backlog_readings = excluded.backlog_readings RETURNING id",
            (gateway, seen.at_ns, seen.at_ns, seen.backlog_blocks, seen.backlog_readings),
        ).fetchone()
        return int(row[0])

    def _stream(self, gateway: int, epoch: str) -> int:
        self._connection.execute("INSERT OR IGNORE INTO stream(gateway, epoch) VALUES (?,?)", (gateway, epoch))
        found = self._connection.execute("SELECT id FROM stream WHERE gateway=? AND epoch=?", (gateway, epoch))
        return int(found.fetchone()[0])

    def _insert(self, stream: int, gateway: int, data: bytes, block: Block, at_ns: int) -> Stored:
        good, bad = count_readings(block)
        numbers.come_after_all(self._connection, stream, block.header.key.seq)
        cursor = self._connection.execute(
            "INSERT INTO block(stream, seq, received_ns, readings, bytes) VALUES (?,?,?,?,?)",
            (stream, block.header.key.seq, at_ns, good + bad, data),
        )
        assert cursor.lastrowid is not None
        return Stored(id=cursor.lastrowid, stream=stream, gateway=gateway, block=block)

    def _count(self, stream: int, stored: Sequence[Stored], duplicates: Sequence[Duplicate]) -> None:
        counts = [count_readings(one.block) for one in stored]
        records = [record for one in stored for record in one.block.records]
        self._connection.execute(
            "UPDATE stream SET blocks = blocks + ?, good = good + ?, bad = bad + ?, verdicts = verdicts + ?,"
            " alarms = alarms + ?, stored_twice = stored_twice + ?, duplicate_blocks = duplicate_blocks + ?,"
            " duplicate_readings = duplicate_readings + ? WHERE id = ?",
            (
                len(stored), sum(good for good, _ in counts), sum(bad for _, bad in counts),
                sum(isinstance(record, Verdict) for record in records),
                sum(isinstance(record, Alarm) for record in records),
                stored_twice(self._connection, self._names, self.dictionaries, stored),
                len(duplicates), sum(d.readings for d in duplicates), stream,
            ),
        )  # fmt: skip

    def _refuse(self, gateway: str, refusal: Refusal, at_ns: int) -> None:
        self._connection.execute(
            "INSERT INTO refusal VALUES (?,?,1,?,?) ON CONFLICT(gateway, kind) DO UPDATE SET"
            " blocks = blocks + 1, last_ns = excluded.last_ns, detail = excluded.detail",
            (gateway, refusal.kind, at_ns, refusal.detail[:DETAIL_CHARS_MAX]),
        )


_STREAM = (
    "SELECT stream.id, through FROM stream JOIN gateway ON gateway.id = stream.gateway"
    " WHERE gateway.gateway = ? AND epoch = ?"
)
