"""The mind without a bundle: it learns what is normal from the first polls, and says how far from it things are.

What shifts off its level within minutes is told by ``shifts``, what has been off for a day by ``lasting``; what of it
is an alarm by a ``budget`` each, so that the one cannot deafen the other. Counters and clocks (which
only rise), constants and labels (switches, text) are no evidence. Such a mind can say "not as before"; it cannot know
how long a machine will last, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.bundle import Ages
from edge.features.tracker import number
from edge.infer.budget import AlarmBudget
from edge.infer.lasting import Lasting
from edge.infer.opinion import NOT_ENOUGH, Opinion
from edge.infer.shifts import LIMIT as SUDDEN_LIMIT
from edge.infer.shifts import Shifts
from edge.infer.watch import Watch
from edge.infer.words import Departure, reasons

Array = NDArray[np.float64]

LEARN_POLLS = 240
_TAGS_MAX = 128
_GIVEN_SHARE = 0.9


class SelfLearned:
    """One asset of any class. Bounded: at most 128 tags and the learned polls are held, then only their summary."""

    tags: tuple[str, ...] = ()
    ages: Ages | None = None

    def __init__(
        self, asset_class: str, *, period_ms: int, alarms_per_week: float = 1.0, learn_polls: int = LEARN_POLLS
    ) -> None:
        self._class = asset_class
        self._period_s = period_ms / 1000.0
        self._learn_polls = learn_polls
        self._learned: list[dict[str, float]] = []
        self._ready = False
        self._names: tuple[str, ...] = ()
        self._shifts: Shifts | None = None
        self._lasting: Lasting | None = None
        self._budgets = tuple(AlarmBudget(alarms_per_week / 2.0, self._period_s) for _ in range(2))
        self._watch = Watch(self._period_s)
        self._read_ns = 0

    @property
    def learning(self) -> bool:
        return not self._ready

    def observe(self, values: Mapping[str, object], read_ns: int, mono_ns: int, /) -> None:
        row = {tag: x for tag, value in values.items() if (x := number(value)) is not None}
        if not row:
            return
        self._watch.poll(mono_ns)
        elapsed_s = self._watch.passed_s()
        self._read_ns = read_ns
        if not self._ready:
            self._learned.append(dict(list(row.items())[:_TAGS_MAX]))
            if len(self._learned) >= self._learn_polls:
                self._learn()
        elif self._names:
            numbers = np.array([row.get(name, np.nan) for name in self._names])
            self._follow(numbers, elapsed_s, read_ns)

    def _follow(self, numbers: Array, elapsed_s: float, read_ns: int) -> None:
        assert self._shifts is not None
        assert self._lasting is not None
        sudden, slow = self._budgets
        self._shifts.step(numbers, sudden.limit, read_ns)
        self._lasting.step(self._shifts.channels.scaled(numbers), elapsed_s, slow.limit, read_ns)
        shifted, lasts = self.standing
        if sudden.take(self._shifts.score, elapsed_s, stands=shifted) and not shifted:
            self._shifts.end_period(sudden.periods)
        if slow.take(self._lasting.score, elapsed_s, stands=lasts) and not lasts:
            self._lasting.end_period()

    @property
    def standing(self) -> tuple[bool, bool]:
        """Whether something has shifted, and whether something has been off for long."""
        if self._shifts is None or self._lasting is None:
            return False, False
        return bool(self._shifts.shifted.any()), self._lasting.standing

    def doubt(self, tags: frozenset[str]) -> None:
        """A sensor that is not believed neither shifts nor counts in a relation; what it said before is forgotten."""
        if self._shifts is not None and self._lasting is not None:
            doubted = np.array([name in tags for name in self._names], dtype=bool)
            self._shifts.mute(doubted)
            self._lasting.mute(doubted)

    def opine(self) -> Opinion:
        if not self._ready:
            done = 100 * len(self._learned) // self._learn_polls
            return Opinion(note=f"{NOT_ENOUGH}: learning what is normal, {done} % done")
        note = f"{NOT_ENOUGH}: no bundle for class {self._class}"
        if self._shifts is None or self._lasting is None:
            return Opinion(note=f"{note}, and no signal that varies")
        scores = self._shifts.score, self._lasting.score
        anomaly = max(score / budget.limit for score, budget in zip(scores, self._budgets, strict=True))
        return Opinion(
            health=100.0 / max(1.0, anomaly),
            anomaly=anomaly,
            anomalous=any(self.standing),
            anomaly_p=self._p_value(scores),
            reasons=reasons(self._departures(self._shifts, self._lasting)),
            note="; ".join(filter(None, (note, self._budgets[0].evidence))),
        )

    def _p_value(self, scores: tuple[float, float]) -> float | None:
        """Of the rarer of the two, for having looked twice (Bonferroni)."""
        both = [budget.p_value(score) for score, budget in zip(scores, self._budgets, strict=True)]
        known = [p for p in both if p is not None]
        return min(2.0 * min(known), 1.0) if known else None

    def _learn(self) -> None:
        names = [tag for tag in sorted({tag for row in self._learned for tag in row}) if self._is_evidence(tag)]
        if names:
            rows = np.array([[row.get(tag, np.nan) for tag in names] for row in self._learned])
            self._shifts = Shifts(rows)
            self._lasting = self._learned_so_far(self._shifts.channels.scaled(rows))
        self._learned, self._names, self._ready = [], tuple(names), True

    def _learned_so_far(self, rows: Array) -> Lasting:
        """What the learned polls say of averages over a day."""
        period_s = self._budgets[1].period_s
        lasting = Lasting(rows.shape[1], period_s)
        a_period = round(period_s / self._period_s)
        for i, row in enumerate(rows, 1):
            lasting.step(row, self._period_s, 1.0, 0)
            if i % a_period == 0:
                lasting.end_period()
        return lasting

    def _is_evidence(self, tag: str) -> bool:
        column = np.array([row[tag] for row in self._learned if tag in row])
        steps = np.diff(column)
        only_rises, varies = bool((steps >= 0.0).all()), bool((steps != 0.0).any())
        return len(column) >= _GIVEN_SHARE * len(self._learned) and varies and not only_rises

    def _departures(self, shifts: Shifts, lasting: Lasting) -> list[Departure]:
        """Of each signal its channel that stands off most."""
        found, deviates, (levels, healthy) = [], shifts.deviates(), shifts.levels()
        # A lasting departure that stands is as notable as a sudden one at its limit.
        slow = np.where(lasting.since_ns > 0.0, np.maximum(np.abs(lasting.deviates()), SUDDEN_LIMIT), 0.0)
        most: dict[int, int] = {}
        for channel in np.argsort(np.abs(deviates), kind="stable"):
            most[int(shifts.channels.owner[channel])] = int(channel)
        for i, name in enumerate(self._names):
            channel = most[i]
            strength, since_ns, kind = deviates[channel], int(shifts.since_ns[channel]), shifts.channels.kind(channel)
            if slow[i] > abs(strength):
                strength, since_ns, kind = (
                    np.copysign(slow[i], lasting.deviates()[i]),
                    int(lasting.since_ns[i]),
                    "level",
                )
            found.append(
                Departure(
                    tag=name, strength=float(strength), level=float(levels[i]), healthy=float(healthy[i]),
                    risen_h=max(self._read_ns - since_ns, 0) / 3.6e12 if since_ns else 0.0, since_ns=since_ns,
                    kind=kind,
                )
            )  # fmt: skip
        return found

    def kept(self) -> dict[str, Any]:
        return {
            "class": self._class,
            "learned": self._learned,
            "ready": self._ready,
            "names": list(self._names),
            "shifts": self._shifts.kept() if self._shifts is not None else None,
            "lasting": self._lasting.kept() if self._lasting is not None else None,
            "budgets": [budget.kept() for budget in self._budgets],
            "watch": self._watch.kept(),
            "read_ns": self._read_ns,
        }

    def restore(self, kept: dict[str, Any]) -> bool:
        if kept["class"] != self._class or "lasting" not in kept:
            return False
        self._learned, self._ready, self._names = list(kept["learned"]), bool(kept["ready"]), tuple(kept["names"])
        self._shifts = Shifts.restored(kept["shifts"]) if kept["shifts"] is not None else None
        self._lasting = None
        if kept["lasting"] is not None:
            self._lasting = Lasting(len(self._names), self._budgets[1].period_s)
            self._lasting.restore(kept["lasting"])
        for budget, each in zip(self._budgets, kept["budgets"], strict=True):
            budget.restore(each)
        self._watch.restore(kept["watch"])
        self._read_ns = int(kept["read_ns"])
        return True
