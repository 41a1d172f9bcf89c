"""Faults for as long as you like: `make soak SECONDS=1800`, or `python -m tests.faults.soak --help`.

Four things go on side by side, each in a process of its own, from one printed seed:

- gateway and receiver, as real processes over a failing link, are killed at random instants (``end_to_end.py``);
- the stores alone meet power cuts, flipped bits, full disks and clocks that jump (``STORE_ROUNDS``);
- one gateway and one receiver live through all of it unkilled, over the same kind of link, and their memory is watched;
- a gateway is broken in every way while its lamps are watched (``lamps.py``).

Every reading is numbered and accounted for. Exit code 1 where one was lost undeclared, doubled, altered or reordered.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import multiprocessing
import queue
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults import end_to_end, lamps
from tests.faults.numbered import Counts

STORE_ROUNDS = ("power_cut", "bit_flips", "receiver_cut", "full_disk", "clock_jumps")
"""Modules of this folder with a ``round(seed) -> Counts``, taken in turn."""
OFTEN = end_to_end.Manner(kills=50, kill_s=0.5)
LAMP_FAULTS = 6
REPORT_EVERY_S = 30.0
SAMPLE_EVERY_S = 2.0
WARM_UP_SHARE = 0.25
MEMORY_SLOPE_MB_H_MAX = 20.0
"""Growth beyond this, of either process, is a leak: a day of it would be half a gigabyte."""

Reports = Any  # multiprocessing's queue of (who, seed, counts or memory)


def kills(reports: Reports, seed: int, over: Event) -> None:
    """Worlds with kills until it is over."""
    for number in _rounds(seed, over):
        reports.put(("kills", number, asdict(end_to_end.round(number, OFTEN))))


def store(reports: Reports, seed: int, over: Event) -> None:
    """Rounds of the store's own faults until it is over."""
    modules = [importlib.import_module(f"tests.faults.{name}") for name in STORE_ROUNDS]
    for turn, number in enumerate(_rounds(seed, over)):
        module = modules[turn % len(modules)]
        reports.put((module.__name__.rpartition(".")[2], number, asdict(module.round(number))))


def watched(reports: Reports, seed: int, over: Event) -> None:
    """Lamps, a few faults at a time, until it is over."""
    for number in _rounds(seed, over):
        reports.put(("lamps", number, asdict(lamps.round(number, LAMP_FAULTS))))


def steady(reports: Reports, seed: int, over: Event) -> None:
    """A world without kills; its link fails all the same. Reports memory as slopes, and its account at the end."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        trial = end_to_end.Trial(folder, seed, end_to_end.DEFAULT, stack)
        children = {"gateway": trial.world.gateway, "cloud": trial.world.cloud}
        samples: list[list[float]] = []
        begun = time.monotonic()
        while not over.wait(SAMPLE_EVERY_S):
            trial.fail(chance)
            samples.append([time.monotonic() - begun, *(_rss_mb(child.process.pid) for child in children.values())])
        trial.settle()
        reports.put(("steady", seed, asdict(trial.account().settle())))
        reports.put(("memory", seed, memory(samples, tuple(children))))


def memory(samples: list[list[float]], names: tuple[str, ...]) -> dict[str, float]:
    """Resident memory (MB) and its slope (MB an hour) by least squares, after the first quarter of the time."""
    table = np.array(samples[int(len(samples) * WARM_UP_SHARE) :])
    found = {}
    for place, name in enumerate(names, start=1):
        found[f"rss_mb_{name}"] = float(np.median(table[:, place]))
        found[f"rss_slope_mb_h_{name}"] = float(np.polyfit(table[:, 0] / 3600, table[:, place], 1)[0])
    return found


def _rounds(seed: int, over: Event) -> Any:
    chance = random.Random(seed)
    while not over.is_set():
        yield chance.randrange(2**32)


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


def _in_group(work: Callable[[Reports, int, Event], None], reports: Reports, seed: int, over: Event) -> None:
    logging.disable(logging.ERROR)  # Every cut is followed by a journal that says what it lost.
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: it says when it is over.
    work(reports, seed, over)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1800.0, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="default: drawn, and printed")
    parser.add_argument("--json", action="store_true", help="the counts as one JSON object, last")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    return soak(options.seconds, options.seed, as_json=options.json)


def soak(seconds: float, seed: int, *, as_json: bool) -> int:
    context = multiprocessing.get_context("spawn")
    reports, over = context.Queue(), context.Event()
    chance = random.Random(seed)
    workers = [
        context.Process(target=_in_group, args=(work, reports, chance.randrange(2**32), over), name=work.__name__)
        for work in (kills, store, steady, watched)
    ]
    for worker in workers:
        worker.start()
    total, rounds, weighed, lit = Counts(), 0, dict[str, float](), lamps.Found()
    began = said = time.monotonic()
    try:
        while any(worker.is_alive() for worker in workers) or not reports.empty():
            now = time.monotonic()
            if now - began >= seconds or any(worker.exitcode for worker in workers):
                over.set()
            if now - said >= REPORT_EVERY_S:
                said = now
                print(f"{now - began:5.0f} s, {rounds} rounds: {total}", flush=True)
            try:
                who, number, found = reports.get(timeout=0.5)
            except queue.Empty:
                continue
            except KeyboardInterrupt:
                print("ending: each round is brought to its end first", flush=True)
                over.set()
                continue
            if who == "memory":
                weighed = found
                continue
            if who == "lamps":
                of_lamps = lamps.Found(**found)
                lit += of_lamps
                if of_lamps.caught:
                    print(f"CAUGHT in lamps, round seed {number}: {of_lamps}", flush=True)
                continue
            counts = Counts(**found)
            rounds, total = rounds + 1, total + counts
            if counts.caught:
                print(f"CAUGHT in {who}, round seed {number}: {counts} reordered={counts.reordered}", flush=True)
    finally:
        over.set()
        for worker in workers:
            worker.join(120)
    failed = [worker.name for worker in workers if worker.exitcode]
    for name in failed:
        print(f"the rounds of {name} broke off: see above", flush=True)
    leaks = [name for name, slope in weighed.items() if "slope" in name and slope > MEMORY_SLOPE_MB_H_MAX]
    for name, figure in weighed.items():
        print(f"{name} {figure:.1f}", flush=True)
    print(f"lamps: {lit}", flush=True)
    if as_json:
        print(
            json.dumps(
                {**asdict(total), **weighed, "lamps": asdict(lit), "seed": seed, "rounds": rounds, "failed": failed}
            ),
            flush=True,
        )
    print(total, flush=True)
    return 1 if total.caught or lit.caught or failed or leaks else 0


if __name__ == "__main__":
    sys.exit(main())
