"""Polling: everything due is offered and delivered once, in order, and trouble stays where it is.

Time is virtual where the bus is (``Bus`` is a driver in which a reply takes as long as it says), and real where the
peers are real.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from edge.clock import SystemClock
from edge.config.lines import Breaker, ModbusRtu
from edge.config.profiles.modbus import ModbusProfile, Point
from edge.config.site import Site
from edge.config.tables import Asset, Rate, Unit
from edge.contract.types import Quality
from edge.drivers import make_driver, make_source
from edge.errors import LineError
from edge.poll import Poller
from edge.ports import Answer, Clock
from tests.peers.hostile import Hostile, honest, on_pty, over_tcp
from tests.peers.image import profile_of
from tests.rooms.poll.virtual import Bus, Diary, S, World, an_image, asset, site_of, tcp, two_points
from tests.waiting import until_async


def test_each_unit_is_polled_once_a_period_without_drift_and_spread_over_it() -> None:
    world = World(site_of([tcp()], [asset(n) for n in (1, 2, 3, 4)]), takes_s=0.013)
    world.play(9.99)
    start = world.bus.asked[0][0]
    for n in (1, 2, 3, 4):
        times = [at - start for at, unit in world.bus.asked if unit == n]
        assert times == pytest.approx([(n - 1) / 4 + k for k in range(10)], abs=1e-6)
    assert not world.diary.open


def test_a_batch_carries_the_values_their_times_and_its_own_tags() -> None:
    both = Asset(id="m", unit=(Unit(line="l", unit=1, profile="p"), Unit(line="l", unit=2, profile="q")))
    world = World(site_of([tcp()], [both], {"p": two_points("p"), "q": two_points("q")}), takes_s=0.02)
    world.play(0.9)
    first, second = world.diary.batches
    assert (first.asset, first.tags, first.values) == ("m", ("p0", "p1"), (1, 1))
    assert (second.asset, second.tags, second.values) == ("m", ("q0", "q1"), (2, 2))
    assert first.quality == (Quality.GOOD,) * 2
    assert first.source_ns == (first.read_ns,) * 2
    assert first.read_ns == 1_800_000_000 * S + 20_000_000
    assert first.mono_ns == 1000 * S + 20_000_000
    assert first.trusted


def test_a_line_that_is_too_slow_counts_what_it_had_no_time_for() -> None:
    """Half of what is due fits: the rest is offered and delivered as bad."""
    world = World(site_of([tcp()], [asset(1, period_ms=100)]), takes_s=0.2)
    world.play(20.0)
    good, bad = world.diary.count("a1", Quality.GOOD), world.diary.count("a1", Quality.BAD_BUS)
    assert good + bad == pytest.approx(200, abs=3)
    assert good == pytest.approx(100, abs=3)
    [status] = world.poller.status()
    assert status.polls == good + bad
    assert status.overruns == pytest.approx(bad, abs=1)


def test_a_fast_unit_takes_no_turn_of_a_slow_one() -> None:
    world = World(site_of([tcp()], [asset(1, period_ms=10), asset(2, period_ms=500)]), takes_s=0.02)
    world.play(10.2)
    assert world.diary.count("a2", Quality.GOOD) == 20


def test_half_of_the_units_dead_and_the_living_keep_their_schedule() -> None:
    """32 units, of which 16 die at once: a poll of the living takes 20 ms, one of the dead 300 ms."""
    world = World(site_of([tcp()], [asset(n) for n in range(1, 33)]), takes_s=0.02, timeout_s=0.3)
    dead = set(range(2, 33, 2))
    world.play(10.0, lambda: world.bus.dead.update(dead), 120.0)
    due = {n: world.diary.count(f"a{n}") for n in range(1, 33)}
    assert set(due.values()) <= {129, 130, 131}
    living = sum(world.diary.count(f"a{n}", Quality.GOOD) for n in range(1, 33, 2))
    assert living >= 0.95 * 130 * 16
    assert all(world.diary.count(f"a{n}", Quality.BAD_BUS) >= 115 for n in dead)
    assert Counter(s.breaker for s in world.poller.status() if s.unit in dead)["closed"] == 0


def test_while_many_that_died_at_once_are_found_out_who_answered_goes_first() -> None:
    """That takes sixteen timeouts, 4.8 s. Nobody can tell the living from the dead before they were asked: they lose
    half of that on average, and nothing once they have answered."""
    world = World(site_of([tcp()], [asset(n) for n in range(1, 33)]), takes_s=0.01, timeout_s=0.3)
    world.play(10.0, lambda: world.bus.dead.update(range(2, 33, 2)), 20.0)
    assert sum(world.diary.count(f"a{n}", Quality.GOOD) for n in range(1, 33, 2)) >= 16 * (30 - 2.4) - 1


def test_a_unit_that_returns_is_asked_again_within_the_longest_pause() -> None:
    world = World(site_of([tcp(max_s=30.0)], [asset(1), asset(2)]))
    world.bus.dead.add(2)
    world.play(200.0, world.bus.dead.clear, 31.0)
    last = [b for b in world.diary.batches if b.asset == "a2"][-1]
    assert last.quality[0] == Quality.GOOD
    assert [(s.breaker, s.consecutive_failures, s.detail) for s in world.poller.status()] == [("closed", 0, "")] * 2


def test_an_open_breaker_asks_nobody_and_still_delivers() -> None:
    world = World(site_of([tcp(failures=2, first_s=4.0, max_s=8.0)], [asset(1)]))
    world.bus.dead.add(1)
    world.play(40.5)
    assert world.diary.count("a1", Quality.BAD_BUS) == 41
    gaps = [round(b - a) for (a, _), (b, _) in zip(world.bus.asked, world.bus.asked[1:], strict=False)]
    assert gaps == [1, 3, 7, 7, 7, 7, 7], "no pause is longer than it is said to be"
    [status] = world.poller.status()
    assert (status.polls, status.failures, status.left_alone, status.overruns) == (41, 41, 33, 0)
    assert (status.breaker, status.detail, status.last_good_ns) == ("open", "no answer", None)


def test_breakers_are_of_a_line_and_a_unit() -> None:
    world = World(
        site_of([tcp("l"), tcp("m")], [asset(7, "l"), Asset(id="b7", unit=(Unit(line="m", unit=7, profile="p"),))])
    )
    world.bus.dead.add(7)
    world.play(20.5)
    assert world.diary.count("b7", Quality.GOOD) == 21
    assert world.diary.count("a7", Quality.BAD_BUS) == 21


def test_what_is_under_way_at_the_end_is_delivered_though_its_answer_never_comes() -> None:
    world = World(site_of([tcp("l"), tcp("m")], [asset(1, "l"), asset(2, "m")]), takes_s=0.5)
    world.play(3.2)
    assert not world.diary.open
    assert [b.quality[0] for b in world.diary.batches[-2:]] == [Quality.BAD_BUS] * 2
    assert not any(bus.is_open for bus in world.buses.values())


def test_a_line_that_was_ended_amid_a_poll_polls_again_when_all_start_again() -> None:
    """As after a programmer's error on another line, which ends them all."""
    world = World(site_of([tcp("l")], [asset(1, "l")]), takes_s=0.5)
    world.play(3.2)
    polls = world.diary.count("a1")
    world.play(3.2)
    assert world.diary.count("a1", Quality.GOOD) >= polls + 2


