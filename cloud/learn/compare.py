"""Champion and challenger on the whole stored past: which of two bundles would have judged it better, and is it sure.

The challenger never judges a machine that it learned from: its training is run again for each fold of assets, without
them, and once more with what was known at a cut in time, to judge what came after. The champion judges as it is. Where
it learned from some of these lives itself, that favours it, and is said. What decides is the interval score of Gneiting
& Raftery 2007, which asks for a narrow interval and for the truth inside; the trivial rival is the mean life of the
other assets with its own interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.learn.dataset import DataSet, fleet_of
from cloud.learn.figures import Outcome, life_figures
from cloud.learn.fleet import Fleet
from cloud.learn.job import Job, run, simulated
from cloud.learn.lives import Life
from cloud.learn.predict import anomaly_of, bundle_of, outcome_of, with_models
from cloud.learn.split import healthy, seen
from cloud.learn.train import COVERAGE, RUL_CAP_H
from edge.contract.bundle import TrainedBundle, life_score
from edge.errors import BundleError

Array = NDArray[np.float64]
Step = Callable[[int], object]

FOLDS = 3
FAILED_MIN = 3
"""Of fewer failed machines nothing can be said."""
SURE = 0.9
"""So much of the resampled fleets must agree that the challenger is better."""
COVERAGE_MIN = 0.8
FALSE_ALARMS_MORE = 0.02
_FORWARD_SHARE = 0.6
_DRAWS = 4000


@dataclass(frozen=True)
class Judged:
    """One bundle over the same rows: figures for people, the interval score by failed machine, the share of healthy
    rows that it calls anomalous."""

    figures: dict[str, Any]
    loss: dict[int, float]
    false_alarms: float | None


@dataclass(frozen=True)
class Comparison:
    """``better``: the share of resampled fleets in which the challenger has the lower loss."""

    champion: Judged
    challenger: Judged
    challenger_float: Judged
    forward: dict[str, Any]
    failed: int
    better: float
    promote: bool
    reason: str
    notes: tuple[str, ...]


def compare(champion: TrainedBundle, job: Job, data: DataSet, *, each: Step = lambda _: None) -> Comparison:
    """Judge ``champion`` and whatever ``job`` learns on ``data``. Raises ``BundleError`` where it cannot be trained."""
    if champion.asset_class != job.asset_class:
        problem = f"the champion is made for {champion.asset_class!r}, the challenger for {job.asset_class!r}"
        raise BundleError(job.asset_class, problem, "compare bundles of one class")
    if champion.names != job.kind.spec.names:
        problem = "the champion follows other features than these rows have"
        raise BundleError(job.asset_class, problem, "replay the blocks with its own, or train a champion anew")
    fleet = simulated(job, each)
    rows = job.recipe.rows_per_machine
    parts = [_fold(job, fleet, data, names, rows) for names in _folds(data, job.seed)]
    whole = fleet_of(data, cap_h=RUL_CAP_H, rows=rows)
    first = _judged(outcome_of(champion, seen(whole)), anomaly_of(champion, healthy(whole)))
    second, second_float = (
        _judged(_stacked([part[name][0] for part in parts]), np.concatenate([part[name][1] for part in parts]))
        for name in ("int8", "float")
    )
    failed = sorted(set(first.loss) & set(second.loss))
    better = _better([first.loss[m] for m in failed], [second.loss[m] for m in failed], job.seed)
    forward = _forward(champion, job, fleet, data, rows)
    promote, reason = _decided(first, second, len(failed), better, forward)
    return Comparison(
        first, second, second_float, forward, len(failed), better, promote, reason, _notes(champion, data)
    )  # fmt: skip


def _folds(data: DataSet, seed: int) -> list[tuple[str, ...]]:
    """Assets in parts of which each has its share of those that failed."""
    failed = {life.name for life in data.lives if life.failed}
    draw = np.random.default_rng(seed)
    order = [
        name
        for is_failed in (True, False)
        for name in draw.permutation([name for name in data.assets if (name in failed) is is_failed]).tolist()
    ]
    folds = min(FOLDS, len(order))
    return [tuple(order[i::folds]) for i in range(folds)]


def _fold(
    job: Job, fleet: Fleet | None, data: DataSet, names: Sequence[str], rows: int
) -> dict[str, tuple[Outcome, Array]]:
    """What a challenger that never saw the assets ``names`` says of them, int8 and float, and how anomalous it calls
    their healthy rows. Machines are numbered as in ``data``."""
    others = data.only([name for name in data.assets if name not in names])
    trained = run(job, others if others.lives else None, fleet=fleet) if fleet is not None or others.lives else None
    if trained is None:
        raise BundleError(job.asset_class, "one machine is all there is to learn from", "learn with --plant")
    bundle = bundle_of(trained)
    part = fleet_of(data, cap_h=RUL_CAP_H, rows=rows)
    numbers = [i for i, name in enumerate(data.assets) if name in names]
    part = part.only(np.array(numbers, np.int64))
    return {
        name: (outcome_of(one, seen(part)), anomaly_of(one, healthy(part)))
        for name, one in (("int8", bundle), ("float", with_models(bundle, trained.originals)))
    }


def _stacked(outcomes: Sequence[Outcome]) -> Outcome:
    names = ("score", "ends", "rul_h", "machine", "health", "wear")
    return Outcome(*(np.concatenate([getattr(one, name) for one in outcomes]) for name in names))


def _judged(outcome: Outcome, calm: Array) -> Judged:
    failed = np.isfinite(outcome.rul_h)
    figures: dict[str, Any] = {}
    if failed.any():
        mean_h = float(np.minimum(outcome.rul_h[failed], RUL_CAP_H).mean())
        found = life_figures({"it": outcome}, mean_h, RUL_CAP_H)
        figures = {**found["it"], "mean_life_rmse_all_h": found["mean_life"]["rmse_all_h"]}
    return Judged(figures, _loss(outcome), round(float(np.mean(calm > 1.0)), 4) if len(calm) else None)


def _loss(outcome: Outcome) -> dict[int, float]:
    """Mean interval score in life score by failed machine: the width, and 2 / alpha times what it misses by."""
    actual = life_score(outcome.rul_h, RUL_CAP_H)
    low, high = np.clip(outcome.ends, 0.0, 1.0).T
    missed = np.maximum(low - actual, 0.0) + np.maximum(actual - high, 0.0)
    score = (high - low) + 2.0 / (1.0 - COVERAGE) * missed
    failed = np.isfinite(outcome.rul_h)
    return {
        int(machine): float(score[failed & (outcome.machine == machine)].mean())
        for machine in np.unique(outcome.machine[failed])
    }


def _better(champion: Sequence[float], challenger: Sequence[float], seed: int) -> float:
    if not champion:
        return 0.0
    gain = np.array(champion) - np.array(challenger)
    drawn = np.random.default_rng(seed).integers(0, len(gain), (_DRAWS, len(gain)))
    return float(np.mean(gain[drawn].mean(axis=1) > 0.0))


def _decided(
    champion: Judged, challenger: Judged, failed: int, better: float, forward: Mapping[str, Any]
) -> tuple[bool, str]:
    """Whether to promote, and why or why not."""
    if failed < FAILED_MIN:
        return False, f"{failed} failed machines cannot tell them apart, {FAILED_MIN} may: keep the champion"
    mean = {name: float(np.mean(list(one.loss.values()))) for name, one in (("a", champion), ("b", challenger))}
    words = f"interval score {mean['b']:.3f}, the champion's {mean['a']:.3f} (lower is better)"
    coverage = challenger.figures.get("coverage_all")
    if coverage is not None and coverage < COVERAGE_MIN:
        return False, f"its 90 % interval covers {100.0 * coverage:.0f} % of what was held out: keep the champion"
    before, now = champion.false_alarms or 0.0, challenger.false_alarms or 0.0
    if now > before + FALSE_ALARMS_MORE:
        more = f"{100.0 * now:.1f} % of healthy rows anomalous, the champion {100.0 * before:.1f} %"
        return False, f"it calls {more}: keep the champion"
    sure = f"better in {100.0 * better:.0f} % of resampled fleets"
    if better < SURE:
        return False, f"challenger is not surely better: {words}, {sure}: keep the champion"
    if forward.get("challenger") is not None and forward["challenger"] > forward["champion"]:
        ahead = f"forward in time it is worse ({forward['challenger']:.3f}, the champion {forward['champion']:.3f})"
        return False, f"challenger is better on machines held out, but {ahead}: keep the champion"
    return True, f"challenger is better: {words}, {sure}"


def _forward(champion: TrainedBundle, job: Job, fleet: Fleet | None, data: DataSet, rows: int) -> dict[str, Any]:
    """Both on what came after a cut in time, the challenger trained with what was known then."""
    ends = sorted(life.end_ns for life in data.lives if life.failed)
    if len(ends) < 2:
        return {"words": "fewer than two failures: there is no before and after"}
    cut_ns = ends[min(int(_FORWARD_SHARE * len(ends)), len(ends) - 1)]
    later = fleet_of(_after(data, cut_ns), cap_h=RUL_CAP_H, rows=rows)
    known = data.before(cut_ns)
    if not len(seen(later).rul_h) or (fleet is None and not known.lives):
        return {"words": "nothing that failed after the cut has rows of its own", "cut_ns": cut_ns}
    trained = run(job, known if known.lives else None, fleet=fleet)
    challenger = _loss(outcome_of(bundle_of(trained), seen(later)))
    before = _loss(outcome_of(champion, seen(later)))
    return {
        "cut_ns": cut_ns, "failed_before": known.failures, "failed_after": len(before),
        "champion": round(float(np.mean(list(before.values()))), 4) if before else None,
        "challenger": round(float(np.mean(list(challenger.values()))), 4) if challenger else None,
    }  # fmt: skip


def _after(data: DataSet, cut_ns: int) -> DataSet:
    """Rows after ``cut_ns`` of lives that ended after it."""
    lives: list[Life] = []
    for life in data.lives:
        rows = life.at_ns >= cut_ns
        if rows.any():
            lives.append(
                replace(
                    life, features=life.features[rows], hour_h=life.hour_h[rows], risen_h=life.risen_h[rows],
                    at_ns=life.at_ns[rows], healthy=life.healthy[rows],
                )
            )  # fmt: skip
    return replace(data, lives=tuple(lives))


def _notes(champion: TrainedBundle, data: DataSet) -> tuple[str, ...]:
    stored = champion.manifest.get("trained_on", {}).get("run", {}).get("stored")
    if not stored:
        return ()
    known = {(gateway, epoch): last for gateway, epoch, last in stored["extents"]}
    shared = sum((extent.gateway, extent.epoch) in known for extent in data.extents)
    return (f"the champion learned from {shared} of these {len(data.extents)} journals itself: that favours it",)
