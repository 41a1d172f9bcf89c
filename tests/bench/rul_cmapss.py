"""Remaining life of C-MAPSS turbofans: XGBoost teacher, int8 student, conformal interval, with what costs nothing.

Protocol: training labels are min(RUL, 125); one prediction an engine at its last row; RMSE and the NASA score (a sum)
against the truth cut at 125 ("clipped") and as it is ("raw"). A perfect predictor that is cut at 125 has a raw RMSE of
3.74 / 18.32 / 4.71 / 19.53 on FD001 / 2 / 3 / 4.

Features are the gateway's own (edge/features/factors.py): a factor model by operating regime, fitted without labels to
the training engines, followed over the engine's whole history. How many factors is chosen by leaving training engines
out. The interval is calibrated on training engines that the predicting model never saw, at the level that covers 90 %
of them when each fold is judged by the others. No test label is used for any choice. The float and int8 students are
both run by LiteRT.

Where the folder has test_FD00x and RUL_FD00x (.txt or .txt.gz) the figures are the test set's. Where it has not, they
are of training engines left out in five folds and cut at random, as the output says; raw figures then depend on how
early the cuts are.

Each seed is another teacher and another student. One subset takes one to six minutes on one core.

    python -m tests.bench.rul_cmapss --data ../shared/data/cmapss --subset FD001
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from cloud.learn.by_truth import calibrate_by_truth
from edge.contract.bundle import Interval
from tests.bench._cmapss import (
    CAP,
    MODELS,
    Array,
    Engines,
    Index,
    Missing,
    Said,
    by_third,
    covered,
    figures,
    read_test,
    read_training,
)
from tests.bench._cmapss_student import FOLDS, Part, Student, folds, how_many_factors, left_out, part, taught

SUBSETS = ("FD001", "FD002", "FD003", "FD004")
COVERAGE, COVERAGE_OF_THIRD = 0.9, 0.88
"""What engines left out are to see of a 90 % interval, over all and in each third of life."""
LEVELS = tuple(np.linspace(0.86, 0.93, 8).tolist())
JUDGED_FROM = 20
"""Cycles; an interval is calibrated on what is said of an engine from here on."""
CUTS, CUT_BETWEEN = 20, (0.25, 0.97)
"""Without a test set: how often each engine is cut, evenly by chance between these shares of its life."""
AIM = {"FD001": 10.9, "FD002": 11.5, "FD003": 10.8, "FD004": 11.8}


def trivial(learn: Engines, ages: Array) -> dict[str, Array]:
    """The mean life of the training rows, and a line on age fitted to them."""
    slope, offset = np.polyfit(learn.age, learn.capped, 1)
    line = np.clip(offset + slope * ages, 0.0, CAP)
    return {"constant_mean": np.full(len(ages), learn.capped.mean()), "linear_on_age": line}


@dataclass(frozen=True)
class Held:
    """What the int8 student said of engines that were left out, [rows], where an engine may be judged."""

    predicted: Array
    actual: Array
    engine: Index

    @staticmethod
    def of(p: Part, said: dict[str, Array]) -> Held:
        kept = p.out.age >= JUDGED_FROM
        return Held(said["int8"][kept], p.out.capped[kept], p.out.engine[kept])


def interval(held: list[Held], level: float) -> Interval:
    predicted, actual = (np.concatenate([getattr(h, name) for h in held]) for name in ("predicted", "actual"))
    engine = np.concatenate([h.engine for h in held])
    return calibrate_by_truth(predicted, actual, engine, coverage=level, cap=CAP)


def calibrated(held: list[Held]) -> Interval:
    """The narrowest interval that covers, of each fold by the others, 90 % of rows and enough in each third of life:
    the margins of few engines are on the wide side, by more or less."""
    for level in LEVELS:
        inside, actual = [], []
        for fold, h in enumerate(held):
            margins = interval(held[:fold] + held[fold + 1 :], level)
            inside.append(covered(ends_of(margins, h.predicted[::5]), h.actual[::5]))
            actual.append(h.actual[::5])
        hits, lives = np.concatenate(inside), np.concatenate(actual)
        if hits.mean() >= COVERAGE and min(by_third(hits, lives)) >= COVERAGE_OF_THIRD:
            break
    return interval(held, level)


def ends_of(margins: Interval, predicted: Array) -> Array:
    low, high = (np.interp(predicted, margins.at, margin) for margin in (margins.low, margins.high))
    return np.column_stack([predicted - low, predicted + high])


def on_test(whole: Part, parts: list[Part], said: list[dict[str, Array]], seed: int) -> tuple[Said, Student]:
    student = taught(whole, seed)
    last = np.array([rows[-1] for rows in whole.out.each()])
    predicted = student.predictions(whole.out_rows[last]) | trivial(whole.learn, whole.out.age[last])
    margins = calibrated([Held.of(p, s) for p, s in zip(parts, said, strict=True)])
    return Said(whole.out.rul[last], predicted, ends_of(margins, predicted["int8"]), 1), student


def on_left_out(parts: list[Part], said: list[dict[str, Array]], seed: int) -> Said:
    """Engines of each fold, cut at random; the fold's interval is calibrated on the other folds."""
    rng = np.random.default_rng(seed)
    ruls, predicted, ends = [], [], []
    for fold, p in enumerate(parts):
        margins = calibrated([Held.of(parts[i], said[i]) for i in range(len(parts)) if i != fold])
        cut = np.concatenate([
            rows[np.ceil(rng.uniform(*CUT_BETWEEN, CUTS) * len(rows)).astype(int) - 1] for rows in p.out.each()
        ])  # fmt: skip
        ruls.append(p.out.rul[cut])
        models = {name: cycles[cut] for name, cycles in said[fold].items()}
        predicted.append(models | trivial(p.learn, p.out.age[cut]))
        ends.append(ends_of(margins, models["int8"]))
    together = {name: np.concatenate([one[name] for one in predicted]) for name in MODELS}
    return Said(np.concatenate(ruls), together, np.vstack(ends), CUTS)


