"""When each scan of one line is due, and which goes first. Pure: time is handed in.

The due times of a scan are ``start + phase + k * period``, whatever its polls take: no drift. Phases are spread over
the period, so that those of one period do not all fall due at once, nor with the first of another period. A scan has
at most one poll pending: of several due times that went by, the last is kept and the others are overrun.

Where several are due the highest priority goes first, of one priority the longest waiting. A scan that has waited for
``STARVED_PERIODS`` of its own takes every second turn: however busy the higher ones are, it waits no longer than these
periods and two polls for each that starves with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

OVERRUNS_MAX = 1000
"""More due times than this at once were missed only if the process stood still: it was not there to miss them."""
STARVED_PERIODS = 3


class Schedule:
    """Scans are numbered as in ``periods_ns``; of equal priority where ``priorities`` is empty."""

    def __init__(self, periods_ns: Sequence[int], start_ns: int, priorities: Sequence[int] = ()) -> None:
        self._periods_ns = tuple(periods_ns)
        self._priorities = tuple(priorities) or (0,) * len(self._periods_ns)
        self._due_ns = [start_ns + phase for phase in _phases(self._periods_ns)]
        self._waits_since_ns = self._due_ns.copy()
        self._top = max(self._priorities, default=0)
        self._relief: int | None = None
        self._relieved = False

    def due_ns(self, i: int) -> int:
        """The due time of ``i`` that is pending, or the next to come."""
        return self._due_ns[i]

    def overrun(self, now_ns: int) -> Iterator[tuple[int, int]]:
        """Let go of all due times but the last of each: which, and how many those were (``OVERRUNS_MAX`` at most)."""
        for i, due_ns in enumerate(self._due_ns):
            if now_ns - due_ns >= self._periods_ns[i]:
                passed = (now_ns - due_ns) // self._periods_ns[i]
                self._due_ns[i] += passed * self._periods_ns[i]
                yield i, min(passed, OVERRUNS_MAX)

    def next(self, now_ns: int, rank: Callable[[int], int] | None = None) -> int:
        """Whom to poll next of those due now, only those of the lowest ``rank``; else the first to fall due."""
        due = [i for i, due_ns in enumerate(self._due_ns) if due_ns <= now_ns]
        if not due:
            return min(range(len(self._due_ns)), key=self._due_ns.__getitem__)
        if len(due) > 1 and rank is not None:
            ranks = [rank(i) for i in due]
            due = [i for i, found in zip(due, ranks, strict=True) if found == min(ranks)]
        self._relief = None
        if len(due) == 1:
            return due[0]
        if not self._relieved and (starved := [i for i in due if self._is_starved(i, now_ns)]):
            self._relief = min(starved, key=self._waits_since_ns.__getitem__)
            return self._relief
        return min(due, key=lambda i: (-self._priorities[i], self._waits_since_ns[i]))

    def take(self, i: int) -> None:
        """The pending poll of ``i``, which was next, is being made."""
        self._due_ns[i] += self._periods_ns[i]
        self._waits_since_ns[i] = self._due_ns[i]
        self._relieved = self._relief == i

    def _is_starved(self, i: int, now_ns: int) -> bool:
        waited_ns = now_ns - self._waits_since_ns[i]
        return self._priorities[i] < self._top and waited_ns >= STARVED_PERIODS * self._periods_ns[i]


def _phases(periods_ns: Sequence[int]) -> Iterator[int]:
    """Of the ``n`` scans of one period the k-th is at ``k / n`` of it, and a little later for each other period."""
    kinds = list(dict.fromkeys(periods_ns))
    seen = dict.fromkeys(kinds, 0)
    for period in periods_ns:
        places = periods_ns.count(period) * len(kinds)
        yield period * (seen[period] * len(kinds) + kinds.index(period)) // places
        seen[period] += 1
