"""Virtual time and a diary, in which pollers and listeners are watched."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge.contract.types import Batch, Quality

S = 10**9


class Waking:
    """A clock that jumps: when everybody sleeps, time is where the first wants to wake."""

    def __init__(self) -> None:
        self.now_ns = 1_800_000_000 * S
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0

    def wall_ns(self) -> int:
        return self.now_ns

    def mono_ns(self) -> int:
        return self.now_ns - 1_799_999_000 * S

    def trusted(self) -> bool:
        return True

    async def sleep(self, seconds: float) -> None:
        self._count += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now_ns + max(1, round(seconds * S)), self._count, future))
        await future

    def wake_all(self) -> None:
        for _, _, future in self._sleepers:
            if not future.done():
                future.set_result(None)
        self._sleepers.clear()

    async def run_for(self, seconds: float) -> None:
        end_ns = self.now_ns + int(seconds * S)
        while True:
            for _ in range(20):  # let all that can run without time run
                await asyncio.sleep(0)
            self._sleepers = [s for s in self._sleepers if not s[2].cancelled()]
            if not self._sleepers or min(self._sleepers)[0] > end_ns:
                self.now_ns = end_ns
                return
            first = min(self._sleepers)
            self._sleepers.remove(first)
            self.now_ns = first[0]
            first[2].set_result(None)


@dataclass
class Diary:
    """What was offered and delivered. Every delivery answers the oldest open offer of the same asset and tags."""

    open: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)

    def offer(self, asset: str, tags: Sequence[str]) -> None:
        self.open.append((asset, tuple(tags)))

    def deliver(self, batch: Batch) -> None:
        self.open.remove((batch.asset, batch.tags))
        self.batches.append(batch)

    def count(self, asset: str, quality: Quality | None = None) -> int:
        return sum(1 for b in self.batches if b.asset == asset and quality in (None, b.quality[0]))
