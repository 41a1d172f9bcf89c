"""From a simulated fleet to a bundle: life model, novelty model, calibrated interval, figures, manifest.

The life model is a student of boosted trees (``teacher``, ``student``); the detectors are autoencoders. Machines are
split into three parts that share none: the models learn from the first, intervals and thresholds are set on the second,
every figure is measured on the third. The same command gives the same hashes: seeds are fixed and linear algebra runs
on one thread. int8 models that differ from their float originals by more than the gate are refused.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.learn.conformal import calibrate, places
from cloud.learn.detector import Detector, centre_and_spread, fit_detector
from cloud.learn.figures import Outcome, life_figures, novelty_figures
from cloud.learn.fleet import Fleet, Kind, Recipe
from cloud.learn.gate import agree
from cloud.learn.split import FIRST_STORED, Law, Split, healthy, imputed, seen, widened, widenings
from cloud.learn.student import Schooling, distil
from cloud.learn.teacher import fit_teacher
from cloud.learn.tflite import export_float, export_int8, run
from edge.contract.bundle import Inner, Interval, Scaling, life_score, tempered
from edge.errors import BundleError

Array = NDArray[np.float64]

RUL_CAP_H = 1000.0
COVERAGE = 0.9
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Where the survival curve has points within the interval of 90 %."""
NO_END = 0.99
"""A life score from here on is one of at least the cap."""
EDGES_H = (0.0, 10.0, 24.0, 48.0, 90.0, 168.0, 300.0, 500.0, 750.0, RUL_CAP_H)
"""Ranges of predicted life with an interval of their own."""
QUIET = (0.25, 0.5)
"""Between these shares of the novelty threshold the life model's word begins to count (``tempered``)."""
SCHOOLING = Schooling(hidden=(32, 16), members=3, epochs=60, batch=200, trust=0.2, noise=0.0, decay=1e-4)
AGREE = 0.02
"""How far int8 and float may be apart (RMS), of life score and health, on machines held out."""
SCORE_GATE = 0.004
"""How much the int8 life model's RMSE may exceed the float one's, in life score (1.0 is the whole scale)."""
MACHINES_MIN = 80
"""Of these 28 calibrate, some 20 of which wear out: 19 is the least for a 95 % quantile."""
ESTABLISHED_BELOW = 0.85
"""Predicted health under which wear is plain, and intervals are calibrated on their own."""
FAMILIAR_MARGIN = 1.25
"""How far beyond the strangest calibration machine an asset must be before its life is not judged."""


@dataclass(frozen=True)
class Trained:
    """A bundle before it is written: what ``save_bundle`` takes, and the figures for people. ``originals`` are the
    float models that ``files`` were quantised from, by the same names."""

    manifest: dict[str, Any]
    files: dict[str, bytes]
    figures: dict[str, Any]
    originals: dict[str, bytes]


def learn(
    kind: Kind, recipe: Recipe, split: Split, *, seed: int, about: Mapping[str, Any], law: Law | None = None
) -> Trained:
    """The bundle of ``split``; the manifest tells ``about`` its data. ``law`` is of censored rows (``imputed``)."""
    fitting, calibration, test = imputed(split.fitting, law), seen(split.calibration), seen(split.test)
    fit_healthy, calm = healthy(split.fitting), healthy(split.calibration)
    if not len(fit_healthy.rul_h) or not len(calm.rul_h):
        problem = "no machine is known to have been healthy: what is new cannot be told from what is normal"
        raise BundleError(kind.asset_class, problem, "learn with simulated ones beside them: --plant")
    novelty = fit_detector("novelty", fit_healthy, calm, limit=8.0, hidden=(12, 6, 12), seed=seed)
    familiar = fit_detector(
        "familiar", fitting, calibration, limit=4.0, hidden=(16, 4, 16), seed=seed, margin=FAMILIAR_MARGIN
    )
    life = _life(fitting, calibration, novelty, seed=seed, where=kind.asset_class)
    wider = _widening(life, novelty, calibration)
    life = replace(life, early=widened(life.early, wider[0]), established=widened(life.established, wider[1]))
    figures: dict[str, Any] = {
        "life": life_figures(_outcomes(life, novelty, test), _mean_life_h(fitting), RUL_CAP_H),
        "novelty": novelty_figures(
            split.test, novelty.scores(split.test), novelty.simple(split.test), novelty.threshold
        ),
        "familiar": {
            name: {"refused": round(float(np.mean(scores > familiar.threshold)), 4)}
            for name, scores in familiar.scores(test).items()
        },
    }
    files = {part.file: part.int8 for part in (life, novelty, familiar)}
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
            "model": life.file,
            "outputs": ["life_score", "health"],
            "rul_cap_h": RUL_CAP_H,
            "quiet": {"below": QUIET[0], "above": QUIET[1]},
            "scaling": life.scaling.as_json(),
            "early": life.early.as_json(),
            "established": life.established.as_json(),
            "established_below": ESTABLISHED_BELOW,
            "inner": life.inner.as_json(),
        },
        # Above the worst of n healthy machines the next one is with a chance of 1 in n + 1: they are exchangeable.
        "novelty": novelty.as_json()
        | {"false_alarms_per_machine": 1.0 / (calm.machines + 1), "healthy": novelty.highest(calm)},
        "familiar": familiar.as_json(),
        "trained_on": {
            "machines": {"fitting": fitting.machines, "calibration": calibration.machines, "test": test.machines},
            "seed": seed,
            "rows": split.rows,
            "recipe": recipe.as_json(),
            "interval": {"basis": split.basis, "widened": [round(factor, 3) for factor in wider]},
            **about,
        },
        "figures": figures,
    }
    originals = {part.file: part.float32 for part in (life, novelty, familiar)}
    return Trained(manifest, files, figures, originals)


