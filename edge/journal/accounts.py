"""The ledger's accounts: one for each scan group and hour, in the store and, while they change, in memory.

``told`` says who knows an account's row: the number of the last block that tells it, or None while it is still to be
told. It lies in the store beside the counts and changes in the same transaction as the block that tells it, so that a
crash forgets neither.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from edge.journal.counts import FIELDS, Counts, ScanGroup, pack_account, unpack_account
from edge.journal.signed import sign, verified

ACCOUNTS_CACHED_MAX = 1000

Slot = tuple[int, int]
"""Hour (ns) and scan group."""


@dataclass(slots=True)
class Account:
    """``counts``: one entry a tag for each of ``FIELDS``; ``told``: see the module."""

    counts: dict[str, Counts]
    told: int | None = None


class Accounts:
    """All changes are made in memory and written with the transaction that makes them true, or with a later one."""

    def __init__(self, connection: sqlite3.Connection, groups: Mapping[int, ScanGroup]) -> None:
        self._connection, self._groups = connection, groups
        self._cached: dict[Slot, Account] = {}
        self._changed: set[Slot] = set()
        self._told_changed: set[Slot] = set()
        self._untold: set[int] = set()

    @property
    def unwritten(self) -> bool:
        return bool(self._changed or self._told_changed or self._untold)

    def load(self, slots: Iterable[Slot]) -> None:
        """Bring accounts into memory, so that no change to come needs the disk. Raises ``sqlite3.OperationalError``."""
        for slot in slots:
            if slot not in self._cached:
                self._cached[slot] = self.read(slot) or Account(self._empty(slot))

    def change(self, slot: Slot, *, tell: bool) -> dict[str, Counts]:
        """The counts of ``slot``, which the caller changes; ``tell`` where the receiver is to know of it."""
        self.load([slot])
        account = self._cached[slot]
        self._changed.add(slot)
        if tell and account.told is not None:
            account.told = None
            self._told_changed.add(slot)
        return account.counts

    def read(self, slot: Slot) -> Account | None:
        """The account of ``slot`` as of now, None where there is none."""
        if slot in self._cached:
            return self._cached[slot]
        row = self._connection.execute(
            "SELECT counts, told FROM ledger WHERE hour_ns = ? AND scan_group = ?", slot
        ).fetchone()
        if row is None:
            return None
        return Account(unpack_account(verified(row[0], *slot), len(self._groups[slot[1]].tags)), self._now(row[1]))

    def due(self, limit: int) -> tuple[set[Slot], bool]:
        """Slots to be told, and whether there are more: all that are in memory, of the others the ``limit`` oldest."""
        rows = self._connection.execute(
            "SELECT hour_ns, scan_group FROM ledger WHERE told IS NULL ORDER BY hour_ns LIMIT ?", (limit,)
        ).fetchall()
        slots = {slot for slot in rows if slot not in self._cached}
        slots.update(slot for slot, account in self._cached.items() if account.told is None)
        return slots, len(rows) == limit

    def untold_from(self, oldest: int | None) -> Iterator[tuple[Slot, dict[str, Counts]]]:
        """The stored accounts that are to be told, or that a block numbered ``oldest`` or higher tells."""
        rows = self._connection.execute(
            "SELECT hour_ns, scan_group, counts FROM ledger WHERE told IS NULL OR told >= ?",
            (2**63 - 1 if oldest is None else oldest,),
        )
        for hour_ns, group, counts in rows:
            yield (hour_ns, group), unpack_account(verified(counts, hour_ns, group), len(self._groups[group].tags))

    def tell(self, slots: Iterable[Slot], block: int) -> None:
        """Blocks up to ``block`` tell the rows of these slots, which are in memory or are now brought there."""
        for slot in slots:
            self.load([slot])
            self._cached[slot].told = block
            self._told_changed.add(slot)

    def untell(self, told: int) -> None:
        """A block that told the rows whose ``told`` this is will never arrive: they are to be told again."""
        self._untold.add(told)
        for slot, account in self._cached.items():
            if account.told == told:
                account.told = None
                self._told_changed.add(slot)

    def write(self) -> None:
        """Put what changed into the open transaction."""
        db = self._connection
        db.executemany("UPDATE ledger SET told = NULL WHERE told = ?", [(told,) for told in sorted(self._untold)])
        db.executemany(
            "INSERT INTO ledger (hour_ns, scan_group, counts, told) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET counts = excluded.counts",
            [
                (*slot, sign(pack_account(self._cached[slot].counts), *slot), self._cached[slot].told)
                for slot in sorted(self._changed)
            ],
        )
        # Apart from the counts, which change with every commit: this one touches an index too.
        db.executemany(
            "UPDATE ledger SET told = ? WHERE hour_ns = ? AND scan_group = ?",
            [(self._cached[slot].told, *slot) for slot in sorted(self._told_changed)],
        )

    def written(self, folded: Iterable[Slot]) -> None:
        """The transaction was committed; it deleted the accounts ``folded``."""
        for slot in folded:
            self._cached.pop(slot, None)
        if len(self._cached) > ACCOUNTS_CACHED_MAX:
            self._cached = {slot: self._cached[slot] for slot in self._changed if slot in self._cached}
        self._changed.clear()
        self._told_changed.clear()
        self._untold.clear()

    def all(self) -> Iterator[tuple[Slot, dict[str, Counts]]]:
        """Every account as of now."""
        yield from stored_accounts(self._connection, self._groups, apart_from=self._cached)
        for slot, account in self._cached.items():
            yield slot, account.counts

    def _now(self, told: int | None) -> int | None:
        return None if told in self._untold else told

    def _empty(self, slot: Slot) -> dict[str, Counts]:
        return {name: np.zeros(len(self._groups[slot[1]].tags), np.int64) for name in FIELDS}


def stored_accounts(
    connection: sqlite3.Connection, groups: Mapping[int, ScanGroup], *, apart_from: Mapping[Slot, Account]
) -> Iterator[tuple[Slot, dict[str, Counts]]]:
    """The accounts in the store. Hours that were folded stand as one, under the earliest of them."""
    rows = connection.execute(
        "SELECT hour_ns, scan_group, counts, NULL FROM ledger UNION ALL"
        " SELECT from_ns, scan_group, counts, to_ns FROM folded"
    )
    for hour_ns, group, counts, to_ns in rows:
        place = (hour_ns, group) if to_ns is None else (hour_ns, to_ns, group)
        if to_ns is not None or (hour_ns, group) not in apart_from:
            yield (hour_ns, group), unpack_account(verified(counts, *place), len(groups[group].tags))
