"""NAB's score on machine_temperature_system_failure: are its four failures seen early, and with how few false alarms?

The scoring is written from NAB's published description (Lavin and Ahmad, 2015), standard profile. Each labelled window
is worth one point, taken by the first detection in it: the earlier, the more, by a sigmoid from 1 at its left edge to 0
at its right. Each detection outside costs 0.11, less just after a window; a window without one costs 1. Detections in
the first 15 % of rows (of 5000 at most, as NAB has it: 750 here) do not count. 0 is a detector that says nothing, 100
one that says all four at once and nothing else.

Ours is the mind of a gateway without a bundle, `edge.infer.selflearned`, with its settings as shipped: it learns from
the rows that do not count, sees each row once and never ahead, and its alarm budget of one a week sets the limits. A
detection is an alarm that begins (what shifted, and what has been off for a day, have each their own). The score is
shown for other budgets too: no limit is tuned on the file, but its average over a day was built while looking at it.
The rivals' limits come from the rows that do not count as well: the highest score of their second half; they detect
where a run above it begins.

    python tests/bench/anomaly_nab.py --data nab_machine_temperature

DIR holds labels.json ("windows": pairs of stamps) and one .csv or .csv.gz with the columns timestamp and value. Takes
about ten seconds. Random: 5 seeds, mean ± sd.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.infer.selflearned import SelfLearned

Array = NDArray[np.float64]

STEP_NS = 300 * 1_000_000_000
FALSE = 0.11
SEEDS = (0, 1, 2, 3, 4)
BUDGETS = (0.25, 0.5, 2.0, 4.0)
AIM = 85.0


@dataclass(frozen=True)
class Window:
    """Rows ``first`` to ``last``, both in it."""

    first: int
    last: int

    @property
    def width(self) -> int:
        return self.last - self.first + 1


def probation(rows: int) -> int:
    """How many rows at the start do not count."""
    return int(0.15 * min(rows, 5000))


def sigmoid(place: float) -> float:
    """From nearly 1 a window's width before its right edge (-1) over 0 there to -1 far beyond."""
    return -1.0 if place > 3.0 else 2.0 / (1.0 + math.exp(5.0 * place)) - 1.0


def normalised(detections: Sequence[int], windows: Sequence[Window], rows: int) -> float:
    """NAB's score of ``detections`` (rows), standard profile: 0 for none, 100 for all at once."""
    counted = [row for row in sorted(detections) if row >= probation(rows)]
    worth = 0.0
    for window in windows:
        first = next((row for row in counted if window.first <= row <= window.last), None)
        worth += -1.0 if first is None else sigmoid(-(window.last - first + 1) / window.width) / sigmoid(-1.0)
    for row in counted:
        if not any(window.first <= row <= window.last for window in windows):
            before = [window for window in windows if window.last < row]
            worth += FALSE * (sigmoid((row - before[-1].last) / (before[-1].width - 1)) if before else -1.0)
    return 100.0 * (worth + len(windows)) / (2.0 * len(windows))


# -- detectors ---------------------------------------------------------------------------------------------------------


def ours(values: Array, alarms_per_week: float = 1.0) -> list[int]:
    mind = SelfLearned(
        "machine", period_ms=300_000, alarms_per_week=alarms_per_week, learn_polls=probation(len(values))
    )
    found, stood = [], (False, False)
    for i, value in enumerate(values.tolist()):
        mind.observe({"temperature": value}, i * STEP_NS, i * STEP_NS)
        if any(now and not before for now, before in zip(mind.standing, stood, strict=True)):
            found.append(i)
        stood = mind.standing
    return found


