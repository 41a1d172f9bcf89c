"""The machine's own clocks behind the ``Clock`` port."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """Wall and monotonic time of this machine. The wall clock is trusted once it is past this code's own release.

    A Pi has no battery clock and starts in the past; so a time before that is certainly wrong.
    """

    BUILT_NS = 1_760_000_000 * 10**9

    def wall_ns(self) -> int:
        return time.time_ns()

    def mono_ns(self) -> int:
        return time.monotonic_ns()

    def trusted(self) -> bool:
        return time.time_ns() > self.BUILT_NS

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
