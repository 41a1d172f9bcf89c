"""How lives scatter about what a law says, and how sure the law itself is.

A life is Weibull: S(t) = exp(-(t / scale)^shape). The scale is known no better than what it was computed from: its
logarithm is normal with ``spread``. Whoever has outlived much of it is likely to be of the longer-lived: the chances
among those that have survived so far say so by themselves (Bayes). Pure and in plain floats, so that gateway and cloud
get the same to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.physics.estimate import positive

_STEP, _REACH = 0.25, 4.0
_Z = [i * _STEP for i in range(-int(_REACH / _STEP), int(_REACH / _STEP) + 1)]
_SUM = sum(math.exp(-z * z / 2.0) for z in _Z)
_NORMAL = [(z, math.exp(-z * z / 2.0) / _SUM) for z in _Z]
"""The normal distribution on a grid: for a smooth integrand the trapezoid rule is exact to many digits."""
_HALVINGS = 50


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Lives of one kind of part; ``spread`` is the standard deviation of the logarithm of ``scale_h``."""

    shape: float
    scale_h: float
    spread: float

    def __post_init__(self) -> None:
        positive(shape=self.shape, scale_h=self.scale_h)
        assert 0.0 <= self.spread < math.inf

    @staticmethod
    def of_quantile(shape: float, share: float, hours: float, spread: float) -> Lifetime:
        """The law by whose middle scale ``share`` have failed at ``hours``: 0.1 for an L10 life, 0.5 for a median."""
        return Lifetime(shape, hours / (-math.log1p(-share)) ** (1.0 / shape), spread)

    def survives(self, hours: float) -> float:
        """The chance of living to ``hours``, from new."""
        if hours <= 0.0:
            return 1.0
        log_age = math.log(hours) - math.log(self.scale_h)
        return sum(w * math.exp(-math.exp(min(self.shape * (log_age - self.spread * z), 700.0))) for z, w in _NORMAL)

    def drawn_together(self, log_scale: float, spread: float, *, apart: float) -> Lifetime:
        """Shrunk toward what a fleet of the like showed, each weighing by its precision.

        ``log_scale`` and ``spread`` are the fleet's; ``apart`` is how far the scales of single machines of one fleet
        lie from its own, as a standard deviation of the logarithm.
        """
        fleet, own = spread**2 + apart**2, self.spread**2
        if own == 0.0:
            return self
        share = own / (own + fleet)
        middle = (1.0 - share) * math.log(self.scale_h) + share * log_scale
        return Lifetime(self.shape, math.exp(middle), math.sqrt(share * fleet))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a machine that has run ``age_h``; its hours to come count ``pace`` fold (above 1 it ages faster)."""

    law: Lifetime
    age_h: float
    pace: float = 1.0


def survives(parts: Sequence[Part], hours: float) -> float:
    """The chance that none of ``parts`` fails within ``hours`` from now, given that all of them run now.

    Parts fail independently of each other. Never rises with ``hours``; 1 at 0.
    """
    chance = 1.0
    for part in parts:
        now = part.law.survives(part.age_h)
        # Beyond all lives of the law nothing is left to divide by: it ends at once.
        chance *= min(1.0, part.law.survives(part.age_h + hours * part.pace) / now) if now > 1e-300 else 0.0
    return chance


def remaining_h(parts: Sequence[Part], share: float) -> float:
    """The hours from now within which ``share`` (0..1, exclusive) of such machines have failed."""
    low = min(part.law.scale_h for part in parts) * 1e-6
    if survives(parts, low) <= 1.0 - share:
        return 0.0
    high = 2.0 * low
    while survives(parts, high) > 1.0 - share:
        low, high = high, 2.0 * high
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if survives(parts, middle) > 1.0 - share else (low, middle)
    return low
