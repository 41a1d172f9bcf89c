"""The ledger: what became of every reading, for each tag and hour.

Kept by scan group and hour in the store, with the few accounts that are being written in memory. All changes are made
in memory first and written with the transaction that makes them true; where that fails they stay, and go with the next.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from edge.contract.types import Cause, Dropped, LedgerRow
from edge.journal.counts import (
    BAD_FIELDS,
    DROPPED_FIELD_OF,
    FIELDS,
    Counts,
    Held,
    ScanGroup,
    Tallies,
    Tally,
    hour_of,
    pack_account,
    unpack_account,
    unpack_held,
)

ACCOUNTS_CACHED_MAX = 1000

Slot = tuple[int, int]
"""Hour (ns) and scan group."""
Account = dict[str, Counts]
Rows = dict[tuple[str, str, int], dict[str, int]]
"""Counts by asset, tag and hour."""


class Ledger:
    """Accounts over the store's connection. Called under the store's lock only."""

    def __init__(self, connection: sqlite3.Connection, groups: dict[int, ScanGroup]) -> None:
        self._connection = connection
        self._groups = groups
        self._accounts: dict[Slot, Account] = {}
        self._unwritten: set[Slot] = set()
        self._unreported: set[Slot] = set()
        self._sums: Counter[str] | None = None

    def load(self, slots: Iterable[Slot]) -> None:
        """Bring accounts into memory, so that no change to come needs the disk. Raises ``sqlite3.OperationalError``."""
        for slot in slots:
            if slot not in self._accounts:
                self._accounts[slot] = self._read(slot) or _empty(len(self._groups[slot[1]].tags))

    def answered(self, group: ScanGroup, hour_ns: int, polls: Tally, *, dropped: Cause | None = None) -> Counts:
        """Count answered polls; their good readings are kept in a block, or were dropped at once. Returns the good."""
        account = self._change((hour_ns, group.id))
        change = account_of(polls, len(group.tags))
        if dropped is not None:
            change[DROPPED_FIELD_OF[dropped]] = change["kept"]
        self._add(account, change)
        return change["kept"]

    def declared(self, group: ScanGroup, dropped: Dropped) -> None:
        """Count readings of one tag that never came to the store."""
        self.answered(group, hour_of(dropped.to_ns), Tally(polls=dropped.count), dropped=dropped.cause)

    def settled(self, held: Iterable[Held], cause: Cause | None) -> None:
        """Move a block's readings out of what is pending: acknowledged, or dropped for a cause."""
        name = "acknowledged" if cause is None else DROPPED_FIELD_OF[cause]
        for part in held:
            self._add(self._change((part.hour_ns, part.group), report=cause is not None), {name: part.good})

    def groups_in_use(self, at_ns: int) -> list[ScanGroup]:
        """Scan groups that were polled in the hour of ``at_ns`` or later."""
        found = self._connection.execute("SELECT DISTINCT scan_group FROM ledger WHERE hour_ns >= ?", (hour_of(at_ns),))
        return [self._groups[group] for (group,) in found]

    def write(self) -> None:
        """Put what changed into the open transaction."""
        self._connection.executemany(
            "INSERT INTO ledger VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET counts = excluded.counts",
            [(*slot, pack_account(self._accounts[slot])) for slot in sorted(self._unwritten)],
        )

    def written(self) -> None:
        """The transaction was committed."""
        if len(self._accounts) > ACCOUNTS_CACHED_MAX:
            self._accounts = {slot: self._accounts[slot] for slot in self._unwritten}
        self._unwritten.clear()

    def report(self) -> list[LedgerRow]:
        """Rows that changed since the last report: cumulative counts, without what only this side knows."""
        rows: Rows = {}
        hours = {(hour_ns, self._groups[group].asset) for hour_ns, group in self._unreported}
        for hour_ns, asset in sorted(hours):
            for group in [g for g in list(self._groups.values()) if g.asset == asset]:
                account = self._accounts.get((hour_ns, group.id)) or self._read((hour_ns, group.id))
                if account is not None:
                    _add_rows(rows, group, hour_ns, {n: c for n, c in account.items() if n != "acknowledged"})
        self._unreported.clear()
        return _ledger_rows(rows)

    def report_from(self, at_ns: int) -> None:
        """Report the rows of that hour and later: after a crash nobody knows which of them went up."""
        found = self._connection.execute("SELECT hour_ns, scan_group FROM ledger WHERE hour_ns >= ?", (hour_of(at_ns),))
        self._unreported.update(found)

    def report_again(self, row: LedgerRow) -> None:
        """A row did not get through: it goes up with the next report."""
        self._unreported.update(
            (row.hour_ns, g.id) for g in list(self._groups.values()) if g.asset == row.asset and row.tag in g.tags
        )

    @property
    def unwritten(self) -> bool:
        return bool(self._unwritten)

    def rows(self, pending: Iterable[Held], coming: Tallies) -> list[LedgerRow]:
        """Every row as of now. ``pending``: what blocks hold; ``coming``: polls that no commit has taken yet."""
        rows = _all_rows(self._connection, self._groups, self._accounts, pending)
        for (group, hour_ns), polls in coming.items():
            account = account_of(polls, len(group.tags))
            _add_rows(rows, group, hour_ns, account | {"pending": account["kept"]})
        return _ledger_rows(rows)

    def sums(self) -> Counter[str]:
        """The sum of each field over all rows: read once, then kept up to date."""
        if self._sums is None:
            self._sums = Counter()
            for _, account in _accounts(self._connection, self._groups, self._accounts):
                self._sums.update({name: int(counts.sum()) for name, counts in account.items()})
        return self._sums.copy()

    def _add(self, account: Account, change: Account) -> None:
        for name, counts in change.items():
            account[name] += counts
            if self._sums is not None:
                self._sums[name] += int(counts.sum())

    def _change(self, slot: Slot, *, report: bool = True) -> Account:
        self.load([slot])
        self._unwritten.add(slot)
        if report:
            self._unreported.add(slot)
        return self._accounts[slot]

    def _read(self, slot: Slot) -> Account | None:
        found = self._connection.execute(
            "SELECT counts FROM ledger WHERE hour_ns = ? AND scan_group = ?", slot
        ).fetchone()
        return unpack_account(found[0], len(self._groups[slot[1]].tags)) if found is not None else None


