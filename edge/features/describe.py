"""One snapshot of vibration, described: the numbers that judging and training share, and what they say in words.

Everything comes from one pass over the samples and one Fourier transform. What a snapshot cannot tell (no speed, no
bearing, too short, sampled too slowly) is left out, with the reason in words; a unit that is not known is an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.features import waveform
from edge.features.bearing import Bearing
from edge.features.comb import HARMONICS, ORDERS_MIN, SLIP, Comb, Views, combs
from edge.features.envelope import Band, fast_kurtogram, squared_envelope_spectrum
from edge.features.fault import Finding, find
from edge.features.spectrum import Spectrum, band_rms, spectrum_of, velocity_refusal, velocity_rms_mm_s
from edge.features.units import Quantity, vibration_unit

BAND_EDGES_HZ = (
    10.0, 100.0, 250.0, 500.0, 1000.0, 1250.0, 1600.0, 2000.0, 2500.0, 3150.0, 4000.0, 5000.0, 6300.0, 8000.0, 10_000.0,
)  # fmt: skip
"""Preferred numbers; bands above ``_USABLE`` of the sampling rate are left out."""
_USABLE = 0.42
"""Of the sampling rate: above lies the flank of the anti-aliasing filter."""
ENVELOPE_FROM_HZ = 200.0
"""Below are unbalance, misalignment and their harmonics; what strikes rings higher."""
_SAMPLES_MIN = 256
_LOST_MAX = 0.01
"""Share of samples that may be missing; those are interpolated."""
_TURNS_MIN = 10.0
"""A snapshot of fewer turns of the shaft does not tell its orders apart."""


@dataclass(frozen=True, slots=True)
class Description:
    """``features`` by name, units last in the names; all finite. ``notes`` say what is left out and why.

    ``found`` is where the bearing is damaged, by its orders; None where nothing stands out or nothing could be told.
    """

    features: Mapping[str, float]
    found: Finding | None = None
    notes: tuple[str, ...] = ()


def describe(
    samples: NDArray[Any],
    *,
    rate_hz: float,
    unit: str,
    bearing: Bearing | None = None,
    speed_rpm: float | None = None,
    where: str = "vibration",
) -> Description:
    """Features of a snapshot of acceleration or velocity, ``samples`` [n] in ``unit`` at ``rate_hz``.

    Raises ``UnitError`` for a unit that is not declared or is none of a vibration; ``where`` names the signal in it.
    """
    meant = vibration_unit(unit, where)
    x, refusal = _whole(np.asarray(samples))
    if refusal:
        return Description({}, notes=(refusal,))
    # The offset of a sensor is no vibration.
    x = x - x.mean(dtype=np.float64)
    spectrum = spectrum_of(x, rate_hz)
    si = "m_s2" if meant.quantity is Quantity.ACCELERATION else "mm_s"
    scale = meant.to_si * (1.0 if meant.quantity is Quantity.ACCELERATION else 1000.0)
    features = _shape(x, scale, si)
    features |= _bands(spectrum, scale, si)
    notes = []
    refusal = velocity_refusal(spectrum, speed_rpm)
    if refusal:
        notes.append(f"no velocity: {refusal}")
    else:
        features["velocity_rms_mm_s"] = velocity_rms_mm_s(spectrum, meant, speed_rpm)
    refusal = _order_refusal(spectrum, bearing, speed_rpm)
    if refusal:
        return Description(features, notes=(*notes, f"no bearing orders: {refusal}"))
    assert bearing is not None
    assert speed_rpm is not None
    band, found = envelopes(spectrum, bearing, speed_rpm / 60.0)
    features |= {"spectral_kurtosis": band.kurtosis, "band_low_hz": band.low_hz, "band_high_hz": band.high_hz}
    for kind, by_place in found.items():
        features |= _named(kind, by_place.values())
    return Description(features, find(found), tuple(notes))


def _whole(samples: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """The samples with few missing ones interpolated, or why they are no snapshot."""
    if samples.ndim != 1 or samples.size < _SAMPLES_MIN:
        return samples, f"{samples.size} samples: a snapshot has {_SAMPLES_MIN} or more"
    finite = np.isfinite(samples)
    lost = samples.size - int(np.count_nonzero(finite))
    if lost > _LOST_MAX * samples.size:
        return samples, f"{100.0 * lost / samples.size:.0f} % of the samples are no numbers"
    if lost:
        at = np.arange(samples.size)
        samples = np.interp(at, at[finite], samples[finite])
    if samples.min() == samples.max():
        return samples, "it does not move: the sensor is stuck or cut off"
    return samples, ""


def _shape(x: NDArray[Any], scale: float, unit: str) -> dict[str, float]:
    shape = waveform.shape(x)
    return {
        f"rms_{unit}": scale * shape.rms,
        f"peak_{unit}": scale * shape.peak,
        "crest_factor": shape.crest_factor,
        "kurtosis": shape.kurtosis,
        "skewness": shape.skewness,
    }


def _bands(spectrum: Spectrum, scale: float, unit: str) -> dict[str, float]:
    edges = [edge for edge in BAND_EDGES_HZ if edge <= _USABLE * spectrum.rate_hz]
    names = [f"band_{low:g}_{high:g}_hz_{unit}" for low, high in pairwise(edges)]
    return dict(zip(names, (scale * band_rms(spectrum, edges)).tolist(), strict=True))


def _order_refusal(spectrum: Spectrum, bearing: Bearing | None, speed_rpm: float | None) -> str:
    if bearing is None:
        return "the bearing's geometry is not declared"
    if speed_rpm is None or not math.isfinite(speed_rpm) or speed_rpm <= 0.0:
        return "the speed is not known"
    turns = spectrum.seconds * speed_rpm / 60.0
    if turns < _TURNS_MIN:
        return f"{turns:.1f} turns of the shaft, {_TURNS_MIN:g} or more tell them apart"
    wanted_hz = 2.0 * (ENVELOPE_FROM_HZ + orders_wanted(bearing) * speed_rpm / 60.0)
    if spectrum.rate_hz < wanted_hz:
        return f"sampled at {spectrum.rate_hz:g} Hz, at this speed {wanted_hz:.0f} Hz or more are wanted"
    return ""


def envelopes(spectrum: Spectrum, bearing: Bearing, shaft_hz: float) -> tuple[Band, Views]:
    """Combs of three envelopes: of everything, of everything levelled, of the band of the highest kurtosis."""
    nyquist_hz = spectrum.rate_hz / 2.0
    # A band that is narrower than the highest line of a comb cannot carry it.
    up_to_hz = orders_wanted(bearing) * shaft_hz
    chosen = fast_kurtogram(spectrum, width_min_hz=up_to_hz, low_hz=ENVELOPE_FROM_HZ)
    views = {
        "broad": squared_envelope_spectrum(spectrum, ENVELOPE_FROM_HZ, nyquist_hz, up_to_hz=up_to_hz),
        "level": squared_envelope_spectrum(spectrum, ENVELOPE_FROM_HZ, nyquist_hz, up_to_hz=up_to_hz, whiten=True),
        "band": squared_envelope_spectrum(spectrum, chosen.low_hz, chosen.high_hz, up_to_hz=up_to_hz),
    }
    return chosen, combs(views, shaft_hz, bearing)


def orders_wanted(bearing: Bearing) -> float:
    """How far the envelope's spectrum must reach, in orders: all lines of all combs with their sidebands."""
    return max(ORDERS_MIN, HARMONICS * (1.0 + SLIP) * max(bearing.bpfi, 2.0 * bearing.bsf) + 1.1)


def _named(kind: str, found: Iterable[Comb]) -> dict[str, float]:
    features: dict[str, float] = {}
    for comb in found:
        name = f"{kind}_{comb.place}"
        features |= {f"{name}_height": comb.height, f"{name}_blurred": comb.blurred, f"{name}_line": comb.line}
        if comb.sidebands is not None:
            features[f"{name}_sidebands"] = comb.sidebands
    return features
