"""Geometry of the small drawings that the server renders as SVG: no script, no style attribute, sharp at any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cloud.fleet.record import AssetRecord
from edge.contract.types import URGENCY_CRITICAL_BELOW_H, URGENCY_WARNING_BELOW_H, SurvivalPoint, Verdict

ZONE = 100.0
LIFE_END_H = 672.0
"""Four weeks: what is beyond looks the same to a planner."""


@dataclass(frozen=True, slots=True)
class LifeBar:
    """Where the interval and the estimate lie on a bar of three equal zones, 0 to 300."""

    low: float
    width: float
    estimate: float


def life_bar(verdict: Verdict | None) -> LifeBar | None:
    """None without an interval."""
    if verdict is None or verdict.rul_h is None or verdict.rul_low_h is None or verdict.rul_high_h is None:
        return None
    low, high = sorted((life_x(verdict.rul_low_h), life_x(verdict.rul_high_h)))
    return LifeBar(low=low, width=max(high - low, 2.0), estimate=life_x(verdict.rul_h))


def life_x(rul_h: float) -> float:
    """Hours on the bar: CRITICAL, WARNING and NORMAL are a third each, so that the last two days are the widest."""
    first, second = URGENCY_CRITICAL_BELOW_H, URGENCY_WARNING_BELOW_H
    if rul_h < first:
        return round(max(rul_h, 0.0) / first * ZONE, 2)
    if rul_h < second:
        return round(ZONE + (rul_h - first) / (second - first) * ZONE, 2)
    return round(2 * ZONE + min((rul_h - second) / (LIFE_END_H - second), 1.0) * ZONE, 2)


def curve(healths: Sequence[float], *, width: float = 120.0, height: float = 32.0) -> str:
    """Points of a polyline from 100 at the top to 0 at the bottom, empty for fewer than two."""
    if len(healths) < 2:
        return ""
    step = width / (len(healths) - 1)
    inner = height - 4
    return " ".join(
        f"{i * step:.1f},{2 + inner * (1 - min(max(h, 0.0), 100.0) / 100):.1f}" for i, h in enumerate(healths)
    )


_STOPS_SHOWN = 4.0


@dataclass(frozen=True, slots=True)
class SurvivalLine:
    """A verdict's survival curve from 1 at the top, on 300 by 48: ``last`` survive to ``end_h``, where the line ends at
    ``end_x``; ``stop_x`` is the planned stop, None where there is none within."""

    points: str
    end_x: float
    end_h: float
    last: float
    stop_x: float | None


def survival_line(verdict: Verdict | None, *, width: float = 300.0, height: float = 48.0) -> SurvivalLine | None:
    """None without a curve. Around a planned stop the axis shows the nearer future, else all that the curve tells."""
    if verdict is None or len(verdict.survival) < 2:
        return None
    points: Sequence[SurvivalPoint] = verdict.survival
    stop_h = verdict.stop_h
    if stop_h is not None and stop_h > 0.0:
        points = _until(points, _STOPS_SHOWN * stop_h)
    end_h = points[-1].at_h
    shown_h = max(end_h, stop_h if stop_h is not None and stop_h < 2.0 * end_h else 0.0)
    if not 0.0 < shown_h < math.inf:
        return None

    def x(hours: float) -> float:
        return round(hours / shown_h * width, 1)

    line = " ".join(f"{x(p.at_h)},{1 + (height - 2) * (1.0 - p.survives):.1f}" for p in points)
    stop_x = x(stop_h) if stop_h is not None and 0.0 <= stop_h <= shown_h else None
    return SurvivalLine(line, x(end_h), end_h, points[-1].survives, stop_x)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something on the line of time, ``x`` to ``x + width`` of 1000: what it is, and in words."""

    x: float
    width: float
    what: str
    words: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """From the first verdict, or the first thing told, until now; ``marks`` in the order in which to draw them."""

    from_ns: int
    to_ns: int
    marks: tuple[Mark, ...]


TIMELINE = 1000.0


def timeline(record: AssetRecord) -> Timeline | None:
    """Gaps in what was judged, breaks of the chain, alarms, and what people told; None where there is nothing."""
    told = [outcome.at_ns for outcome in record.outcomes]
    from_ns = min([record.first_ns or record.now_ns, *told])
    to_ns = max([record.now_ns, *told])
    if to_ns <= from_ns:
        return None

    def mark(first_ns: int, last_ns: int, what: str, words: str, *, least: float = 3.0) -> Mark:
        x = (first_ns - from_ns) / (to_ns - from_ns) * TIMELINE
        width = max((last_ns - first_ns) / (to_ns - from_ns) * TIMELINE, least)
        return Mark(round(min(max(x, 0.0), TIMELINE - least), 1), round(width, 1), what, words)

    marks = [mark(*gap, "gap", "nobody judged") for gap in record.gaps]
    for episode in record.episodes:
        end_ns = record.now_ns if episode.is_open else episode.to_ns
        what = "anomalous" if episode.worst.rank < 2 else str(episode.worst)
        marks.append(mark(episode.from_ns, end_ns, what, f"alarm: {what}"))
    for chain in record.chains:
        marks += [
            mark(one.at_ns, one.at_ns, "declared" if one.is_declared else "broken", one.words, least=2.0)
            for one in chain.breaks
        ]
    marks += [
        mark(one.at_ns, one.at_ns, str(one.kind) if one.state.counts else "rejected", str(one.kind), least=0.0)
        for one in record.outcomes
    ]
    return Timeline(from_ns, to_ns, tuple(marks))


def _until(points: Sequence[SurvivalPoint], end_h: float) -> Sequence[SurvivalPoint]:
    """The curve up to ``end_h``, where it is cut on the line between its points."""
    for i, (before, after) in enumerate(pairwise(points), 1):
        if after.at_h > end_h:
            share = (end_h - before.at_h) / (after.at_h - before.at_h)
            cut = before.survives + share * (after.survives - before.survives)
            return [*points[:i], SurvivalPoint(end_h, cut)]
    return points
