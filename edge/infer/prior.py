"""A life on day one: what physics and a machine's papers say before any model has learned the machine.

It stands in where there is no bundle, or not yet enough evidence for one, and gives way as soon as the evidence is
there. It knows age, not condition: it never makes an alarm. Every machine comes to the end of its interval by growing
old in good health, and a lamp that turned red for that would be ignored when it matters; so its urgency stays UNKNOWN,
and the planner gets the chance of a failure before the next stop instead. Where the machine departs from healthy the
papers no longer describe it, and nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edge.config.nameplate import Service
from edge.contract.bundle import Ages
from edge.contract.types import SurvivalPoint
from edge.features.severity import Boundaries, Zone
from edge.features.tracker import number
from edge.infer.ageing import parts_of, with_fleet
from edge.infer.curve import SHARES, curve, failed_by, stop_in_h
from edge.infer.opinion import BUNDLE, PRIOR, Life, Opinion
from edge.physics.lifetime import Part, remaining_h, survives

_ZONE_TAU_H = 24.0
"""Vibration is averaged over so many running hours before it names a zone."""
_PACE = {Zone.A: 1.0, Zone.B: 1.0, Zone.C: 3.0, Zone.D: 10.0}
_PACE_SPREAD = {Zone.A: 0.0, Zone.B: 0.0, Zone.C: 0.7, Zone.D: 1.1}
"""ISO 20816 calls C not for long-term running and D damaging, and gives no hours: these factors are judgement, and the
interval widens by as much again."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the papers say of the hours to come: 90 % interval, curve, and the words that say what they rest on."""

    life: Life
    survival: tuple[SurvivalPoint, ...]
    words: str


