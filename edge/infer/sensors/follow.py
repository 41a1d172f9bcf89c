"""Following the learned model block by block: averages, charts, what explains them, and by how much a sensor is off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.types import SensorFault
from edge.features.baseline import Baseline
from edge.features.tracker import NUMBER_MAX
from edge.infer.sensors import words
from edge.infer.sensors.charts import Cusum
from edge.infer.sensors.isolate import ABOUT_AS_WELL, FAR_BETTER, Evidence, explains, isolate, rivals, shift_of
from edge.infer.sensors.model import Model, is_outside
from edge.infer.sensors.spec import SensorSpec
from edge.infer.sensors.suspicion import Manner, Suspicion
from edge.infer.sensors.swapped import BLOCKS, exchanged, fits, pairs_of

Array = NDArray[np.float64]

_SLOW_BLOCKS, _FAST_BLOCKS = 8.0, 2.0
_STALE_BLOCKS = 8
_FOLLOWED_BLOCKS = 4
_NEAR_SD, _NEAR_BLOCKS = 3.0, 4
_MATERIAL, _MATERIAL_RATIO = 0.01, 0.03
_LOG_MAX = math.log(NUMBER_MAX)


@dataclass(frozen=True, slots=True)
class Call:
    """A sensor that is off since so many blocks ago."""

    tag: str
    fault: SensorFault
    blocks: int
    offset: float | None
    words: str


class Follower:
    """One asset's learned model and what has been averaged since."""

    def __init__(self, spec: SensorSpec, model: Model) -> None:
        self._spec, self._model = spec, model
        size = len(model.sd)
        self._slow, self._fast = np.zeros(size), np.zeros(size)
        self._stale = np.zeros(size)
        self._conditions = np.array([model.baseline.centre, model.baseline.centre])
        self._charts = [Cusum() for _ in range(size)]
        self._levels = np.zeros(len(spec.tags))
        self._near: dict[str, int] = {}
        self._pairs = pairs_of(spec, model)
        self._other = np.zeros((len(self._pairs), size))
        """Fast averages as they would be with each pair arranged the other way than it is taken to be."""
        self._other_blocks = [0] * len(self._pairs)
        self._swapped: int | None = None
        """The pair that is taken to be exchanged."""
        self._known: tuple[int, ...] = ()
        self.suspicion = Suspicion()
        self._prepare()

    def _prepare(self) -> None:
        model, n = self._model, len(self._spec.signals)
        self._know()
        self._tags = (*(self._spec.signals[i].tag for i in model.signals), *("" for _ in model.balances))
        self._inexact = frozenset(range(n, n + len(self._spec.conditions)))

    def _know(self) -> None:
        """How well the averages are known, under the conditions that they were taken under."""
        slow, fast = self._conditions
        self._slow_covariance = self._model.covariance(_worth(_SLOW_BLOCKS), slow)
        self._fast_covariance = self._model.covariance(_worth(_FAST_BLOCKS), fast)

    def update(self, rows: Array, levels: Array, known: tuple[int, ...]) -> list[Call]:
        """Take a block's ``rows`` [steps, signals + balances + conditions] and mean readings [sensors].

        ``known`` are the sensors that drift already. Gives the sensors that are called off by it.
        """
        rows = self._inside(rows)
        plain, given = self._block(rows)
        self._known = known
        if not given.any():
            return self._judged() if self._condition_is_suspect() else []
        others = [self._block(np.array([exchanged(self._spec, row, pair) for row in rows]))[0] for pair in self._pairs]
        mean = plain if self._swapped is None else others[self._swapped]
        self._average(mean, given, [plain if k == self._swapped else other for k, other in enumerate(others)])
        rate = np.where(self._levels == 0.0, 1.0, _rate(_FAST_BLOCKS))
        self._levels += np.where(np.isfinite(levels), rate * (np.nan_to_num(levels) - self._levels), 0.0)
        for i in np.flatnonzero(given):
            self._charts[i].update(float(mean[i] / (self._model.sd[i] * math.sqrt(self._model.memory[i]))))
        if self._rearranged(plain, others):
            return self._exchange_calls()
        return self._judged()

    def _condition_is_suspect(self) -> bool:
        """A condition's sensor that drifts on leaves what was learned: that speaks for the suspicion, not against."""
        suspects = set(self.suspicion.suspects)
        return bool(suspects) and suspects <= self._inexact and self.suspicion.blocks >= _FOLLOWED_BLOCKS

    def _judged(self) -> list[Call]:
        finding = isolate(self._evidence(fast=False), self._spec.couplings)
        called = self.suspicion.take(
            finding,
            lambda s: explains(self._evidence(fast=False), s, finding.sensors),
            self._shift,
            self._manner,
        )
        return [self._call(j) for j in called if self._is_material(j)]

    def _inside(self, rows: Array) -> Array:
        """Those ``rows`` in which the asset ran as it did while it was learned."""
        under = [len(self._spec.signals) + len(self._spec.balances) + i for i in self._model.conditions]
        conditions = rows[:, under]
        keep = [np.isfinite(c).all() and not is_outside(self._model, c) for c in conditions]
        if any(keep):
            for average, blocks in zip(self._conditions, (_SLOW_BLOCKS, _FAST_BLOCKS), strict=True):
                average += _rate(blocks) * (conditions[keep].mean(axis=0) - average)
            self._know()
        return rows[keep]

    def _block(self, rows: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Mean residual of a block, and where it was given."""
        model, n, b = self._model, len(self._spec.signals), len(self._spec.balances)
        columns = [*model.signals, *(n + i for i in model.balances)]
        if not len(rows):
            return np.zeros(len(columns)), np.zeros(len(columns), dtype=bool)
        under = [n + b + i for i in model.conditions]
        stacked = np.array([row[columns] - model.baseline.expected(row[under]) for row in rows])
        count = np.isfinite(stacked).sum(axis=0)
        return np.nansum(stacked, axis=0) / np.maximum(count, 1), count > 0

    def _average(self, mean: Array, given: NDArray[np.bool_], others: list[Array]) -> None:
        for average, blocks in ((self._slow, _SLOW_BLOCKS), (self._fast, _FAST_BLOCKS)):
            average += np.where(given, _rate(blocks) * (mean - average), 0.0)
        for k, other in enumerate(others):
            self._other[k] += np.where(given, _rate(_FAST_BLOCKS) * (other - self._other[k]), 0.0)
        self._stale = np.where(given, 0.0, self._stale + 1.0)

    def _evidence(self, *, fast: bool, but: int | None = None) -> Evidence:
        here = np.flatnonzero(self._stale <= _STALE_BLOCKS)
        covariance = self._fast_covariance if fast else self._slow_covariance
        return Evidence(
            mean=(self._fast if fast else self._slow)[here],
            covariance=covariance[np.ix_(here, here)],
            signature=self._model.signature[here],
            tags=tuple(self._tags[i] for i in here),
            known=tuple(k for k in self._known if k != but),
            inexact=self._inexact,
        )

    def _shift(self, sensor: int) -> float:
        return shift_of(self._evidence(fast=True, but=sensor), sensor)[0]

    def _manner(self, sensor: int, shift: float) -> Manner:
        """How the residual that ``sensor`` shifts most looks beside the faults of the machine."""
        effect = self._model.signature[:, sensor] / self._model.sd
        row = int(np.abs(effect).argmax())
        tag, way = self._tags[row], 1 if effect[row] * shift > 0.0 else -1
        if not any((tag, way) in coupling.moves for coupling in self._spec.couplings):
            return Manner.ALIEN
        return Manner.EARLY if way > 0 and tag in self._spec.early else Manner.COUPLED

    def _is_material(self, sensor: int) -> bool:
        share = _MATERIAL_RATIO if self._is_ratio(sensor) else _MATERIAL
        return abs(self.offset(sensor)[0]) >= share * abs(float(self._levels[sensor]))

    def _is_ratio(self, sensor: int) -> bool:
        return sensor < len(self._spec.signals) and self._spec.signals[sensor].log

    def offset(self, sensor: int) -> tuple[float, str]:
        """How far ``sensor`` reads off, in its unit, and the sentence that says so."""
        shift, level = self._shift(sensor), float(self._levels[sensor])
        offset = level * -math.expm1(min(-shift, _LOG_MAX)) if self._is_ratio(sensor) else shift
        tag = self._spec.tags[sensor]
        said = words.drifting(tag, self._spec.unit(tag), offset, level, "all other sensors", self._rival(sensor))
        return offset, said

    def _rival(self, sensor: int) -> str:
        """The sensor that would explain the same about as well: where two only disagree, nobody can tell which."""
        found = rivals(self._evidence(fast=False, but=sensor), sensor)
        return self._spec.tags[found[0][1]] if found and found[0][0] < ABOUT_AS_WELL else ""

    def reblamed(self) -> list[tuple[str, Call]]:
        """Of the sensors that drift those that were blamed wrongly, by what came since, each with the right one."""
        found = []
        for j in self._known:
            others = rivals(self._evidence(fast=False, but=j), j)
            if others and others[0][0] < FAR_BETTER:
                self._known = tuple(others[0][1] if k == j else k for k in self._known)
                found.append((self._spec.tags[j], self._call(others[0][1])))
        return found

    def _call(self, sensor: int) -> Call:
        rows = [i for i, tag in enumerate(self._tags) if tag == self._spec.tags[sensor]]
        blocks = self._charts[rows[0]].since if rows else int(_SLOW_BLOCKS)
        return Call(self._spec.tags[sensor], SensorFault.DRIFTING, blocks, *self.offset(sensor))

    def believed_again(self, known: tuple[int, ...]) -> list[str]:
        """Of the sensors that drift, those that have been right again for a day."""
        found = []
        for j in known:
            shift, sd = shift_of(self._evidence(fast=True, but=j), j)
            tag = self._spec.tags[j]
            self._near[tag] = self._near.get(tag, 0) + 1 if abs(shift) < _NEAR_SD * sd else 0
            if self._near[tag] >= _NEAR_BLOCKS:
                del self._near[tag]
                self.forget((j,))
                found.append(tag)
        return found

    def forget(self, sensors: tuple[int, ...]) -> None:
        """What ``sensors`` did to the averages: they are right again."""
        touched = (self._model.signature[:, list(sensors)] != 0.0).any(axis=1)
        self._slow = np.where(touched, self._fast, self._slow)
        for i in np.flatnonzero(touched):
            self._charts[i] = Cusum()

    # -- two exchanged ---------------------------------------------------------------------------------------------

    def _rearranged(self, plain: Array, others: list[Array]) -> bool:
        """Whether a pair is now taken to be exchanged, or back in its place, by the averages up to this block."""
        if (self._stale > 0.0).any():
            return False
        for k in range(len(self._pairs)):
            if self._swapped not in (None, k):
                continue
            better = fits(self._fast, self._other[k], self._fast_covariance)
            self._other_blocks[k] = self._other_blocks[k] + 1 if better else 0
            if self._other_blocks[k] >= BLOCKS:
                self._swapped = k if self._swapped is None else None
                touched = plain != others[k]
                # What was averaged under the wrong arrangement is forgotten.
                self._fast = np.where(touched, plain if self._swapped is None else others[k], self._fast)
                self._slow = np.where(touched, 0.0, self._slow)
                self._other[k] = others[k] if self._swapped is None else plain
                self._charts = [Cusum() for _ in self._charts]
                self._other_blocks, self.suspicion = [0] * len(self._pairs), Suspicion()
                return True
        return False

    def _exchange_calls(self) -> list[Call]:
        if not self.exchanged:
            return []
        said = words.swapped(*self.exchanged)
        return [Call(tag, SensorFault.SWAPPED, BLOCKS, None, said) for tag in self.exchanged]

    @property
    def exchanged(self) -> tuple[str, ...]:
        """The two tags that are taken to be exchanged; empty where none are."""
        return () if self._swapped is None else tuple(self._spec.signals[i].tag for i in self._pairs[self._swapped])

    # -- keeping ---------------------------------------------------------------------------------------------------

    def kept(self) -> dict[str, Any]:
        model = self._model
        return {
            "model": {
                "signals": list(model.signals), "conditions": list(model.conditions),
                "balances": list(model.balances),
                "baseline": model.baseline.flat().tolist(), "sd": model.sd.tolist(), "memory": model.memory.tolist(),
                "correlation": model.correlation.tolist(), "signature": model.signature.tolist(),
                "blocks": model.blocks,
            },
            "averages": [self._slow.tolist(), self._fast.tolist(), self._stale.tolist(), self._levels.tolist()],
            "conditions": self._conditions.tolist(),
            "charts": [[c.up, c.down, c.up_since, c.down_since] for c in self._charts],
            "near": self._near,
            "other": [self._other.tolist(), self._other_blocks, self._swapped],
            "suspicion": self.suspicion.kept(),
        }  # fmt: skip

    @staticmethod
    def of(spec: SensorSpec, kept: Mapping[str, Any]) -> Follower:
        """The inverse of ``kept``."""
        m = kept["model"]
        signals, conditions, balances = (tuple(m[key]) for key in ("signals", "conditions", "balances"))
        size = len(signals) + len(balances)
        baseline = Baseline.unflat(np.array(m["baseline"]), signals=size, conditions=len(conditions))
        model = Model(
            signals, conditions, balances, baseline, np.array(m["sd"]), np.array(m["memory"]),
            np.array(m["correlation"]), np.array(m["signature"]),
            m["blocks"],
        )  # fmt: skip
        follower = Follower(spec, model)
        follower._slow, follower._fast, follower._stale, follower._levels = (np.array(a) for a in kept["averages"])
        follower._conditions = np.array(kept["conditions"]).reshape(2, len(conditions))
        follower._know()
        follower._charts = [Cusum(up=c[0], down=c[1], up_since=c[2], down_since=c[3]) for c in kept["charts"]]
        follower._near = dict(kept["near"])
        other, follower._other_blocks, follower._swapped = kept["other"]
        follower._other = np.array(other).reshape(len(follower._pairs), len(model.sd))
        follower.suspicion = Suspicion.of(kept["suspicion"])
        return follower


def _rate(blocks: float) -> float:
    """Of an exponential average over so many blocks."""
    return -math.expm1(-1.0 / blocks)


def _worth(blocks: float) -> float:
    """Independent blocks that such an average is worth: (2 - rate) / rate."""
    return (2.0 - _rate(blocks)) / _rate(blocks)