def measured(folder: Path, subset: str, seeds: int, say: Callable[[str], None]) -> dict[str, Any]:
    engines, test = read_training(folder, subset), read_test(folder, subset)
    split = folds(engines)
    part_of = functools.cache(lambda fold, factors: left_out(engines, split[fold], factors))
    factors = how_many_factors(engines, part_of, say)
    parts = [part_of(fold, factors) for fold in range(FOLDS)]
    whole = part(engines, test, factors) if test is not None else None
    runs = []
    for seed in range(1, seeds + 1):
        students = [taught(p, seed) for p in parts]
        said = [student.predictions(p.out_rows) for student, p in zip(students, parts, strict=True)]
        if whole is not None:
            judged, student = on_test(whole, parts, said, seed)
        else:
            judged, student = on_left_out(parts, said, seed), students[0]
        runs.append(figures(judged, len(student.int8)))
        say(f"seed {seed}: int8 {runs[-1]['int8_rmse_clipped']:.2f}, coverage {runs[-1]['coverage_90']:.3f}")
    mean = {name: float(np.mean([r[name] for r in runs])) for name in runs[0]}
    sd = {name: float(np.std([r[name] for r in runs], ddof=1)) if seeds > 1 else 0.0 for name in runs[0]}
    judged_on = f"{len(np.unique(test.engine))} test engines" if test is not None else (
        f"{len(np.unique(engines.engine))} training engines left out in {FOLDS} folds, each cut {CUTS} times at random"
        f" (no test_{subset} with its RUL_{subset} in {folder})"
    )  # fmt: skip
    return {"subset": subset, "judged_on": judged_on, "factors": factors, "seeds": seeds, "mean": mean, "sd": sd}


def table(result: dict[str, Any]) -> str:
    mean, sd = result["mean"], result["sd"]
    lines = [
        f"\n{result['subset']}: {result['judged_on']}",
        f"  {result['factors']} factors; seeds 1 to {result['seeds']}, mean ± sd",
        f"  {'':16}{'RMSE clipped':>20}{'NASA clipped':>20}{'RMSE raw':>20}{'NASA raw':>20}",
    ]
    for name in MODELS:
        keys = [f"{name}_{key}" for key in ("rmse_clipped", "nasa_clipped", "rmse_raw", "nasa_raw")]
        cells = (f"{mean[k]:.2f} ± {sd[k]:.2f}" if "rmse" in k else f"{mean[k]:.4g} ± {sd[k]:.2g}" for k in keys)
        lines.append(f"  {name.replace('_', ' '):16}" + "".join(f"{cell:>20}" for cell in cells))
    thirds = ", ".join(f"{mean[f'coverage_third_{i}']:.3f} ± {sd[f'coverage_third_{i}']:.3f}" for i in (1, 2, 3))
    lines.append(
        f"  90 % interval: covers {mean['coverage_90']:.3f} ± {sd['coverage_90']:.3f}, by third of RUL {thirds};"
    )
    width = f"{mean['width_90']:.1f} ± {sd['width_90']:.1f}"
    lines.append(f"  mean width {width} cycles; asked of int8 clipped: {AIM[result['subset']]}")
    last = (
        "coverage_third_1", "coverage_third_2", "coverage_third_3", "int8_less_float", "int8_rmse_clipped",
        "int8_rmse_raw", "float_rmse_clipped", "nasa_clipped", "coverage_90", "width_90", "size_kb",
    )  # fmt: skip
    return "\n".join([*lines, "", *(f"{name}={mean[name]:.4g}" for name in last)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    home = os.environ.get("BABBITT_DATA")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", default=Path(home) / "cmapss" if home else None,
        help="folder of the files; the folder cmapss of BABBITT_DATA by default",
    )  # fmt: skip
    parser.add_argument("--subset", nargs="+", choices=SUBSETS, default=["FD001"], help="default: FD001")
    parser.add_argument("--seeds", type=int, default=5, help="how many; default: 5")
    parser.add_argument("--json", action="store_true", help="print one JSON object a subset instead of tables")
    options = parser.parse_args()
    if options.data is None:
        parser.error("name the folder of the C-MAPSS files with --data, or their parent with BABBITT_DATA")
    if options.seeds < 1:
        parser.error("--seeds wants 1 or more")
    try:
        with threadpool_limits(limits=1):
            for subset in options.subset:
                say = functools.partial(print, f"{subset}:", file=sys.stderr, flush=True)
                result = measured(options.data, subset, options.seeds, say)
                print(json.dumps(result) if options.json else table(result), flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except Missing as error:
        sys.exit(f"rul_cmapss: {error}")


if __name__ == "__main__":
    main()
