"""How a rolling bearing's wear shows in vibration: pure functions of wear, speed, load and unbalance.

One idea gives the order in which features react. Spalls add impulses to a Gaussian background. At first they are few
and short, so they hardly carry energy but stand far out: kurtosis and crest factor rise first. Their energy grows, so
the RMS of acceleration follows, and, as damage reaches the low frequencies, that of velocity. As damage spreads over
the race the impulses overlap until they are themselves Gaussian: kurtosis and crest factor fall again late in life
(Randall & Antoni 2011; Randall 2015). The curves' constants are ours, set so that a new bearing lies near 1 mm/s and a
failed one at 8 to 11 mm/s, in or past zone D of ISO 20816.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CREST_OF_BACKGROUND = 3.9
"""Expected peak over RMS of Gaussian noise over some thousands of samples, about sqrt(2 ln n)."""
DENSITY_NEW, DENSITY_FAILED = 0.03, 0.6
"""Share of time that impulses ring, at the onset of wear and at failure."""
VELOCITY_GROWTH, ACCELERATION_GROWTH, HEAT_GROWTH = 5.0, 3.0, 4.0
"""How late the energy shows: exponents of ``growth``."""
STANDARD_GRAVITY = 9.80665


@dataclass(frozen=True, slots=True)
class Traits:
    """One machine's own levels at its reference speed and load: background, residual unbalance and level at failure."""

    velocity_new_mm_s: float
    residual_unbalance_mm_s: float
    velocity_failed_mm_s: float
    acceleration_new_g: float
    acceleration_failed_g: float


@dataclass(frozen=True, slots=True)
class Vibration:
    velocity_mm_s: float
    acceleration_g: float
    crest_factor: float
    kurtosis: float


STANDSTILL = Vibration(velocity_mm_s=0.03, acceleration_g=0.004, crest_factor=CREST_OF_BACKGROUND, kurtosis=3.0)


def growth(wear: float, exponent: float) -> float:
    """From 0 at the onset of wear to 1 at failure, the later the greater the exponent."""
    return math.expm1(exponent * wear) / math.expm1(exponent)


def vibration(
    traits: Traits, *, wear: float, speed: float, load: float, unbalance_mm_s: float, rpm: float
) -> Vibration:
    """The features of a running machine. ``speed`` and ``load`` are relative to the reference, ``wear`` is 0 to 1.

    ``unbalance_mm_s`` is what an added unbalance gives at the reference speed; its force grows with the speed squared.
    """
    once_mm_s = (traits.residual_unbalance_mm_s + unbalance_mm_s) * speed * speed
    once_g = once_mm_s / 1000.0 * math.tau * rpm / 60.0 / STANDARD_GRAVITY
    background_g = traits.acceleration_new_g * speed
    struck = math.sqrt(load) * speed
    impulse_g = traits.acceleration_failed_g * struck * growth(wear, ACCELERATION_GROWTH)
    impulse_mm_s = traits.velocity_failed_mm_s * struck * growth(wear, VELOCITY_GROWTH)
    density = DENSITY_NEW * (DENSITY_FAILED / DENSITY_NEW) ** wear
    crest, kurtosis = _shape(background_g, impulse_g, math.sqrt(2.0) * once_g, density)
    return Vibration(
        velocity_mm_s=math.hypot(traits.velocity_new_mm_s * speed, once_mm_s, impulse_mm_s),
        acceleration_g=math.hypot(background_g, impulse_g, once_g),
        crest_factor=crest,
        kurtosis=kurtosis,
    )


def _shape(background: float, impulses: float, sine_amplitude: float, density: float) -> tuple[float, float]:
    """Crest factor and Pearson kurtosis of Gaussian background, impulses ringing ``density`` of the time, and a sine.

    Cumulants of independent parts add: the fourth of Gaussian noise is 0, of noise that is there ``density`` of the
    time 3 (1/density - 1) of its energy squared, of a sine -1.5 of it.
    """
    energy = background**2 + impulses**2 + sine_amplitude**2 / 2.0
    background_share, impulse_share = background**2 / energy, impulses**2 / energy
    sine_share = 1.0 - background_share - impulse_share
    kurtosis = 3.0 + 3.0 * (1.0 / density - 1.0) * impulse_share**2 - 1.5 * sine_share**2
    peak_energy = CREST_OF_BACKGROUND**2 * (background_share + impulse_share * DENSITY_FAILED / density)
    return math.sqrt(peak_energy) + math.sqrt(2.0 * sine_share), kurtosis
