"""The model of places learns from few bearings and is asked about others, which ring elsewhere and are hit softly."""

from __future__ import annotations

import numpy as np
import pytest

from cloud.learn.bearing import (
    PlaceModel,
    Snapshot,
    described,
    diluted,
    disguised,
    fit,
    inputs,
    tilted,
    variants,
)
from edge.features import waveform
from edge.features.bearing import Place
from edge.features.spectrum import band_rms, spectrum_of
from tests.rooms.features.strikes import BEARING, RATE_HZ, SHAFT_HZ, strikes

PLACES = (Place.OUTER, Place.INNER, Place.BALL)


def snapshot(place: Place | None, seed: int, *, ringing_hz: float = 4200.0, snr_db: float = 3.0) -> Snapshot:
    """Two sensors; the second hears the same strikes under more noise."""
    rng = np.random.default_rng(seed)
    if place is None:
        sensors = {name: 0.3 * rng.standard_normal(12_800) for name in ("near", "far")}
    else:
        carried_hz = SHAFT_HZ * BEARING.modulation(place)
        hz = SHAFT_HZ * BEARING.order(place)
        sensors = {
            name: strikes(
                hz, snr_db=snr_db - less, seed=seed, ringing_hz=ringing_hz, size=12_800, carried_hz=carried_hz
            )
            for name, less in (("near", 0.0), ("far", 4.0))
        }
    return Snapshot(sensors, RATE_HZ, 60.0 * SHAFT_HZ, BEARING, place or "normal")


@pytest.fixture(scope="module")
def model() -> PlaceModel:
    rng = np.random.default_rng(1)
    taught = [snapshot(place, seed) for place in (*PLACES, None) for seed in range(4)]
    shown, places = [], []
    for one in taught:
        others = [o for o in taught if o.place not in (one.place, "normal")][:2] if one.place != "normal" else []
        found = variants(one, others, rng)
        shown += found
        places += [one.place] * len(found)
    return fit(shown, places, seed=1)


def test_other_bearings_that_ring_elsewhere_are_told_right(model: PlaceModel) -> None:
    asked = [snapshot(place, 100 + i, ringing_hz=6500.0, snr_db=0.0) for place in (*PLACES, None) for i in range(4)]
    guesses = model.guesses([inputs(described(one)) for one in asked])
    right = sum(guess == one.place for guess, one in zip(guesses, asked, strict=True))
    assert right >= 15, list(zip(guesses, [one.place for one in asked], strict=True))


def test_a_missing_sensor_is_borne(model: PlaceModel) -> None:
    given = inputs(described(snapshot(Place.OUTER, 200)))
    del given["near"]
    shares = model.shares([given])
    assert shares.sum() == pytest.approx(1.0)
    assert model.guesses([given]) == ["outer"]


def test_the_same_seed_gives_the_same_model(model: PlaceModel) -> None:
    shown = [inputs(described(snapshot(place, seed))) for place in PLACES for seed in range(3)]
    places = [str(place) for place in PLACES for _ in range(3)]
    one, other = (fit(shown, places, seed=7) for _ in range(2))
    assert np.array_equal(one.shares(shown), other.shares(shown))


def test_dilution_keeps_the_sound_and_blurs_the_strikes() -> None:
    x = strikes(105.0, snr_db=10.0, seed=1)
    weak = diluted(x, 0.8, np.random.default_rng(2))
    edges = [100.0, 2000.0, 4000.0, 6000.0, 12_000.0]
    assert waveform.rms(weak) == pytest.approx(waveform.rms(x), rel=0.05)
    assert band_rms(spectrum_of(weak, RATE_HZ), edges) == pytest.approx(
        band_rms(spectrum_of(x, RATE_HZ), edges), rel=0.3
    )
    assert waveform.kurtosis(weak) < 0.7 * waveform.kurtosis(x)


def test_a_disguise_has_the_other_spectrum() -> None:
    x, other = strikes(105.0, snr_db=10.0, seed=1), 5.0 * strikes(160.0, snr_db=10.0, seed=2, ringing_hz=7000.0)
    worn = disguised(x, other, RATE_HZ)
    edges = [500.0, 2000.0, 3500.0, 5000.0, 6500.0, 8000.0, 12_000.0]
    wanted = band_rms(spectrum_of(other, RATE_HZ), edges)
    assert band_rms(spectrum_of(worn, RATE_HZ), edges) == pytest.approx(wanted, rel=0.35)


def test_another_path_changes_levels_and_nothing_where_it_is_straight() -> None:
    x = strikes(105.0, snr_db=0.0, seed=1)
    rng = np.random.default_rng(3)
    assert tilted(x, RATE_HZ, 0.0, rng) is x
    assert not np.allclose(tilted(x, RATE_HZ, 4.0, rng), x, rtol=0.05)
