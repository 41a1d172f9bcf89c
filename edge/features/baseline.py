"""A healthy asset's own normal: each signal as a linear function of the conditions (load, speed) it ran under.

Fitted once from few rows, some of which may be wrong: rows far from the fit lose weight (Huber), a condition that
hardly varied while learning gets no slope (ridge), and conditions outside what was seen are clipped, so that a load
never met before is not extrapolated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_HUBER = 1.5
_PASSES = 8
_SPREAD_FLOOR = 1e-6
_CONDITION_MARGIN = 0.25


@dataclass(frozen=True)
class Baseline:
    """``coefficients`` [1 + conditions, signals]; ``spread`` [signals] is the robust residual sd."""

    coefficients: Array
    spread: Array
    centre: Array
    scale: Array
    low: Array
    high: Array

    def expected(self, conditions: Array) -> Array:
        """What each signal would be, were the asset healthy under ``conditions`` [conditions]: array [signals]."""
        inside = np.minimum(np.maximum(conditions, self.low), self.high)
        slopes = ((inside - self.centre) / self.scale) @ self.coefficients[1:]
        return np.asarray(self.coefficients[0] + slopes, dtype=np.float64)

    def flat(self) -> Array:
        """All numbers in one vector, for keeping; ``unflat`` is the inverse."""
        parts = (self.coefficients.ravel(), self.spread, self.centre, self.scale, self.low, self.high)
        return np.concatenate(parts)

    @staticmethod
    def unflat(numbers: Array, *, signals: int, conditions: int) -> Baseline:
        sizes = ((1 + conditions) * signals, signals, *(conditions,) * 4)
        assert numbers.size == sum(sizes), "a baseline of other signals"
        parts = np.split(numbers.copy(), np.cumsum(sizes)[:-1])
        return Baseline(parts[0].reshape(1 + conditions, signals), *parts[1:])


def fit(signals: Array, conditions: Array) -> Baseline:
    """The baseline of ``signals`` [rows, signals] seen under ``conditions`` [rows, conditions]; all finite.

    Huber's M-estimator by iteratively reweighted least squares, k = 1.5, scale by the median absolute deviation
    (x 1.4826), ridge of one row's weight on the slopes.
    """
    assert len(signals) == len(conditions) >= 2
    centre = np.median(conditions, axis=0)
    # A condition that moves by less than 1 % of itself carries no slope worth learning.
    scale = np.maximum(conditions.std(axis=0), 0.01 * np.maximum(np.abs(centre), 1.0))
    design = np.column_stack([np.ones(len(conditions)), (conditions - centre) / scale])
    columns = [_robust_fit(design, signals[:, i]) for i in range(signals.shape[1])]
    low, high = conditions.min(axis=0), conditions.max(axis=0)
    margin = _CONDITION_MARGIN * (high - low)
    return Baseline(
        coefficients=np.column_stack([c for c, _ in columns]),
        spread=np.array([s for _, s in columns]),
        centre=centre,
        scale=scale,
        low=low - margin,
        high=high + margin,
    )


def _robust_fit(design: Array, y: Array) -> tuple[Array, float]:
    ridge = np.diag([0.0] + [1.0] * (design.shape[1] - 1))
    # The first pass starts from the median: one wild row cannot tilt the line before it is seen to be wild.
    weight = _weights(y - np.median(y))
    for _ in range(_PASSES):
        weighted = design * weight[:, None]
        coefficients = np.asarray(np.linalg.solve(weighted.T @ design + ridge, weighted.T @ y), dtype=np.float64)
        residual = y - design @ coefficients
        weight = _weights(residual)
    return coefficients, _spread(residual)


def _spread(residual: Array) -> float:
    return max(1.4826 * float(np.median(np.abs(residual - np.median(residual)))), _SPREAD_FLOOR)


def _weights(residual: Array) -> Array:
    size = np.abs(residual) / _spread(residual)
    return np.minimum(1.0, _HUBER / np.maximum(size, _HUBER))
