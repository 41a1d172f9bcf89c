"""A gateway's journal that takes numbered readings, as a process of its own: what the fault rounds break.

It polls, commits, hands blocks to a receiver and is acknowledged, by chance from a seed, and tells each step as a line
of JSON in a file *before* the journal hears of it (a poll, blocks that the receiver now holds) or after it returned (a
promise). Options of the harness alone, such as another ``PRAGMA synchronous``, are set on the journal's connection.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import time
from pathlib import Path
from typing import Any

from edge.contract.types import Ack, Alarm, AlarmState, Lane, Priority
from edge.errors import BrokenStoreError
from edge.journal import Limits, SqliteJournal
from tests.faults.numbered import value_of
from tests.faults.received import ALARM, name_of, numbered_batch
from tests.laws.journals import BentClock

GATEWAY = "gw-1"
WALL_NS_MAX = 4_102_444_800 * 10**9
MACHINES: tuple[tuple[str, tuple[int, ...]], ...] = (("pump-1", (0, 1, 2)), ("press-2", (3,)))


class Telling:
    """Lines of JSON, each written by one call. ``sent`` are the numbers of blocks that the receiver holds."""

    def __init__(self, path: Path) -> None:
        self.sent: set[int] = set()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __call__(self, **what: Any) -> None:
        os.write(self._file, json.dumps(what, separators=(",", ":")).encode() + b"\n")


def run(options: argparse.Namespace, tell: Telling) -> SqliteJournal:
    """The whole run; the journal is as its last step left it."""
    chance = random.Random(options.seed)
    clock = BentClock(options.from_ns)
    limits = Limits(store_bytes_max=options.cap_bytes)
    journal = opened(options.folder / "store.db", clock, boot=options.boot, limits=limits)
    journal._connection.execute(f"PRAGMA synchronous={options.synchronous}")
    journal._connection.execute(f"PRAGMA wal_autocheckpoint={options.checkpoint_pages}")
    tell(opened=journal.epoch, first=options.first)
    for number in range(options.first, options.first + options.polls):
        clock.pass_s(chance.choice([0.1, 0.5, 1.0, 1.0, 1.0, 30.0]))
        if chance.random() < options.jumps:
            clock.set_wall(jumped_ns(clock.wall_ns(), chance))
        time.sleep(options.pause_s)
        poll(journal, clock, number, chance, tell)
        if chance.random() < 0.02:
            alarm(journal, clock, number, tell)
        elif number % options.polls_per_commit == 0 and journal.commit():
            tell(promise=number)
            if chance.random() < options.sends:
                send(journal, chance, tell, refuses=options.refuses)
    if options.closes:
        journal.close()
        tell(promise=number)
    return journal


def jumped_ns(at_ns: int, chance: random.Random) -> int:
    """What a clock is set to: from a correction of a millisecond to a battery that was empty for years.

    Between 1970 and 2100: nanoseconds of the year 2262 and later are more than a stamp holds.
    """
    by_s = chance.choice([-1, 1]) * chance.choice([0.001, 0.5, 3.0, 3600.0, 86_400.0, 40 * 365 * 86_400.0])
    return min(max(1, at_ns + int(by_s * 10**9)), WALL_NS_MAX)


def poll(journal: SqliteJournal, clock: BentClock, number: int, chance: random.Random, tell: Telling) -> None:
    """Poll every machine once."""
    for asset, tags in MACHINES:
        bad = chance.randrange(1 << len(tags)) if chance.random() < 0.05 else 0
        batch = numbered_batch(asset, tags, number, clock.wall_ns(), clock.mono_ns(), bad)
        journal.offer(asset, batch.tags)
        tell(poll=[number, batch.read_ns, [tag for i, tag in enumerate(tags) if not bad >> i & 1]])
        journal.append(batch)


def alarm(journal: SqliteJournal, clock: BentClock, number: int, tell: Telling) -> None:
    """Raise one, durable at once."""
    at_ns = clock.wall_ns()
    value = float(value_of(ALARM, number))
    tell(alarm=[number, at_ns])
    journal.record(
        Alarm("pump-1", "hot", name_of(0), Priority.HIGH, AlarmState.UNACKNOWLEDGED, at_ns, at_ns, value, "Too hot."),
        lane=Lane.URGENT,
    )
    if journal.commit():
        tell(promise=number)


def send(journal: SqliteJournal, chance: random.Random, tell: Telling, *, refuses: float = 0.1) -> None:
    """On one of the two lanes, to a receiver that holds, refuses, or holds and is not heard."""
    limit = chance.choice([1, 2000, 10**9])
    live_from = chance.choice([0, journal.last_seq])
    if chance.random() < 0.5:
        blocks = journal.pending(limit_bytes=limit, since=live_from)
    else:
        blocks = journal.waiting(limit_bytes=limit, until=live_from + 1, newest_first=chance.random() < 0.5)
    is_bad = chance.random() < refuses and blocks and blocks[-1].readings and blocks[-1].seq not in tell.sent
    refused = [blocks.pop()] if is_bad else []
    tell.sent.update(block.seq for block in blocks)
    tell(sent=[[b.seq, int(b.lane), b.readings, _text(b.data), _text(b.dictionary)] for b in blocks])
    if chance.random() < 0.8:
        told = tuple((block.seq, "cannot be read") for block in refused)
        journal.acknowledge(Ack(journal.epoch, 0, tuple(block.seq for block in blocks), told))
        tell(oldest=journal.oldest())


def opened(path: Path, clock: BentClock, *, boot: str, limits: Limits | None = None) -> SqliteJournal:
    """Where the first start sets a broken store aside, the second begins a new one."""
    try:
        return SqliteJournal(path, gateway=GATEWAY, clock=clock, limits=limits, boot=boot)
    except BrokenStoreError:
        return SqliteJournal(path, gateway=GATEWAY, clock=clock, limits=limits, boot=boot)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("told", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first poll")
    parser.add_argument("--polls", type=int, default=400)
    parser.add_argument("--polls-per-commit", type=int, default=8)
    parser.add_argument("--from-ns", type=int, default=BentClock().wall_ns())
    parser.add_argument("--boot", default="0" * 32)
    parser.add_argument("--sends", type=float, default=0.5, help="chance that a commit is followed by a sending")
    parser.add_argument("--refuses", type=float, default=0.1, help="chance that the receiver refuses a block")
    parser.add_argument("--jumps", type=float, default=0.0, help="chance that the wall clock is set before a poll")
    parser.add_argument("--cap-bytes", type=int, default=10**9)
    parser.add_argument("--synchronous", default="FULL")
    parser.add_argument("--checkpoint-pages", type=int, default=1000)
    parser.add_argument("--pause-s", type=float, default=0.0, help="real time between two polls")
    parser.add_argument("--closes", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    OPTIONS = options_of()
    run(OPTIONS, Telling(OPTIONS.told))