def test_an_answer_that_is_on_its_way_at_the_end_is_waited_for() -> None:
    world = World(site_of([tcp("l")], [asset(1, "l")]), takes_s=0.5)

    answering: list[asyncio.Task[None]] = []

    async def answer() -> None:
        for _ in range(50):  # Once the end has begun.
            await asyncio.sleep(0)
        world.clock.wake_all()

    world.play(3.2, lambda: answering.append(asyncio.create_task(answer())))
    assert not world.diary.open
    assert [b.quality[0] for b in world.diary.batches] == [Quality.GOOD] * 4
    assert not world.bus.is_open


class Adapter(Bus):
    """A bus behind an adapter that may not be plugged in yet when its line is opened."""

    plugged = True
    tries = 0

    async def open(self) -> None:
        self.tries += 1
        if not self.plugged:
            raise LineError("/dev/ttyUSB0", "no such device", "is the adapter plugged in?")
        await super().open()


class Adapters(World):
    def make_bus(self, clock: Clock, takes_s: float, timeout_s: float) -> Adapter:
        return Adapter(clock, takes_s, timeout_s)


def test_a_line_that_is_missing_at_the_start_is_bad_with_its_reason_until_it_is_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = Adapters(site_of([tcp("l"), tcp("m")], [asset(1, "l"), asset(2, "m")]))
    late = world.buses["m"]
    assert isinstance(late, Adapter)
    late.plugged = False
    seen: list[tuple[int, int]] = []

    def plug() -> None:
        [_, status] = world.poller.status()
        assert (status.failures, status.last_good_ns) == (21, None)
        assert status.detail == "/dev/ttyUSB0: no such device (is the adapter plugged in?)"
        assert world.diary.count("a2", Quality.BAD_BUS) == 21
        seen.append((late.tries, len(late.asked)))
        late.plugged = True

    with caplog.at_level(logging.INFO, "babbitt.poll"):
        world.play(20.5, plug, 7.0)
    assert seen == [(7, 0)], "tried at its start, and after 0.5, 1, 2, 4, 5 and 5 s, by the next poll"
    assert world.diary.count("a1", Quality.GOOD) == 28, "the other line knows nothing of it"
    assert world.diary.count("a2", Quality.GOOD) >= 2, "no pause of 30 s: it is there"
    assert world.poller.status()[1].detail == ""
    assert not world.diary.open
    assert not late.is_open
    said = [record.getMessage() for record in caplog.records if "line m" in record.getMessage()]
    assert said == [
        "line m: /dev/ttyUSB0: no such device (is the adapter plugged in?); it is tried again, and all else goes on",
        "line m unit 2 (a2): 2 of 2 values bad: /dev/ttyUSB0: no such device (is the adapter plugged in?)",
        "line m: opened",
        "line m unit 2 (a2): all values good again",
    ]


