"""OPC UA in: servers that drop, stall, restart and refuse. Never more than one session stands at a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edge.contract.types import Quality
from edge.drivers.opcua import OpcUaSource
from tests.faults.link import Fault, Link
from tests.peers.listening import DEADLINE_S, Ear, listening
from tests.peers.opcua_listening import line, source
from tests.peers.opcua_peers import Peer

COUNT = {"node": "Count", "type": "integer", "sampling_ms": 10, "queue": 200}


@contextmanager
def linked(peer: Peer, *points: dict[str, Any], **named: Any) -> Iterator[tuple[OpcUaSource, Link]]:
    """A source with a link between it and ``peer`` that can be made to fail."""
    link = Link(peer.port, seed=7)
    try:
        yield source(line(peer, url=f"opc.tcp://127.0.0.1:{link.port}", **named), *points), link
    finally:
        link.close()


async def first(ear: Ear, places: int = 1) -> None:
    await ear.until(lambda: all(ear.answers(0, place) for place in range(places)), "first values")


def test_connections_cut_in_the_midst_never_make_a_second_session(opcua_server: Peer) -> None:
    """The session is taken up again each time. What asyncua's server gives again, it gives once: see node-opcua's."""
    before = opcua_server.without_sessions()

    async def scene() -> None:
        with linked(opcua_server, COUNT, {"node": "Still"}) as (one, link):
            async with listening(one) as ear:
                await first(ear, 2)
                opcua_server.tell(count_every_ms=5)
                for i in range(12):
                    await asyncio.to_thread(link.set, Fault.CUT)
                    await asyncio.to_thread(link.set, Fault.NONE)
                    await ear.until(lambda: one.resumed > i, f"back from cut {i}")  # noqa: B023
                last = opcua_server.tell(stop_counting=True)["count"]
                await ear.until(lambda: ear.values()[-1] == last, f"count {last}")
                await ear.until(lambda: ear.values(0, 1)[-1] == 7.0, "the value that never changed")
                assert (one.opened, one.resumed) == (1, 12)

    opcua_server.tell(set="Count", value=0)
    asyncio.run(scene())
    after = opcua_server.sessions(now=0)
    assert after["opened"] - before == 1
    assert after["most"] == 1


def test_a_server_that_forgets_its_sessions_is_told_as_a_gap_and_gets_one_new_session_each_time(
    opcua_server: Peer,
) -> None:
    async def scene() -> None:
        one = source(line(opcua_server), {"node": "Temp"}, {"node": "Still"})
        async with listening(one) as ear:
            await first(ear, 2)
            for i in range(4):
                opcua_server.tell(leave=True)
                await ear.until(lambda: bool(one.trouble(0)))
                opcua_server.tell(set="Temp", value=50.0 + i)
                opcua_server.tell(**{"return": True})
                await ear.until(lambda: ear.values()[-1] == 50.0 + i, "heard again")  # noqa: B023
                await ear.until(lambda: ear.values(0, 1)[-1] == 7.0, "what never changed is told again")
                opcua_server.sessions(now=1)
            gaps = [a for a in ear.answers(0, 1) if a.quality == Quality.BAD_BUS]
            assert len(gaps) == 4
            assert one.opened == 5

    opcua_server.without_sessions()
    asyncio.run(scene())
    assert opcua_server.sessions(now=0)["most"] == 1


def test_a_server_that_stalls_is_noticed_by_its_silence_and_taken_up_again(opcua_server: Peer) -> None:
    async def scene() -> None:
        # Each of the two troubles stands for as long as one try takes.
        with linked(opcua_server, {"node": "Temp"}, timeout_ms=2000, keepalive_s=0.2) as (one, link):
            async with listening(one) as ear:
                await first(ear)
                await asyncio.to_thread(link.set, Fault.BLACK_HOLE)
                await ear.until(lambda: "said nothing" in one.trouble(0), "silence is noticed")
                await ear.until(lambda: "no answer within" in one.trouble(0), "nor does it answer")
                opcua_server.tell(set="Temp", value=77.0)
                await asyncio.to_thread(link.set, Fault.NONE)
                await ear.until(lambda: ear.values()[-1] == 77.0, "heard again")
                assert any(a.quality == Quality.BAD_BUS for a in ear.answers())
                await ear.well()

    opcua_server.without_sessions()
    asyncio.run(scene())
    assert opcua_server.sessions(now=0)["most"] == 1


def test_answers_that_are_lost_on_their_way_leave_no_session_behind(opcua_server: Peer) -> None:
    async def scene() -> None:
        with linked(opcua_server, {"node": "Temp"}) as (one, link):
            async with listening(one) as ear:
                await first(ear)
                for _ in range(3):
                    lost = link.done[Fault.DEAF]
                    await asyncio.to_thread(link.set, Fault.DEAF)
                    await ear.until(lambda: link.done[Fault.DEAF] >= lost + 4, "several tries")  # noqa: B023
                    assert one.trouble(0)
                    await asyncio.to_thread(link.set, Fault.NONE)
                    await ear.well()
                opcua_server.sessions(now=1)

    opcua_server.without_sessions()
    asyncio.run(scene())
    assert opcua_server.sessions(now=0)["most"] == 1


def test_bits_that_turn_over_end_connections_and_never_the_source(opcua_server: Peer) -> None:
    async def scene() -> None:
        named = {"timeout_ms": 500, "keepalive_s": 0.2, "session_s": 5}
        with linked(opcua_server, COUNT, {"node": "Still"}, **named) as (one, link):
            async with listening(one) as ear:
                await first(ear, 2)
                opcua_server.tell(count_every_ms=5)
                flipped = link.done[Fault.FLIP]
                await asyncio.to_thread(link.set, Fault.FLIP)
                await asyncio.sleep(1.5)
                assert link.done[Fault.FLIP] > flipped
                await asyncio.to_thread(link.set, Fault.NONE)
                last = opcua_server.tell(stop_counting=True)["count"]
                await ear.until(lambda: ear.values()[-1] == last and ear.values(0, 1)[-1] == 7.0, "all is well again")

    asyncio.run(scene())
    # One that was opened by an answer that nobody could read ends with its time.
    opcua_server.sessions(now=0)


def test_a_server_without_a_free_session_is_said_so_and_is_heard_once_it_has_one(opcua_server: Peer) -> None:
    async def scene() -> None:
        one = source(line(opcua_server), {"node": "Still"})
        async with listening(one) as ear:
            await ear.until(lambda: "no session free" in one.trouble(0), "refused")
            assert "close other clients there, or raise its limit" in one.trouble(0)
            opcua_server.tell(no_sessions=False)
            await first(ear)
            opcua_server.sessions(now=1)

    opcua_server.tell(no_sessions=True)
    asyncio.run(scene())


def test_a_server_that_drops_whoever_comes_is_not_hammered(opcua_server: Peer) -> None:
    """Each try waits longer than the one before, also where each got as far as a first value."""

    async def scene() -> None:
        one = source(line(opcua_server, reconnect_max_s=60), {"node": "Still"})
        async with listening(one) as ear:
            started_s = time.monotonic()
            while one.opened + one.resumed < 4:
                if not one.trouble(0):
                    opcua_server.tell(drop=True)
                await asyncio.sleep(0.02)
                assert time.monotonic() - started_s < DEADLINE_S
            # Once more at once, then after 1 and 2 s at most, each at least half of it.
            assert time.monotonic() - started_s >= 0.5 + 1.0
            assert one.opened == 1
            assert not ear.values() or ear.values()[0] == 7.0

    asyncio.run(scene())
    # It ended in a pause, and came back once more to give its session up.
    opcua_server.sessions(now=0)


def test_a_server_that_is_killed_and_comes_back_with_another_program(opcua_open: Peer) -> None:
    async def scene() -> None:
        one = source(line(opcua_open), {"node": "Still"}, {"node": "State", "field": "Speed"})
        async with listening(one) as ear:
            await first(ear, 2)
            await asyncio.to_thread(opcua_open.kill)
            await ear.until(lambda: "nothing listens there" in one.trouble(0), "absent")
            await asyncio.to_thread(opcua_open.start)
            await ear.until(lambda: ear.values()[-1] == 7.0 and ear.values(0, 1)[-1] == 1, "heard again")
            assert opcua_open.sessions(now=1) == {"now": 1, "opened": 1, "most": 1}

    asyncio.run(scene())
