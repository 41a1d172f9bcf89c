"""Empties the journal upwards: one request at a time, urgent blocks first, and the one owner of reconnection.

Only what is durable is sent, and only an acknowledgement lets go of it. While the receiver is away it is asked again
after pauses that grow and are drawn at random (full jitter), so that a fleet does not come back all at once; where it
names a pause of its own, that is kept. The journal is read and written in worker threads: polls and lamps never wait
for the disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

from edge.config.site import Uplink as UplinkConfig
from edge.contract.types import Ack
from edge.ports import Clock, Journal, Link, LinkDown, StoredBlock
from edge.uplink.http import Refused

log = logging.getLogger("babbitt.uplink")

T = TypeVar("T")

PAUSE_S_FIRST = 0.5
BLOCKS_PER_REQUEST_MAX = 1024
# Single blocks refused in a row: more than these say something about the receiver, and nothing about the blocks.
GIVEN_UP_IN_A_ROW_MAX = 3


@dataclass(frozen=True, slots=True)
class UplinkState:
    """What the panel and the status show. ``up`` is False until the first acknowledgement; ``since_ns`` a wall time."""

    up: bool
    since_ns: int
    detail: str
    last_ack_ns: int = 0
    failures: int = 0
    blocks_sent: int = 0
    bytes_sent: int = 0


class Uplink:
    """``run`` drains for ever; ``nudge`` wakes it after a commit."""

    def __init__(
        self,
        journal: Journal,
        link: Link,
        config: UplinkConfig,
        *,
        clock: Clock,
        random: Random,
        workers: Executor | None = None,
    ) -> None:
        """``workers`` are the threads that may wait for the disk; None for the event loop's own."""
        self._journal, self._link, self._config = journal, link, config
        self._clock, self._random, self._workers = clock, random, workers
        self._request_bytes_max = config.request_kb_max * 1024
        self._blocks_max = BLOCKS_PER_REQUEST_MAX
        self._given_up = 0
        self._woken = asyncio.Event()
        self.state = UplinkState(up=False, since_ns=clock.wall_ns(), detail="not yet connected")

    def nudge(self) -> None:
        """There may be something to send."""
        self._woken.set()

    async def run(self) -> None:
        """Send what is pending, wait for more, for ever."""
        while True:
            self._woken.clear()
            blocks = await self._pending() if self._journal.backlog()[0] else []
            if blocks:
                await self._send(blocks[: self._blocks_max])
            else:
                await self._idle()

    async def _pending(self) -> list[StoredBlock]:
        return await self._on_disk(lambda: self._journal.pending(limit_bytes=self._request_bytes_max))

    async def _send(self, blocks: Sequence[StoredBlock]) -> None:
        waiting_blocks, waiting_readings = self._journal.backlog()
        oldest = await self._on_disk(self._journal.oldest)
        try:
            ack = await self._link.send(
                blocks, live=True, oldest=oldest, backlog_blocks=waiting_blocks, backlog_readings=waiting_readings
            )
        except Refused as refused:
            await self._refused(blocks, str(refused))
        except LinkDown as down:
            self._down(str(down))
            await self._clock.sleep(self._pause_s(down.retry_after_s))
        else:
            await self._accepted(blocks, ack)

    async def _accepted(self, blocks: Sequence[StoredBlock], ack: Ack) -> None:
        settled = {seq for seq, _ in ack.refused} | set(ack.also)
        if ack.epoch != self._journal.epoch or not any(b.seq <= ack.through or b.seq in settled for b in blocks):
            # Asking again at once would spin: the receiver answers, but holds nothing of what it was sent.
            self._down("the receiver acknowledges none of what was sent")
            await self._clock.sleep(self._pause_s(None))
            return
        self._up(blocks)
        self._blocks_max = min(2 * self._blocks_max, BLOCKS_PER_REQUEST_MAX)
        self._given_up = 0
        await self._on_disk(lambda: self._journal.acknowledge(ack))

    async def _refused(self, blocks: Sequence[StoredBlock], reason: str) -> None:
        """Half as many blocks next time; one that is refused alone is declared lost, unless everything is refused."""
        self._blocks_max = max(1, len(blocks) // 2)
        if len(blocks) > 1:
            log.warning("%d blocks in one request were refused (%s); %d next", len(blocks), reason, self._blocks_max)
        elif self._given_up < GIVEN_UP_IN_A_ROW_MAX:
            self._given_up += 1
            ack = Ack(self._journal.epoch, through=0, refused=((blocks[0].seq, reason),))
            await self._on_disk(lambda: self._journal.acknowledge(ack))
        else:
            self._down(f"every block is refused: {reason}")
            await self._clock.sleep(self._pause_s(None))

    async def _idle(self) -> None:
        """Wait for a nudge, or look again after the interval."""
        try:
            async with asyncio.timeout(self._config.interval_ms / 1000):
                await self._woken.wait()
        except TimeoutError:
            return

    def _pause_s(self, wish_s: float | None) -> float:
        """Full jitter up to a bound that doubles with each failure, and never less than the receiver asked for."""
        longest_s = min(self._config.backoff_s_max, PAUSE_S_FIRST * 2.0 ** min(self.state.failures - 1, 30))
        return max(self._random.uniform(0.0, longest_s), wish_s or 0.0)

    def _up(self, blocks: Sequence[StoredBlock]) -> None:
        now_ns = self._clock.wall_ns()
        if not self.state.up:
            log.info("uplink up")
        self.state = replace(
            self.state, up=True, since_ns=self.state.since_ns if self.state.up else now_ns, detail="",
            last_ack_ns=now_ns, failures=0, blocks_sent=self.state.blocks_sent + len(blocks),
            bytes_sent=self.state.bytes_sent + sum(len(block.data) for block in blocks),
        )  # fmt: skip

    def _down(self, reason: str) -> None:
        if self.state.up or not self.state.failures:
            log.warning("uplink down: %s", reason)
        since_ns = self._clock.wall_ns() if self.state.up else self.state.since_ns
        self.state = replace(self.state, up=False, since_ns=since_ns, detail=reason, failures=self.state.failures + 1)

    async def _on_disk(self, call: Callable[[], T]) -> T:
        """Run ``call`` in a worker thread; a cancellation waits for its end, so that no call outlives its caller."""
        work = asyncio.get_running_loop().run_in_executor(self._workers, call)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise
