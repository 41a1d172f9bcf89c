"""Rounds of the judges' steps on their thread, and what becomes of a judge that does not come back from one.

It is left behind with its thread, and the rest go on with another. It may come back later, by the thread that it was
left on: a former judge's return says nothing of a later one's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from edge.ports import Clock
from edge.runtime.judges_thread import JudgesThread, Round, Step

LOOK_S = 0.5
LATE_LOOKS = 10
"""A judge that is at the same step at so many looks is late. Looks, not seconds: a machine that slept is not late."""
INTERRUPT_NS = 30_000_000_000
"""After so long a judge that was left is broken off, where it loops in Python: it would cost half a core for ever."""


@dataclass(slots=True)
class _Left:
    """What was left on a thread: of ``asset``. It is ``whole`` while all that it missed is polls."""

    asset: str
    left_ns: int
    whole: bool
    interrupted: bool = False


class Rounds:
    """Does steps in the order in which they are added.

    ``left`` is told of an asset whose judge does not come back, with the thread that it is on; ``back`` of the same
    two, where the judge has come back whole.
    """

    def __init__(
        self, clock: Clock, *, left: Callable[[str, JudgesThread], None], back: Callable[[str, JudgesThread], None]
    ) -> None:
        self._steps: deque[Step] = deque()
        self._clock, self._say_left, self._say_back = clock, left, back
        self._thread: JudgesThread | None = None
        self._left: dict[JudgesThread, _Left] = {}

    @property
    def waits(self) -> bool:
        """Whether there is anything to be done."""
        return bool(self._steps)

    def add(self, steps: Iterable[Step]) -> None:
        """Behind those that there are."""
        self._steps.extend(steps)

    async def work(self) -> None:
        """Have all steps done that there are now. Raises what a judge raises: the others' steps are not lost by it."""
        if not self._steps:
            return
        if self._thread is None:
            self._thread = JudgesThread()
        thread = self._thread
        steps, self._steps = self._steps, deque()
        turn = Round(steps, partial(_soon, asyncio.get_running_loop(), partial(self._came_back, thread)))
        working = thread.submit(turn)
        try:
            late = await self._followed(turn, working)
            turn.tell()
            if late is None:
                working.result()
        finally:
            # Where one was late, or broke, or the room ends: the rest is done by the next.
            self._steps.extendleft(reversed(turn.take()))
            working.cancel()
        if late is not None:
            self._leave(thread, late)

    def close(self) -> None:
        """End the thread, after what it is in the midst of."""
        if self._thread is not None:
            self._thread.end()

    async def _followed(self, turn: Round, working: asyncio.Future[None]) -> Step | None:
        """Until all is done, telling what is; gives the step that is late."""
        at, looks = turn.at, 0
        while looks < LATE_LOOKS:
            await asyncio.wait({working}, timeout=LOOK_S)
            self._hurry()
            if working.done():
                return None
            turn.tell()
            before, at = at, turn.at
            looks = looks + 1 if at is before and at is not None else 0
        return at

    def _leave(self, thread: JudgesThread, late: Step) -> None:
        """Leave the judge behind: nobody waits for it, and what it says does not count."""
        asset = late.asset
        lost = [late, *(step for step in self._steps if step.asset == asset)]
        self._steps = deque(step for step in self._steps if step.asset != asset)
        whole = not any(step.is_awaited for step in lost)
        self._left[thread] = _Left(asset, self._clock.mono_ns(), whole)
        self._say_left(asset, thread)
        for step in lost:
            step.lost()
        thread.end()
        self._thread = JudgesThread()

    def _hurry(self) -> None:
        now_ns = self._clock.mono_ns()
        for thread, left in self._left.items():
            if not left.interrupted and now_ns - left.left_ns > INTERRUPT_NS:
                left.interrupted = True
                thread.interrupt()

    def _came_back(self, thread: JudgesThread) -> None:
        left = self._left.pop(thread, None)
        if left is not None and left.whole and not left.interrupted:
            self._say_back(left.asset, thread)


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # It is closed: the gateway has ended meanwhile.
        loop.call_soon_threadsafe(call)
