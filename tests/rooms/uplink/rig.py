"""One journal, its uplink and a receiver: a real store, a real server, real sockets, and time that a test bends."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edge.config.tables import Uplink as UplinkConfig
from edge.contract.block import decode_block, open_dictionary
from edge.contract.types import Alarm, AlarmState, Lane, Priority
from edge.journal import SqliteJournal, totals
from edge.uplink import HttpLink, Uplink, UplinkState
from tests.laws.journals import BentClock, opened, poll
from tests.rooms.uplink.receiver import Receiver

DEADLINE_S = 60.0


class RecordingClock(BentClock):
    """Pauses take no time and are written down, each with what the uplink then said of itself."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self.said: list[UplinkState] = []
        self.uplink: Uplink | None = None

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self.uplink is not None:
            self.said.append(self.uplink.state)
        await super().sleep(seconds)


class WatchedClock(RecordingClock):
    """As above, but between two pauses time passes as it does outside: for what is measured, not waited for."""

    def mono_ns(self) -> int:
        return super().mono_ns() + time.monotonic_ns()


class Rig:
    """``run`` starts the uplink; what is committed before it is what an outage has left."""

    def __init__(self, journal: SqliteJournal, uplink: Uplink, clock: RecordingClock, receiver: Receiver) -> None:
        self.journal, self.uplink, self.clock, self.receiver = journal, uplink, clock, receiver
        self.polled = 0
        self.running: asyncio.Task[None] | None = None
        clock.uplink = uplink

    def run(self) -> None:
        self.running = asyncio.create_task(self.uplink.run(), name="uplink")

    def commit(self, polls: int = 1) -> int:
        """One block of ``polls``; returns its number."""
        for _ in range(polls):
            self.clock.pass_s(0.1)
            self.polled += 1
            poll(self.journal, self.clock, self.polled)
        self.journal.commit()
        self.uplink.nudge()
        return self.journal.last_seq

    def alarm(self) -> int:
        """One urgent block; returns its number."""
        at_ns = self.clock.wall_ns()
        self.journal.record(
            Alarm("spindle-1", "hot", "t", Priority.HIGH, AlarmState.UNACKNOWLEDGED, at_ns, at_ns, 90.0, "It is hot."),
            lane=Lane.URGENT,
        )
        self.journal.commit()
        self.uplink.nudge()
        return self.journal.last_seq

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not done():
                assert self.running is None or not self.running.done(), self.running
                await asyncio.sleep(0.002)

    async def drained(self) -> None:
        await self.until(lambda: self.journal.backlog() == (0, 0) and self.uplink.state.up)

    async def stop(self) -> None:
        if self.running is not None:
            self.running.cancel()
            await asyncio.wait([self.running])
            assert self.running.cancelled()

    def good_held(self) -> int:
        """Good readings in what the receiver holds, counted by decoding it."""
        dictionaries = {digest: open_dictionary(data) for digest, data in self.receiver.dictionaries.items()}
        blocks = [decode_block(data, dictionaries) for data in self.receiver.held.values()]
        return sum(not quality.is_bad for block in blocks for batch in block.batches() for quality in batch.quality)

    def check(self) -> None:
        """What is held is what was polled, each block once and unaltered, and the ledger says the same."""
        rows = self.journal.ledger()
        assert all(row.balanced for row in rows)
        sums = totals(rows)
        assert self.good_held() == sums["acknowledged"]
        assert sums["acknowledged"] + sums["dropped"] + sums["pending"] == sums["good"] == 3 * self.polled
        assert not self.receiver.altered
        assert max(self.receiver.at_once_max.values()) == 1


@asynccontextmanager
async def rig(
    folder: Path,
    receiver: Receiver,
    *,
    seed: int = 1,
    before: int = 0,
    polls: int = 1,
    clock: RecordingClock | None = None,
    settings: dict[str, Any] | None = None,
) -> AsyncIterator[Rig]:
    """``before`` blocks of some ``polls`` each wait when the uplink starts."""
    token = folder / "token"
    token.write_text("secret\n")
    token.chmod(0o600)
    clock = clock or RecordingClock()
    journal = opened(folder, clock)
    async with receiver.serving():
        # A request that stands, as a test wishes, is not given up because the disk is slow.
        config = UplinkConfig(
            url=receiver.url, token_file=str(token), **{"timeout_s": DEADLINE_S, **(settings or {})}
        )  # fmt: skip
        link = HttpLink(config, token_file=token, gateway="gw-1")
        uplink = Uplink(journal, link, config, clock=clock, random=random.Random(seed))
        made = Rig(journal, uplink, clock, receiver)
        for _ in range(before):
            made.commit(polls)
        made.run()
        try:
            yield made
        finally:
            await made.stop()
            await link.close()
            journal.close()