def _widening(life: _Life, novelty: Detector, calibration: Fleet) -> tuple[float, float]:
    """What real machines ask of the early and the established interval, where these stand on simulated ones too."""
    rows = calibration.where(calibration.machine >= FIRST_STORED)
    if not len(rows.rul_h):
        return 1.0, 1.0
    outcome = _outcomes(life, novelty, rows)["int8"]
    return widenings(outcome, rows, established_below=ESTABLISHED_BELOW, cap_h=RUL_CAP_H)


@dataclass(frozen=True)
class _Life:
    file: str
    float32: bytes
    int8: bytes
    scaling: Scaling
    early: Interval
    established: Interval
    inner: Inner


def _life(fitting: Fleet, calibration: Fleet, novelty: Detector, *, seed: int, where: str) -> _Life:
    scaling = Scaling(*centre_and_spread(fitting.features), limit=4.0)
    rows = scaling.apply(fitting.features)
    target = np.column_stack([life_score(fitting.rul_h, RUL_CAP_H), 1.0 - fitting.wear])
    teacher = fit_teacher(rows, target, seed=seed, assets=fitting.machine)
    layers = distil(teacher, rows, target, seed=seed, schooling=SCHOOLING)
    float32, int8 = export_float(layers, "life"), export_int8(layers, rows, "life")
    held_out = scaling.apply(calibration.features)
    agree(float32, int8, held_out, gate=AGREE, within=(0.0, 1.0), where=where)
    actual = life_score(calibration.rul_h, RUL_CAP_H)
    anomaly = novelty.scores(calibration)["int8"] / novelty.threshold
    answer = run(int8, held_out)
    predicted = tempered(answer[:, 0], anomaly, QUIET)
    _gate(where, _rmse(tempered(run(float32, held_out)[:, 0], anomaly, QUIET), actual), _rmse(predicted, actual))
    intervals, within = [], []
    for rows_of in (answer[:, 1] >= ESTABLISHED_BELOW, answer[:, 1] < ESTABLISHED_BELOW):
        try:
            intervals.append(
                calibrate(
                    predicted[rows_of],
                    actual[rows_of],
                    calibration.machine[rows_of],
                    coverage=COVERAGE,
                    edges=life_score(np.array(EDGES_H), RUL_CAP_H),
                )
            )
        except ValueError as error:
            raise BundleError(where, str(error), "simulate more machines") from error
        # Where no end is in sight there is no curve: those many rows would only say that nothing happens.
        ends = rows_of & (predicted < NO_END)
        within.append(places(predicted[ends], actual[ends], calibration.machine[ends], intervals[-1], LEVELS))
    early, established = intervals
    return _Life("life.int8.tflite", float32, int8, scaling, early, established, Inner(LEVELS, *within))


def _gate(where: str, float_rmse: float, int8_rmse: float) -> None:
    if int8_rmse > float_rmse + SCORE_GATE:
        problem = f"int8 life score RMSE {int8_rmse:.4f}, float {float_rmse:.4f}: they differ by more than {SCORE_GATE}"
        raise BundleError(where, problem, "train with more machines or another seed")


def _outcomes(life: _Life, novelty: Detector, test: Fleet) -> dict[str, Outcome]:
    rows = life.scaling.apply(test.features)
    scores, outcomes = novelty.scores(test), {}
    for name, model in (("float", life.float32), ("int8", life.int8)):
        answer = run(model, rows).astype(np.float64)
        score = tempered(answer[:, 0], scores[name] / novelty.threshold, QUIET)
        early = answer[:, 1] >= ESTABLISHED_BELOW
        ends = [
            (life.early if is_early else life.established).around(float(s))
            for s, is_early in zip(score, early, strict=True)
        ]
        outcomes[name] = Outcome(score, np.array(ends), test.rul_h, test.machine, answer[:, 1], test.wear)
    return outcomes


def _valid(features: NDArray[np.float32]) -> tuple[Array, Array]:
    """What training saw, with a tenth of its width beyond on either side."""
    low, high = features.min(axis=0).astype(np.float64), features.max(axis=0).astype(np.float64)
    return low - 0.1 * (high - low), high + 0.1 * (high - low)


def _mean_life_h(fleet: Fleet) -> float:
    return float(np.minimum(fleet.rul_h, RUL_CAP_H)[np.isfinite(fleet.rul_h)].mean())


def _rmse(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean((np.asarray(a, np.float64) - b) ** 2)))
