"""The teacher: gradient-boosted trees, which learn tables best and are too large for a gateway.

What trees say of rows that they were fitted to is near the labels, noise included, and teaches nothing. So the teacher
is fitted in folds that share no asset, and each row's lesson comes from the trees that never saw its asset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ROUNDS = 200
_BOOSTER = {
    "objective": "reg:squarederror",
    "tree_method": "hist",
    "max_bin": 64,
    "max_depth": 4,
    "eta": 0.06,
    "subsample": 0.7,
    "colsample_bytree": 0.5,
    "min_child_weight": 5.0,
    "nthread": 1,
}


@dataclass(frozen=True)
class Teacher:
    """``forests``: by fold, then by output. ``lesson`` [rows, outputs]: what the rows that it was fitted to are told by
    the trees of the folds that left out their asset (by all trees where there is one fold)."""

    forests: tuple[tuple[xgboost.Booster, ...], ...]
    lesson: Array

    def predict(self, rows: NDArray[np.floating[Any]]) -> Array:
        """The mean of all folds, [rows, outputs], of scaled or raw features [rows, in] as it was fitted to."""
        return np.asarray(np.mean([_told(forest, rows) for forest in self.forests], axis=0))


def fit_teacher(
    rows: NDArray[np.floating[Any]],
    target: NDArray[np.floating[Any]],
    weight: NDArray[np.floating[Any]] | None = None,
    seed: int = 0,
    *,
    assets: NDArray[np.int64] | None = None,
    folds: int = 3,
    rounds: int = _ROUNDS,
) -> Teacher:
    """Trees for each column of ``target`` [rows] or [rows, outputs] on ``rows`` [rows, in], weighted by ``weight``.

    ``assets`` [rows] names the machine of each row; without it, or with fewer machines than two folds need, one fit on
    all rows. One thread and a seed: the same input gives the same trees.
    """
    target = np.asarray(target, dtype=np.float64).reshape(len(rows), -1)
    weight = np.ones(len(rows)) if weight is None else np.asarray(weight, dtype=np.float64)
    fold_of = _folds(assets, len(rows), folds, seed)
    numbers = np.unique(fold_of)
    lesson, forests = np.empty_like(target), []
    for fold in numbers:
        out = fold_of == fold
        kept = ~out if numbers.size > 1 else out
        forest = tuple(_grow(rows[kept], column[kept], weight[kept], seed, rounds) for column in target.T)
        forests.append(forest)
        lesson[out] = _told(forest, rows[out])
    return Teacher(tuple(forests), lesson)


def _folds(assets: NDArray[np.int64] | None, rows: int, folds: int, seed: int) -> NDArray[np.int64]:
    if assets is None:
        return np.zeros(rows, dtype=np.int64)
    names, index = np.unique(assets, return_inverse=True)
    if folds < 2 or names.size < 2:
        return np.zeros(rows, dtype=np.int64)
    order = np.random.default_rng(seed).permutation(names.size)
    return np.asarray((order % min(folds, names.size))[index], dtype=np.int64)


def _grow(rows: NDArray[Any], target: Array, weight: Array, seed: int, rounds: int) -> xgboost.Booster:
    data = xgboost.DMatrix(rows, label=target, weight=weight, nthread=1)
    return xgboost.train({**_BOOSTER, "seed": seed}, data, num_boost_round=rounds)


def _told(forest: tuple[xgboost.Booster, ...], rows: NDArray[Any]) -> Array:
    data = xgboost.DMatrix(rows, nthread=1)
    return np.column_stack([booster.predict(data) for booster in forest]).astype(np.float64)
