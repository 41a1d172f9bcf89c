"""A description as a model's inputs: what carries from one machine, mounting and damage to another.

Levels become shares of the whole and logarithms; what the comb heights say is already relative to their own spectrum.
Absolute frequencies of the chosen band are left out: a resonance belongs to one machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_LEFT_OUT = frozenset({"velocity_rms_mm_s", "band_low_hz", "band_high_hz", "skewness"})
_LOGARITHMIC = frozenset({"crest_factor", "kurtosis"})
_FLOOR = 1e-6


def inputs_of(features: Mapping[str, float]) -> dict[str, float]:
    """Model inputs by name of one sensor's ``Description.features`` in m/s²; all finite, no unit. Empty of none."""
    level = features.get("rms_m_s2", 0.0)
    if level <= 0.0:
        return {}
    found = {"level": math.log(level)}
    for name, value in features.items():
        if name in _LEFT_OUT or name in ("rms_m_s2", "peak_m_s2"):
            continue
        if name.endswith("_hz_m_s2"):
            found[name.removesuffix("_m_s2")] = math.log(value / level + _FLOOR)
        elif name == "spectral_kurtosis":
            found[name] = math.log1p(max(value, 0.0))
        elif name in _LOGARITHMIC:
            found[name] = math.log(max(value, _FLOOR))
        else:
            found[name] = value
    return found


def row(by_sensor: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> NDArray[np.float64]:
    """The inputs ``sensor.input`` of ``names`` in their order, [names]; NaN where a sensor is missing."""
    flat = {f"{sensor}.{name}": value for sensor, found in by_sensor.items() for name, value in found.items()}
    return np.array([flat.get(name, math.nan) for name in names], dtype=np.float64)
