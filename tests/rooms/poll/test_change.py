"""Another site in place of the one that is polled: what is the same goes on undisturbed, what is new is open before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from edge.contract.types import Quality
from edge.errors import BabbittError, LineError
from edge.poll import Poller
from tests.rooms.poll.virtual import S, World, asset, site_of, tcp


def play(world: World, story: Callable[[Poller], Awaitable[None]]) -> None:
    async def run() -> None:
        polling = asyncio.create_task(world.poller.run())
        await world.clock.run_for(0)
        try:
            await story(world.poller)
        finally:
            polling.cancel()
            await asyncio.wait([polling])
        assert polling.cancelled(), polling.exception()

    asyncio.run(run())


async def changing(world: World, *arguments: object) -> None:
    """``Poller.change`` in virtual time."""
    task = asyncio.create_task(world.poller.change(*arguments))  # type: ignore[arg-type]
    while not task.done():
        await world.clock.run_for(0.001)
    await task


def seconds(world: World, name: str) -> list[float]:
    return [batch.read_ns / S - 1_800_000_000 for batch in world.diary.batches if batch.asset == name]


HALL, YARD = tcp("hall"), tcp("yard")


def test_an_unchanged_line_is_polled_through_a_change_as_if_there_were_none() -> None:
    world = World(site_of([HALL, YARD], [asset(1, "hall"), asset(2, "yard")]))
    new = site_of([HALL, YARD], [asset(1, "hall"), asset(2, "yard", 500), asset(3, "yard")])
    seen: list[bool] = []

    async def story(poller: Poller) -> None:
        await world.clock.run_for(4.995)
        [hall, yard] = world.buses["hall"], world.buses["yard"]
        await changing(world, new, lambda: seen.append(yard.is_open or not world.buses["yard"].is_open))
        await world.clock.run_for(5)
        assert world.buses["hall"] is hall
        assert not yard.is_open
        assert seen == [False], "between: the old line is closed, the new one open"

    play(world, story)
    assert seconds(world, "a1") == pytest.approx([k + 0.01 for k in range(10)], abs=1e-6)
    assert [status.polls for status in world.poller.status() if status.asset == "a1"] == [10]
    assert world.diary.count("a2", Quality.GOOD) >= 14
    assert world.diary.count("a3", Quality.GOOD) >= 4
    assert not world.diary.open, "whatever was offered was delivered"
    assert not any(bus.is_open for bus in world.buses.values())


def test_a_line_without_units_any_more_is_closed() -> None:
    world = World(site_of([HALL, YARD], [asset(1, "hall"), asset(2, "yard")]))

    async def story(poller: Poller) -> None:
        await world.clock.run_for(1.9)
        await changing(world, site_of([HALL, YARD], [asset(1, "hall")]), lambda: None)
        await world.clock.run_for(3.0)
        assert not world.buses["yard"].is_open
        assert [status.asset for status in poller.status()] == ["a1"]

    play(world, story)
    assert len(seconds(world, "a2")) == 2


@dataclass
class Shut:
    """A line that cannot be opened."""

    async def open(self) -> None:
        raise LineError("/dev/nothing", "no such device")

    async def close(self) -> None:
        pass


def test_where_a_line_cannot_be_opened_all_goes_on_as_before() -> None:
    world = World(site_of([HALL, YARD], [asset(1, "hall"), asset(2, "yard")]))
    make = world.poller._make_driver
    world.poller._make_driver = lambda line, clock: Shut() if line.name == "cellar" else make(line, clock)  # type: ignore[assignment, return-value]
    cellar = tcp("cellar")
    new = site_of([HALL, YARD, cellar], [asset(1, "hall"), asset(2, "yard", 500), asset(3, "cellar")])
    called: list[bool] = []

    async def story(poller: Poller) -> None:
        await world.clock.run_for(2.5)
        with pytest.raises(LineError, match="no such device"):
            await changing(world, new, lambda: called.append(True))
        await world.clock.run_for(3.0)
        assert [(status.asset, status.polls) for status in poller.status()] == [("a1", 6), ("a2", 6)]

    play(world, story)
    assert not called
    assert world.diary.count("a1", Quality.GOOD) == world.diary.count("a1") == 6
    assert not world.diary.open


def test_there_is_no_change_before_the_first_line_is_open() -> None:
    world = World(site_of([HALL], [asset(1, "hall")]))
    with pytest.raises(BabbittError, match="just starting"):
        asyncio.run(world.poller.change(site_of([HALL], [asset(2, "hall")]), lambda: None))
