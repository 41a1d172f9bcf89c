"""How long, how hard and how hot a machine ran: operating hours, load and temperature, from its polls.

Hours are counted while it runs, from one reading to the next; a gap longer than ``gap_max_s`` counts nothing, since
nobody knows what it did. Load is what it carried while it ran, a standstill is no load of zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge.features.slow import HOUR_NS, SlowSignal
from edge.features.tracker import number

_VERSION = 1
_STEP_H = 4


def _week() -> SlowSignal:
    """A week in steps of four hours: its trend is as plain as by the hour, and the state a quarter."""
    return SlowSignal(step_h=_STEP_H)


@dataclass
class Duty:
    """One asset. ``running`` and ``load`` of a poll may be None where they are not known."""

    gap_max_s: float = 60.0
    operating_h: float = 0.0
    load: SlowSignal = field(default_factory=_week)
    temperature: SlowSignal = field(default_factory=_week)
    _last_ns: int = -1
    _ran: bool = False

    def update(self, at_ns: int, *, running: object, load: object = None, temperature_c: object = None) -> None:
        """Take one poll. ``running`` is a boolean; anything else is not known and counts as standing still."""
        runs = running is True
        if 0 <= self._last_ns < at_ns and self._ran and at_ns - self._last_ns <= self.gap_max_s * 1e9:
            self.operating_h += (at_ns - self._last_ns) / HOUR_NS
        if at_ns > self._last_ns:
            self._last_ns, self._ran = at_ns, runs
        if runs:
            self.load.update(load, at_ns)
        self.temperature.update(temperature_c, at_ns)

    def features(self) -> dict[str, float]:
        """By name, units last; what is not known yet is left out."""
        found = {
            "operating_h": self.operating_h,
            "load_mean": self.load.mean,
            "load_variance": self.load.variance,
            "temperature_mean_c": self.temperature.mean,
            "temperature_peak_c": self.temperature.peak,
            "temperature_slope_c_per_day": self.temperature.slope_per_day,
        }
        return {name: value for name, value in found.items() if value is not None}

    def kept(self) -> dict[str, Any]:
        return {
            "version": _VERSION, "operating_h": self.operating_h, "last_ns": self._last_ns, "ran": self._ran,
            "load": self.load.kept(), "temperature": self.temperature.kept(),
        }  # fmt: skip

    def restore(self, kept: Mapping[str, Any]) -> bool:
        """Continue from ``kept``; False, with nothing changed, where it is damaged or another version's."""
        load, temperature = _week(), _week()
        try:
            hours, last_ns = number(kept["operating_h"]), int(kept["last_ns"])
            fits = kept["version"] == _VERSION and load.restore(kept["load"])
            if not fits or not temperature.restore(kept["temperature"]) or hours is None or not hours >= 0.0:
                return False
            ran = bool(kept["ran"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return False
        self.operating_h, self._last_ns, self._ran = hours, last_ns, ran
        self.load, self.temperature = load, temperature
        return not math.isnan(hours)
