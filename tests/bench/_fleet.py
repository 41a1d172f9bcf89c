"""A store of a small fleet with much history, built through the real writer, and narrow rows of it beside.

For the benchmark of questions, which says what is in it.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.store.history import raw
from cloud.store.reader import Reader
from cloud.store.writer import Delivery, Seen, Writer
from edge.contract.block import decode_block, encode_block
from edge.contract.dictionary import Dictionary, pack_dictionary
from edge.contract.types import (
    Alarm,
    AlarmState,
    Asset,
    Batch,
    Key,
    Lane,
    Priority,
    Quality,
    Reason,
    Record,
    Tag,
    Urgency,
    Value,
    Verdict,
    urgency_of,
)  # fmt: skip

SECOND_NS = 10**9
DAY_S = 86_400
END_NS = 1_790_000_000 // DAY_S * DAY_S * SECOND_NS
EPOCH, BOOT = "ab" * 16, "cd" * 16
VERDICTS = 120
TAGS = tuple(f"{kind}_{i}" for kind in ("count", "scaled", "single") for i in range(4))


@dataclass(frozen=True, slots=True)
class Shape:
    """How one machine is polled and its blocks are sealed."""

    gateway: str
    asset: str
    period_ms: int
    polls_per_block: int
    blocks_per_request: int
    days: float

    @property
    def block_ns(self) -> int:
        return self.period_ms * self.polls_per_block * 1_000_000

    @property
    def blocks(self) -> int:
        return int(self.days * DAY_S * SECOND_NS) // self.block_ns

    @property
    def start_ns(self) -> int:
        return END_NS - self.blocks * self.block_ns


def shapes(days: float) -> tuple[Shape, Shape]:
    """The long one and the fast one; the fast one has a day, or less where the long one does."""
    return (
        Shape("line-1", "pump-1", 1000, 60, 10, days),
        Shape("line-2", "press-1", 100, 10, 10, min(days, 1.0)),
    )


def signal_rows(count: int, rng: np.random.Generator) -> list[tuple[Value, ...]]:
    """Polls of 12 tags: 12-bit random walks as counts and times 0.1, and single-precision noise."""
    walks = np.abs(np.rint(rng.normal(0, 8, (count, 8))).cumsum(axis=0) % 8190 - 4095)
    counts = walks[:, :4].astype(np.int64)
    scaled = walks[:, 4:] * 0.1
    singles = rng.normal(50, 2, (count, 4)).astype(np.float32).astype(np.float64)
    columns = [*counts.T.tolist(), *scaled.T.tolist(), *singles.T.tolist()]
    return list(zip(*columns, strict=True))


def sealed(shape: Shape, seed: int) -> Iterator[tuple[bytes, int]]:
    """Every block of a machine and when it was sealed."""
    rng, jitter = np.random.default_rng(seed), random.Random(seed)
    names = Dictionary(((shape.asset, TAGS),))
    good, count = (Quality.GOOD,) * len(TAGS), len(TAGS)
    at_once = max(1, DAY_S // 24 * 1000 // (shape.period_ms * shape.polls_per_block))
    for first in range(0, shape.blocks, at_once):
        blocks = min(at_once, shape.blocks - first)
        rows = iter(signal_rows(blocks * shape.polls_per_block, rng))
        for number in range(first, first + blocks):
            start_ns = shape.start_ns + number * shape.block_ns
            batches = []
            for poll in range(shape.polls_per_block):
                at_ns = start_ns + poll * shape.period_ms * 1_000_000 + jitter.randrange(1_500_000)
                batches.append(
                    Batch(shape.asset, TAGS, next(rows), good, (at_ns - 900_000,) * count, at_ns, at_ns - 10**18)
                )
            records: list[Record] = [] if number else [machine(shape.asset, shape.period_ms, TAGS)]
            key = Key(shape.gateway, EPOCH, number + 1)
            sealed_ns = start_ns + shape.block_ns
            yield (
                encode_block(
                    key, boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=sealed_ns, batches=batches, records=records,
                    dictionary=names,
                ),
                sealed_ns,
            )  # fmt: skip


def machine(asset: str, period_ms: int, tags: Sequence[str]) -> Asset:
    meant = tuple(Tag(tag, "mm/s", tag.replace("_", " ").title(), "vibration", 2) for tag in tags)
    return Asset(asset, asset.replace("-", " ").title(), "pump", meant, period_ms, END_NS - 120 * DAY_S * SECOND_NS)


def fill(writer: Writer, shape: Shape, seed: int) -> int:
    """Store a machine's blocks as they come, and do what can wait every ten minutes; returns readings."""
    names = Dictionary(((shape.asset, TAGS),))
    known = {names.digest: names}
    part: list[bytes] = []
    tidied_ns = readings = 0
    for data, sealed_ns in sealed(shape, seed):
        part.append(data)
        if len(part) == shape.blocks_per_request:
            readings += store(writer, shape.gateway, part, sealed_ns, known)
            part = []
        if sealed_ns - tidied_ns > 600 * SECOND_NS:
            tidy(writer, sealed_ns)
            tidied_ns = sealed_ns
    return readings + (store(writer, shape.gateway, part, END_NS, known) if part else 0)


