"""A journal in memory while the disk of the store takes nothing: machines are polled and alarms raised all the same.

It goes on from what the store remembers, as far as that can be read, and has an epoch of its own, so that what goes up
of it is nobody else's. Nothing in it is durable, and it says so. The store that can be written again takes over what
was remembered, and declares as lost (cause disk) what had not gone up by then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from edge.contract.types import Cause, Dropped, LedgerRow
from edge.deferred import Deferred
from edge.errors import StoreError
from edge.journal.journal import SqliteJournal
from edge.journal.limits import Limits
from edge.journal.schema import read_beside
from edge.journal.states import read_states
from edge.ports import Clock
from edge.stand_in import found_stand_in, made_stand_in

shutil = Deferred("shutil")

FILE = "unkept.db"
BYTES_MAX = 16 * 1024 * 1024
LIMITS = Limits(store_bytes_max=BYTES_MAX, sealed_bytes_max=BYTES_MAX // 4, ledger_bytes_max=BYTES_MAX // 8)
TAKEN = "unkept"
"""The epoch that was taken over last: a crash amid it declares nothing twice."""
HOUR_NS = 3600 * 10**9

Remembered = Callable[[str], bool]
"""Whether the state of this name goes from the store to its stand-in, and back."""

log = logging.getLogger("babbitt.journal")


class UnkeptJournal(SqliteJournal):
    """As any other, but that ``trouble`` says why nothing is kept, and no state in it ever is durable."""

    def __init__(self, path: Path, *, gateway: str, clock: Clock, why: str) -> None:
        super().__init__(path, gateway=gateway, clock=clock, limits=LIMITS)
        self._why = why

    @property
    def trouble(self) -> str:
        return self._why

    def is_durable(self, name: str) -> bool:  # noqa: ARG002 - none is
        return False


def open_unkept(path: Path, gateway: str, *, clock: Clock, why: str, remembered: Remembered) -> UnkeptJournal:
    """In the stead of the store at ``path``, going on from it. Raises ``StoreError``, ``OSError``."""
    place = made_stand_in(path.parent) / FILE
    is_new = not place.exists()
    journal = UnkeptJournal(place, gateway=gateway, clock=clock, why=why)
    if is_new:
        journal.keep_together({name: state for name, state in _states_of(path).items() if remembered(name)})
        journal.commit()
    return journal


def take_over(journal: SqliteJournal, path: Path, gateway: str, *, clock: Clock, remembered: Remembered) -> None:
    """Let ``journal``, open at ``path``, have what its stand-in left, if there was one. Raises ``BrokenStoreError``."""
    folder = found_stand_in(path.parent)
    if folder is None or not (place := folder / FILE).exists():
        return
    try:
        left = UnkeptJournal(place, gateway=gateway, clock=clock, why="")
    except StoreError as error:
        log.error("what was only in memory is lost: %s", error)
        return
    try:
        if journal.kept(TAKEN) != left.epoch.encode():
            lost, former = _lost(left), _states_of(path)
            for dropped in lost:
                journal.declare(dropped)
            states = {name: left.kept(name) or b"" for name in (*former, *_states_of(place)) if remembered(name)}
            journal.keep_together({**states, TAKEN: left.epoch.encode()})
            journal.commit()
            count = sum(dropped.count for dropped in lost)
            log.warning("the store is kept again; %d readings that were only in memory are lost and declared", count)
    finally:
        left.close()
    if journal.is_durable(TAKEN):
        shutil.rmtree(folder, ignore_errors=True)


def _lost(left: SqliteJournal) -> list[Dropped]:
    """What never went up. Where anything did not, what was dropped before it may not be known above either."""
    if not left.backlog()[0]:
        return []
    return [_declared(row) for row in left.ledger() if row.kept > row.acknowledged]


def _declared(row: LedgerRow) -> Dropped:
    count = row.kept - row.acknowledged
    return Dropped(row.asset, row.tag, Cause.DISK, count, row.hour_ns, row.hour_ns + HOUR_NS - 1)


def _states_of(path: Path) -> dict[str, bytes]:
    """What a store remembers, as far as it can be read."""
    try:
        with read_beside(path) as connection:
            return read_states(dict(connection.execute("SELECT name, data FROM state").fetchall()))
    except StoreError as error:
        if path.exists():
            log.error("what the store remembers cannot be read: %s", error)
        return {}
