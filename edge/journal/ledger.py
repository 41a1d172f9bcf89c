"""The ledger: what became of every reading, for each tag and hour.

Kept by scan group and hour in ``Accounts``; here is what changes them, and what is said of them to whom.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from edge.contract.types import Cause, Dropped, LedgerRow
from edge.journal.accounts import Accounts, Slot, stored_accounts
from edge.journal.counts import (
    BAD_FIELDS,
    DROPPED_FIELD_OF,
    Counts,
    Held,
    ScanGroup,
    Tallies,
    Tally,
    hour_of,
    unpack_held,
)
from edge.journal.fold import Folder
from edge.journal.signed import verified

# What one report holds of hours before the newest; the rest goes with the next.
REPORT_ROWS_MAX = 4000
REPORT_SLOTS_MAX = 1000
# The longest period that a site file takes.
PERIOD_NS_MAX = 24 * 3600 * 10**9

Rows = dict[tuple[str, str, int], dict[str, int]]
"""Counts by asset, tag and hour."""


@dataclass(frozen=True, slots=True)
class Report:
    """Rows to send, the accounts that are told with them, and whether there are more."""

    rows: list[LedgerRow]
    slots: list[Slot]
    more: bool


class Ledger:
    """Accounts over the store's connection. Called under the store's lock only."""

    def __init__(self, connection: sqlite3.Connection, groups: dict[int, ScanGroup], *, bytes_max: int) -> None:
        """``bytes_max``: beyond it the hours that were settled longest ago are folded into one."""
        self._connection, self._groups = connection, groups
        self._accounts = Accounts(connection, groups)
        self._folder = Folder(connection, groups, bytes_max=bytes_max)
        self._folding: list[Slot] = []
        self._sums: Counter[str] | None = None

    def load(self, slots: Iterable[Slot]) -> None:
        """Bring accounts into memory, so that no change to come needs the disk. Raises ``sqlite3.OperationalError``."""
        self._accounts.load(slots)

    def answered(self, group: ScanGroup, hour_ns: int, polls: Tally, *, dropped: Cause | None = None) -> Counts:
        """Count answered polls; what is kept of them is in a block, or was dropped at once. Returns what is kept."""
        change = account_of(polls, len(group.tags))
        if dropped is not None:
            change[DROPPED_FIELD_OF[dropped]] = change["kept"]
        self._add((hour_ns, group.id), change)
        return change["kept"]

    def declared(self, group: ScanGroup, dropped: Dropped) -> None:
        """Count readings of one tag that never came to the store."""
        self.answered(group, hour_of(dropped.to_ns), Tally(polls=dropped.count), dropped=dropped.cause)

    def settled(self, held: Iterable[Held], cause: Cause | None) -> None:
        """Move a block's readings out of what is pending: acknowledged, or dropped for a cause."""
        name = "acknowledged" if cause is None else DROPPED_FIELD_OF[cause]
        for part in held:
            self._add((part.hour_ns, part.group), {name: part.good}, tell=cause is not None)

    def thinned(self, removed: Iterable[Held]) -> None:
        """Move readings that thinning took away out of what is pending."""
        for part in removed:
            self._add((part.hour_ns, part.group), {"thinned": part.good})

    @property
    def is_due(self) -> bool:
        """Whether there are rows that no block tells yet."""
        return bool(self._accounts.due(1)[0])

    def thinned_untold(self, oldest: int | None) -> Iterator[tuple[int, Counts]]:
        """What was thinned of each row that the receiver may not know: no block tells it, or one from ``oldest`` on.

        ``oldest`` is None where no block waits. As the last transaction left it.
        """
        for (_, group), counts in self._accounts.untold_from(oldest):
            if counts["thinned"].any():
                yield group, counts["thinned"]

    def groups_in_use(self, at_ns: int) -> list[ScanGroup]:
        """Scan groups that were polled within a day before the last poll that is known at ``at_ns``, or later.

        That poll may be long ago, where a gateway stood still and was cut off again before its first commit; and a
        group may be polled no more than once a day.
        """
        found = self._connection.execute(
            "SELECT DISTINCT scan_group FROM ledger WHERE hour_ns >= coalesce("
            "(SELECT max(hour_ns) FROM ledger WHERE hour_ns <= :hour), :hour) - :day",
            {"hour": hour_of(at_ns), "day": PERIOD_NS_MAX},
        )
        return [self._groups[group] for (group,) in found]

    @property
    def unwritten(self) -> bool:
        return self._accounts.unwritten

    def write(self, now_ns: int, *, settled_below: int) -> None:
        """Put what changed into the open transaction; every block below that number is settled. Monotonic time."""
        self._accounts.write()
        self._folding = self._folder.fold(now_ns, below=settled_below)

    def written(self) -> None:
        """The transaction was committed."""
        self._accounts.written(self._folding)

    def report(self) -> Report:
        """Rows that changed since they were last told: cumulative counts, without what only this side knows.

        The newest hour's come whole, then earlier ones by age within a bound.
        """
        due, more = self._accounts.due(REPORT_SLOTS_MAX)
        newest = max((hour_ns for hour_ns, _ in due), default=0)
        hours = sorted({(hour_ns != newest, hour_ns, self._groups[group].asset) for hour_ns, group in due})
        by_asset: dict[str, list[ScanGroup]] = {}
        for group in list(self._groups.values()):
            by_asset.setdefault(group.asset, []).append(group)
        rows: Rows = {}
        slots: list[Slot] = []
        for earlier, hour_ns, asset in hours:
            if earlier and len(rows) >= REPORT_ROWS_MAX:
                return Report(_ledger_rows(rows), slots, more=True)
            for group in by_asset[asset]:
                account = self._accounts.read((hour_ns, group.id))
                if account is not None:
                    counts = {name: count for name, count in account.counts.items() if name != "acknowledged"}
                    _add_rows(rows, group, hour_ns, counts)
                    slots.append((hour_ns, group.id))
        return Report(_ledger_rows(rows), slots, more)

    def told(self, report: Report, block: int) -> None:
        """The blocks up to ``block`` tell these rows."""
        self._accounts.tell(report.slots, block)

    def untold(self, told: int) -> None:
        """One of the blocks that told these rows will never arrive."""
        self._accounts.untell(told)

    def rows(self, pending: Iterable[Held], coming: Tallies) -> list[LedgerRow]:
        """Every row as of now. ``pending``: what blocks hold; ``coming``: polls that no commit has taken yet."""
        rows = _all_rows(self._accounts.all(), self._groups, pending)
        for (group, hour_ns), polls in coming.items():
            account = account_of(polls, len(group.tags))
            _add_rows(rows, group, hour_ns, account | {"pending": account["kept"]})
        return _ledger_rows(rows)

    def sums(self) -> Counter[str]:
        """The sum of each field over all rows: read once, then kept up to date."""
        if self._sums is None:
            self._sums = Counter()
            for _, counts in self._accounts.all():
                self._sums.update({name: int(count.sum()) for name, count in counts.items()})
        return self._sums.copy()

    def _add(self, slot: Slot, change: Mapping[str, Counts], *, tell: bool = True) -> None:
        account = self._accounts.change(slot, tell=tell)
        for name, counts in change.items():
            account[name] += counts
            if self._sums is not None:
                self._sums[name] += int(counts.sum())


