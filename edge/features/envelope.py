"""Envelope spectra: how often, and how regularly, something rings within a band of a snapshot.

A fault strikes, a resonance answers, and the rate of the strikes shows in the spectrum of the squared envelope of the
band (Randall & Antoni 2011). Squared, because the plain envelope's square root spreads lines that were never there.
``fast_kurtogram`` chooses the band by spectral kurtosis (Antoni 2007): where the signal is most unlike steady noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edge.features.spectrum import Array, Bins, Spectrum

_SMOOTHED_HZ = 300.0
"""Over so much of its neighbourhood is a bin's level averaged when a spectrum is whitened."""
_FAST_FACTORS = (2, 3, 5)
BANDS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Into how many equal bands the spectrum is cut, level by level: Antoni's 1/3-binary tree."""
_SAMPLES_MIN = 64
"""A band with fewer samples of its envelope has no kurtosis worth comparing."""


@dataclass(frozen=True, slots=True)
class Band:
    """A band of frequencies, and the spectral kurtosis of the signal in it: 0 for steady Gaussian noise."""

    low_hz: float
    high_hz: float
    kurtosis: float = 0.0


@dataclass(frozen=True, eq=False)
class EnvelopeSpectrum:
    """Line i is at i * ``step_hz``; its amplitude is relative to the mean squared envelope: [lines], the first 0.

    A band whose power swings as 1 + m cos has the amplitude m at that frequency.
    """

    step_hz: float
    lines: Array


def squared_envelope_spectrum(
    spectrum: Spectrum, low_hz: float, high_hz: float, *, up_to_hz: float, whiten: bool = False
) -> EnvelopeSpectrum:
    """Spectrum of the squared envelope of the signal between ``low_hz`` and ``high_hz``, lines to ``up_to_hz``.

    The band's bins alone, moved to zero, are the analytic signal at a lower rate. Their transform is long enough that
    no line up to ``up_to_hz`` is folded on another: the lines equal those of the envelope at the full rate. ``whiten``
    levels the band first, so that a loud resonance or gear does not speak for all of it.
    """
    band = spectrum.slice_of(max(low_hz, spectrum.step_hz), high_hz)
    bins = spectrum.bins[band]
    count = min(int(up_to_hz / spectrum.step_hz), max(len(bins) - 1, 0)) + 1
    if whiten and len(bins):
        level = _level(spectrum.power[band], max(3, round(_SMOOTHED_HZ / spectrum.step_hz)))
        bins = bins * (1.0 / np.sqrt(level)).astype(np.float32)
    analytic = np.fft.ifft(bins, fast_size(len(bins) + count)) if len(bins) else bins.copy()
    power = analytic.real**2 + analytic.imag**2
    lines = np.abs(np.fft.rfft(power)[:count]).astype(np.float64) if len(bins) else np.zeros(1)
    if lines[0] <= 0.0:
        return EnvelopeSpectrum(spectrum.step_hz, np.zeros(count))
    lines *= 2.0 / lines[0]
    lines[0] = 0.0
    return EnvelopeSpectrum(spectrum.step_hz, lines)


def fast_kurtogram(spectrum: Spectrum, *, width_min_hz: float, low_hz: float = 0.0) -> Band:
    """The band of the highest spectral kurtosis, of bands ``width_min_hz`` wide at least and above ``low_hz``.

    SK = <|x|^4> / <|x|^2>^2 - 2 of the band's complex envelope x. Each level cuts the bins into equal bands and
    transforms them all at once. Where nothing stands out the whole spectrum is the band.
    """
    half = len(spectrum.bins) - 1
    best = Band(low_hz, spectrum.rate_hz / 2.0)
    for bands in BANDS:
        width = half // bands
        width_hz = width * spectrum.step_hz
        if width < _SAMPLES_MIN or width_hz < width_min_hz:
            break
        first = int(np.ceil(low_hz / width_hz)) if low_hz > 0.0 else 0
        kurtosis = spectral_kurtosis(spectrum.bins[first * width : bands * width].reshape(-1, width))
        # The spread of SK of Gaussian noise is 2 / sqrt(samples): narrow bands must stand out by more.
        surplus = kurtosis - 6.0 / np.sqrt(width)
        top = int(np.argmax(surplus))
        if surplus[top] > max(best.kurtosis, 0.0):
            low = (first + top) * width_hz
            best = Band(low, low + width_hz, float(kurtosis[top]))
    return best


def spectral_kurtosis(bins: Bins) -> Array:
    """SK of each band of ``bins`` [bands, bins a band]: 0 for Gaussian noise, -1 for a steady tone; array [bands]."""
    envelope = np.fft.ifft(bins, axis=1)
    power = envelope.real**2 + envelope.imag**2
    mean = power.mean(axis=1, dtype=np.float64)
    fourth = (power * power).mean(axis=1, dtype=np.float64)
    silent = mean <= 0.0
    return np.asarray(np.where(silent, 0.0, fourth / np.where(silent, 1.0, mean) ** 2 - 2.0))


@lru_cache(maxsize=256)
def fast_size(least: int) -> int:
    """The smallest size >= ``least`` that has only the factors 2, 3 and 5: those transform fast."""
    size = max(least, 1)
    while _rest(size, _FAST_FACTORS) != 1:
        size += 1
    return size


def _rest(size: int, factors: Sequence[int]) -> int:
    for factor in factors:
        while size % factor == 0:
            size //= factor
    return size


def _level(power: Array, block: int) -> Array:
    """Local mean of ``power``, block by block and linear between, never 0."""
    blocks = max(len(power) // block, 1)
    block = len(power) // blocks
    means = power[: blocks * block].reshape(blocks, block).mean(axis=1)
    floor = max(float(means.max()) * 1e-12, float(np.finfo(np.float32).tiny))
    middles = (np.arange(blocks) + 0.5) * block
    return np.asarray(np.interp(np.arange(len(power)), middles, np.maximum(means, floor)))
