"""Two sensors exchanged, as after work on the cabinet: each says what the other should.

For every pair of one unit the residuals are also kept as they would be with the two exchanged back. Where that explains
what stands off, and a single sensor does not, the two are swapped.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.infer.sensors.model import Model
from edge.infer.sensors.spec import SensorSpec

Array = NDArray[np.float64]
PAIRS_MAX = 12


def pairs_of(spec: SensorSpec, model: Model) -> tuple[tuple[int, int], ...]:
    """Followed signals that could be exchanged: positions in ``model.signals`` of two of one unit and scale."""
    found: list[tuple[int, int]] = []
    for a, i in enumerate(model.signals):
        for b, j in enumerate(model.signals[a + 1 :], a + 1):
            one, two = spec.signals[i], spec.signals[j]
            if one.log == two.log and spec.unit(one.tag) == spec.unit(two.tag) != "":
                found.append((a, b))
    return tuple(found[:PAIRS_MAX])


def exchanged(spec: SensorSpec, model: Model, row: Array, pair: tuple[int, int]) -> tuple[float, float]:
    """The signals of ``pair`` as they would be, in ``row`` [signals, ...], were the two sensors exchanged back."""
    i, j = (model.signals[k] for k in pair)
    one, two = spec.signals[i], spec.signals[j]
    if one.minus == two.tag:
        return -float(row[i]), float(row[j] + row[i])
    if two.minus == one.tag:
        return float(row[i] + row[j]), -float(row[j])
    return float(row[j]), float(row[i])


def distance(mean: Array, covariance: Array) -> float:
    return float(mean @ np.linalg.solve(covariance, mean))


def replaced(mean: Array, pair: Sequence[int], values: Sequence[float]) -> Array:
    found = mean.copy()
    found[list(pair)] = values
    return found
