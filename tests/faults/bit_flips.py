"""Bits that flip on the disk: in a stored block, in any page of the database, in the write-ahead log."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge.contract.types import Lane
from tests.faults.aftermath import scratch, settled, started
from tests.faults.gateway import Telling, options_of, run
from tests.faults.numbered import Counts
from tests.faults.told import Truth
from tests.laws.journals import BentClock, killed

BOOT = "0" * 32


class Where(StrEnum):
    BLOCK = "block"
    PAGE = "page"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``lost_since`` counts readings that were not lost before the bits flipped, ``in_damaged`` those of the block that
    was hit, where one was aimed at."""

    counts: Counts
    lost_since: int
    in_damaged: int


def round(seed: int, *, where: Where | None = None) -> Counts:  # noqa: A001
    """One store, damaged once."""
    return damaged(seed, where or random.Random(seed).choice(list(Where))).counts


def damaged(seed: int, where: Where) -> Outcome:
    """Fill a store, flip a few bits of it, start a gateway on it, and account."""
    chance = random.Random(seed)
    with scratch() as place:
        folder, told = place / "gateway", place / "told"
        folder.mkdir()
        journal = run(
            options_of([
                str(folder), str(told), f"--seed={chance.randrange(2**32)}", f"--boot={BOOT}", "--polls=200",
                "--refuses=0.1",
                f"--sends={chance.choice([0.1, 0.3])}", f"--polls-per-commit={chance.choice([1, 4, 16])}",
                f"--cap-bytes={chance.choice([60_000 if where is Where.PAGE else 130_000, 10**9])}",
            ]),
            Telling(told),
        )  # fmt: skip
        truth = Truth()
        truth.hear(told.read_bytes())
        before, _ = settled(journal, truth)
        stored = [b for b in journal.pending(limit_bytes=10**9) if b.lane is Lane.TELEMETRY]
        if where is Where.LOG:
            folder = Path(shutil.copytree(folder, place / "killed"))
            killed(journal)
        else:
            journal.close()
        if where is Where.BLOCK and not stored:
            return Outcome(counts=Counts(), lost_since=0, in_damaged=0)
        hit = _flip(folder, where, [block.data for block in stored], chance)
        again = started(folder, BentClock(truth.last_ns + 10**9), boot=BOOT)
        found, _ = settled(again, truth, alarms_vouched=where is Where.BLOCK, untold=True)
        again.close()
        in_damaged = sum(block.readings for block in stored if block.data == hit)
        return Outcome(found, found.declared_loss - before.declared_loss, in_damaged)


def _flip(folder: Path, where: Where, blocks: list[bytes], chance: random.Random) -> bytes:
    """Flip one to three bits; returns the block that was hit where one was aimed at."""
    path = folder / ("store.db-wal" if where is Where.LOG else "store.db")
    data = bytearray(path.read_bytes())
    begin, end, hit = 0, len(data), b""
    if where is Where.BLOCK:
        hit = chance.choice(blocks)
        # A long block lies in pages that need not follow each other: its head is in one. The last copy is the live one
        # or as good as it: a page that was freed may still hold another.
        begin = data.rindex(hit[:100])
        end = begin + min(len(hit), 100)
    for _ in range(chance.randint(1, 3)):
        at, mask = chance.randrange(begin, end), 1 << chance.randrange(8)
        data[at] ^= mask
    path.write_bytes(data)
    return hit
