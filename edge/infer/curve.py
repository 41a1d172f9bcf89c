"""The chance that an asset still runs, as a curve over the hours to come, and what it says of the next planned stop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from edge.config.nameplate import PlannedStop
from edge.contract.types import SurvivalPoint
from edge.infer.opinion import Life

SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Of machines that have failed: where the curve has its points."""
_TAIL = 0.05
_AT_CAP = 0.9
"""Share of the cap from where a life is as good as capped: those of healthy machines come to lie a little below it."""
_NS_PER_H = 3_600_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def curve(hours: Sequence[float], shares: Sequence[float]) -> tuple[SurvivalPoint, ...]:
    """The points where ``shares`` (ascending, 0..1) have failed by ``hours``, from 1 now on. It never rises.

    Of hours that fall again the larger counts: the curve is then the better one, and quantiles cross by chance only
    where they are close.
    """
    points = [SurvivalPoint(0.0, 1.0)]
    for at_h, share in zip(hours, shares, strict=True):
        at_h = max(at_h, points[-1].at_h)
        if at_h == points[-1].at_h and len(points) > 1:
            points[-1] = SurvivalPoint(at_h, 1.0 - share)
        else:
            points.append(SurvivalPoint(at_h, 1.0 - share))
    return tuple(points)


def within(life: Life, cap_h: float, levels: Sequence[float], places: Sequence[float]) -> tuple[SurvivalPoint, ...]:
    """The curve of a calibrated ``life``: 5 % have failed by its lower end, 95 % by its upper one, and in between
    ``levels`` at their ``places`` (see ``bundle.Inner``), in the logarithm of hours as lives are predicted.

    Lives from ``cap_h`` on are known as "longer" only: there the curve ends.
    """
    low, middle, high = (math.log1p(h) for h in (life.low_h, life.rul_h, life.high_h))
    hours = [math.expm1(middle + p * ((high - middle) if p > 0.0 else (middle - low))) for p in places]
    shares, ends = (_TAIL, *levels, 1.0 - _TAIL), (life.low_h, *hours, life.high_h)
    known = next((i for i, h in enumerate(ends) if h >= _AT_CAP * cap_h), len(ends))
    # The first that reaches the cap still says how many have failed by there, at the most; the upper end would say all.
    shown = min(known + 1, len(ends) - 1) if known < len(ends) else known
    return curve(ends[:shown], shares[:shown])


def failed_by(points: Sequence[SurvivalPoint], hours: float) -> float | None:
    """The chance of a failure within ``hours``, between points in a straight line.

    Beyond the last point it is that point's, at least, if all but the last few have failed by there; else None: the
    curve ends where nothing more is known.
    """
    if not points:
        return None
    if hours > points[-1].at_h:
        return 1.0 - points[-1].survives if points[-1].survives <= _TAIL + 1e-9 else None
    for before, after in pairwise(points):
        if hours <= after.at_h:
            width = after.at_h - before.at_h
            share = (hours - before.at_h) / width if width > 0.0 else 1.0
            return 1.0 - (before.survives + share * (after.survives - before.survives))
    return 1.0 - points[-1].survives


def stop_in_h(stop: PlannedStop | None, hour_h: float | None, at_ns: int) -> float | None:
    """Hours of the meter to the next planned stop; None where there is none ahead, or the meter must tell and does not.

    To a date the machine is taken to run all the time: hours at rest only make a failure less likely.
    """
    if stop is None:
        return None
    if stop.at is not None:
        since = stop.at - _EPOCH
        left_h = (((since.days * 86_400 + since.seconds) * 10**6 + since.microseconds) * 1000 - at_ns) / _NS_PER_H
        return left_h if left_h > 0.0 else None
    if hour_h is None:
        return None
    if stop.at_h is not None:
        return stop.at_h - hour_h if stop.at_h > hour_h else None
    assert stop.every_h is not None
    return stop.every_h - hour_h % stop.every_h
