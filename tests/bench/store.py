"""What a reading costs the disk: bytes stored and written, and CPU, in the journal and in its rivals in the same run.

20 devices of 100 tags (``signals.py``), each polled ten times a second, through a gateway's own calls (``offer``,
``append``, ``commit`` once a second); with trim, each second's block is handed out and acknowledged a second later. The
rivals get the same readings: narrow rows (tag, time, value; an index by time) in transactions of 1000, and sqlite-utils
inserting row by row, both in WAL with ``synchronous=FULL``; with trim they delete what is a second old.

Each way runs in a process of its own, one after the other, round after round. Written bytes are ``write_bytes`` of
/proc/self/io, from before the store is opened until it is closed: every page that the process made dirty and that goes
to the disk, the last checkpoint included. What is only mapped into memory (the recorder, SQLite's index of the WAL) the
kernel writes back by itself every 30 s, which a run in quick motion does not live to see: all of it that is in use is
added for every 30 s of the plant's time. Stored bytes are the database's file once it is closed.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edge.contract.types import Ack, Batch
from edge.journal import SqliteJournal
from tests.bench.signals import START_MONO_NS, START_NS, Plant

DEVICES, TAGS, POLLS_PER_S = 20, 100, 10
READINGS_PER_S = DEVICES * TAGS * POLLS_PER_S
ROWS_PER_COMMIT = 1000
# How long the kernel leaves a dirty page alone (vm.dirty_expire_centisecs).
WRITEBACK_S = 30
REQUEST_BYTES = 512 * 1024
GOALS = {
    "stored_bytes_per_reading": 1.5, "written_bytes_per_reading": 4.0, "written_with_trim_bytes_per_reading": 6.0,
    "cpu_us_per_reading": None,
}  # fmt: skip


class Seconds:
    """A clock that a second passes on at a time."""

    def __init__(self) -> None:
        self._passed_ns = 0

    def wall_ns(self) -> int:
        return START_NS + self._passed_ns

    def mono_ns(self) -> int:
        return START_MONO_NS + self._passed_ns

    def trusted(self) -> bool:
        return True

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def tick(self) -> None:
        self._passed_ns += 10**9


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes and CPU microseconds a reading."""

    stored: float
    written: float
    cpu_us: float


class Meter:
    """Counts CPU time while it is on, and everything that this process writes."""

    def __init__(self) -> None:
        self._cpu_s, self._on_s = 0.0, 0.0
        self._written = written_bytes()

    def __enter__(self) -> None:
        self._on_s = time.process_time()

    def __exit__(self, *_: object) -> None:
        self._cpu_s += time.process_time() - self._on_s

    def cost(self, readings: int, *, database: Path, mapped_bytes: float) -> Cost:
        written = written_bytes() - self._written + mapped_bytes
        return Cost(database.stat().st_size / readings, written / readings, self._cpu_s * 1e6 / readings)


def written_bytes() -> int:
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


def seconds_of_polls(seconds: float, seed: int) -> Iterator[list[Batch]]:
    machines = Plant(DEVICES, TAGS, seed=seed)
    for _ in range(round(seconds)):
        yield [batch for _ in range(POLLS_PER_S) for batch in machines.poll()]


def journal(folder: Path, seconds: float, seed: int, trim: bool) -> Cost:
    meter, clock, path, readings = Meter(), Seconds(), folder / "store.db", 0
    with meter:
        store = SqliteJournal(path, gateway="hall-1", clock=clock)
    for polls in seconds_of_polls(seconds, seed):
        with meter:
            for batch in polls:
                store.offer(batch.asset, batch.tags)
                store.append(batch)
            clock.tick()
            if trim:
                blocks = store.pending(limit_bytes=REQUEST_BYTES)
                store.acknowledge(Ack(store.epoch, through=max((block.seq for block in blocks), default=0)))
            readings += store.commit()
    mapped = _used(path.with_name("store.db.recorder")) + path.with_name("store.db-shm").stat().st_size
    with meter:
        store.close()
    return meter.cost(readings, database=path, mapped_bytes=mapped * seconds / WRITEBACK_S)


def _used(recorder: Path) -> int:
    """Bytes of the pages that hold something."""
    data = recorder.read_bytes()
    return sum(4096 for at in range(0, len(data), 4096) if any(data[at : at + 4096]))


def rows_of(batch: Batch) -> Iterator[tuple[int, int, float]]:
    first = int(batch.asset.rpartition("-")[2]) * TAGS
    for tag, value in enumerate(batch.values):
        yield first + tag, batch.read_ns, float(value or 0)


