"""The store's disk: commits, and whatever else may wait for it, each off the event loop.

A disk that hangs delays no poll and no lamp: it is told instead, and who asks for the ledger gets the last sums.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from edge.errors import StoreError
from edge.panel import Condition
from edge.ports import Clock, Journal

log = logging.getLogger("babbitt.gateway")

T = TypeVar("T")

STATE_INTERVAL_S = 10.0
DISK_HANGS_NS = 10_000_000_000
TOTALS_S = 1.0
END_TOLD_S = 3.0
COMMITS_MAX = 3
"""What must be durable is committed again where something else was kept under its name meanwhile."""
WORKERS = 2
"""One commits while one reads what to send. Each costs an arena of memory."""


class Disk:
    """Under ``journal``. ``keep`` is called now and then before a commit, for what the rooms remember; ``committed``
    after each: there is something to send.

    Its threads are its own: a name lookup that hangs, as all do with the cable cut, delays no commit.
    """

    def __init__(
        self, journal: Journal, *, clock: Clock, interval_s: float, keep: Callable[[], None],
        committed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._journal, self._clock, self._interval_s = journal, clock, interval_s
        self._keep, self._committed = keep, committed
        self._urgent = asyncio.Event()
        self._committing_ns: int | None = None
        self._ledger = journal.totals()
        self._summing: asyncio.Future[dict[str, int]] | None = None
        self.workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="babbitt.disk")

    async def run(self) -> None:
        """One commit an interval, and one at once where somebody hurries. Until cancelled."""
        kept_ns = self._clock.mono_ns()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await self._urgent.wait()
            self._urgent.clear()
            if self._clock.mono_ns() - kept_ns > STATE_INTERVAL_S * 1e9:
                kept_ns = self._clock.mono_ns()
                self._keep()
            await self.commit()

    def hurry(self) -> None:
        """What was recorded just now, an alarm, waits for no interval."""
        self._urgent.set()

    async def call(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.workers, call)

    async def commit(self) -> None:
        self._committing_ns = self._clock.mono_ns()
        try:
            await self.call(self._journal.commit)
        finally:
            self._committing_ns = None
        self._committed()

    async def finish(self) -> None:
        """The last commit, with the ledger's changed rows.

        It has no deadline but the service manager's: what waits here is worth more than an end in time. A disk that
        does not answer is told.
        """
        loop = asyncio.get_running_loop()
        telling = loop.call_later(END_TOLD_S, log.warning, "the disk does not answer: the end waits for it")
        try:
            await self.call(self._journal.report)
            await self.commit()
        finally:
            telling.cancel()

    async def durably(self, name: str) -> bool:
        """Commit; whether what is kept as ``name`` is on the disk then."""

        def commit() -> bool:
            for _ in range(COMMITS_MAX):
                self._journal.commit()
                if self._journal.is_durable(name):
                    return True
            return False

        done = await self.call(commit)
        self._committed()
        return done

    async def totals(self) -> dict[str, int]:
        """The ledger's sums; where the disk refuses or does not answer, the last ones that it gave."""
        if self._summing is None or self._summing.done():
            # One at a time: whoever asks on and on while the disk hangs fills no queue.
            self._summing = asyncio.ensure_future(self.call(self._journal.totals))
            self._summing.add_done_callback(_heard)
        with contextlib.suppress(TimeoutError, StoreError):
            async with asyncio.timeout(TOTALS_S):
                self._ledger = await asyncio.shield(self._summing)
        return self._ledger

    def hangs(self) -> list[Condition]:
        """A disk that fails says so; one that hangs says nothing at all."""
        now_ns = self._clock.mono_ns()
        if self._committing_ns is None or now_ns - self._committing_ns < DISK_HANGS_NS:
            return []
        return [Condition("disk", f"no answer for {(now_ns - self._committing_ns) / 1e9:.0f} s", ok=False)]


def _heard(summing: asyncio.Future[dict[str, int]]) -> None:
    """Nobody waits any more for one that failed late."""
    if not summing.cancelled():
        summing.exception()
