"""From one row's answer to a verdict that people can act on: life and alarm states that do not flap.

Bad news is believed within hours, good news within a day: a lamp that goes from red to amber and back teaches people to
ignore it. All times are hours of the machine's own meter, so that a verdict asked for twice does not count twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.contract.types import URGENCY_CRITICAL_BELOW_H, URGENCY_WARNING_BELOW_H, urgency_of
from edge.infer.opinion import Life

_WORSE_TAU_H, _BETTER_TAU_H = 3.0, 8.0
_IMPROVED_BY, _IMPROVED_FOR_H = 1.25, 24.0
_STILL_ANOMALOUS = 1.4
"""An anomalous asset must show twice the improvement for twice the time."""
_AT_CAP = 0.9
"""From this share of the cap on a life's upper end says "longer" only: no end is in sight."""
_ABSENT = -1.0


@dataclass
class SettledLife:
    """Smooths the three numbers of ``Life``, which also run down by themselves as hours pass.

    The lower end crosses a limit of urgency upwards only once the answer has stood a quarter above the limit for a day
    of operation, or at 2.5 times it for two days where the asset is still anomalous.

    Hours that nobody watched are no evidence: they neither draw it to an answer nor make an improvement last. Yet they
    passed, so a life whose end is in sight runs down by them; of one known as "longer" only there is nothing to run.
    """

    hour: float = _ABSENT
    rul_h: float = 0.0
    low_h: float = 0.0
    high_h: float = 0.0
    better_since: float = _ABSENT

    def settle(
        self, answer: Life, hour: float, *, cap_h: float, anomalous: bool, unseen_h: float = 0.0
    ) -> Life:  # fmt: skip
        """``unseen_h`` of the hours since the last answer passed in gaps."""
        if self.hour == _ABSENT:
            self.hour, self.rul_h, self.low_h, self.high_h = hour, answer.rul_h, answer.low_h, answer.high_h
            return answer
        passed_h = max(hour - self.hour, 0.0)
        seen_h = max(passed_h - unseen_h, 0.0)
        self.hour = hour
        if self.better_since != _ABSENT:
            self.better_since += unseen_h
        run_h = seen_h if self.high_h >= _AT_CAP * cap_h else passed_h
        low_h = _toward(self.low_h, answer.low_h, run_h, seen_h)
        self.low_h = self._held(low_h, answer.low_h, hour, anomalous=anomalous)
        self.rul_h = max(_toward(self.rul_h, answer.rul_h, run_h, seen_h), self.low_h)
        self.high_h = min(max(_toward(self.high_h, answer.high_h, run_h, seen_h), self.rul_h), cap_h)
        return Life(self.rul_h, self.low_h, self.high_h)

    def _held(self, low_h: float, answer_h: float, hour: float, *, anomalous: bool) -> float:
        limits = (URGENCY_CRITICAL_BELOW_H, URGENCY_WARNING_BELOW_H)
        limit = next((limit for limit in limits if self.low_h < limit), math.inf)
        doubt = _STILL_ANOMALOUS if anomalous else 1.0
        if answer_h < limit * _IMPROVED_BY * doubt:
            self.better_since = _ABSENT
        elif self.better_since == _ABSENT:
            self.better_since = hour
        improved = self.better_since != _ABSENT and hour - self.better_since >= _IMPROVED_FOR_H * doubt
        if improved or urgency_of(low_h).rank >= urgency_of(self.low_h).rank:
            return low_h
        return math.nextafter(limit, 0.0)


def _toward(before: float, answer: float, run_h: float, seen_h: float) -> float:
    """``before`` less ``run_h``, drawn toward ``answer`` for ``seen_h``, in the logarithm: quickly down, slowly up."""
    now = max(before - run_h, 0.0)
    tau_h = _WORSE_TAU_H if answer < now else _BETTER_TAU_H
    step = (math.log1p(answer) - math.log1p(now)) * -math.expm1(-seen_h / tau_h)
    return math.expm1(math.log1p(now) + step)


@dataclass
class SettledHealth:
    """Health that falls within hours and recovers within a day; 0 to 100."""

    hour: float = _ABSENT
    health: float = 100.0

    def settle(self, answer: float, hour: float) -> float:
        dt_h = max(hour - self.hour, 0.0) if self.hour != _ABSENT else math.inf
        self.hour = hour
        tau_h = _WORSE_TAU_H if answer < self.health else _BETTER_TAU_H
        self.health += (answer - self.health) * -math.expm1(-dt_h / tau_h)
        return self.health


@dataclass
class SettledAnomaly:
    """Anomalous once the score stood above 1 for ``raise_after``, normal again once it stood below 0.8 for
    ``clear_after``, in whatever unit the positions passed in are (hours, or polls)."""

    raise_after: float
    clear_after: float
    since: float = _ABSENT
    anomalous: bool = False

    def settle(self, score: float, position: float) -> bool:
        towards_change = score < 0.8 if self.anomalous else score > 1.0
        if not towards_change:
            self.since = _ABSENT
            return self.anomalous
        if self.since == _ABSENT or position < self.since:
            self.since = position
        if position - self.since >= (self.clear_after if self.anomalous else self.raise_after):
            self.anomalous, self.since = not self.anomalous, _ABSENT
        return self.anomalous
