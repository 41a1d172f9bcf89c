"""The mind without a bundle: it learns what is normal from the first polls, and says how far from it things are.

What shifts off its level is told by ``shifts``, what of it is an alarm by the ``budget``. Counters and clocks (which
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
from edge.infer.opinion import NOT_ENOUGH, Opinion
from edge.infer.shifts import Shifts
from edge.infer.words import Departure, reasons

Array = NDArray[np.float64]

LEARN_POLLS = 240
_TAGS_MAX = 128
_GIVEN_SHARE = 0.9
_GAP_POLLS = 10.0


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
        self._budget = AlarmBudget(alarms_per_week, self._period_s)
        self._mono_ns = 0
        self._read_ns = 0

    def observe(self, values: Mapping[str, object], read_ns: int, mono_ns: int, /) -> None:
        row = {tag: x for tag, value in values.items() if (x := number(value)) is not None}
        if not row:
            return
        elapsed_s = self._elapsed_s(mono_ns)
        self._read_ns = read_ns
        if not self._ready:
            self._learned.append(dict(list(row.items())[:_TAGS_MAX]))
            if len(self._learned) >= self._learn_polls:
                self._learn()
        elif self._shifts is not None:
            numbers = np.array([row.get(name, np.nan) for name in self._names])
            self._shifts.step(numbers, self._budget.limit, read_ns)
            stands = bool(self._shifts.shifted.any())
            if self._budget.take(self._shifts.score, elapsed_s, stands=stands) and not stands:
                self._shifts.end_period(self._budget.periods)

    def doubt(self, tags: frozenset[str]) -> None:
        """A sensor that is not believed neither shifts nor counts in a relation; what it said before is forgotten."""
        if self._shifts is not None:
            self._shifts.mute(np.array([name in tags for name in self._names], dtype=bool))

    def opine(self) -> Opinion:
        if not self._ready:
            done = 100 * len(self._learned) // self._learn_polls
            return Opinion(note=f"{NOT_ENOUGH}: learning what is normal, {done} % done")
        note = f"{NOT_ENOUGH}: no bundle for class {self._class}"
        if self._shifts is None:
            return Opinion(note=f"{note}, and no signal that varies")
        anomaly = self._shifts.score / self._budget.limit
        return Opinion(
            health=100.0 / max(1.0, anomaly),
            anomaly=anomaly,
            anomalous=bool(self._shifts.shifted.any()),
            anomaly_p=self._budget.p_value(self._shifts.score),
            reasons=reasons(self._departures(self._shifts)),
            note="; ".join(filter(None, (note, self._budget.evidence))),
        )

    def _elapsed_s(self, mono_ns: int) -> float:
        """Time watched since the poll before; a restart or a stop is worth one poll."""
        elapsed_s = (mono_ns - self._mono_ns) / 1e9
        self._mono_ns = mono_ns
        return elapsed_s if 0.0 <= elapsed_s <= _GAP_POLLS * self._period_s else self._period_s

    def _learn(self) -> None:
        names = [tag for tag in sorted({tag for row in self._learned for tag in row}) if self._is_evidence(tag)]
        if names:
            self._shifts = Shifts(np.array([[row.get(tag, np.nan) for tag in names] for row in self._learned]))
        self._learned, self._names, self._ready = [], tuple(names), True

    def _is_evidence(self, tag: str) -> bool:
        column = np.array([row[tag] for row in self._learned if tag in row])
        steps = np.diff(column)
        only_rises, varies = bool((steps >= 0.0).all()), bool((steps != 0.0).any())
        return len(column) >= _GIVEN_SHARE * len(self._learned) and varies and not only_rises

    def _departures(self, shifts: Shifts) -> list[Departure]:
        """Of each signal its channel that stands off most."""
        found, deviates, (levels, healthy) = [], shifts.deviates(), shifts.levels()
        most: dict[int, int] = {}
        for channel in np.argsort(np.abs(deviates), kind="stable"):
            most[int(shifts.channels.owner[channel])] = int(channel)
        for i, name in enumerate(self._names):
            channel = most[i]
            since_ns = int(shifts.since_ns[channel])
            found.append(
                Departure(
                    tag=name, strength=float(deviates[channel]), level=float(levels[i]), healthy=float(healthy[i]),
                    risen_h=max(self._read_ns - since_ns, 0) / 3.6e12 if since_ns else 0.0, since_ns=since_ns,
                    kind=shifts.channels.kind(channel),
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
            "budget": self._budget.kept(),
            "clock": [self._mono_ns, self._read_ns],
        }

    def restore(self, kept: dict[str, Any]) -> bool:
        if kept["class"] != self._class or "shifts" not in kept:
            return False
        self._learned, self._ready, self._names = list(kept["learned"]), bool(kept["ready"]), tuple(kept["names"])
        self._shifts = Shifts.restored(kept["shifts"]) if kept["shifts"] is not None else None
        self._budget.restore(kept["budget"])
        self._mono_ns, self._read_ns = (int(x) for x in kept["clock"])
        return True
