"""Training where planners replace healthy machines: dropping them or calling them failures lies, our targets do not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from cloud.learn.censoring import censored_targets, machine_weights
from cloud.learn.conformal import calibrate
from cloud.learn.survival import Histories, TooFewError

Array = NDArray[np.float64]
CAP_H = 2000.0


def fleet(seed: int, machines: int) -> tuple[Array, Array, Array]:
    """Lives (Weibull 2, scale by a visible load), planned ends, loads: about half are replaced while healthy."""
    rng = np.random.default_rng(seed)
    load = rng.uniform(0.0, 1.0, machines)
    life_h = 1000.0 * np.exp(0.5 - load) * rng.weibull(2.0, machines)
    return life_h, rng.uniform(200.0, 1600.0, machines), load


def rows_of(end_h: Array, seed: int, rows: int = 6) -> tuple[Array, NDArray[np.int64]]:
    """Each machine seen at some random ages of its watched life."""
    machine = np.repeat(np.arange(end_h.size), rows)
    return np.random.default_rng(seed).uniform(0.0, 1.0, machine.size) * end_h[machine], machine


def test_the_mean_remaining_life_is_right_and_the_shortcuts_are_not() -> None:
    life_h, stop_h, _ = fleet(1, 4000)
    histories = Histories.of(np.minimum(life_h, stop_h), life_h <= stop_h)
    assert 0.4 < histories.failed.mean() < 0.7
    age_h, machine = rows_of(histories.end_h, 2)
    truth = np.minimum(life_h[machine] - age_h, CAP_H).mean()
    targets = censored_targets(age_h, machine, histories, cap_h=CAP_H)
    as_failures = (histories.end_h[machine] - age_h).mean()
    dropped = (life_h[machine] - age_h)[histories.failed[machine]].mean()
    assert as_failures < 0.65 * truth
    assert dropped < 0.65 * truth
    assert targets.rul_h.mean() == pytest.approx(truth, rel=0.05)


def test_weights_let_failures_speak_for_those_taken_out() -> None:
    """The mean life itself, within ages that were watched."""
    life_h, stop_h, _ = fleet(3, 4000)
    histories = Histories.of(np.minimum(life_h, stop_h), life_h <= stop_h)
    weight = machine_weights(histories)
    early = histories.failed & (histories.end_h < 1200.0)
    share = weight[early].sum() / life_h.size
    assert share == pytest.approx(np.mean(life_h < 1200.0), rel=0.03)
    assert histories.failed.mean() < 0.8 * np.mean(life_h < 1200.0)
    assert (weight[~histories.failed] == 0.0).all()


def test_a_teacher_with_bounds_is_nearer_the_truth_than_with_either_shortcut() -> None:
    """XGBoost, survival:aft, against the same trees on squared logarithms; median errors on whole lives."""
    life_h, stop_h, load = fleet(5, 1500)
    histories = Histories.of(np.minimum(life_h, stop_h), life_h <= stop_h)
    age_h, machine = rows_of(histories.end_h, 6)
    targets = censored_targets(age_h, machine, histories, cap_h=CAP_H)
    features = np.column_stack([age_h, load[machine]])
    fresh_h, _, fresh_load = fleet(7, 1500)
    at_h = 0.3 * np.minimum(fresh_h, 800.0)
    asked, truth = np.column_stack([at_h, fresh_load]), np.log(fresh_h - at_h)
    common = {"max_depth": 3, "eta": 0.1, "nthread": 1, "seed": 0}

    def bias(parameters: dict[str, object], rows: NDArray[np.bool_], low: Array, high: Array | None) -> float:
        matrix = xgboost.DMatrix(features[rows])
        if high is None:
            matrix.set_label(np.log1p(low[rows]))
        else:
            matrix.set_float_info("label_lower_bound", low[rows] + 1.0)
            matrix.set_float_info("label_upper_bound", high[rows] + 1.0)
        said = xgboost.train(common | parameters, matrix, 80).predict(xgboost.DMatrix(asked))
        return float(np.median((np.log(said) if high is not None else said) - truth))

    every = np.ones(machine.size, dtype=bool)
    aft = {
        "objective": "survival:aft", "aft_loss_distribution": "extreme", "aft_loss_distribution_scale": 0.6,
        "base_score": float(np.median(targets.low_h)),
    }  # fmt: skip
    honest = bias(aft, every, targets.low_h, targets.high_h)
    shortcut = {"objective": "reg:squarederror", "base_score": 5.0}
    as_failures = bias(shortcut, every, targets.low_h, None)
    dropped = bias(shortcut, histories.failed[machine], targets.low_h, None)
    assert as_failures < -0.4
    assert dropped < -0.4
    assert abs(honest) < 0.1


def test_intervals_keep_their_promise_under_censoring() -> None:
    """Long lives are those that are taken out: without weights the upper ends fall short of the machines that stay."""
    covered: dict[str, list[float]] = {"ours": [], "dropped": []}
    for seed in range(40):
        life_h, stop_h, load = fleet(100 + seed, 300)
        histories = Histories.of(np.minimum(life_h, stop_h), life_h <= stop_h)
        age_h, machine = rows_of(histories.end_h, seed, rows=3)
        targets = censored_targets(age_h, machine, histories, cap_h=CAP_H)
        failed = histories.failed[machine]

        def predicted(at_h: Array, of: Array) -> Array:
            return np.maximum(1000.0 * np.exp(0.5 - of) - at_h, 0.0)

        edges = np.array([0.0, 3000.0])
        fresh_h, _, fresh_load = fleet(1000 + seed, 300)
        at_h = np.random.default_rng(2000 + seed).uniform(0.0, 1.0, fresh_h.size) * fresh_h
        for name, weights in (("ours", targets.weight), ("dropped", None)):
            keep = np.ones(machine.size, dtype=bool) if weights is not None else failed
            interval = calibrate(
                predicted(age_h, load[machine])[keep], targets.low_h[keep], machine[keep], coverage=0.8, edges=edges,
                weights=weights,
            )  # fmt: skip
            said = predicted(at_h, fresh_load)
            ends = np.array([interval.around(float(p)) for p in said])
            covered[name].append(float(np.mean((ends[:, 0] <= fresh_h - at_h) & (fresh_h - at_h <= ends[:, 1]))))
    assert np.mean(covered["dropped"]) < 0.76
    assert 0.78 <= np.mean(covered["ours"]) <= 0.92


def test_with_no_censoring_nothing_changes() -> None:
    histories = Histories.of([100.0, 200.0, 300.0], [True] * 3)
    targets = censored_targets(np.array([50.0, 0.0, 290.0]), np.array([0, 1, 2]), histories, cap_h=150.0)
    assert targets.rul_h.tolist() == [50.0, 150.0, 10.0]
    assert targets.weight.tolist() == [1.0, 1.0, 1.0]
    assert (targets.low_h == targets.high_h).all()


def test_a_machine_taken_out_healthy_is_expected_to_have_lived_on() -> None:
    histories = Histories.of([100.0, 200.0, 150.0], [True, True, False])
    targets = censored_targets(np.array([50.0]), np.array([2]), histories, cap_h=1000.0)
    assert targets.low_h[0] == 100.0
    assert math.isinf(targets.high_h[0])
    assert 100.0 < targets.rul_h[0] < 250.0


def test_no_failures_and_impossible_rows_are_refused() -> None:
    with pytest.raises(TooFewError, match="none of 1 machines has failed"):
        censored_targets(np.array([5.0]), np.array([0]), Histories.of([10.0], [False]), cap_h=100.0)
    with pytest.raises(ValueError, match="older than its machine"):
        censored_targets(np.array([15.0]), np.array([0]), Histories.of([10.0], [True]), cap_h=100.0)
