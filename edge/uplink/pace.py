"""How large the next request may be, and how fast requests may follow each other."""

from __future__ import annotations

from edge.ports import Clock

FACTOR_MAX = 2.0
SLEEP_S_MIN = 0.001


class Pace:
    """The size of a lane's requests, in bytes, such that one is answered within ``target_s``.

    It grows while answers come sooner and shrinks when they come later, by at most a factor of two at a time; a request
    that was refused or never answered halves it, below ``least_bytes`` only where the receiver refuses.
    """

    def __init__(self, *, least_bytes: int, most_bytes: int, target_s: float) -> None:
        self._least, self._most, self._target_s = min(least_bytes, most_bytes), most_bytes, target_s
        self.limit_bytes = self._least

    def answered(self, size: int, seconds: float) -> None:
        """A request of ``size`` bytes was answered after ``seconds``. One that was not full says little: no growth."""
        factor = self._target_s / max(seconds, self._target_s / FACTOR_MAX)
        if factor > 1 and size < self.limit_bytes // 2:
            return
        least = min(self._least, self.limit_bytes)
        self.limit_bytes = min(max(int(self.limit_bytes * max(factor, 1 / FACTOR_MAX)), least), self._most)

    def refused(self, size: int) -> None:
        """A request of ``size`` bytes was refused as a whole."""
        self.limit_bytes = max(1, size // 2)

    def unanswered(self) -> None:
        """A request failed on the way: perhaps it was too much for its deadline."""
        self.limit_bytes = max(min(self._least, self.limit_bytes), self.limit_bytes // 2)


class TokenBucket:
    """At most ``bytes_per_s`` in the long run and at most a second's worth at once; 0 is no limit."""

    def __init__(self, bytes_per_s: int, *, clock: Clock) -> None:
        self._clock, self._rate = clock, bytes_per_s
        self._level = float(bytes_per_s)
        self._at_ns = clock.mono_ns()

    def least_of(self, size: int) -> int:
        """``size``, or the most that may go at once where that is less."""
        return min(size, self._rate) if self._rate else size

    async def room_for(self, size: int) -> None:
        """Wait until ``size`` bytes may go. Takes nothing: see ``spend``."""
        while (missing := self.least_of(size) - self._filled()) > 0 and self._rate:
            await self._clock.sleep(max(missing / self._rate, SLEEP_S_MIN))

    def spend(self, size: int) -> None:
        self._level = self._filled() - size

    def _filled(self) -> float:
        now_ns = self._clock.mono_ns()
        self._level = min(float(self._rate), self._level + self._rate * (now_ns - self._at_ns) / 1e9)
        self._at_ns = now_ns
        return self._level
