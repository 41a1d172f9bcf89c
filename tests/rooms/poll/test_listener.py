"""Lines whose devices speak by themselves: what comes is delivered as it comes, and what does not come is told too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from edge.config.lines import PushedLine
from edge.contract.types import Batch, Quality
from edge.poll.listener import ListenedUnit, Listener
from edge.ports import Answer, Heard
from tests.rooms.poll.virtual import Diary, S, Waking, two_points


class Voice:
    """A source that says what it is told to say."""

    def __init__(self, *, reports_changes: bool) -> None:
        self.reports_changes = reports_changes
        self.hear: Callable[[Heard], None] = lambda _: None
        self.words = ""

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def run(self, hear: Callable[[Heard], None]) -> None:
        self.hear = hear
        await asyncio.Event().wait()

    def trouble(self, subject: int) -> str:
        return self.words

    def say(self, value: float, place: int = 0, at_ns: int | None = None) -> None:
        self.hear(Heard(0, (place,), (Answer(value, Quality.GOOD),), (at_ns,)))


class Room:
    """A listener to one unit with two signals, expected every second, in virtual time."""

    def __init__(self, *, reports_changes: bool = False) -> None:
        self.clock, self.diary, self.voice = Waking(), Diary(), Voice(reports_changes=reports_changes)
        self.unit = ListenedUnit("a", 1, "p", two_points(), S)
        self.listener = Listener(
            PushedLine(name="l"), [self.unit], self.voice, clock=self.clock, offer=self.diary.offer,
            deliver=self.diary.deliver,
        )  # fmt: skip

    def play(self, *acts: float | Callable[[], object]) -> None:
        async def played() -> None:
            running = asyncio.create_task(self.listener.run())
            await self.clock.run_for(0)
            for act in acts:
                if callable(act):
                    act()
                else:
                    await self.clock.run_for(act)
            running.cancel()
            self.clock.wake_all()
            with suppress(asyncio.CancelledError):
                await running

        asyncio.run(played())
        assert not self.diary.open, "offered and never delivered"

    def of(self, tag: str) -> list[tuple[object, Quality]]:
        return [
            (b.values[b.tags.index(tag)], b.quality[b.tags.index(tag)]) for b in self.diary.batches if tag in b.tags
        ]


def test_what_comes_is_delivered_with_its_sources_time() -> None:
    room = Room()
    room.play(0.3, lambda: room.voice.say(1.5, at_ns=7 * S), lambda: room.voice.say(2.5))
    first, second = room.diary.batches
    assert first == Batch("a", ("t0",), (1.5,), (Quality.GOOD,), (7 * S,), read_ns=first.read_ns, mono_ns=first.mono_ns)
    assert second.source_ns == (second.read_ns,)


def test_a_signal_that_says_nothing_for_a_period_is_bad_and_only_that_one() -> None:
    room = Room()
    room.play(0.5, lambda: room.voice.say(1.0), 2.0)
    assert room.of("t0") == [(1.0, Quality.GOOD), (None, Quality.BAD_BUS)]
    assert room.of("t1") == [(None, Quality.BAD_BUS)] * 2


def test_a_source_that_reports_changes_vouches_for_what_did_not_change() -> None:
    room = Room(reports_changes=True)
    room.play(0.5, lambda: room.voice.say(1.0), 2.0)
    assert room.of("t0") == [(1.0, Quality.GOOD)] * 2
    assert room.of("t1") == [(None, Quality.BAD_BUS)] * 2, "nobody vouches for what never came"
    assert room.diary.batches[-1].source_ns == (room.diary.batches[-1].read_ns,) * 2


def test_what_was_kept_and_comes_late_is_delivered_and_does_not_stand_for_now() -> None:
    room = Room(reports_changes=True)

    def flush() -> None:
        room.voice.hear(Heard(0, (0,), (Answer(0.5, Quality.GOOD),), (1_700_000_000 * S,), past=True))

    room.play(0.5, lambda: room.voice.say(1.0), 0.6, flush, 1.0)
    assert room.of("t0") == [(1.0, Quality.GOOD), (0.5, Quality.GOOD), (1.0, Quality.GOOD)]
    assert [batch.past for batch in room.diary.batches if "t0" in batch.tags] == [False, True, False]


@pytest.mark.parametrize("reports_changes", [False, True])
def test_while_a_source_is_in_trouble_nothing_is_vouched_for(reports_changes: bool) -> None:
    room = Room(reports_changes=reports_changes)

    def fail() -> None:
        room.voice.words = "no connection"

    room.play(0.5, lambda: room.voice.say(1.0), 0.6, fail, 1.0)
    assert room.of("t0")[-1] == (None, Quality.BAD_BUS)
    (status,) = room.listener.status()
    assert (status.detail, status.consecutive_failures) == ("no connection", 2)


def test_trouble_is_logged_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="babbitt.poll")
    room = Room()

    def say_both() -> None:
        room.voice.hear(Heard(0, (0, 1), (Answer(1, Quality.GOOD), Answer(2, Quality.GOOD))))

    room.play(3.5, say_both, 0.1)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
