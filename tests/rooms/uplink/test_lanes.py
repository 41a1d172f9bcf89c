"""What is new goes first whatever waits behind it, and what waits goes as it was told to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from pathlib import Path

import pytest

from edge.config.tables import Uplink as UplinkConfig
from edge.contract.block import Dictionary, encode_block, pack_dictionary
from edge.contract.types import Key, Lane
from edge.journal import totals
from edge.ports import LinkDown, StoredBlock
from edge.uplink import HttpLink
from edge.uplink.drain import BLOCKS_PER_REQUEST_MAX, PROBE_BYTES
from tests.laws.journals import TAGS, BentClock, batch, killed
from tests.rooms.uplink.receiver import Receiver, Request
from tests.rooms.uplink.rig import RecordingClock, WatchedClock, rig

MANY = 120


def numbers(requests: Iterable[Request]) -> list[int]:
    return list(chain.from_iterable(request.seqs for request in requests))


def test_what_is_new_is_acknowledged_while_a_request_of_the_backlog_stands(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        receiver.free.clear()
        async with rig(tmp_path, receiver, before=MANY) as made:
            await made.until(lambda: bool(receiver.got_on("backlog")))
            mark = made.journal.last_seq
            for _ in range(10):
                made.commit()
                await made.until(lambda: made.journal.last_seq in receiver.held)
            alarm = made.alarm()
            await made.until(lambda: alarm in receiver.held)
            assert len(receiver.got_on("backlog")) == 1, "the first one still stands"
            receiver.free.set()
            await made.drained()
            made.check()
            probe, *live = receiver.got_on("live")
            assert probe.size < 2 * PROBE_BYTES
            assert min(numbers(live)) > mark
            assert max(numbers(receiver.got_on("backlog"))) <= mark
            assert receiver.connections == 2

    asyncio.run(scenario())


def test_alarms_of_an_outage_go_before_everything_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver(orders=deque(["cut"] * 3))
        async with rig(tmp_path, receiver) as made:
            for _ in range(MANY):
                made.commit()
            alarm = made.alarm()
            await made.drained()
            answered = next(request for request in receiver.requests[3:])
            assert answered.seqs[0] == alarm
            made.check()

    asyncio.run(scenario())


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_the_backlog_goes_in_the_order_that_was_asked_for(tmp_path: Path, order: str) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        async with rig(tmp_path, receiver, before=MANY, settings={"backlog_order": order}) as made:
            await made.drained()
            made.check()
            sent = numbers(receiver.got_on("backlog"))
            assert len(sent) > 10
            assert sent == sorted(sent, reverse=order == "newest")
            assert not receiver.duplicates

    asyncio.run(scenario())


def test_the_backlog_keeps_to_its_budget(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver, clock = Receiver(), RecordingClock()
        async with rig(tmp_path, receiver, clock=clock, settings={"backlog_kb_s_max": 1}) as made:
            receiver.orders.append("cut")
            for _ in range(MANY):
                made.commit()
            await made.drained()
            sent = numbers(receiver.got_on("backlog"))
            size = sum(len(receiver.held[number]) for number in sent)
            # Time passes in pauses alone.
            passed_s = sum(pause for pause, state in zip(clock.pauses, clock.said, strict=True) if state.up)
            assert size > 6 * 1024
            assert size <= 1024 * (passed_s + 1)
            assert passed_s < 2 * size / 1024
            # A second's worth at once, beside the frames' lengths and a dictionary.
            assert max(request.size for request in receiver.got_on("backlog")) < 3 * 1024

    asyncio.run(scenario())


def test_requests_of_the_backlog_are_small_for_a_slow_receiver_and_grow_with_a_fast_one(tmp_path: Path) -> None:
    async def scenario(name: str, seconds_per_kb: float, blocks: int) -> list[int]:
        folder = tmp_path / name
        folder.mkdir()
        receiver = Receiver(seconds_per_kb=seconds_per_kb)
        async with rig(folder, receiver, before=blocks, polls=20, clock=WatchedClock()) as made:
            await made.drained()
            made.check()
            return [request.size for request in receiver.got_on("backlog")]

    assert max(asyncio.run(scenario("slow", 0.01, 120))) < 18 * 1024
    # On a machine that is busy with other things no receiver is fast: then it is tried again.
    for number in range(5):
        fast = asyncio.run(scenario(f"fast {number}", 0.0, 300))
        assert all(later < 3 * earlier for earlier, later in pairwise(fast))
        if max(fast) > 30 * 1024:
            break
    assert max(fast) > 30 * 1024


def test_no_request_is_larger_than_its_bound(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        async with rig(tmp_path, receiver, before=200, settings={"request_kb_max": 32}) as made:
            await made.drained()
            made.check()
            block = max(map(len, receiver.held.values()))
            dictionary = max(map(len, receiver.dictionaries.values()), default=0)
            most = 32 * 1024 + block + dictionary + 8 * 200
            assert max(request.size for request in receiver.requests) <= most
            assert max(len(request.seqs) for request in receiver.requests) <= BLOCKS_PER_REQUEST_MAX

    asyncio.run(scenario())


@pytest.mark.parametrize("order", ["busy", "many"])
def test_a_receiver_that_asks_the_backlog_to_wait_still_gets_what_is_new(tmp_path: Path, order: str) -> None:
    async def scenario() -> None:
        receiver = Receiver(held_back=deque([order] * 3))
        async with rig(tmp_path, receiver, before=MANY) as made:
            await made.drained()
            made.check()
            assert made.clock.pauses[0] >= 7.0
            assert all(7.0 <= pause <= 7.0 + 0.5 * 2**i for i, pause in enumerate(made.clock.pauses[:3]))
            assert all(state.up for state in made.clock.said), "the way stayed open"

    asyncio.run(scenario())


def test_while_the_way_is_closed_there_is_one_small_request_at_a_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        async with rig(tmp_path, receiver, before=200) as made:
            await made.until(lambda: bool(receiver.got_on("backlog")))
            receiver.held_back.extend(["cut"])
            receiver.orders.extend(["cut"] * 10_000)
            await made.until(lambda: made.uplink.state.failures >= 4)
            tried = receiver.requests[-3:]
            receiver.orders.clear()
            await made.drained()
            made.check()
            assert all(request.lane == "live" and request.size < 2 * PROBE_BYTES for request in tried)

    asyncio.run(scenario())


def test_what_an_outage_leaves_waits_behind_what_comes_after_it(tmp_path: Path) -> None:
    """The mark moves each time that the way opens."""

    async def scenario() -> None:
        receiver = Receiver()
        async with rig(tmp_path, receiver, before=1) as made:
            await made.drained()
            receiver.orders.extend(["cut"] * 10_000)
            for _ in range(MANY):
                made.commit()
            await made.until(lambda: made.uplink.state.failures > 2)
            receiver.free.clear()
            receiver.orders.clear()
            receiver.requests.clear()
            await made.until(lambda: bool(receiver.got_on("backlog")))
            new = made.commit()
            await made.until(lambda: new in receiver.held)
            receiver.free.set()
            await made.drained()
            made.check()

    asyncio.run(scenario())


def test_a_number_that_will_never_come_holds_nothing_up(tmp_path: Path) -> None:
    """The receiver is told below which number nothing is missing, so its mark goes on past a refused block."""

    async def scenario() -> None:
        receiver = Receiver(refused={3})
        async with rig(tmp_path, receiver, before=8) as made:
            await made.drained()
            made.commit()
            await made.drained()
            assert receiver.requests[-1].oldest > 8
            made.check()

    asyncio.run(scenario())


def test_a_reply_that_was_lost_is_made_good_by_the_same_bytes(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver(held_back=deque(["drop", "drop"]))
        async with rig(tmp_path, receiver, before=MANY) as made:
            await made.drained()
            made.check()
            assert receiver.duplicates > 0
            assert not receiver.altered
            assert totals(made.journal.ledger())["dropped"] == 0

    asyncio.run(scenario())


def test_killed_on_either_side_it_resumes(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        receiver.free.clear()
        async with rig(tmp_path, receiver, before=MANY) as made:
            await made.until(lambda: bool(receiver.got_on("backlog")))
            await made.stop()
            polled, epoch = made.polled, made.journal.epoch
            killed(made.journal)
        receiver.free.set()
        # The receiver's store lives on; all else is another process, on both sides.
        again = Receiver(held=dict(receiver.held), dictionaries=dict(receiver.dictionaries))
        async with rig(tmp_path, again) as made:
            made.polled = polled
            assert made.journal.epoch == epoch
            made.commit()
            await made.drained()
            made.check()
            assert not again.altered

    asyncio.run(scenario())


def test_ended_in_the_middle_it_leaves_nothing_running_and_nothing_lost(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        receiver.free.clear()
        async with rig(tmp_path, receiver, before=MANY) as made:
            await made.until(lambda: bool(receiver.got_on("backlog")))
            await made.stop()
            assert [task for task in asyncio.all_tasks() if "drain" in repr(task.get_coro())] == []
            receiver.free.set()
            made.run()
            await made.drained()
            made.check()

    asyncio.run(scenario())


def named_blocks(dictionary: Dictionary, seqs: Sequence[int]) -> list[StoredBlock]:
    """Blocks that open only with their dictionary."""
    ((asset, tags),) = dictionary.groups
    return [
        StoredBlock(
            seq,
            Lane.TELEMETRY,
            len(tags),
            encode_block(
                Key("gw-1", "0" * 32, seq),
                boot="0" * 32,
                lane=Lane.TELEMETRY,
                sealed_ns=1,
                batches=[batch(BentClock(), seq, asset=asset, tags=tags)],
                records=[],
                dictionary=dictionary,
            ),
            pack_dictionary(dictionary),
        )
        for seq in seqs
    ]


def test_a_dictionary_goes_once_until_it_is_asked_for_or_the_link_fails(tmp_path: Path) -> None:
    one, two = (Dictionary(((asset, TAGS),)) for asset in ("press-1", "press-2"))
    token = tmp_path / "token"
    token.write_text("secret\n")
    token.chmod(0o600)

    async def scenario() -> None:
        receiver = Receiver()
        async with receiver.serving():
            link = HttpLink(UplinkConfig(url=receiver.url, token_file=str(token)), token_file=token, gateway="gw-1")

            async def told(*blocks: StoredBlock) -> tuple[set[bytes], tuple[str, ...]]:
                ack = await link.send(blocks, live=False, oldest=1, backlog_blocks=1, backlog_readings=1)
                return set(receiver.requests[-1].dictionaries), ack.wants

            assert await told(*named_blocks(one, [1, 2])) == ({one.digest}, ())
            assert await told(*named_blocks(one, [3]), *named_blocks(two, [4, 5])) == ({two.digest}, ())
            assert await told(*named_blocks(one, [6]), *named_blocks(two, [7])) == (set(), ())
            receiver.forgetful = 1
            assert await told(*named_blocks(one, [8])) == (set(), (one.digest.hex(),))
            assert 8 not in receiver.held
            assert await told(*named_blocks(one, [8])) == ({one.digest}, ())
            receiver.orders.append("cut")
            with pytest.raises(LinkDown):
                await told(*named_blocks(one, [9]))
            assert await told(*named_blocks(one, [9])) == ({one.digest}, ())
            assert sorted(receiver.held) == list(range(1, 10))
            await link.close()

    asyncio.run(scenario())


def test_a_receiver_that_lost_its_dictionaries_gets_them_again_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        async with rig(tmp_path, receiver, before=3) as made:
            await made.drained()
            receiver.forgetful = 1
            for _ in range(3):
                made.commit()
                await made.drained()
            made.check()
            assert made.clock.pauses == []

    asyncio.run(scenario())


def test_a_receiver_that_wants_a_dictionary_for_ever_is_asked_after_pauses(tmp_path: Path) -> None:
    async def scenario() -> None:
        receiver = Receiver(orders=deque(["want"] * 9))
        async with rig(tmp_path, receiver, before=3) as made:
            await made.drained()
            made.check()
            assert len(made.clock.pauses) == 8, "but for the first time, when it may have lost them"

    asyncio.run(scenario())
