"""Hours of machine time that nobody watched: they widen the interval that is shown, and are no evidence of wear.

A judge that was off for a day knows neither what the machine did nor how fast it wears now: until averages have
forgotten the gap, what it says is less sure. That is told; no alarm is made of it.
"""

from __future__ import annotations

import math

_LONG_H = 12.0


class Gaps:
    """Of steps longer than ``pace_max_h`` what is beyond it was not watched; ``tau_h``: how slowly that is forgotten,
    the time constant of the longest average. Hours are those of the asset's own meter."""

    def __init__(self, pace_max_h: float, tau_h: float) -> None:
        self._pace_max_h, self._tau_h = pace_max_h, tau_h
        self._new_h = self._lately_h = 0.0

    def step(self, passed_h: float) -> None:
        """Readings came ``passed_h`` after the ones before."""
        unseen_h = max(passed_h - self._pace_max_h, 0.0)
        self._new_h += unseen_h
        self._lately_h = self._lately_h * math.exp(-max(passed_h, 0.0) / self._tau_h) + unseen_h

    def taken(self) -> float:
        """Hours not watched since this was asked last."""
        new_h, self._new_h = self._new_h, 0.0
        return new_h

    def words(self, pace_h: float) -> str:
        """Why the interval is widened, at a mean of ``pace_h`` between readings now; empty where it is not."""
        if pace_h > self._pace_max_h:
            why = f"polled every {pace_h:.1f} h of machine time, trained up to {self._pace_max_h:.1f} h"
        elif self._lately_h > _LONG_H:
            why = f"not watched for more than {_LONG_H:.0f} h of its last days of machine time"
        else:
            return ""
        return f"{why}: interval widened, but not for the urgency"

    def kept(self) -> list[float]:
        """Empty where there were no gaps."""
        return [self._new_h, self._lately_h] if self._lately_h else []

    def restore(self, kept: list[float]) -> None:
        self._new_h, self._lately_h = (float(hours) for hours in kept or (0.0, 0.0))
