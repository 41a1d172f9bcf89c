"""What a slow signal did in the last days, step by step: mean, spread, peak and slope from a bounded state.

Each step, an hour or some, weighs the same however often it was read, so that a faster poll or a gap does not bend the
trend. It survives readings that are no numbers (skipped), gaps (steps that are missing are missing), late readings
(they go to their own step) and a signal that no longer moves: what it was stands, its slope is not given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.features.tracker import number

HOUR_NS = 3_600_000_000_000
WEEK_H = 168
_SLOPE_HOURS_MIN, _SLOPE_SPAN_MIN_H = 24, 72
_STUCK_H = 24.0
_VERSION = 1


class SlowSignal:
    """One signal over the last ``hours``, in steps of ``step_h``. ``update`` takes a reading; ``kept`` and ``restore``
    continue bit-equal."""

    def __init__(self, hours: int = WEEK_H, *, step_h: int = 1) -> None:
        assert step_h > 0
        assert hours % step_h == 0
        self._step_h, self._steps = step_h, hours // step_h
        self._newest = -1
        self._of = np.full(self._steps, -1, dtype=np.int64)
        self._count = np.zeros(self._steps)
        self._sum = np.zeros(self._steps)
        self._squares = np.zeros(self._steps)
        self._peak = np.full(self._steps, -math.inf)
        self._last = math.nan
        self._moved_ns = self._last_ns = -1

    def update(self, value: object, at_ns: int) -> None:
        """Take one reading; what is no finite number, or older than the window, changes nothing."""
        x, step = number(value), at_ns // (HOUR_NS * self._step_h)
        if x is None or at_ns < 0 or step <= self._newest - self._steps:
            return
        slot = step % self._steps
        if self._of[slot] != step:
            self._of[slot], self._count[slot], self._sum[slot], self._squares[slot] = step, 0.0, 0.0, 0.0
            self._peak[slot] = -math.inf
        self._newest = max(self._newest, step)
        self._count[slot] += 1.0
        self._sum[slot] += x
        self._squares[slot] += x * x
        self._peak[slot] = max(self._peak[slot], x)
        if at_ns > self._last_ns:
            if x != self._last:
                self._moved_ns = at_ns
            self._last, self._last_ns = x, at_ns

    def _given(self) -> NDArray[np.intp]:
        """Slots with readings of the window, oldest first."""
        there = np.flatnonzero((self._count > 0.0) & (self._of > self._newest - self._steps))
        return there[np.argsort(self._of[there])]

    @property
    def covered(self) -> float:
        """Share (0..1) of the window's steps that have a reading."""
        return len(self._given()) / self._steps

    @property
    def unchanged_h(self) -> float:
        """For how long every reading has been the same, in hours."""
        return max(0, self._last_ns - self._moved_ns) / HOUR_NS

    @property
    def mean(self) -> float | None:
        """Mean of the steps' means; None before the first reading."""
        there = self._given()
        return float(np.mean(self._sum[there] / self._count[there])) if len(there) else None

    @property
    def variance(self) -> float | None:
        """Of all readings about the mean, steps weighing the same: within steps and between them."""
        there = self._given()
        if not len(there):
            return None
        means = self._sum[there] / self._count[there]
        within = np.maximum(self._squares[there] / self._count[there] - means * means, 0.0)
        return float(np.mean(within) + np.mean((means - means.mean()) ** 2))

    @property
    def peak(self) -> float | None:
        there = self._given()
        return float(self._peak[there].max()) if len(there) else None

    @property
    def slope_per_day(self) -> float | None:
        """Least squares through the steps' means, in the signal's unit a day.

        None with fewer than 24 hours of readings or less than three days between first and last, and where the signal
        has not moved for a day: a stuck sensor has no trend.
        """
        there = self._given()
        at = self._of[there] * float(self._step_h)
        if (
            len(there) * self._step_h < _SLOPE_HOURS_MIN
            or at[-1] - at[0] < _SLOPE_SPAN_MIN_H
            or self.unchanged_h >= _STUCK_H
        ):
            return None
        means = self._sum[there] / self._count[there]
        at -= at.mean()
        return 24.0 * float(np.sum(at * (means - means.mean())) / np.sum(at * at))

    def kept(self) -> dict[str, Any]:
        """What a restart needs, as plain JSON data; some 70 bytes a step."""
        there = self._given()
        return {
            "version": _VERSION, "steps": [self._steps, self._step_h], "newest": self._newest,
            "moved_ns": self._moved_ns, "last_ns": self._last_ns,
            "last": None if math.isnan(self._last) else self._last,
            "rows": [
                [int(self._of[i]), float(self._count[i]), float(self._sum[i]), float(self._squares[i]),
                 float(self._peak[i])] for i in there
            ],
        }  # fmt: skip

    def restore(self, kept: Mapping[str, Any]) -> bool:
        """Continue from ``kept``; False, with nothing changed, where it is another window's or damaged."""
        fresh = SlowSignal(self._steps * self._step_h, step_h=self._step_h)
        try:
            fits = kept["version"] == _VERSION and kept["steps"] == [self._steps, self._step_h]
            if not fits or len(kept["rows"]) > self._steps:
                return False
            for step, count, total, squares, peak in kept["rows"]:
                row = [float(x) for x in (count, total, squares, peak)]
                if not all(map(math.isfinite, row)) or row[0] < 1.0:
                    return False
                slot = int(step) % self._steps
                fresh._of[slot] = int(step)
                fresh._count[slot], fresh._sum[slot], fresh._squares[slot], fresh._peak[slot] = row
            fresh._newest, fresh._moved_ns = int(kept["newest"]), int(kept["moved_ns"])
            fresh._last_ns = int(kept["last_ns"])
            fresh._last = math.nan if kept["last"] is None else float(kept["last"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return False
        self.__dict__.update(fresh.__dict__)
        return True
