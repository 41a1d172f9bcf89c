"""How well a bundle does on machines that it never saw, beside what costs nothing. Rounded, so that they read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.learn.fleet import Fleet
from edge.contract.bundle import hours_of

Array = NDArray[np.float64]

DETECTABLE_WEAR = 0.1
"""Below this share of life consumed the simulated signals hardly differ from a healthy machine's."""


@dataclass(frozen=True)
class Outcome:
    """Predicted life score with its interval [rows, 2] and health [rows] beside the truth: hours, machine and wear."""

    score: Array
    ends: Array
    rul_h: Array
    machine: NDArray[np.int64]
    health: NDArray[Any]
    wear: Array


def life_figures(outcomes: Mapping[str, Outcome], mean_h: float, cap_h: float) -> dict[str, Any]:
    """RMSE of each model and of the constant ``mean_h``, in hours with life capped at ``cap_h``, over rows after the
    onset of wear: all of them, and those with detectable wear. The interval's coverage (by machines) and median width.
    """
    figures: dict[str, Any] = {}
    for name, outcome in outcomes.items():
        actual = np.minimum(outcome.rul_h, cap_h)
        hours = np.array([hours_of(score, cap_h) for score in outcome.score])
        begun = np.isfinite(outcome.rul_h)
        seen = begun & (outcome.wear >= DETECTABLE_WEAR)
        figures[name] = {
            "rmse_h": _rmse(hours[seen], actual[seen]),
            "rmse_all_h": _rmse(hours[begun], actual[begun]),
            "health_rmse": round(float(np.sqrt(np.mean((outcome.health - 1.0 + outcome.wear) ** 2))), 4),
            **_interval_figures(outcome, cap_h),
        }
        figures["mean_life"] = {"rmse_h": _rmse(actual[seen], mean_h), "rmse_all_h": _rmse(actual[begun], mean_h)}
    return figures


def _interval_figures(outcome: Outcome, cap_h: float) -> dict[str, Any]:
    ends = np.array([[hours_of(end, cap_h) for end in pair] for pair in outcome.ends])
    actual = np.minimum(outcome.rul_h, cap_h)
    inside = (ends[:, 0] <= actual + 1e-6) & (actual <= ends[:, 1] + 1e-6)
    begun = np.isfinite(outcome.rul_h)
    seen = begun & (outcome.wear >= DETECTABLE_WEAR)
    width = ends[:, 1] - ends[:, 0]
    near, far = seen & (actual < 48.0), seen & (actual >= 168.0)
    return {
        "coverage": _by_machine(inside, outcome.machine, seen),
        "coverage_all": _by_machine(inside, outcome.machine, begun),
        "width_below_48_h": round(float(np.median(width[near])), 1) if near.any() else None,
        "width_above_168_h": round(float(np.median(width[far])), 1) if far.any() else None,
        "healthy_called_warning": _by_machine(ends[:, 0] < 168.0, outcome.machine, ~begun),
    }


def novelty_figures(test: Fleet, scores: Mapping[str, Array], simple: Array, threshold: float) -> dict[str, Any]:
    """Area under the ROC curve, healthy against detectable wear; share of healthy rows above the threshold. None where
    there are no such rows."""
    healthy = test.is_healthy
    worn = np.isfinite(test.rul_h) & ~test.censored & (test.wear >= DETECTABLE_WEAR)
    figures: dict[str, Any] = {
        name: {
            "auc": _auc(score[healthy], score[worn]),
            "false_alarms": _share(score[healthy] > threshold),
            "recall": _share(score[worn] > threshold),
        }
        for name, score in scores.items()
    }
    figures["rms_of_features"] = {"auc": _auc(simple[healthy], simple[worn])}
    return figures


def _by_machine(hits: NDArray[np.bool_], machines: NDArray[np.int64], rows: NDArray[np.bool_]) -> float | None:
    """Share of ``hits`` among ``rows``, each machine weighing the same."""
    shares = [float(hits[rows & (machines == m)].mean()) for m in np.unique(machines[rows])]
    return round(float(np.mean(shares)), 4) if shares else None


def _share(hits: NDArray[np.bool_]) -> float | None:
    return round(float(np.mean(hits)), 4) if len(hits) else None


def _auc(negative: Array, positive: Array) -> float | None:
    """Mann-Whitney: the chance that a positive scores higher than a negative, ties counting half."""
    if not len(negative) or not len(positive):
        return None
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return round(float(below.sum() / 2.0 / (len(negative) * len(positive))), 4)


def _rmse(a: Array, b: Array | float) -> float | None:
    return round(float(np.sqrt(np.mean((a - b) ** 2))), 1) if len(a) else None
