"""Statistics of one waveform snapshot: a one-dimensional array of samples in any unit.

A constant or silent snapshot has no shape: crest factor, kurtosis and skewness are then 0, never NaN. An empty array is
a programmer's error. Non-finite samples are the caller's to remove.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.floating]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shape:
    """All statistics of one snapshot, each as its function below gives it."""

    rms: float
    peak: float
    crest_factor: float
    kurtosis: float
    skewness: float


def shape(samples: Samples) -> Shape:
    """Everything at once, for what little more than the dearest of them costs alone."""
    x, largest = _scaled(samples)
    square = x * x
    level = largest * math.sqrt(float(square.mean()))
    third, fourth = _standardised_moments(x, square)
    return Shape(
        rms=level,
        peak=largest,
        crest_factor=largest / level if level > 0.0 else 0.0,
        kurtosis=fourth,
        skewness=third,
    )


def rms(samples: Samples) -> float:
    """Root mean square about zero, in the samples' unit. A sine of amplitude A gives A / √2."""
    x, largest = _scaled(samples)
    return largest * math.sqrt(float(np.mean(x * x)))


def peak(samples: Samples) -> float:
    """Largest absolute value, in the samples' unit."""
    return _scaled(samples)[1]


def crest_factor(samples: Samples) -> float:
    """Peak over RMS, no unit: √2 for a sine. Impacts of a spalled bearing raise it early; wear-out lowers it again."""
    return shape(samples).crest_factor


def kurtosis(samples: Samples) -> float:
    """Fourth standardised moment by Pearson's definition, no unit: 3 for Gaussian noise, 1.5 for a sine.

    It falls again late in a bearing's life, when strikes overlap: no limit on it alone tells wear.
    """
    return shape(samples).kurtosis


def skewness(samples: Samples) -> float:
    """Third standardised moment, no unit: 0 for anything symmetric."""
    return shape(samples).skewness


def _standardised_moments(deviation: Numbers, square: Numbers) -> tuple[float, float]:
    """Third and fourth, of numbers that are used up, as is ``square``, a place to work in.

    Sums are numpy's own, not BLAS', whose last bits follow the processor.
    """
    deviation -= deviation.mean()
    np.multiply(deviation, deviation, out=square)
    variance = float(square.mean())
    # Below this the deviations are rounding of the mean, not signal.
    if variance <= (16.0 * np.finfo(np.float64).eps) ** 2:
        return 0.0, 0.0
    deviation *= square
    square *= square
    return float(deviation.mean()) / variance**1.5, float(square.mean()) / variance**2


def _scaled(samples: Samples) -> tuple[Numbers, float]:
    """The samples over their peak, a new array, and the peak: powers of them can then neither overflow nor vanish."""
    x = np.array(samples, dtype=np.float64)
    assert x.ndim == 1, "one snapshot is one-dimensional"
    assert x.size > 0, "a snapshot has samples"
    largest = max(float(x.max()), -float(x.min()))
    if largest > 0.0:
        x /= largest
    return x, max(largest, 0.0)
