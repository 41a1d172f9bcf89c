"""Limits with deadbands: what one reading says."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.alarm.rules import holds, usable
from edge.config.rule import Rule
from edge.contract.types import Priority, Quality

HIGH = Rule(id="high", tag="t", priority=Priority.HIGH, sentence="", above=80.0, deadband=1.0)
LOW = Rule(id="low", tag="t", priority=Priority.HIGH, sentence="", below=10.0, deadband=2.0)


@pytest.mark.parametrize(("value", "raises"), [(79.9, False), (80.0, False), (80.01, True)])
def test_strictly_past_the_limit_raises(value: float, raises: bool) -> None:
    assert holds(HIGH, value, active=False) is raises


@pytest.mark.parametrize(("value", "stays"), [(80.0, True), (79.5, True), (79.0, True), (78.999, False)])
def test_a_limit_of_80_with_a_deadband_of_1_clears_only_below_79(value: float, stays: bool) -> None:
    assert holds(HIGH, value, active=True) is stays


@pytest.mark.parametrize(("value", "active", "expected"), [(9.9, False, True), (12.0, True, True), (12.1, True, False)])
def test_a_low_limit_is_its_mirror(value: float, active: bool, expected: bool) -> None:
    assert holds(LOW, value, active=active) is expected


def test_a_limit_that_a_stopped_machine_cannot_meet_does_not_apply() -> None:
    assert holds(LOW, 0.0, active=False, enabled=False) is False
    assert holds(LOW, 0.0, active=False, enabled=None) is None
    assert holds(LOW, 0.0, active=False, enabled=True) is True


@pytest.mark.parametrize(
    ("value", "quality"),
    [
        (None, Quality.BAD_BUS),
        (99.0, Quality.BAD_DEVICE),
        (99.0, Quality.BAD_DECODE),
        (math.nan, Quality.GOOD),
        ("fault", Quality.GOOD),
        (True, Quality.GOOD),
    ],
)
def test_what_is_no_number_says_nothing(value: float | str | None, quality: Quality) -> None:
    assert usable(value, quality) is None
    assert holds(HIGH, None, active=True) is None


@given(values=st.lists(st.floats(79.0, 80.0), max_size=50))
def test_within_the_deadband_nothing_changes(values: list[float]) -> None:
    assert all(holds(HIGH, value, active=True) is True for value in values)
    assert all(holds(HIGH, value, active=False) is False for value in values)
