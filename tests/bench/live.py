"""How long what is new takes to be acknowledged, with a backlog going up and without.

A gateway (a real journal and uplink) commits the readings of one poll of 2,000 signals four times a second, and a real
``babbitt cloud serve`` takes them: while a backlog of some million readings drains, and where there is none; in turn,
each time with new stores on both sides. The time runs from the end of a commit to the acknowledgement.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from edge.clock import SystemClock
from edge.config.tables import Uplink as UplinkConfig
from edge.contract.types import Ack, Batch
from edge.journal import SqliteJournal
from edge.uplink import HttpLink, Uplink
from tests.bench._backlog import DEVICES, GATEWAY, TAGS, Cloud, fill, take
from tests.bench.signals import Plant

INTERVAL_S = 0.25
GOAL = 2.0


class TimedJournal(SqliteJournal):
    """Notes when blocks that it was told of are acknowledged."""

    def watch(self) -> None:
        self.committed: dict[int, float] = {}
        self.latencies_s: list[float] = []

    def acknowledge(self, ack: Ack) -> None:
        now_s, also = time.monotonic(), set(ack.also)
        for seq in [seq for seq in self.committed if seq <= ack.through or seq in also]:
            self.latencies_s.append(now_s - self.committed.pop(seq))
        super().acknowledge(ack)


class Gateway:
    """Polls, commits and sends, as the runtime does."""

    def __init__(self, store: Path, cloud: Cloud, seed: int) -> None:
        clock = SystemClock()
        self._plant = Plant(DEVICES, TAGS, seed=seed)
        self.journal = TimedJournal(store, gateway=GATEWAY, clock=clock)
        self.journal.watch()
        config = UplinkConfig(url=f"http://127.0.0.1:{cloud.port}", token_file=str(cloud.token))
        self.link = HttpLink(config, token_file=cloud.token, gateway=GATEWAY)
        self._uplink = Uplink(self.journal, self.link, config, clock=clock, random=random.Random(seed))
        self._running = asyncio.create_task(self._uplink.run())

    @property
    def is_draining(self) -> bool:
        """Whether more waits than what was committed just now."""
        return self.journal.backlog()[0] > 4

    async def commit(self) -> None:
        take(self.journal, (_now(batch) for batch in self._plant.poll()))
        await asyncio.to_thread(self.journal.commit)
        self.journal.committed[self.journal.last_seq] = time.monotonic()
        self._uplink.nudge()

    async def measured(self, *, draining: bool, samples: int) -> list[float]:
        """Latencies while there is a backlog, or of so many commits without one."""
        self.journal.watch()
        due_s = time.monotonic()
        count = 0
        while self.is_draining if draining else count < samples:
            await self.commit()
            count += 1
            due_s += INTERVAL_S
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        return list(self.journal.latencies_s)

    async def until_up(self) -> None:
        async with asyncio.timeout(30):
            while not self._uplink.state.up:  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])
        await self.link.close()
        self.journal.close()


def _now(batch: Batch) -> Batch:
    now_ns = time.time_ns()
    return Batch(
        batch.asset, batch.tags, batch.values, batch.quality, (now_ns,) * len(batch.tags), now_ns, time.monotonic_ns()
    )


async def phase(store: Path | None, *, samples: int, seed: int) -> list[float]:
    """Latencies in seconds: while a copy of ``store`` drains, or with nothing before what is committed."""
    with tempfile.TemporaryDirectory(prefix="babbitt-live-") as name:
        folder = Path(name)
        if store is not None:
            shutil.copy(store, folder / "store.db")
        cloud = Cloud(folder)
        try:
            gateway = Gateway(folder / "store.db", cloud, seed)
            await gateway.commit()
            await gateway.until_up()
            found = await gateway.measured(draining=store is not None, samples=samples)
            await gateway.end()
        finally:
            cloud.end()
    return found


def quantile_ms(latencies_s: list[float], share: float) -> float:
    return sorted(latencies_s)[min(len(latencies_s) - 1, int(share * len(latencies_s)))] * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--readings", type=int, default=5_000_000, help="in the backlog (default 5 million)")
    parser.add_argument("--samples", type=int, default=15, help="commits of each idle phase (default 15)")
    parser.add_argument("--rounds", type=int, default=12, help="of both phases in turn (default 12)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    idle: list[float] = []
    draining: list[float] = []
    with tempfile.TemporaryDirectory(prefix="babbitt-backlog-") as name:
        store = Path(name) / "store.db"
        fill(store, options.readings, seed=options.seed)
        for number in range(options.rounds):
            for waiting, latencies in ((store, draining), (None, idle)):
                latencies += asyncio.run(phase(waiting, samples=options.samples, seed=options.seed + number))
    found = {"idle_samples": float(len(idle)), "draining_samples": float(len(draining))}
    found["idle_mean_ms"], found["draining_mean_ms"] = (1000 * statistics.mean(part) for part in (idle, draining))
    for share, label in ((0.5, "p50"), (0.99, "p99")):
        found[f"idle_{label}_ms"] = quantile_ms(idle, share)
        found[f"draining_{label}_ms"] = quantile_ms(draining, share)
    for label in ("p99", "p50"):
        found[f"live_latency_ratio_{label}"] = found[f"draining_{label}_ms"] / found[f"idle_{label}_ms"]
    for figure, value in found.items():
        goal = GOAL if "ratio" in figure else None
        if options.json:
            print(json.dumps({"name": figure, "value": round(value, 3), "goal": goal}))
        else:
            print(f"{figure} {value:.2f}" + (f" (goal: at most {goal:g})" if goal else ""))


if __name__ == "__main__":
    main()
