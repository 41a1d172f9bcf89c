"""Whether what was read becomes an alarm: proved anew at each heartbeat, not believed for want of an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge.ports import Clock

LATE_NS = 1_000_000_000
"""How much later than due whatever is watched may be before it counts as standing still."""


class Proof:
    """``overdue`` names the lines whose owners should have made a turn before a given monotonic time, and did not."""

    def __init__(self, clock: Clock, overdue: Callable[[int], Sequence[str]]) -> None:
        self._clock, self._overdue = clock, overdue
        self._ticked_ns = self._sound_ns = clock.mono_ns()

    def ticked(self) -> None:
        """The desk let time pass: delays elapse and silence is heard."""
        self._ticked_ns = self._clock.mono_ns()

    def trouble(self) -> str:
        """In words what stands still; empty while polls become alarms."""
        now_ns = self._clock.mono_ns()
        words = self._words(now_ns)
        if not words:
            self._sound_ns = now_ns
        # A room that starts again, or a line that is changed, is none for a moment.
        return words if now_ns - self._sound_ns > LATE_NS else ""

    def _words(self, now_ns: int) -> str:
        if now_ns - self._ticked_ns > LATE_NS:
            return "alarms stand still"
        lines = self._overdue(now_ns - LATE_NS)
        return f"line {', '.join(lines)} stands still" if lines else ""
