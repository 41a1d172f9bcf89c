"""Statistics of one waveform snapshot: a one-dimensional array of samples in any unit.

A constant or silent snapshot has no shape: crest factor, kurtosis and skewness are then 0, never NaN. An empty array is
a programmer's error. Non-finite samples are the caller's to remove.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.floating]


def rms(samples: Samples) -> float:
    """Root mean square about zero, in the samples' unit. A sine of amplitude A gives A / √2."""
    x, largest = _scaled(samples)
    return largest * float(np.sqrt(np.dot(x, x) / x.size))


def peak(samples: Samples) -> float:
    """Largest absolute value, in the samples' unit."""
    return _scaled(samples)[1]


def crest_factor(samples: Samples) -> float:
    """Peak over RMS, no unit: √2 for a sine. Impacts of a spalled bearing raise it early; wear-out lowers it again."""
    level = rms(samples)
    return peak(samples) / level if level > 0.0 else 0.0


def kurtosis(samples: Samples) -> float:
    """Fourth standardised moment by Pearson's definition, no unit: 3 for Gaussian noise, 1.5 for a sine."""
    return _standardised_moment(samples, 4)


def skewness(samples: Samples) -> float:
    """Third standardised moment, no unit: 0 for anything symmetric."""
    return _standardised_moment(samples, 3)


def _standardised_moment(samples: Samples, order: int) -> float:
    x, _ = _scaled(samples)
    deviation = x - x.mean()
    variance = float(np.dot(deviation, deviation) / x.size)
    # Below this the deviations are rounding of the mean, not signal.
    if variance <= (16.0 * np.finfo(np.float64).eps) ** 2:
        return 0.0
    square = deviation * deviation
    power = square * square if order == 4 else square * deviation
    return float(power.mean() / variance ** (order / 2))


def _scaled(samples: Samples) -> tuple[NDArray[np.float64], float]:
    """The samples over their peak, and the peak: powers of them can then neither overflow nor vanish."""
    x = np.asarray(samples, dtype=np.float64)
    assert x.ndim == 1, "one snapshot is one-dimensional"
    assert x.size > 0, "a snapshot has samples"
    largest = float(np.max(np.abs(x)))
    return (x / largest, largest) if largest > 0.0 else (x, 0.0)
