"""The one writer: stores blocks once by key, and commits before anything is acknowledged.

The truth of many deliveries goes into one FULL transaction. What is derived from it follows in the same transaction
where time allows, else a little later (``cloud.store.lag``).

Survives: SIGKILL and power cuts between any two statements (counters are inside the transaction, what is derived leaves
its mark in it), blocks that come again, late or out of order, and a full disk (the transaction is undone, the caller
told).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cloud.store import chunker, numbers, repair, retention
from cloud.store.dictionaries import PER_GATEWAY_MAX, Dictionaries, keep
from cloud.store.lag import Allowance, Waiting
from cloud.store.progress import Tables
from cloud.store.retention import Retention
from cloud.store.schema import Lock, database, open_for_writing
from cloud.store.stored import Stored
from edge.contract.block import Block, peek
from edge.contract.types import Alarm, Key, Quality, Verdict

DETAIL_CHARS_MAX = 200
KEEP_ALL = Retention()


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


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one request brings of one stream.

    ``dictionaries`` are digests with bytes that were found sound; what is missing below ``oldest`` never comes.
    """

    gateway: str
    epoch: str
    blocks: Sequence[tuple[bytes, Block]]
    seen: Seen
    dictionaries: Sequence[tuple[bytes, bytes]] = ()
    oldest: int = 1
    duplicates: Sequence[Duplicate] = ()
    refusals: Sequence[Refusal] = ()


