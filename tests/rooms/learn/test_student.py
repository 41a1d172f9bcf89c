"""The teacher's trees and the student's layers: deterministic, honest about rows they were fitted to, and useful."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cloud.learn.student import Schooling, distil, joined
from cloud.learn.teacher import fit_teacher
from cloud.learn.tflite import Dense, forward

Array = NDArray[np.float64]
QUICK = Schooling(hidden=(16, 8), members=2, epochs=30, batch=64)


def fleet(seed: int, assets: int = 20, rows_each: int = 40) -> tuple[Array, Array, NDArray[np.int64]]:
    """Rows whose target is a bent function of two features, with an offset of each asset that no feature tells."""
    rng = np.random.default_rng(seed)
    asset = np.repeat(np.arange(assets), rows_each)
    rows = np.clip(rng.normal(size=(asset.size, 5)), -4.0, 4.0)
    offset = 0.3 * rng.normal(size=assets)
    target = np.abs(rows[:, 0]) + 0.5 * rows[:, 1] + offset[asset]
    return rows, target, asset


def rmse(a: Array, b: Array) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2)))


def test_the_lesson_comes_from_trees_that_never_saw_the_asset() -> None:
    """An asset's own offset is learned by heart where the asset was seen, and is not known where it was left out."""
    rows, _, asset = fleet(1)
    rows = np.column_stack([rows, asset])
    only_offset = np.random.default_rng(2).normal(size=20)[asset]
    apart = fit_teacher(rows, only_offset, seed=1, assets=asset, folds=4, rounds=200)
    by_heart = fit_teacher(rows, only_offset, seed=1, rounds=200)
    assert rmse(by_heart.lesson[:, 0], only_offset) < 0.1
    assert rmse(apart.lesson[:, 0], only_offset) > 0.5


def test_the_same_seed_gives_the_same_teacher_and_student_to_the_bit() -> None:
    rows, target, asset = fleet(3)
    runs = []
    for seed in (1, 1, 2):
        teacher = fit_teacher(rows, target, seed=seed, assets=asset, rounds=20)
        runs.append((teacher.predict(rows), distil(teacher, rows, target, seed=seed, schooling=QUICK)))
    assert np.array_equal(runs[0][0], runs[1][0])
    for a, b, c in zip(*(layers for _, layers in runs), strict=True):
        assert np.array_equal(a.weights, b.weights)
        assert not np.array_equal(a.weights, c.weights)


@pytest.mark.parametrize("taught", [True, False])
def test_a_student_beats_the_mean_and_learns_any_unit(taught: bool) -> None:
    rows, target, asset = fleet(4)
    hours = np.column_stack([1000.0 * target, 0.001 * target])
    teacher = fit_teacher(rows, hours, seed=1, assets=asset, rounds=60) if taught else None
    layers = distil(teacher, rows, hours, seed=1, schooling=QUICK)
    fresh, truth, _ = fleet(5)
    answer = forward(layers, fresh)
    assert rmse(answer[:, 0], 1000.0 * truth) < 0.6 * 1000.0 * truth.std()
    assert rmse(answer[:, 1], 0.001 * truth) < 0.6 * 0.001 * truth.std()


def test_rows_without_weight_do_not_count() -> None:
    """Half of the rows are wrong by a thousand, and are told to be worth nothing."""
    rows, target, asset = fleet(6)
    wrong = asset % 2 == 0
    spoilt = np.where(wrong, target + 1000.0, target)
    weight = np.where(wrong, 0.0, 1.0)
    teacher = fit_teacher(rows, spoilt, weight, seed=1, rounds=40)
    assert rmse(teacher.predict(rows[~wrong])[:, 0], target[~wrong]) < target.std()


def test_joined_members_are_their_mean() -> None:
    rng = np.random.default_rng(7)
    members = [
        [
            Dense(rng.normal(size=(6, 5)), rng.normal(size=6), relu=True),
            Dense(rng.normal(size=(4, 6)), rng.normal(size=4), relu=True),
            Dense(rng.normal(size=(2, 4)), rng.normal(size=2), relu=False),
        ]
        for _ in range(3)
    ]
    rows = rng.normal(size=(30, 5))
    assert np.allclose(forward(joined(members), rows), np.mean([forward(m, rows) for m in members], axis=0))


def test_a_teacher_of_other_rows_is_a_programmers_error() -> None:
    rows, target, _ = fleet(8, assets=4)
    teacher = fit_teacher(rows, target, seed=1, rounds=5)
    with pytest.raises(AssertionError, match="other rows"):
        distil(teacher, rows[:-1], target[:-1], seed=1, schooling=QUICK)
