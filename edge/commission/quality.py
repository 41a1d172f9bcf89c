"""How good a signal is, from 0 to 100, with what it lost points for: what may be hoped of it later, told at the start.

A few reads tell what is missing, frozen, coarse or too slow; how much a sensor scatters takes some dozens. The points
are ours, set so that below 60 a signal can be shown but not judged by, and below 75 not predicted from.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from edge.commission.findings import Grade, Mark
from edge.contract.types import Value

JUDGE_BY, PREDICT_FROM = 60, 75
NEED_S = {
    "vibration": 10.0,
    "power": 10.0,
    "load": 10.0,
    "speed": 10.0,
    "flow": 30.0,
    "pressure": 30.0,
    "temperature": 60.0,
}
"""How often a signal is wanted at least, by kind: several times within what it can change in."""
OTHER_NEED_S = 60.0
UNMEASURED = frozenset({"counter", "hours", "state", "setpoint"})
_SCATTER_READS = 10


def grade(
    point: Any, reads: Sequence[Value], mark: Mark, *, period_s: float, checked_by: Sequence[str] = ()
) -> Grade | None:  # fmt: skip
    """``reads`` are a point's values, None where one failed; ``checked_by`` are sensors that measure the same.

    None for what is counted or switched, and for text: there is no sensor to be good or bad.
    """
    numbers = [float(v) for v in reads if isinstance(v, int | float) and not isinstance(v, bool)]
    if point.kind in UNMEASURED or (not numbers and any(v is not None for v in reads)):
        return None
    lost = [
        *_missing(reads), *_doubtful(mark), *_slow(point.kind, period_s), *_frozen(numbers), *_coarse(point, numbers),
        *_scattered(numbers),
    ]  # fmt: skip
    if not checked_by:
        lost.append((5, "no redundant sensor"))
    reasons = [words for points, words in sorted(lost, key=lambda one: -one[0]) if points]
    if len(numbers) < _SCATTER_READS:
        reasons.append(f"scatter unknown after {len(numbers)} reads")
    return Grade(max(0, 100 - sum(points for points, _ in lost)), tuple(reasons))


Lost = Iterator[tuple[int, str]]


def _missing(reads: Sequence[Value]) -> Lost:
    bad = sum(value is None for value in reads)
    if bad == len(reads):
        yield 100, "no value at all"
    elif bad:
        yield min(60, math.ceil(200 * bad / len(reads))), f"{bad} of {len(reads)} reads gave no value"


def _doubtful(mark: Mark) -> Lost:
    if mark == "suspicious":
        yield 40, "its value is suspicious"


def _slow(kind: str, period_s: float) -> Lost:
    need_s = NEED_S.get(kind, OTHER_NEED_S)
    if period_s > need_s:
        points = min(40, round(10 * math.log2(period_s / need_s)) + 5)
        yield points, f"read every {period_s:g} s, wanted every {need_s:g} s"


def _frozen(numbers: Sequence[float]) -> Lost:
    if len(numbers) >= 5 and len(set(numbers)) == 1:
        points = 10 if len(numbers) < 2 * _SCATTER_READS else 30
        yield points, f"the same value in all {len(numbers)} reads"


def _coarse(point: Any, numbers: Sequence[float]) -> Lost:
    level = statistics.median(abs(x) for x in numbers) if numbers else 0.0
    step = _step(point, numbers)
    if level > 0.0 and step / level > 0.01:
        yield (
            min(40, round(10 * math.log2(step / level / 0.01)) + 5),
            f"in steps of {100 * step / level:.1f} % of itself",
        )


def _step(point: Any, numbers: Sequence[float]) -> float:
    """Of a whole-number register its scale, else what all differences that were seen are multiples of; 0 for none."""
    if "int" in str(getattr(point, "type", "")):
        return abs(float(point.scale))
    seen = sorted(set(numbers))
    steps = [b - a for a, b in pairwise(seen)]
    if len(steps) < 3:
        return 0.0
    step = min(steps)
    return step if all(abs(d / step - round(d / step)) < 1e-3 for d in steps) else 0.0


def _scattered(numbers: Sequence[float]) -> Lost:
    """By the difference from read to read, so that a slow change is no scatter (von Neumann)."""
    if len(numbers) < _SCATTER_READS:
        return
    level = statistics.median(abs(x) for x in numbers)
    between = math.sqrt(statistics.fmean((b - a) ** 2 for a, b in pairwise(numbers)) / 2.0)
    if level > 0.0 and between / level > 0.05:
        yield min(40, round(10 * math.log2(between / level / 0.05)) + 5), f"scatters by {100 * between / level:.0f} %"
