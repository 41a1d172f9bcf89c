"""Where lives lie within their interval: found again on machines that were not seen, and carried by the manifest."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cloud.learn.conformal import calibrate, places
from edge.contract.bundle import Interval

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
EDGES = np.array([0.0, 0.5, 1.0])


def drawn(seed: int, machines: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Predictions, what came of them (skewed, and further off far from failure), and machines of 10 rows each."""
    rng = np.random.default_rng(seed)
    machine = np.repeat(np.arange(machines), 10)
    predicted = rng.uniform(0.0, 1.0, machine.size)
    bias = np.repeat(rng.standard_normal(machines), 10)
    error = 0.5 * bias + 0.8 * rng.standard_normal(machine.size)
    return predicted, predicted + (0.05 + 0.1 * predicted) * np.where(error > 0.0, 2.0 * error, error), machine


def test_each_level_is_kept_on_machines_never_seen() -> None:
    predicted, actual, machine = drawn(1, 200)
    interval = calibrate(predicted, actual, machine, coverage=0.9, edges=EDGES)
    found = places(predicted, actual, machine, interval, LEVELS)
    said, came, _ = drawn(2, 2000)
    low, high = np.interp(said, interval.at, interval.low), np.interp(said, interval.at, interval.high)
    for level, place in zip(LEVELS, found, strict=True):
        quantile = said + place * (high if place > 0.0 else low)
        assert np.mean(came <= quantile) == pytest.approx(level, abs=0.05)


def test_places_ascend_within_the_ends_however_few_machines_there_are() -> None:
    interval = Interval(0.9, np.array([0.5]), np.array([0.1]), np.array([0.2]))
    for machines in (1, 2, 5, 12):
        predicted, actual, machine = drawn(3, machines)
        found = places(predicted, actual, machine, interval, LEVELS)
        assert list(found) == sorted(found)
        assert -1.0 <= found[0] <= found[-1] <= 1.0
    # With one machine a level is not known: it lies at the end that errs outward.
    assert places(*drawn(3, 1), interval, (0.1, 0.9)) == (-1.0, 1.0)
