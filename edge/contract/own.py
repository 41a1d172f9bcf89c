"""A customer's own model in a bundle: what it is fed, what it answers, and where it may be believed.

Plain data, the same in the manifest's section ``own`` and in the TOML file that it is packed from:

    hour_meter = "hour_meter_h"          # tag of operating hours; left out, the clock's hours count
    outputs = ["rul_h", "health"]        # what the model answers, in order
    [[feature]]                          # in the order of the model's inputs
    tag = "vibration_mm_s"
    unit = "mm/s"
    over_h = 6.0                         # exponential mean over these hours; 0, or left out: the last reading
    centre = 2.1                         # the model is fed (value - centre) / spread; left out: 0 and 1
    spread = 0.8
    low = 0.2                            # where the model was trained; a value beyond is cut, flagged, and widens
    high = 11.0
    [life]                               # wants the output rul_h, in hours of the hour meter
    cap_h = 1000.0                       # the longest life it can tell
    coverage = 0.9                       # what the margins were calibrated for, on machines that it had not seen
    at_h = [10.0, 100.0, 1000.0]         # margins of a predicted life, linear between
    below_h = [6.0, 40.0, 300.0]
    above_h = [12.0, 80.0, 0.0]
    [anomaly]                            # wants the output anomaly, or a model that gives back its inputs
    threshold = 3.5

``outputs`` are ``rul_h``, ``health`` (1 as new, 0 failed), ``anomaly``, each once at most, and ``-`` for what nobody
asks for; or ``["inputs"]`` for an autoencoder, whose anomaly is the root mean square of what it cannot reproduce. One
of ``life`` and ``anomaly`` is enough. A life without margins is refused: nobody can bet on a bare number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_FEATURES_MAX = 1024
_OVER_H_MAX = 10_000.0
_NAMED = ("rul_h", "health", "anomaly")
REPRODUCED = ("inputs",)
"""Outputs of an autoencoder."""


class Unfit(ValueError):
    """A description that cannot be used, in words: the key, what was found and what is wanted."""


@dataclass(frozen=True)
class OwnFeature:
    """One input: ``tag`` in ``unit``, averaged over ``over_h`` hours, or its last reading where that is 0."""

    tag: str
    unit: str
    over_h: float
    centre: float
    spread: float
    low: float
    high: float


@dataclass(frozen=True)
class OwnLife:
    """Margins ``below_h`` and ``above_h`` of a predicted life, at the knots ``at_h`` (ascending)."""

    cap_h: float
    coverage: float
    at_h: Array
    below_h: Array
    above_h: Array

    def around(self, rul_h: float) -> tuple[float, float]:
        below, above = np.interp(rul_h, self.at_h, self.below_h), np.interp(rul_h, self.at_h, self.above_h)
        return max(rul_h - float(below), 0.0), min(rul_h + float(above), self.cap_h)


@dataclass(frozen=True)
class OwnModel:
    """``threshold`` of the anomaly, None where the model does not tell one."""

    features: tuple[OwnFeature, ...]
    outputs: tuple[str, ...]
    hour_meter: str
    life: OwnLife | None
    threshold: float | None

    @property
    def answers(self) -> int:
        """How many numbers the model gives."""
        return len(self.features) if self.outputs == REPRODUCED else len(self.outputs)


def own_model(data: Mapping[str, Any]) -> OwnModel:
    """Read the section. Raises ``Unfit`` that names the key, what was found and what is wanted."""
    top = _Table(data, "")
    outputs = tuple(top.texts("outputs"))
    hour_meter = top.text("hour_meter", "")
    features = tuple(_feature(table) for table in top.tables("feature"))
    life_table, anomaly_table = top.table("life"), top.table("anomaly")
    top.end()
    if not 0 < len(features) <= _FEATURES_MAX:
        raise Unfit(f"`feature`: found {len(features)}, wants 1 to {_FEATURES_MAX}, one for each input of the model")
    _check_outputs(outputs, life=life_table is not None, anomaly=anomaly_table is not None)
    threshold = None
    if anomaly_table is not None:
        threshold = anomaly_table.number("threshold", positive=True)
        anomaly_table.end()
    return OwnModel(features, outputs, hour_meter, _life(life_table) if life_table else None, threshold)


def _check_outputs(outputs: tuple[str, ...], *, life: bool, anomaly: bool) -> None:
    reproduces = outputs == REPRODUCED
    named = [name for name in outputs if name != "-"]
    if not reproduces and (set(named) - set(_NAMED) or len(set(named)) < len(named)):
        wanted = f'{", ".join(_NAMED)}, each once at most, and - for others; or ["inputs"] of an autoencoder'
        raise Unfit(f"`outputs`: found {list(outputs)}, wants {wanted}")
    if not life and not anomaly:
        raise Unfit("neither [life] nor [anomaly]: nothing of what it answers would be used")
    if life != ("rul_h" in outputs):
        raise Unfit("[life] and the output rul_h belong together: give both, with the margins of the life, or none")
    if anomaly != (reproduces or "anomaly" in outputs):
        raise Unfit("[anomaly] and the output anomaly (or inputs) belong together: give both or none")


def _feature(table: _Table) -> OwnFeature:
    feature = OwnFeature(
        tag=table.text("tag"),
        unit=table.text("unit"),
        over_h=table.number("over_h", 0.0),
        centre=table.number("centre", 0.0),
        spread=table.number("spread", 1.0, positive=True),
        low=table.number("low"),
        high=table.number("high"),
    )
    table.end()
    if not feature.tag:
        raise Unfit(f"{table.key('tag')}: empty")
    if not 0.0 <= feature.over_h <= _OVER_H_MAX:
        raise Unfit(f"{table.key('over_h')}: found {feature.over_h}, wants 0 to {_OVER_H_MAX:.0f} hours")
    if not feature.low < feature.high:
        raise Unfit(f"{table.key('low')}: found {feature.low}, wants less than high ({feature.high})")
    return feature


def _life(table: _Table) -> OwnLife:
    cap_h, coverage = table.number("cap_h", positive=True), table.number("coverage", positive=True)
    at_h, below_h, above_h = (table.numbers(key) for key in ("at_h", "below_h", "above_h"))
    table.end()
    if not coverage < 1.0:
        raise Unfit(f"{table.key('coverage')}: found {coverage}, wants a share below 1")
    if not len(at_h) == len(below_h) == len(above_h) >= 1:
        raise Unfit(f"{table.key('at_h')}, below_h, above_h: want as many numbers each, one or more")
    if not (np.diff(at_h) > 0.0).all() or min(*below_h, *above_h) < 0.0:
        raise Unfit(f"{table.key('at_h')}: wants to ascend, and below_h and above_h 0 or more")
    return OwnLife(cap_h, coverage, at_h, below_h, above_h)


class _Table:
    """A table of the file, read key by key; ``end`` refuses keys that nobody asked for."""

    def __init__(self, data: object, path: str) -> None:
        if not isinstance(data, Mapping):
            raise Unfit(f"`{path}`: wants a table")
        self._data, self._path, self._read = data, path, set[str]()

    def key(self, name: str) -> str:
        return f"`{self._path}.{name}`" if self._path else f"`{name}`"

    def _take(self, name: str, default: object) -> Any:
        self._read.add(name)
        value = self._data.get(name, default)
        if value is None:
            raise Unfit(f"{self.key(name)}: missing")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        value = self._take(name, default)
        if not isinstance(value, str):
            raise Unfit(f"{self.key(name)}: found {value!r}, wants a text")
        return value

    def texts(self, name: str) -> list[str]:
        value = self._take(name, None)
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            raise Unfit(f"{self.key(name)}: found {value!r}, wants a list of texts")
        return value

    def number(self, name: str, default: float | None = None, *, positive: bool = False) -> float:
        value = self._take(name, default)
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not good or (positive and value <= 0.0):
            raise Unfit(f"{self.key(name)}: found {value!r}, wants a {'positive ' if positive else ''}number")
        return float(value)

    def numbers(self, name: str) -> Array:
        value = self._take(name, None)
        try:
            numbers = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise Unfit(f"{self.key(name)}: found {value!r}, wants a list of numbers") from error
        if numbers.ndim != 1 or not np.isfinite(numbers).all():
            raise Unfit(f"{self.key(name)}: found {value!r}, wants a list of numbers")
        return numbers

    def table(self, name: str) -> _Table | None:
        self._read.add(name)
        return _Table(self._data[name], self.key(name).strip("`")) if name in self._data else None

    def tables(self, name: str) -> list[_Table]:
        value = self._take(name, [])
        if not isinstance(value, list):
            raise Unfit(f"{self.key(name)}: wants [[{name}]] tables")
        return [_Table(one, f"{name}[{i}]") for i, one in enumerate(value)]

    def end(self) -> None:
        unknown = sorted(str(key) for key in set(self._data) - self._read)
        if unknown:
            raise Unfit(f"{self.key(unknown[0])}: no such key; known here: {', '.join(sorted(self._read))}")
