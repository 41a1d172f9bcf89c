"""Power cuts of the receiver by replay: what it acknowledged is there, and what is derived follows from it."""

from __future__ import annotations

import json
import random
import sqlite3
from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud.store.rebuild import rebuild
from cloud.store.schema import database
from cloud.store.writer import StoreBusyError, Writer
from edge.errors import StoreError
from tests.faults.aftermath import scratch
from tests.faults.numbered import Account, Counts, Declaration
from tests.faults.received import opened_bytes, tag_of
from tests.faults.receiver import POLLS, tags_of
from tests.faults.recording import cuts, record
from tests.laws.journals import START_NS

COMPARED = ("glance", "span", "latest", "alarm", "alarm_change", "dropped", "ledger", "held", "minute", "hour")
STEPS_MAX = 2000
"""A store that is not synced can be left such that one step is due for ever."""
_BLOCKS = """
SELECT gateway.gateway, seq, bytes FROM block JOIN stream ON stream.id = stream
JOIN gateway ON gateway.id = stream.gateway ORDER BY stream, seq
"""


@dataclass
class Truth:
    """Blocks that arrived, by gateway and number, and those of them that were acknowledged."""

    arrived: dict[tuple[int, int], bytes] = field(default_factory=dict)
    acknowledged: set[tuple[int, int]] = field(default_factory=set)

    def hear(self, told: bytes) -> None:
        for line in told.splitlines():
            match json.loads(line):
                case {"arrives": blocks}:
                    self.arrived.update({(gateway, seq): b64decode(data) for gateway, seq, data in blocks})
                case {"acknowledged": keys}:
                    self.acknowledged.update((gateway, seq) for gateway, seq in keys)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a round is done; ``synchronous`` is there to be caught."""

    cuts: int = 30
    blocks: int = 40
    synchronous: str = "FULL"


DEFAULT = Manner()


def round(seed: int, manner: Manner = DEFAULT) -> Counts:  # noqa: A001
    """One receiver, from an empty folder, cut at many moments."""
    chance = random.Random(seed)
    found, truth = Counts(), Truth()
    with scratch() as place:
        start, ran, log, left = (place / name for name in ("start", "ran", "log", "left"))
        start.mkdir()
        ran.mkdir()
        record(
            "tests.faults.receiver", ran, log, f"--seed={chance.randrange(2**32)}", f"--blocks={manner.blocks}",
            f"--synchronous={manner.synchronous}", f"--checkpoint-pages={chance.choice([30, 200, 1000])}",
        )  # fmt: skip
        for _ in cuts(start, log, left, count=manner.cuts, chance=chance, hear=truth.hear):
            found += check(left, truth)
    return found


def check(folder: Path, truth: Truth) -> Counts:
    """Start a receiver on what a cut left. One whose store is broken has lost all that it held."""
    try:
        account = _account(truth)
        altered = _held(folder, truth, account)
    except (StoreError, StoreBusyError, sqlite3.DatabaseError):
        return Counts(power_cuts=1) + _account(truth).settle()
    return Counts(power_cuts=1, altered=altered) + account.settle()


def _held(folder: Path, truth: Truth, account: Account) -> int:
    """Enter what is held; returns how many blocks, and how many derived rows, are not as they should be."""
    writer = Writer(folder)
    steps = 0
    while writer.tidy(START_NS + 10**15):
        steps += 1
        if steps > STEPS_MAX:
            raise StoreError(str(folder), "its steps come to no end")
    writer.close()
    with sqlite3.connect(database(folder)) as store:
        blocks = store.execute(_BLOCKS).fetchall()
    store.close()
    altered = 0
    for gateway, seq, data in blocks:
        altered += truth.arrived.get((int(gateway.removeprefix("gw-")), seq)) != data
        for batch in opened_bytes(data).batches():
            for name, value in zip(batch.tags, batch.values, strict=True):
                account.hold(tag_of(name), value, batch.read_ns)
    derived = _derived(folder)
    rebuild(folder)
    return altered + len(derived ^ _derived(folder))


def _account(truth: Truth) -> Account:
    """What was not acknowledged is still the gateway's to send: for those times nothing is missed here."""
    account = Account()
    for key, data in truth.arrived.items():
        times = [batch.read_ns for batch in opened_bytes(data).batches()]
        for tag in tags_of(key[0]):
            for place, at_ns in enumerate(times):
                account.serve(tag, (key[1] - 1) * POLLS + place, at_ns)
            if key not in truth.acknowledged:
                account.declare(tag, Declaration(0, times[0], times[-1], open=True))
    return account


def _derived(folder: Path) -> set[tuple[Any, ...]]:
    with sqlite3.connect(database(folder)) as store:
        rows = {(table, *row) for table in COMPARED for row in store.execute(f"SELECT * FROM {table}")}
    store.close()
    return rows
