"""Envelope spectra against the plain definition at the full rate; spectral kurtosis against its closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.features.bearing import Place
from edge.features.comb import combs
from edge.features.envelope import fast_kurtogram, fast_size, spectral_kurtosis, squared_envelope_spectrum
from edge.features.spectrum import Array, spectrum_of
from tests.rooms.features.strikes import BEARING, SHAFT_HZ, SIZE, strikes
from tests.rooms.features.strikes import RATE_HZ as RATE

TIME = np.arange(SIZE) / RATE


def by_definition(x: Array, low_hz: float, high_hz: float, count: int) -> Array:
    """Band-pass, analytic signal, its square, its spectrum, all at the full rate."""
    bins = np.fft.fft(x - x.mean())
    hz = np.fft.fftfreq(x.size, 1.0 / RATE)
    squared = np.abs(np.fft.ifft(np.where((hz >= low_hz) & (hz < high_hz), 2.0 * bins, 0.0))) ** 2
    lines = np.asarray(np.abs(np.fft.rfft(squared))[:count] * 2.0 / squared.sum())
    lines[0] = 0.0
    return lines


@settings(max_examples=25, deadline=None)
@given(st.integers(5, 700), st.integers(24, 280), st.integers(0, 99), st.sampled_from([2048, 2560, 2999]))
def test_the_short_transform_equals_the_definition(first: int, bins: int, seed: int, size: int) -> None:
    low, width = (first - 0.5) * RATE / size, bins * RATE / size
    x = np.random.default_rng(seed).standard_normal(size)
    found = squared_envelope_spectrum(spectrum_of(x, RATE), low, low + width, up_to_hz=1000.0)
    assert found.lines == pytest.approx(by_definition(x, low, low + width, len(found.lines)), abs=1e-5)


def test_a_swing_of_the_power_has_its_own_depth() -> None:
    """A carrier whose squared envelope is 1 + 0.5 cos: one line of 0.5 at the swing's frequency."""
    x = np.sqrt(1.0 + 0.5 * np.cos(2.0 * np.pi * 90.0 * TIME)) * np.cos(2.0 * np.pi * 5000.0 * TIME)
    found = squared_envelope_spectrum(spectrum_of(x, RATE), 3500.0, 6500.0, up_to_hz=400.0)
    assert found.step_hz == 1.0
    assert int(np.argmax(found.lines)) == 90
    assert found.lines[90] == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("place", [Place.OUTER, Place.INNER, Place.BALL])
@pytest.mark.parametrize("seed", range(5))
def test_strikes_under_ten_times_their_power_of_noise_show_within_a_bin(place: Place, seed: int) -> None:
    """SNR -10 dB. The band comes from the kurtogram where it sees the strikes, here it is known."""
    hz = BEARING.order(place) * SHAFT_HZ
    x = strikes(hz, snr_db=-10.0, seed=seed)
    found = squared_envelope_spectrum(spectrum_of(x, RATE), 3200.0, 5200.0, up_to_hz=400.0)
    assert abs(float(np.argmax(found.lines)) * found.step_hz - hz) <= found.step_hz
    places = combs({"known": found}, SHAFT_HZ, BEARING)["known"]
    assert max(places.values(), key=lambda comb: comb.height).place is place
    assert places[place].order == pytest.approx(BEARING.order(place), rel=0.01)


def test_gaussian_noise_has_no_spectral_kurtosis() -> None:
    bins = spectrum_of(np.random.default_rng(1).standard_normal(400_000), RATE).bins[: 40 * 5000].reshape(40, 5000)
    found = spectral_kurtosis(bins)
    assert float(np.mean(found)) == pytest.approx(0.0, abs=0.02)
    assert float(np.abs(found).max()) < 0.2


def test_a_steady_tone_has_a_spectral_kurtosis_of_minus_one() -> None:
    bins = spectrum_of(np.sin(2.0 * np.pi * 1000.0 * TIME), RATE).bins[:2000]
    assert spectral_kurtosis(bins[None])[0] == pytest.approx(-1.0, abs=1e-4)


@pytest.mark.parametrize("ringing_hz", [2500.0, 6000.0, 9500.0])
def test_the_kurtogram_finds_where_the_strikes_ring(ringing_hz: float) -> None:
    x = strikes(105.0, snr_db=-3.0, seed=3, ringing_hz=ringing_hz) + 3.0 * np.sin(2.0 * np.pi * 1200.0 * TIME)
    band = fast_kurtogram(spectrum_of(x, RATE), width_min_hz=600.0)
    assert band.low_hz <= ringing_hz <= band.high_hz
    assert band.kurtosis > 0.3
    assert band.high_hz - band.low_hz <= RATE / 4.0


def test_where_nothing_stands_out_the_band_is_all() -> None:
    for x in (np.random.default_rng(5).standard_normal(SIZE), np.zeros(SIZE), np.full(SIZE, 3.0)):
        band = fast_kurtogram(spectrum_of(x, RATE), width_min_hz=600.0)
        assert (band.low_hz, band.high_hz, band.kurtosis) == (0.0, RATE / 2.0, 0.0)


def test_silence_has_an_envelope_of_nothing() -> None:
    found = squared_envelope_spectrum(spectrum_of(np.zeros(SIZE), RATE), 500.0, 5000.0, up_to_hz=300.0, whiten=True)
    assert not found.lines.any()
    assert all(comb.harmonics == 0 for comb in combs({"all": found}, SHAFT_HZ, BEARING)["all"].values())


def test_whitening_hears_strikes_beside_a_loud_resonance() -> None:
    """Noise ringing at 1 kHz carries a hundred times the power of the strikes' band."""
    rng = np.random.default_rng(7)
    hz = BEARING.order(Place.OUTER) * SHAFT_HZ
    loud = np.fft.irfft(np.fft.rfft(rng.standard_normal(SIZE)) * (np.abs(np.arange(SIZE // 2 + 1) - 1000) < 150), SIZE)
    x = strikes(hz, snr_db=0.0, seed=7) + 10.0 * loud
    plain, white = (
        squared_envelope_spectrum(spectrum_of(x, RATE), 200.0, RATE / 2.0, up_to_hz=400.0, whiten=whiten).lines
        for whiten in (False, True)
    )
    assert abs(int(np.argmax(white[5:])) + 5 - round(hz)) <= 1
    heard, heard_plain = (x[round(hz) - 1 : round(hz) + 2].max() / np.median(x) for x in (white, plain))
    assert heard > 2.0 * heard_plain


@given(st.integers(1, 5000))
def test_fast_sizes_are_products_of_2_3_and_5(least: int) -> None:
    size = fast_size(least)
    assert least <= size <= 2 ** math.ceil(math.log2(least))
    assert size == fast_size(size)
