"""The mind that judges with a customer's own model: averages of signals in, life or anomaly out.

Values beyond what the model was trained on are cut at that limit, named in the note, and widen the interval. It says
"not enough evidence" while a signal has not been followed for as long as its average looks back, or is silent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.bundle import Ages, OwnBundle
from edge.contract.own import REPRODUCED, OwnLife
from edge.errors import BundleError
from edge.features.averages import Averages
from edge.features.tracker import number
from edge.infer.curve import within
from edge.infer.engine import Engine
from edge.infer.opinion import NOT_ENOUGH, Life, Opinion
from edge.infer.settle import SettledAnomaly, SettledHealth, SettledLife
from edge.infer.words import Departure, listed, reasons

_SILENT_MAX_H = 12.0
_WIDEN = 1.5
_RAISE_AFTER_H, _CLEAR_AFTER_H = 4.0, 12.0
_ABSENT = -1.0
_NS_PER_H = 3.6e12
_GAP_MAX_H = 1.0
"""The longest time between two polls that counts, where the clock's hours count."""

Array = NDArray[np.float64]


class Own:
    """One asset, one bundle. ``units`` are the asset's by tag, where they are known.

    Raises ``BundleError`` for a model that does not take or give what its manifest says, or wants other units.
    """

    def __init__(self, bundle: OwnBundle, units: Mapping[str, str] | None = None) -> None:
        own = bundle.own
        self._bundle, self._own = bundle, own
        where = f"bundle {bundle.asset_class}"
        ((name, model),) = bundle.files.items()
        self._engine = Engine(model, inputs=len(own.features), where=name)
        if self._engine.outputs != own.answers:
            problem = f"the model gives {self._engine.outputs} numbers, the manifest names {own.answers}"
            raise BundleError(where, problem, "name every output in `outputs`, - for those that nobody asks for")
        for feature in own.features:
            given = (units or {}).get(feature.tag, "")
            if given and feature.unit and given != feature.unit:
                problem = f"the model takes {feature.tag} in {feature.unit}, the asset gives it in {given}"
                raise BundleError(
                    where, problem, "scale the point in the device's profile, or train in the asset's unit"
                )
        columns = ("centre", "spread", "low", "high")
        self._centre, self._spread, self._low, self._high = (
            np.array([getattr(feature, column) for feature in own.features]) for column in columns
        )
        self._check(where)
        self.tags = bundle.tags
        self.ages: Ages | None = None
        self._averages = Averages([f.tag for f in own.features], [f.over_h for f in own.features])
        self._doubted: frozenset[str] = frozenset()
        self._hour = 0.0
        self._meter, self._mono_ns = _ABSENT, 0
        self._settled_life, self._settled_health = SettledLife(), SettledHealth()
        self._settled_anomaly = SettledAnomaly(raise_after=_RAISE_AFTER_H, clear_after=_CLEAR_AFTER_H)

    def _check(self, where: str) -> None:
        """Ask it once in the middle and at both ends of its ranges: what is no number there will never be one."""
        for row in (self._centre, self._low, self._high):
            if not np.isfinite(self._answer(row)).all():
                raise BundleError(
                    where, "the model answers what is no number within its own ranges", "check its inputs"
                )

    @property
    def learning(self) -> bool:
        """Never: whoever trained it knows at which speeds it holds, and its ranges say so."""
        return False

    def observe(self, values: Mapping[str, object], _read_ns: int, mono_ns: int, /) -> None:
        passed_h = self._passed_h(values, mono_ns)
        self._hour += passed_h
        self._averages.update(values, passed_h)

    def doubt(self, tags: frozenset[str]) -> None:
        """A model that somebody else made cannot do without one of its inputs: then it is not asked."""
        self._doubted = tags & {*self.tags}

    def _passed_h(self, values: Mapping[str, object], mono_ns: int) -> float:
        """Hours since the last poll; none where the meter is silent or was replaced, or the clock began anew."""
        if self._own.hour_meter:
            meter = number(values.get(self._own.hour_meter))
            before, self._meter = self._meter, self._meter if meter is None else meter
            return max(self._meter - before, 0.0) if before != _ABSENT else 0.0
        before_ns, self._mono_ns = self._mono_ns, mono_ns
        # The clock of another boot began elsewhere.
        return min(max(mono_ns - before_ns, 0) / _NS_PER_H, _GAP_MAX_H) if before_ns else 0.0

    def opine(self) -> Opinion:
        missing = self._missing()
        if missing:
            return Opinion(note=f"{NOT_ENOUGH}: {missing}")
        values = self._averages.vector()
        outside = self._outside(values)
        answer = self._answer(values)
        told = dict(zip(self._own.outputs, answer.tolist(), strict=False))
        opinion = Opinion(reasons=reasons(self._departures(values)), note=outside)
        if self._own.threshold is not None:
            error = self._fed(values) - answer if self._own.outputs == REPRODUCED else np.array([told["anomaly"]])
            anomaly = max(float(np.sqrt(np.mean(error * error))) / self._own.threshold, 0.0)
            anomalous = self._settled_anomaly.settle(anomaly, self._hour)
            opinion = replace(opinion, anomaly=anomaly, anomalous=anomalous, health=100.0 / max(1.0, anomaly))
        if "health" in told:
            health = 100.0 * min(max(told["health"], 0.0), 1.0)
            opinion = replace(opinion, health=self._settled_health.settle(health, self._hour))
        if self._own.life is not None:
            opinion = self._with_life(opinion, self._own.life, told["rul_h"], widen=bool(outside))
        return opinion

    def _with_life(self, opinion: Opinion, own: OwnLife, rul_h: float, *, widen: bool) -> Opinion:
        rul_h = min(max(rul_h, 0.0), own.cap_h)
        low_h, high_h = own.around(rul_h)
        if widen:
            low_h, high_h = rul_h - _WIDEN * (rul_h - low_h), min(rul_h + _WIDEN * (high_h - rul_h), own.cap_h)
        answer = Life(rul_h, max(low_h, 0.0), high_h)
        life = self._settled_life.settle(answer, self._hour, cap_h=own.cap_h, anomalous=opinion.anomalous)
        beyond = f"no end within {own.cap_h:.0f} h in sight" if life.high_h >= 0.99 * own.cap_h else ""
        # The curve's ends are where 5 % and 95 % have failed.
        survival = within(life, own.cap_h, (), ()) if abs(own.coverage - 0.9) < 1e-9 else ()
        return replace(opinion, life=life, survival=survival, note="; ".join(filter(None, (opinion.note, beyond))))

    def _fed(self, values: Array) -> Array:
        fed: Array = (np.minimum(np.maximum(values, self._low), self._high) - self._centre) / self._spread
        return fed

    def _answer(self, values: Array) -> Array:
        return self._engine.run(self._fed(values).astype(np.float32)).astype(np.float64)

    def _missing(self) -> str:
        """What is lacking for a verdict, in words; empty where nothing is."""
        averages = self._averages
        if self._doubted:
            return f"{listed(sorted(self._doubted))} not believed, and the model cannot do without"
        if self._own.hour_meter and self._meter == _ABSENT:
            return f"no good reading of {listed([self._own.hour_meter])}"
        silent, behind = averages.silent_h, averages.over_h - averages.followed_h
        never = [tag for tag, h in zip(averages.tags, silent, strict=True) if math.isinf(h)]
        if never:
            return f"no good reading of {listed(list(dict.fromkeys(never)))}"
        quiet = [tag for tag, h in zip(averages.tags, silent, strict=True) if h > _SILENT_MAX_H]
        if quiet:
            return f"no good reading of {listed(list(dict.fromkeys(quiet)))} for {silent.max():.0f} h"
        late = int(np.argmax(behind))
        if behind[late] > 1e-9:
            followed, over = averages.followed_h[late], averages.over_h[late]
            return f"{listed([averages.tags[late]])} followed for {followed:.1f} of {over:g} h"
        return ""

    def _outside(self, values: Array) -> str:
        beyond = np.flatnonzero((values < self._low) | (values > self._high))
        tags = list(dict.fromkeys(self._averages.tags[i] for i in beyond))
        return f"outside what the model was trained on ({listed(tags)}): interval widened" if tags else ""

    def _departures(self, values: Array) -> list[Departure]:
        """Only of features that say where their centre is."""
        return [
            Departure(tag=f.tag, strength=float((value - f.centre) / f.spread), level=float(value), healthy=f.centre)
            for f, value in zip(self._own.features, values, strict=True)
            if (f.centre, f.spread) != (0.0, 1.0)
        ]

    def kept(self) -> dict[str, Any]:
        return {
            "own": self._bundle.hash,
            "averages": self._averages.kept(),
            "hours": [self._hour, self._meter, self._mono_ns],
            "life": asdict(self._settled_life),
            "health": asdict(self._settled_health),
            "anomaly": asdict(self._settled_anomaly),
        }

    def restore(self, kept: dict[str, Any]) -> bool:
        """Only what the same bundle kept: another's averages may mean something else."""
        if kept.get("own") != self._bundle.hash or not self._averages.restore(kept["averages"]):
            return False
        self._hour, self._meter, self._mono_ns = kept["hours"]
        self._settled_life = SettledLife(**kept["life"])
        self._settled_health = SettledHealth(**kept["health"])
        self._settled_anomaly = SettledAnomaly(**kept["anomaly"])
        return True
