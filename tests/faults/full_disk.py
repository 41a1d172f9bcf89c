"""A disk that fills up under a gateway's journal and has room again, or not before the gateway is killed.

As root on a small file system in memory, which takes no more; elsewhere by the limit on a file's size, where writing
fails with another error. The journal lives in a process of its own, since that limit is a process'.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from edge.journal import Limits, SqliteJournal
from tests.faults.aftermath import scratch, settled, started
from tests.faults.gateway import Telling, alarm, opened, poll, send
from tests.faults.numbered import Counts
from tests.faults.recording import ROOT
from tests.faults.told import Truth
from tests.laws.journals import START_NS, BentClock

BOOT = "0" * 32
FILE_SYSTEM = "12M"
WORK_A_SPELL = 20, 60
"""So that even who is killed at the end of the first full disk has read hundreds of values."""


class How(StrEnum):
    FILLED = "filled"
    LIMITED = "limited"


def possible() -> list[How]:
    """What this machine and user can do."""
    return list(How) if os.geteuid() == 0 else [How.LIMITED]


def round(seed: int, *, how: How | None = None) -> Counts:  # noqa: A001
    """One gateway whose disk is full a few times."""
    chance = random.Random(seed)
    how = how or chance.choice(possible())
    with scratch() as place, _small_disk(place, how) as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.full_disk", str(folder), str(how), str(chance.randrange(2**32))],
            cwd=ROOT, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
        truth = Truth()
        truth.hear(done.stdout)
        (folder / "filler").unlink(missing_ok=True)
        journal = started(folder, BentClock(truth.last_ns + 10**9), boot=BOOT)
        found, _ = settled(journal, truth)
        journal.close()
        return found + Counts(kills=done.returncode == -signal.SIGKILL)


@contextmanager
def _small_disk(place: Path, how: How) -> Iterator[Path]:
    folder = place / "disk"
    folder.mkdir()
    if how is How.LIMITED:
        yield folder
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={FILE_SYSTEM}", "faults", folder], check=True, timeout=30)
    try:
        yield folder
    finally:
        # Lazily: a journal of this process may still map its recorder.
        subprocess.run(["umount", "--lazy", folder], check=True, timeout=30)


def live(folder: Path, how: How, seed: int, tell: Telling) -> None:
    """In a process of its own: polls on while the disk is full, and has room, and is full again."""
    chance, clock = random.Random(seed), BentClock(START_NS)
    limits = Limits(sealed_bytes_max=chance.choice([3000, 10**6]), report_interval_s=chance.choice([1.0, 60.0]))
    journal = opened(folder / "store.db", clock, boot=BOOT, limits=limits)
    tell(opened=journal.epoch, first=0)
    number = 0
    for full in (False, True, False, True, False):
        (_fill if full else _free)(folder, how, chance)
        for _ in range(chance.randint(*WORK_A_SPELL)):
            number = _work(journal, clock, number, chance, tell)
        if full and chance.random() < 0.3:
            os.kill(os.getpid(), signal.SIGKILL)
    poll(journal, clock, number, chance, tell)
    assert journal.commit() > 0, "there is room again and still nothing is stored"
    # Now everything is that ever came in and was not declared, the alarms of the worst moment too.
    tell(promise=number)
    if chance.random() < 0.5:
        journal.close()


def _work(journal: SqliteJournal, clock: BentClock, number: int, chance: random.Random, tell: Telling) -> int:
    for _ in range(4):
        clock.pass_s(chance.choice([0.1, 1.0, 60.0]))
        poll(journal, clock, number, chance, tell)
        number += 1
    if chance.random() < 0.1:
        alarm(journal, clock, number - 1, tell)
    elif journal.commit():
        tell(promise=number - 1)
    if chance.random() < 0.3:
        send(journal, chance, tell)
    return number


def _fill(folder: Path, how: How, chance: random.Random) -> None:
    if how is How.LIMITED:
        longest = max(path.stat().st_size for path in folder.glob("store.db*") if path.suffix != ".recorder")
        _limit_files(longest + chance.choice([0, 0, 1000, 20_000]))
        return
    with (folder / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(65536))
        except OSError:
            filler.truncate(filler.tell() - chance.choice([0, 0, 4096, 40_000]))


def _free(folder: Path, how: How, _chance: random.Random) -> None:
    if how is How.LIMITED:
        _limit_files(resource.RLIM_INFINITY)
    else:
        (folder / "filler").unlink(missing_ok=True)


def _limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


if __name__ == "__main__":
    PARSER = argparse.ArgumentParser(description=__doc__)
    PARSER.add_argument("folder", type=Path)
    PARSER.add_argument("how", type=How)
    PARSER.add_argument("seed", type=int)
    OPTIONS = PARSER.parse_args()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    live(OPTIONS.folder, OPTIONS.how, OPTIONS.seed, Telling(Path("/dev/stdout")))
