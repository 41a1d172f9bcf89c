"""A tag's own baseline, learned once while its machine is taken for healthy: what criterion II of ISO 20816 wants.

Speeds are cut into regimes, each a quarter faster than the last, and each learns its own median, of readings a minute
apart over an hour; then it is left as it is, or wear would teach itself to be normal. A standing machine teaches none.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edge.deferred import Deferred

if TYPE_CHECKING:
    import statistics
else:
    statistics = Deferred("statistics")

APART_NS = 60 * 10**9
LEARNED_OF = 60
REGIMES_MAX = 16
RATIO = 1.25


class Baseline:
    """``usual`` takes each reading; ``kept`` and ``restore`` carry what is learned over a restart."""

    def __init__(self) -> None:
        self._seen: dict[int, list[float]] = {}
        self._usual: dict[int, float] = {}
        self._due_ns: dict[int, int] = {}

    def usual(self, value: float, speed: float, mono_ns: int) -> float | None:
        """The baseline at this ``speed``; None while that is being learned, and where the machine stands."""
        if not speed > 0.0 or not math.isfinite(speed):
            return None
        regime = math.floor(math.log(speed) / math.log(RATIO))
        if regime in self._usual:
            return self._usual[regime]
        if mono_ns >= self._due_ns.get(regime, mono_ns):
            self._learn(regime, value, mono_ns)
        return None

    def _learn(self, regime: int, value: float, mono_ns: int) -> None:
        if regime not in self._seen and len(self._seen) + len(self._usual) >= REGIMES_MAX:
            return
        seen = self._seen.setdefault(regime, [])
        seen.append(value)
        self._due_ns[regime] = mono_ns + APART_NS
        if len(seen) == LEARNED_OF:
            self._usual[regime] = statistics.median(seen)
            del self._seen[regime], self._due_ns[regime]

    def kept(self) -> dict[str, Any]:
        return {
            "usual": {str(k): v for k, v in self._usual.items()},
            "seen": {str(k): v for k, v in self._seen.items()},
        }

    def restore(self, kept: Any) -> None:
        """Continue from ``kept``; what is damaged in it is learned anew."""
        try:
            usual = {int(k): float(v) for k, v in kept["usual"].items()}
            seen = {int(k): [float(x) for x in v][: LEARNED_OF - 1] for k, v in kept["seen"].items()}
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            return
        numbers = [*usual.values(), *(x for values in seen.values() for x in values)]
        if len(usual) + len(seen) <= REGIMES_MAX and all(map(math.isfinite, numbers)):
            self._usual, self._seen, self._due_ns = usual, seen, {}
