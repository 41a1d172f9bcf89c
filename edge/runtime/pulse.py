"""How long the gateway's own process stood still: its machine had no time for it, or something held up its loop.

Nobody else can tell it from a line that is slow: what lies in a buffer meanwhile looks as if it came late.
"""

from __future__ import annotations

from edge.ports import Clock

BEAT_S = 0.1
"""What is shorter than this is seen in part: a twentieth of a second of each time, on average, is not."""
JITTER_NS = 10_000_000
"""A sleep ends by so much too late on a machine that has time."""


class Pulse:
    """``stood_still_s`` is all of it since the start; it only rises. Belongs to the event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.stood_still_s = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            due_ns = self._clock.mono_ns() + int(BEAT_S * 1e9)
            await self._clock.sleep(BEAT_S)
            late_ns = self._clock.mono_ns() - due_ns
            if late_ns > JITTER_NS:
                self.stood_still_s += late_ns / 1e9
