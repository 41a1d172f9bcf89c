"""The journal goes up whole, whatever the link and the receiver do. A real store, a real server, real sockets."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.config.site import Uplink as UplinkConfig
from edge.journal import SqliteJournal, totals
from edge.uplink import HttpLink, Uplink, UplinkState
from tests.laws.journals import BentClock, good_readings, opened, poll
from tests.rooms.uplink.receiver import Receiver

DEADLINE_S = 20.0


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


class Rig:
    """One journal, its uplink and a receiver, while the uplink runs."""

    def __init__(self, journal: SqliteJournal, uplink: Uplink, clock: RecordingClock, receiver: Receiver) -> None:
        self.journal, self.uplink, self.clock, self.receiver = journal, uplink, clock, receiver
        self.polled = 0
        clock.uplink = uplink
        self.running = asyncio.create_task(uplink.run(), name="uplink")

    def commit(self, polls: int = 1) -> None:
        for _ in range(polls):
            self.clock.pass_s(0.1)
            self.polled += 1
            poll(self.journal, self.clock, self.polled)
        self.journal.commit()
        self.uplink.nudge()

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not done():
                assert not self.running.done(), self.running
                await asyncio.sleep(0.005)

    async def drained(self) -> None:
        await self.until(lambda: self.journal.backlog() == (0, 0) and self.uplink.state.up)

    def check(self) -> None:
        """What is held is what was polled, each block once and unaltered, and the ledger says the same."""
        rows = self.journal.ledger()
        assert all(row.balanced for row in rows)
        sums = totals(rows)
        assert sum(good_readings(self.receiver.held.values()).values()) == sums["acknowledged"]
        assert sums["acknowledged"] + sums["dropped"] + sums["pending"] == sums["good"] == 3 * self.polled
        assert not self.receiver.altered
        assert self.receiver.at_once_max == 1


@asynccontextmanager
async def rig(
    folder: Path, receiver: Receiver, *, seed: int = 1, before: int = 0, settings: dict[str, float] | None = None
) -> AsyncIterator[Rig]:
    """``before`` blocks wait when the uplink starts."""
    token = folder / "token"
    token.write_text("secret\n")
    token.chmod(0o600)
    clock = RecordingClock()
    journal = opened(folder, clock)
    async with receiver.serving():
        config = UplinkConfig(url=receiver.url, token_file=str(token), **(settings or {}))  # type: ignore[arg-type]
        link = HttpLink(config, token_file=token, gateway="gw-1")
        uplink = Uplink(journal, link, config, clock=clock, random=random.Random(seed))
        made = Rig(journal, uplink, clock, receiver)
        for _ in range(before):
            made.commit()
        try:
            yield made
        finally:
            made.running.cancel()
            await asyncio.wait([made.running])
            await link.close()
            journal.close()
    assert made.running.cancelled()


def test_blocks_go_up_and_the_cursor_follows(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with rig(tmp_path, Receiver(), before=3) as made:
            await made.drained()
            made.check()
            assert made.receiver.got == [[1, 2, 3]], "many blocks in one request"
            assert made.receiver.headers["babbitt-gateway"] == "gw-1"
            assert made.receiver.headers["babbitt-epoch"] == made.journal.epoch
            assert made.receiver.headers["babbitt-backlog-blocks"] == "3"
            assert made.receiver.headers["babbitt-backlog-readings"] == "9"
            assert made.receiver.headers["content-type"] == "application/vnd.babbitt.blocks"
            for _ in range(5):
                made.commit()
                await made.drained()
            assert made.receiver.connections == 1, "one connection is kept"
            state = made.uplink.state
            assert (state.up, state.detail, state.blocks_sent) == (True, "", 8)
            assert state.bytes_sent == sum(map(len, made.receiver.held.values()))

    asyncio.run(scenario())


def test_a_commit_wakes_the_uplink_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with rig(tmp_path, Receiver(), settings={"interval_ms": 60_000}) as made:
            await asyncio.sleep(0)
            made.commit()
            await made.drained()
            made.check()

    asyncio.run(scenario())


@pytest.mark.parametrize("order", ["cut", "drop", "busy", "proxy", "nonsense", "other", "none"])
def test_a_receiver_that_fails_some_times_costs_nothing(tmp_path: Path, order: str) -> None:
    async def scenario() -> None:
        receiver = Receiver(orders=deque([order] * 3))
        async with rig(tmp_path, receiver, before=4) as made:
            await made.drained()
            made.check()
            assert totals(made.journal.ledger())["dropped"] == 0
            assert [state.failures for state in made.clock.said] == [1, 2, 3]
            assert not any(state.up or not state.detail for state in made.clock.said)
            assert made.uplink.state.failures == 0
            # After a reply that was dropped, the same blocks come again, byte for byte (`altered` in `check`).
            assert receiver.got[:4] == [[1, 2, 3, 4]] * 4

    asyncio.run(scenario())


def test_the_pause_that_the_receiver_asks_for_is_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver(orders=deque(["busy", "busy"]))
        async with rig(tmp_path, receiver, before=1) as made:
            await made.drained()
            assert made.clock.pauses == [7.0, 7.0]

    asyncio.run(scenario())


def test_pauses_grow_at_random_up_to_their_bound(tmp_path: Path) -> None:
    async def scenario(seed: int) -> list[float]:
        folder = tmp_path / str(seed)
        folder.mkdir()
        receiver = Receiver(orders=deque(["cut"] * 12))
        async with rig(folder, receiver, seed=seed, before=1, settings={"backoff_s_max": 8.0}) as made:
            await made.drained()
            return made.clock.pauses

    first, second = (asyncio.run(scenario(seed)) for seed in (1, 2))
    assert first != second
    for pauses in (first, second):
        bounds = [min(8.0, 0.5 * 2**i) for i in range(12)]
        assert all(0 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=True))
        assert max(pauses) > 2.0


def test_no_answer_is_waited_for_no_longer_than_the_timeout(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver(orders=deque(["hang", "endless"]))
        async with rig(tmp_path, receiver, before=1, settings={"timeout_s": 0.2}) as made:
            await made.drained()
            made.check()
            assert [state.detail for state in made.clock.said] == [
                "no answer within 0.2 s", "an answer of more than 262144 bytes",
            ]  # fmt: skip

    asyncio.run(scenario())


def test_a_request_that_is_too_large_is_halved_until_it_goes_through(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with rig(tmp_path, Receiver(frames_max=3), before=20) as made:
            await made.drained()
            made.check()
            assert [len(seqs) for seqs in made.receiver.got[:4]] == [20, 10, 5, 2]
            assert totals(made.journal.ledger())["dropped"] == 0

    asyncio.run(scenario())


def test_a_block_refused_alone_is_declared_lost_and_the_rest_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver(frames_max=1, refused={2})
        async with rig(tmp_path, receiver, before=4) as made:
            await made.drained()
            made.check()
            assert sorted(receiver.held) == [1, 3, 4]
            assert totals(made.journal.ledger())["dropped_decode"] == 3

    asyncio.run(scenario())


def test_blocks_refused_by_name_are_declared_lost(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver(refused={2, 3})
        async with rig(tmp_path, receiver, before=5) as made:
            await made.drained()
            made.check()
            assert sorted(receiver.held) == [1, 4, 5]
            assert totals(made.journal.ledger())["dropped_decode"] == 6
            assert len(receiver.got) == 1

    asyncio.run(scenario())


def test_a_receiver_that_refuses_everything_does_not_eat_the_backlog(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver(orders=deque(["refuse"] * 30))
        async with rig(tmp_path, receiver, before=12) as made:
            await made.drained()
            made.check()
            assert 0 < totals(made.journal.ledger())["dropped_decode"] <= 9

    asyncio.run(scenario())


def test_a_wrong_token_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver(token="another")  # noqa: S106
        async with rig(tmp_path, receiver, before=2) as made:
            await made.until(lambda: made.uplink.state.failures > 2)
            assert "401" in made.uplink.state.detail
            assert "unknown token" in made.uplink.state.detail
            receiver.token = "secret"  # noqa: S105
            await made.drained()
            made.check()

    asyncio.run(scenario())


def test_nobody_there_and_then_somebody(tmp_path: Path) -> None:
    """The link is down from the start; what is polled meanwhile goes up once it comes."""

    async def scenario() -> None:
        receiver = Receiver()
        async with rig(tmp_path, receiver) as made:
            receiver.orders.extend(["cut"] * 40)
            for _ in range(20):
                made.commit()
                await asyncio.sleep(0.002)
            await made.until(lambda: len(made.clock.pauses) > 0)
            receiver.orders.clear()
            await made.drained()
            made.check()
            assert len(receiver.held) == 20

    asyncio.run(scenario())


def test_chance_decides_what_the_receiver_does(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    moods = ["serve", "cut", "drop", "busy", "proxy", "nonsense", "other", "none"]

    async def scenario() -> None:
        receiver = Receiver(orders=deque(chance.choices(moods, k=60)))
        async with rig(tmp_path, receiver, seed=seed) as made:
            for _ in range(40):
                made.commit(polls=chance.randrange(1, 5))
                await asyncio.sleep(0)
            receiver.orders.clear()
            await made.drained()
            made.check()

    asyncio.run(scenario())
