"""Shape statistics against their closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.features import waveform

SINE = 3.0 * np.sin(2.0 * np.pi * np.arange(25_600) / 256.0)


def test_a_sine_has_its_textbook_shape() -> None:
    assert waveform.rms(SINE) == pytest.approx(3.0 / math.sqrt(2.0), rel=1e-9)
    assert waveform.peak(SINE) == pytest.approx(3.0)
    assert waveform.crest_factor(SINE) == pytest.approx(1.4142, abs=1e-4)
    assert waveform.kurtosis(SINE) == pytest.approx(1.5, abs=1e-9)
    assert waveform.skewness(SINE) == pytest.approx(0.0, abs=1e-9)


def test_gaussian_noise_has_kurtosis_three_and_no_skew() -> None:
    noise = np.random.default_rng(1).standard_normal(400_000)
    assert waveform.kurtosis(noise) == pytest.approx(3.0, abs=0.05)
    assert waveform.skewness(noise) == pytest.approx(0.0, abs=0.02)


def test_exponential_noise_is_skewed_by_two_with_kurtosis_nine() -> None:
    noise = np.random.default_rng(2).exponential(size=1_000_000)
    assert waveform.skewness(noise) == pytest.approx(2.0, abs=0.05)
    assert waveform.kurtosis(noise) == pytest.approx(9.0, abs=0.5)


@pytest.mark.parametrize("samples", [np.zeros(8), np.full(100, 0.1), np.full(3, -1e300), np.full(7, 5e-324)])
def test_what_does_not_move_has_no_shape(samples: np.ndarray) -> None:
    assert waveform.kurtosis(samples) == 0.0
    assert waveform.skewness(samples) == 0.0


def test_silence_has_no_crest() -> None:
    assert waveform.crest_factor(np.zeros(8)) == 0.0


SAMPLES = arrays(np.float64, st.integers(2, 64), elements=st.floats(-1e6, 1e6, allow_nan=False))


@given(SAMPLES, st.floats(1e-3, 1e3))
def test_shape_is_free_of_the_unit_and_never_nan(samples: np.ndarray, scale: float) -> None:
    for statistic in (waveform.crest_factor, waveform.kurtosis, waveform.skewness):
        assert math.isfinite(statistic(samples))
    assert waveform.rms(samples * scale) == pytest.approx(scale * waveform.rms(samples), rel=1e-6, abs=1e-300)
    assert waveform.peak(samples) >= waveform.rms(samples) * (1.0 - 1e-9)


@given(SAMPLES)
def test_kurtosis_is_at_least_one_plus_skewness_squared(samples: np.ndarray) -> None:
    kurtosis = waveform.kurtosis(samples)
    # Pearson's inequality; 0 stands for "no shape".
    assert kurtosis == 0.0 or kurtosis >= 1.0 + waveform.skewness(samples) ** 2 - 1e-3 * kurtosis
