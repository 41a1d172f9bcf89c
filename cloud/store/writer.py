"""The one writer: stores blocks once by key, and commits before anything is acknowledged.

The truth of many deliveries goes into one FULL transaction. What is derived from it follows in the same transaction
where time allows, else a little later (``cloud.store.lag``).

Survives: SIGKILL and power cuts between any two statements (counters are inside the transaction, what is derived leaves
its mark in it), blocks that come again, late or out of order, and a full disk (the transaction is undone, the caller
told).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cloud.store import chunker, numbers, repair, retention
from cloud.store.deliver import Delivery, Duplicate, Seen, deliver
from cloud.store.dictionaries import PER_GATEWAY_MAX, Dictionaries
from cloud.store.lag import DRAINING_READINGS, TAGS_AT_ONCE_MAX, Allowance, Waiting
from cloud.store.progress import Part, Tables, parts_of
from cloud.store.retention import Retention
from cloud.store.schema import CACHE_MB, Lock, database, open_for_writing
from cloud.store.stored import Stored
from cloud.store.trouble import Refusal, StoreBusyError, count_refusal, is_trouble, trouble_told
from edge.contract.block import Block, peek
from edge.contract.types import Key

__all__ = ["KEEP_ALL", "Delivery", "Duplicate", "Refusal", "Seen", "StoreBusyError", "Writer"]

KEEP_ALL = Retention()
STEP_S = 0.004
"""So long a step of deriving goes on taking parts."""


@dataclass(slots=True)
class _Parts:
    """A wide gateway's blocks that are being derived, and the parts that are left."""

    gateway: int
    stored: list[Stored]
    left: deque[Part]


