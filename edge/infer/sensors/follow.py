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
from edge.infer.sensors import words
from edge.infer.sensors.charts import Cusum
from edge.infer.sensors.isolate import Evidence, explains, isolate, shift_of
from edge.infer.sensors.model import Model, is_outside
from edge.infer.sensors.spec import SensorSpec
from edge.infer.sensors.suspicion import Suspicion
from edge.infer.sensors.swapped import distance, exchanged, pairs_of, replaced

Array = NDArray[np.float64]

_SLOW_BLOCKS, _FAST_BLOCKS = 8.0, 2.0
_STALE_BLOCKS = 8
_NEAR_SD, _NEAR_BLOCKS = 3.0, 4
_MATERIAL, _MATERIAL_RATIO = 0.01, 0.03
_SWAP_GAIN, _SWAP_BLOCKS = 8.0, 2


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
        self._charts = [Cusum() for _ in range(size)]
        self._levels = np.zeros(len(spec.tags))
        self._near: dict[str, int] = {}
        self._pairs = pairs_of(spec, model)
        self._exchanged = np.zeros((len(self._pairs), 2))
        self._swap_blocks = [0] * len(self._pairs)
        self._known: tuple[int, ...] = ()
        self.suspicion = Suspicion()
        self._prepare()

    def _prepare(self) -> None:
        model, n = self._model, len(self._spec.signals)
        self._slow_covariance = model.covariance(_worth(_SLOW_BLOCKS))
        self._fast_covariance = model.covariance(_worth(_FAST_BLOCKS))
        self._tags = (*(self._spec.signals[i].tag for i in model.signals), *("" for _ in model.balances))
        self._inexact = frozenset(range(n, n + len(self._spec.conditions)))
        self._ups = {t for c in self._spec.couplings for t, way in c.moves if way > 0 and t in self._spec.early}

    def update(self, rows: Array, levels: Array, known: tuple[int, ...]) -> list[Call]:
        """Take a block's ``rows`` [steps, signals + balances + conditions] and mean readings [sensors].

        ``known`` are the sensors that drift already. Gives the sensors that are called off by it.
        """
        mean, given, swapped = self._block(rows)
        if not given.any():
            return []
        self._known = known
        self._average(mean, given, swapped)
        rate = np.where(self._levels == 0.0, 1.0, _rate(_FAST_BLOCKS))
        self._levels += np.where(np.isfinite(levels), rate * (np.nan_to_num(levels) - self._levels), 0.0)
        for i in np.flatnonzero(given):
            self._charts[i].update(float(mean[i] / (self._model.sd[i] * math.sqrt(self._model.memory[i]))))
        exchanged_ = self._exchanges()
        if exchanged_:
            return exchanged_
        finding = isolate(self._evidence(fast=False), self._spec.couplings)
        called = self.suspicion.take(
            finding, lambda s: explains(self._evidence(fast=False), s), self._shift, self._is_early
        )  # fmt: skip
        return [self._call(j) for j in called if self._is_material(j)]

    def _block(self, rows: Array) -> tuple[Array, NDArray[np.bool_], Array]:
        """Mean residual of a block, where it was given, and for each pair those with the two sensors exchanged."""
        model, n, b = self._model, len(self._spec.signals), len(self._spec.balances)
        columns = [*model.signals, *(n + i for i in model.balances)]
        found, other = [], []
        for row in rows:
            conditions = row[[n + b + i for i in model.conditions]]
            if not np.isfinite(conditions).all() or is_outside(model, conditions):
                continue
            expected = model.baseline.expected(conditions)
            found.append(row[columns] - expected)
            other.append([np.array(exchanged(self._spec, model, row, p)) - expected[list(p)] for p in self._pairs])
        size = len(columns)
        if not found:
            return np.zeros(size), np.zeros(size, dtype=bool), np.zeros((len(self._pairs), 2))
        stacked, swaps = np.array(found), np.array(other).reshape(len(found), len(self._pairs), 2)
        count = np.isfinite(stacked).sum(axis=0)
        counted = np.maximum(np.isfinite(swaps).sum(axis=0), 1)
        return np.nansum(stacked, axis=0) / np.maximum(count, 1), count > 0, np.nansum(swaps, axis=0) / counted

    def _average(self, mean: Array, given: NDArray[np.bool_], swapped: Array) -> None:
        for average, blocks in ((self._slow, _SLOW_BLOCKS), (self._fast, _FAST_BLOCKS)):
            average += np.where(given, _rate(blocks) * (mean - average), 0.0)
        self._exchanged += _rate(_FAST_BLOCKS) * (swapped - self._exchanged)
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

    def _is_early(self, sensor: int, shift: float) -> bool:
        return shift > 0.0 and self._spec.tags[sensor] in self._ups

    def _is_material(self, sensor: int) -> bool:
        share = _MATERIAL_RATIO if self._is_ratio(sensor) else _MATERIAL
        return abs(self.offset(sensor)[0]) >= share * abs(float(self._levels[sensor]))

    def _is_ratio(self, sensor: int) -> bool:
        return sensor < len(self._spec.signals) and self._spec.signals[sensor].log

    def offset(self, sensor: int) -> tuple[float, str]:
        """How far ``sensor`` reads off, in its unit, and the sentence that says so."""
        shift, level = self._shift(sensor), float(self._levels[sensor])
        offset = level * -math.expm1(-shift) if self._is_ratio(sensor) else shift
        tag = self._spec.tags[sensor]
        said = words.drifting(tag, self._spec.unit(tag), offset, level, "all other sensors", self._rival(sensor))
        return offset, said

    def _rival(self, sensor: int) -> str:
        """The sensor that would explain the same nearly as well: where two only disagree, nobody can tell which."""
        evidence = self._evidence(fast=False, but=sensor)
        column = evidence.signature[:, sensor]
        weight = np.linalg.inv(evidence.covariance)
        for j, tag in enumerate(self._spec.tags):
            other = evidence.signature[:, j]
            size = float(other @ weight @ other) * float(column @ weight @ column)
            if j != sensor and size > 0.0 and float(other @ weight @ column) ** 2 > 0.9 * size:
                return tag
        return ""

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

    def _exchanges(self) -> list[Call]:
        evidence = self._evidence(fast=True)
        if len(evidence.mean) < len(self._fast) or not self._pairs:
            return []
        now = distance(self._fast, self._fast_covariance)
        for k, pair in enumerate(self._pairs):
            then = distance(replaced(self._fast, pair, self._exchanged[k]), self._fast_covariance)
            fits = now - then > _SWAP_GAIN**2 and then < 0.05 * now
            self._swap_blocks[k] = self._swap_blocks[k] + 1 if fits else 0
            if self._swap_blocks[k] == _SWAP_BLOCKS:
                one, two = (self._tags[i] for i in pair)
                return [Call(t, SensorFault.SWAPPED, _SWAP_BLOCKS, None, words.swapped(one, two)) for t in (one, two)]
        return []

    def exchanged_back(self) -> list[str]:
        """The tags of pairs that do not fit exchanged any longer."""
        return [self._tags[i] for k, pair in enumerate(self._pairs) if self._swap_blocks[k] == 0 for i in pair]

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
            "charts": [[c.up, c.down, c.up_since, c.down_since] for c in self._charts],
            "near": self._near,
            "exchanged": self._exchanged.tolist(),
            "swap_blocks": self._swap_blocks,
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
            np.array(m["correlation"]), np.array(m["signature"]), m["blocks"],
        )  # fmt: skip
        follower = Follower(spec, model)
        follower._slow, follower._fast, follower._stale, follower._levels = (np.array(a) for a in kept["averages"])
        follower._charts = [Cusum(up=c[0], down=c[1], up_since=c[2], down_since=c[3]) for c in kept["charts"]]
        follower._near = dict(kept["near"])
        follower._exchanged = np.array(kept["exchanged"]).reshape(len(follower._pairs), 2)
        follower._swap_blocks = list(kept["swap_blocks"])
        follower.suspicion = Suspicion.of(kept["suspicion"])
        return follower


def _rate(blocks: float) -> float:
    """Of an exponential average over so many blocks."""
    return -math.expm1(-1.0 / blocks)


def _worth(blocks: float) -> float:
    """Independent blocks that such an average is worth: (2 - rate) / rate."""
    return (2.0 - _rate(blocks)) / _rate(blocks)
