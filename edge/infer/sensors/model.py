"""What each sensor should say, learned from the healthy asset, and how far off each is on average.

A signal's residual is the signal, logarithmic where ratios count and above ambient where it is a temperature, less what
the conditions explain (``edge.features.baseline``). Residuals are averaged over blocks of hours, because what a block
leaves over is nearly independent of the next, and over some days. ``Covariance`` of such an average, with what the
learned mean itself leaves uncertain, says what is far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.features.baseline import Baseline, fit
from edge.features.tracker import number
from edge.infer.sensors.spec import SensorSpec

Array = NDArray[np.float64]

GIVEN_MIN = 0.7
"""A signal that is missing in more of the learned rows is not followed."""
_SHRINK = 0.1
_MEMORY_MAX = 6.0
_FLOOR = 1e-3
"""Averages of ratios are not believed to less than a thousandth, nor others to less than that share of their level."""
_SEASON_C = 2.0
"""The air around a machine moves by so much from week to week: what was learned in one week does not hold it."""


@dataclass(frozen=True)
class Model:
    """``signals``, ``conditions`` and ``balances`` are positions in the spec's; residuals follow signals, balances.

    ``sd`` [residuals] is that of a block's mean, ``memory`` [residuals] how many blocks count as one independent one,
    ``correlation`` [residuals, residuals] that of residuals, ``signature`` [residuals, sensors] what a shift of
    each sensor (ratios for logarithmic signals, else in its own unit) does to each residual.
    """

    signals: tuple[int, ...]
    conditions: tuple[int, ...]
    balances: tuple[int, ...]
    baseline: Baseline
    sd: Array
    memory: Array
    correlation: Array
    signature: Array
    blocks: int

    def covariance(self, averaged_blocks: float, conditions: Array) -> Array:
        """Of an average that is worth so many blocks, under ``conditions`` on average: [residuals, residuals].

        The further they are from those of the learned rows, the less is known of what they do to the signals.
        Correlated conditions count as independent: a sensor of theirs that drifts leaves their relation, and must be
        found.
        """
        off = (conditions - self.baseline.centre) / self.baseline.scale
        learned = (1.0 + float(off @ off)) / self.blocks
        variance = self.sd**2 * self.memory * (1.0 / averaged_blocks + learned)
        sd = np.sqrt(variance + self._floor**2)
        return np.asarray(self.correlation * np.outer(sd, sd), dtype=np.float64)

    @property
    def _floor(self) -> Array:
        levels = np.abs(self.baseline.coefficients[0])
        return np.asarray(_FLOOR * np.maximum(np.minimum(levels, 1.0), 0.1))


def row_of(spec: SensorSpec, values: Mapping[str, object]) -> Array:
    """One poll as numbers [signals + balances + conditions]; NaN where a reading is missing or impossible."""
    signals = [s.of(values) for s in spec.signals]
    balances = [_balance(b.terms, values) for b in spec.balances]
    conditions = [number(values.get(tag)) for tag in spec.conditions]
    return np.array([np.nan if x is None else x for x in (*signals, *balances, *conditions)])


def _balance(terms: Mapping[str, float], values: Mapping[str, object]) -> float | None:
    total = 0.0
    for term, factor in terms.items():
        for tag in term.split(" * "):
            value = number(values.get(tag))
            if value is None:
                return None
            factor *= value
        total += factor
    return total


def learn(spec: SensorSpec, rows: Array, levels: Mapping[str, float], block: int) -> Model | None:
    """The model of ``rows`` [rows, signals + balances + conditions], where ``block`` rows make a block.

    ``levels`` are the sensors' mean readings. None where nothing can be followed: no signal that was there and moved.
    """
    n, b = len(spec.signals), len(spec.balances)
    given = np.mean(np.isfinite(rows), axis=0) >= GIVEN_MIN
    moves = np.array([np.ptp(c[np.isfinite(c)]) > 0.0 if np.isfinite(c).any() else False for c in rows.T])
    conditions = tuple(i for i in range(len(spec.conditions)) if given[n + b + i] and moves[n + b + i])
    under = [n + b + i for i in conditions]
    whole = np.isfinite(rows[:, under]).all(axis=1)
    followed = [i for i in range(n + b) if given[i] and moves[i] and np.sum(whole & np.isfinite(rows[:, i])) > block]
    if not followed or whole.sum() < 4 * block:
        return None
    rows = rows[whole]
    fits = [fit(rows[np.isfinite(rows[:, i])][:, [i]], rows[np.isfinite(rows[:, i])][:, under]) for i in followed]
    shared = fit(rows[:, [under[0]]] if under else np.zeros((len(rows), 1)), rows[:, under])
    baseline = Baseline(
        np.column_stack([_rescaled(one, shared) for one in fits]), np.concatenate([f.spread for f in fits]),
        shared.centre, shared.scale, shared.low, shared.high,
    )  # fmt: skip
    residuals = np.array([row[followed] - baseline.expected(row[under]) for row in rows])
    sd, memory = _scatter(residuals, block)
    signals = tuple(i for i in followed if i < n)
    balances = tuple(i - n for i in followed if i >= n)
    for column, i in enumerate(signals):
        if spec.signals[i].tag == spec.ambient:
            sd[column] = np.hypot(sd[column], _SEASON_C * np.sqrt(len(rows) / block) / 2.0)
    return Model(
        signals, conditions, balances, baseline, sd, memory, _correlation(residuals),
        _signature(spec, signals, conditions, balances, baseline, levels), max(len(rows) // block, 2),
    )  # fmt: skip


def _rescaled(one: Baseline, shared: Baseline) -> Array:
    """Coefficients of ``one`` (fitted where its signal was given) under the centre and scale of ``shared``."""
    slopes = one.coefficients[1:, 0] * shared.scale / one.scale
    constant = one.coefficients[0, 0] + ((shared.centre - one.centre) / one.scale) @ one.coefficients[1:, 0]
    return np.concatenate([[constant], slopes])


def _scatter(residuals: Array, block: int) -> tuple[Array, Array]:
    blocks = len(residuals) // block
    return scatter(np.array([_mean(residuals[i * block : (i + 1) * block]) for i in range(blocks)]))


def scatter(means: Array, lags: int = 3, memory_max: float = _MEMORY_MAX) -> tuple[Array, Array]:
    """Robust standard deviation of block ``means`` [blocks, n], and their memory: 1 + 2 x first autocorrelations."""
    centred = means - np.nanmedian(means, axis=0)
    sd = np.maximum(1.4826 * np.nanmedian(np.abs(centred), axis=0), np.sqrt(np.nanmean(centred**2, axis=0)) * 0.8)
    z = np.nan_to_num(np.clip(centred / np.maximum(sd, 1e-12), -4.0, 4.0))
    power = np.maximum(np.mean(z * z, axis=0), 1e-12)
    products = [np.sum(z[lag:] * z[:-lag], axis=0) / len(z) / power for lag in range(1, lags + 1)]
    memory = 1.0 + 2.0 * np.sum(np.maximum(products, 0.0), axis=0)
    return np.maximum(sd, 1e-9), np.clip(memory, 1.0, memory_max)


def _mean(rows: Array) -> Array:
    count = np.isfinite(rows).sum(axis=0)
    return np.where(count > 0, np.nansum(rows, axis=0) / np.maximum(count, 1), np.nan)


def _correlation(residuals: Array) -> Array:
    """Of residuals without their wild values, drawn a little to none, so that it can be inverted."""
    sd = np.maximum(1.4826 * np.nanmedian(np.abs(residuals - np.nanmedian(residuals, axis=0)), axis=0), 1e-12)
    z = np.nan_to_num(np.clip((residuals - np.nanmedian(residuals, axis=0)) / sd, -3.0, 3.0))
    found = (z.T @ z) / len(z)
    scale = np.sqrt(np.maximum(np.diag(found), 1e-9))
    return np.asarray((1.0 - _SHRINK) * found / np.outer(scale, scale) + _SHRINK * np.eye(len(scale)))


def _signature(
    spec: SensorSpec, signals: tuple[int, ...], conditions: tuple[int, ...], balances: tuple[int, ...],
    baseline: Baseline, levels: Mapping[str, float],
) -> Array:  # fmt: skip
    """What one unit of shift of each sensor of ``spec.tags`` does to each residual."""
    sensors = spec.tags
    found = np.zeros((len(signals) + len(balances), len(sensors)))
    for row, i in enumerate(signals):
        signal = spec.signals[i]
        found[row, i] = 1.0
        if signal.minus in sensors:
            found[row, sensors.index(signal.minus)] -= 1.0
    for row, i in enumerate(balances, len(signals)):
        for j, tag in enumerate(sensors):
            is_log = j < len(spec.signals) and spec.signals[j].log
            found[row, j] = _slope(spec.balances[i].terms, tag, levels) * (levels.get(tag, 0.0) if is_log else 1.0)
    for k, i in enumerate(conditions):
        found[:, len(spec.signals) + i] -= baseline.coefficients[1 + k] / baseline.scale[k]
    return found


def _slope(terms: Mapping[str, float], tag: str, levels: Mapping[str, float]) -> float:
    """Partial derivative of the balance with respect to ``tag``, at the mean levels."""
    total = 0.0
    for term, factor in terms.items():
        tags = term.split(" * ")
        if tag in tags:
            others = [levels.get(t, 0.0) for i, t in enumerate(tags) if i != tags.index(tag)]
            total += factor * tags.count(tag) * float(np.prod(others))
    return total


def is_outside(model: Model, conditions: Array) -> bool:
    """Whether the asset runs as it never did while learning, so that its residuals say nothing."""
    return bool(((conditions < model.baseline.low) | (conditions > model.baseline.high)).any())
