"""A description as a model's inputs: relative, finite, in a fixed order, with gaps where a sensor is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge.features.describe import describe
from edge.features.inputs import inputs_of, row
from edge.features.spectrum import Array
from tests.rooms.features.strikes import BEARING, RATE_HZ, SHAFT_HZ, strikes


def given(samples: Array) -> dict[str, float]:
    told = describe(samples, rate_hz=RATE_HZ, unit="g", bearing=BEARING, speed_rpm=60.0 * SHAFT_HZ)
    return inputs_of(told.features)


X = strikes(105.0, snr_db=0.0, seed=1)


def test_twice_as_loud_changes_the_level_alone() -> None:
    once, twice = given(X), given(2.0 * X)
    assert twice["level"] - once["level"] == pytest.approx(math.log(2.0), abs=1e-6)
    assert {**twice, "level": 0.0} == pytest.approx({**once, "level": 0.0}, abs=1e-3)


def test_nothing_in_it_belongs_to_one_machine() -> None:
    names = set(given(X))
    assert not any(name.startswith(("rms_", "peak_", "velocity_", "band_low", "band_high")) for name in names)
    assert {"level", "kurtosis", "spectral_kurtosis", "broad_outer_height", "level_ball_blurred"} <= names
    assert "band_1000_1250_hz" in names


def test_inputs_are_finite_and_a_silent_sensor_has_none() -> None:
    assert all(math.isfinite(value) for value in given(X).values())
    assert given(np.zeros(len(X))) == {}
    assert given(np.full(len(X), np.nan)) == {}


def test_a_row_keeps_its_order_and_shows_gaps() -> None:
    found = given(X)
    names = ["far.level", "near.kurtosis", "near.level"]
    whole = row({"near": found, "far": found}, names)
    assert whole.tolist() == [found["level"], found["kurtosis"], found["level"]]
    assert np.isnan(row({"near": found}, names)).tolist() == [True, False, False]