def narrow_rows(folder: Path, seconds: float, seed: int, trim: bool) -> Cost:
    meter, path, rows = Meter(), folder / "rows.db", 0
    with meter:
        db = _wal(path)
        db.execute("CREATE TABLE reading (tag INTEGER NOT NULL, at_ns INTEGER NOT NULL, value REAL NOT NULL)")
        db.execute("CREATE INDEX reading_at ON reading (at_ns)")
    for polls in seconds_of_polls(seconds, seed):
        with meter:
            found = [row for batch in polls for row in rows_of(batch)]
            for at in range(0, len(found), ROWS_PER_COMMIT):
                db.execute("BEGIN")
                db.executemany("INSERT INTO reading VALUES (?, ?, ?)", found[at : at + ROWS_PER_COMMIT])
                db.execute("COMMIT")
            if trim:
                db.execute("DELETE FROM reading WHERE at_ns < ?", (polls[0].read_ns,))
            rows += len(found)
    mapped = path.with_name("rows.db-shm").stat().st_size
    with meter:
        db.close()
    return meter.cost(rows, database=path, mapped_bytes=mapped * seconds / WRITEBACK_S)


def sqlite_utils_rows(folder: Path, seconds: float, seed: int, trim: bool) -> Cost:
    from sqlite_utils import Database

    meter, path, rows = Meter(), folder / "utils.db", 0
    with meter:
        db = Database(_wal(path))
        table = db.table("reading").create({"tag": int, "at_ns": int, "value": float})
        table.create_index(["at_ns"])
    # A row is a transaction and a sync of its own: a few of them tell the cost of each.
    for polls in seconds_of_polls(max(1, seconds / 60), seed):
        for batch in polls[: len(polls) // POLLS_PER_S]:
            with meter:
                for tag, at_ns, value in rows_of(batch):
                    table.insert({"tag": tag, "at_ns": at_ns, "value": value})
                    rows += 1
                if trim:
                    table.delete_where("at_ns < ?", [batch.read_ns])
    with meter:
        db.close()
    return meter.cost(rows, database=path, mapped_bytes=0)


def _wal(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


WAYS: dict[str, Callable[[Path, float, int, bool], Cost]] = {
    "journal": journal, "narrow rows": narrow_rows, "sqlite-utils": sqlite_utils_rows,
}  # fmt: skip


def alone(way: str, seconds: float, seed: int, trim: bool) -> Cost:
    """One way in a process and a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="babbitt-store-", dir=".") as folder:
        command = [sys.executable, __file__, "--seconds", str(seconds), "--seed", str(seed), "--way", way, folder]
        done = subprocess.run([*command, *(["--trim"] if trim else [])], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return Cost(**json.loads(done.stdout))


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(*(statistics.median(column) for column in zip(*(asdict(cost).values() for cost in costs), strict=True)))


def figures(kept: dict[str, Cost], trimmed: dict[str, Cost]) -> list[dict[str, object]]:
    """Each figure with its goal and its rivals."""
    found = {
        "stored_bytes_per_reading": {way: cost.stored for way, cost in kept.items()},
        "written_bytes_per_reading": {way: cost.written for way, cost in kept.items()},
        "written_with_trim_bytes_per_reading": {way: cost.written for way, cost in trimmed.items()},
        "cpu_us_per_reading": {way: cost.cpu_us for way, cost in kept.items()},
    }
    return [
        {
            "name": name, "value": round(costs["journal"], 3), "unit": "us" if name.startswith("cpu") else "B",
            "goal": GOALS[name], "rival": {way: round(cost, 3) for way, cost in costs.items() if way != "journal"},
        }
        for name, costs in found.items()
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--seconds", type=float, default=120, help="of the plant's time in each run (default 120)")
    parser.add_argument("--runs", type=int, default=3, help="of each way, interleaved; medians are printed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--way", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--trim", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        cost = WAYS[options.way[0]](Path(options.way[1]), options.seconds, options.seed, options.trim)
        print(json.dumps(asdict(cost)))
        return
    runs: dict[tuple[str, bool], list[Cost]] = {(way, trim): [] for way in WAYS for trim in (False, True)}
    for number in range(options.runs):
        for (way, trim), costs in runs.items():
            costs.append(alone(way, options.seconds, options.seed + number, trim))
    medians = {key: median(costs) for key, costs in runs.items()}
    found = figures(*({way: medians[way, trim] for way in WAYS} for trim in (False, True)))
    if options.json:
        for figure in found:
            print(json.dumps(figure))
        return
    print(f"{READINGS_PER_S} readings/s, {options.seconds:g} s, seed {options.seed}; medians of {options.runs} runs")
    for (way, trim), cost in medians.items():
        words = f"stored {cost.stored:8.2f} B, written {cost.written:9.2f} B, CPU {cost.cpu_us:7.3f} us a reading"
        print(f"  {way:12} {'with trim' if trim else 'kept':9} {words}")
    for figure in found:
        goal = "" if figure["goal"] is None else f"  goal <= {figure['goal']:g}"
        print(f"{figure['name']} {figure['value']:g} {figure['unit']}{goal}  rivals {json.dumps(figure['rival'])}")


if __name__ == "__main__":
    main()
