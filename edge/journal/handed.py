"""Which blocks the receiver may have: the numbers that were ever handed out, in this run or a former one.

Of these nothing is thinned: a receiver that has the original of a number takes a thinned block of that number for the
same once more, and what else was merged into it would be lost. So a number is durable here before its block is handed
out. While what is new goes up at once, numbers are marked with the transaction that writes their blocks; only the first
block after an outage, or one that has waited, costs a transaction of its own.
"""

from __future__ import annotations

import bisect
import json
import sqlite3
from collections.abc import Iterable

from edge.journal.counts import stored_json
from edge.journal.signed import sign, verified


class Handed:
    """A set of numbers, kept as ranges by age. Called under the store's lock only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Raises ``sqlite3.DatabaseError`` where the stored ones cannot be."""
        self._connection = connection
        text, last_seq = connection.execute("SELECT handed, last_seq FROM store").fetchone()
        self.unwritten = not text
        with stored_json():
            # A former version did not note it: it may have handed out all.
            ranges = json.loads(verified(text)) if text else [(1, last_seq)]
            self._ranges = [(int(first), int(last)) for first, last in ranges]

    def __contains__(self, seq: object) -> bool:
        assert isinstance(seq, int)
        at = bisect.bisect_right(self._ranges, seq, key=lambda one: one[0]) - 1
        return at >= 0 and seq <= self._ranges[at][1]

    def add(self, seqs: Iterable[int]) -> bool:
        """Whether any of them is new."""
        new = [(seq, seq) for seq in seqs if seq not in self]
        if not new:
            return False
        merged: list[tuple[int, int]] = []
        for first, last in sorted([*self._ranges, *new]):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        self._ranges, self.unwritten = merged, True
        return True

    def write(self, *, oldest: int) -> None:
        """Put them into the open transaction, without those below ``oldest``, which are settled for good."""
        if self.unwritten:
            self._ranges = [one for one in self._ranges if one[1] >= oldest]
            self._connection.execute(
                "UPDATE store SET handed = ?", (sign(json.dumps(self._ranges, separators=(",", ":"))),)
            )

    def written(self) -> None:
        """The transaction was committed."""
        self.unwritten = False
