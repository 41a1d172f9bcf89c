"""From a simulated fleet to a bundle: life model, novelty model, calibrated interval, figures, manifest.

Machines are split into three parts that share none: the models learn from the first, intervals and thresholds are set
on the second, every figure is measured on the third. The same command gives the same hashes: seeds are fixed and linear
algebra runs on one thread. int8 models that differ from their float originals by more than the gate are refused.
"""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

from cloud.learn.conformal import calibrate
from cloud.learn.figures import Outcome, life_figures, novelty_figures
from cloud.learn.fleet import Fleet, Kind, Recipe, simulate
from cloud.learn.tflite import Dense, export_float, export_int8, run
from edge.contract.bundle import Interval, Scaling, life_score, tempered
from edge.errors import BundleError

Array = NDArray[np.float64]

RUL_CAP_H = 1000.0
COVERAGE = 0.9
EDGES_H = (0.0, 10.0, 24.0, 48.0, 90.0, 168.0, 300.0, 500.0, 750.0, RUL_CAP_H)
"""Ranges of predicted life with an interval of their own."""
QUIET = (0.25, 0.5)
"""Between these shares of the novelty threshold the life model's word begins to count (``tempered``)."""
SCORE_GATE = 0.004
"""How much the int8 life model's RMSE may exceed the float one's, in life score (1.0 is the whole scale)."""
MACHINES_MIN = 30
LIFE_MODEL, NOVELTY_MODEL = "life.int8.tflite", "novelty.int8.tflite"


@dataclass(frozen=True)
class Trained:
    """A bundle before it is written: what ``save_bundle`` takes, and the figures for people."""

    manifest: dict[str, Any]
    files: dict[str, bytes]
    figures: dict[str, Any]


def train(kind: Kind, recipe: Recipe, *, machines: int, seed: int, each: Callable[[], None]) -> Trained:
    """Simulate and learn one class; ``each`` is called after every simulated machine. Raises ``BundleError``."""
    if machines < MACHINES_MIN:
        problem = f"{machines} machines are too few for a calibrated interval"
        raise BundleError(kind.asset_class, problem, f"simulate {MACHINES_MIN} or more")
    with threadpool_limits(limits=1):
        fleet = simulate(kind, recipe, machines=machines, seed=seed, each=each)
        return learn(kind, recipe, fleet, machines=machines, seed=seed)


