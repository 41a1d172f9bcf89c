"""Questions to a store of more than 100 million readings, beside narrow rows in the same run.

What is built, through the real writer and in real blocks:
- pump-1, 12 tags at 1 Hz, sealed once a minute, for 90 days: 129,600 blocks, 93 million readings;
- press-1, 12 tags at 10 Hz, sealed once a second, for a day: 86,400 blocks, 10 million readings;
- 1,000 gateways with one to three machines each: what they are, 120 verdicts of each, alarms of some, a few polls.
The store's steps that can wait are done in between as a server does them, by the blocks' own clock.

What is asked, as the server asks it for its JSON (``points_max`` 1500):
- quarter_by_hour: 90 days of one tag of pump-1;
- day_raw: every one of the 864,000 readings of a day of one tag of press-1, looked at for gaps and put on a chart;
- fleet_overview: every machine with its verdict, curve of health and alarms, worst first. Its JSON, and the page with
  two thousand cards, are measured beside.

The rival holds narrow rows (tag, ts, value) with an index on (tag, ts) in SQLite, of the tags alone that are asked for,
which are 12 times fewer: it groups hours by itself, reads the day into arrays, and its overview is the newest row or
rows of each machine's tags. Warm is the median of runs on an open store; cold, of runs on one that is opened anew after
its file was put out of the page cache. CPU is what a warm run takes of a core, whoever else uses the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from starlette.requests import Request

from cloud.fleet.ledger import Books
from cloud.fleet.overview import overview
from cloud.fleet.predictions import Predictions
from cloud.fleet.record import Records
from cloud.fleet.series import signals
from cloud.store.history import raw
from cloud.store.outcomes import Outcomes
from cloud.store.reader import Reader
from cloud.web.api import Api
from cloud.web.live import Hub
from cloud.web.pages import Pages
from tests.bench._fleet import END_NS, TAGS, Shape, built, shapes

GOALS = {"quarter_by_hour_ms": 20.0, "day_raw_ms": 100.0, "fleet_overview_ms": 100.0}
POINTS_MAX = 1500

Question = Callable[[], int]
"""Asks, and returns how much came back, so that nobody measures an empty answer."""


@contextlib.contextmanager
def ours(folder: Path, days: float) -> Iterator[dict[str, Question]]:
    """What the server does for each answer, and its parts."""
    long, fast = shapes(days)
    with contextlib.ExitStack() as opened:
        reader = opened.enter_context(contextlib.closing(Reader(folder / "store")))
        books, hub = Books(), Hub()
        outcomes = opened.enter_context(contextlib.closing(Outcomes(folder / "store")))
        records = Records(reader, Predictions(), outcomes, now_ns=lambda: END_NS)
        api = Api(reader, books, records, lambda: 0, now_ns=lambda: END_NS)
        pages = Pages(reader, books, records, hub, now_ns=lambda: END_NS)
        request = Request({"type": "http", "headers": []})

        def chart(shape: Shape) -> int:
            asset = reader.asset(shape.gateway, shape.asset)
            assert asset is not None
            found = signals(reader, asset, TAGS[:1], shape.start_ns, END_NS, points_max=POINTS_MAX)
            assert shape is long or found[0].resolution == "raw"
            msgspec.json.encode(found)
            return len(found[0].at_ms)

        def arrays() -> int:
            asset = reader.asset(fast.gateway, fast.asset)
            assert asset is not None
            found = raw(reader, asset, TAGS[:1], fast.start_ns, END_NS)
            assert found is not None
            return len(found[TAGS[0]].at_ns)

        yield {
            "quarter_by_hour_ms": lambda: chart(long),
            "day_raw_ms": lambda: chart(fast),
            "day_arrays_ms": arrays,
            "fleet_overview_ms": lambda: len(overview(reader, END_NS).assets),
            "fleet_json_ms": lambda: len(bytes(asyncio.run(api.fleet(request)).body)),
            "fleet_page_ms": lambda: len(bytes(asyncio.run(pages.fleet(request)).body)),
        }


@contextlib.contextmanager
def rival(folder: Path, days: float) -> Iterator[dict[str, Question]]:
    long, fast = shapes(days)
    with contextlib.closing(sqlite3.connect(f"file:{folder / 'rival.sqlite3'}?mode=ro", uri=True)) as connection:
        machines = [row[0] for row in connection.execute("SELECT DISTINCT tag FROM reading WHERE tag % 10 = 0")]

        def quarter() -> int:
            return len(connection.execute(
                "SELECT ts / 3600000000000 AS hour, count(*), min(value), max(value), avg(value) FROM reading"
                " WHERE tag = 0 AND ts BETWEEN ? AND ? GROUP BY hour ORDER BY hour", (long.start_ns, END_NS),
            ).fetchall())  # fmt: skip

        def day() -> int:
            sql = "SELECT ts, value FROM reading WHERE tag = 1 AND ts BETWEEN ? AND ? ORDER BY ts"
            at_ns, numbers = zip(*connection.execute(sql, (fast.start_ns, END_NS)), strict=True)
            return len(np.array(at_ns, np.int64)) + 0 * len(np.array(numbers))

        def fleet() -> int:
            newest = "SELECT value FROM reading WHERE tag = ? ORDER BY ts DESC LIMIT ?"
            found = [
                [connection.execute(newest, (machine + i, 1 if i else 90)).fetchall() for i in range(5)]
                for machine in machines
            ]
            found.sort(key=lambda one: one[0][:1])
            return len(found)

        yield {"quarter_by_hour_ms": quarter, "day_raw_ms": day, "fleet_overview_ms": fleet}


def measure(folder: Path, days: float, runs: int) -> dict[str, dict[str, float]]:
    """Medians in milliseconds by question: ``warm``, ``cold``, ``cpu``, and the rival's; and how much came back."""
    times: dict[str, dict[str, list[float]]] = {}
    sizes: dict[str, float] = {}
    for _ in range(runs):
        for side, ask in (("", ours), ("rival_", rival)):
            for temperature in ("cold", "warm"):
                with ask(folder, days) as questions:
                    for name, question in questions.items():
                        if temperature == "cold":
                            evict(folder)
                        else:
                            question()
                        started, cpu_started = time.perf_counter(), time.process_time()
                        size = question()
                        taken, used = time.perf_counter() - started, time.process_time() - cpu_started
                        kinds = times.setdefault(name, {})
                        kinds.setdefault(side + temperature, []).append(taken * 1000)
                        if temperature == "warm":
                            kinds.setdefault(side + "cpu", []).append(used * 1000)
                        if not side:
                            sizes[name] = size
    medians = {name: {kind: statistics.median(found) for kind, found in kinds.items()} for name, kinds in times.items()}
    return {name: {**found, "size": sizes[name]} for name, found in medians.items()}


