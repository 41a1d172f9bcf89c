"""Control charts: a shift of the mean far smaller than the scatter is noticed, because it does not average out.

``Cusum`` knows the healthy mean (E. S. Page, Biometrika 1954; two-sided as in Montgomery, Introduction to Statistical
Quality Control). ``PageHinkley`` carries a running mean of its own, so that it works before anything has been learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CUSUM_K = 0.5
"""Half the shift, in standard deviations, that is to be found fastest."""
CUSUM_H = 8.0
"""In-control run length 10,000 samples a side: at four samples a day a false signal in some three years."""
CAP = 4.0
"""A single sample counts for so many standard deviations at most: one wild reading is no shift."""


@dataclass
class Cusum:
    """Two-sided cumulative sum of standardised samples; ``up`` and ``down`` are its two arms.

    ``up_since`` and ``down_since`` count the samples since each arm last stood at 0: the usual estimate of the change.
    """

    k: float = CUSUM_K
    h: float = CUSUM_H
    up: float = 0.0
    down: float = 0.0
    up_since: int = 0
    down_since: int = 0

    def update(self, z: float) -> bool:
        """Take one sample; True while an arm stands above ``h``. It does not reset itself."""
        z = min(max(z, -CAP), CAP)
        # An arm that stands at twice its limit says no more; bounded, it comes back soon after the shift is gone.
        self.up = min(max(0.0, self.up + z - self.k), 2.0 * self.h)
        self.down = min(max(0.0, self.down - z - self.k), 2.0 * self.h)
        self.up_since = self.up_since + 1 if self.up > 0.0 else 0
        self.down_since = self.down_since + 1 if self.down > 0.0 else 0
        return self.signals

    @property
    def signals(self) -> bool:
        return self.up > self.h or self.down > self.h

    @property
    def since(self) -> int:
        """Samples since the change, by the arm that stands higher; 0 where both stand at 0."""
        return self.up_since if self.up >= self.down else self.down_since


@dataclass
class PageHinkley:
    """Two-sided Page-Hinkley test of standardised samples against their own running mean.

    ``delta``: how far the mean may wander without notice; ``limit``: lambda of the literature. Nothing is said within
    the first ``least`` samples.
    """

    delta: float = 0.25
    limit: float = 12.0
    least: int = 30
    count: int = 0
    mean: float = 0.0
    up: float = 0.0
    down: float = 0.0

    def update(self, z: float) -> bool:
        z = min(max(z, -CAP), CAP)
        self.count += 1
        self.mean += (z - self.mean) / self.count
        self.up = min(max(0.0, self.up + z - self.mean - self.delta), 2.0 * self.limit)
        self.down = min(max(0.0, self.down - z + self.mean - self.delta), 2.0 * self.limit)
        return self.signals

    @property
    def signals(self) -> bool:
        return self.count >= self.least and (self.up > self.limit or self.down > self.limit)


def run_length(shift: float, *, k: float = CUSUM_K, h: float = CUSUM_H, states: int = 200) -> float:
    """Average samples until a two-sided CUSUM signals, for normal samples of mean ``shift`` and variance 1.

    By a Markov chain of ``states`` for each arm (D. Brook and D. A. Evans, Biometrika 1972), the last step by
    Richardson extrapolation; the arms combine by 1/ARL = 1/ARL_up + 1/ARL_down (Van Dobben de Bruyn 1968).
    """
    return 1.0 / (1.0 / _one_sided(shift, k, h, states) + 1.0 / _one_sided(-shift, k, h, states))


def _one_sided(shift: float, k: float, h: float, states: int) -> float:
    coarse, fine = _chain(shift, k, h, states // 2), _chain(shift, k, h, states)
    return (4.0 * fine - coarse) / 3.0


def _chain(shift: float, k: float, h: float, states: int) -> float:
    width = 2.0 * h / (2 * states - 1)
    centre = np.arange(states) * width
    upper = _normal_cdf(centre[None, :] + width / 2.0 - centre[:, None] + k - shift)
    lower = _normal_cdf(centre[None, :] - width / 2.0 - centre[:, None] + k - shift)
    moves = upper - lower
    moves[:, 0] = upper[:, 0]
    return float(np.linalg.solve(np.eye(states) - moves, np.ones(states))[0])


def _normal_cdf(x: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.vectorize(erf)(x / np.sqrt(2.0))), dtype=np.float64)
