"""Intervals by machine: the ranks of the textbook, and the promise kept on machines that were not seen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cloud.learn.conformal import calibrate, quantile_by_machine


def test_with_one_row_a_machine_it_is_the_textbooks_rank() -> None:
    """n = 100, alpha = 0.1: rank 91."""
    residuals = np.random.default_rng(1).permutation(100).astype(float) + 1.0
    assert quantile_by_machine(residuals, np.arange(100), 0.9) == 91.0


@pytest.mark.parametrize(
    ("machines", "level", "finite"), [(8, 0.9, False), (9, 0.9, True), (18, 0.95, False), (19, 0.95, True)]
)
def test_too_few_machines_give_an_infinite_margin(machines: int, level: float, finite: bool) -> None:
    residuals = np.arange(float(machines))
    assert math.isfinite(quantile_by_machine(residuals, np.arange(machines), level)) == finite


def test_many_rows_of_few_machines_are_still_few_machines() -> None:
    assert math.isinf(quantile_by_machine(np.zeros(8000), np.repeat(np.arange(8), 1000), 0.9))


def test_too_few_machines_everywhere_is_an_error_and_a_gap_takes_its_neighbours() -> None:
    edges = np.array([0.0, 0.5, 1.0])
    with pytest.raises(ValueError, match="too few machines"):
        calibrate(np.full(8, 0.2), np.zeros(8), np.arange(8), coverage=0.9, edges=edges)
    predicted = np.full(40, 0.2)
    interval = calibrate(predicted, predicted + 0.1, np.arange(40), coverage=0.9, edges=edges)
    assert interval.low.tolist() == [0.0, 0.0]
    assert interval.high == pytest.approx([0.1, 0.1])


def test_nine_machines_have_one_margin_for_both_sides_and_all_ranges() -> None:
    predicted = np.linspace(0.1, 0.9, 9)
    actual = predicted + np.array([0.01, -0.02, 0.03, -0.04, 0.05, -0.06, 0.07, -0.08, 0.09])
    interval = calibrate(predicted, actual, np.arange(9), coverage=0.9, edges=np.array([0.0, 0.5, 1.0]))
    assert interval.low == pytest.approx([0.09, 0.09])
    assert interval.high == pytest.approx([0.09, 0.09])


def test_the_promise_holds_on_new_machines_with_biases_of_their_own() -> None:
    """Each machine errs in its own direction, which an interval calibrated by rows would not survive."""
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(60):
        bias = 0.1 * rng.standard_normal(61)
        machine = np.repeat(np.arange(61), 30)
        predicted = rng.uniform(0.0, 1.0, machine.size)
        actual = predicted + bias[machine] + 0.02 * rng.standard_normal(machine.size)
        seen = machine < 60
        interval = calibrate(predicted[seen], actual[seen], machine[seen], coverage=0.9, edges=np.array([0.0, 1.0]))
        ends = np.array([interval.around(p) for p in predicted[~seen]])
        covered.append(np.mean((ends[:, 0] <= actual[~seen]) & (actual[~seen] <= ends[:, 1])))
    assert 0.85 <= np.mean(covered) <= 0.99
