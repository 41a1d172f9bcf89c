"""The wall clock: whose word makes it trusted, and what is said when it is set."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from edge.clock import STEP_NS, SystemClock, boot_id, kernel_synchronised
from edge.clock_watch import ClockWatch, Step, span_words
from edge.contract.types import ClockSet
from tests.laws.journals import BOOT, START_NS, BentClock

S = 10**9
YEAR_S = 366 * 86_400


@dataclass
class Told:
    """A watch over a bent clock, and what it told."""

    clock: BentClock
    sets: list[ClockSet] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = ClockWatch(self.clock, boot=BOOT, on_set=self.sets.append, on_step=self.steps.append)

    def passes(self, seconds: float) -> None:
        self.clock.pass_s(seconds)
        self.watch.look()


def test_a_clock_that_runs_is_nothing_to_tell() -> None:
    told = Told(BentClock())
    for _ in range(10):
        told.passes(3600)
    assert (told.sets, told.steps) == ([], [])


def test_a_clock_that_becomes_trusted_tells_the_offset_for_what_was_read_before() -> None:
    told = Told(BentClock(wall_ns=0, believed=False))
    told.passes(20)
    read_mono_ns = told.clock.mono_ns()
    told.passes(30)
    told.clock.set_wall(START_NS)
    told.passes(1)
    assert told.sets == []
    told.clock.believed = True
    told.passes(1)
    (found,) = told.sets
    assert (found.boot, found.at_ns) == (BOOT, told.clock.wall_ns())
    assert read_mono_ns + found.offset_ns == START_NS - 30 * S
    assert [step.trusted for step in told.steps] == [False]
    told.passes(1)
    assert len(told.sets) == 1


@pytest.mark.parametrize("by_s", [YEAR_S, -YEAR_S, 2, -2])
def test_a_step_of_a_trusted_clock_is_told_with_its_size(by_s: int) -> None:
    told = Told(BentClock())
    told.passes(5)
    told.clock.set_wall(told.clock.wall_ns() + by_s * S)
    told.passes(0.5)
    (step,) = told.steps
    assert (step.by_ns, step.trusted) == (by_s * S, True)
    assert ("forward" if by_s > 0 else "back") in step.words
    assert told.sets == []
    assert (told.watch.now.steps, told.watch.now.last) == (1, step)


def test_slewing_is_no_step() -> None:
    told = Told(BentClock())
    for _ in range(100):
        told.clock.set_wall(told.clock.wall_ns() + STEP_NS // 2)
        told.passes(1)
    assert told.steps == []


def test_a_restart_in_the_same_boot_still_tells_what_the_run_before_could_not() -> None:
    before = Told(BentClock(wall_ns=0, believed=False))
    kept = before.watch.state()
    before.clock.set_wall(START_NS)
    before.clock.believed = True
    after = Told(before.clock)
    after.watch.restore(kept)
    after.passes(1)
    assert [found.offset_ns for found in after.sets] == [after.clock.wall_ns() - after.clock.mono_ns()]
    assert after.watch.state() == b""
    of_another_boot = ClockWatch(before.clock, boot="f" * 32, on_set=after.sets.append, on_step=after.steps.append)
    of_another_boot.restore(kept)
    of_another_boot.look()
    assert len(after.sets) == 1


def test_this_machine_is_believed_by_default_and_asked_where_its_site_says_so() -> None:
    assert SystemClock().trusted(), "the default flags no machine for ever that has no time service"
    assert SystemClock("release").trusted()
    assert SystemClock("kernel").trusted() == (kernel_synchronised() is not False)
    assert time.time_ns() <= SystemClock().wall_ns() <= time.time_ns()
    assert len(bytes.fromhex(boot_id())) == 16


@pytest.mark.parametrize(
    ("span_s", "words"), [(1.5, "1.5 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (YEAR_S + 3600, "366 d 1 h")]
)
def test_a_span_in_words(span_s: float, words: str) -> None:
    assert span_words(int(span_s * S)) == words
