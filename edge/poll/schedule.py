"""When each unit of one line is due. Pure: time is handed in.

The due times of a unit are ``start + phase + k * period``, whatever its polls take: no drift. Phases are spread over
the period, so that the units of a line do not all fall due at once. A unit has at most one poll pending: of several due
times that went by, the last is kept and the others are overrun.
"""

from __future__ import annotations

from collections.abc import Sequence

OVERRUNS_MAX = 1000
"""More due times than this at once were missed only if the process stood still: it was not there to miss them."""


class Schedule:
    """Units are numbered as in ``periods_ns``."""

    def __init__(self, periods_ns: Sequence[int], start_ns: int) -> None:
        count = len(periods_ns)
        self._periods_ns = tuple(periods_ns)
        self._due_ns = [start_ns + period * i // count for i, period in enumerate(periods_ns)]

    def due_ns(self, i: int) -> int:
        """The due time of ``i`` that is pending, or the next to come."""
        return self._due_ns[i]

    def overruns(self, i: int, now_ns: int) -> int:
        """Let go of all due times of ``i`` but the last; how many those were (``OVERRUNS_MAX`` at most)."""
        passed = max(0, (now_ns - self._due_ns[i]) // self._periods_ns[i])
        self._due_ns[i] += passed * self._periods_ns[i]
        return min(passed, OVERRUNS_MAX)

    def next(self, now_ns: int, last_choice: Sequence[bool]) -> int:
        """Whom to poll next: of those due now the longest waiting, ``last_choice`` after the others, else the first."""
        return min(
            range(len(self._due_ns)),
            key=lambda i: (self._due_ns[i] > now_ns, self._due_ns[i] <= now_ns and last_choice[i], self._due_ns[i]),
        )

    def take(self, i: int) -> None:
        """The pending poll of ``i`` is being made."""
        self._due_ns[i] += self._periods_ns[i]
