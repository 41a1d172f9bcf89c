"""How long the gateway's own process stood still: its machine had no time for it, or something held up its loop.

Nobody else can tell it from a line that is slow: what lies in a buffer meanwhile looks as if it came late. Whoever
sleeps often anyway sleeps by it, so that an idle machine is woken no more for its sake.
"""

from __future__ import annotations

from edge.ports import Clock

JITTER_NS = 10_000_000
"""A sleep ends by so much too late on a machine that has time."""


class Pulse:
    """``stood_still_s`` is all of it since the start; it only rises. Belongs to the event loop.

    Of a stall that begins amid a sleep, what was left of that sleep is not seen: of a tenth of a second, half of it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.stood_still_s = 0.0

    async def sleep(self, seconds: float) -> None:
        """As the clock's, and note by how much it ended too late."""
        due_ns = self._clock.mono_ns() + int(seconds * 1e9)
        await self._clock.sleep(seconds)
        late_ns = self._clock.mono_ns() - due_ns
        if late_ns > JITTER_NS:
            self.stood_still_s += late_ns / 1e9
