"""Which signals of an asset have been off for a day or so, however slowly they came there.

What shifts within minutes is told by ``shifts``, whose reference follows; a wear of weeks is followed too. Here each
signal's average over a day is held against how that average has been in every quiet period before, in its standard
deviations, with Student's correction for how few days they rest on. Nothing is said before a day of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.infer.wander import distance_as_rare

Array = NDArray[np.float64]

TAU_S = 24.0 * 3600.0
LIMIT = 2.0
"""Normal deviates that are as rare as a score of 1: low, for the alarm budget raises the limit where it must."""
KEEP = 0.6
_PERIODS_MIN = 24.0
_PERIODS_MAX = 1000.0
_SPREAD_FLOOR = 0.05


class Lasting:
    """``size`` signals, scaled by their noise; ``period_s``: how long a period is."""

    def __init__(self, size: int, period_s: float) -> None:
        self._period_s = period_s
        self._seen_s, self._periods = np.zeros(size), 0.0
        self._average, self._mean, self._variance = np.zeros(size), np.zeros(size), np.zeros(size)
        self._on, self._muted = np.zeros(size), np.zeros(size)
        self.since_ns, self.scores = np.zeros(size), np.zeros(size)
        """By signal, 1.0 is the limit by design."""

    @property
    def score(self) -> float:
        return float(self.scores.max())

    @property
    def standing(self) -> bool:
        return bool((self._on > 0.0).any())

    def deviates(self) -> Array:
        """How far each signal is off, with the sign of its shift, [signals]."""
        return np.asarray(np.copysign(LIMIT * self.scores, self._average - self._mean))

    def step(self, z: Array, elapsed_s: float, limit: float, at_ns: int) -> None:
        """One poll's scaled signals ``z`` [signals], NaN where there is none, ``elapsed_s`` after the one before."""
        given = np.isfinite(z) & (self._muted == 0.0)
        self._seen_s += np.where(given, elapsed_s, 0.0)
        gain = np.where(given, elapsed_s / np.clip(self._seen_s, elapsed_s, TAU_S), 0.0)
        self._average += np.minimum(gain, 1.0) * (np.where(given, z, 0.0) - self._average)
        self.scores = np.where(self._muted > 0.0, 0.0, self._distance())
        self._on = np.where(self.scores > limit * np.where(self._on > 0.0, KEEP, 1.0), 1.0, 0.0)
        self.since_ns = np.where(self._on > 0.0, np.where(self.since_ns == 0.0, float(at_ns), self.since_ns), 0.0)

    def _distance(self) -> Array:
        if self._periods < _PERIODS_MIN:
            return np.zeros_like(self._average)
        days = max(self._periods * self._period_s / (2.0 * TAU_S), 2.0)
        spread = np.maximum(np.sqrt(self._variance), _SPREAD_FLOOR)
        return np.asarray(np.abs(self._average - self._mean) / (spread * distance_as_rare(LIMIT, np.array(days))))

    def end_period(self) -> None:
        """A quiet period has ended: how the averages stand is how they may."""
        self._periods = min(self._periods + 1.0, _PERIODS_MAX)
        off = self._average - self._mean
        self._mean = self._mean + off / self._periods
        self._variance = (1.0 - 1.0 / self._periods) * (self._variance + off * off / self._periods)

    def mute(self, signals: NDArray[np.bool_]) -> None:
        """Say nothing of these ``signals`` [signals]; one that comes back is where it usually is."""
        muted = signals.astype(np.float64)
        self._average = np.where((muted != self._muted) | (muted > 0.0), self._mean, self._average)
        self._muted = muted

    def kept(self) -> dict[str, Any]:
        return {"periods": self._periods, "signals": np.vstack([getattr(self, name) for name in _NAMES]).tolist()}

    def restore(self, kept: dict[str, Any]) -> None:
        """Raises ``ValueError`` and what indexing raises where ``kept`` is something else."""
        rows = np.array(kept["signals"], dtype=np.float64).reshape(len(_NAMES), len(self.scores))
        if not np.isfinite(rows).all():
            raise ValueError("kept by another version")
        self._periods = float(kept["periods"])
        for name, row in zip(_NAMES, rows, strict=True):
            setattr(self, name, row.copy())


_NAMES = ("_seen_s", "_average", "_mean", "_variance", "_on", "_muted", "since_ns", "scores")
