"""What lives say that have not all ended: estimates under right censoring and left truncation.

A machine that was replaced while healthy, or still runs, lived *at least* so long (right-censored): it is neither a
failure nor to be left out. One that is older than its data was seen only because it lived to be seen (left-truncated):
it counts as at risk from its entry on. A planned replacement in view of wear competes with failure; where it must be
told apart, ``cumulative_incidence`` does.

Sources: Kaplan & Meier 1958; Greenwood's variance; Aalen & Johansen 1978; Meeker & Escobar, Statistical Methods for
Reliability Data (1998), for Weibull fits. What the statistics do not allow is refused in words (``TooFewError``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_LOG_SHAPE_RANGE = (math.log(0.02), math.log(100.0))


class TooFewError(ValueError):
    """There are too few failures, or too like each other, for what was asked; says how many and what would help."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"not enough evidence: {problem}")


@dataclass(frozen=True)
class Histories:
    """One row a machine (or a part of one): hours of its meter at entry and end, and whether it ended by failure."""

    entry_h: Array
    end_h: Array
    failed: NDArray[np.bool_]

    @staticmethod
    def of(end_h: ArrayLike, failed: ArrayLike, entry_h: ArrayLike | None = None) -> Histories:
        """Raises ``TooFewError`` for none at all, ``ValueError`` for hours that cannot be."""
        end, how = np.atleast_1d(np.asarray(end_h, dtype=float)), np.atleast_1d(np.asarray(failed, dtype=bool))
        entry = np.zeros(end.size) if entry_h is None else np.atleast_1d(np.asarray(entry_h, dtype=float))
        if end.size == 0:
            raise TooFewError("the history is empty")
        if not end.shape == how.shape == entry.shape:
            raise ValueError("a history wants an end, an entry and a cause for each machine")
        if not (np.isfinite(end).all() and np.isfinite(entry).all() and (entry >= 0.0).all() and (end > entry).all()):
            raise ValueError("hours must be finite, entries 0 or more, and every end after its entry")
        return Histories(entry, end, how)

    @property
    def failures(self) -> int:
        return int(self.failed.sum())

    def at_risk(self, at_h: Array) -> NDArray[np.int64]:
        """How many were watched just before each of ``at_h``."""
        entered = np.searchsorted(np.sort(self.entry_h), at_h, side="left")
        gone = np.searchsorted(np.sort(self.end_h), at_h, side="left")
        return entered - gone


@dataclass(frozen=True)
class Curve:
    """A step function that falls at ``at_h`` to ``survives``; ``deviation`` is Greenwood's standard error."""

    at_h: Array
    survives: Array
    at_risk: NDArray[np.int64]
    deviation: Array

    def __call__(self, hours: ArrayLike, *, before: bool = False) -> Array:
        """The share that survives to ``hours``; with ``before``, to just before."""
        side = "left" if before else "right"
        steps = np.searchsorted(self.at_h, np.asarray(hours, dtype=float), side=side)  # type: ignore[call-overload]
        return np.asarray(np.concatenate([[1.0], self.survives])[steps])


def kaplan_meier(histories: Histories) -> Curve:
    """The product-limit estimate, given survival to the least entry. Raises ``TooFewError`` without a failure."""
    if histories.failures == 0:
        raise TooFewError(f"none of {histories.end_h.size} machines has failed: all that is known is that they last")
    at, count = np.unique(histories.end_h[histories.failed], return_counts=True)
    risk = histories.at_risk(at)
    survives: Array = np.cumprod(1.0 - count / risk).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(count / (risk * (risk - count)))
        deviation = np.where(survives > 0.0, survives * np.sqrt(greenwood), 0.0)
    return Curve(at, survives, risk, deviation)


def censoring_curve(histories: Histories) -> Curve:
    """The chance of *not* having been taken out while healthy: Kaplan-Meier with ends and failures exchanged.

    Failures at the same hour go first, as is usual. Without censoring it stays at 1.
    """
    cut = ~histories.failed
    if not cut.any():
        return Curve(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64), np.zeros(0))
    at, count = np.unique(histories.end_h[cut], return_counts=True)
    failures = np.sort(histories.end_h[histories.failed])
    tied = np.searchsorted(failures, at, side="right") - np.searchsorted(failures, at, side="left")
    risk = histories.at_risk(at) - tied
    return Curve(at, np.cumprod(1.0 - count / risk).astype(np.float64), risk, np.zeros(at.size))


def cumulative_incidence(histories: Histories, cause: Sequence[str]) -> dict[str, Curve]:
    """By each named ``cause`` [machines] of ending ("" where it still runs): how many have ended so by when.

    Aalen-Johansen; the incidences of all causes and the share that still runs sum to 1, which one less Kaplan-Meier of
    each cause alone would not. Of each curve ``survives`` is one less the incidence.
    """
    causes = np.asarray(cause)
    ended = causes != ""
    if not ended.any():
        raise TooFewError(f"none of {causes.size} machines has ended")
    at = np.unique(histories.end_h[ended])
    risk = histories.at_risk(at)
    by = {
        str(name): np.array([np.sum((histories.end_h == t) & (causes == name)) for t in at])
        for name in np.unique(causes[ended])
    }
    before = np.concatenate([[1.0], np.cumprod(1.0 - np.sum(list(by.values()), axis=0) / risk)[:-1]])
    return {
        name: Curve(at, 1.0 - np.cumsum(before * count / risk), risk, np.zeros(at.size)) for name, count in by.items()
    }


def exponential_mean_h(histories: Histories) -> float:
    """Mean life at a constant rate: hours watched over failures. Raises ``TooFewError`` without a failure."""
    if histories.failures == 0:
        raise TooFewError("no failure yet: the rate has no estimate, only a limit")
    return float((histories.end_h - histories.entry_h).sum() / histories.failures)


