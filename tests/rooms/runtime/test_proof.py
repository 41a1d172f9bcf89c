"""The heartbeat is a proof: what it says when alarms, or a line's owner, stand still."""

from __future__ import annotations

import asyncio
from pathlib import Path

from edge.config.site import load_site
from edge.poll.line import LineOwner
from edge.runtime import Gateway
from edge.runtime.proof import LATE_NS, Proof
from tests.laws.journals import BentClock
from tests.waiting import until_async
from tests.world.hall import Hall, describe

DEADLINE_S = 60.0


def test_alarms_that_stand_still_are_told_once_it_is_more_than_a_moment() -> None:
    clock = BentClock()
    proof = Proof(clock, lambda before_ns: [])
    assert proof.trouble() == ""
    clock.pass_s(LATE_NS / 1e9 + 0.1)
    assert proof.trouble() == "alarms stand still"
    proof.ticked()
    assert proof.trouble() == ""


def test_a_line_that_stands_still_is_told_once_it_is_more_than_a_moment() -> None:
    clock = BentClock()
    late: list[str] = []
    asked: list[int] = []
    proof = Proof(clock, lambda before_ns: asked.append(before_ns) or late)  # type: ignore[func-returns-value]
    assert proof.trouble() == ""
    assert asked == [clock.mono_ns() - LATE_NS]
    late.append("hall")
    for after_s, words in ((0.2, ""), (0.7, ""), (0.2, "line hall stands still")):
        clock.pass_s(after_s)
        proof.ticked()
        assert proof.trouble() == words
    late.clear()
    assert proof.trouble() == ""


def test_a_line_whose_owner_dies_or_never_comes_back_is_overdue(tmp_path: Path) -> None:
    hall = Hall()
    site = load_site(describe(tmp_path, [hall.port, hall.port], units=1, period_ms=20, panel={"kind": "none"}))

    async def scenario() -> None:
        gateway = Gateway(site)
        ready, stop = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(gateway.run(ready.set, stop))
        async with asyncio.timeout(DEADLINE_S):
            await ready.wait()
            await until_async(lambda: hall.reads >= 10 and not gateway.rooms.proof.trouble())
            owner = gateway.rooms.poller._places["line-0"].owner
            assert isinstance(owner, LineOwner)
            owner._driver.read = lambda *_: asyncio.sleep(60)  # type: ignore[assignment, method-assign]
            await until_async(lambda: owner.turn_ns > gateway.rooms.clock.mono_ns() + 20e9)
            owner.turn_ns = gateway.rooms.clock.mono_ns()
            await until_async(lambda: gateway.rooms.proof.trouble() == "line line-0 stands still")
            stop.set()
            await running
        gateway.close()

    try:
        asyncio.run(scenario())
    finally:
        hall.close()