class Prior:
    """Follows a machine's hour meter and zone of severity. What it says is counted in steps of a 500th of a life."""

    def __init__(self, service: Service, hour_meter: str) -> None:
        """Raises ``PhysicsError`` for papers that cannot be."""
        plate = service.nameplate
        self._papers = self._parts = parts_of(plate) if plate is not None else ()
        self._ages: Ages | None = None
        self._hour_meter, self._stop = hour_meter, service.stop
        self._vibration = plate.vibration.tag if plate is not None and plate.vibration is not None else ""
        self._boundaries = Boundaries(*service.zones) if service.zones is not None else None
        self.hour_h: float | None = None
        self._mean_mm_s: float | None = None
        self._said: tuple[tuple[float, Zone | None], Outlook] | None = None
        shortest_h = min((part.law.scale_h for part in self._parts), default=1.0)
        self._step_h = 2.0 ** math.floor(math.log2(shortest_h / 500.0))

    def observe(self, values: Mapping[str, object]) -> None:
        """Take one poll's good values."""
        hour_h = number(values.get(self._hour_meter))
        if hour_h is None or hour_h < 0.0:
            return
        passed_h = max(hour_h - self.hour_h, 0.0) if self.hour_h is not None else 0.0
        self.hour_h = hour_h
        velocity = number(values.get(self._vibration)) if self._vibration else None
        if velocity is None or velocity < 0.0:
            return
        mean = velocity if self._mean_mm_s is None else self._mean_mm_s
        self._mean_mm_s = mean + (velocity - mean) * -math.expm1(-passed_h / _ZONE_TAU_H)

    @property
    def zone(self) -> Zone | None:
        """Where the averaged vibration lies; None where it is not known."""
        if self._boundaries is None or self._mean_mm_s is None:
            return None
        return self._boundaries.zone(self._mean_mm_s)

    @property
    def trouble(self) -> str:
        """Why papers that are there say nothing, in words; empty where they do."""
        if not self._parts:
            return ""
        if self.hour_h is None:
            return "no good reading of the hour meter yet"
        older = [part.name for part in self._parts if part.fitted_at_h > self.hour_h]
        return f"the hour meter reads less than when the {older[0]} was fitted" if older else ""

    def say(self) -> Outlook | None:
        """The life by physics alone; None where no paper names a part, or the hour meter does not tell their age."""
        if not self._parts or self.hour_h is None or self.trouble:
            return None
        key = (math.floor(self.hour_h / self._step_h) * self._step_h, self.zone)
        if self._said is None or self._said[0] != key:
            self._said = (key, self._aged(*key))
        return self._said[1]

    def fails_within(self, hours: float) -> float | None:
        """The chance of a failure within ``hours``; None as for ``say``."""
        if self.say() is None or self.hour_h is None:
            return None
        return 1.0 - survives(self._now(self.hour_h, self.zone), hours)

    def _now(self, hour_h: float, zone: Zone | None) -> list[Part]:
        pace, spread = (_PACE[zone], _PACE_SPREAD[zone]) if zone is not None else (1.0, 0.0)
        return [
            Part(
                replace(part.law, spread=math.hypot(part.law.spread, spread)),
                max(hour_h - part.fitted_at_h, 0.0),
                pace,
            )
            for part in self._parts
        ]

    def _aged(self, hour_h: float, zone: Zone | None) -> Outlook:
        parts = self._now(hour_h, zone)
        hours = [remaining_h(parts, share) for share in SHARES]
        low_h, rul_h, high_h = (_two_digits(h) for h in (hours[0], hours[len(SHARES) // 2], hours[-1]))
        life = Life(rul_h=rul_h, low_h=low_h, high_h=high_h)
        return Outlook(life, curve(hours, SHARES), self._words(life, zone))

    def _words(self, life: Life, zone: Zone | None) -> str:
        rests_on = " and ".join(part.rests_on for part in self._parts)
        unknown = [f"{part.name}: {', '.join(part.unknown)}" for part in self._parts if part.unknown]
        alone = "physics alone" if self._ages is None else "physics and its fleet alone"
        words = f"life by {alone} ({rests_on}), not by its condition"
        words += f"; not known or doubtful: {'; '.join(unknown)}" if unknown else ""
        if zone in (Zone.C, Zone.D):
            words += f"; shortened for vibration in zone {zone}"
        width = life.high_h / life.low_h if life.low_h > 0.0 else math.inf
        return words + (f"; its ends are {width:.0f} fold apart" if math.isfinite(width) else "")

    def completed(self, opinion: Opinion, at_ns: int, ages: Ages | None = None) -> Opinion:
        """``opinion`` with the chance of a failure before the next stop, and a life where it has none of its own.

        ``ages`` are what the fleet has shown of its ageing, where a bundle tells it.
        """
        if ages != self._ages:
            self._ages, self._said = ages, None
            self._parts = with_fleet(self._papers, ages) if ages is not None else self._papers
        stop_h = stop_in_h(self._stop, self.hour_h, at_ns)
        if opinion.life is not None:
            failure_p = failed_by(opinion.survival, stop_h) if stop_h is not None else None
            return replace(opinion, basis=BUNDLE, stop_h=stop_h, failure_p=failure_p)
        if opinion.anomalous or opinion.departs:
            return replace(opinion, stop_h=stop_h)
        outlook = self.say()
        if outlook is None:
            note = f"{opinion.note}; no life by physics: {self.trouble}" if self.trouble else opinion.note
            return replace(opinion, stop_h=stop_h, note=note)
        return replace(
            opinion,
            life=outlook.life,
            survival=outlook.survival,
            basis=PRIOR,
            stop_h=stop_h,
            failure_p=self.fails_within(stop_h) if stop_h is not None else None,
            note=f"{opinion.note}; {outlook.words}",
        )

    def kept(self) -> dict[str, Any]:
        return {"hour": self.hour_h, "mean_mm_s": self._mean_mm_s}

    def restore(self, kept: Mapping[str, Any]) -> None:
        self.hour_h, self._mean_mm_s = kept["hour"], kept["mean_mm_s"]


def _two_digits(hours: float) -> float:
    """More digits than two would promise what a law of ageing cannot keep."""
    return float(f"{hours:.1e}")
