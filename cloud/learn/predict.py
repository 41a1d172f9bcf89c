"""What a bundle says of many rows at once, int8 or float, without a gateway: for figures, calibration, comparison."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloud.learn.detector import reconstruction_error
from cloud.learn.figures import Outcome
from cloud.learn.fleet import Fleet
from cloud.learn.tflite import run
from cloud.learn.train import Trained
from edge.contract.bundle import TrainedBundle, load_trained, save_bundle, tempered

Array = NDArray[np.float64]


def bundle_of(trained: Trained) -> TrainedBundle:
    """As a gateway would load it."""
    with tempfile.TemporaryDirectory() as folder:
        save_bundle(Path(folder), trained.manifest, trained.files)
        return load_trained(Path(folder))


def with_models(bundle: TrainedBundle, files: Mapping[str, bytes]) -> TrainedBundle:
    """The bundle with other models of the same names: its float originals."""
    return replace(bundle, files=dict(files))


def anomaly_of(bundle: TrainedBundle, fleet: Fleet) -> Array:
    """Reconstruction error over the novelty threshold, [rows]."""
    rows = bundle.novelty.scaling.apply(fleet.features)
    return reconstruction_error(bundle.files[bundle.novelty.model], rows) / bundle.novelty.threshold


def outcome_of(bundle: TrainedBundle, fleet: Fleet) -> Outcome:
    """Life score with its interval, and health, beside the fleet's truth."""
    answer = run(bundle.files[bundle.life_model], bundle.life_scaling.apply(fleet.features)).astype(np.float64)
    score = tempered(answer[:, 0], anomaly_of(bundle, fleet), bundle.quiet)
    early = answer[:, 1] >= bundle.established_below
    ends = np.array([
        (bundle.early if is_early else bundle.established).around(float(s))
        for s, is_early in zip(score, early, strict=True)
    ]).reshape(-1, 2)  # fmt: skip
    return Outcome(score, ends, fleet.rul_h, fleet.machine, answer[:, 1], fleet.wear)
