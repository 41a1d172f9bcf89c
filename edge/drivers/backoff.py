"""When to try again what failed: a pause that doubles from ``first_s`` to ``max_s`` with each failure in a row."""

from __future__ import annotations

from edge.ports import Clock


class Backoff:
    def __init__(self, clock: Clock, first_s: float, max_s: float) -> None:
        self._clock = clock
        self._first_s, self._max_s = first_s, max_s
        self._pause_s = 0.0
        self._until_ns = 0
        self.trouble = ""

    def allows(self) -> bool:
        return self._pause_s == 0.0 or self._clock.mono_ns() >= self._until_ns

    def rest_s(self) -> float:
        """How long until it may be tried again."""
        return max(0.0, (self._until_ns - self._clock.mono_ns()) / 1e9) if self._pause_s else 0.0

    def failed(self, trouble: str) -> str:
        """Remember the failure and start the next pause; gives ``trouble`` back."""
        self._pause_s = min(max(2 * self._pause_s, self._first_s), self._max_s)
        self._until_ns = self._clock.mono_ns() + int(self._pause_s * 1e9)
        self.trouble = trouble
        return trouble

    def succeeded(self) -> None:
        self._pause_s = 0.0
        self.trouble = ""
