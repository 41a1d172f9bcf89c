"""What judging costs: one tick of an asset with 20 signals, and the memory of a gateway that judges.

A tick is a poll handed to the judge and a verdict asked of it: coverage, features, three int8 models, interval, words.
Every poll completes a step of the features, so each tick does all the work there is. The models have the shipped ones'
hidden layers over 20 signals, with weights from a seed: what they say means nothing, what they cost does. The rival,
tick by tick in turn, is the same judge over the same models as float. The memory is the real gateway's, polling the
simulated plant with the shipped bundles, without and with the uplink's HTTP client.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from cloud.learn.tflite import Dense, export_float, export_int8
from edge.config.asset_class import load_asset_class
from edge.contract.bundle import load_bundle, save_bundle
from edge.contract.types import Batch, Quality
from edge.features.tracker import FeatureSpec, Signal
from edge.infer import Judge
from tests.bench.footprint import ROOT, weigh

SIGNALS = 20
CLASS = "centrifugal_pump"
PERIOD_MS = 1000
STEP_H = 0.2
LEARN_TICKS = 200
GOALS = {"tick_p99_ms": 5.0, "rss_mb": 80.0}
HIDDEN = {"life": (32, 16), "novelty": (12, 6, 12), "familiar": (16, 4, 16)}


def spec() -> FeatureSpec:
    return FeatureSpec(
        signals=tuple(Signal(f"signal_{i}", log=i % 2 == 0) for i in range(SIGNALS)),
        conditions=("load_percent", "speed_rpm"),
        hour_meter="hour_meter_h",
        running="running",
    )


def layers(sizes: tuple[int, ...], rng: np.random.Generator) -> list[Dense]:
    pairs = list(itertools.pairwise(sizes))
    return [
        Dense(rng.normal(0.0, 1.0 / np.sqrt(n), (out, n)), rng.normal(0.0, 0.1, out), relu=i < len(pairs) - 1)
        for i, (n, out) in enumerate(pairs)
    ]


def make_bundle(folder: Path, *, int8: bool, seed: int) -> None:
    """A bundle of the shipped one's shape for ``SIGNALS`` signals."""
    shipped = load_bundle(ROOT / "firmware_profiles/bundles" / CLASS, asset_class=CLASS)
    rng, followed = np.random.default_rng(seed), spec()
    size = len(followed.names)
    scaling = {"centre": [0.0] * size, "spread": [0.1] * size, "limit": 4.0}
    manifest: dict[str, Any] = {k: v for k, v in shipped.manifest.items() if k not in ("hash", "files", "format")}
    manifest["features"] = {
        **manifest["features"], "spec": followed.as_json(), "names": list(followed.names),
        "valid": {"low": [-10.0] * size, "high": [10.0] * size},
    }  # fmt: skip
    files, rows = {}, rng.normal(size=(500, size))
    for part, hidden in HIDDEN.items():
        chain = layers((size, *hidden, 2 if part == "life" else size), rng)
        name = f"{part}.tflite"
        files[name] = export_int8(chain, rows, part) if int8 else export_float(chain, part)
        # Thresholds that nothing exceeds: every tick goes the whole way to a life.
        manifest[part] = {**manifest[part], "model": name, "scaling": scaling}
        if part != "life":
            manifest[part]["threshold"] = 1e6
    save_bundle(folder, manifest, files)


def make_judge(folder: Path) -> Judge:
    asset_class = load_asset_class(ROOT / "firmware_profiles/assets" / f"{CLASS}.toml")
    return Judge("asset-1", asset_class, load_bundle(folder, asset_class=CLASS), PERIOD_MS)


def poll(number: int, rng: np.random.Generator) -> Batch:
    values: dict[str, float | bool] = {f"signal_{i}": float(np.exp(rng.normal(0.0, 0.05))) for i in range(SIGNALS)}
    values |= {"load_percent": float(rng.uniform(40, 90)), "speed_rpm": float(rng.uniform(1400, 1500))}
    values |= {"hour_meter_h": 1000.0 + STEP_H * number * (1.0 if number > LEARN_TICKS else 4.0), "running": True}
    now = number * PERIOD_MS * 1_000_000
    good = (Quality.GOOD,) * len(values)
    return Batch("asset-1", tuple(values), tuple(values.values()), good, (now,) * len(values), now, now)


def tick(judge: Judge, batch: Batch) -> tuple[float, bool]:
    """Milliseconds, and whether the verdict had a life."""
    started = time.perf_counter()
    judge.observe(batch)
    verdict = judge.verdict(batch.read_ns, mono_ns=batch.mono_ns)
    passed = (time.perf_counter() - started) * 1e3
    return passed, verdict is not None and verdict.rul_h is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=4000, help="ticks of each judge (default 4000)")
    parser.add_argument("--runs", type=int, default=3, help="gateways weighed of each kind; the median is printed")
    parser.add_argument("--seed", type=int, default=1, help="of signals and weights (default 1)")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object, last")
    options = parser.parse_args()
    taken: dict[str, list[float]] = {"int8": [], "float": []}
    with tempfile.TemporaryDirectory(prefix="babbitt-inference-") as name:
        judges = {}
        for kind in taken:
            make_bundle(Path(name) / kind, int8=kind == "int8", seed=options.seed)
            judges[kind] = make_judge(Path(name) / kind)
        rng, judged = np.random.default_rng(options.seed), 0
        for number in range(1, LEARN_TICKS + options.ticks + 1):
            batch = poll(number, rng)
            for kind, judge in judges.items():
                passed, has_life = tick(judge, batch)
                if number > LEARN_TICKS:
                    taken[kind].append(passed)
                    judged += has_life
            if number == LEARN_TICKS:
                gc.collect()
    if judged < options.ticks:
        raise SystemExit(f"only {judged} of {2 * options.ticks} verdicts had a life: the ticks did not do all the work")
    print(f"seed {options.seed}, {options.ticks} ticks each of {SIGNALS} signals, {judged} verdicts with a life")
    for kind, ms in taken.items():
        print(f"  {kind:6} median {statistics.median(ms):6.3f} ms   p99 {np.quantile(ms, 0.99):6.3f} ms")
    rss = statistics.median(weigh(inference=True, uplink=False, seconds=8.0)[0] for _ in range(options.runs))
    whole = statistics.median(weigh(inference=True, uplink=True, seconds=8.0)[0] for _ in range(options.runs))
    figures = {
        "rss_mb_with_uplink": round(whole, 2), "tick_p50_ms": round(statistics.median(taken["int8"]), 3),
        "tick_p99_ms": round(float(np.quantile(taken["int8"], 0.99)), 3), "rss_mb": round(rss, 2),
    }  # fmt: skip
    if options.json:
        print(json.dumps(figures | {"goals": GOALS}))
    for name, figure in figures.items():
        print(f"{name}={figure}" + (f" (goal <= {GOALS[name]:g})" if name in GOALS else ""))


if __name__ == "__main__":
    main()
