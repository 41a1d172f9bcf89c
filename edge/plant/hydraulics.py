"""A centrifugal pump against its system: where the curves meet. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hydraulics:
    """A pump with the head curve H = shutoff n^2 - droop Q^2 against a system H = static + k Q^2 (Q in m3/s, H in m).

    ``n`` is speed over the rated one. Without static head this gives the affinity laws Q~n, H~n^2, P~n^3; with it,
    power falls by less and flow ends at a speed well above zero. The defaults are a system of 12 m static and 8 m
    friction at 40 L/s, so k = 5000 s2/m5, met at rated speed.
    """

    static_m: float = 12.0
    k_s2_m5: float = 5000.0
    shutoff_m: float = 26.0
    droop_s2_m5: float = 3750.0
    rated_m3_s: float = 0.04
    rated_kw: float = 10.5

    def flow_m3_s(self, n: float) -> float:
        spare_m = self.shutoff_m * n * n - self.static_m
        return math.sqrt(spare_m / (self.k_s2_m5 + self.droop_s2_m5)) if spare_m > 0.0 else 0.0

    def head_m(self, n: float) -> float:
        return self.shutoff_m * n * n - self.droop_s2_m5 * self.flow_m3_s(n) ** 2

    def power_kw(self, n: float) -> float:
        """Shaft power: 40 percent churns, the rest goes with the flow coefficient Q / n."""
        if n <= 0.0:
            return 0.0
        return self.rated_kw * n**3 * (0.4 + 0.6 * self.flow_m3_s(n) / (self.rated_m3_s * n))
