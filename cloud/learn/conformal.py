"""Intervals that keep their promise on machines never seen: split conformal prediction, calibrated by machine.

Rows of one machine resemble each other, so machines and not rows are what is exchangeable: each calibration machine
weighs one, its rows share that weight, and one more machine of weight one and infinite residual stands for the next
(Lee, Barber & Willett 2023 for the pooled form; with one row a machine it is the rank ceil((n + 1)(1 - alpha))). The
two tails are taken apart, and separately for ranges of the prediction: an interval far from failure is not one near it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.contract.bundle import Interval

Array = NDArray[np.float64]


def quantile_by_machine(
    residuals: Array, machines: NDArray[np.int64], level: float, *, weights: Array | None = None
) -> float:
    """The ``level`` quantile of ``residuals`` [rows] for the next machine; infinite where machines are too few.

    Under 9 machines a 90 % quantile is infinite, under 19 a 95 % one. ``weights`` [rows], the same for all rows of a
    machine, say how many machines each stands for (``censoring.machine_weights``: rows of weight 0 do not count); the
    next machine then weighs as the heaviest, which errs on the wide side (Tibshirani et al. 2019).
    """
    if weights is not None:
        counts = weights > 0.0
        residuals, machines, weights = residuals[counts], machines[counts], weights[counts]
    names, first, rows = np.unique(machines, return_index=True, return_counts=True)
    if len(names) == 0:
        return math.inf
    heavy = np.ones(len(names)) if weights is None else weights[first]
    weight_of = heavy / rows / (heavy.sum() + heavy.max())
    weights = weight_of[np.searchsorted(names, machines)]
    order = np.argsort(residuals, kind="stable")
    reached = np.cumsum(weights[order])
    # Weights are sums of fractions: a hair below the level is the level.
    at = int(np.searchsorted(reached, level - 1e-9))
    return float(residuals[order][at]) if at < len(order) else math.inf


def calibrate(
    predicted: Array,
    actual: Array,
    machines: NDArray[np.int64],
    *,
    coverage: float,
    edges: Array,
    weights: Array | None = None,
) -> Interval:
    """Margins below and above the prediction, for predictions within each pair of ``edges`` (ascending).

    Machines that were taken out healthy have no residual: ``weights`` [rows] let failures stand for them.

    A range with too few machines takes the wider of its nearest calibrated neighbours' margins. Where every range has
    too few, one margin for both sides and all ranges needs fewer (at 90 %: 9 machines, not 19); raises ``ValueError``
    where these are too few as well: there is no honest interval then.
    """
    tail = 1.0 - (1.0 - coverage) / 2.0
    low, high = [], []
    # Predictions beyond the outer edges belong to the outer ranges.
    within = np.clip(np.digitize(predicted, edges) - 1, 0, len(edges) - 2)
    for i in range(len(edges) - 1):
        rows = within == i
        over, weighing = (predicted - actual)[rows], weights[rows] if weights is not None else None
        low.append(quantile_by_machine(over, machines[rows], tail, weights=weighing))
        high.append(quantile_by_machine(-over, machines[rows], tail, weights=weighing))
    centres = (edges[:-1] + edges[1:]) / 2.0
    if not np.isfinite([*low, *high]).any():
        size = quantile_by_machine(np.abs(predicted - actual), machines, coverage, weights=weights)
        low = high = [size] * len(centres)
    return Interval(coverage, centres, _finite(np.array(low)), _finite(np.array(high)))


def places(
    predicted: Array, actual: Array, machines: NDArray[np.int64], interval: Interval, levels: Sequence[float]
) -> tuple[float, ...]:
    """Where within ``interval`` each of ``levels`` lies for the next machine: -1 lower end, 0 prediction, 1 upper end.

    Of the residuals over their own margins, by machine as ever; each level errs outward. See ``bundle.Inner``.
    """
    below = np.interp(predicted, interval.at, interval.low)
    above = np.interp(predicted, interval.at, interval.high)
    residual = actual - predicted
    share = np.clip(residual / np.maximum(np.where(residual < 0.0, below, above), 1e-9), -1.0, 1.0)
    found = [
        -quantile_by_machine(-share, machines, 1.0 - level)
        if level < 0.5
        else quantile_by_machine(share, machines, level)
        for level in levels
    ]
    return tuple(float(place) for place in np.maximum.accumulate(np.clip(found, -1.0, 1.0)))


def _finite(margins: Array) -> Array:
    known = np.flatnonzero(np.isfinite(margins))
    if known.size == 0:
        raise ValueError("too few machines for an interval")
    filled = []
    for i in range(len(margins)):
        nearest = np.concatenate([known[known <= i][-1:], known[known >= i][:1]])
        filled.append(max(float(margins[nearest].max()), 0.0))
    return np.array(filled)
