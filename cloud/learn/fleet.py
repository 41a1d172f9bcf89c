"""Simulated fleets: machines run to failure (or stay healthy) while the gateway's own feature code watches them.

Each machine has its own seed, life, onset of wear and polling pace, so that a split by machines shares nothing between
the parts. The same recipe and seed give the same rows to the bit.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.features.tracker import FeatureSpec, FeatureTracker, Signal, number
from edge.plant.machines import MACHINES

COMMON = (
    Signal("vibration_mm_s", log=True),
    Signal("acceleration_rms_g", log=True),
    Signal("crest_factor", log=True),
    Signal("kurtosis", log=True),
    Signal("bearing_temperature_c", minus="ambient_temperature_c"),
    Signal("power_kw", log=True),
)
"""Signals of every rotating machine with a rolling bearing."""


@dataclass(frozen=True)
class Kind:
    """One asset class: the simulated machine behind it and the signals that its bundle follows."""

    asset_class: str
    model: str
    signals: tuple[Signal, ...]

    @property
    def spec(self) -> FeatureSpec:
        return FeatureSpec(
            signals=self.signals,
            conditions=("load_percent", "speed_rpm"),
            hour_meter="hour_meter_h",
            running="running",
        )


KINDS = {
    kind.asset_class: kind
    for kind in (
        Kind("cnc_spindle", "spindle", (*COMMON, Signal("torque_nm", log=True))),
        Kind("centrifugal_pump", "pump", COMMON),
        Kind("extruder_drive", "extruder", (*COMMON, Signal("screw_torque_percent", log=True))),
    )
}


@dataclass(frozen=True)
class Recipe:
    """How a fleet is drawn. Hours are the hour meter's; pairs are the ends of a log-uniform or uniform range.

    ``life_h``: from onset to failure, log-uniform. ``pace_h``: machine time between polls, log-uniform. ``healthy_h``:
    from the learned baseline to the onset of wear, uniform. ``never_share``: machines that never begin to wear.
    """

    life_h: tuple[float, float] = (100.0, 1500.0)
    pace_h: tuple[float, float] = (0.1, 2.0)
    healthy_h: tuple[float, float] = (20.0, 600.0)
    never_share: float = 0.25
    never_h: float = 800.0
    rows_per_machine: int = 240

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Recipe:
        """The inverse of ``as_json``, also after a round trip through JSON. Raises ``TypeError`` for other keys."""
        plain: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in data.items()}
        return Recipe(**plain)


HEALTHY_LEFT_H = 168.0
"""A row of a machine that did not fail in so many hours after it is a healthy one."""


@dataclass(frozen=True)
class Fleet:
    """Rows of many machines: ``features`` [rows, features], ``rul_h`` [rows] (infinite where wear has not begun),
    ``wear`` [rows] (0..1), ``machine`` [rows] (its number). Where ``censored`` [rows], the machine's end was not seen:
    ``rul_h`` is the least that it can be."""

    features: NDArray[np.float32]
    rul_h: NDArray[np.float64]
    wear: NDArray[np.float64]
    machine: NDArray[np.int64]
    censored: NDArray[np.bool_]

    def only(self, machines: NDArray[np.int64]) -> Fleet:
        return self.where(np.isin(self.machine, machines))

    def where(self, keep: NDArray[np.bool_]) -> Fleet:
        """The rows of ``keep``."""
        return Fleet(*(column[keep] for column in self.columns))

    def joined(self, other: Fleet) -> Fleet:
        """Both, one after the other; their machines must be numbered apart."""
        return Fleet(*(np.concatenate(pair) for pair in zip(self.columns, other.columns, strict=True)))

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        return self.features, self.rul_h, self.wear, self.machine, self.censored

    @property
    def is_healthy(self) -> NDArray[np.bool_]:
        """[rows]: before any wear, or of a machine that is known to have run on for a week and more."""
        return ~np.isfinite(self.rul_h) | (self.censored & (self.rul_h >= HEALTHY_LEFT_H))

    @property
    def machines(self) -> int:
        return len(np.unique(self.machine))

    @property
    def sha256(self) -> str:
        """Over every number of the fleet: what a bundle's manifest names as its training data."""
        digest = hashlib.sha256()
        for column in self.columns:
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()


def simulate(kind: Kind, recipe: Recipe, *, machines: int, seed: int, each: Callable[[], None]) -> Fleet:
    """Run ``machines`` machines; ``each`` is called after every one of them."""
    parts = []
    for machine in range(machines):
        parts.append(_run_one(kind, recipe, machine, seed))
        each()
    return Fleet(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _run_one(kind: Kind, recipe: Recipe, number_: int, seed: int) -> tuple[NDArray[Any], ...]:
    draw = np.random.default_rng([seed, number_])
    pace_h, life_h = _log_uniform(draw, recipe.pace_h), _log_uniform(draw, recipe.life_h)
    healthy_h, never = draw.uniform(*recipe.healthy_h), draw.uniform() < recipe.never_share
    plant = MACHINES[kind.model](int(draw.integers(2**31)), life_h=life_h)
    tracker = FeatureTracker(kind.spec)
    rows: list[NDArray[np.float32]] = []
    hours: list[float] = []
    wear: list[float] = []
    end_h = math.inf
    while not plant.truth.failed and plant.hour_meter_h < end_h:
        plant.step(pace_h)
        values = plant.signals()
        was_ready = tracker.ready
        changed = tracker.update(values, number(values["hour_meter_h"]))
        if not tracker.ready:
            continue
        if not was_ready:
            onset_h = plant.hour_meter_h + healthy_h
            end_h = plant.hour_meter_h + recipe.never_h if never else math.inf
        if not never and plant.truth.life_h is None and plant.hour_meter_h >= onset_h:
            plant.begin_wear()
        if changed:
            rows.append(tracker.vector())
            hours.append(plant.hour_meter_h)
            wear.append(plant.truth.wear if plant.truth.life_h is not None else -1.0)
    return _columns(rows, np.array(hours), np.array(wear), recipe.rows_per_machine, number_)


def _columns(
    rows: list[NDArray[np.float32]], hours: NDArray[np.float64], wear: NDArray[np.float64], count: int, machine: int
) -> tuple[NDArray[Any], ...]:
    """A fleet's columns: evenly ``count`` rows at most of the healthy part and of the worn part together."""
    begun = wear >= 0.0
    rul_h = np.where(begun, hours[-1] - hours, np.inf)
    keep = thinned(len(rows), count)
    features = np.stack([rows[i] for i in keep])
    seen = np.zeros(len(keep), dtype=bool)
    return features, rul_h[keep], np.maximum(wear, 0.0)[keep], np.full(len(keep), machine, dtype=np.int64), seen


def thinned(rows: int, count: int) -> NDArray[np.int64]:
    """Which of ``rows`` to keep: at most ``count``, evenly, with the first and the last."""
    return np.unique(np.linspace(0, rows - 1, count).round().astype(np.int64))


def _log_uniform(draw: np.random.Generator, ends: tuple[float, float]) -> float:
    return float(math.exp(draw.uniform(math.log(ends[0]), math.log(ends[1]))))
