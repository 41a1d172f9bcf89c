"""An asset's departure from its own healthy baseline, followed in hours of its own hour meter.

Every step (a tenth of an operating hour, or one poll where polls are further apart) gives each signal a residual: the
signal, logarithmic where ratios matter, less what the healthy asset would show under the same load and speed. Features
are exponential averages of the residuals over several time constants, and the age of the trend. Because time is the
hour meter's, the features mean the same at a poll a second and at two operating hours a poll.

What it survives: readings that are missing, not numbers or impossible (skipped and seen as gaps), a standstill (nothing
is learned from a machine at rest), an hour meter that is replaced, single wild readings while the baseline is learned.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.features.baseline import Baseline, fit

Array = NDArray[np.float64]

NUMBER_MAX = 1e30
"""No signal is as large: it is a double whose words were read in the wrong order. Squares and fourth powers of what is
smaller are still numbers."""

_STATE_VERSION = 1
_RENEWED_AFTER_H, _RENEWED_AFTER_STEPS = 6.0, 4
_CLEARLY_WORN, _QUIET = 6.0, 3.0
"""In residual sds: an asset whose averages stood further off than the first, and whose every reading then stays within
the second for the time above, has been repaired."""
_ABSENT = -1.0
"""Stands for "no hour yet" in kept state: hours of a meter are never negative."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal: ``log`` takes its natural logarithm (residuals are then ratios), ``minus`` subtracts another tag."""

    tag: str
    log: bool = False
    minus: str = ""

    def of(self, values: Mapping[str, object]) -> float | None:
        """The signal's number in ``values``, or None where a tag is missing or cannot be what it should be."""
        value = number(values.get(self.tag))
        if value is None:
            return None
        if self.minus:
            other = number(values.get(self.minus))
            return None if other is None else value - other
        if self.log:
            return math.log(value) if value > 0.0 else None
        return value


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """What to follow. A bundle carries it, so that a gateway computes exactly what its models were trained on.

    ``running``: tag that is false while the machine stands still, empty where there is none. ``step_h``: operating
    hours between updates at least; ``baseline_step_h`` and ``baseline_steps``: the same, and how many, while learning;
    ``taus_h``: time constants of the averages, ascending; ``gap_max_h``: the longest time one reading may speak for.
    """

    signals: tuple[Signal, ...]
    conditions: tuple[str, ...]
    hour_meter: str
    running: str = ""
    step_h: float = 0.1
    baseline_step_h: float = 0.5
    baseline_steps: int = 48
    taus_h: tuple[float, ...] = (6.0, 24.0, 72.0)
    gap_max_h: float = 3.0

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in the order of ``FeatureTracker.vector``."""
        averages = [f"{s.tag}.mean_{tau:g}h" for tau in self.taus_h for s in self.signals]
        return (*averages, "age_log")

    @property
    def tags(self) -> tuple[str, ...]:
        """Every tag that must be readable, without the hour meter and ``running``."""
        minus = (s.minus for s in self.signals if s.minus)
        return tuple(dict.fromkeys((*(s.tag for s in self.signals), *minus, *self.conditions)))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> FeatureSpec:
        """The inverse of ``as_json``, also after a round trip through JSON. Raises ``TypeError`` for other keys."""
        plain = dict(data)
        for key in ("conditions", "taus_h"):
            plain[key] = tuple(plain.get(key, ()))
        plain["signals"] = tuple(Signal(**s) for s in plain.get("signals", ()))
        return FeatureSpec(**plain)


def number(value: object) -> float | None:
    """``value`` as a float that can be a reading; None for anything else, also for booleans and text."""
    if type(value) is float:  # by far the most: asked fifty times a poll
        return value if -NUMBER_MAX <= value <= NUMBER_MAX else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -NUMBER_MAX <= value <= NUMBER_MAX else None


class FeatureTracker:
    """Follows one asset: ``update`` takes a poll, ``vector`` gives features, ``state`` and ``restore`` continue it."""

    def __init__(self, spec: FeatureSpec) -> None:
        n, c, t = len(spec.signals), len(spec.conditions), len(spec.taus_h)
        assert n > 0
        assert t > 0
        self.spec = spec
        self.baseline: Baseline | None = None
        self._digest = hashlib.sha256(json.dumps(spec.as_json(), sort_keys=True).encode()).digest()[:8]
        self._hour = _ABSENT
        self._pace_h = 0.0
        self._quiet_since = _ABSENT
        self._quiet_steps = 0.0
        self._renewals = 0.0
        self._rows = np.zeros((0, n + c))
        self._sum = np.zeros(n + c)
        self._count = np.zeros(n + c)
        self._taus = np.array(spec.taus_h)
        self._means = np.zeros((t, n))
        self._seen = np.full(n, _ABSENT)
        self._onset = np.full(n, _ABSENT)

    # -- what has been learned -------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the healthy baseline has been learned; before that there are no features."""
        return self.baseline is not None

    @property
    def learned(self) -> float:
        """Share (0..1) of the healthy baseline that has been learned."""
        return 1.0 if self.ready else len(self._rows) / self.spec.baseline_steps

    @property
    def hour_h(self) -> float | None:
        """The hour meter at the last step, None before the first."""
        return None if self._hour == _ABSENT else self._hour

    @property
    def pace_h(self) -> float:
        """Operating hours between steps, averaged over the last ten or so."""
        return self._pace_h

    @property
    def renewals(self) -> int:
        """How often the asset, clearly worn, came back to its baseline at once: it was repaired."""
        return int(self._renewals)

    def silent_h(self) -> Array:
        """For each signal the operating hours since it last gave a usable reading, [signals]."""
        return np.maximum(self._hour - self._seen, 0.0)

    def never_seen(self) -> tuple[str, ...]:
        """Tags of the open step that have not given one usable reading; what keeps a baseline from being learned."""
        tags = (*(s.tag for s in self.spec.signals), *self.spec.conditions)
        return tuple(tag for tag, count in zip(tags, self._count, strict=True) if count == 0.0)

    def departures(self) -> Array:
        """Averaged residuals [taus, signals]: log ratios or differences to the healthy asset under equal conditions."""
        return self._means.copy()

    def risen_h(self) -> Array:
        """Operating hours for which each signal has stood clearly off its baseline; 0 where it does not, [signals]."""
        return np.where(self._onset == _ABSENT, 0.0, np.maximum(self._hour - self._onset, 0.0))

    def vector(self) -> NDArray[np.float32]:
        """The features in the order of ``spec.names``; finite. Only after ``ready``."""
        assert self.ready, "no features before the baseline is learned"
        age = math.log1p(float(self.risen_h().max()))
        return np.append(self._means.ravel(), age).astype(np.float32)

    def forget(self, signal: int) -> None:
        """The sensor of this signal was wrong: what it said is not averaged any more."""
        self._means[:, signal] = 0.0
        self._onset[signal] = _ABSENT
        self._seen[signal] = self._hour if self.ready else _ABSENT

    # -- following -------------------------------------------------------------------------------------------------

    def update(self, values: Mapping[str, object], hour_meter_h: float | None) -> bool:
        """Take one poll's good values; True when it completed a step, so that the features changed."""
        if self._stands(values):
            return False
        for i, signal in enumerate(self.spec.signals):
            self._take(i, signal.of(values))
        for i, tag in enumerate(self.spec.conditions, len(self.spec.signals)):
            self._take(i, number(values.get(tag)))
        hour = number(hour_meter_h)
        if hour is None or hour < 0.0:
            return False
        if self._hour == _ABSENT or hour < self._hour:
            self._restart_meter(hour)
            return False
        step_h = self.spec.step_h if self.ready else self.spec.baseline_step_h
        if hour - self._hour < step_h:
            return False
        return self._close(hour)

    def _stands(self, values: Mapping[str, object]) -> bool:
        """Whether the machine stands still: by its own word, or because it has neither speed nor load.

        A poll takes several requests. At a stop the first may still find the machine running and the next find it
        without speed; its zeros then say nothing of its health.
        """
        if self.spec.running and values.get(self.spec.running) is False:
            return True
        conditions = [number(values.get(tag)) for tag in self.spec.conditions]
        return bool(conditions) and all(value == 0.0 for value in conditions)

    def _take(self, i: int, value: float | None) -> None:
        if value is not None:
            self._sum[i] += value
            self._count[i] += 1.0

    def _restart_meter(self, hour: float) -> None:
        """A first reading, or a meter that was replaced: what was learned stays, ages are kept relative to it."""
        if self._hour != _ABSENT:
            shift = hour - self._hour
            self._seen = np.where(self._seen == _ABSENT, _ABSENT, np.maximum(self._seen + shift, 0.0))
            self._onset = np.where(self._onset == _ABSENT, _ABSENT, np.maximum(self._onset + shift, 0.0))
            self._quiet_since = _ABSENT
        self._hour = hour
        self._sum[:] = 0.0
        self._count[:] = 0.0

    def _close(self, hour: float) -> bool:
        given = self._count > 0.0
        if not self.ready and not given.all():
            # A step of the baseline stays open until every signal has spoken in it.
            return False
        row = self._sum / np.maximum(self._count, 1.0)
        dt_h = hour - self._hour
        self._hour = hour
        self._pace_h = dt_h if self._pace_h == 0.0 else self._pace_h + 0.1 * (dt_h - self._pace_h)
        self._sum[:] = 0.0
        self._count[:] = 0.0
        if self.baseline is None:
            self._learn(row, hour)
        elif given[len(self.spec.signals) :].all():
            self._follow(row, given[: len(self.spec.signals)], hour)
        return True

    def _learn(self, row: Array, hour: float) -> None:
        self._rows = np.vstack([self._rows, row])
        if len(self._rows) < self.spec.baseline_steps:
            return
        n = len(self.spec.signals)
        self.baseline = fit(self._rows[:, :n], self._rows[:, n:])
        self._rows = self._rows[:0]
        self._seen[:] = hour

    def _follow(self, row: Array, given: NDArray[np.bool_], hour: float) -> None:
        assert self.baseline is not None
        n = len(self.spec.signals)
        residual = row[:n] - self.baseline.expected(row[n:])
        dt_h = np.minimum(hour - self._seen, self.spec.gap_max_h)
        weight = np.where(given, -np.expm1(-dt_h / self._taus[:, None]), 0.0)
        self._means += weight * (residual - self._means)
        self._seen = np.where(given, hour, self._seen)
        level = np.abs(self._means[min(1, len(self._taus) - 1)]) / self.baseline.spread
        # Off the baseline above two residual sds of the average, back on it below one: no flapping between.
        self._onset = np.where((level > 2.0) & (self._onset == _ABSENT), hour, self._onset)
        self._onset = np.where(level < 1.0, _ABSENT, self._onset)
        self._notice_repair(np.abs(residual[given]) / self.baseline.spread[given], level.max(), hour)

    def _notice_repair(self, residual: Array, level: float, hour: float) -> None:
        """Averages would take days to forget a repair: forget at once, where it is plain."""
        if level < _CLEARLY_WORN or (residual > _QUIET).any():
            self._quiet_since = _ABSENT
            return
        if self._quiet_since == _ABSENT:
            self._quiet_since, self._quiet_steps = hour, 0.0
        self._quiet_steps += 1.0
        if hour - self._quiet_since >= _RENEWED_AFTER_H and self._quiet_steps >= _RENEWED_AFTER_STEPS:
            self._means[:] = 0.0
            self._onset[:] = _ABSENT
            self._quiet_since = _ABSENT
            self._renewals += 1.0

    # -- keeping ---------------------------------------------------------------------------------------------------

    def state(self) -> bytes:
        """Everything that a restart needs, in 64-bit floats: restoring gives bit-equal features from then on."""
        flat = self.baseline.flat() if self.baseline is not None else np.zeros(0)
        numbers = np.concatenate([
            (self._hour, self._pace_h, self._quiet_since, self._quiet_steps, self._renewals),
            self._sum, self._count, self._means.ravel(), self._seen, self._onset,
            self._rows.ravel(), flat,
        ])  # fmt: skip
        head = struct.pack("<B8sBH", _STATE_VERSION, self._digest, self.ready, len(self._rows))
        return head + numbers.astype("<f8").tobytes()

    def restore(self, state: bytes) -> bool:
        """Continue from ``state``; False, with nothing changed, if it is of another spec, version or length."""
        head = struct.calcsize("<B8sBH")
        if len(state) < head or (len(state) - head) % 8:
            return False
        version, digest, ready, rows = struct.unpack("<B8sBH", state[:head])
        n, c, t = len(self.spec.signals), len(self.spec.conditions), len(self.spec.taus_h)
        flat = ((1 + c) * n + n + 4 * c) if ready else 0
        sizes = (5, n + c, n + c, t * n, n, n, rows * (n + c), flat)
        numbers = np.frombuffer(state[head:], dtype="<f8").astype(np.float64)
        if version != _STATE_VERSION or digest != self._digest or numbers.size != sum(sizes):
            return False
        if not np.isfinite(numbers).all():
            return False
        parts = np.split(numbers, np.cumsum(sizes)[:-1])
        self._hour, self._pace_h, self._quiet_since, self._quiet_steps, self._renewals = (float(x) for x in parts[0])
        self._sum, self._count, means, self._seen, self._onset, kept = (p.copy() for p in parts[1:7])
        self._means, self._rows = means.reshape(t, n), kept.reshape(rows, n + c)
        self.baseline = Baseline.unflat(parts[7], signals=n, conditions=c) if ready else None
        return True
