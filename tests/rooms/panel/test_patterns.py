"""Patterns in time, and the thread that drives lamps by them."""

from __future__ import annotations

import time
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.panel.blinker import Blinker
from edge.panel.patterns import STEPS_S, change_in, is_lit
from edge.ports import Pattern
from tests.waiting import until

OFF, ON, SLOW, FAST, FLASH, DOUBLE = Pattern
BLINKING = (SLOW, FAST, FLASH, DOUBLE)


def edges(pattern: Pattern, until_s: float) -> list[tuple[float, bool]]:
    """When it changes, found by its own word for when that is next."""
    at_s, seen = 0.0, [(0.0, is_lit(pattern, 0.0))]
    while (wait_s := change_in(pattern, at_s)) is not None and at_s < until_s:
        at_s += wait_s + 1e-9
        if is_lit(pattern, at_s) != seen[-1][1]:
            seen.append((round(at_s, 3), is_lit(pattern, at_s)))
    return seen


def test_off_is_dark_and_on_is_lit_for_good() -> None:
    assert edges(OFF, 10.0) == [(0.0, False)]
    assert edges(ON, 10.0) == [(0.0, True)]


def test_the_patterns_in_time() -> None:
    assert edges(FAST, 0.5) == [(0.0, True), (0.2, False), (0.4, True), (0.6, False)]
    assert edges(SLOW, 2.0) == [(0.0, True), (0.8, False), (1.6, True), (2.4, False)]
    assert edges(FLASH, 1.7) == [(0.0, True), (0.1, False), (1.6, True), (1.7, False)]
    assert edges(DOUBLE, 1.5) == [(0.0, True), (0.1, False), (0.3, True), (0.4, False), (1.6, True)]


@pytest.mark.parametrize("pattern", BLINKING)
def test_each_begins_with_light_and_can_be_told_from_the_others(pattern: Pattern) -> None:
    assert is_lit(pattern, 0.0)
    others = [p for p in Pattern if p is not pattern]
    assert all(edges(pattern, 3.2) != edges(other, 3.2) for other in others)


def test_blinking_keeps_to_the_rates_of_iec_60073() -> None:
    rate_hz = {pattern: 1.0 / sum(STEPS_S[pattern]) for pattern in BLINKING}
    assert 0.4 <= rate_hz[SLOW] <= 0.8
    assert 1.4 <= rate_hz[FAST] <= 2.8


@given(st.sampled_from(BLINKING), st.floats(0.0, 1e7))
def test_at_any_time_the_next_change_is_near(pattern: Pattern, at_s: float) -> None:
    wait_s = change_in(pattern, at_s)
    assert wait_s is not None
    assert 0.0 < wait_s <= max(STEPS_S[pattern])


class Lamp:
    def __init__(self) -> None:
        self.switched: list[tuple[float, bool]] = []
        self.broken = False

    def __call__(self, lit: bool) -> None:
        if self.broken:
            raise OSError("pin is gone")
        self.switched.append((time.monotonic(), lit))

    @property
    def lit(self) -> bool:
        return bool(self.switched) and self.switched[-1][1]

    @property
    def has_been_lit(self) -> bool:
        return any(lit for _, lit in self.switched)

    def changes_s(self) -> list[float]:
        """How long it stayed as it was, each time, from its first light on."""
        first = next((i for i, (_, lit) in enumerate(self.switched) if lit), len(self.switched))
        return [after - before for (before, _), (after, _) in pairwise(self.switched[first:])]


def test_lamps_of_one_pattern_blink_together_and_a_steady_one_is_left_alone() -> None:
    first, second, steady = Lamp(), Lamp(), Lamp()
    blinker = Blinker([first, second, steady])
    blinker.show((FAST, FAST, ON))
    assert all(lamp.has_been_lit for lamp in (first, second, steady)), "all within the call"
    until(lambda: len(first.switched) >= 6)
    blinker.close()
    pairs = list(zip(first.switched, second.switched, strict=True))[:6]
    assert all(a[1] == b[1] for a, b in pairs)
    assert median(abs(a[0] - b[0]) for a, b in pairs) < 0.05
    assert [lit for _, lit in steady.switched][-2:] == [True, False]
    assert len(steady.switched) <= 3
    assert not first.lit


def test_what_is_the_same_goes_on_undisturbed() -> None:
    lamp = Lamp()
    blinker = Blinker([lamp])
    begin_s = time.monotonic()
    # One that began anew each time would stay lit.
    until(lambda: len(lamp.changes_s()) >= 5, meanwhile=lambda: blinker.show((FAST,)))
    changes, took_s = len(lamp.changes_s()), time.monotonic() - begin_s
    blinker.close()
    assert changes <= took_s / 0.2, "lit anew every 0.4 s, however often it is told"


def test_a_lamp_that_cannot_be_switched_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    lamp = Lamp()
    lamp.broken = True
    blinker = Blinker([lamp])
    for _ in range(3):
        blinker.show((ON,))
    assert blinker.failing
    lamp.broken = False
    blinker.show((ON,))
    assert lamp.lit
    assert not blinker.failing
    blinker.close()
    assert caplog.text.count("cannot be switched") == 1


def test_a_lamp_that_cannot_be_switched_leaves_the_others_their_patterns() -> None:
    green, red, amber = Lamp(), Lamp(), Lamp()
    green.broken = True
    blinker = Blinker([green, red, amber])
    blinker.show((ON, ON, SLOW))
    assert red.lit, "red lights though green, which comes before it, does not"
    assert blinker.failing
    # A panel is shown again and again, also where nothing changes.
    until(lambda: len(amber.changes_s()) >= 3, meanwhile=lambda: blinker.show((ON, ON, SLOW)))
    assert median(amber.changes_s()) == pytest.approx(0.8, abs=0.2), "it blinks slowly all the same"
    green.broken = False
    blinker.show((ON, ON, SLOW))
    assert green.lit
    assert not blinker.failing
    blinker.close()
