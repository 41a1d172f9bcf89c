"""What a rule's limit is laid on where it is not the value itself: its rate, or how far it is from where it should be.

Each takes the readings of one tag in turn and gives the figure, or None as long as it cannot be told: then the reading
says nothing. Memory is bounded, and none of them looks at a clock but the readings' own monotonic one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from edge.alarm.baseline import Baseline
from edge.deferred import Deferred

if TYPE_CHECKING:
    import statistics
else:
    statistics = Deferred("statistics")

MINUTE_NS = 60 * 10**9
POINTS = 16
"""So many readings of a window are enough for its slope; each is one of 120 pairs of them."""
POINTS_MIN = 5
"""Of four, one wild reading is in half of all pairs."""
SPAN_MIN = 0.8
"""Before so much of the window was seen there is no rate."""


class Gauge(Protocol):
    def read(self, value: float, mono_ns: int) -> float | None: ...


def measured(gauge: Gauge, value: float, mono_ns: int) -> float | None:
    """The figure, where it is one: an infinity has no rate and no distance, and must neither clear nor teach."""
    figure = gauge.read(value, mono_ns) if math.isfinite(value) else None
    return figure if figure is not None and math.isfinite(figure) else None


class Rate:
    """Change a minute over ``window_ns``, as the median slope of all pairs (Theil and Sen): one wild reading, or a
    quarter of them, does not move it. ``either_way``: how fast, whichever way."""

    def __init__(self, window_ns: int, *, either_way: bool) -> None:
        self._window_ns, self._either_way = window_ns, either_way
        self._points: deque[tuple[int, float]] = deque()
        self._rate: float | None = None

    def read(self, value: float, mono_ns: int) -> float | None:
        points = self._points
        if points and mono_ns - points[-1][0] < self._window_ns // POINTS:
            return self._rate
        points.append((mono_ns, value))
        while mono_ns - points[0][0] > self._window_ns:
            points.popleft()
        known = len(points) >= POINTS_MIN and mono_ns - points[0][0] >= SPAN_MIN * self._window_ns
        self._rate = self._slope() if known else None
        return self._rate

    def _slope(self) -> float:
        points = self._points
        slopes = [
            (later - earlier) / (later_ns - earlier_ns)
            for i, (later_ns, later) in enumerate(points)
            for earlier_ns, earlier in list(points)[:i]
        ]
        rate = statistics.median(slopes) * MINUTE_NS
        return abs(rate) if self._either_way else rate


class FromTag:
    """How far the value is from another tag's; ``other`` gives that where it is known at a monotonic time."""

    def __init__(self, other: Callable[[int], float | None], *, either_way: bool) -> None:
        self._other, self._either_way = other, either_way

    def read(self, value: float, mono_ns: int) -> float | None:
        other = self._other(mono_ns)
        if other is None:
            return None
        return abs(value - other) if self._either_way else value - other


class FromBaseline:
    """How far the value is from its own baseline in the regime that the machine is in: ``speed`` gives its speed."""

    def __init__(self, baseline: Baseline, speed: Callable[[int], float | None] | None, *, either_way: bool) -> None:
        self._baseline, self._speed, self._either_way = baseline, speed, either_way

    def read(self, value: float, mono_ns: int) -> float | None:
        speed = self._speed(mono_ns) if self._speed is not None else 1.0
        usual = self._baseline.usual(value, speed, mono_ns) if speed is not None else None
        if usual is None:
            return None
        return abs(value - usual) if self._either_way else value - usual
