"""The last minutes of every value, as the page itself saw them: for a small curve beside each, and no record.

Bounded: ``SLOTS`` numbers a value. A slot in which any reading was bad, late or not looked at is a gap.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SLOT_S = 5.0
SLOTS = 72
VALUES_MAX = 2000
MINUTES = SLOT_S * SLOTS / 60
HEIGHT = 40
_FLAT_SHARE = 0.02
"""A curve's height stands for this share of the value at least: noise of a steady value stays small."""


@dataclass(slots=True)
class _Course:
    """``good`` is the last good number or word, and ``good_s`` when it came."""

    slots: array[float] = field(default_factory=lambda: array("f", [math.nan]) * SLOTS)
    spoilt: int = -1
    good: Any = None
    good_s: float = 0.0


class Recent:
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._courses: dict[tuple[str, str], _Course] = {}
        self._slot = -1

    def take(self, now_s: float, values: Iterable[Mapping[str, Any]]) -> None:
        """``values`` as the gateway answers them."""
        slot = int(now_s / SLOT_S)
        self._empty_until(slot)
        told = set()
        for one in values:
            key = (one["asset"], one["tag"])
            told.add(key)
            course = self._courses.get(key)
            if course is None:
                if len(self._courses) >= VALUES_MAX:
                    continue
                course = self._courses[key] = _Course()
            _take(course, slot, one, now_s)
        for key in self._courses.keys() - told:
            del self._courses[key]

    def last_good(self, asset: str, tag: str) -> tuple[Any, float] | None:
        """The last good value that was seen and when (monotonic s); None where none was."""
        course = self._courses.get((asset, tag))
        return (course.good, course.good_s) if course is not None and course.good is not None else None

    def course(self, asset: str, tag: str, now_s: float) -> list[float]:
        """Of the last ``SLOTS`` slots the value, the newest last; NaN is a gap."""
        course = self._courses.get((asset, tag))
        if course is None:
            return []
        now = int(now_s / SLOT_S)
        return [course.slots[i % SLOTS] if i <= self._slot else math.nan for i in range(now - SLOTS + 1, now + 1)]

    def _empty_until(self, slot: int) -> None:
        passed = range(max(self._slot + 1, slot - SLOTS + 1), slot + 1)
        for course in self._courses.values():
            for i in passed:
                course.slots[i % SLOTS] = math.nan
        self._slot = slot


def _take(course: _Course, slot: int, one: Mapping[str, Any], now_s: float) -> None:
    value, age_s = one["value"], one["age_s"]
    if one["quality"] not in ("good", "uncertain") or age_s is None or age_s > one["due_s"]:
        course.spoilt = slot
        course.slots[slot % SLOTS] = math.nan
        return
    course.good, course.good_s = value, now_s - age_s
    if isinstance(value, int | float) and course.spoilt != slot:
        course.slots[slot % SLOTS] = float(value)


def path_of(course: list[float], decimals: int) -> tuple[str, float, float] | None:
    """An SVG path in a box of ``SLOTS`` by ``HEIGHT``, with the least and the greatest; None where nothing is known.

    Numbers that stand alone between gaps become dots.
    """
    known = [value for value in course if math.isfinite(value)]
    if not known:
        return None
    low, high = min(known), max(known)
    middle = (low + high) / 2
    span = max(high - low, 5 * 10.0**-decimals, _FLAT_SHARE * abs(middle)) or 1.0
    steps, before = [], None
    for x, value in enumerate(course):
        if not math.isfinite(value):
            before = None
            continue
        y = round(HEIGHT / 2 - (value - middle) / span * (HEIGHT - 4))
        # Steps from one to the next in whole units: half the bytes. A point that stands alone is a line of no length.
        steps.append(f"M{x} {y}h0" if before is None else f"l1{y - before:+d}".replace("+", " "))
        before = y
    return "".join(steps), low, high
