"""Autoencoders that tell what is unlike their training: what is new of a healthy machine, what is unfamiliar of a worn
one; and how such small networks are fitted.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from cloud.learn.fleet import Fleet
from cloud.learn.gate import agree
from cloud.learn.tflite import Dense, export_float, export_int8, run
from edge.contract.bundle import Scaling

Array = NDArray[np.float64]

_REPRODUCED_ALIKE = 0.5
"""How far int8 and float may be apart (RMS) in each number that they reproduce, in spreads of the feature."""


@dataclass(frozen=True)
class Detector:
    """An autoencoder and the threshold of its reconstruction error."""

    file: str
    int8: bytes
    float32: bytes
    scaling: Scaling
    threshold: float

    def scores(self, fleet: Fleet) -> dict[str, Array]:
        rows = self.scaling.apply(fleet.features)
        return {"float": reconstruction_error(self.float32, rows), "int8": reconstruction_error(self.int8, rows)}

    def highest(self, fleet: Fleet) -> list[float]:
        """The highest int8 score of each machine, ascending."""
        scores = self.scores(fleet)["int8"]
        return sorted(float(scores[fleet.machine == machine].max()) for machine in np.unique(fleet.machine))

    def simple(self, fleet: Fleet) -> Array:
        """The trivial detector to beat: root mean square of the scaled features."""
        rows = self.scaling.apply(fleet.features).astype(np.float64)
        return np.asarray(np.sqrt(np.mean(rows**2, axis=1)))

    def as_json(self) -> dict[str, Any]:
        return {"model": self.file, "scaling": self.scaling.as_json(), "threshold": self.threshold}


def reconstruction_error(model: bytes, rows: NDArray[np.float32]) -> Array:
    """Root mean square of what an autoencoder cannot reproduce, [rows]."""
    return np.asarray(np.sqrt(np.mean((rows - run(model, rows)).astype(np.float64) ** 2, axis=1)))


def fit_detector(
    name: str,
    fitting: Fleet,
    calibration: Fleet,
    *,
    limit: float,
    hidden: tuple[int, ...],
    seed: int,
    margin: float = 1.0,
) -> Detector:
    """Learns to reproduce ``fitting``; the threshold is ``margin`` times the worst row of ``calibration``."""
    scaling = Scaling(*centre_and_spread(fitting.features), limit=limit)
    rows = scaling.apply(fitting.features)
    layers = fit_layers(rows, rows, hidden=hidden, epochs=40, alpha=1e-3, seed=seed)
    # Inputs reach the limit when it matters most, however healthy the rows were that it learned from.
    extremes = np.vstack([rows, np.full((1, rows.shape[1]), limit), np.full((1, rows.shape[1]), -limit)])
    float32, int8 = export_float(layers, name), export_int8(layers, extremes, name)
    held_out = scaling.apply(calibration.features)
    agree(float32, int8, held_out, gate=_REPRODUCED_ALIKE, where=name)
    errors = reconstruction_error(int8, held_out)
    return Detector(f"{name}.int8.tflite", int8, float32, scaling, margin * float(errors.max()))


def fit_layers(
    rows: NDArray[np.float32], target: NDArray[Any], *, hidden: tuple[int, ...], epochs: int, alpha: float, seed: int
) -> list[Dense]:
    """A small dense network from scaled ``rows`` [rows, in] to ``target`` [rows, out]."""
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


def centre_and_spread(features: NDArray[np.float32]) -> tuple[Array, Array]:
    """What features are scaled by: mean and standard deviation, each [features]."""
    numbers = features.astype(np.float64)
    return numbers.mean(axis=0), np.maximum(numbers.std(axis=0), 1e-6)
