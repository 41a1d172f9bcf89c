"""What is read from the one transform: velocity in the standard's band, energies of bands."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.features.spectrum import Array, band_rms, spectrum_of, velocity_refusal, velocity_rms_mm_s
from edge.features.units import vibration_unit

RATE = 25_600.0
TIME = np.arange(25_600) / RATE
G, M_S2, MM_S = (vibration_unit(unit) for unit in ("g", "m/s2", "mm/s"))


def tone(hz: float, amplitude: float = 1.0, *, seconds: float = 1.0, rate: float = RATE) -> Array:
    return np.asarray(amplitude * np.sin(2.0 * np.pi * hz * np.arange(int(seconds * rate)) / rate + 0.3))


def test_one_g_at_100_hz_is_11_mm_s() -> None:
    """v = a / (2 pi f): 9.80665 / 628.3 = 15.61 mm/s peak, 11.04 RMS; as m/s² the same number means a tenth of it."""
    assert velocity_rms_mm_s(spectrum_of(tone(100.0), RATE), G) == pytest.approx(11.036, abs=2e-3)
    assert velocity_rms_mm_s(spectrum_of(tone(100.0), RATE), M_S2) == pytest.approx(1.12540, abs=2e-4)


def test_velocity_passes_as_it_is() -> None:
    assert velocity_rms_mm_s(spectrum_of(tone(100.0, 4.5), RATE), MM_S) == pytest.approx(4.5 / math.sqrt(2.0), rel=1e-5)


@pytest.mark.parametrize(("hz", "share"), [(5.0, 0.0), (20.0, 1.0), (900.0, 1.0), (1200.0, 0.0), (6000.0, 0.0)])
def test_only_the_band_of_the_standard_counts(hz: float, share: float) -> None:
    found = velocity_rms_mm_s(spectrum_of(tone(hz, 2.0), RATE), MM_S)
    assert found == pytest.approx(share * math.sqrt(2.0), abs=2e-3)


def test_slow_machines_are_judged_from_2_hz() -> None:
    slow = spectrum_of(tone(5.0, 2.0, seconds=2.0), RATE)
    assert velocity_rms_mm_s(slow, MM_S, rpm=300.0) == pytest.approx(math.sqrt(2.0), rel=1e-3)
    assert velocity_rms_mm_s(slow, MM_S, rpm=600.0) == pytest.approx(0.0, abs=2e-3)


def test_offset_and_drift_of_the_sensor_are_no_velocity() -> None:
    """An integral in time would turn the offset of 3 g into 15 m/s within the second."""
    plain = velocity_rms_mm_s(spectrum_of(tone(25.0, 0.05), RATE), G)
    drifting = velocity_rms_mm_s(spectrum_of(tone(25.0, 0.05) + 3.0 + 0.1 * TIME, RATE), G)
    assert drifting == pytest.approx(plain, rel=0.01)


@settings(max_examples=40, deadline=None)
@given(st.floats(15.0, 950.0), st.floats(0.01, 50.0), st.floats(0.0, 6.28))
def test_every_tone_in_the_band_integrates_exactly(hz: float, amplitude: float, phase: float) -> None:
    """Also between two bins: the window's leakage stays in the band."""
    x = amplitude * np.sin(2.0 * np.pi * hz * TIME[:25_600] + phase)
    expected = 1000.0 * amplitude / (2.0 * math.pi * hz) / math.sqrt(2.0)
    assert velocity_rms_mm_s(spectrum_of(x, RATE), M_S2) == pytest.approx(expected, rel=0.02)


def test_a_snapshot_that_cannot_tell_is_refused_in_words() -> None:
    assert "sampled at 1000 Hz" in velocity_refusal(spectrum_of(np.zeros(1000), 1000.0))
    assert "0.1 s long" in velocity_refusal(spectrum_of(np.zeros(2560), RATE))
    assert "wants 1 s" in velocity_refusal(spectrum_of(np.zeros(12_800), RATE), rpm=300.0)
    assert velocity_refusal(spectrum_of(np.zeros(12_800), RATE), rpm=1500.0) == ""


@given(st.integers(2, 400), st.integers(0, 2**32 - 1))
def test_bands_share_out_the_whole_power(size: int, seed: int) -> None:
    """Parseval: the bands' mean squares sum to the variance, for even and odd lengths."""
    x = np.random.default_rng(seed).standard_normal(size)
    spectrum = spectrum_of(x, 1000.0)
    bands = band_rms(spectrum, [0.0, 30.0, 100.0, 333.0, 501.0])
    assert float((bands**2).sum()) == pytest.approx(float(np.var(x)), rel=1e-5, abs=1e-5)


def test_a_tone_lies_in_its_band_alone() -> None:
    bands = band_rms(spectrum_of(tone(150.0, 2.0), RATE), [0.0, 100.0, 200.0, 400.0])
    assert bands == pytest.approx([0.0, math.sqrt(2.0), 0.0], abs=1e-5)
