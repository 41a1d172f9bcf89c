"""How a healthy signal moves by itself, learned from few readings that depend on each other.

A temperature that wanders for hours and a flow that holds its level need different yardsticks: the same distance is
nothing for the one and a leak for the other. Three numbers tell them apart: the growth of the structure function
D(h) = mean (x[t+h] - x[t])^2, which is flat where a level holds and rises as h^slope where it wanders; the wander
itself, against what noise alone would give; and how many independent looks a stretch of readings is worth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_TINY = 1e-12
_LAGS = 5
_WANDER_LAG = 80


def smoothed(rows: Array, tau: float) -> Array:
    """Exponential averages of ``rows`` [polls, columns] with a time constant of ``tau`` polls."""
    means = np.empty_like(rows)
    mean = rows[0].copy()
    for i, row in enumerate(rows):
        mean = mean + (row - mean) / tau
        means[i] = mean
    return means


def noise(rows: Array) -> Array:
    """Standard deviation from one value to the next, [columns]: what a level that wanders slowly does not add to.

    Values that repeat the one before are left out: a signal that is read at a pace of its own is held between.
    """
    steps = np.diff(rows, axis=0)
    moved = np.maximum((steps != 0.0).sum(axis=0), 1)
    return np.asarray(np.sqrt((steps**2).sum(axis=0) / moved / 2.0))


def slope(levels: Array, shortest: int) -> Array:
    """The exponent with which the structure function grows, 0 (holds) to 2 (a trend), [columns].

    By least squares in the logarithm, over lags from ``shortest`` polls to four tenths of ``levels`` [polls, columns].
    """
    longest = max(int(0.4 * len(levels)), shortest + 1)
    lags = np.unique(np.round(np.geomspace(shortest, longest, _LAGS)).astype(int))
    squares = np.array([np.mean((levels[lag:] - levels[:-lag]) ** 2, axis=0) for lag in lags]) + _TINY
    x = np.log(lags) - np.log(lags).mean()
    y = np.log(squares) - np.log(squares).mean(axis=0)
    return np.asarray(np.clip((x[:, None] * y).sum(axis=0) / (x * x).sum(), 0.0, 2.0))


def wander(levels: Array, of_noise: Array) -> Array:
    """Root of the structure function at 80 polls over what noise alone would give, [columns]: about 1 where none is.

    ``of_noise`` [columns] is the standard deviation that noise leaves in ``levels``.
    """
    lag = min(_WANDER_LAG, len(levels) // 4)
    return np.asarray(np.sqrt(np.mean((levels[lag:] - levels[:-lag]) ** 2, axis=0) / 2.0) / of_noise)


def looks(errors: Array) -> Array:
    """How many independent values ``errors`` [polls, columns] are worth, 1 or more, [columns].

    Their number over the integrated autocorrelation time, summed until the correlation falls below 0.05.
    """
    count = len(errors)
    centred = errors - errors.mean(axis=0)
    variance = (centred**2).mean(axis=0) + _TINY
    time = np.ones(errors.shape[1])
    open_ = np.ones(errors.shape[1], dtype=bool)
    for lag in range(1, count // 2):
        correlation = (centred[lag:] * centred[:-lag]).mean(axis=0) / variance
        open_ &= correlation >= 0.05
        if not open_.any():
            break
        time = time + np.where(open_, 2.0 * correlation, 0.0)
    return np.maximum(count / time, 1.0)


def distance_as_rare(deviate: Array | float, freedom: Array) -> Array:
    """How many standard deviations, known from ``freedom`` independent looks, are as rare as a normal ``deviate``.

    Student's distribution by Wallace's approximation (1959), inverted. A spread that is known from few looks is known
    badly: 3.5 deviates are 3.5 standard deviations of a well-known spread, and 7 of one that is known from six looks.
    """
    stretched = np.asarray(deviate) * (8.0 * freedom + 3.0) / (8.0 * freedom + 1.0)
    return np.asarray(np.sqrt(freedom * np.expm1(stretched * stretched / freedom)))
