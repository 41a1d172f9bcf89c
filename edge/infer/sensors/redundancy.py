"""Sensors that measure the same thing vote: the one that moves against the median of the others is off.

Two sensors never sit in quite the same place, so each member's usual offset from the group is learned first, and the
scatter of what is left; a CUSUM then notices a member that moves. A Page-Hinkley test, which needs no baseline, guards
the learning itself: where a member moves meanwhile, learning begins anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from edge.infer.sensors.charts import Cusum, PageHinkley
from edge.infer.sensors.model import scatter

LEARN_BLOCKS = 24
_GUARDED_FROM = 8
_LAGS, _MEMORY_MAX = 5, 10.0
_GIVEN_MIN = 0.7
_SMOOTHING = 0.125
_FAR = 6.0
"""Standard deviations of the averaged bias, with what the learned offset leaves uncertain, before a member loses."""
_MATERIAL = 0.0075
"""A bias below three quarters of a percent of the reading is within what two good sensors of one class may differ."""
_SD_MIN = 1e-4
_NEAR_BLOCKS = 8
"""A member is believed again once its bias has been back, below half of what is material, for so many blocks."""


@dataclass
class _Member:
    usual: float = 0.0
    sd: float = 0.0
    """Of a block, as if it were independent of the last."""
    chart: Cusum = field(default_factory=Cusum)
    guard: PageHinkley = field(default_factory=lambda: PageHinkley(delta=0.5, limit=9.0, least=4))
    bias: float = 0.0
    level: float = 0.0
    off: bool = False
    near_blocks: int = 0

    @property
    def moved(self) -> bool:
        return self.chart.signals and abs(self.bias) >= max(_MATERIAL * self.level, _FAR * self.doubt)

    @property
    def doubt(self) -> float:
        """Standard deviation of ``bias`` while nothing is wrong."""
        return self.sd * math.sqrt(_SMOOTHING / (2.0 - _SMOOTHING) + 1.0 / LEARN_BLOCKS)

    def follow(self, contrast: float, level: float) -> None:
        self.level = level
        self.chart.update(contrast / self.sd)
        self.bias += _SMOOTHING * (contrast - self.bias)
        near = abs(self.bias) < max(0.5 * _MATERIAL * level, 0.5 * _FAR * self.doubt)
        self.near_blocks = self.near_blocks + 1 if self.off and near else 0
        if self.near_blocks >= _NEAR_BLOCKS:
            self.off, self.near_blocks, self.chart = False, 0, Cusum()


class Group:
    """Three or more redundant sensors. ``update`` takes a block's means; ``off`` are those that lost the vote."""

    def __init__(self, tags: Sequence[str]) -> None:
        assert len(tags) >= 3
        self.tags = tuple(tags)
        self._members = {tag: _Member() for tag in tags}
        self._learned: list[dict[str, float]] = []

    @property
    def off(self) -> tuple[str, ...]:
        return tuple(tag for tag, member in self._members.items() if member.off)

    @property
    def is_learned(self) -> bool:
        return any(member.sd > 0.0 for member in self._members.values())

    def bias(self, tag: str) -> float:
        """How far ``tag`` reads from what the others say that it should, in its unit."""
        return self._members[tag].bias

    def since(self, tag: str) -> int:
        """Blocks since ``tag`` began to move."""
        return self._members[tag].chart.since

    def vote(self, tag: str, values: Mapping[str, float]) -> float | None:
        """What ``tag`` should read by the others that are believed; None where fewer than two are there."""
        centred = self._centred(values, frozenset())
        centred.pop(tag, None)
        return float(np.median(list(centred.values()))) + self._members[tag].usual if len(centred) >= 2 else None

    def update(self, means: Mapping[str, float], doubted: frozenset[str] = frozenset()) -> None:
        """``means`` of one block by tag, those that were read; ``doubted`` are bad for another reason."""
        given = {t: means[t] for t in self.tags if t in means and t not in doubted}
        if not self.is_learned:
            self._learn(given)
            return
        centred = self._centred(given, doubted)
        for tag, member in self._members.items():
            others = [x for t, x in centred.items() if t != tag]
            if tag in given and member.sd > 0.0 and len(others) >= 2:
                member.follow(given[tag] - member.usual - float(np.median(others)), abs(given[tag]))
        self._vote()

    def _centred(self, values: Mapping[str, float], doubted: frozenset[str]) -> dict[str, float]:
        """Readings of members that are believed, without their usual offsets."""
        return {
            tag: values[tag] - member.usual
            for tag, member in self._members.items()
            if tag in values and member.sd > 0.0 and not member.off and tag not in doubted
        }

    def _vote(self) -> None:
        """The member that moved furthest loses; one at a time, and two must be left that agree."""
        believed = [m for m in self._members.values() if not m.off and m.sd > 0.0]
        worst = max(believed, key=lambda m: abs(m.bias))
        if len(believed) < 3 or not worst.moved:
            return
        worst.off = True
        for member in believed:
            if member is not worst:
                # They were held against a median that the bad one had shifted.
                member.chart, member.bias = Cusum(), 0.0

    def _learn(self, given: dict[str, float]) -> None:
        if len(given) >= 3 and self._is_steady(given):
            self._learned = [*self._learned, given]
        if len(self._learned) < LEARN_BLOCKS:
            return
        rows = np.array([[row.get(tag, np.nan) for tag in self.tags] for row in self._learned])
        self._learned = []
        share = np.mean(np.isfinite(rows), axis=0)
        active = [i for i in range(len(self.tags)) if share[i] >= _GIVEN_MIN]
        if len(active) < 3:
            return
        rows = rows[np.isfinite(rows[:, active]).all(axis=1)][:, active]
        usual = np.median(rows - np.median(rows, axis=1, keepdims=True), axis=0)
        centred = rows - usual
        for column, i in enumerate(active):
            contrast = centred[:, column] - np.median(np.delete(centred, column, axis=1), axis=1)
            sd, memory = scatter(contrast[:, None], _LAGS, _MEMORY_MAX)
            member = self._members[self.tags[i]]
            member.usual = float(usual[column])
            member.sd = max(float(sd[0] * np.sqrt(memory[0])), _SD_MIN * abs(float(np.mean(rows[:, column]))), 1e-9)

    def _is_steady(self, given: Mapping[str, float]) -> bool:
        """False, and learning begins anew, where a member moved against the others since it began."""
        middle = float(np.median(list(given.values())))
        for tag, value in given.items():
            before = [row[tag] - float(np.median(list(row.values()))) for row in self._learned if tag in row]
            if len(before) < _GUARDED_FROM:
                continue
            first = before[:_GUARDED_FROM]
            scale = max(float(np.std(first)), _SD_MIN * abs(middle), 1e-9)
            if self._members[tag].guard.update((value - middle - float(np.mean(first))) / scale):
                for member in self._members.values():
                    member.guard = _Member().guard
                self._learned = []
                return False
        return True

    def kept(self) -> dict[str, Any]:
        return {"learned": self._learned, **{tag: asdict(member) for tag, member in self._members.items()}}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Raises ``KeyError`` or ``TypeError`` for another group's."""
        self._learned = [dict(row) for row in kept["learned"]]
        for tag in self.tags:
            state = dict(kept[tag])
            state["guard"], state["chart"] = PageHinkley(**state["guard"]), Cusum(**state["chart"])
            self._members[tag] = _Member(**state)
