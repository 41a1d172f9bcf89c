"""The journal goes up whole, whatever the link and the receiver do. A real store, a real server, real sockets."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from itertools import pairwise
from pathlib import Path

import pytest

from edge.journal import totals
from tests.rooms.uplink.receiver import Receiver
from tests.rooms.uplink.rig import rig
from tests.seeds import fresh_seed


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
            assert made.receiver.connections == 1, "a connection is kept"
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


@pytest.mark.parametrize("order", ["busy", "many"])
def test_the_pause_that_the_receiver_asks_for_is_kept_with_jitter_on_top(tmp_path: Path, order: str) -> None:
    async def scenario() -> None:
        receiver = Receiver(orders=deque([order, order]))
        async with rig(tmp_path, receiver, before=1) as made:
            await made.drained()
            assert all(7.0 <= pause <= 7.0 + bound for pause, bound in zip(made.clock.pauses, [0.5, 1.0], strict=True))

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
        receiver = Receiver(orders=deque(["hang"]))
        async with rig(tmp_path, receiver, before=1, settings={"timeout_s": 0.2}) as made:
            await made.drained()
            made.check()
            # On a machine that is held up for as long the next answer is late, too.
            assert {state.detail for state in made.clock.said} == {"no answer within 0.2 s"}

    asyncio.run(scenario())


def test_an_answer_without_end_is_cut_off(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with rig(tmp_path, Receiver(orders=deque(["endless"])), before=1) as made:
            await made.drained()
            made.check()
            assert [state.detail for state in made.clock.said] == ["an answer of more than 262144 bytes"]

    asyncio.run(scenario())


def test_a_request_that_is_too_large_is_halved_until_it_goes_through(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with rig(tmp_path, Receiver(frames_max=3), before=20) as made:
            await made.drained()
            made.check()
            sizes = [len(seqs) for seqs in made.receiver.got]
            first = next(place for place, size in enumerate(sizes) if size <= 3)
            assert sizes[0] == 20
            assert all(later <= earlier // 2 for earlier, later in pairwise(sizes[: first + 1]))
            assert totals(made.journal.ledger())["dropped"] == 0

    asyncio.run(scenario())


def test_a_block_refused_alone_is_declared_lost_and_the_rest_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver(frames_max=1, refused={2})
        async with rig(tmp_path, receiver, before=4) as made:
            await made.until(lambda: 5 in receiver.held)
            await made.drained()
            made.check()
            assert sorted(receiver.held) == [1, 3, 4, 5], "the last one declares the loss of the second"
            assert totals(made.journal.ledger())["dropped_decode"] == 3

    asyncio.run(scenario())


def test_blocks_refused_by_name_are_declared_lost(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver(refused={2, 3})
        async with rig(tmp_path, receiver, before=5) as made:
            await made.until(lambda: 6 in receiver.held)
            await made.drained()
            made.check()
            assert sorted(receiver.held) == [1, 4, 5, 6], "the last one declares the loss of two"
            assert totals(made.journal.ledger())["dropped_decode"] == 6
            assert receiver.got[0] == [1, 2, 3, 4, 5]

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
    chance = random.Random(seed := fresh_seed())
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