def store(writer: Writer, gateway: str, part: Sequence[bytes], at_ns: int, known: dict[bytes, Dictionary]) -> int:
    blocks = [(data, decode_block(data, known)) for data in part]
    dictionaries = [(digest, pack_dictionary(names)) for digest, names in known.items()]
    writer.commit([Delivery(gateway, EPOCH, blocks, Seen(at_ns), dictionaries=dictionaries)])
    return sum(block.header.readings for _, block in blocks)


def tidy(writer: Writer, now_ns: int) -> None:
    while writer.tidy(now_ns):
        pass


def fill_fleet(writer: Writer, gateways: int, seed: int) -> int:
    """A fleet at the end of its day: each gateway's whole story in one block; returns how many machines it has."""
    rng = random.Random(seed)
    machines = 0
    for number in range(gateways):
        gateway = f"plant-{number:04d}"
        assets = [f"machine-{number:04d}-{i}" for i in range(1 + number % 3)]
        records: list[Record] = [record for asset in assets for record in story(asset, rng)]
        batches = [
            Batch(asset, TAGS, row, (Quality.GOOD,) * 12, (at_ns,) * 12, at_ns, at_ns)
            for asset in assets
            for at_ns, row in zip(
                range(END_NS - 5 * SECOND_NS, END_NS, SECOND_NS), signal_rows(5, np.random.default_rng(number)),
                strict=True,
            )
        ]  # fmt: skip
        data = encode_block(
            Key(gateway, EPOCH, 1), boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=END_NS, batches=batches, records=records
        )
        writer.store(gateway, EPOCH, [(data, decode_block(data))], Seen(END_NS, 0, number % 7 * 1000))
        machines += len(assets)
    return machines


def story(asset: str, rng: random.Random) -> Iterator[Record]:
    yield machine(asset, 1000, TAGS)
    health = rng.uniform(20, 100)
    for i in range(VERDICTS):
        health = min(100.0, max(0.0, health + rng.gauss(0, 0.5)))
        low_h = health * 8 + rng.random()
        yield Verdict(
            asset=asset, at_ns=END_NS - (VERDICTS - i) * 5 * SECOND_NS, bundle="ab" * 32, health=health,
            anomaly=rng.random(), anomalous=False, rul_h=low_h * 1.4, rul_low_h=low_h, rul_high_h=low_h * 2,
            urgency=urgency_of(low_h) if rng.random() > 0.02 else Urgency.UNKNOWN, coverage=0.99,
            reasons=tuple(Reason(TAGS[j], 0.5 - 0.1 * j, f"{TAGS[j]} is higher than usual") for j in range(3)),
        )  # fmt: skip
    if rng.random() < 0.15:
        at_ns = END_NS - rng.randrange(3600) * SECOND_NS
        yield Alarm(
            asset, "vibration_high", TAGS[0], rng.choice(list(Priority)), rng.choice(list(AlarmState)), at_ns, at_ns,
            7.3, "Vibration is above its limit of 7.1 mm/s", "bearing", "Plan an inspection",
        )  # fmt: skip


