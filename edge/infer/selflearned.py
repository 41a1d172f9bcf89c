"""The mind without a bundle: it learns what is normal from the first polls, and says how far from it things are.

Signals are centred and scaled by median and median absolute deviation; the score is the Mahalanobis distance of their
short averages under the shrunk correlation of the learned polls, over a threshold from learned polls held out of the
fit. Counters and clocks (which only rise), constants and labels (switches, text) are no evidence. Such a mind can say
"not as before"; it cannot know how long a machine will last, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.bundle import Ages
from edge.features.tracker import number
from edge.infer.opinion import NOT_ENOUGH, Opinion
from edge.infer.settle import SettledAnomaly
from edge.infer.words import Departure, reasons

Array = NDArray[np.float64]

LEARN_POLLS = 240
_FIT_SHARE = 0.75
_TAGS_MAX = 256
_GIVEN_SHARE = 0.9
_SMOOTHING = 0.1
_CLIP = 10.0
_SHRINK = 0.5
_MARGIN = 1.5
_RAISE_AFTER_POLLS, _CLEAR_AFTER_POLLS = 5.0, 30.0


class SelfLearned:
    """One asset of any class. Bounded: at most 256 tags and 240 learned polls are held, then only their summary."""

    tags: tuple[str, ...] = ()
    ages: Ages | None = None

    def __init__(self, asset_class: str) -> None:
        self._class = asset_class
        self._learned: list[dict[str, float]] = []
        self._names: tuple[str, ...] = ()
        self._centre = self._spread = self._mean = np.zeros(0)
        self._precision: Array = np.zeros((0, 0))
        self._threshold = 0.0
        self._polls = 0
        self._settled = SettledAnomaly(raise_after=_RAISE_AFTER_POLLS, clear_after=_CLEAR_AFTER_POLLS)
        self._last: dict[str, float] = {}
        self._doubted: frozenset[str] = frozenset()

    def observe(self, values: Mapping[str, object], _read_ns: int, _mono_ns: int, /) -> None:
        row = {tag: x for tag, value in values.items() if (x := number(value)) is not None}
        if not row:
            return
        self._polls += 1
        if self._threshold == 0.0:
            self._learned.append(dict(list(row.items())[:_TAGS_MAX]))
            if len(self._learned) >= LEARN_POLLS:
                self._fit()
            return
        self._last = {name: row[name] for name in self._names if name in row}
        self._mean = self._smoothed(self._mean, row)
        self._settled.settle(self._score(self._mean), float(self._polls))

    def doubt(self, tags: frozenset[str]) -> None:
        """Of a sensor that is not believed nothing is known: it stands where it does when healthy."""
        if tags != self._doubted:
            changed = tags ^ self._doubted
            self._mean = np.where([name in changed for name in self._names], 0.0, self._mean)
            self._settled = SettledAnomaly(raise_after=_RAISE_AFTER_POLLS, clear_after=_CLEAR_AFTER_POLLS)
            self._doubted = tags

    def opine(self) -> Opinion:
        if self._threshold == 0.0:
            done = 100 * len(self._learned) // LEARN_POLLS
            return Opinion(note=f"{NOT_ENOUGH}: learning what is normal, {done} % done")
        note = f"{NOT_ENOUGH}: no bundle for class {self._class}"
        if not self._names:
            return Opinion(note=f"{note}, and no signal that varies")
        anomaly = self._score(self._mean)
        return Opinion(
            health=100.0 / max(1.0, anomaly),
            anomaly=anomaly,
            anomalous=self._settled.anomalous,
            reasons=reasons(self._departures()),
            note=note,
        )

    def _fit(self) -> None:
        names = [tag for tag in sorted({tag for row in self._learned for tag in row}) if self._is_evidence(tag)]
        rows = np.array([[row.get(tag, np.nan) for tag in names] for row in self._learned])
        split = int(_FIT_SHARE * len(rows))
        self._learned, self._names = [], tuple(names)
        self._threshold = 1.0
        if not names:
            return
        self._centre = np.nanmedian(rows[:split], axis=0)
        deviation = np.abs(rows[:split] - self._centre)
        robust, plain = 1.4826 * np.nanmedian(deviation, axis=0), np.nanstd(rows[:split], axis=0)
        # A signal that mostly stands still has no median deviation; its standard deviation then speaks for it.
        self._spread = np.maximum(np.maximum(robust, 0.3 * plain), 1e-12)
        z = np.where(np.isnan(rows), 0.0, self._z(np.where(np.isnan(rows), 0.0, rows)))
        self._precision = np.asarray(np.linalg.inv(_shrunk_correlation(z[:split])), dtype=np.float64)
        self._mean = np.zeros(len(names))
        quiet = []
        for i in range(len(z)):
            self._mean = self._mean + _SMOOTHING * (z[i] - self._mean)
            if i >= split // 2:
                quiet.append(self._score(self._mean))
        self._threshold = _MARGIN * max(*quiet, 0.1)

    def _is_evidence(self, tag: str) -> bool:
        column = np.array([row[tag] for row in self._learned if tag in row])
        steps = np.diff(column)
        only_rises, varies = bool((steps >= 0.0).all()), bool((steps != 0.0).any())
        return len(column) >= _GIVEN_SHARE * len(self._learned) and varies and not only_rises

    def _z(self, values: Array) -> Array:
        return np.clip((values - self._centre) / self._spread, -_CLIP, _CLIP)

    def _smoothed(self, mean: Array, row: Mapping[str, float]) -> Array:
        given = np.array([name in row for name in self._names], dtype=bool)
        z = self._z(np.array([row.get(name, 0.0) for name in self._names]))
        return np.where(given, mean + _SMOOTHING * (z - mean), mean)

    def _score(self, mean: Array) -> float:
        """Root mean square distance a tag, over the threshold."""
        if mean.size == 0:
            return 0.0
        return float(np.sqrt(max(float(mean @ self._precision @ mean), 0.0) / mean.size)) / self._threshold

    def _departures(self) -> list[Departure]:
        return [
            Departure(
                tag=name, strength=float(self._mean[i]), healthy=float(self._centre[i]),
                level=float(self._centre[i] + self._mean[i] * self._spread[i]),
            )
            for i, name in enumerate(self._names)
        ]  # fmt: skip

    def kept(self) -> dict[str, Any]:
        return {
            "class": self._class,
            "learned": self._learned,
            "names": list(self._names),
            "centre": self._centre.tolist(),
            "spread": self._spread.tolist(),
            "mean": self._mean.tolist(),
            "doubted": sorted(self._doubted),
            "precision": self._precision.tolist(),
            "threshold": self._threshold,
            "polls": self._polls,
            "anomaly": asdict(self._settled),
        }

    def restore(self, kept: dict[str, Any]) -> bool:
        if kept["class"] != self._class:
            return False
        self._learned, self._names = kept["learned"], tuple(kept["names"])
        self._centre, self._spread, self._mean = (np.array(kept[k], dtype=float) for k in ("centre", "spread", "mean"))
        size = len(self._names)
        self._precision = np.array(kept["precision"], dtype=float).reshape(size, size)
        self._doubted = frozenset(kept.get("doubted", ()))
        self._threshold, self._polls = kept["threshold"], kept["polls"]
        self._settled = SettledAnomaly(**kept["anomaly"])
        return True


def _shrunk_correlation(z: Array) -> Array:
    """Correlation drawn half-way to none: invertible, and deaf to chance correlations of few polls."""
    spread = np.maximum(z.std(axis=0), 1e-9)
    correlation = ((z - z.mean(axis=0)) / spread).T @ ((z - z.mean(axis=0)) / spread) / len(z)
    return np.asarray((1.0 - _SHRINK) * correlation + _SHRINK * np.eye(z.shape[1]), dtype=np.float64)
