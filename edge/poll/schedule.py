"""When each unit of one line is due. Pure: time is handed in.

The due times of a unit are ``start + phase + k * period``, whatever its polls take: no drift. Phases are spread over
the period, so that the units of a line do not all fall due at once. A unit has at most one poll pending: of several due
times that went by, the last is asked and the others are overrun.
"""

from __future__ import annotations

from collections.abc import Sequence

OVERRUNS_MAX = 1000
"""More due times than this were missed only if the process stood still: it was not there to miss them."""


class Schedule:
    def __init__(self, periods_ns: Sequence[int], start_ns: int) -> None:
        count = len(periods_ns)
        self._periods_ns = tuple(periods_ns)
        self._next_ns = [start_ns + period * i // count for i, period in enumerate(periods_ns)]

    def due_ns(self, i: int) -> int:
        """The oldest due time of ``i`` that has not been taken."""
        return self._next_ns[i]

    def next(self, now_ns: int, last_choice: Sequence[bool]) -> tuple[int, int]:
        """Which unit to poll next, and when: of those due now the longest waiting, else the first to fall due.

        Where others are due too, those of ``last_choice`` wait, for at most one of their periods.
        """

        def rank(i: int) -> tuple[bool, int]:
            due_ns = self._next_ns[i]
            if due_ns > now_ns:
                return True, due_ns
            waits = last_choice[i] and now_ns - due_ns < self._periods_ns[i]
            return False, due_ns + (self._periods_ns[i] if waits else 0)

        i = min(range(len(self._next_ns)), key=rank)
        return i, self._next_ns[i]

    def take(self, i: int, now_ns: int) -> int:
        """Poll ``i`` now; how many of its due times before the last one went by unasked (``OVERRUNS_MAX`` at most)."""
        passed = (now_ns - self._next_ns[i]) // self._periods_ns[i]
        assert passed >= 0
        self._next_ns[i] += (passed + 1) * self._periods_ns[i]
        return min(passed, OVERRUNS_MAX)
