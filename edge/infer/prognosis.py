"""The mind that judges with a bundle: features by the hour meter, int8 models, a calibrated interval.

It says "not enough evidence" while it learns the healthy baseline, where a signal or the hour meter is missing or has
gone silent, and where the asset departs from healthy in a way that no machine of the training did; where single
features leave their ranges, the interval widens and the note says so.

Where readings come too rarely, and for days after a gap (``gaps``), the interval shown widens too, with the reason; but
urgency is judged without that, and hours that nobody watched draw a life nowhere (``settle``): what is not known is no
evidence of wear. What a reading after a gap shows counts from there on, as far as one reading speaks.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.bundle import Detector, TrainedBundle, hours_of, life_score, tempered
from edge.errors import BundleError
from edge.features.tracker import NUMBER_MAX, FeatureSpec, FeatureTracker, number
from edge.infer.budget import AlarmBudget, p_value
from edge.infer.curve import within
from edge.infer.doubt import Doubt
from edge.infer.engine import Engine
from edge.infer.gaps import Gaps
from edge.infer.opinion import NOT_ENOUGH, Life, Opinion
from edge.infer.settle import SettledAnomaly, SettledHealth, SettledLife
from edge.infer.watch import Watch
from edge.infer.words import Departure, listed, reasons

_SILENT_MAX_H = 12.0
_STALLED_POLLS = 20
"""So many polls without a step while a signal is missing: then it is said, not waited for."""
_WIDEN = 1.5
_LOG_MAX = math.log(NUMBER_MAX)
_RAISE_AFTER_H, _CLEAR_AFTER_H = 4.0, 12.0

_UNFAMILIAR = "it departs from healthy in a way that the life model was not trained on"


class _Distance:
    """How far features are from what an autoencoder was trained on, over its threshold."""

    def __init__(self, bundle: TrainedBundle, detector: Detector) -> None:
        self._detector = detector
        self._engine = Engine(bundle.files[detector.model], inputs=len(bundle.names), where=detector.model)
        if self._engine.outputs != len(bundle.names):
            raise BundleError(detector.model, "an autoencoder gives as many numbers as it takes", "train it again")

    def reproduced(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        """A scaled row as the autoencoder makes it anew."""
        return self._engine.run(row)

    def of(self, features: NDArray[np.float32]) -> float:
        row = self._detector.scaling.apply(features)
        error = (row - self._engine.run(row)).astype(np.float64)
        return float(np.sqrt(np.mean(error * error))) / self._detector.threshold


def _spread(score: float, low: float, high: float) -> tuple[float, float]:
    """An interval about ``score`` half as wide again."""
    return score - _WIDEN * (score - low), score + _WIDEN * (high - score)


def _wider(life: Life, cap_h: float) -> Life:
    """``life`` with its interval half as wide again, in the scores that models are trained on."""
    score, low, high = life_score(np.array([life.rul_h, life.low_h, life.high_h]), cap_h).tolist()
    low, high = _spread(score, low, high)
    return Life(life.rul_h, hours_of(low, cap_h), hours_of(high, cap_h))


class Prognosis:
    """One asset, one bundle. Raises ``BundleError`` where the bundle's features are not what this code computes."""

    def __init__(self, bundle: TrainedBundle, *, period_ms: int = 1000, alarms_per_week: float = 1.0) -> None:
        where = f"bundle {bundle.asset_class}"
        try:
            spec = FeatureSpec.from_json(bundle.features)
        except (TypeError, ValueError, AssertionError) as error:
            raise BundleError(where, f"features of another version: {error}", "train it again") from error
        if spec.names != bundle.names:
            raise BundleError(where, "its feature names are not those that this version computes", "train it again")
        self._bundle, self._spec = bundle, spec
        self._life = Engine(bundle.files[bundle.life_model], inputs=len(spec.names), where=bundle.life_model)
        if self._life.outputs != 2:
            raise BundleError(where, "its life model does not give two outputs", "train it again")
        self._novelty = _Distance(bundle, bundle.novelty)
        self._strangeness = _Distance(bundle, bundle.familiar)
        self.tags = (*spec.tags, spec.hour_meter)
        self.ages = bundle.ages
        self._tracker = FeatureTracker(spec)
        self._doubt = Doubt(spec)
        self._watch = Watch(period_ms / 1000.0)
        self._budget = AlarmBudget(alarms_per_week, period_ms / 1000.0)
        self._since_ns = [0] * len(spec.signals)
        self._stalled_polls = 0
        self._hourless_polls = 0
        self._gaps = Gaps(bundle.pace_max_h, spec.taus_h[-1])
        self._renew()

    def _renew(self) -> None:
        self._settled_life = SettledLife()
        self._settled_health = SettledHealth()
        self._settled_anomaly = SettledAnomaly(raise_after=_RAISE_AFTER_H, clear_after=_CLEAR_AFTER_H)
        self._settled_strange = SettledAnomaly(raise_after=0.0, clear_after=_CLEAR_AFTER_H)
        self._renewals = self._tracker.renewals

    @property
    def learning(self) -> bool:
        return not self._tracker.ready

    def observe(self, values: Mapping[str, object], read_ns: int, mono_ns: int, /) -> None:
        hour, before_h = number(values.get(self._spec.hour_meter)), self._tracker.hour_h
        stepped = self._tracker.update(values, hour)
        self._watch.poll(mono_ns)
        if stepped:
            assert hour is not None
            assert before_h is not None
            self._gaps.step(hour - before_h)
            risen = zip(self._since_ns, self._tracker.risen_h().tolist(), strict=True)
            self._since_ns = [(since or read_ns) if risen_h > 0.0 else 0 for since, risen_h in risen]
        self._hourless_polls = 0 if hour is not None else min(self._hourless_polls + 1, _STALLED_POLLS)
        self._stalled_polls = 0 if stepped else min(self._stalled_polls + 1, _STALLED_POLLS)

    def doubt(self, tags: frozenset[str]) -> None:
        """What a sensor said before it was doubted must not linger, nor what was made of it."""
        before, self._doubt = self._doubt, Doubt(self._spec, tags & {*self._spec.tags})
        if self._doubt != before:
            for i in set(before.signals) - set(self._doubt.signals):
                self._tracker.forget(i)
            self._renew()

    def opine(self) -> Opinion:
        missing = self._missing()
        if missing:
            return Opinion(note=f"{NOT_ENOUGH}: {missing}")
        tracker = self._tracker
        assert tracker.hour_h is not None
        if tracker.renewals != self._renewals:
            self._budget.forgive()
            self._renew()
        features = self._doubt.filled(tracker, self._bundle.familiar.scaling, self._strangeness.reproduced)
        hour = tracker.hour_h
        novelty = self._novelty.of(features)
        anomaly = novelty / self._budget.limit
        anomalous = self._settled_anomaly.settle(anomaly, hour)
        self._budget.take(novelty, self._watch.passed_s(), stands=anomalous)
        opinion = Opinion(
            anomaly=anomaly,
            anomalous=anomalous,
            anomaly_p=self._p_value(novelty),
            reasons=reasons(self._departures()),
        )
        if self._settled_strange.settle(self._strangeness.of(features), hour):
            # Unbalance, or a sensor that drifts: what the life model says of it would be a guess.
            self._settled_life, self._settled_health = SettledLife(), SettledHealth()
            note = f"{NOT_ENOUGH}: {_UNFAMILIAR}"
            return replace(opinion, health=100.0 / max(1.0, novelty), note=note, departs=True)
        return self._judged(opinion, features, hour, novelty)

    def _p_value(self, novelty: float) -> float | None:
        """Among the healthy machines of the bundle; among this asset's own quiet hours where those are more."""
        fleet = [highest / self._bundle.novelty.threshold for highest in self._bundle.novelty.healthy]
        return self._budget.p_value(novelty) if self._budget.periods > len(fleet) else p_value(fleet, novelty)

    def _judged(self, opinion: Opinion, features: NDArray[np.float32], hour: float, novelty: float) -> Opinion:
        """``opinion`` with life and health, by the life model."""
        score, health = (float(x) for x in self._life.run(self._bundle.life_scaling.apply(features)))
        score = float(tempered(np.array(score), np.array(novelty), self._bundle.quiet))
        outside = "; ".join(filter(None, (self._doubt.words, self._outside(features))))
        early = health >= self._bundle.established_below
        answer = self._interval(score, early=early, widen=bool(outside))
        cap_h = self._bundle.rul_cap_h
        settled = self._settled_life.settle(
            answer, hour, cap_h=cap_h, anomalous=opinion.anomalous, unseen_h=self._gaps.taken()
        )  # fmt: skip
        sparse = self._gaps.words(self._tracker.pace_h)
        life = _wider(settled, cap_h) if sparse and not outside else settled
        beyond = f"no end within {cap_h:.0f} h in sight" if life.high_h >= 0.99 * cap_h else ""
        return replace(
            opinion,
            health=self._settled_health.settle(100.0 * min(max(health, 0.0), 1.0), hour),
            life=life,
            urgent_h=settled.low_h,
            survival=within(life, cap_h, *self._inner(early=early)),
            note="; ".join(filter(None, (outside or sparse, beyond))),
        )

    def _missing(self) -> str:
        """What is lacking for a verdict, in words; empty where nothing is."""
        tracker = self._tracker
        if self._hourless_polls >= _STALLED_POLLS or (tracker.hour_h is None and self._hourless_polls):
            return f"no good reading of {listed([self._spec.hour_meter])}"
        if self._doubt.too_much:
            return self._doubt.too_much
        if not tracker.ready:
            absent = tracker.never_seen()
            if self._stalled_polls >= _STALLED_POLLS and absent:
                return f"no good reading of {listed(absent)}"
            return f"learning the healthy baseline, {math.floor(100.0 * tracker.learned)} % done"
        silent = tracker.silent_h()
        believed = [i for i in range(len(silent)) if i not in self._doubt.signals]
        quiet = [self._spec.signals[i].tag for i in believed if silent[i] > _SILENT_MAX_H]
        return f"no good reading of {listed(quiet)} for {silent.max():.0f} h" if quiet else ""

    def _outside(self, features: NDArray[np.float32]) -> str:
        """Where the asset leaves what the bundle was trained on, in words; empty where it does not."""
        low, high = self._bundle.valid
        outside = np.flatnonzero((features < low) | (features > high))
        if outside.size == 0:
            return ""
        tags = list(dict.fromkeys(self._bundle.names[i].rsplit(".", 1)[0] for i in outside))
        return f"outside what the models were trained on ({listed(tags)}): interval widened"

    def _interval(self, score: float, *, early: bool, widen: bool) -> Life:
        low, high = (self._bundle.early if early else self._bundle.established).around(score)
        if widen:
            low, high = _spread(score, low, high)
        cap_h = self._bundle.rul_cap_h
        return Life(hours_of(score, cap_h), hours_of(low, cap_h), hours_of(high, cap_h))

    def _inner(self, *, early: bool) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Levels within the interval and their places; none where the bundle is from before there were any."""
        inner = self._bundle.inner
        if inner is None:
            return (), ()
        return inner.levels, inner.early if early else inner.established

    def _departures(self) -> list[Departure]:
        tracker = self._tracker
        assert tracker.baseline is not None
        means, spread, healthy = tracker.departures(), tracker.baseline.spread, tracker.baseline.coefficients[0]
        risen_h = tracker.risen_h()
        found = []
        for i, signal in enumerate(self._spec.signals):
            if i in self._doubt.signals:
                continue
            now = healthy[i] + means[0, i]
            # A condition that was read wildly explains away more than a float can hold.
            level, was = (math.exp(min(now, _LOG_MAX)), math.exp(healthy[i])) if signal.log else (now, healthy[i])
            found.append(
                Departure(
                    tag=signal.tag, strength=float(means[0, i] / spread[i]), level=float(level), healthy=float(was),
                    risen_h=float(risen_h[i]), trend=float(means[0, i] - means[-1, i]), above=signal.minus,
                    since_ns=self._since_ns[i],
                )
            )  # fmt: skip
        return found

    def kept(self) -> dict[str, Any]:
        return {
            "bundle": self._bundle.hash,
            "doubt": sorted(self._doubt.tags),
            "tracker": base64.b64encode(self._tracker.state()).decode(),
            "polls": [self._stalled_polls, self._hourless_polls, self._renewals],
            "life": asdict(self._settled_life),
            "health": asdict(self._settled_health),
            "anomaly": asdict(self._settled_anomaly),
            "budget": self._budget.kept(),
            "watch": self._watch.kept(),
            "since": self._since_ns,
            "strange": asdict(self._settled_strange),
            **({"gaps": gaps} if (gaps := self._gaps.kept()) else {}),
        }

    def restore(self, kept: dict[str, Any]) -> bool:
        """The tracker's state goes over to a new bundle that follows the same features; the models' own does not."""
        if not self._tracker.restore(base64.b64decode(kept["tracker"])):
            return False
        self._doubt = Doubt(self._spec, frozenset(kept.get("doubt", ())))
        self._renew()
        self._stalled_polls, self._hourless_polls, renewals = kept["polls"]
        if kept["bundle"] == self._bundle.hash:
            self._renewals = renewals
            self._settled_life = SettledLife(**kept["life"])
            self._settled_health = SettledHealth(**kept["health"])
            self._settled_anomaly = SettledAnomaly(**kept["anomaly"])
            self._settled_strange = SettledAnomaly(**kept["strange"])
            if "budget" in kept:
                self._budget.restore(kept["budget"])
        self._gaps.restore(kept.get("gaps", []))
        if "watch" in kept:
            self._watch.restore(kept["watch"])
            self._since_ns = [int(since) for since in kept["since"]]
        return True
