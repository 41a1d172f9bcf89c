"""Wear that several sensors see together: told apart from the operating point, whatever is missing, and continued."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.features.factors import FactorFollower, FactorModel, follow

Array = NDArray[np.float64]

MODEL = FactorModel(
    centres=np.array([[0.0], [10.0]]),
    scale=np.array([5.0]),
    level=np.array([[10.0, 20.0, 30.0], [100.0, 200.0, 300.0]]),
    gains=np.array([[[1.0], [2.0], [0.0]], [[0.1], [0.2], [0.0]]]),
    noise=np.array([[0.5, 0.5, 1.0], [0.5, 0.5, 1.0]]),
    spread=np.full((2, 3), 10.0),
)


def history(wear: Array, seed: int = 1) -> tuple[Array, Array]:
    """Readings under regimes that alternate by chance, and the settings, a little off their centres."""
    rng = np.random.default_rng(seed)
    regime = rng.integers(0, 2, len(wear))
    readings = MODEL.level[regime] + MODEL.gains[regime, :, 0] * wear[:, None]
    readings += MODEL.noise[regime] * rng.normal(size=readings.shape)
    return readings, MODEL.centres[regime] + 0.01 * rng.normal(size=(len(wear), 1))


def of(model: FactorModel, features: Array, name: str) -> Array:
    return np.asarray(features[:, model.names.index(name)])


def test_one_row_gives_the_weighted_least_squares_of_the_textbook() -> None:
    """Two sensors of gains 1 and 2 and noise 0.5: information 4 x (1 + 4) = 20, and one more that wear is nil."""
    vector, matrix = MODEL.information(np.array([11.0, 22.0, 99.0]), np.array([0.3]))
    assert matrix.tolist() == [[20.0]]
    assert vector == pytest.approx([20.0])
    follower = FactorFollower(MODEL)
    follower.update(np.array([11.0, 22.0, 99.0]), np.array([0.3]))
    assert follower.vector()[0] == pytest.approx(20.0 / 21.0)


def test_constant_wear_is_found_in_any_mix_of_regimes() -> None:
    features = follow(MODEL, *history(np.full(300, 2.0)))
    assert of(MODEL, features, "wear_1.mean_12")[-1] == pytest.approx(2.0, abs=0.2)
    assert of(MODEL, features, "wear_1.since_start")[-1] == pytest.approx(0.0, abs=0.3)


def test_wear_that_grows_shows_in_slopes_and_since_the_start() -> None:
    features = follow(MODEL, *history(np.linspace(0.0, 6.0, 300)))
    assert of(MODEL, features, "wear_1.mean_12_less_30")[-1] == pytest.approx(0.02 * 18.0, abs=0.15)
    assert of(MODEL, features, "wear_1.since_start")[-1] > 5.0
    assert of(MODEL, features, "age")[-1] == 3.0


def test_a_missing_sensor_adds_nothing_and_a_row_of_none_changes_nothing_known() -> None:
    readings, conditions = history(np.full(200, 2.0))
    readings[:, 1] = np.nan
    one = follow(MODEL, readings, conditions)
    assert of(MODEL, one, "wear_1.mean_12")[-1] == pytest.approx(2.0, abs=0.4)
    readings[150:] = np.nan
    silent = follow(MODEL, readings, conditions)
    assert np.isfinite(silent).all()
    assert of(MODEL, silent, "wear_1.life_less_start")[-1] == of(MODEL, silent, "wear_1.life_less_start")[149]


def test_a_wild_reading_is_clipped_at_five_spreads() -> None:
    wild, _ = MODEL.information(np.array([1e9, 20.0, 30.0]), np.array([0.0]))
    edge, _ = MODEL.information(np.array([60.0, 20.0, 30.0]), np.array([0.0]))
    assert wild.tolist() == edge.tolist()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 120), st.integers(0, 1000))
def test_a_restart_at_any_row_changes_no_bit(cut: int, seed: int) -> None:
    readings, conditions = history(np.linspace(0.0, 3.0, 121), seed)
    whole = FactorFollower(MODEL)
    before = FactorFollower(MODEL)
    for i, (row, setting) in enumerate(zip(readings, conditions, strict=True)):
        if i == cut:
            after = FactorFollower(MODEL)
            assert after.restore(json.loads(json.dumps(before.kept())))
            before = after
        whole.update(row, setting)
        before.update(row, setting)
    assert whole.vector().tobytes() == before.vector().tobytes()


@pytest.mark.parametrize("kept", [{}, {"age": 1, "sums": "?"}, {"age": 1, "sums": ""}, {"age": "x", "sums": ""}])
def test_state_of_something_else_is_refused_and_nothing_changed(kept: dict[str, object]) -> None:
    follower = FactorFollower(MODEL)
    follower.update(np.array([11.0, 22.0, 30.0]), np.array([0.0]))
    was = follower.vector().tobytes()
    assert not follower.restore(kept)
    assert follower.vector().tobytes() == was


def test_a_model_survives_json_and_a_wrong_one_is_refused() -> None:
    plain = json.loads(json.dumps(MODEL.as_json()))
    again = FactorModel.from_json(plain)
    assert again.as_json() == MODEL.as_json()
    with pytest.raises(ValueError, match="belong together"):
        FactorModel.from_json({**plain, "level": [[1.0]]})
    with pytest.raises(ValueError, match="positive noise"):
        FactorModel.from_json({**plain, "noise": [[0.0] * 3] * 2})
    with pytest.raises(TypeError):
        FactorModel.from_json({**plain, "more": [1.0]})
