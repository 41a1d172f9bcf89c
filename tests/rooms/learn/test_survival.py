"""Lives cut short by planned replacement: textbook numbers, known truths found again, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.learn.survival import (
    Histories,
    TooFewError,
    censoring_curve,
    cumulative_incidence,
    exponential_mean_h,
    kaplan_meier,
    weibull_mle,
)

FIVE = Histories.of([3.0, 5.0, 7.0, 4.0, 6.0], [True, True, True, False, False])
"""Failures at 3, 5 and 7; replaced healthy at 4 and 6."""


def test_five_machines_two_of_them_replaced_healthy() -> None:
    """S(3) = 0.8, S(5) = 0.5333; the mean of those that failed is 5.0, the exponential estimate 25 / 3 = 8.33."""
    curve = kaplan_meier(FIVE)
    assert curve([2.9, 3.0, 4.9, 5.0, 7.0]) == pytest.approx([1.0, 0.8, 0.8, 0.53333, 0.0], abs=1e-5)
    assert curve(3.0, before=True) == 1.0
    assert FIVE.end_h[FIVE.failed].mean() == 5.0
    assert exponential_mean_h(FIVE) == pytest.approx(8.3333, abs=1e-4)
    assert weibull_mle(FIVE, shape=1.0).scale_h == pytest.approx(25.0 / 3.0)


def test_without_censoring_it_is_the_share_that_is_left() -> None:
    curve = kaplan_meier(Histories.of([1.0, 2.0, 2.0, 5.0], [True] * 4))
    assert curve([1.0, 2.0, 5.0]) == pytest.approx([0.75, 0.25, 0.0])
    # Greenwood's variance is then the binomial one.
    assert curve.deviation[0] == pytest.approx(math.sqrt(0.75 * 0.25 / 4))
    assert censoring_curve(Histories.of([1.0, 2.0], [True, True]))([0.5, 3.0]).tolist() == [1.0, 1.0]


def test_the_censoring_curve_counts_failures_of_the_same_hour_first() -> None:
    assert censoring_curve(Histories.of([2.0, 2.0, 3.0], [True, False, True]))([1.9, 2.0]) == pytest.approx([1.0, 0.5])


def drawn(seed: int, machines: int, *, shape: float, scale_h: float) -> np.ndarray:
    return scale_h * np.random.default_rng(seed).weibull(shape, machines)


def test_machines_older_than_their_data_enter_late() -> None:
    """Seen from a random age on, and only if they lived to it: as if new at entry, the curve is far too good."""
    life_h = drawn(1, 40_000, shape=2.0, scale_h=1000.0)
    entry_h = np.random.default_rng(2).uniform(0.0, 1500.0, life_h.size)
    seen = life_h > entry_h
    right = kaplan_meier(Histories.of(life_h[seen], np.ones(seen.sum()), entry_h[seen]))
    naive = kaplan_meier(Histories.of(life_h[seen], np.ones(seen.sum())))
    truth = math.exp(-((900.0 / 1000.0) ** 2))
    assert right(900.0) == pytest.approx(truth, abs=0.02)
    assert naive(900.0) > truth + 0.1


@pytest.mark.parametrize("shape", [0.8, 1.5, 4.0])
def test_weibull_finds_the_truth_under_censoring_and_late_entry(shape: float) -> None:
    life_h = drawn(3, 6000, shape=shape, scale_h=700.0)
    rng = np.random.default_rng(4)
    entry_h, stop_h = rng.uniform(0.0, 300.0, life_h.size), rng.uniform(300.0, 900.0, life_h.size)
    seen = life_h > entry_h
    end_h, failed = np.minimum(life_h, stop_h)[seen], (life_h <= stop_h)[seen]
    law = weibull_mle(Histories.of(end_h, failed, entry_h[seen]))
    assert law.shape == pytest.approx(shape, rel=0.05)
    assert law.scale_h == pytest.approx(700.0, rel=0.08)
    low, high = law.scale_interval_h(0.99)
    assert low < 700.0 < high


def test_the_interval_of_the_scale_covers_as_it_promises() -> None:
    """Of 300 small fleets the 90 % interval of the scale holds the truth in 84 to 95 % (Wald, 15 machines)."""
    held = 0
    for seed in range(300):
        life_h = drawn(1000 + seed, 15, shape=2.0, scale_h=500.0)
        law = weibull_mle(Histories.of(np.minimum(life_h, 600.0), life_h <= 600.0))
        low, high = law.scale_interval_h(0.9)
        held += low <= 500.0 <= high
    assert 0.84 <= held / 300 <= 0.95


def test_the_covariance_is_the_curvature_of_the_likelihood() -> None:
    """Of (log scale, log shape): compared with differences of the likelihood itself."""
    life_h = drawn(5, 60, shape=1.7, scale_h=300.0)
    end_h, entry_h = np.minimum(life_h, 350.0), np.minimum(20.0, 0.5 * life_h)
    failed = life_h <= 350.0

    def likelihood(log_scale: float, log_shape: float) -> float:
        k, x, e = math.exp(log_shape), end_h / math.exp(log_scale), entry_h / math.exp(log_scale)
        density = log_shape + k * np.log(x[failed]) - np.log(end_h[failed])
        return float(density.sum() - (x**k - e**k).sum())

    law = weibull_mle(Histories.of(end_h, failed, entry_h))
    at, step = np.array([math.log(law.scale_h), math.log(law.shape)]), 1e-4
    axes = np.eye(2) * step
    hessian = [
        [sum(i * j * likelihood(*(at + i * a + j * b)) for i in (-1, 1) for j in (-1, 1)) / (4 * step**2) for b in axes]
        for a in axes
    ]
    assert np.linalg.inv(-np.array(hessian)) == pytest.approx(law.covariance, rel=1e-3)
    gradient = [(likelihood(*(at + a)) - likelihood(*(at - a))) / (2 * step) for a in axes]
    assert gradient == pytest.approx([0.0, 0.0], abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 1e5), st.booleans()), min_size=3, max_size=30),
    st.floats(1e-3, 1e3),
)
def test_hours_or_days_make_no_difference(lives: list[tuple[float, bool]], unit: float) -> None:
    end = np.array([life for life, _ in lives])
    failed = np.array([how for _, how in lives])
    try:
        law = weibull_mle(Histories.of(end, failed))
    except TooFewError:
        with pytest.raises(TooFewError, match="not enough evidence"):
            weibull_mle(Histories.of(unit * end, failed))
        return
    other = weibull_mle(Histories.of(unit * end, failed))
    assert other.shape == pytest.approx(law.shape, rel=1e-5)
    assert other.scale_h == pytest.approx(unit * law.scale_h, rel=1e-5)
    curve = kaplan_meier(Histories.of(end, failed))
    assert (np.diff(curve.survives) <= 0.0).all()


@pytest.mark.parametrize(
    ("end_h", "failed", "words"),
    [
        ([], [], "the history is empty"),
        ([100.0, 200.0], [False, False], "none of 2 machines has failed"),
        ([100.0, 200.0], [True, False], "one failure only"),
        ([100.0, 100.0, 100.0], [True, True, False], "all failed at one age"),
    ],
)
def test_what_the_statistics_do_not_allow_is_refused_in_words(
    end_h: list[float], failed: list[bool], words: str
) -> None:
    with pytest.raises(TooFewError, match=f"not enough evidence: {words}"):
        weibull_mle(Histories.of(end_h, failed))


def test_one_failure_and_a_known_shape_give_a_scale_with_a_wide_interval() -> None:
    law = weibull_mle(Histories.of([100.0, 200.0, 300.0], [True, False, False]), shape=1.5)
    low, high = law.scale_interval_h(0.9)
    assert law.shape_interval() == (1.5, 1.5)
    assert high / low > 8.0


@pytest.mark.parametrize(
    ("end_h", "entry_h"), [([math.nan], [0.0]), ([5.0], [5.0]), ([5.0], [-1.0]), ([math.inf], [0.0])]
)
def test_hours_that_cannot_be_are_refused(end_h: list[float], entry_h: list[float]) -> None:
    with pytest.raises(ValueError, match="hours must be finite"):
        Histories.of(end_h, [True], entry_h)


def test_competing_causes_share_one_whole() -> None:
    """Failure against planned replacement; one less Kaplan-Meier of failures alone says too much."""
    rng = np.random.default_rng(6)
    life_h, stop_h = 400.0 * rng.weibull(2.0, 5000), 500.0 * rng.weibull(3.0, 5000)
    end_h = np.minimum(life_h, stop_h)
    cause = np.where(life_h <= stop_h, "failure", "replaced").tolist()
    histories = Histories.of(end_h, life_h <= stop_h)
    both = cumulative_incidence(histories, cause)
    failed = 1.0 - both["failure"](600.0)
    assert failed == pytest.approx(np.mean((end_h <= 600.0) & (life_h <= stop_h)), abs=1e-9)
    assert 1.0 - kaplan_meier(histories)(600.0) > failed + 0.1
    running = 1.0 - failed - (1.0 - both["replaced"](600.0))
    assert running == pytest.approx(np.mean(end_h > 600.0), abs=1e-9)


def test_machines_that_still_run_are_no_cause() -> None:
    found = cumulative_incidence(Histories.of([2.0, 3.0, 4.0], [True, False, False]), ["failure", "replaced", ""])
    assert set(found) == {"failure", "replaced"}
    assert 1.0 - found["failure"](10.0) == pytest.approx(1 / 3)
    with pytest.raises(TooFewError, match="none of 1 machines has ended"):
        cumulative_incidence(Histories.of([2.0], [False]), [""])