def evict(folder: Path) -> None:
    """Put the databases out of the page cache, as far as the system does what it is advised to."""
    for path in folder.rglob("*.sqlite3*"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--keep", type=Path, help="build in this folder and leave it, or use what was built there")
    parser.add_argument("--days", type=float, default=90.0, help="of pump-1 (default 90); fewer are no claim")
    parser.add_argument("--gateways", type=int, default=1000)
    parser.add_argument(
        "--runs", type=int, default=5, help="of each question, cold and warm, interleaved with the rival"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="babbitt-query-")))
        counts = built(folder, options)
        found = measure(folder, options.days, options.runs)
    report(found, counts, as_json=options.json)


def report(found: dict[str, dict[str, float]], counts: dict[str, int], *, as_json: bool) -> None:
    """Figures last."""
    if not as_json:
        print(", ".join(f"{name} {count:,}" for name, count in counts.items()))
        print("milliseconds, medians; a day's arrays, and the fleet's JSON and page, beside what the goals are for")
        for name, one in found.items():
            kinds = ", ".join(f"{kind} {one[kind]:.1f}" for kind in one if kind != "size")
            print(f"  {name:20} {kinds} ({one['size']:,.0f} points, machines or bytes)")
    for name, goal in GOALS.items():
        one = found[name]
        if as_json:
            value = {kind: round(one[kind], 2) for kind in one if kind != "size"}
            warm = {
                "name": name,
                "value": value.pop("warm"),
                "unit": "ms",
                "goal": goal,
                "rival": value.pop("rival_warm"),
            }
            print(json.dumps(warm | value | counts))
        else:
            print(f"{name} {one['warm']:.1f} (goal: at most {goal:g}; CPU {one['cpu']:.1f}, cold {one['cold']:.1f};"
                  f" narrow rows {one['rival_warm']:.1f}, cold {one['rival_cold']:.1f})")  # fmt: skip


if __name__ == "__main__":
    main()