def test_a_command_to_a_line_that_is_missing_is_refused_with_the_reason() -> None:
    world = Adapters(site_of([tcp("l")], [asset(1, "l")]))
    bus = world.bus
    assert isinstance(bus, Adapter)
    bus.plugged = False
    answers: list[Answer] = []

    async def command() -> None:
        answers.append(await world.poller.ask("a1", "t0"))

    world.play(1.2, command)
    trouble = "/dev/ttyUSB0: no such device (is the adapter plugged in?)"
    assert answers == [Answer(None, Quality.BAD_BUS, trouble)]


def test_a_line_that_nobody_uses_is_not_opened() -> None:
    world = World(site_of([tcp("l"), tcp("spare")], [asset(1, "l")]))
    assert set(world.buses) == {"l"}


@contextmanager
def logged(level: int = logging.INFO) -> Iterator[list[str]]:
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.levelname} {record.getMessage()}")

    handler, log = Keep(), logging.getLogger("babbitt.poll")
    before = log.level
    log.addHandler(handler)
    log.setLevel(level)
    try:
        yield lines
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


def test_a_failure_is_logged_once_and_its_recovery_once() -> None:
    world = World(site_of([tcp(max_s=5.0)], [asset(1)]))
    with logged() as lines:
        world.play(5, lambda: world.bus.dead.add(1), 60, world.bus.dead.clear, 20)
    assert lines == [
        "WARNING line l unit 1 (a1): 2 of 2 values bad: no answer",
        "INFO line l unit 1 (a1): all values good again",
    ]


def test_over_a_real_connection_a_plc_goes_and_comes_and_nothing_due_is_missing(free_port: int) -> None:
    diary = Diary()
    site = site_of([tcp(port=free_port, first_s=0.05, max_s=0.1)], [asset(5, period_ms=20)])
    clock = SystemClock()
    offered_ns: list[int] = []

    def offer(name: str, tags: Sequence[str]) -> None:
        offered_ns.append(clock.mono_ns())
        diary.offer(name, tags)

    poller = Poller(
        site,
        clock=clock,
        offer=offer,
        deliver=diary.deliver,
        make_driver=make_driver,
        make_source=make_source,
    )

    def good() -> int:
        return diary.count("a5", Quality.GOOD)

    def missed() -> float:
        """What fell due since the first offer and was not delivered; a loop that stood still delivers it by and by."""
        return abs(1 + (clock.mono_ns() - offered_ns[0]) / 20e6 - len(diary.batches))

    async def run() -> None:
        polling = asyncio.create_task(poller.run())
        for _ in range(2):
            already = good()
            async with over_tcp(Hostile(an_image(), port=free_port)):
                await until_async(lambda: good() > already + 5)  # noqa: B023 - it is awaited within its turn
            bad = diary.count("a5", Quality.BAD_BUS)
            await until_async(lambda: diary.count("a5", Quality.BAD_BUS) > bad + 5)  # noqa: B023
        await until_async(lambda: missed() <= 3, lambda: f"{missed()} polls missed")
        polling.cancel()
        await asyncio.wait([polling])
        assert polling.cancelled()

    asyncio.run(run())
    assert not diary.open
    assert {b.values for b in diary.batches if b.quality[0] == Quality.GOOD} == {(7, 8)}


