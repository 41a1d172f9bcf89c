"""Commands to a polled line: before the next poll or between two questions of one, in order, within a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from edge.clock import SystemClock
from edge.config.profiles.modbus import ModbusProfile, Point
from edge.contract.types import Batch, Quality, Value
from edge.drivers import make_driver, make_source
from edge.errors import LineError
from edge.poll import Poller
from edge.poll.line import COMMANDS_MAX
from edge.ports import Answer, Clock
from tests.peers.image import profile_of
from tests.peers.modbus_peers import UNIT, pymodbus_tcp
from tests.rooms.poll.virtual import Bus, Diary, S, World, an_image, asset, site_of, tcp
from tests.waiting import until_async


class WritableBus(Bus):
    """Its units take what is written to them, in as long as a poll takes."""

    def __init__(self, clock: Clock, takes_s: float = 0.01, timeout_s: float = 0.3) -> None:
        super().__init__(clock, takes_s, timeout_s)
        self.written: list[tuple[float, int, str, object]] = []

    async def write(self, unit: int, profile: ModbusProfile, tag: str, value: Value) -> Answer:
        assert tag in [point.tag for point in profile.point]
        [answer] = await self.read(unit, profile_of(profile.point[:1]))
        self.asked.pop()
        if answer.quality != Quality.GOOD:
            return answer
        self.written.append((self.clock.mono_ns() / S, unit, tag, value))
        return Answer(value, Quality.GOOD)


class BlockBus(WritableBus):
    """A poll of it is four questions; between two of them it gives way."""

    def __init__(self, clock: Clock, takes_s: float = 0.01, timeout_s: float = 0.3) -> None:
        super().__init__(clock, takes_s, timeout_s)
        self.give_way: Callable[[], Awaitable[None]] | None = None
        self.questions: list[str] = []

    async def read(self, unit: int, profile: ModbusProfile) -> list[Answer]:
        for i in range(4):
            if i:
                assert self.give_way is not None
                await self.give_way()
            answers = await super().read(unit, profile)
            self.questions.append("block")
        return answers

    async def write(self, unit: int, profile: ModbusProfile, tag: str, value: Value) -> Answer:
        await Bus.read(self, unit, profile)
        self.questions.append(f"write {value}")
        return Answer(value, Quality.GOOD)


class Commanded(World):
    """Four units, one poll of which takes 0.2 s; what was commanded, and what came of it."""

    def __init__(self, *, takes_s: float = 0.2) -> None:
        super().__init__(site_of([tcp()], [asset(n) for n in (1, 2, 3, 4)]), takes_s=takes_s)
        self.answers: list[tuple[float, Answer]] = []

    def make_bus(self, clock: Clock, takes_s: float, timeout_s: float) -> Bus:
        return WritableBus(clock, takes_s, timeout_s)

    def command(self, *values: int, within_s: float = 5.0) -> None:
        for value in values:
            self.tasks.append(asyncio.create_task(self._given(value, within_s)))

    async def _given(self, value: int, within_s: float) -> None:
        answer = await self.poller.write("a3", "t1", value, within_s=within_s)
        self.answers.append((self.clock.mono_ns() / S, answer))


class Blocks(Commanded):
    def make_bus(self, clock: Clock, takes_s: float, timeout_s: float) -> Bus:
        return BlockBus(clock, takes_s, timeout_s)


def test_commands_go_before_the_next_poll_in_their_order() -> None:
    world = Commanded()
    bus = world.bus
    assert isinstance(bus, WritableBus)
    world.play(2.1, lambda: world.command(7, 8, 9), 5.0)
    assert [(unit, tag, value) for _, unit, tag, value in bus.written] == [(3, "t1", 7), (3, "t1", 8), (3, "t1", 9)]
    times = [at - 1000 for at, *_ in bus.written]
    assert times == pytest.approx([2.4, 2.6, 2.8]), "the poll that was under way, and then nothing else"
    assert [answer for _, answer in world.answers] == [Answer(n, Quality.GOOD) for n in (7, 8, 9)]
    assert not world.diary.open


def test_a_command_goes_between_two_questions_of_a_poll() -> None:
    """A poll of four blocks, 0.2 s each, with a real conversation about them."""
    world = Blocks()
    bus = world.bus
    assert isinstance(bus, BlockBus)
    world.play(0.3, lambda: world.command(7, 8), 1.5)
    assert bus.questions[:6] == ["block", "block", "write 7", "write 8", "block", "block"]
    assert world.diary.batches[0].quality == (Quality.GOOD,) * 2, "and the poll goes on where it was"


def test_what_gave_up_while_it_waited_holds_nobody_up() -> None:
    world = Commanded()
    world.play(2.1, lambda: world.command(7), lambda: world.tasks[0].cancel(), 5.0)
    assert world.diary.count("a1", Quality.GOOD) >= 6


def test_a_command_to_a_line_that_rests_goes_at_once() -> None:
    world = Commanded(takes_s=0.01)
    world.play(2.1, lambda: world.command(7), 0.5)
    assert [at - 1000 for at, _ in world.answers] == pytest.approx([2.11])


def test_a_command_that_finds_no_turn_in_time_was_not_sent() -> None:
    world = Commanded(takes_s=30.0)
    bus = world.bus
    assert isinstance(bus, WritableBus)
    world.play(1.0, lambda: world.command(7, within_s=0.05), lambda: asyncio.wait(world.tasks))
    [(_, answer)] = world.answers
    assert (answer.quality, answer.detail) == (Quality.BAD_BUS, "not sent within 0.05 s")
    assert not bus.written


def test_more_commands_than_may_wait_are_refused_at_once() -> None:
    world = Commanded()
    world.play(2.1, lambda: world.command(*range(COMMANDS_MAX + 1)), 0.01)
    [(_, answer)] = world.answers[:1]
    assert answer.detail == f"{COMMANDS_MAX} commands wait for line l already"


def test_what_speaks_against_it_when_its_turn_has_come_keeps_it_from_the_wire() -> None:
    world = Commanded()
    bus = world.bus
    assert isinstance(bus, WritableBus)
    asked_at: list[float] = []

    def unless() -> str:
        asked_at.append(world.clock.mono_ns() / S - 1000)
        return "the pump stands" if len(asked_at) == 1 else ""

    async def given() -> None:
        for value in (7, 8):
            answer = await world.poller.write("a3", "t1", value, unless=unless)
            world.answers.append((world.clock.mono_ns() / S, answer))

    world.play(2.1, lambda: world.tasks.append(asyncio.create_task(given())), 5.0)
    assert [answer for _, answer in world.answers] == [
        Answer(None, Quality.BAD_DEVICE, "the pump stands"), Answer(8, Quality.GOOD),
    ]  # fmt: skip
    assert [value for *_, value in bus.written] == [8]
    assert asked_at[0] == pytest.approx(2.2), "after the poll that was under way"


def test_one_signal_is_asked_before_the_next_poll() -> None:
    world = Commanded()

    async def given() -> None:
        world.answers.append((0.0, await world.poller.ask("a3", "t1")))
        world.answers.append((0.0, await world.poller.ask("a3", "t1")))

    world.play(2.1, lambda: world.tasks.append(asyncio.create_task(given())), 1.0)
    assert [answer for _, answer in world.answers] == [Answer(3, Quality.GOOD)] * 2
    after = [(round(at - 1000, 1), unit) for at, unit in world.bus.asked if at > 1002.05]
    assert after[:2] == [(2.2, 3), (2.4, 3)]
    assert not world.diary.open


def test_a_command_to_a_line_that_takes_none_or_to_no_signal_says_so() -> None:
    world = World(site_of([tcp()], [asset(1)]))

    async def given() -> None:
        answer = await world.poller.write("a1", "t0", 1)
        assert (answer.quality, answer.detail) == (Quality.BAD_DEVICE, "line l takes no commands")
        with pytest.raises(LineError, match=r"a1\.t9: no polled line has such a signal"):
            await world.poller.write("a1", "t9", 1)
        with pytest.raises(LineError, match=r"a1\.t9: no polled line has such a signal"):
            await world.poller.ask("a1", "t9")

    asyncio.run(given())


def test_a_unit_that_took_a_command_is_polled_again() -> None:
    world = Commanded(takes_s=0.01)
    world.bus.dead.add(3)
    world.play(100.0, world.bus.dead.clear, lambda: world.command(7), 1.01)
    [last] = [b for b in world.diary.batches if b.asset == "a3"][-1:]
    assert last.quality[0] == Quality.GOOD


def test_over_a_real_connection_a_command_is_carried_out_and_the_next_poll_reads_it() -> None:
    diary = Diary()
    writable = profile_of([
        Point(tag=f"t{i}", function=3, address=i, type="uint16", writable=True) for i in range(2)
    ])  # fmt: skip

    async def run() -> None:
        async with pymodbus_tcp(an_image()) as port:
            site = site_of([tcp(port=port)], [asset(UNIT, period_ms=50)], {"p": writable})
            poller = Poller(
                site,
                clock=SystemClock(),
                offer=diary.offer,
                deliver=diary.deliver,
                make_driver=make_driver,
                make_source=make_source,
            )
            polling = asyncio.create_task(poller.run())
            await until_async(lambda: diary.count(f"a{UNIT}", Quality.GOOD) >= 2)
            assert await poller.write(f"a{UNIT}", "t1", 4711) == Answer(4711, Quality.GOOD)
            before = len(diary.batches)

            def polled() -> list[Batch]:
                return [batch for batch in diary.batches[before:] if batch.quality[0] == Quality.GOOD]

            assert (await until_async(polled))[0].values == (7, 4711)
            assert await poller.ask(f"a{UNIT}", "t1") == Answer(4711, Quality.GOOD)
            refused = await poller.write(f"a{UNIT}", "t1", 70_000)
            assert refused.quality is Quality.BAD_DECODE
            polling.cancel()
            await asyncio.wait([polling])

    asyncio.run(run())
    assert not diary.open
