"""Two sensors exchanged, as after work on the cabinet: each says what the other should.

For every pair of one unit the residuals are also averaged as they would be with the two exchanged back. Where that
explains nearly everything that stands off, the two are swapped, until the plain arrangement explains it better again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.infer.sensors.model import Model
from edge.infer.sensors.spec import SensorSpec

Array = NDArray[np.float64]
PAIRS_MAX = 12
_GAIN, _SHARE = 8.0, 0.05
"""The distance must fall by so many squared standard deviations, and to so small a share of what it was."""
BLOCKS = 2


def pairs_of(spec: SensorSpec, model: Model) -> tuple[tuple[int, int], ...]:
    """Followed signals that could be exchanged, as positions in ``spec.signals``: two of one unit and scale."""
    found: list[tuple[int, int]] = []
    for a, i in enumerate(model.signals):
        for j in model.signals[a + 1 :]:
            one, two = spec.signals[i], spec.signals[j]
            if one.log == two.log and spec.unit(one.tag) == spec.unit(two.tag) != "":
                found.append((i, j))
    return tuple(found[:PAIRS_MAX])


def exchanged(spec: SensorSpec, row: Array, pair: tuple[int, int]) -> Array:
    """``row`` [signals, ...] as it would be, were the two sensors of ``pair`` exchanged back."""
    i, j = pair
    found = row.copy()
    if spec.signals[j].minus == spec.signals[i].tag:
        i, j = j, i
    if spec.signals[i].minus != spec.signals[j].tag:
        found[i], found[j] = row[j], row[i]
        return found
    # The second is what the first, and others, are taken above.
    for k, signal in enumerate(spec.signals):
        if signal.minus == spec.signals[j].tag:
            found[k] = row[k] - row[i]
    found[i], found[j] = -row[i], row[j] + row[i]
    return found


def fits(plain: Array, other: Array, covariance: Array) -> bool:
    """Whether the averaged residuals ``other`` explain nearly all that stands off in ``plain``."""
    weight = np.linalg.inv(covariance)
    now, then = float(plain @ weight @ plain), float(other @ weight @ other)
    return now - then > _GAIN**2 and then < _SHARE * now
