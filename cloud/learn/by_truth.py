"""Intervals that keep their promise near failure and far from it: conformal prediction conditional on the truth.

Calibrated over all rows, or by ranges of the prediction, an interval may fail half of the machines that are in the
middle of their lives and make it up elsewhere. Here the range of predictions is found for each true life, and the
interval of a prediction is every life whose range holds it (label-conditional or Mondrian conformal prediction, Vovk,
Gammerman & Shafer 2005, 4.5, for a label that is a number). Lives at the cap are one label of their own: whoever
predicts them cannot err upwards.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloud.learn.conformal import quantile_by_machine
from edge.contract.bundle import Interval

Array = NDArray[np.float64]


def calibrate_by_truth(
    predicted: Array, actual: Array, machines: NDArray[np.int64], *, coverage: float, cap: float, ranges: int = 12
) -> Interval:
    """Margins of predictions 0..``cap``, from rows [rows] of machines that the model did not learn from.

    ``actual`` is cut at ``cap``. The true lives below it are taken in ``ranges`` of equal width, each of which wants
    the machines of ``quantile_by_machine``. Raises ``ValueError`` where there are too few.
    """
    outside = 1.0 - coverage
    edges = np.linspace(0.0, cap, ranges + 1)
    below = actual < cap
    within = np.clip(np.digitize(actual, edges) - 1, 0, ranges - 1)
    lives, least, most = [], [], []
    for i in range(ranges):
        rows = below & (within == i)
        error = (predicted - actual)[rows]
        lives.append((edges[i] + edges[i + 1]) / 2.0)
        least.append(-quantile_by_machine(-error, machines[rows], 1.0 - outside / 2.0))
        most.append(quantile_by_machine(error, machines[rows], 1.0 - outside / 2.0))
    at_cap = ~below
    cut = -quantile_by_machine(cap - predicted[at_cap], machines[at_cap], coverage) if at_cap.any() else least[-1]
    if not np.isfinite([*least, *most, cut]).all():
        raise ValueError("too few machines for an interval")
    life = np.array([0.0, *lives, cap])
    # A longer life never predicts less: ranges that cross are noise of few machines.
    lowest = np.maximum.accumulate(life + np.array([least[0], *least, least[-1]]))
    highest = np.maximum.accumulate(life + np.array([most[0], *most, most[-1]]))
    at = np.linspace(0.0, cap, 2 * ranges + 1)
    high = np.array([cap if p >= cap + cut else _inverse(p, lowest, life) for p in at])
    low = np.array([_inverse(p, highest, life) for p in at])
    return Interval(coverage, at, np.maximum(at - low, 0.0), np.maximum(high - at, 0.0))


def _inverse(value: float, rising: Array, at: Array) -> float:
    """Where the line through (``at``, ``rising``) reaches ``value``; the ends beyond them."""
    if value <= rising[0]:
        return float(at[0])
    if value >= rising[-1]:
        return float(at[-1])
    i = int(np.searchsorted(rising, value, side="right"))
    step = rising[i] - rising[i - 1]
    return float(at[i - 1] + (at[i] - at[i - 1]) * ((value - rising[i - 1]) / step if step > 0.0 else 1.0))