def test_on_a_real_serial_line_the_dead_do_not_stall_the_living() -> None:
    """Of several tries the best: a machine that is busy with other things has no time for some polls of the living."""

    async def run(diary: Diary) -> None:
        async with on_pty(Hostile(an_image())) as hostile:
            hostile.misdeed = lambda asked: honest(asked) if asked.unit <= 4 else []
            line = ModbusRtu(
                name="l", device=hostile.device, baud=115_200, parity="N", timeout_ms=50,
                breaker=Breaker(failures=2, first_s=0.5, max_s=2.0),
            )  # fmt: skip
            site = site_of([line], [asset(n, period_ms=250) for n in range(1, 9)])
            poller = Poller(
                site,
                clock=SystemClock(),
                offer=diary.offer,
                deliver=diary.deliver,
                make_driver=make_driver,
                make_source=make_source,
            )
            polling = asyncio.create_task(poller.run())
            await until_async(lambda: diary.count("a8") >= 12)
            polling.cancel()
            await asyncio.wait([polling])

    kept: list[float] = []
    while len(kept) < 5 and not (kept and max(kept) >= 0.9):
        diary = Diary()
        asyncio.run(run(diary))
        kept.append(min(diary.count(f"a{n}", Quality.GOOD) / diary.count(f"a{n}") for n in range(1, 5)))
        for n in range(5, 9):
            assert diary.count(f"a{n}", Quality.BAD_BUS) == diary.count(f"a{n}")
        assert not diary.open
    assert max(kept) >= 0.9, kept


def test_on_a_line_that_is_full_a_suspect_still_gets_its_turn() -> None:
    """The living alone need more than the line has, so who failed last would wait for ever."""
    world = World(site_of([tcp(max_s=5.0)], [asset(1, period_ms=10), asset(2, period_ms=10), asset(3)]), takes_s=0.02)
    world.bus.dead.add(3)
    world.play(30.0, world.bus.dead.clear, 11.0)
    assert world.poller.status()[2].breaker == "closed"
    assert world.diary.count("a3", Quality.GOOD) > 0


def rated(*rates: Rate, period_ms: int = 1000) -> Site:
    unit = Unit(line="l", unit=1, profile="p", period_ms=period_ms, rate=rates)
    return site_of([tcp()], [Asset(id="a1", unit=(unit,)), asset(2)], {"p": points("slow_a", "fast_a", "fast_b")})


def points(*tags: str) -> ModbusProfile:
    return profile_of([Point(tag=tag, function=3, address=i, type="uint16") for i, tag in enumerate(tags)])


def test_signals_have_rates_of_their_own_and_each_is_polled_at_one() -> None:
    world = World(rated(Rate(tags=("fast_*",), period_ms=100, priority=1)), takes_s=0.005)
    world.play(9.99)
    tags = Counter(batch.tags for batch in world.diary.batches if batch.asset == "a1")
    assert tags == {("fast_a", "fast_b"): 100, ("slow_a",): 10}
    assert [(s.period_ms, s.priority) for s in world.poller.status()] == [(100, 1), (1000, 0), (1000, 0)]


def test_a_unit_whose_rates_take_all_signals_has_no_poll_of_none() -> None:
    world = World(rated(Rate(tags=("fast_a",), period_ms=100), Rate(tags=("*[!t]_?", "fast_b"), period_ms=500)))
    assert [s.period_ms for s in world.poller.status()] == [100, 500, 1000]
    world = World(rated(Rate(tags=("*",), period_ms=500)))
    assert [s.period_ms for s in world.poller.status()] == [500, 1000]


def test_on_a_line_short_of_time_the_higher_priority_keeps_its_rate_and_the_lower_its_turn() -> None:
    """A poll takes 90 ms: the fast scan alone needs nearly all of the line."""
    world = World(rated(Rate(tags=("fast_*",), period_ms=100, priority=5), period_ms=200), takes_s=0.09)
    world.play(30.0)
    good = Counter(b.tags for b in world.diary.batches if b.asset == "a1" and b.quality[0] == Quality.GOOD)
    assert good["fast_a", "fast_b"] >= 240
    assert good["slow_a",] >= 30
    assert world.diary.count("a2", Quality.GOOD) >= 7
    assert not world.diary.open


def test_where_the_whole_line_was_away_the_first_that_answers_ends_the_pauses_of_all() -> None:
    """Their pauses do not end together: eight died twenty seconds before the others."""
    world = World(site_of([tcp(max_s=30.0)], [asset(n) for n in range(1, 17)]), timeout_s=0.01)
    bus, asked = world.bus, []
    world.play(
        1.0, lambda: bus.dead.update(range(1, 9)), 20.0, lambda: bus.dead.update(range(9, 17)), 200.0,
        lambda: asked.append(len(bus.asked)), bus.dead.clear, 32.9,
    )  # fmt: skip
    first_s = bus.asked[asked[0]][0]
    assert first_s - 1221.0 < 30.0
    late = [b for b in world.diary.batches if b.mono_ns / S > first_s + 1.1]
    assert {b.quality[0] for b in late[:-1]} == {Quality.GOOD}, "one period after the first, all are back"
