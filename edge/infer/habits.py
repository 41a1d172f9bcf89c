"""What a machine does at each speed and load by habit: 5.2 mm/s is nothing at full speed, and an alarm at idle.

Without a bundle nobody has modelled how vibration follows speed and load, so each regime learns its own level, one
reading in half a minute. Only what is plain is said: twice the regime's usual level, far outside its scatter, for three
readings on end; back the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edge.contract.types import Reason
from edge.features.regime import Condition, Regimes, Standing
from edge.features.tracker import number
from edge.infer.opinion import Opinion
from edge.infer.sensors.spec import SensorSpec
from edge.infer.words import spoken

_STEP_NS = 30_000_000_000
_STRENGTH, _RATIO = 8.0, 2.0
_AGREE = 3
_UNITS = ("mm/s", "g")
_SPEED_RATIO, _PERCENT = 1.25, 25.0


@dataclass(slots=True)
class _Off:
    """One signal: whether it is said to stand off, since when, and how many readings on end say otherwise."""

    stands: bool = False
    against: int = 0
    since_ns: int = 0
    level: float = 0.0
    usual: float = 0.0
    strength: float = 0.0

    def take(self, standing: Standing, level: float, at_ns: int) -> None:
        off = standing.strength >= _STRENGTH and level >= _RATIO * standing.usual
        if off:
            self.level, self.usual, self.strength = level, standing.usual, standing.strength
        if off == self.stands:
            self.against = 0
            return
        if self.against == 0 and off:
            self.since_ns = at_ns
        self.against += 1
        if self.against >= _AGREE:
            self.stands, self.against = off, 0


class Habits:
    """The vibrations of one asset under its conditions; says nothing where it has no conditions."""

    def __init__(self, spec: SensorSpec) -> None:
        conditions = [
            Condition(tag, width=_PERCENT) if tag.endswith("_percent") else Condition(tag, ratio=_SPEED_RATIO)
            for tag in spec.conditions
        ]
        tags = [s.tag for s in spec.signals if s.tag in spec.early and spoken(s.tag)[1] in _UNITS]
        self._regimes = {tag: Regimes(tag, conditions) for tag in tags} if conditions else {}
        self._off = {tag: _Off() for tag in self._regimes}
        self._mono_ns = -_STEP_NS

    def observe(self, values: Mapping[str, object], read_ns: int, mono_ns: int) -> None:
        """Take one poll's good values, with its wall and monotonic times."""
        if 0 <= mono_ns - self._mono_ns < _STEP_NS:
            return
        self._mono_ns = mono_ns
        for tag, regimes in self._regimes.items():
            standing, level = regimes.update(values), number(values.get(tag))
            if standing is not None and level is not None:
                self._off[tag].take(standing, level, read_ns)

    def completed(self, opinion: Opinion) -> Opinion:
        """With what stands off its habit, as the first reasons."""
        off = {tag: one for tag, one in self._off.items() if one.stands}
        if not off:
            return opinion
        anomaly = max(opinion.anomaly or 0.0, *(one.strength / _STRENGTH for one in off.values()))
        found = tuple(Reason(tag, 1.0, _words(tag, one), since_ns=one.since_ns) for tag, one in off.items())
        others = tuple(reason for reason in opinion.reasons if reason.tag not in off)
        return replace(
            opinion, anomaly=anomaly, anomalous=True, health=100.0 / anomaly, reasons=(*found, *others), departs=True
        )

    def kept(self) -> dict[str, Any]:
        """What a restart needs, as plain JSON data; empty where there is nothing to follow."""
        if not self._regimes or self._mono_ns < 0:
            return {}
        signals = {
            tag: {
                "regimes": self._regimes[tag].kept(),
                "off": [o.stands, o.against, o.since_ns, o.level, o.usual, o.strength],
            }
            for tag, o in self._off.items()
        }
        return {"mono_ns": self._mono_ns, "signals": signals}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Continue; signals of other conditions are learned anew.

        Raises ``KeyError``, ``TypeError`` or ``ValueError`` for what ``kept`` never gave.
        """
        for tag, one in kept["signals"].items():
            if tag in self._regimes and self._regimes[tag].restore(one["regimes"]):
                stands, against, since_ns, level, usual, strength = one["off"]
                self._off[tag] = _Off(bool(stands), int(against), int(since_ns), level, usual, strength)
        self._mono_ns = int(kept["mono_ns"])


def _words(tag: str, off: _Off) -> str:
    name, unit = spoken(tag)
    return f"{name} {off.level:.2g} {unit} at a speed and load where {off.usual:.2g} is usual"
