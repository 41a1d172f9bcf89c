"""Limits learned from failures: for each mechanism of the AI4I machine the threshold past which rows failed.

A person who writes rules asks the same four questions: too much strain for this quality, too much power, too little,
too little heat carried off at too low a speed. The answers are searched one mechanism at a time for the best F1 on the
rows learned from, and put half-way to the next row that held. Few failures are enough to place a limit, where boosted
trees need many; nothing is told but which rows failed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ALLOWANCES = np.arange(0.0, 0.31, 0.01)
"""How much more strain each better quality may bear, as a share."""
ROUNDS = 4


@dataclass(frozen=True)
class Limits:
    """A row fails above ``strain`` times (1 + ``allowance`` x quality), outside ``power_w``, or with less than
    ``heat_k`` at less than ``speed_rpm``. Limits that no failure asked for lie beyond all rows."""

    strain: float = np.inf
    allowance: float = 0.0
    power_w: tuple[float, float] = (-np.inf, np.inf)
    heat_k: float = -np.inf
    speed_rpm: float = -np.inf

    def passed(self, features: Array) -> Array:
        """How far each row [rows, ``PHYSICS``] is past a limit of strain, power and heat, [rows, 3]; below 0 within.

        In shares of the limit, so that they compare; a limit that is not there is infinitely far.
        """
        quality, speed, power, heat, strain = features.T
        low, high = self.power_w
        with np.errstate(invalid="ignore"):
            by_strain = strain / (self.strain * (1.0 + self.allowance * quality)) - 1.0
            by_power = np.maximum(power / high - 1.0, 1.0 - power / low if np.isfinite(low) else -1.0)
            by_heat = np.minimum(1.0 - heat / self.heat_k, 1.0 - speed / self.speed_rpm)
        has_heat = np.isfinite(self.heat_k) and np.isfinite(self.speed_rpm)
        return np.column_stack([by_strain, by_power, by_heat if has_heat else np.full(len(heat), -1.0)])

    @property
    def words(self) -> str:
        low, high = self.power_w
        return (
            f"strain above {self.strain:.0f} min Nm (and {100.0 * self.allowance:.0f} % more for each better quality), "
            f"power outside {low:.0f} to {high:.0f} W, less than {self.heat_k:.2f} K below {self.speed_rpm:.0f} rpm"
        )

    def broken(self, features: Array) -> Mask:
        return np.asarray((self.passed(features) > 0.0).any(axis=1))


@dataclass(frozen=True)
class _Cut:
    f1: float
    gap: float
    above: float


def _cut(value: Array, among: Mask, others: Mask, failed: Mask) -> _Cut:
    """Where to call rows ``among`` failed by a high ``value``, given that ``others`` are called already."""
    free = among & ~others
    order = np.argsort(-value[free], kind="stable")
    ranked, hits = value[free][order], np.cumsum(failed[free][order])
    calls = others.sum() + np.arange(len(ranked) + 1)
    f1 = 2.0 * ((others & failed).sum() + np.concatenate([[0], hits])) / np.maximum(calls + failed.sum(), 1)
    # Equal values are called together.
    between = np.concatenate([[True], ranked[:-1] > ranked[1:], [True]])
    best = int(np.argmax(np.where(between, f1, -1.0)))
    if best == 0:
        return _Cut(float(f1[0]), 0.0, np.inf)
    last, following = ranked[best - 1], ranked[min(best, len(ranked) - 1)]
    return _Cut(float(f1[best]), float(last - following), float((last + following) / 2.0))


def learned(features: Array, failed: Mask) -> Limits:
    """The limits of rows [rows, ``PHYSICS``] of which some ``failed``."""
    quality, speed, power, heat, strain = features.T
    every = np.ones(len(failed), dtype=bool)
    calls = dict.fromkeys(("strain", "high", "low", "heat"), ~every)
    limits: dict[str, float] = {}

    def others(name: str) -> Mask:
        return np.asarray(np.any([called for other, called in calls.items() if other != name], axis=0))

    for _ in range(ROUNDS):
        cuts = [(_cut(strain / (1.0 + a * quality), every, others("strain"), failed), a) for a in ALLOWANCES]
        cut, limits["allowance"] = max(cuts, key=lambda found: (found[0].f1, found[0].gap))
        limits["strain"] = cut.above
        calls["strain"] = strain / (1.0 + limits["allowance"] * quality) > cut.above
        for name, sign in (("high", 1.0), ("low", -1.0)):
            limits[name] = _cut(sign * power, every, others(name), failed).above
            calls[name] = sign * power > limits[name]
        cool = [(_cut(-speed, heat <= k, others("heat"), failed), k) for k in np.unique(heat[failed & ~others("heat")])]
        if cool:
            cut, k = max(cool, key=lambda found: (found[0].f1, found[0].gap))
            warmer = heat[heat > k]
            limits["heat"], limits["speed"] = (k + warmer.min()) / 2.0 if warmer.size else k, -cut.above
            calls["heat"] = (heat <= k) & (-speed > cut.above)
    return Limits(
        strain=limits["strain"], allowance=float(limits["allowance"]), power_w=(-limits["low"], limits["high"]),
        heat_k=float(limits.get("heat", -np.inf)), speed_rpm=float(limits.get("speed", -np.inf)),
    )  # fmt: skip
