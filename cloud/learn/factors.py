"""Fitting a factor model of wear to histories of many assets, without labels.

Operating regimes are clusters of the settings (k-means). Wear is slow and noise is fast: factors start as the principal
components of the smoothed sensors, each scaled by its signal to noise, and are then refined by turns, as in the EM
algorithm of a factor analysis: sensors are regressed on the factors in each regime, and the factors estimated from all
sensors and regimes over a time window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from edge.features.factors import FactorModel

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_TURNS = 6
_SMOOTH = 8.0
"""Time constant of the two-sided window, in rows."""
_APART = 0.01
"""Clusters are regimes where they leave less than this share of the settings' scatter."""
_FLAT = 1e-6
"""A sensor whose sd is a smaller share of its level than this is a constant."""
_NOISE_MIN = 0.05
_CLIP = 5.0


@dataclass(frozen=True)
class _Rows:
    """Standardised readings [rows, sensors], the regime of each row, and the rows of each asset, in order."""

    z: Array
    regime: Index
    assets: list[Index]
    regimes: int


def fit_factors(
    readings: Array, settings: Array, assets: Index, *, factors: int, regimes: int = 6, seed: int = 0, **features: Any
) -> FactorModel:
    """The model of ``readings`` [rows, sensors] under ``settings`` [rows, settings]; rows of each of ``assets`` [rows]
    are in order of time. Sensors and settings are finite. ``features`` goes to ``FactorModel``: taus, start."""
    scale = np.maximum(settings.std(axis=0), 1e-9)
    centres, regime = _regimes(settings, scale, regimes, seed)
    k, d = len(centres), readings.shape[1]
    level, spread = np.zeros((k, d)), np.full((k, d), np.inf)
    for r in range(k):
        rows = readings[regime == r]
        level[r], sd = rows.mean(axis=0), rows.std(axis=0)
        spread[r] = np.where(sd > _FLAT * np.abs(level[r]) + 1e-12, sd, np.inf)
    z = np.clip((readings - level[regime]) / spread[regime], -_CLIP, _CLIP)
    data = _Rows(z, regime, [np.flatnonzero(assets == a) for a in np.unique(assets)], k)
    wear = _principal(data, factors)
    for _ in range(_TURNS):
        offset, gains, noise = _regress(data, wear)
        wear = _estimate(data, offset, gains, noise)
    offset, gains, noise = _regress(data, wear)
    seen = np.where(np.isfinite(spread), spread, 0.0)
    return FactorModel(
        centres=centres,
        scale=scale,
        level=level + seen * offset,
        gains=seen[..., None] * gains,
        # A constant has no gain, so that its noise does not matter.
        noise=np.where(np.isfinite(spread), noise * seen, 1.0),
        spread=np.where(np.isfinite(spread), spread, 1.0),
        **features,
    )


def _regimes(settings: Array, scale: Array, regimes: int, seed: int) -> tuple[Array, Index]:
    scaled = settings / scale
    whole = float(((scaled - scaled.mean(axis=0)) ** 2).sum())
    if regimes > 1 and len(np.unique(scaled, axis=0)) >= regimes:
        found = KMeans(n_clusters=regimes, n_init=5, random_state=seed).fit(scaled)
        if found.inertia_ < _APART * whole:
            return np.asarray(found.cluster_centers_ * scale), np.asarray(found.labels_, dtype=np.int64)
    return settings.mean(axis=0, keepdims=True), np.zeros(len(settings), dtype=np.int64)


def _principal(data: _Rows, factors: int) -> Array:
    smooth = np.empty_like(data.z)
    for rows in data.assets:
        smooth[rows] = _window(data.z[rows]) / _window(np.ones((len(rows), 1)))
    smooth -= smooth.mean(axis=0)
    ratio = smooth.std(axis=0) / np.maximum((data.z - smooth).std(axis=0), _NOISE_MIN)
    left, _, _ = np.linalg.svd(smooth * ratio, full_matrices=False)
    return np.asarray(left[:, :factors] * np.sqrt(len(smooth)))


def _regress(data: _Rows, wear: Array) -> tuple[Array, Array, Array]:
    """Offset [regimes, sensors], gains [regimes, sensors, factors] and noise of standardised readings."""
    k, d, q = data.regimes, data.z.shape[1], wear.shape[1]
    offset, gains, noise = np.zeros((k, d)), np.zeros((k, d, q)), np.ones((k, d))
    for r in range(k):
        rows = data.regime == r
        design = np.column_stack([np.ones(rows.sum()), wear[rows]])
        found = np.linalg.solve(design.T @ design + 1e-3 * np.eye(q + 1), design.T @ data.z[rows])
        offset[r], gains[r] = found[0], found[1:].T
        noise[r] = np.maximum((data.z[rows] - design @ found).std(axis=0), _NOISE_MIN)
    return offset, gains, noise


def _estimate(data: _Rows, offset: Array, gains: Array, noise: Array) -> Array:
    """The factors [rows, factors] over the window, made uncorrelated and of unit variance over all rows."""
    weighted = gains / (noise**2)[..., None]
    matrix = np.einsum("rdq,rdp->rqp", weighted, gains)[data.regime]
    vector = np.einsum("idq,id->iq", weighted[data.regime], data.z - offset[data.regime])
    q = gains.shape[2]
    wear = np.empty((len(vector), q))
    for rows in data.assets:
        information = _window(matrix[rows].reshape(len(rows), -1)).reshape(-1, q, q) + 0.1 * np.eye(q)
        wear[rows] = np.linalg.solve(information, _window(vector[rows])[..., None])[..., 0]
    wear -= wear.mean(axis=0)
    values, vectors = np.linalg.eigh(wear.T @ wear / len(wear))
    return np.asarray(wear @ vectors / np.sqrt(np.maximum(values, 1e-12)))


def _window(rows: Array) -> Array:
    """Sums over both sides of each row, exponentially forgotten."""
    both = np.zeros_like(rows)
    for order in (slice(None), slice(None, None, -1)):
        total = np.zeros(rows.shape[1])
        out = np.empty_like(rows)
        for i, row in enumerate(rows[order]):
            total = total * _FORGET + row
            out[i] = total
        both += out[order]
    return both - rows


_FORGET = float(np.exp(-1.0 / _SMOOTH))
