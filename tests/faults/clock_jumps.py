"""A wall clock that somebody sets, back and forth, by milliseconds and by years, in one life and between two.

The journal's clock is injected. Some lives end by a kill. What is looked for is each reading by its number: times do
not tell an order here, and where a loss was declared it is its count that must be right.
"""

from __future__ import annotations

import random

from edge.journal import SqliteJournal
from tests.faults.aftermath import scratch, settled, started
from tests.faults.gateway import Telling, jumped_ns, options_of, run
from tests.faults.numbered import Counts
from tests.faults.told import Truth
from tests.laws.journals import START_NS, BentClock, killed

LIVES = 4
POLLS = 100


def round(seed: int) -> Counts:  # noqa: A001
    """One store through a few lives."""
    chance, truth, kills = random.Random(seed), Truth(), 0
    with scratch() as place:
        folder, told = place / "gateway", place / "told"
        folder.mkdir()
        at_ns = START_NS
        for life in range(LIVES):
            journal = _life(chance, [str(folder), str(told)], first=life * POLLS, at_ns=at_ns)
            truth = Truth()
            truth.hear(told.read_bytes())
            at_ns = jumped_ns(truth.last_ns, chance)
            if chance.random() < 0.5:
                killed(journal)
                kills += 1
            else:
                journal.close()
        last = started(folder, BentClock(at_ns), boot=f"{LIVES:032x}")
        found, _ = settled(last, truth, timeless=True)
        last.close()
    return found + Counts(kills=kills)


def _life(chance: random.Random, places: list[str], *, first: int, at_ns: int) -> SqliteJournal:
    options = options_of([
        *places, f"--seed={chance.randrange(2**32)}", f"--first={first}", f"--polls={POLLS}", f"--from-ns={at_ns}",
        f"--boot={'0' * 32}", "--jumps=0.05", f"--polls-per-commit={chance.choice([1, 4, 16])}",
    ])  # fmt: skip
    return run(options, Telling(options.told))