def begins(scores: Array) -> list[int]:
    """Where scores rise above the highest of the second half of the rows that do not count."""
    start = probation(len(scores))
    above = scores > scores[start // 2 : start].max()
    return [int(row) + 1 for row in np.flatnonzero(above[1:] & ~above[:-1])]


def windowed_gaussian(values: Array, width: int = 288) -> Array:
    """How far the mean of the last ten rows is from that of a day, in its standard deviations, [rows]."""
    scores = np.zeros(len(values))
    for i in range(width, len(values)):
        past = values[i - width : i]
        scores[i] = abs(values[max(i - 9, 0) : i + 1].mean() - past.mean()) / max(float(past.std()), 1e-9)
    return scores


def ewma(values: Array, tau: float = 12.0) -> Array:
    """An exponential average over an hour, in standard deviations about the mean of the rows that do not count."""
    fit = values[: probation(len(values))]
    average, scores = float(values[0]), np.zeros(len(values))
    for i, value in enumerate(values.tolist()):
        average += (value - average) / tau
        scores[i] = abs(average - float(fit.mean())) / max(float(fit.std()), 1e-9)
    return scores


def at_random(seed: int, values: Array, count: int) -> list[int]:
    """As many detections as ours, anywhere."""
    rows = np.random.default_rng(seed).integers(probation(len(values)), len(values), count)
    return [int(row) for row in rows]


# -- the table ---------------------------------------------------------------------------------------------------------


def read(folder: Path) -> tuple[Array, list[Window]]:
    """Values [rows] and windows that count. Raises ``ValueError`` and ``OSError`` where the layout is another."""
    paths = sorted([*folder.glob("*.csv"), *folder.glob("*.csv.gz")])
    if len(paths) != 1:
        raise ValueError(f"{folder}: wanted one .csv or .csv.gz, found {len(paths)}")
    data = paths[0].read_bytes()
    text = (gzip.decompress(data) if paths[0].suffix == ".gz" else data).decode()
    table = list(csv.DictReader(text.splitlines()))
    values = np.array([float(row["value"]) for row in table])
    stamps = [row["timestamp"][:19] for row in table]
    windows = []
    for first, last in json.loads((folder / "labels.json").read_text(encoding="utf-8"))["windows"]:
        inside = [i for i, stamp in enumerate(stamps) if first[:19] <= stamp <= last[:19]]
        if not inside:
            raise ValueError(f"{folder}: no row between {first} and {last}")
        if inside[0] >= probation(len(values)):
            windows.append(Window(inside[0], inside[-1]))
    if not windows:
        raise ValueError(f"{folder}: no window that counts")
    return values, windows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found = Path(os.environ.get("BABBITT_DATA", "data")) / "nab_machine_temperature"
    parser.add_argument("--data", type=Path, default=found, metavar="DIR", help=f"default: {found}")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    args = parser.parse_args()
    try:
        values, windows = read(args.data)
    except (ValueError, KeyError, OSError) as error:
        parser.error(f"cannot be read: {error}")
    print("judging row by row ...", end="", file=sys.stderr, flush=True)
    detections = {"ours, 1 alarm a week (as shipped)": ours(values)}
    for budget in BUDGETS:
        detections[f"ours, {budget:g} a week"] = ours(values, budget)
    print("\r\033[K", end="", file=sys.stderr)
    mine = detections["ours, 1 alarm a week (as shipped)"]
    detections |= {
        "null": [],
        "windowed Gaussian": begins(windowed_gaussian(values)),
        "EWMA z-score": begins(ewma(values)),
    }
    scores = {name: normalised(rows, windows, len(values)) for name, rows in detections.items()}
    chance = [normalised(at_random(seed, values, len(mine)), windows, len(values)) for seed in SEEDS]
    if args.json:
        table = {name: {"score": scores[name], "detections": rows} for name, rows in detections.items()}
        print(
            json.dumps(
                {"table": table, "random": chance, "seeds": SEEDS, "normalised_score": next(iter(scores.values()))}
            )
        )
        return
    print(f"{len(values)} rows, {len(windows)} windows that count, the first {probation(len(values))} rows do not")
    print(f"{'':36s} {'score':>7s} {'windows':>8s} {'false':>6s}")
    for name, rows in detections.items():
        counted = [row for row in rows if row >= probation(len(values))]
        hit = [window for window in windows if any(window.first <= row <= window.last for row in counted)]
        false = [row for row in counted if not any(window.first <= row <= window.last for window in windows)]
        print(f"{name:36s} {scores[name]:7.1f} {len(hit):>8d} {len(false):>6d}")
    print(f"{'random, as many as ours':36s} {np.mean(chance):7.1f}   sd {np.std(chance):.1f}, seeds {SEEDS}")
    places = ", ".join(f"{window.first}-{window.last}" for window in windows)
    print(f"ours in rows: {', '.join(str(row) for row in mine)}; windows: {places}")
    print(f"aim: at least {AIM:g}; published per file: ARTime 82.0, HTM 67.0, windowed Gaussian 0")
    print(f"normalised_score={scores['ours, 1 alarm a week (as shipped)']:.1f}")


if __name__ == "__main__":
    main()
