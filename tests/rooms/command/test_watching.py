"""What is regretted, over what it is averaged, and what a minute's writes come to: by numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.command.history import KEPT_MAX, Change, changed_within, since_last, with_change
from edge.command.means import Mean, Means
from edge.command.watching import worse_percent
from edge.contract.setpoint import Regret
from edge.contract.terms import TagRef
from edge.contract.types import Batch, Quality, Value

S = 10**9
FLOW = TagRef("flow", "pump-1")


@pytest.mark.parametrize(
    ("worse", "before", "now", "percent"),
    [
        ("down", 100.0, 95.0, 5.0), ("down", 100.0, 105.0, -5.0), ("up", 100.0, 105.0, 5.0), ("up", -10.0, -9.0, 10.0),
        ("down", -10.0, -11.0, 10.0), ("up", 0.0, 0.0, 0.0), ("up", 0.0, 0.1, math.inf), ("down", 0.0, 0.1, -math.inf),
    ],
)  # fmt: skip
def test_by_how_many_percent_a_figure_is_worse(worse: str, before: float, now: float, percent: float) -> None:
    assert worse_percent(Regret(FLOW, worse, 5.0, 60.0), before, now) == pytest.approx(percent)


@given(st.lists(st.floats(-1e6, 1e6), min_size=30, max_size=300), st.floats(1.0, 86_400.0))
def test_a_mean_is_that_of_its_last_while(values: list[float], over_s: float) -> None:
    """Evenly over the while; to a part of thirty of it, which is how finely it is kept."""
    mean = Mean(FLOW, over_s)
    for i, value in enumerate(values):
        mean.add(value, int(over_s * S * (1 + i / len(values))))
    found = mean.over(int(2 * over_s * S) - 1)
    assert found is not None
    assert found == pytest.approx(sum(values) / len(values), abs=1e6 * 0.08)


@pytest.mark.parametrize(
    ("read_at_s", "is_known"),
    [
        (range(60), True),
        (range(0, 60, 6), True),
        (range(30, 60), False),
        (range(30), False),
        ([], False),
        ([59], False),
    ],
)
def test_a_while_with_a_gap_of_a_quarter_has_no_mean(read_at_s: list[int], is_known: bool) -> None:
    mean = Mean(FLOW, 60.0)
    for at_s in read_at_s:
        mean.add(1.0, at_s * S)
    assert (mean.over(60 * S - 1) is not None) == is_known


def test_what_is_not_good_is_no_reading_of_a_mean() -> None:
    means = Means()
    regret = Regret(TagRef("flow"), "down", 5.0, 10.0)
    means.follow([("pump-1", regret)])
    told: list[tuple[Value, Quality]] = [(5.0, Quality.UNCERTAIN), (None, Quality.BAD_BUS), (math.inf, Quality.GOOD)]
    for i in range(100):
        value, quality = told[i % 3] if i % 2 else (10.0, Quality.GOOD)
        at_ns = i * S // 10
        means.observe(Batch("pump-1", ("flow",), (value,), (quality,), (at_ns,), at_ns, at_ns))
    assert means.of("pump-1", regret, 10 * S - 1) == 10.0
    means.follow([])
    assert means.of("pump-1", regret, 10 * S - 1) is None


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0.0, 100.0)), max_size=3 * KEPT_MAX))
def test_a_bounded_history_forgets_nothing_that_a_minute_counts(writes: list[tuple[int, float]]) -> None:
    """With too many in a minute the oldest are told as one, which is never less than they were."""
    changes: tuple[Change, ...] = ()
    now_ns, every = 0, list[Change]()
    for after_s, by in writes:
        now_ns += after_s * S
        every.append(Change(now_ns, by))
        changes = with_change(changes, every[-1], keep_s=60.0)
    assert len(changes) <= KEPT_MAX
    exact = sum(one.by for one in every if now_ns - one.at_ns < 60 * S)
    assert changed_within(changes, now_ns, 60.0) >= exact - 1e-6
    if len(every) <= KEPT_MAX:
        assert changed_within(changes, now_ns, 60.0) == pytest.approx(exact)
    assert since_last(changes, now_ns) == (0.0 if writes else None)