def account_of(polls: Tally, tags: int) -> dict[str, Counts]:
    """What answered polls add to an account: each was offered, and is bad by its cause, unchanged or kept."""
    return {
        "offered": np.full(tags, polls.polls, np.int64),
        **dict(zip(BAD_FIELDS, polls.bad_counts(tags), strict=True)),
        "unchanged": polls.unchanged_counts(tags),
        "kept": polls.kept(tags),
    }


def stored_rows(connection: sqlite3.Connection, groups: dict[int, ScanGroup]) -> list[LedgerRow]:
    """Every row as a transaction left it: what a reader beside the gateway sees."""
    pending = [
        part
        for seq, account in connection.execute("SELECT seq, account FROM block")
        for part in unpack_held(verified(account, seq), groups)
    ]
    return _ledger_rows(_all_rows(stored_accounts(connection, groups, apart_from={}), groups, pending))


def _all_rows(
    accounts: Iterable[tuple[Slot, Mapping[str, Counts]]], groups: Mapping[int, ScanGroup], pending: Iterable[Held]
) -> Rows:
    rows: Rows = {}
    for (hour_ns, group), counts in accounts:
        _add_rows(rows, groups[group], hour_ns, counts)
    for part in pending:
        _add_rows(rows, groups[part.group], part.hour_ns, {"pending": part.good})
    return rows


def _add_rows(rows: Rows, group: ScanGroup, hour_ns: int, account: Mapping[str, Counts]) -> None:
    for name, counts in account.items():
        for tag, count in zip(group.tags, counts.tolist(), strict=True):
            row = rows.setdefault((group.asset, tag, hour_ns), {})
            row[name] = row.get(name, 0) + count


def _ledger_rows(rows: Rows) -> list[LedgerRow]:
    ordered = sorted(rows.items(), key=lambda item: (item[0][2], item[0]))
    return [LedgerRow(asset, tag, hour_ns, **counts) for (asset, tag, hour_ns), counts in ordered]
