"""How often something is told that strangers can cause: some at once, then one in a while, and how many were not.

Whoever can make a gateway write a line, and needs no key for it, could otherwise fill its disk and its audit.
"""

from __future__ import annotations


class Sparing:
    """``burst`` at once, and one more for each ``every_s`` that passes by a monotonic clock. ``kept_back`` counts."""

    def __init__(self, burst: int, every_s: float) -> None:
        self._burst, self._every_ns = burst, round(every_s * 1e9)
        self._left, self._since_ns = burst, 0
        self.kept_back = 0

    def takes(self, now_ns: int) -> bool:
        """Whether one more may be told; it is counted in either case."""
        gained = (now_ns - self._since_ns) // self._every_ns
        if gained > 0:
            self._left = min(self._left + gained, self._burst)
            self._since_ns += gained * self._every_ns
        if self._left <= 0:
            self.kept_back += 1
            return False
        self._left -= 1
        return True

    def words(self) -> str:
        """What is to be said of those that were not told since this was last asked; mostly nothing."""
        count, self.kept_back = self.kept_back, 0
        return f" ({count} more like it were not told)" if count else ""
