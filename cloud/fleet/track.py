"""What an asset's verdicts foretold, in little: its alarm episodes, and a sample of its intervals, taken as they come.

An **alarm** is a verdict that says WARNING or CRITICAL, or that the asset is anomalous. An **episode** runs from the
first alarm to the last one before ``QUIET_NS`` in which verdicts came and none was an alarm; a verdict without enough
evidence neither begins nor ends one. So a figure that wavers about its limit is one episode.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from edge.contract.types import Urgency, Verdict

QUIET_NS = 24 * 3600 * 10**9
GAP_NS = 2 * 3600 * 10**9
"""A gateway judges each hour at least: after longer nobody did."""
GAPS_MAX = 200
SAMPLES_MAX = 512
EPISODES_MAX = 1000
"""The oldest go first: by then a planner changes what asks for a look so often."""
_BEYOND = "no end within"
"""So begins a note where the upper end stands for "or more"."""


@dataclass(slots=True)
class Episode:
    """``from_ns`` to ``to_ns``, the times of its first and last alarm; ``from_h`` by the hour meter, NaN without one.

    ``worst`` is its highest urgency, ``bundle`` what judged at its beginning. ``is_open`` until it was quiet for long.
    """

    from_ns: int
    to_ns: int
    from_h: float
    worst: Urgency
    bundle: str
    is_open: bool = True


@dataclass(slots=True)
class Samples:
    """At most ``SAMPLES_MAX`` verdicts, about evenly apart in time; figures are NaN where there was none.

    ``high_h`` is infinite where the verdict said "or more".
    """

    at_ns: array[int] = field(default_factory=lambda: array("q"))
    meter_h: array[float] = field(default_factory=lambda: array("d"))
    low_h: array[float] = field(default_factory=lambda: array("d"))
    high_h: array[float] = field(default_factory=lambda: array("d"))
    bundle: array[int] = field(default_factory=lambda: array("H"))
    apart_ns: int = 1

    def add(self, verdict: Verdict, meter_h: float, bundle: int) -> None:
        self._step_back(verdict.at_ns)
        if self.at_ns and verdict.at_ns < self.at_ns[-1] + self.apart_ns:
            return
        has_life = verdict.rul_low_h is not None and verdict.rul_high_h is not None
        self.at_ns.append(verdict.at_ns)
        self.meter_h.append(meter_h)
        self.low_h.append(verdict.rul_low_h if has_life and verdict.rul_low_h is not None else math.nan)
        high_h = verdict.rul_high_h if has_life and verdict.rul_high_h is not None else math.nan
        self.high_h.append(math.inf if has_life and _BEYOND in verdict.note else high_h)
        self.bundle.append(bundle)
        if len(self.at_ns) >= SAMPLES_MAX:
            self._thin()

    def _step_back(self, at_ns: int) -> None:
        """Forget what a clock that was ahead had stamped, once it is set back by more than the samples are apart."""
        while self.at_ns and self.at_ns[-1] - self.apart_ns > at_ns:
            for name in _COLUMNS:
                getattr(self, name).pop()

    def _thin(self) -> None:
        """Every second one goes, and what follows comes twice as far apart."""
        for name in _COLUMNS:
            setattr(self, name, getattr(self, name)[::2])
        self.apart_ns = max(2 * self.apart_ns, (self.at_ns[-1] - self.at_ns[0]) // len(self.at_ns))

    def between(self, from_ns: int, to_ns: int) -> range:
        """Which were made after ``from_ns``, up to ``to_ns``."""
        return range(bisect_right(self.at_ns, from_ns), bisect_right(self.at_ns, to_ns))

    def meter_at(self, at_ns: int) -> float:
        """The hour meter at a time, between the two nearest samples; NaN where it is not known."""
        place = bisect_left(self.at_ns, at_ns)
        if place == len(self.at_ns):
            return self.meter_h[-1] if place else math.nan
        if place == 0 or self.at_ns[place] == at_ns:
            return self.meter_h[place]
        share = (at_ns - self.at_ns[place - 1]) / (self.at_ns[place] - self.at_ns[place - 1])
        return self.meter_h[place - 1] + share * (self.meter_h[place] - self.meter_h[place - 1])


_COLUMNS = ("at_ns", "meter_h", "low_h", "high_h", "bundle")


@dataclass(slots=True)
class Track:
    """Of one asset, from every verdict that came, in the order in which they were made; a few kilobytes."""

    episodes: list[Episode] = field(default_factory=list)
    samples: Samples = field(default_factory=Samples)
    bundles: list[str] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Spans without a verdict, from the last one before to the first one after, the newest last."""
    verdicts: int = 0
    last_ns: int = 0
    last_h: float = math.nan

    def take(self, verdict: Verdict, meter_h: float) -> None:
        """The next verdict, and what the hour meter then showed (NaN where it is not known)."""
        self.verdicts += 1
        if self.last_ns and verdict.at_ns - self.last_ns > GAP_NS:
            self.gaps.append((self.last_ns, verdict.at_ns))
            del self.gaps[:-GAPS_MAX]
        self.last_ns, self.last_h = max(self.last_ns, verdict.at_ns), meter_h
        if verdict.bundle not in self.bundles:
            if len(self.bundles) == 2**16:
                return
            self.bundles.append(verdict.bundle)
        self.samples.add(verdict, meter_h, self.bundles.index(verdict.bundle))
        self._episode(verdict, meter_h)

    def _episode(self, verdict: Verdict, meter_h: float) -> None:
        now = self.episodes[-1] if self.episodes and self.episodes[-1].is_open else None
        if now is not None and verdict.at_ns - now.to_ns > QUIET_NS and _is_evidence(verdict):
            now.is_open, now = False, None
        if not is_alarm(verdict):
            return
        if now is None:
            at_ns = verdict.at_ns
            self.episodes.append(Episode(at_ns, at_ns, meter_h, verdict.urgency, verdict.bundle))
            del self.episodes[:-EPISODES_MAX]
            return
        now.to_ns = max(now.to_ns, verdict.at_ns)
        now.worst = max(now.worst, verdict.urgency, key=lambda urgency: urgency.rank)


def is_alarm(verdict: Verdict) -> bool:
    return verdict.anomalous or verdict.urgency in (Urgency.WARNING, Urgency.CRITICAL)


def _is_evidence(verdict: Verdict) -> bool:
    return verdict.anomaly is not None or verdict.rul_h is not None
