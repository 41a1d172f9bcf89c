"""What a snapshot is described as, and what it says where it cannot tell."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.errors import UnitError
from edge.features.bearing import Bearing, Place
from edge.features.describe import Description, describe
from edge.features.spectrum import Array
from tests.rooms.features.strikes import BEARING, RATE_HZ, SHAFT_HZ, SIZE, strikes

RPM = 60.0 * SHAFT_HZ


def described(samples: Array, unit: str = "g", rate_hz: float = RATE_HZ, speed_rpm: float | None = RPM) -> Description:
    return describe(samples, rate_hz=rate_hz, unit=unit, bearing=BEARING, speed_rpm=speed_rpm)


def damaged(place: Place, *, snr_db: float = -6.0, seed: int = 1) -> Array:
    carried_hz = SHAFT_HZ * BEARING.modulation(place)
    return strikes(BEARING.order(place) * SHAFT_HZ, snr_db=snr_db, seed=seed, carried_hz=carried_hz)


def test_a_sine_of_one_g() -> None:
    sine = np.sin(2.0 * np.pi * 160.0 * np.arange(SIZE) / RATE_HZ) + 0.7
    found = described(sine).features
    assert found["peak_m_s2"] == pytest.approx(9.80665, rel=1e-4)
    assert found["rms_m_s2"] == pytest.approx(9.80665 / math.sqrt(2.0), rel=1e-5)
    assert found["crest_factor"] == pytest.approx(1.4142, abs=1e-3)
    assert found["kurtosis"] == pytest.approx(1.5, abs=1e-4)
    assert found["velocity_rms_mm_s"] == pytest.approx(1000.0 * 9.80665 / (320.0 * math.pi) / math.sqrt(2.0), rel=1e-3)
    assert found["band_100_250_hz_m_s2"] == pytest.approx(9.80665 / math.sqrt(2.0), rel=1e-4)


@pytest.mark.parametrize("place", [Place.OUTER, Place.INNER])
@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_race_is_named_by_its_order(place: Place, seed: int) -> None:
    found = described(damaged(place, seed=seed)).found
    assert found is not None
    assert found.place is place
    assert found.strength >= 1.0
    assert found.order == pytest.approx(BEARING.order(place), rel=0.01)


def test_words_that_a_mechanic_can_check() -> None:
    found = described(damaged(Place.OUTER, snr_db=0.0)).found
    assert found is not None
    assert found.words == f"outer race of the bearing: envelope peak at 3.58 x speed with {found.harmonics} harmonics"


def test_an_inner_race_has_the_shaft_beside_its_lines() -> None:
    inner, outer = (described(damaged(p, snr_db=0.0)).features for p in (Place.INNER, Place.OUTER))
    assert inner["broad_inner_sidebands"] > outer["broad_inner_sidebands"] + 0.5


def test_healthy_noise_is_no_finding() -> None:
    rng = np.random.default_rng(11)
    assert [described(rng.standard_normal(SIZE)).found for _ in range(20)] == [None] * 20


def test_unbalance_and_misalignment_are_no_finding() -> None:
    t = np.arange(SIZE) / RATE_HZ
    x = sum(np.sin(2.0 * np.pi * k * SHAFT_HZ * t + k) for k in range(1, 12))
    x = (1.0 + 0.5 * np.cos(2.0 * np.pi * SHAFT_HZ * t)) * np.random.default_rng(2).standard_normal(SIZE) + x
    assert described(x).found is None


def test_the_same_features_whatever_the_unit_and_type() -> None:
    x = damaged(Place.OUTER)
    in_g, in_m_s2 = described(x), described(x * 9.80665, "m/s2")
    assert in_g.features == pytest.approx(in_m_s2.features, rel=1e-3, abs=1e-3)
    raw = (x / np.abs(x).max() * 30_000.0).astype(np.int16)
    assert described(raw).features["kurtosis"] == pytest.approx(in_g.features["kurtosis"], rel=1e-3)
    assert described(x.astype(np.float32)).features == pytest.approx(in_g.features, rel=1e-3, abs=1e-3)


def test_velocity_is_described_in_its_own_unit() -> None:
    found = described(damaged(Place.OUTER), "mm/s").features
    assert "rms_mm_s" in found
    assert "rms_m_s2" not in found


@pytest.mark.parametrize("unit", ["", "mV"])
def test_samples_of_an_unknown_unit_are_refused(unit: str) -> None:
    with pytest.raises(UnitError, match="spindle-1/front"):
        describe(np.ones(SIZE), rate_hz=RATE_HZ, unit=unit, where="spindle-1/front")


def test_what_cannot_be_told_is_said() -> None:
    x = damaged(Place.OUTER)
    assert described(x, speed_rpm=None).notes == ("no bearing orders: the speed is not known",)
    assert "no bearing orders: 3.0 turns" in described(x[: int(3.0 * RATE_HZ / SHAFT_HZ)]).notes[-1]
    slow = described(x[::16], rate_hz=RATE_HZ / 16.0)
    assert slow.notes[0].startswith("no velocity: sampled at 1600 Hz")
    assert slow.notes[1].startswith("no bearing orders: sampled at 1600 Hz")
    assert "velocity_rms_mm_s" not in slow.features
    assert describe(x, rate_hz=RATE_HZ, unit="g").notes == (
        "no bearing orders: the bearing's geometry is not declared",
    )


@pytest.mark.parametrize(
    ("samples", "note"),
    [
        (np.zeros(0), "0 samples"), (np.zeros(100), "100 samples"), (np.full(SIZE, 0.3), "it does not move"),
        (np.full(SIZE, np.nan), "100 % of the samples are no numbers"), (np.zeros((2, SIZE)), "a snapshot has"),
    ],
)  # fmt: skip
def test_what_is_no_snapshot_has_no_features(samples: Array, note: str) -> None:
    found = described(samples)
    assert found.features == {}
    assert note in found.notes[0]


def test_a_few_lost_samples_are_bridged() -> None:
    x = damaged(Place.OUTER)
    holed = x.copy()
    holed[100:150] = np.nan
    holed[7000] = np.inf
    assert described(holed).features == pytest.approx(described(x).features, rel=0.3, abs=0.5)
    assert described(holed).found is not None


SAMPLES = arrays(
    np.float64, st.integers(256, 2000), elements=st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=False)
)


@settings(max_examples=40, deadline=None)
@given(SAMPLES, st.sampled_from([512.0, 4000.0, 48_000.0]), st.sampled_from([None, 0.0, 90.0, 3000.0, math.inf]))
def test_features_are_finite_and_the_same_each_time(samples: Array, rate_hz: float, speed_rpm: float | None) -> None:
    found = described(samples, rate_hz=rate_hz, speed_rpm=speed_rpm)
    assert all(math.isfinite(value) for value in found.features.values())
    assert found == described(samples, rate_hz=rate_hz, speed_rpm=speed_rpm)


@pytest.mark.parametrize(
    ("name", "place"),
    [("IR007_1", Place.INNER), ("IR021_0", Place.INNER), ("OR007at6_2", Place.OUTER), ("B007_0", None)],
)
def test_real_bearings(data_dir: Path, name: str, place: Place | None) -> None:
    """Seeded faults of the CWRU rig. The races' lines stand out; a ball's hardly do, and then nothing is said."""
    with np.load(data_dir / "cwru" / f"{name}.npz") as data:
        samples, rate_hz, rpm = data["DE"][: int(2 * data["fs_hz"])], float(data["fs_hz"]), float(data["rpm"])
    rig = Bearing(balls=9, ball_mm=0.3126 * 25.4, pitch_mm=1.537 * 25.4)
    found = describe(samples, rate_hz=rate_hz, unit="g", bearing=rig, speed_rpm=rpm).found
    assert (found.place if found is not None else None) == place
