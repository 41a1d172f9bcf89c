"""Alarm budgets over long healthy histories: how many alarms of anomaly a week, where at most so many were asked for?

Assets, all healthy for the whole time, each read every five minutes, with a verdict every time:
- the simulated spindle, pump and extruder of `babbitt plant`, judged without a bundle, and by the shipped bundles;
- autoregressive signals (correlation 0.95 from poll to poll, heavy tails) under three regimes of load, and the same
  with a level that drifts by three in the time, as a season does.

An alarm is a verdict that becomes anomalous. The first week is the one in which nothing is proven yet and is counted
apart. The rival is a fixed limit: what the mind without a bundle would raise by its limit of design alone. Each kind of
asset with 5 seeds; mean ± sd over them. Some ten minutes.

    python tests/bench/anomaly_budget.py
    python tests/bench/anomaly_budget.py --weeks 8 --budget 3
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from edge.contract.bundle import TrainedBundle, load_bundle
from edge.infer.opinion import Mind
from edge.infer.prognosis import Prognosis
from edge.infer.selflearned import SelfLearned
from edge.plant.machines import MACHINES

SEEDS = (0, 1, 2, 3, 4)
PROFILES = Path(__file__).resolve().parents[2] / "firmware_profiles"
MODEL_OF = {"cnc_spindle": "spindle", "centrifugal_pump": "pump", "extruder_drive": "extruder"}
POLL_S = 300
WEEK_S = 7 * 24 * 3600
UNLIMITED = 1e9
"""A budget that is never spent, so that the limit stays where it is by design."""

Row = Mapping[str, object]
Rows = Callable[[int, int], Iterator[Row]]
"""Readings by seed and number of polls."""


def plant(model: str) -> Rows:
    def rows(seed: int, polls: int) -> Iterator[Row]:
        machine = MACHINES[model](seed + 4000)
        for _ in range(polls):
            machine.step(POLL_S / 3600.0)
            yield machine.signals()

    return rows


def autoregressive(drift: float) -> Rows:
    def rows(seed: int, polls: int) -> Iterator[Row]:
        rng = np.random.default_rng(seed)
        level, shape = np.zeros(4), np.array([1.0, 2.0, 0.5, 0.0])
        for i in range(polls):
            if i % 240 == 0:
                load = float(rng.choice([0.4, 0.7, 1.0]))
            level = 0.95 * level + 0.3 * rng.standard_t(5, 4)
            now = load * shape + level + 0.2 * rng.standard_normal(4) + drift * i / polls
            yield dict(zip(("a", "b", "c", "d"), now.tolist(), strict=True))

    return rows


def alarms(mind: Mind, rows: Iterator[Row], weeks: int) -> list[int]:
    """How many began in each week."""
    began, stood = [0] * weeks, False
    for i, row in enumerate(rows):
        at_ns = (i + 1) * POLL_S * 1_000_000_000
        mind.observe(row, at_ns, at_ns)
        stands = mind.opine().anomalous
        began[min(i * POLL_S // WEEK_S, weeks - 1)] += stands and not stood
        stood = stands
    return began


def prognosis(name: str, budget: float) -> Mind:
    bundle = load_bundle(PROFILES / "bundles" / name, asset_class=name)
    assert isinstance(bundle, TrainedBundle)
    return Prognosis(bundle, period_ms=1000 * POLL_S, alarms_per_week=budget)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=5, help="default: 5, of which the first counts apart")
    parser.add_argument("--budget", type=float, default=1.0, help="alarms a week; default: 1")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    args = parser.parse_args()
    if args.weeks < 2:
        parser.error("--weeks: 2 at least")

    def self_learned(budget: float) -> Mind:
        return SelfLearned("bench", period_ms=1000 * POLL_S, alarms_per_week=budget)

    kinds: dict[str, tuple[Rows, Callable[[], Mind]]] = {}
    for name, drift in (("autoregressive", 0.0), ("autoregressive, drifting", 3.0)):
        kinds[name] = (autoregressive(drift), lambda: self_learned(args.budget))
        kinds[f"{name}, fixed limit"] = (autoregressive(drift), lambda: self_learned(UNLIMITED))
    for name, model in MODEL_OF.items():
        kinds[model] = (plant(model), lambda: self_learned(args.budget))
        kinds[f"{model}, bundle"] = (plant(model), partial(prognosis, name, args.budget))
    if not args.json:
        print(f"budget: {args.budget:g} alarms an asset a week; {args.weeks} weeks, seeds {SEEDS}")
        print(f"{'':38s} {'first week':>10s} {'a week then':>12s} {'sd':>6s}")
    table: dict[str, dict[str, float]] = {}
    for name, (rows, mind) in kinds.items():
        firsts, later = [], []
        for seed in SEEDS:
            print(f"\r{name}: seed {seed}   \033[K", end="", file=sys.stderr, flush=True)
            weekly = alarms(mind(), rows(seed, args.weeks * WEEK_S // POLL_S), args.weeks)
            firsts.append(weekly[0])
            later.append(sum(weekly[1:]) / (args.weeks - 1))
        row = {"first": float(np.mean(firsts)), "mean": float(np.mean(later)), "sd": float(np.std(later))}
        table[name] = row
        if not args.json:
            print("\r\033[K", end="", file=sys.stderr)
            print(f"{name:38s} {row['first']:10.1f} {row['mean']:12.2f} {row['sd']:6.2f}", flush=True)
    print("\r\033[K", end="", file=sys.stderr)
    budgeted = [row for name, row in table.items() if "fixed" not in name]
    result = {
        "first_week_alarms": float(np.mean([row["first"] for row in budgeted])),
        "worst_kind_alarms_per_week": max(row["mean"] for row in budgeted),
        "alarms_per_week": float(np.mean([row["mean"] for row in budgeted])),
    }
    if args.json:
        print(json.dumps({**result, "table": table, "seeds": SEEDS, "weeks": args.weeks, "budget": args.budget}))
        return
    for name, figure in result.items():
        print(f"{name}={figure:.2f}")


if __name__ == "__main__":
    main()