def account_of(polls: Tally, tags: int) -> Account:
    """What answered polls add to an account: each was offered, and is bad by its cause or kept."""
    bad = polls.bad_counts(tags)
    offered = np.full(tags, polls.polls, np.int64)
    return {"offered": offered, **dict(zip(BAD_FIELDS, bad, strict=True)), "kept": offered - bad.sum(axis=0)}


def _empty(tags: int) -> Account:
    return {name: np.zeros(tags, np.int64) for name in FIELDS}


def stored_rows(connection: sqlite3.Connection, groups: dict[int, ScanGroup]) -> list[LedgerRow]:
    """Every row as a transaction left it: what a reader beside the gateway sees."""
    pending = [
        part for (account,) in connection.execute("SELECT account FROM block") for part in unpack_held(account, groups)
    ]
    return _ledger_rows(_all_rows(connection, groups, {}, pending))


def _all_rows(
    connection: sqlite3.Connection,
    groups: Mapping[int, ScanGroup],
    newer: Mapping[Slot, Account],
    pending: Iterable[Held],
) -> Rows:
    rows: Rows = {}
    for (hour_ns, group), account in _accounts(connection, groups, newer):
        _add_rows(rows, groups[group], hour_ns, account)
    for part in pending:
        _add_rows(rows, groups[part.group], part.hour_ns, {"pending": part.good})
    return rows


def _accounts(
    connection: sqlite3.Connection, groups: Mapping[int, ScanGroup], newer: Mapping[Slot, Account]
) -> Iterator[tuple[Slot, Account]]:
    """All accounts: those in memory, and from the store those that are not."""
    for hour_ns, group, counts in connection.execute("SELECT hour_ns, scan_group, counts FROM ledger"):
        if (hour_ns, group) not in newer:
            yield (hour_ns, group), unpack_account(counts, len(groups[group].tags))
    yield from newer.items()


def _add_rows(rows: Rows, group: ScanGroup, hour_ns: int, account: Mapping[str, Counts]) -> None:
    for name, counts in account.items():
        for tag, count in zip(group.tags, counts.tolist(), strict=True):
            row = rows.setdefault((group.asset, tag, hour_ns), {})
            row[name] = row.get(name, 0) + count


def _ledger_rows(rows: Rows) -> list[LedgerRow]:
    ordered = sorted(rows.items(), key=lambda item: (item[0][2], item[0]))
    return [LedgerRow(asset, tag, hour_ns, **counts) for (asset, tag, hour_ns), counts in ordered]