def learn(kind: Kind, recipe: Recipe, fleet: Fleet, *, machines: int, seed: int) -> Trained:
    """The bundle of ``fleet``, whose machines are numbered 0 to ``machines`` - 1: halves, quarters, quarters."""
    split = np.split(np.arange(machines), [machines // 2, machines // 2 + machines // 4])
    parts = dict(zip(("fitting", "calibration", "test"), map(fleet.only, split), strict=True))
    fitting, calibration, test = parts.values()
    novelty = _novelty(fitting, calibration, seed=seed)
    life = _life(fitting, calibration, novelty, seed=seed, where=kind.asset_class)
    figures: dict[str, Any] = {
        "life": life_figures(_life_outcomes(life, novelty, test), _mean_life_h(fitting), RUL_CAP_H, life.interval),
        "novelty": novelty_figures(test, novelty.scores(test), novelty.simple(test), novelty.threshold),
    }
    files = {LIFE_MODEL: life.int8, NOVELTY_MODEL: novelty.int8}
    figures["bytes"] = sum(len(data) for data in files.values())
    low, high = _valid(fitting.features)
    manifest = {
        "asset_class": kind.asset_class,
        "created_by": f"babbitt {importlib.metadata.version('babbitt')}",
        "features": {
            "spec": kind.spec.as_json(),
            "names": list(kind.spec.names),
            "valid": {"low": low.tolist(), "high": high.tolist()},
            "pace_max_h": recipe.pace_h[1] * 1.25,
        },
        "life": {
            "model": LIFE_MODEL,
            "outputs": ["life_score", "health"],
            "rul_cap_h": RUL_CAP_H,
            "quiet": {"below": QUIET[0], "above": QUIET[1]},
            "scaling": life.scaling.as_json(),
            "interval": life.interval.as_json(),
        },
        "novelty": {
            "model": NOVELTY_MODEL,
            "scaling": novelty.scaling.as_json(),
            "threshold": novelty.threshold,
            "false_alarm_rate": novelty.false_alarm_rate,
        },
        "trained_on": {
            "source": "simulated fleet of edge.plant",
            "model": kind.model,
            "machines": {name: len(np.unique(part.machine)) for name, part in parts.items()},
            "seed": seed,
            "rows": len(fleet.rul_h),
            "recipe": recipe.as_json(),
            "sha256": fleet.sha256,
        },
        "figures": figures,
    }  # fmt: skip
    return Trained(manifest, files, figures)


@dataclass(frozen=True)
class _Life:
    layers: Sequence[Dense]
    float32: bytes
    int8: bytes
    scaling: Scaling
    interval: Interval


def _life(fitting: Fleet, calibration: Fleet, novelty: _Novelty, *, seed: int, where: str) -> _Life:
    scaling = Scaling(*_centre_and_spread(fitting.features), limit=4.0)
    rows = scaling.apply(fitting.features)
    target = np.column_stack([life_score(fitting.rul_h, RUL_CAP_H), 1.0 - fitting.wear])
    layers = _fit(rows, target, hidden=(32, 16), epochs=60, alpha=1e-3, seed=seed)
    float32, int8 = export_float(layers, "life"), export_int8(layers, rows, "life")
    held_out = scaling.apply(calibration.features)
    actual = life_score(calibration.rul_h, RUL_CAP_H)
    anomaly = novelty.scores(calibration)["int8"] / novelty.threshold
    predicted = tempered(run(int8, held_out)[:, 0], anomaly, QUIET)
    _gate(where, _rmse(tempered(run(float32, held_out)[:, 0], anomaly, QUIET), actual), _rmse(predicted, actual))
    try:
        interval = calibrate(
            predicted, actual, calibration.machine, coverage=COVERAGE, edges=life_score(np.array(EDGES_H), RUL_CAP_H)
        )
    except ValueError as error:
        raise BundleError(where, str(error), "simulate more machines") from error
    return _Life(layers, float32, int8, scaling, interval)


def _gate(where: str, float_rmse: float, int8_rmse: float) -> None:
    if int8_rmse > float_rmse + SCORE_GATE:
        problem = f"int8 life score RMSE {int8_rmse:.4f}, float {float_rmse:.4f}: they differ by more than {SCORE_GATE}"
        raise BundleError(where, problem, "train with more machines or another seed")


def _life_outcomes(life: _Life, novelty: _Novelty, test: Fleet) -> dict[str, Outcome]:
    rows = life.scaling.apply(test.features)
    scores, outcomes = novelty.scores(test), {}
    for name, model in (("float", life.float32), ("int8", life.int8)):
        answer = run(model, rows).astype(np.float64)
        score = tempered(answer[:, 0], scores[name] / novelty.threshold, QUIET)
        outcomes[name] = Outcome(score, test.rul_h, test.machine, answer[:, 1], test.wear)
    return outcomes


@dataclass(frozen=True)
class _Novelty:
    int8: bytes
    float32: bytes
    scaling: Scaling
    threshold: float
    false_alarm_rate: float

    def scores(self, fleet: Fleet) -> dict[str, Array]:
        rows = self.scaling.apply(fleet.features)
        return {"float": reconstruction_error(self.float32, rows), "int8": reconstruction_error(self.int8, rows)}

    def simple(self, fleet: Fleet) -> Array:
        """The trivial detector to beat: root mean square of the scaled features."""
        rows = self.scaling.apply(fleet.features).astype(np.float64)
        return np.asarray(np.sqrt(np.mean(rows**2, axis=1)))


def reconstruction_error(model: bytes, rows: NDArray[np.float32]) -> Array:
    """Root mean square of what an autoencoder cannot reproduce, [rows]."""
    return np.asarray(np.sqrt(np.mean((rows - run(model, rows)).astype(np.float64) ** 2, axis=1)))


def _novelty(fitting: Fleet, calibration: Fleet, *, seed: int) -> _Novelty:
    healthy = fitting.features[~np.isfinite(fitting.rul_h)]
    scaling = Scaling(*_centre_and_spread(healthy), limit=8.0)
    rows = scaling.apply(healthy)
    size = rows.shape[1]
    layers = _fit(rows, rows, hidden=(12, 6, 12), epochs=40, alpha=1e-3, seed=seed)
    int8 = export_int8(layers, np.vstack([rows, np.full((1, size), 8.0), np.full((1, size), -8.0)]), "novelty")
    quiet = ~np.isfinite(calibration.rul_h)
    errors = reconstruction_error(int8, scaling.apply(calibration.features[quiet]))
    # Above the worst of n healthy machines, the next one is with a chance of 1 in n + 1: they are exchangeable.
    machines = len(np.unique(calibration.machine[quiet]))
    return _Novelty(int8, export_float(layers, "novelty"), scaling, float(errors.max()), 1.0 / (machines + 1))


def _fit(
    rows: NDArray[np.float32], target: NDArray[Any], *, hidden: tuple[int, ...], epochs: int, alpha: float, seed: int
) -> list[Dense]:
    network = MLPRegressor(
        hidden_layer_sizes=hidden, alpha=alpha, max_iter=epochs, batch_size=200, learning_rate_init=2e-3,
        random_state=seed, tol=0.0, n_iter_no_change=epochs,
    )  # fmt: skip
    with warnings.catch_warnings():
        # A fixed number of epochs is meant.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(rows.astype(np.float64), target.astype(np.float64))
    last = len(network.coefs_) - 1
    return [
        Dense(weights.T.copy(), bias.copy(), relu=i < last)
        for i, (weights, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True))
    ]


def _centre_and_spread(features: NDArray[np.float32]) -> tuple[Array, Array]:
    numbers = features.astype(np.float64)
    return numbers.mean(axis=0), np.maximum(numbers.std(axis=0), 1e-6)


def _valid(features: NDArray[np.float32]) -> tuple[Array, Array]:
    """What training saw, with a tenth of its width beyond on either side."""
    low, high = features.min(axis=0).astype(np.float64), features.max(axis=0).astype(np.float64)
    return low - 0.1 * (high - low), high + 0.1 * (high - low)


def _mean_life_h(fleet: Fleet) -> float:
    return float(np.minimum(fleet.rul_h, RUL_CAP_H)[np.isfinite(fleet.rul_h)].mean())


def _rmse(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean((np.asarray(a, np.float64) - b) ** 2)))
