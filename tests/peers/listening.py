"""A source that runs, and what it has heard so far."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from edge.contract.types import Value
from edge.ports import Answer, Heard, Source

DEADLINE_S = 60.0


class Ear:
    """Keeps what is heard, and waits for what is to come."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.heard: list[Heard] = []
        self._news = asyncio.Event()

    def hear(self, heard: Heard) -> None:
        assert len(heard.places) == len(heard.answers)
        assert not heard.source_ns or len(heard.source_ns) == len(heard.places)
        self.heard.append(heard)
        self._news.set()

    def answers(self, subject: int = 0, place: int = 0) -> list[Answer]:
        """All that was said of one point, in order."""
        return [
            answer for heard in self.heard if heard.subject == subject
            for at, answer in zip(heard.places, heard.answers, strict=True) if at == place
        ]  # fmt: skip

    def values(self, subject: int = 0, place: int = 0) -> list[Value]:
        return [answer.value for answer in self.answers(subject, place)]

    async def until(self, done: Callable[[], bool], what: str = "") -> None:
        """Return once ``done()``, however long it takes within the deadline."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not done():
                    self._news.clear()
                    try:
                        await asyncio.wait_for(self._news.wait(), 0.05)
                    except TimeoutError:
                        continue
        except TimeoutError:
            raise AssertionError(f"not {what or 'so'} within {DEADLINE_S:g} s; heard {self.heard[-5:]}") from None

    async def well(self, subject: int = 0) -> None:
        await self.until(lambda: not self.source.trouble(subject), "without trouble")

    async def troubled(self, subject: int = 0) -> str:
        await self.until(lambda: bool(self.source.trouble(subject)), "in trouble")
        return self.source.trouble(subject)


@asynccontextmanager
async def listening(source: Source) -> AsyncIterator[Ear]:
    """Open and run ``source``; at the end it is cancelled, which it must take within a few seconds, and closed."""
    ear = Ear(source)
    await source.open()
    running = asyncio.create_task(source.run(ear.hear))
    try:
        yield ear
        assert not running.done(), running
    finally:
        running.cancel()
        await asyncio.wait({running}, timeout=DEADLINE_S)
        await source.close()
        if not running.cancelled():
            running.result()
