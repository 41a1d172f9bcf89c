"""Folding: the ledger keeps its sums for ever and its hours as long as there is room for them.

An hour's row may go once the receiver knows it for good: every block that holds readings of it, or tells it, is
settled. Those that were told longest ago go first, not the earliest: a machine without a battery clock counts under
1970 at every start. Their counts are added to one row a scan group, so that the equation balances in total as before.
A folded hour is not told any more; where a clock brings it back, it begins anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from edge.journal.accounts import Slot
from edge.journal.counts import Counts, ScanGroup, pack_account, unpack_account
from edge.journal.signed import sign, verified

FOLDED_AT_ONCE_MAX = 200
MEASURED_EVERY_NS = 24 * 3600 * 10**9
ROW_BYTES = 24
"""What a row takes beside its counts, about."""


class Folder:
    """Folds what is more than ``bytes_max``, a little with each transaction; measures once a day."""

    def __init__(self, connection: sqlite3.Connection, groups: Mapping[int, ScanGroup], *, bytes_max: int) -> None:
        self._connection, self._groups, self._bytes_max = connection, groups, bytes_max
        self._surplus = 0
        self._measure_at_ns: int | None = None

    def fold(self, now_ns: int, *, below: int) -> list[Slot]:
        """In the open transaction, fold rows that only blocks below this number told. ``now_ns`` is monotonic."""
        if self._measure_at_ns is None or now_ns >= self._measure_at_ns:
            self._measure_at_ns = now_ns + MEASURED_EVERY_NS
            self._surplus = self._measured()
        if not self._surplus:
            return []
        rows = self._connection.execute(
            "SELECT hour_ns, scan_group, counts FROM ledger WHERE told < ? ORDER BY told, hour_ns LIMIT ?",
            (below, min(self._surplus, FOLDED_AT_ONCE_MAX)),
        ).fetchall()
        self._surplus = max(0, self._surplus - len(rows)) if rows else 0
        for hour_ns, group, counts in rows:
            self._add(hour_ns, group, counts)
        slots = [(hour_ns, group) for hour_ns, group, _ in rows]
        self._connection.executemany("DELETE FROM ledger WHERE hour_ns = ? AND scan_group = ?", slots)
        return slots

    def _measured(self) -> int:
        """How many rows are too many."""
        count, size = self._connection.execute(
            "SELECT count(*), coalesce(sum(length(counts)), 0) FROM ledger"
        ).fetchone()
        size += count * ROW_BYTES
        return 0 if size <= self._bytes_max else count - count * self._bytes_max // size

    def _add(self, hour_ns: int, group: int, counts: str) -> None:
        tags = len(self._groups[group].tags)
        sums = unpack_account(verified(counts, hour_ns, group), tags)
        from_ns = to_ns = hour_ns
        row = self._connection.execute(
            "SELECT from_ns, to_ns, counts FROM folded WHERE scan_group = ?", (group,)
        ).fetchone()
        if row is not None:
            before: dict[str, Counts] = unpack_account(verified(row[2], row[0], row[1], group), tags)
            from_ns, to_ns = min(row[0], from_ns), max(row[1], to_ns)
            sums = {name: sums[name] + before[name] for name in sums}
        self._connection.execute(
            "INSERT OR REPLACE INTO folded (scan_group, from_ns, to_ns, counts) VALUES (?, ?, ?, ?)",
            (group, from_ns, to_ns, sign(pack_account(sums), from_ns, to_ns, group)),
        )
