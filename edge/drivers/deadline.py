"""How long an answer is waited for: by the time in which this process could have heard it.

A gateway that stood still for a moment, because its core was another's or its memory on a card, finds the deadline
over and the answer lying in a buffer that it had no time to look into. That is no silence of the device.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

LATE_S = 0.01
"""A timer that rings later than this says that the loop had no time for anything else either."""


class HeardWithin:
    """As ``asyncio.timeout(seconds)``; where its end comes late, once as long again as it was late, at most doubled.

    Raises ``TimeoutError``.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_longer = False
        self._timeout = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._timeout.__aenter__()
        self._ring_at(self._loop.time() + self._seconds)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def _ring_at(self, due_s: float) -> None:
        self._due_s = due_s
        self._timer = self._loop.call_at(due_s, self._rang)

    def _rang(self) -> None:
        now_s = self._loop.time()
        late_s = now_s - self._due_s
        if late_s > LATE_S and not self._is_longer:
            self._is_longer = True
            self._ring_at(now_s + min(late_s, self._seconds))
        else:
            self._timeout.reschedule(now_s)
