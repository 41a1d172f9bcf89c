"""An existing bundle's intervals and thresholds set anew on stored histories, by asset; its models stay as they are.

Enough failed machines (19 for a 90 % interval) replace its margins. Fewer can only widen them: as far as each of them
asks. Nine healthy machines replace the novelty threshold, fewer can only raise it. What was done, and on what, is in
the manifest and in ``words``; where the evidence moves nothing, that is an error with its count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.learn.conformal import calibrate, places
from cloud.learn.dataset import DataSet, fleet_of, summary
from cloud.learn.figures import Outcome
from cloud.learn.fleet import Fleet
from cloud.learn.predict import anomaly_of, outcome_of
from cloud.learn.split import FAILURES_MIN, FIRST_STORED, WIDEN_MAX, healthy, seen, widened, widenings
from cloud.learn.train import COVERAGE, EDGES_H, LEVELS, NO_END
from edge.contract.bundle import Inner, Interval, TrainedBundle, life_score
from edge.errors import BundleError

HEALTHY_MIN = 9
"""Above the worst of so many the next healthy machine is with a chance of 1 in 10."""
ROWS = 240


@dataclass(frozen=True)
class Recalibrated:
    """The bundle's new manifest, ready for ``save_bundle`` with its old files; coverage by machine before and after on
    the machines that it was set on, and what was done in words."""

    manifest: dict[str, Any]
    words: tuple[str, ...]
    coverage_before: float | None
    coverage_after: float | None


def recalibrate(bundle: TrainedBundle, data: DataSet) -> Recalibrated:
    """Raises ``BundleError`` where ``data`` is too little to change anything."""
    whole = fleet_of(data, cap_h=bundle.rul_cap_h, rows=ROWS, first=FIRST_STORED, features=len(bundle.names))
    known, before = seen(whole), outcome_of(bundle, seen(whole))
    count = len(np.unique(known.machine[np.isfinite(known.rul_h)]))
    threshold, said = _threshold(bundle, healthy(whole))
    # Scores are tempered by the anomaly: intervals are set on what they will be from now on.
    bundle = replace(bundle, novelty=replace(bundle.novelty, threshold=threshold))
    outcome = outcome_of(bundle, known)
    intervals, inner, words = _intervals(bundle, known, outcome, count)
    early, established = intervals
    if not words and not said:
        problem = f"{count} failed machines and {healthy(whole).machines} healthy ones are too few to move anything"
        hint = f"{FAILURES_MIN} failures replace a 90 % interval, {HEALTHY_MIN} healthy machines the threshold"
        raise BundleError(bundle.asset_class, problem, hint)
    manifest = {key: value for key, value in bundle.manifest.items() if key not in ("hash", "files", "format")}
    manifest["life"] = {**manifest["life"], "early": early.as_json(), "established": established.as_json()}
    if inner is not None:
        manifest["life"]["inner"] = inner.as_json()
    manifest["novelty"] = {**manifest["novelty"], "threshold": threshold}
    manifest["recalibrated"] = {
        "from": bundle.hash, "sha256": data.sha256, "outcomes_sha256": data.outcomes_sha256, **summary(data),
        "words": [*words, *said],
    }  # fmt: skip
    after = [
        (early if health >= bundle.established_below else established).around(float(score))
        for score, health in zip(outcome.score, outcome.health, strict=True)
    ]
    ends = np.array(after).reshape(-1, 2)
    return Recalibrated(
        manifest, (*words, *said), _coverage(bundle, before, before.ends), _coverage(bundle, outcome, ends)
    )


def _intervals(
    bundle: TrainedBundle, known: Fleet, outcome: Outcome, count: int
) -> tuple[tuple[Interval, Interval], Inner | None, list[str]]:
    """The early and the established interval, how lives lie within them, and what was done."""
    if count < FAILURES_MIN:
        factors = widenings(outcome, known, established_below=bundle.established_below, cap_h=bundle.rul_cap_h)
        words = [
            f"{name} interval widened {factor:.2f} times, as {count} failed machines ask"
            f" ({FAILURES_MIN} would replace it)" + (", who would ask for more" if factor >= WIDEN_MAX else "")
            for name, factor in zip(("early", "established"), factors, strict=True)
            if factor > 1.0
        ]
        return (widened(bundle.early, factors[0]), widened(bundle.established, factors[1])), bundle.inner, words
    inner = bundle.inner
    is_early = outcome.health >= bundle.established_below
    first = _replaced(bundle.early, inner.early if inner else None, known, outcome, is_early, bundle.rul_cap_h)
    second = _replaced(
        bundle.established, inner.established if inner else None, known, outcome, ~is_early, bundle.rul_cap_h
    )
    words = [
        f"{name} interval set on {machines} machines"
        for name, (_, _, machines) in (("early", first), ("established", second))
        if machines
    ]
    if inner is not None and first[1] is not None and second[1] is not None:
        inner = replace(inner, early=first[1], established=second[1])
    return (first[0], second[0]), inner, words


def _replaced(
    old: Interval,
    within: tuple[float, ...] | None,
    known: Fleet,
    outcome: Outcome,
    rows: NDArray[np.bool_],
    cap_h: float,
) -> tuple[Interval, tuple[float, ...] | None, int]:
    """An interval set anew on ``rows``, how lives lie within it, and on how many machines; the old where these are too
    few (0)."""
    part = known.where(rows)
    score, actual, edges = outcome.score[rows], life_score(part.rul_h, cap_h), life_score(np.array(EDGES_H), cap_h)
    try:
        new = calibrate(score, actual, part.machine, coverage=COVERAGE, edges=edges)
    except ValueError:
        return old, within, 0
    ends = score < NO_END
    return new, places(score[ends], actual[ends], part.machine[ends], new, LEVELS), part.machines


def _threshold(bundle: TrainedBundle, calm: Fleet) -> tuple[float, list[str]]:
    old = bundle.novelty.threshold
    if not calm.machines:
        return old, []
    worst = float(anomaly_of(bundle, calm).max()) * old
    if calm.machines >= HEALTHY_MIN and not math.isclose(worst, old):
        return worst, [
            f"novelty threshold {old:.3f} to {worst:.3f}, above the worst of {calm.machines} healthy machines"
        ]
    if worst > old:
        return worst, [f"novelty threshold raised from {old:.3f} to {worst:.3f} by {calm.machines} healthy machines"]
    return old, []


def _coverage(bundle: TrainedBundle, outcome: Outcome, ends: NDArray[np.float64]) -> float | None:
    """Mean by failed machine."""
    actual = life_score(outcome.rul_h, bundle.rul_cap_h)
    inside = (ends[:, 0] <= actual + 1e-9) & (actual <= ends[:, 1] + 1e-9)
    failed = np.isfinite(outcome.rul_h)
    shares = [float(inside[failed & (outcome.machine == m)].mean()) for m in np.unique(outcome.machine[failed])]
    return round(float(np.mean(shares)), 4) if shares else None
