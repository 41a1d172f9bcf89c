"""Power cuts by replay: a gateway's writes are recorded, and its folder made anew as a cut at any moment leaves it."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.faults.aftermath import scratch, settled, started
from tests.faults.numbered import Counts
from tests.faults.recording import cuts, record
from tests.faults.told import Truth
from tests.laws.journals import START_NS, BentClock


@dataclass(frozen=True, slots=True)
class Manner:
    """How a round is done. All but the defaults are there to be caught by it."""

    cuts: int = 40
    generations: int = 2
    polls: int = 300
    synchronous: str = "FULL"
    believe: bool = True


DEFAULT = Manner()


def round(seed: int, manner: Manner = DEFAULT) -> Counts:  # noqa: A001
    """Several lives of one gateway, each ended by a cut, and many more cuts tried in each."""
    chance = random.Random(seed)
    found, truth = Counts(), Truth()
    with scratch() as place:
        start = place / "start"
        start.mkdir()
        for life in range(manner.generations):
            ran, log = place / f"run-{life}", place / f"log-{life}"
            shutil.copytree(start, ran)
            record("tests.faults.gateway", ran, log, *_arguments(chance, truth, life, manner))
            found += _cut(chance, truth, start, log, manner, place)
            shutil.rmtree(ran)
            log.unlink()
    return found


def _arguments(chance: random.Random, truth: Truth, life: int, manner: Manner) -> list[str]:
    return [
        f"--seed={chance.randrange(2**32)}", f"--first={truth.next_number}", f"--polls={manner.polls}",
        f"--from-ns={(truth.last_ns or START_NS) + chance.randrange(60 * 10**9)}", f"--boot={life:032x}",
        f"--sends={chance.choice([0.1, 0.5, 0.9])}", f"--cap-bytes={chance.choice([90_000, 130_000, 10**9])}",
        f"--polls-per-commit={chance.choice([1, 4, 16])}", f"--checkpoint-pages={chance.choice([30, 200, 1000])}",
        f"--synchronous={manner.synchronous}",
    ]  # fmt: skip


def _cut(chance: random.Random, truth: Truth, start: Path, log: Path, manner: Manner, place: Path) -> Counts:
    """Try the cuts of one life. Afterwards ``start`` and ``truth`` are as one of them left them."""
    found, left, chosen = Counts(), place / "left", chance.randrange(manner.cuts)
    kept = truth
    for number in cuts(start, log, left, count=manner.cuts, chance=chance, hear=truth.hear):
        if number == chosen:
            shutil.copytree(left, place / "chosen")
            kept = truth.copy()
        found += check(left, truth, chance, believe=manner.believe)
    shutil.rmtree(start)
    (place / "chosen").rename(start)
    truth.__dict__.update(kept.__dict__)
    return found


def check(folder: Path, truth: Truth, chance: random.Random, *, believe: bool = True) -> Counts:
    """Start a gateway on what a cut left, and account for every reading that was served until then."""
    clock = BentClock((truth.last_ns or START_NS) + chance.randrange(10**9))
    journal = started(folder, clock, boot="f" * 32)
    found, _ = settled(journal, truth, after_power_cut=True, believe=believe)
    journal.close()
    return Counts(power_cuts=1) + found
