"""Zones of vibration severity and what a change means, by the method of ISO 20816; the numbers come from data.

Two criteria: how high the velocity is (zones A, newly commissioned, to D, damaging), and how far it has moved from its
own baseline: more than a quarter of the B/C boundary is significant even where the zone is still good.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_SIGNIFICANT = 0.25
_LIMIT_MARGIN = 1.25


class Zone(StrEnum):
    A = "A"
    B = "B"
    C = "C"
    D = "D"


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Velocity RMS in mm/s that ends each zone. A value on a boundary is still in the better zone: limits are passed,
    not reached, as in an asset class's rules."""

    ab_mm_s: float
    bc_mm_s: float
    cd_mm_s: float

    def __post_init__(self) -> None:
        if not 0.0 < self.ab_mm_s < self.bc_mm_s < self.cd_mm_s:
            raise ValueError(f"boundaries that do not rise: {self}")

    def zone(self, velocity_mm_s: float) -> Zone:
        if velocity_mm_s <= self.ab_mm_s:
            return Zone.A
        if velocity_mm_s <= self.bc_mm_s:
            return Zone.B
        return Zone.C if velocity_mm_s <= self.cd_mm_s else Zone.D

    def is_significant(self, velocity_mm_s: float, baseline_mm_s: float) -> bool:
        """Criterion II: moved by more than a quarter of B/C from its baseline, up or down, whatever the zone."""
        return abs(velocity_mm_s - baseline_mm_s) > self.significant_mm_s

    @property
    def significant_mm_s(self) -> float:
        """A quarter of B/C: what a change must exceed to be significant."""
        return _SIGNIFICANT * self.bc_mm_s

    def warning_mm_s(self, baseline_mm_s: float) -> float:
        """Baseline and a quarter of B/C, at most 1.25 B/C."""
        return min(baseline_mm_s + self.significant_mm_s, _LIMIT_MARGIN * self.bc_mm_s)

    @property
    def trip_max_mm_s(self) -> float:
        """A trip limit is no higher than this."""
        return _LIMIT_MARGIN * self.cd_mm_s
