"""The alarm budget: what healthy hours prove, what they do not, and that a healthy asset keeps to it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.infer.budget import SPENT, AlarmBudget

HOUR_S = 3600.0


def watched(budget: AlarmBudget, hourly: list[float]) -> AlarmBudget:
    """``budget`` after hours whose highest scores were ``hourly``, none of which was an alarm."""
    for highest in hourly:
        budget.take(highest, HOUR_S / 2, stands=False)
        budget.take(0.0, HOUR_S / 2, stands=False)
    budget.take(0.0, HOUR_S / 2, stands=False)
    return budget


def alarms(budget: AlarmBudget, scores: np.ndarray, poll_s: float) -> int:
    """How often a standing alarm began."""
    stands, began = False, 0
    for score in scores:
        was, stands = stands, bool(score > (0.5 if stands else 1.0) * budget.limit)
        began += stands and not was
        budget.take(float(score), poll_s, stands=stands)
    return began


@pytest.mark.parametrize(("a_week", "hours"), [(1.0, 167), (7.0, 23), (0.5, 335), (1000.0, 1)])
def test_what_a_budget_takes_to_be_proven(a_week: float, hours: int) -> None:
    assert AlarmBudget(a_week, 1.0).wanted == hours


def test_the_limit_is_the_rank_that_conformal_prediction_gives() -> None:
    """99 hours and a budget of one in 20: rank ceil(100 x 0.95) = 95 of 99."""
    hourly = [1.0 + i / 100 for i in range(99)]
    budget = watched(AlarmBudget(168 / 20, 1.0), hourly)
    assert budget.periods == 99
    assert budget.limit == pytest.approx(hourly[94])


def test_before_enough_hours_the_design_limit_holds() -> None:
    assert watched(AlarmBudget(1.0, 1.0), [1.7] * 166).limit == 1.0
    assert watched(AlarmBudget(1.0, 1.0), [1.7] * 167).limit == 1.7


def test_a_quiet_asset_is_not_hunted_for_alarms() -> None:
    """At most so many: where no score nears 1.0, the limit does not sink to meet the budget."""
    assert watched(AlarmBudget(7.0, 1.0), [0.4] * 400).limit == 1.0


@pytest.mark.parametrize("count", [9, 99])
def test_a_p_value_is_never_smaller_than_the_evidence_allows(count: int) -> None:
    budget = AlarmBudget(1.0, 1.0)
    assert budget.p_value(5.0) is None
    watched(budget, [float(i) for i in range(1, count + 1)])
    assert budget.p_value(1e9) == 1 / (count + 1)
    assert budget.p_value(0.0) == 1.0


@given(st.lists(st.floats(0.0, 9.0), min_size=2, max_size=60))
def test_p_values_are_valid_where_hours_are_exchangeable(hourly: list[float]) -> None:
    """Each hour in turn as the new one: not more than a share u of them has a p-value of u or less."""
    p_values = []
    for i, score in enumerate(hourly):
        p = watched(AlarmBudget(1.0, 1.0), hourly[:i] + hourly[i + 1 :]).p_value(score)
        assert p is not None
        p_values.append(p)
    for p in p_values:
        assert sum(q <= p for q in p_values) / len(p_values) <= p + 1e-12


@pytest.mark.parametrize("a_week", [1.0, 3.0])
def test_over_many_weeks_of_scores_that_depend_on_each_other_the_budget_is_kept(a_week: float) -> None:
    """Autoregressive scores with heavy tails that would cry daily by the design limit: 12 assets, 10 weeks each."""
    counted = []
    for seed in range(12):
        rng, weeks = np.random.default_rng(seed), 10
        noise, level = rng.standard_t(4, weeks * 7 * 144), np.zeros(weeks * 7 * 144)
        for i in range(1, len(level)):
            level[i] = 0.9 * level[i - 1] + 0.1 * noise[i]
        counted.append(alarms(AlarmBudget(a_week, 600.0), 2.0 * np.abs(level), 600.0) / weeks)
    assert np.mean(counted) <= a_week


def test_a_spent_budget_asks_for_more_until_its_week_is_over() -> None:
    budget = AlarmBudget(1.0, 1.0)
    budget.take(1.2, 1.0, stands=True)
    assert budget.limit == 1.0, "what stands is measured by the limit that it crossed"
    budget.take(0.0, 1.0, stands=False)
    assert budget.limit == SPENT
    for _ in range(7 * 24):
        budget.take(0.0, HOUR_S, stands=False)
    assert budget.limit == 1.2, "it stays evidence of what an hour may hold"


def test_a_fault_of_a_week_does_not_become_the_habit() -> None:
    budget = watched(AlarmBudget(1.0, 1.0), [0.8] * 300)
    for _ in range(7 * 24):
        budget.take(6.0, HOUR_S, stands=True)
    for _ in range(8 * 24):
        budget.take(0.8, HOUR_S, stands=False)
    assert budget.limit == 1.0


def test_slow_polls_make_longer_periods() -> None:
    assert AlarmBudget(1.0, 1.0).period_s == 3600.0
    assert AlarmBudget(1.0, 300.0).period_s == 9000.0


@pytest.mark.parametrize("stop", [10, 500, 1500])
def test_a_restart_continues_to_the_bit(stop: int) -> None:
    scores = np.random.default_rng(1).exponential(0.4, 2000)
    straight, stopped = AlarmBudget(7.0, 600.0), AlarmBudget(7.0, 600.0)
    alarms(straight, scores, 600.0)
    alarms(stopped, scores[:stop], 600.0)
    resumed = AlarmBudget(7.0, 600.0)
    resumed.restore(json.loads(json.dumps(stopped.kept())))
    stands = resumed.kept()["standing"][1]
    for score in scores[stop:]:
        stands = bool(score > (0.5 if stands else 1.0) * resumed.limit)
        resumed.take(float(score), 600.0, stands=stands)
    assert resumed.kept() == straight.kept()
    assert resumed.limit == straight.limit
