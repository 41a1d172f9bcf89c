"""Empties the journal upwards over two lanes, with one owner of reconnection.

While the way is open two requests can be under way, each on a connection of its own: the *live* lane carries alarms and
what has been sealed since the way opened, the moment that it is durable; the *backlog* lane carries what was
sealed before, within a budget, in requests so small that none of them is long in anybody's way. Whatever fails closes
the way for both. A closed way is tried by one small request at a time (urgent blocks first), after pauses that grow and
are drawn at random (full jitter); a pause that the receiver names is kept.

Only what is durable is sent, and only an acknowledgement lets go of it. The journal is read and written in worker
threads: polls and lamps never wait for the disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from edge.config.tables import Uplink as UplinkConfig
from edge.contract.types import Ack
from edge.ports import Clock, Journal, Link, LinkDown, StoredBlock
from edge.uplink.http import Refused
from edge.uplink.pace import Pace, TokenBucket
from edge.uplink.standing import Standing, UplinkState, pause_s

log = logging.getLogger("babbitt.uplink")

T = TypeVar("T")

BLOCKS_PER_REQUEST_MAX = 1024
PROBE_BYTES = 4 * 1024
REQUEST_BYTES_MIN = 16 * 1024
LIVE_TARGET_S = 1.0
BACKLOG_TARGET_S = 0.1
# Single blocks refused in a row: more than these say something about the receiver, and nothing about the blocks.
GIVEN_UP_IN_A_ROW_MAX = 3


@dataclass(slots=True)
class Lane:
    """How one lane's requests are sized, and what it has met in a row.

    ``given_up`` counts blocks that were refused alone, ``delays`` answers that asked to wait; ``wanted`` says that the
    last answer asked for dictionaries and settled nothing.
    """

    live: bool
    pace: Pace
    given_up: int = 0
    delays: int = 0
    wanted: bool = False


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
        most = config.request_kb_max * 1024
        self._probe = Lane(True, Pace(least_bytes=PROBE_BYTES, most_bytes=PROBE_BYTES, target_s=LIVE_TARGET_S))
        self._live = Lane(True, Pace(least_bytes=REQUEST_BYTES_MIN, most_bytes=most, target_s=LIVE_TARGET_S))
        self._backlog = Lane(False, Pace(least_bytes=REQUEST_BYTES_MIN, most_bytes=most, target_s=BACKLOG_TARGET_S))
        self._bucket = TokenBucket(config.backlog_kb_s_max * 1024, clock=clock)
        self._standing = Standing(clock=clock)
        self._live_from = 0
        self._oldest = 1
        self._woken = asyncio.Event()
        self._nothing_new = asyncio.Event()
        self._nothing_new.set()

    @property
    def state(self) -> UplinkState:
        return self._standing.state

    def nudge(self) -> None:
        """There may be something to send."""
        self._woken.set()

    async def run(self) -> None:
        """Try the way until it is open, use it until it fails, pause; for ever."""
        while True:
            try:
                await self._open()
                self._live_from = self._journal.last_seq + 1
                await _until_one_fails(self._drain_live(), self._drain_backlog())
            except LinkDown as down:
                self._standing.down(str(down))
                await self._pause(self.state.failures, down)

    async def _open(self) -> None:
        """One small request at a time, until one is acknowledged."""
        while not self.state.up:
            await self._send_pending(self._probe, since=0)

    async def _drain_live(self) -> None:
        while True:
            await self._send_pending(self._live, since=self._live_from)

    async def _send_pending(self, lane: Lane, *, since: int) -> None:
        """Send what goes first, or wait for something to send."""
        self._woken.clear()
        self._nothing_new.clear()  # The backlog starts no request meanwhile.
        try:
            if self._journal.backlog()[0] and await self._sent_pending(lane, since):
                return
        finally:
            self._nothing_new.set()
        try:
            async with asyncio.timeout(self._config.interval_ms / 1000):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _sent_pending(self, lane: Lane, since: int) -> bool:
        """Whether there was something to send."""
        limit = lane.pace.limit_bytes
        blocks, oldest = await self._on_disk(
            lambda: (self._journal.pending(limit_bytes=limit, since=since), self._journal.oldest())
        )
        if blocks:
            ack = await self._sent(blocks[:BLOCKS_PER_REQUEST_MAX], oldest, lane)
            if ack is not None:
                await self._on_disk(lambda: self._journal.acknowledge(ack))
        return bool(blocks)

    async def _drain_backlog(self) -> None:
        """While one request is under way, what the last one settled is written down and the next one is read."""
        blocks: list[StoredBlock] = []
        ack: Ack | None = None
        while True:
            ahead = asyncio.create_task(self._settled_and_read(ack, blocks))
            try:
                ack = await self._backlog_sent(blocks) if blocks else None
            finally:
                await asyncio.wait([ahead])
            if blocks and ack is None:
                blocks = []  # What was not taken comes before what was read meanwhile.
                continue
            blocks = ahead.result()
            if not blocks and ack is None:
                if self._oldest >= self._live_from:
                    return
                await asyncio.sleep(self._config.interval_ms / 1000)

    async def _backlog_sent(self, blocks: Sequence[StoredBlock]) -> Ack | None:
        """As ``_sent``, within the budget. A receiver that asks the backlog to wait is heard, and closes no way."""
        size = sum(len(block.data) for block in blocks)
        await self._bucket.room_for(size)
        await self._nothing_new.wait()
        self._bucket.spend(size)
        try:
            ack = await self._sent(blocks, self._oldest, self._backlog)
        except LinkDown as down:
            if down.retry_after_s is None:
                raise
            self._backlog.delays += 1
            await self._pause(self._backlog.delays, down)
            return None
        self._backlog.delays = 0
        return ack

    async def _settled_and_read(self, ack: Ack | None, under_way: Sequence[StoredBlock]) -> list[StoredBlock]:
        """Write down what an answer settled, and read the backlog's next request, beyond what is under way."""
        limit = self._bucket.least_of(self._backlog.pace.limit_bytes)
        limit += sum(len(block.data) for block in under_way)
        newest_first = self._config.backlog_order == "newest"

        def turn() -> tuple[list[StoredBlock], int]:
            if ack is not None:
                self._journal.acknowledge(ack)
            blocks = self._journal.waiting(limit_bytes=limit, until=self._live_from, newest_first=newest_first)
            return blocks, self._journal.oldest()

        blocks, self._oldest = await self._on_disk(turn)
        taken = {block.seq for block in under_way}
        return [block for block in blocks if block.seq not in taken][:BLOCKS_PER_REQUEST_MAX]

    async def _sent(self, blocks: Sequence[StoredBlock], oldest: int, lane: Lane) -> Ack | None:
        """One request: what its answer settles, None where that is nothing. Raises ``LinkDown``."""
        size = sum(len(block.data) for block in blocks)
        waiting_blocks, waiting_readings = self._journal.backlog()
        started_ns = self._clock.mono_ns()
        try:
            ack = await self._link.send(
                blocks, live=lane.live, oldest=oldest, backlog_blocks=waiting_blocks, backlog_readings=waiting_readings
            )
        except Refused as refused:
            lane.pace.refused(size)
            return self._refused(blocks, str(refused), lane)
        except LinkDown:
            lane.pace.unanswered()
            raise
        lane.pace.answered(size, (self._clock.mono_ns() - started_ns) / 1e9)
        return self._accepted(blocks, ack, lane)

    def _accepted(self, blocks: Sequence[StoredBlock], ack: Ack, lane: Lane) -> Ack | None:
        named = {seq for seq, _ in ack.refused} | set(ack.also)
        settled = any(block.seq <= ack.through or block.seq in named for block in blocks)
        again, lane.wanted = bool(ack.wants) and not lane.wanted, bool(ack.wants) and not settled
        if ack.epoch != self._journal.epoch or not (settled or again):
            # Asking again at once would spin: the receiver answers, but holds nothing of what it was sent.
            raise LinkDown("the receiver acknowledges none of what was sent")
        if not settled:
            return None
        self._standing.up(blocks)
        lane.given_up = 0
        return ack

    def _refused(self, blocks: Sequence[StoredBlock], reason: str, lane: Lane) -> Ack | None:
        """Half as much next time; a block that is refused alone is declared lost, unless everything is refused."""
        if len(blocks) > 1:
            log.warning("%d blocks in one request were refused (%s); half as much next", len(blocks), reason)
            return None
        if lane.given_up == GIVEN_UP_IN_A_ROW_MAX:
            raise LinkDown(f"every block is refused: {reason}")
        lane.given_up += 1
        return Ack(self._journal.epoch, through=0, refused=((blocks[0].seq, reason),))

    async def _pause(self, failures: int, down: LinkDown) -> None:
        longest_s = self._config.backoff_s_max
        await self._clock.sleep(pause_s(self._random, failures, longest_s=longest_s, wish_s=down.retry_after_s))

    async def _on_disk(self, call: Callable[[], T]) -> T:
        """Run ``call`` in a worker thread; a cancellation waits for its end, so that no call outlives its caller."""
        work = asyncio.get_running_loop().run_in_executor(self._workers, call)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise


async def _until_one_fails(*lanes: Coroutine[None, None, None]) -> None:
    """Run all; what the first failure raised comes out as it is, once the others have ended."""
    tasks = [asyncio.create_task(lane) for lane in lanes]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
