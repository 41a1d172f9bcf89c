"""One Fourier transform of a snapshot, from which everything in the frequency domain is then read.

Velocity, band energies, kurtogram and envelope all start from the same bins: the transform is the dear part, and what
follows is slices and small transforms of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.features.units import Quantity, VibrationUnit

Array = NDArray[np.float64]
Bins = NDArray[np.complex64]

ISO_BAND_HZ = (10.0, 1000.0)
"""Where ISO 20816-3 judges velocity; its lower edge is ``SLOW_EDGE_HZ`` for machines under ``SLOW_BELOW_RPM``."""
SLOW_EDGE_HZ, SLOW_BELOW_RPM = 2.0, 600.0
_HANN_MEAN_SQUARE = 0.375
_PERIODS_MIN = 2.0
"""Of the lowest frequency that is asked for: a shorter snapshot cannot tell it from an offset."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """``bins`` [size // 2 + 1] is the transform of ``size`` samples less their mean, bin i at i * ``step_hz``.

    ``power`` is one-sided: its sum over a band is the mean square there, in the samples' unit squared. Bins are single
    precision, far finer than any sensor: half the memory is a third of the time on a small machine.
    """

    rate_hz: float
    size: int
    bins: Bins
    power: Array

    @property
    def step_hz(self) -> float:
        return self.rate_hz / self.size

    @property
    def seconds(self) -> float:
        return self.size / self.rate_hz

    def slice_of(self, low_hz: float, high_hz: float) -> slice:
        """Bins of ``low_hz`` <= frequency < ``high_hz``; those that there are."""
        first, last = (math.ceil(round(hz / self.step_hz, 6)) for hz in (low_hz, high_hz))
        return slice(min(max(first, 0), len(self.bins)), min(max(last, 0), len(self.bins)))

    def mean_square(self, low_hz: float, high_hz: float) -> float:
        return float(self.power[self.slice_of(low_hz, high_hz)].sum())


def spectrum_of(samples: NDArray[Any], rate_hz: float) -> Spectrum:
    """The transform of a snapshot [samples], which has two finite samples at least."""
    assert samples.ndim == 1
    assert samples.size > 1
    assert rate_hz > 0.0
    centred = (samples - samples.mean(dtype=np.float64)).astype(np.float32)
    bins = np.asarray(np.fft.rfft(centred), dtype=np.complex64)
    power = squared(bins) * (2.0 / samples.size**2)
    if samples.size % 2 == 0:
        power[-1] *= 0.5
    return Spectrum(rate_hz, samples.size, bins, power)


def squared(bins: NDArray[np.complexfloating[Any, Any]]) -> Array:
    """Squared magnitudes, in double precision: they are summed."""
    real, imaginary = bins.real.astype(np.float64), bins.imag.astype(np.float64)
    return np.asarray(real * real + imaginary * imaginary)


def lower_edge_hz(rpm: float | None) -> float:
    """10 Hz, or 2 Hz for a machine that turns at less than 600 1/min (ISO 20816-3)."""
    return SLOW_EDGE_HZ if rpm is not None and 0.0 < rpm < SLOW_BELOW_RPM else ISO_BAND_HZ[0]


def velocity_refusal(spectrum: Spectrum, rpm: float | None = None) -> str:
    """Why no velocity in the standard's band can be had of this snapshot, in words; empty where it can."""
    low_hz, high_hz = lower_edge_hz(rpm), ISO_BAND_HZ[1]
    if spectrum.rate_hz < 2.0 * high_hz:
        return f"sampled at {spectrum.rate_hz:g} Hz, velocity up to {high_hz:g} Hz wants {2.0 * high_hz:g} Hz or more"
    if spectrum.seconds < _PERIODS_MIN / low_hz:
        return f"{spectrum.seconds:.3g} s long, velocity from {low_hz:g} Hz wants {_PERIODS_MIN / low_hz:g} s or more"
    return ""


def velocity_rms_mm_s(spectrum: Spectrum, unit: VibrationUnit, rpm: float | None = None) -> float:
    """Velocity RMS from 10 (2 under 600 1/min) to 1000 Hz in mm/s; only where ``velocity_refusal`` is empty.

    Acceleration is integrated and high-passed by dividing its bins by j 2 pi f within the band alone. Bins are first
    those of a Hann window, made from the plain ones (-1/4, 1/2, -1/4): the leakage of an offset or slow drift, divided
    by a small frequency, would else be read as velocity.
    """
    assert not velocity_refusal(spectrum, rpm)
    band = spectrum.slice_of(lower_edge_hz(rpm), ISO_BAND_HZ[1] + 0.5 * spectrum.step_hz)
    wide = spectrum.bins[band.start - 1 : band.stop + 1]
    inner = 0.5 * wide[1:-1] - 0.25 * wide[:-2] - 0.25 * wide[2:]
    power = squared(inner) * (2.0 / (spectrum.size**2 * _HANN_MEAN_SQUARE))
    if unit.quantity is Quantity.ACCELERATION:
        omega = 2.0 * math.pi * spectrum.step_hz * np.arange(band.start, band.start + len(inner))
        power = power / omega**2
    return 1000.0 * unit.to_si * math.sqrt(float(power.sum()))


def band_rms(spectrum: Spectrum, edges_hz: Sequence[float]) -> Array:
    """RMS between neighbours of ``edges_hz`` (ascending), in the samples' unit: array [edges - 1]."""
    squares = [spectrum.mean_square(low, high) for low, high in pairwise(edges_hz)]
    return np.asarray(np.sqrt(np.array(squares)))