class Writer:
    """Not thread-safe: belongs to one thread. Holds the data folder's lock until ``close``."""

    def __init__(
        self,
        folder: Path,
        *,
        policy: Retention = KEEP_ALL,
        cache_mb: int = CACHE_MB,
        allowance: Allowance | None = None,
        tags_at_once_max: int = TAGS_AT_ONCE_MAX,
        step_s: float = STEP_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Derives first from what a crash has left behind. ``allowance`` is for what follows. Raises ``StoreError``.

        A gateway whose blocks have more tags than ``tags_at_once_max`` is derived in parts, ``step_s`` at a time.
        """
        self._policy, self._step_s, self._monotonic_s = policy, step_s, monotonic_s
        self._waiting = Waiting(tags_at_once_max=tags_at_once_max, monotonic_s=monotonic_s)
        self._allowance = allowance or Allowance(monotonic_s=monotonic_s)
        self._looked_s = -retention.LOOK_S
        self._parts: _Parts | None = None
        self._late: set[str] = set()
        self._lock = Lock(folder)
        try:
            self._connection = open_for_writing(database(folder), cache_mb=cache_mb)
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
                for gateway in self._waiting.gateways():
                    self._derive_all(gateway)
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
        with trouble_told():
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
        with trouble_told():
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
        draining = {one.gateway for one in deliveries if one.seen.backlog_readings > DRAINING_READINGS}
        waited = set(self._waiting.gateways())
        try:
            with self._transaction():
                throughs = [deliver(self._connection, delivery, fresh) for delivery in deliveries]
                self._tables.tell(fresh)
                self._waiting.add(fresh, draining=draining)
                derived = self._derive_some()
                self._mark(derived, fresh)
        except BaseException:
            self._waiting.take_back(fresh)
            raise
        self._done(derived, fresh, waited=waited)
        if self._parts is not None and self._parts.gateway in derived:
            self._parts = None
        return throughs

    def refuse(self, gateway: str, refusal: Refusal, at_ns: int) -> None:
        """Count a request that was refused as a whole. Raises ``StoreBusyError``."""
        with self._transaction():
            count_refusal(self._connection, gateway, refusal, at_ns)

    def idle(self, now_ns: int) -> bool:
        """``tidy``, where there is time for it: a share of what passes. What was begun in parts is ended."""
        if self._parts is None and not self._allowance.is_left():
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
            return self._derive_next()
        return self._repair() or self._retain(now_ns) or self._chunk(now_ns)

    @property
    def is_behind(self) -> bool:
        """Whether stored blocks wait to be derived from."""
        return bool(self._waiting)

    def derived_late(self) -> frozenset[str]:
        """Gateways from whose blocks something was derived after their commit, since this was asked last."""
        late, self._late = frozenset(self._late), set()
        return late

    @property
    def is_pressed(self) -> bool:
        """Whether so many wait that ``derive_more`` should be called before more of a backlog is taken."""
        return self._waiting.is_pressing

    def derive_more(self) -> None:
        """Derive from some of what waits, for some hundredths of a second. Raises ``StoreBusyError``."""
        gateway = self._parts.gateway if self._parts is not None else next(self._waiting.gateways())
        self._derive_step(gateway)

    def _derive_some(self) -> list[int]:
        """Derive from the gateways that have waited longest, as far as there is time, or they must wait no longer.

        The wide ones have steps of their own.
        """
        derived: list[int] = []
        for gateway in self._waiting.gateways():
            if not self._waiting.is_late(gateway, derived=derived):
                if not self._allowance.is_left():
                    break
                if self._waiting.is_wide(gateway) or not self._waiting.is_ripe(gateway):
                    continue
            began_s = self._monotonic_s()
            self._tables.derive(self._waiting.of(gateway))
            self._allowance.spend(began_s)
            derived.append(gateway)
        return derived

    def _derive_next(self) -> bool:
        """Derive from what has waited longest of what need not wait for more; False where all of it does."""
        if self._parts is not None:
            self._derive_step(self._parts.gateway)
            return True
        for gateway in self._waiting.gateways():
            if self._waiting.is_ripe(gateway):
                self._derive_step(gateway)
                return True
        return False

    def _derive_step(self, gateway: int) -> None:
        """Derive from a gateway's blocks; where they are of many signals, for ``STEP_S``, and go on the next time."""
        if not self._waiting.is_wide(gateway):
            self._derive_all(gateway)
            return
        try:
            with self._transaction():
                began_s = self._monotonic_s()
                if self._parts is None:
                    stored = list(self._waiting.of(gateway))
                    self._parts = _Parts(gateway, stored, deque(parts_of(stored)))
                left = self._parts.left
                while left:
                    self._tables.derive_part(self._parts.stored, left.popleft())
                    if self._monotonic_s() - began_s >= self._step_s:
                        break
        except StoreBusyError:
            self._parts = None  # What is derived already has its marks.
            raise
        if not left:
            self._derive_all(gateway, self._parts.stored)

    def _derive_all(self, gateway: int, stored: Sequence[Stored] | None = None) -> None:
        """Whatever is left to be derived of all blocks of a gateway that wait, or of the first ones of them."""
        self._parts = None
        chosen = self._waiting.of(gateway) if stored is None else stored
        left = {one.id for one in self._waiting.of(gateway)} - {one.id for one in chosen}
        with self._transaction():
            self._tables.derive(chosen)
            newest = self._waiting.before(self._newest, without=[gateway])
            self._tables.mark(min([newest, *(block - 1 for block in left)]))
        self._waiting.take_back(chosen)
        self._late.add(_name(chosen))

    def _mark(self, derived: Sequence[int], fresh: Sequence[Stored]) -> None:
        newest = fresh[-1].id if fresh else self._newest
        self._tables.mark(self._waiting.before(newest, without=derived))

    def _done(self, derived: Sequence[int], fresh: Sequence[Stored], *, waited: Collection[int]) -> None:
        for gateway in derived:
            if gateway in waited:
                self._late.add(_name(self._waiting.of(gateway)))
            self._waiting.remove(gateway)
        if fresh:
            self._newest = fresh[-1].id

    def _repair(self) -> bool:
        with trouble_told():
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
        with trouble_told():
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
            if is_trouble(error):
                raise StoreBusyError(str(error)) from error
            raise


def _name(stored: Sequence[Stored]) -> str:
    """Whose they are."""
    return stored[0].block.header.key.gateway


_STREAM = (
    "SELECT stream.id, through FROM stream JOIN gateway ON gateway.id = stream.gateway"
    " WHERE gateway.gateway = ? AND epoch = ?"
)
