"""Synthetic snapshots of damaged bearings: what several tests of this room need."""

from __future__ import annotations

import math

import numpy as np

from edge.features.bearing import Bearing
from edge.features.spectrum import Array

RATE_HZ = 25_600.0
SIZE = 25_600
BEARING = Bearing(balls=9, ball_mm=7.94, pitch_mm=39.04)
SHAFT_HZ = 29.53


def strikes(
    hz: float, *, snr_db: float, seed: int, ringing_hz: float = 4200.0, size: int = SIZE, carried_hz: float = 0.0
) -> Array:
    """Decaying oscillations at ``hz``, each with some slip, in white noise of 10^(-snr/10) times their power.

    ``carried_hz`` is how often the fault passes the load zone: what is struck there is struck harder.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(size) / RATE_HZ
    x = np.zeros(size)
    at = 0.003
    while at < t[-1]:
        since = t - at
        begun = since >= 0.0
        force = 1.0 + (0.9 * math.cos(2.0 * math.pi * carried_hz * at) if carried_hz else 0.0)
        x[begun] += force * np.exp(-900.0 * since[begun]) * np.sin(2.0 * np.pi * ringing_hz * since[begun])
        at += (1.0 + 0.003 * rng.standard_normal()) / hz
    sd = math.sqrt(float(np.mean(x**2)) * 10.0 ** (-snr_db / 10.0))
    return x + sd * rng.standard_normal(size)