def build(folder: Path, days: float, gateways: int, seed: int) -> dict[str, int]:
    """The store and the rival's; what is in them."""
    long, fast = shapes(days)

    writer = Writer(folder / "store")
    try:
        counts = {"readings": 0, "blocks": long.blocks + fast.blocks}
        for shape in (long, fast):
            started = time.monotonic()
            counts["readings"] += fill(writer, shape, seed)
            say(f"{shape.asset}: {shape.blocks} blocks in {time.monotonic() - started:.0f} s")
        counts["gateways"], counts["machines"] = gateways, fill_fleet(writer, gateways, seed)
        tidy(writer, END_NS + DAY_S * SECOND_NS)
    finally:
        writer.close()
    counts["rival_rows"] = build_rival(folder, days, seed)
    return counts


def build_rival(folder: Path, days: float, seed: int) -> int:
    """Narrow rows of one tag of each machine that is asked for, and of the fleet's health; from the store itself."""
    connection = sqlite3.connect(folder / "rival.sqlite3")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE reading(tag INTEGER NOT NULL, ts INTEGER NOT NULL, value REAL)")
    connection.execute("CREATE INDEX reading_by_tag ON reading(tag, ts)")
    reader = Reader(folder / "store")
    rows = 0
    for tag, shape in enumerate(shapes(days)):
        asset = reader.asset(shape.gateway, shape.asset)
        assert asset is not None
        for from_ns in range(shape.start_ns, END_NS, DAY_S * SECOND_NS):
            found = raw(reader, asset, TAGS[:1], from_ns, from_ns + DAY_S * SECOND_NS - 1)
            assert found is not None
            at_ns, numbers = found[TAGS[0]].at_ns, found[TAGS[0]].numbers
            rows += insert(connection, tag, at_ns, numbers)
    for asset in reader.assets():
        verdicts = reader.verdicts(asset.id, 0, END_NS, limit=END_NS)
        at_ns = np.array([verdict.at_ns for verdict in verdicts], np.int64)
        for offset, name in enumerate(("health", "anomaly", "rul_h", "rul_low_h", "rul_high_h")):
            numbers = np.array([getattr(verdict, name) for verdict in verdicts], np.float64)
            rows += insert(connection, asset.id * 10 + offset, at_ns, numbers)
    reader.close()
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return rows


def insert(connection: sqlite3.Connection, tag: int, at_ns: NDArray[np.int64], numbers: NDArray[np.float64]) -> int:
    rows = zip([tag] * len(at_ns), at_ns.tolist(), numbers.tolist(), strict=True)
    connection.executemany("INSERT INTO reading VALUES (?,?,?)", rows)
    return len(at_ns)


def built(folder: Path, options: argparse.Namespace) -> dict[str, int]:
    """What is in the folder; made first where nothing finished is."""
    wanted = {"days": options.days, "gateways": options.gateways, "seed": options.seed}
    mark = folder / "built.json"
    if mark.exists():
        told: dict[str, Any] = json.loads(mark.read_text())
        if told["wanted"] != wanted:
            raise SystemExit(f"{folder} was built with {told['wanted']}; name another folder")
        return dict(told["counts"])
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise SystemExit(f"{folder} holds something else, or what was not finished; name another folder")
    started = time.monotonic()
    counts = build(folder, options.days, options.gateways, options.seed)
    counts["built_s"] = round(time.monotonic() - started)
    counts["store_mb"] = sum(path.stat().st_size for path in (folder / "store").iterdir()) // 10**6
    counts["rival_mb"] = sum(path.stat().st_size for path in folder.glob("rival*")) // 10**6
    mark.write_text(json.dumps({"wanted": wanted, "counts": counts}))
    return counts


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
