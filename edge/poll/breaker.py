"""When a unit that does not answer may be asked again. Pure: time is handed in.

Is: after ``failures`` in a row a pause, doubling from ``first_s`` to ``max_s``; one poll after each pause tries again;
one answer ends it. A pause counts from when the unit was asked, so that one that comes back is noticed within
``max_s``. Is not: a judgement of the line; each unit of each line has its own.
"""

from __future__ import annotations

from typing import Literal

from edge.config.lines import Breaker as Limits

State = Literal["closed", "open", "probing"]


class Breaker:
    """``closed``: asked when due. ``open``: left alone. ``probing``: its pause is over, the next poll decides."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._until_ns = 0
        self._pause_s = 0.0
        self.failures = 0

    def allows(self, now_ns: int) -> bool:
        return self._pause_s == 0.0 or now_ns >= self._until_ns

    def state(self, now_ns: int) -> State:
        if self._pause_s == 0.0:
            return "closed"
        return "probing" if now_ns >= self._until_ns else "open"

    def succeeded(self) -> None:
        self.failures = 0
        self._pause_s = 0.0

    def failed(self, asked_ns: int) -> None:
        """Count a poll that was asked then and got nothing; from the last allowed one on, start the next pause."""
        self.failures += 1
        if self.failures >= self._limits.failures:
            self._pause_s = min(max(2 * self._pause_s, self._limits.first_s), self._limits.max_s)
            self._until_ns = asked_ns + int(self._pause_s * 1e9)

    def try_now(self) -> None:
        """End the pause before its time; one more failure starts the next, longer one."""
        self._until_ns = 0
