"""The promise is kept in each third of the true life, where an interval by prediction breaks it in one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cloud.learn.by_truth import calibrate_by_truth
from cloud.learn.conformal import calibrate
from edge.contract.bundle import Interval

Array = NDArray[np.float64]
CAP = 120.0


def fleet(seed: int, machines: int = 120) -> tuple[Array, Array, NDArray[np.int64]]:
    """Predictions of machines with biases of their own, least sure in the middle of life, and drawn to the mean."""
    rng = np.random.default_rng(seed)
    machine = np.repeat(np.arange(machines), 24)
    actual = np.minimum(rng.uniform(0.0, 160.0, machine.size), CAP)
    unsure = 4.0 + 18.0 * np.exp(-(((actual - 60.0) / 25.0) ** 2))
    bias = rng.normal(size=machines)[machine]
    predicted = np.clip(actual + unsure * (0.8 * bias + 0.6 * rng.normal(size=machine.size)), 0.0, CAP)
    return predicted, actual, machine


def by_third(interval: Interval, seed: int) -> list[float]:
    predicted, actual, _ = fleet(seed)
    ends = np.array([interval.around(p) for p in predicted])
    inside = (ends[:, 0] - 1e-9 <= actual) & (actual <= ends[:, 1] + 1e-9)
    third = np.minimum((actual // (CAP / 3.0)).astype(int), 2)
    return [float(inside[third == i].mean()) for i in range(3)]


def test_each_third_of_the_truth_is_covered_as_promised() -> None:
    covered = np.mean(
        [by_third(calibrate_by_truth(*fleet(seed), coverage=0.9, cap=CAP), seed + 100) for seed in range(5)], axis=0
    )
    assert (covered > 0.87).all()
    assert covered.mean() < 0.95
    pooled = np.mean(
        [
            by_third(calibrate(*fleet(seed), coverage=0.9, edges=np.array([0.0, CAP])), seed + 100)
            for seed in range(5)
        ],
        axis=0,
    )  # fmt: skip
    assert pooled.min() < 0.85


def test_a_perfect_model_has_intervals_of_no_width_worth_naming() -> None:
    _, actual, machine = fleet(1)
    interval = calibrate_by_truth(actual, actual, machine, coverage=0.9, cap=CAP)
    assert interval.low.max() < 1e-6
    assert interval.high.max() < 1e-6


def test_the_interval_stays_within_zero_and_the_cap_and_never_turns_over() -> None:
    interval = calibrate_by_truth(*fleet(2), coverage=0.9, cap=CAP)
    ends = np.array([interval.around(p) for p in np.linspace(0.0, CAP, 200)])
    assert ends.min() >= -1e-9
    assert ends.max() <= CAP + 1e-9
    assert (np.diff(ends, axis=0) >= -1e-9).all()


def test_too_few_machines_are_an_error() -> None:
    with pytest.raises(ValueError, match="too few machines"):
        calibrate_by_truth(*fleet(3, machines=15), coverage=0.9, cap=CAP)