class Writer:
    """Not thread-safe: belongs to one thread. Holds the data folder's lock until ``close``."""

    def __init__(
        self,
        folder: Path,
        *,
        policy: Retention = KEEP_ALL,
        allowance: Allowance | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Derives first from what a crash has left behind. ``allowance`` is for what follows. Raises ``StoreError``."""
        self._policy, self._monotonic_s = policy, monotonic_s
        self._waiting = Waiting(monotonic_s=monotonic_s)
        self._allowance = allowance or Allowance(monotonic_s=monotonic_s)
        self._looked_s = -retention.LOOK_S
        self._lock = Lock(folder)
        try:
            self._connection = open_for_writing(database(folder))
            self._tables = Tables(self._connection)
            self._tables.catch_up(transaction=self._transaction)
            (self._newest,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM block").fetchone()
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """What waits to be derived from is derived at the next start, where the disk takes it no more now."""
        try:
            with suppress(StoreBusyError):
                while self._waiting:
                    self._derive_next()
        finally:
            self._connection.close()
            self._lock.close()

    @property
    def dictionaries(self) -> Dictionaries:
        return self._tables.dictionaries

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

    def dictionaries_left(self, gateway: str) -> int:
        """How many more a gateway may send. Raises ``StoreBusyError``."""
        with _trouble_told():
            return PER_GATEWAY_MAX - self.dictionaries.count(gateway)

    def store(
        self,
        gateway: str,
        epoch: str,
        blocks: Sequence[tuple[bytes, Block]],
        seen: Seen,
        *,
        dictionaries: Sequence[tuple[bytes, bytes]] = (),
        oldest: int = 1,
    ) -> int:
        """Store one delivery. See ``commit``."""
        return self.commit([Delivery(gateway, epoch, blocks, seen, dictionaries, oldest)])[0]

    def commit(self, deliveries: Sequence[Delivery]) -> list[int]:
        """Store new blocks in one transaction; returns each delivery's ``through``.

        Raises ``StoreBusyError``; then nothing has changed.
        """
        fresh: list[Stored] = []
        try:
            with self._transaction():
                throughs = [self._deliver(delivery, fresh) for delivery in deliveries]
                self._tables.tell(fresh)
                self._waiting.add(fresh)
                derived = list(self._derive_some())
                self._mark(derived, fresh)
        except BaseException:
            self._waiting.take_back(fresh)
            raise
        self._done(derived, fresh)
        return throughs

    def refuse(self, gateway: str, refusal: Refusal, at_ns: int) -> None:
        """Count a request that was refused as a whole. Raises ``StoreBusyError``."""
        with self._transaction():
            self._refuse(gateway, refusal, at_ns)

    def idle(self, now_ns: int) -> bool:
        """``tidy``, where there is time for it: a share of what passes."""
        if not self._allowance.is_left():
            return False
        began_s = self._monotonic_s()
        try:
            return self.tidy(now_ns)
        finally:
            self._allowance.spend(began_s)

    def tidy(self, now_ns: int) -> bool:
        """Do one short step of what can wait; False where there is nothing to do.

        In this order: deriving, repairs, retention, chunks for raw history. Raises ``StoreBusyError``; then nothing
        has changed.
        """
        if self._waiting:
            self._derive_next()
            return True
        return self._repair() or self._retain(now_ns) or self._chunk(now_ns)

    @property
    def is_behind(self) -> bool:
        """Whether stored blocks wait to be derived from."""
        return bool(self._waiting)

    def _derive_some(self) -> Iterator[int]:
        """Derive from the gateways that have waited longest, as far as there is time, or they must wait no longer."""
        for gateway in self._waiting.gateways():
            if not self._allowance.is_left() and not self._waiting.is_late(gateway):
                return
            began_s = self._monotonic_s()
            self._tables.derive(self._waiting.of(gateway))
            self._allowance.spend(began_s)
            yield gateway

    def _derive_next(self) -> None:
        gateway = next(self._waiting.gateways())
        with self._transaction():
            self._tables.derive(self._waiting.of(gateway))
            self._mark([gateway], [])
        self._done([gateway], [])

    def _mark(self, derived: Sequence[int], fresh: Sequence[Stored]) -> None:
        newest = fresh[-1].id if fresh else self._newest
        self._tables.mark(self._waiting.before(newest, without=derived))

    def _done(self, derived: Sequence[int], fresh: Sequence[Stored]) -> None:
        for gateway in derived:
            self._waiting.remove(gateway)
        if fresh:
            self._newest = fresh[-1].id

    def _repair(self) -> bool:
        with _trouble_told():
            step = repair.next_step(self._connection)
        if step is None:
            return False
        with self._transaction():
            self._tables.repair(step)
        return True

    def _retain(self, now_ns: int) -> bool:
        if self._policy == KEEP_ALL or self._monotonic_s() - self._looked_s < retention.LOOK_S:
            return False
        with self._transaction():
            removed = retention.step(self._connection, self._policy, now_ns)
        if not removed:
            self._looked_s = self._monotonic_s()
        return removed

    def _chunk(self, now_ns: int) -> bool:
        with _trouble_told():
            step = chunker.next_step(self._connection, now_ns)
        if step is None:
            return False
        with self._transaction():
            chunker.take(self._connection, self._tables.corrected, step)
        return True

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._tables.forget()
            if _is_trouble(error):
                raise StoreBusyError(str(error)) from error
            raise

    def _deliver(self, delivery: Delivery, fresh: list[Stored]) -> int:
        at_ns = delivery.seen.at_ns
        gateway = self._gateway(delivery.gateway, delivery.seen)
        stream, through = self._stream(gateway, delivery.epoch)
        for digest, data in delivery.dictionaries:
            keep(self._connection, gateway, digest, data, at_ns)
        counts = []
        for data, block in delivery.blocks:
            good, bad = count_readings(block)
            fresh.append(Stored(self._insert(stream, through, at_ns, data, block, good + bad), stream, gateway, block))
            counts.append((good, bad))
        self._count(stream, delivery, counts)
        for refusal in delivery.refusals:
            self._refuse(delivery.gateway, refusal, at_ns)
        return numbers.settle(self._connection, stream, delivery.oldest)

    def _gateway(self, gateway: str, seen: Seen) -> int:
        row = self._connection.execute(
            "INSERT INTO gateway(gateway, first_seen_ns, last_seen_ns, backlog_blocks, backlog_readings)"
            " VALUES (?,?,?,?,?) ON CONFLICT(gateway) DO UPDATE SET last_seen_ns = excluded.last_seen_ns,"
            " backlog_blocks = excluded.backlog_blocks, backlog_readings = excluded.backlog_readings RETURNING id",
            (gateway, seen.at_ns, seen.at_ns, seen.backlog_blocks, seen.backlog_readings),
        ).fetchone()
        return int(row[0])

    def _stream(self, gateway: int, epoch: str) -> tuple[int, int]:
        """Its row, and its mark."""
        where = (gateway, epoch)
        self._connection.execute("INSERT OR IGNORE INTO stream(gateway, epoch) VALUES (?,?)", where)
        row = self._connection.execute("SELECT id, through FROM stream WHERE gateway=? AND epoch=?", where).fetchone()
        return int(row[0]), int(row[1])

    def _insert(self, stream: int, through: int, at_ns: int, data: bytes, block: Block, readings: int) -> int:
        seq = block.header.key.seq
        if seq <= through:
            numbers.come_after_all(self._connection, stream, seq)
        cursor = self._connection.execute(
            "INSERT INTO block(stream, seq, received_ns, readings, bytes) VALUES (?,?,?,?,?)",
            (stream, seq, at_ns, readings, data),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _count(self, stream: int, delivery: Delivery, counts: Sequence[tuple[int, int]]) -> None:
        records = [record for _, block in delivery.blocks for record in block.records]
        self._connection.execute(
            "UPDATE stream SET blocks = blocks + ?, good = good + ?, bad = bad + ?, verdicts = verdicts + ?,"
            " alarms = alarms + ?, duplicate_blocks = duplicate_blocks + ?,"
            " duplicate_readings = duplicate_readings + ? WHERE id = ?",
            (
                len(counts), sum(good for good, _ in counts), sum(bad for _, bad in counts),
                sum(isinstance(record, Verdict) for record in records),
                sum(isinstance(record, Alarm) for record in records),
                len(delivery.duplicates), sum(d.readings for d in delivery.duplicates), stream,
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
