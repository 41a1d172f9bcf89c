"""Which part of a bearing is damaged: a small model on the gateway's own features, made to carry to other damage.

A few recordings teach what those bearings sounded like, not what damage is. So each snapshot is also shown weaker (part
of it replaced by noise of the same spectrum, which keeps its sound and blurs its strikes), through other paths (its
spectrum tilted at random, or made that of another damaged bearing), and with a sensor missing: what is left to tell
them apart is how they strike. Extremely randomised trees (Geurts, Ernst & Wehenkel 2006) then vote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from edge.features.bearing import Bearing
from edge.features.describe import Description, describe
from edge.features.inputs import inputs_of, row

Array = NDArray[np.float64]

VARIANTS = ((0.0, 4.0), (0.5, 0.0), (0.5, 4.0), (0.7, 4.0), (0.85, 4.0), (0.8, 0.0))
"""Of each snapshot: how much of its amplitude is noise, and the tilt of its path in dB."""
_PATH_HZ = 500.0
"""A path's gain is drawn anew at each so many hertz."""
_GAIN_SD = 0.1
DISGUISED = (0.0, 0.6, 0.8)
"""How much of the amplitude is noise where a snapshot is given the spectrum of another damaged bearing."""
_LEVEL_HZ = 250.0
_SENSOR_LOST = 0.15
"""How often one of several sensors is left out of a variant."""
TREES, LEAF_MIN = 300, 3


@dataclass(frozen=True)
class Snapshot:
    """``sensors`` by name, [samples] each in g at ``rate_hz``; ``place`` is what it shows, empty where not known."""

    sensors: Mapping[str, NDArray[np.floating]]
    rate_hz: float
    speed_rpm: float
    bearing: Bearing
    place: str = ""


Inputs = dict[str, dict[str, float]]
"""Model inputs by sensor."""


def described(snapshot: Snapshot) -> dict[str, Description]:
    """What each sensor tells, by its name."""
    return {
        name: describe(
            samples, rate_hz=snapshot.rate_hz, unit="g", bearing=snapshot.bearing, speed_rpm=snapshot.speed_rpm,
            where=name,
        )
        for name, samples in snapshot.sensors.items()
    }  # fmt: skip


def inputs(told: Mapping[str, Description]) -> Inputs:
    """What the model is given; no entry for a sensor that tells nothing."""
    return {name: inputs_of(one.features) for name, one in told.items() if one.features}


def variants(snapshot: Snapshot, others: Sequence[Snapshot], rng: np.random.Generator) -> list[Inputs]:
    """The snapshot as it is and as each of ``VARIANTS``, then with the spectra of ``others``, damaged bearings too.

    A healthy snapshot is left its own spectrum: there is nothing else to know it by.
    """
    shown = [snapshot.sensors]
    for noise, tilt_db in VARIANTS:
        gain = float(np.exp(_GAIN_SD * rng.standard_normal()))
        sensors = {
            name: gain * tilted(diluted(samples, noise, rng), snapshot.rate_hz, tilt_db, rng)
            for name, samples in snapshot.sensors.items()
        }
        if len(sensors) > 1 and rng.random() < _SENSOR_LOST:
            sensors.pop(str(rng.choice(sorted(sensors))))
        shown.append(sensors)
    for other, noise in zip(others, DISGUISED, strict=False):
        shown.append({
            name: disguised(diluted(samples, noise, rng), other.sensors[name], snapshot.rate_hz)
            for name, samples in snapshot.sensors.items()
            if name in other.sensors
        })  # fmt: skip
    return [inputs(described(replace(snapshot, sensors=sensors))) for sensors in shown if sensors]


def diluted(samples: NDArray[np.floating], share: float, rng: np.random.Generator) -> Array:
    """Replace ``share`` of the amplitude by noise of the same spectrum; the power stays."""
    x = np.asarray(samples, dtype=np.float64)
    if share == 0.0:
        return x
    bins = np.fft.rfft(x - x.mean())
    phases = np.exp(2j * np.pi * rng.random(len(bins)))
    noise = np.fft.irfft(np.abs(bins) * phases, len(x))
    return np.asarray(x.mean() + np.sqrt(1.0 - share * share) * (x - x.mean()) + share * noise)


def tilted(samples: Array, rate_hz: float, tilt_db: float, rng: np.random.Generator) -> Array:
    """As if by another path: the gain wanders by ``tilt_db`` (sd) from one 500 Hz to the next."""
    if tilt_db == 0.0:
        return samples
    bins = np.fft.rfft(samples)
    knots = int(rate_hz / 2.0 / _PATH_HZ) + 2
    gain_db = np.interp(
        np.linspace(0.0, knots - 1.0, len(bins)), np.arange(knots), tilt_db * rng.standard_normal(knots)
    )
    return np.asarray(np.fft.irfft(bins * 10.0 ** (gain_db / 20.0), len(samples)))


def disguised(samples: Array, other: NDArray[np.floating], rate_hz: float) -> Array:
    """With the power that ``other`` has in each 250 Hz: it sounds like the other, and strikes as before."""
    bins = np.fft.rfft(samples - samples.mean())
    own, at = _levels(bins, len(samples), rate_hz)
    wanted, wanted_at = _levels(np.fft.rfft(other - np.mean(other)), len(other), rate_hz)
    log_gain = 0.5 * (np.log(np.interp(at, wanted_at, wanted)) - np.log(own))
    hz = np.arange(len(bins)) * rate_hz / len(samples)
    return np.asarray(np.fft.irfft(bins * np.exp(np.interp(hz, at, log_gain)), len(samples)))


def _levels(bins: NDArray[np.complexfloating], size: int, rate_hz: float) -> tuple[Array, Array]:
    """Power density in each 250 Hz, and their middles in Hz."""
    block = max(1, round(_LEVEL_HZ * size / rate_hz))
    blocks = max(1, len(bins) // block)
    power = np.abs(bins[: blocks * block]) ** 2 / size
    levels = power.reshape(blocks, -1).mean(axis=1)
    middles = (np.arange(blocks) + 0.5) * block * rate_hz / size
    return np.maximum(levels, np.finfo(np.float64).tiny), middles


@dataclass(frozen=True)
class PlaceModel:
    """``places`` in the order of the columns that ``shares`` gives; ``names`` are the inputs."""

    places: tuple[str, ...]
    names: tuple[str, ...]
    trees: ExtraTreesClassifier

    def shares(self, given: Sequence[Inputs]) -> Array:
        """How the trees vote, [snapshots, places], rows summing to 1. A missing sensor is borne."""
        return np.asarray(self.trees.predict_proba(np.stack([row(one, self.names) for one in given])))

    def guesses(self, given: Sequence[Inputs]) -> list[str]:
        return [self.places[i] for i in self.shares(given).argmax(axis=1)]


def fit(shown: Sequence[Inputs], places: Sequence[str], *, seed: int) -> PlaceModel:
    """Learn ``places`` [rows] from the inputs that were ``shown``; every place weighs the same."""
    names = sorted({f"{sensor}.{name}" for one in shown for sensor, found in one.items() for name in found})
    trees = ExtraTreesClassifier(TREES, min_samples_leaf=LEAF_MIN, class_weight="balanced", random_state=seed, n_jobs=1)
    trees.fit(np.stack([row(one, names) for one in shown]), np.array(places))
    return PlaceModel(tuple(str(c) for c in trees.classes_), tuple(names), trees)
