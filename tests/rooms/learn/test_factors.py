"""Factors of wear are found without labels: the regimes, the gains that differ between them, what is constant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloud.learn.factors import fit_factors
from edge.features.factors import follow

Array = NDArray[np.float64]


def fleet(seed: int, regimes: int) -> tuple[Array, Array, NDArray[np.int64], Array]:
    """20 assets of 120 rows whose wear grows at paces of their own; 6 sensors, the last one constant."""
    rng = np.random.default_rng(seed)
    asset = np.repeat(np.arange(20), 120)
    wear = np.concatenate([np.linspace(0.0, 1.0, 120) ** 2 * rng.uniform(1.0, 3.0) for _ in range(20)])
    regime = rng.integers(0, regimes, asset.size)
    gains = rng.uniform(0.2, 2.0, (regimes, 5)) * np.array([1.0, -1.0, 1.0, -1.0, 1.0])
    readings = 50.0 * regime[:, None] + gains[regime] * wear[:, None] + 0.3 * rng.normal(size=(asset.size, 5))
    conditions = np.column_stack([10.0 * regime, 100.0 - regime**2]) + 0.01 * rng.normal(size=(asset.size, 2))
    return np.column_stack([readings, np.full(asset.size, 7.0)]), conditions, asset, wear


def found(seed: int, regimes: int) -> float:
    """Correlation of the true wear with the feature that follows it."""
    readings, conditions, asset, wear = fleet(seed, regimes)
    model = fit_factors(readings, conditions, asset, factors=1)
    assert len(model.centres) == regimes
    assert (model.gains[:, -1] == 0.0).all()
    features = np.vstack([follow(model, readings[asset == a], conditions[asset == a]) for a in range(20)])
    return float(abs(np.corrcoef(features[:, 0], wear)[0, 1]))


def test_wear_is_found_under_one_regime_and_under_six() -> None:
    assert found(1, 1) > 0.95
    assert found(2, 6) > 0.95


def test_the_same_rows_give_the_same_model() -> None:
    readings, conditions, asset, _ = fleet(3, 6)
    once, again = (fit_factors(readings, conditions, asset, factors=2).as_json() for _ in range(2))
    assert once == again