@dataclass(frozen=True)
class Weibull:
    """S(t) = exp(-(t / scale)^shape). ``covariance`` [2, 2] is that of (log scale, log shape)."""

    shape: float
    scale_h: float
    failures: int
    covariance: Array

    def survives(self, hours: ArrayLike) -> Array:
        return np.asarray(np.exp(-((np.asarray(hours, dtype=float) / self.scale_h) ** self.shape)))

    def quantile_h(self, share: ArrayLike, survived_h: ArrayLike = 0.0) -> Array:
        """The hours by which ``share`` of those have failed that lived to ``survived_h``."""
        spent = (np.asarray(survived_h, dtype=float) / self.scale_h) ** self.shape
        return np.asarray(self.scale_h * (spent - np.log1p(-np.asarray(share, dtype=float))) ** (1.0 / self.shape))

    def scale_interval_h(self, level: float = 0.9) -> tuple[float, float]:
        return self._interval(self.scale_h, float(self.covariance[0, 0]), level)

    def shape_interval(self, level: float = 0.9) -> tuple[float, float]:
        """Both ends equal the shape where it was given and not estimated."""
        return self._interval(self.shape, float(self.covariance[1, 1]), level)

    @staticmethod
    def _interval(value: float, variance: float, level: float) -> tuple[float, float]:
        """Normal in the logarithm: a life and a shape are positive."""
        times = math.exp(NormalDist().inv_cdf((1.0 + level) / 2.0) * math.sqrt(variance))
        return value / times, value * times


def weibull_mle(histories: Histories, *, shape: float | None = None) -> Weibull:
    """Maximum likelihood under right censoring and left truncation; with ``shape`` given, of the scale alone.

    The scale has a closed form for each shape, so that one safe Newton search over the shape is left. Raises
    ``TooFewError``: without a failure, with one only (give a ``shape`` then), or where all failed at one age.
    """
    failures = histories.failures
    if failures == 0:
        raise TooFewError(f"none of {histories.end_h.size} machines has failed")
    if shape is None:
        if failures == 1:
            raise TooFewError("one failure only: a scale can be told for a known shape, not both")
        if np.ptp(histories.end_h[histories.failed]) == 0.0:
            raise TooFewError("all failed at one age: their scatter cannot be told")
    unit = float(np.exp(np.log(histories.end_h).mean()))
    end, entry = histories.end_h / unit, histories.entry_h / unit
    found = shape if shape is not None else math.exp(_log_shape(end, entry, histories.failed))
    scale = float((np.sum(end**found - entry**found) / failures) ** (1.0 / found))
    covariance = _covariance(end / scale, entry / scale, histories.failed, found, known=shape is not None)
    return Weibull(found, scale * unit, failures, covariance)


def _log_shape(end: Array, entry: Array, failed: NDArray[np.bool_]) -> float:
    """The root of the profile score in log shape: Newton's steps while they stay in the bracket, else halving."""
    low, high = _LOG_SHAPE_RANGE
    if _profile(low, end, entry, failed)[0] <= 0.0 or _profile(high, end, entry, failed)[0] >= 0.0:
        raise TooFewError("the ages at failure leave the shape of their scatter open")
    at = 0.0
    for _ in range(200):
        score, slope = _profile(at, end, entry, failed)
        low, high = (at, high) if score > 0.0 else (low, at)
        step = at - score / slope if slope < 0.0 else math.inf
        step = step if low < step < high else (low + high) / 2.0
        if abs(step - at) < 1e-12:
            break
        at = step
    return at


def _profile(log_shape: float, end: Array, entry: Array, failed: NDArray[np.bool_]) -> tuple[float, float]:
    """The profile likelihood's derivative by log shape, and its own derivative by a small step of log shape."""

    def score(x: float) -> float:
        k = math.exp(x)
        # Powers are taken relative to the oldest, so that none of them overflows.
        log_end, log_entry = np.log(end), np.log(np.where(entry > 0.0, entry, 1.0))
        most = log_end.max()
        ends = np.exp(k * (log_end - most))
        entries = np.where(entry > 0.0, np.exp(k * (log_entry - most)), 0.0)
        weighted = float(np.sum(ends * log_end - entries * log_entry) / np.sum(ends - entries))
        return float(1.0 + k * (log_end[failed].mean() - weighted))

    step = 1e-5
    return score(log_shape), (score(log_shape + step) - score(log_shape - step)) / (2.0 * step)


def _covariance(end: Array, entry: Array, failed: NDArray[np.bool_], shape: float, *, known: bool) -> Array:
    """Inverse of the observed information in (log scale, log shape); ages are over the scale."""

    def cumulated(x: Array, power: int) -> Array:
        """x^k (log x)^power, 0 at 0."""
        logs = np.log(np.where(x > 0.0, x, 1.0))
        return np.where(x > 0.0, np.exp(shape * logs) * logs**power, 0.0)

    failures = float(failed.sum())
    zero, one, two = (float(np.sum(cumulated(end, p) - cumulated(entry, p))) for p in (0, 1, 2))
    scale_scale = shape**2 * zero
    if known:
        return np.array([[1.0 / scale_scale, 0.0], [0.0, 0.0]])
    logs = float(np.log(end[failed]).sum())
    # With u = log shape: l = d u + (k - 1) sum log x - sum x^k, less what is constant.
    shape_shape = -(shape * logs - shape * one - shape**2 * two)
    scale_shape = shape * (failures - zero) - shape**2 * one
    return np.asarray(np.linalg.inv(np.array([[scale_scale, scale_shape], [scale_shape, shape_shape]])))
