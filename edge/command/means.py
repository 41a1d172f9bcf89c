"""The mean of a figure over the last while: what a regretted one is compared by, before a write and after it."""

from __future__ import annotations

import itertools
import math
from collections import deque
from dataclasses import dataclass, field

from edge.contract.setpoint import Regret
from edge.contract.terms import TagRef
from edge.contract.types import Batch, Quality

PARTS = 30
"""A while is kept in so many parts, each with the sum and count of its readings: a day costs as much as a minute."""
GAP_MAX = PARTS // 4
"""So many parts in a row may be without a good reading; with more the mean is not one of the whole while."""


@dataclass(slots=True)
class _Part:
    number: int
    total: float = 0.0
    count: int = 0


@dataclass(slots=True)
class Mean:
    """Of one tag over ``over_s``, by monotonic time."""

    tag: TagRef
    over_s: float
    _parts: deque[_Part] = field(default_factory=lambda: deque(maxlen=PARTS + 1))

    def add(self, value: float, at_ns: int) -> None:
        number = int(at_ns // self._part_ns)
        if not self._parts or self._parts[-1].number != number:
            self._parts.append(_Part(number))
        self._parts[-1].total += value
        self._parts[-1].count += 1

    def over(self, now_ns: int) -> float | None:
        """The mean over the last ``over_s``; None where too little of it was read well."""
        newest = int(now_ns // self._part_ns)
        parts = [part for part in self._parts if newest - PARTS < part.number <= newest]
        filled = [newest - PARTS, *(part.number for part in parts), newest + 1]
        if any(right - left > GAP_MAX + 1 for left, right in itertools.pairwise(filled)):
            return None
        mean = sum(part.total for part in parts) / sum(part.count for part in parts)
        return mean if math.isfinite(mean) else None

    @property
    def _part_ns(self) -> float:
        return self.over_s * 1e9 / PARTS


class Means:
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._means: dict[tuple[TagRef, float], Mean] = {}

    def follow(self, regrets: list[tuple[str, Regret]]) -> None:
        """Each with the asset whose contract it is of; what was measured of those that stay is kept."""
        wanted = {(regret.tag.at(asset), regret.over_s) for asset, regret in regrets}
        self._means = {key: self._means.get(key) or Mean(*key) for key in wanted}

    def observe(self, batch: Batch) -> None:
        for (tag, _), mean in self._means.items():
            if tag.asset != batch.asset or tag.tag not in batch.tags:
                continue
            i = batch.tags.index(tag.tag)
            value = batch.values[i]
            if batch.quality[i] == Quality.GOOD and isinstance(value, int | float) and math.isfinite(value):
                mean.add(float(value), batch.mono_ns)

    def of(self, asset: str, regret: Regret, now_ns: int) -> float | None:
        mean = self._means.get((regret.tag.at(asset), regret.over_s))
        return None if mean is None else mean.over(now_ns)
