"""Coverage holds, or does not: by unit, against itself before, and as soon as no rest of the trial can save it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.types import Batch, Quality
from edge.update.coverage import Counts, Coverage, Key, judged, since
from tests.rooms.poll.virtual import asset, site_of, tcp

K = Key("a1", "l", 1, "")


def holds(before: Counts | None, during: Counts, *, done: float = 1.0, margin: float = 0.05) -> bool:
    [standing] = judged({} if before is None else {K: before}, {K: during}, done=done, margin=margin)
    return not standing.words


def polls(good: int, of: int) -> Counts:
    """Of ``of`` polls of ten readings each so many were good."""
    return Counts(10 * of, 10 * good, of)


@pytest.mark.parametrize(
    ("before", "during", "expected"),
    [
        (polls(100, 100), polls(100, 100), True),
        (polls(100, 100), polls(95, 100), True),
        (polls(100, 100), polls(94, 100), False),
        (polls(50, 100), polls(46, 100), True),
        (polls(0, 100), polls(0, 100), True),
        (polls(100, 100), polls(3, 4), True),
        (polls(100, 100), polls(2, 4), False),
        (polls(100, 100), polls(0, 0), True),
        (None, polls(50, 100), True),
        (None, polls(49, 100), False),
        (None, polls(0, 1), False),
        (None, polls(0, 0), False),
    ],
)
def test_at_the_end_of_a_trial(before: Counts | None, during: Counts, expected: bool) -> None:
    assert holds(before, during) is expected


def test_a_trial_that_cannot_be_saved_ends_early() -> None:
    assert holds(polls(100, 100), polls(0, 4), done=0.04)
    assert not holds(polls(100, 100), polls(0, 6), done=0.06)
    assert holds(None, polls(0, 49), done=0.49)
    assert not holds(None, polls(0, 51), done=0.51)


@given(st.lists(st.booleans(), min_size=2, max_size=200), st.integers(1, 199), st.floats(0, 1), st.floats(0, 0.2))
def test_what_is_given_up_early_would_not_have_held_at_the_end(
    answered: list[bool], at: int, before: float, margin: float
) -> None:
    at = min(at, len(answered) - 1)
    baseline = Counts(1000, round(1000 * before), 100)
    early = polls(sum(answered[:at]), at)
    whole = polls(sum(answered), len(answered))
    if not holds(baseline, early, done=at / len(answered), margin=margin):
        assert not holds(baseline, whole, margin=margin)


def batch(name: str, quality: Quality, *tags: str) -> Batch:
    values = tuple(None if quality.is_bad else 1 for _ in tags)
    return Batch(name, tags, values, (quality,) * len(tags), (1,) * len(tags), 1, 1)


def test_units_are_counted_by_what_they_deliver_and_keep_their_counts_through_a_change() -> None:
    first = site_of([tcp()], [asset(1), asset(2)])
    coverage = Coverage(first)
    start = coverage.look()
    coverage.observe(batch("a1", Quality.GOOD, "t0", "t1"))
    coverage.observe(batch("a1", Quality.UNCERTAIN, "t1"))
    coverage.observe(batch("a2", Quality.BAD_BUS, "t0", "t1"))
    coverage.change(site_of([tcp()], [asset(1), asset(3)]))
    coverage.observe(batch("a1", Quality.BAD_DEVICE, "t0", "t1"))
    coverage.observe(batch("a2", Quality.GOOD, "t0", "t1"))  # the last of a unit that is gone
    assert since(start, coverage.look()) == {
        Key("a1", "l", 1, ""): Counts(5, 3, 3),
        Key("a3", "l", 3, ""): Counts(),
    }
