"""Wear that many sensors see together, told apart from the operating point that changes from one reading to the next.

A factor model for each operating regime (Bartlett's weighted least squares on a factor analysis): sensor j reads
``level[r, j] + gains[r, j] · wear + noise[r, j]``. Few factors of wear explain all sensors, and each regime shows them
with gains and noise of its own. Readings are added as information (gains over noise variance): a regime that hardly
shows a wear hardly counts, a missing sensor adds nothing, and readings of all regimes speak of the same wear.

The features of one asset are its wear averaged over several time constants, what it was at the start, and its age.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_CLIP = 5.0
"""A reading further from its level than so many of its sds in training is taken to be this far."""
_PRIOR = 1.0
"""Information that wear is nil, so that the first few readings are not believed blindly."""


@dataclass(frozen=True)
class FactorModel:
    """``centres`` [regimes, settings] and ``scale`` [settings] tell the regime; ``level``, ``noise`` and ``spread``
    [regimes, sensors] and ``gains`` [regimes, sensors, factors] in the sensors' units; ``spread`` is the sd over whole
    lives. A sensor that shows nothing in a regime has no gain there. ``taus``, ascending, and ``start`` in readings.
    """

    centres: Array
    scale: Array
    level: Array
    gains: Array
    noise: Array
    spread: Array
    taus: tuple[float, ...] = (4.0, 12.0, 30.0, 80.0)
    start: int = 15

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in the order of ``FactorFollower.vector``."""
        factors = range(1, self.gains.shape[2] + 1)
        pairs = zip(self.taus, self.taus[1:], strict=False)
        parts = (
            f"mean_{self.taus[1]:g}", *(f"mean_{a:g}_less_{b:g}" for a, b in pairs), "since_start", "life_less_start",
        )  # fmt: skip
        return (*(f"wear_{i}.{part}" for part in parts for i in factors), "age", "age_log")

    def regime(self, settings: Array) -> int:
        """The regime nearest to ``settings`` [settings]."""
        distance = (settings - self.centres) / self.scale
        return int(np.argmin((distance * distance).sum(axis=1)))

    def information(self, readings: Array, settings: Array) -> tuple[Array, Array]:
        """What one row says of wear: the vector [factors] and the matrix [factors, factors]; NaN says nothing."""
        r = self.regime(settings)
        reach = _CLIP * self.spread[r]
        departure = np.minimum(np.maximum(readings - self.level[r], -reach), reach)
        known = np.isfinite(departure)
        gains = self.gains[r][known]
        weighted = gains / (self.noise[r][known] ** 2)[:, None]
        return weighted.T @ departure[known], weighted.T @ gains

    def as_json(self) -> dict[str, Any]:
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("taus", "start")}
        return {name: a.tolist() for name, a in arrays.items()} | {"taus": list(self.taus), "start": self.start}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> FactorModel:
        """The inverse of ``as_json``. Raises ``TypeError`` or ``ValueError`` for what is no such model."""
        plain: dict[str, Any] = {
            name: np.asarray(value, dtype=np.float64) for name, value in data.items() if name not in ("taus", "start")
        }
        model = FactorModel(**plain, taus=tuple(float(t) for t in data["taus"]), start=int(data["start"]))
        k, d, _ = model.gains.shape
        if not (model.level.shape == model.noise.shape == model.spread.shape == (k, d) and len(model.centres) == k):
            raise ValueError("parts of a factor model that do not belong together")
        if not ((model.noise > 0.0).all() and (model.scale > 0.0).all() and len(model.taus) > 1):
            raise ValueError("a factor model wants positive noise and scale, and two time constants")
        return model


class FactorFollower:
    """One asset: ``update`` takes a row, ``vector`` gives the features, ``kept`` and ``restore`` continue it."""

    def __init__(self, model: FactorModel) -> None:
        self.model = model
        q = model.gains.shape[2]
        # The last two rows are the sums over the start and over the whole life.
        self._vectors = np.zeros((len(model.taus) + 2, q))
        self._matrices = np.zeros((len(model.taus) + 2, q, q))
        self._decay = np.array([*(math.exp(-1.0 / tau) for tau in model.taus), 1.0, 1.0])
        self.age = 0

    def update(self, readings: Array, settings: Array) -> None:
        """Take one row: ``readings`` [sensors], NaN where there is none, under ``settings`` [settings], all finite."""
        vector, matrix = self.model.information(readings, settings)
        self.age += 1
        start = self._vectors[-2].copy(), self._matrices[-2].copy()
        self._vectors = self._vectors * self._decay[:, None] + vector
        self._matrices = self._matrices * self._decay[:, None, None] + matrix
        if self.age > self.model.start:
            self._vectors[-2], self._matrices[-2] = start

    def vector(self) -> NDArray[np.float64]:
        """The features in the order of ``model.names``; finite. After the first row only."""
        assert self.age > 0, "no features before the first row"
        prior = _PRIOR * np.eye(self._vectors.shape[1])
        wear = np.linalg.solve(self._matrices + prior, self._vectors[..., None])[..., 0]
        means, (start, life) = wear[:-2], wear[-2:]
        return np.concatenate([
            means[1], (means[:-1] - means[1:]).ravel(), means[1] - start, life - start,
            [self.age / 100.0, math.log(self.age) / 2.0],
        ])  # fmt: skip

    def kept(self) -> dict[str, Any]:
        """All that a restart needs, as plain JSON data."""
        numbers = np.concatenate([self._vectors.ravel(), self._matrices.ravel()]).astype("<f8")
        return {"age": self.age, "sums": base64.b64encode(numbers.tobytes()).decode()}

    def restore(self, kept: Mapping[str, Any]) -> bool:
        """Continue, bit-equal; False, with nothing changed, where ``kept`` is of another model's shape."""
        try:
            numbers = np.frombuffer(base64.b64decode(kept["sums"]), dtype="<f8").astype(np.float64)
            age = int(kept["age"])
        except (KeyError, TypeError, ValueError):
            return False
        size = self._vectors.size
        if numbers.size != size + self._matrices.size or not np.isfinite(numbers).all() or age < 0:
            return False
        self._vectors = numbers[:size].reshape(self._vectors.shape)
        self._matrices = numbers[size:].reshape(self._matrices.shape)
        self.age = age
        return True


def follow(model: FactorModel, readings: Array, settings: Array) -> Array:
    """Features after each row of one asset's history: [rows, sensors] and [rows, settings] to [rows, features]."""
    follower = FactorFollower(model)
    features = []
    for row, setting in zip(readings, settings, strict=True):
        follower.update(row, setting)
        features.append(follower.vector())
    return np.array(features).reshape(len(features), len(model.names))
