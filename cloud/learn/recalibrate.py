"""An existing bundle's intervals and thresholds set anew on stored histories, by asset; its models stay as they are.

Enough failed machines (19 for a 90 % interval) replace its margins. Fewer can only widen them: as far as each of them
asks. Nine healthy machines replace the novelty threshold, fewer can only raise it. What was done, and on what, is in
the manifest and in ``words``; where the evidence moves nothing, that is an error with its count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.learn.conformal import calibrate
from cloud.learn.dataset import DataSet, fleet_of, summary
from cloud.learn.figures import Outcome
from cloud.learn.fleet import Fleet
from cloud.learn.predict import anomaly_of, outcome_of
from cloud.learn.split import FAILURES_MIN, FIRST_STORED, WIDEN_MAX, healthy, seen, widened, widenings
from cloud.learn.train import COVERAGE, EDGES_H
from edge.contract.bundle import Interval, TrainedBundle, life_score
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
    known = seen(whole)
    outcome = outcome_of(bundle, known)
    failed = known.machine[np.isfinite(known.rul_h)]
    count = len(np.unique(failed))
    early, established, words = _intervals(bundle, known, outcome, count)
    threshold, said = _threshold(bundle, healthy(whole))
    if not words and not said:
        problem = f"{count} failed machines and {healthy(whole).machines} healthy ones are too few to move anything"
        hint = f"{FAILURES_MIN} failures replace a 90 % interval, {HEALTHY_MIN} healthy machines the threshold"
        raise BundleError(bundle.asset_class, problem, hint)
    manifest = {key: value for key, value in bundle.manifest.items() if key not in ("hash", "files", "format")}
    manifest["life"] = {**manifest["life"], "early": early.as_json(), "established": established.as_json()}
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
        manifest, (*words, *said), _coverage(bundle, outcome, outcome.ends), _coverage(bundle, outcome, ends)
    )


def _intervals(
    bundle: TrainedBundle, known: Fleet, outcome: Outcome, count: int
) -> tuple[Interval, Interval, list[str]]:
    actual = life_score(known.rul_h, bundle.rul_cap_h)
    if count < FAILURES_MIN:
        factors = widenings(outcome, known, established_below=bundle.established_below, cap_h=bundle.rul_cap_h)
        early, established = widened(bundle.early, factors[0]), widened(bundle.established, factors[1])
        words = [
            f"{name} interval widened {factor:.2f} times, as {count} failed machines ask"
            f" ({FAILURES_MIN} would replace it)" + (", who would ask for more" if factor >= WIDEN_MAX else "")
            for name, factor in (("early", factors[0]), ("established", factors[1]))
            if factor > 1.0
        ]
        return early, established, words
    found = []
    words_of = []
    for name, old, rows in (
        ("early", bundle.early, outcome.health >= bundle.established_below),
        ("established", bundle.established, outcome.health < bundle.established_below),
    ):
        try:
            edges = life_score(np.array(EDGES_H), bundle.rul_cap_h)
            new = calibrate(outcome.score[rows], actual[rows], known.machine[rows], coverage=COVERAGE, edges=edges)
            words_of.append(f"{name} interval set on {len(np.unique(known.machine[rows]))} machines")
        except ValueError:
            new = old
        found.append(new)
    return found[0], found[1], words_of


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
