"""A gateway's backlog and the processes that move it, for the benchmarks of the replay.

``fill`` seals readings into a real journal as a gateway would, one commit a second. Run as a module it is the gateway:
``python -m tests.bench._backlog STORE URL TOKEN`` drains a journal and says what that took, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from cloud.demo.processes import Child, free_port
from cloud.ingest import tokens
from edge.clock import SystemClock
from edge.config.tables import Uplink as UplinkConfig
from edge.contract.types import Batch
from edge.journal import SqliteJournal
from edge.uplink import HttpLink, Uplink
from tests.bench.signals import START_NS, Plant
from tests.laws.journals import BentClock

GATEWAY = "hall-1"
DEVICES, TAGS, HZ = 20, 100, 10
READINGS_PER_S = DEVICES * TAGS * HZ


def take(journal: SqliteJournal, batches: Iterator[Batch]) -> None:
    for batch in batches:
        journal.offer(batch.asset, batch.tags)
        journal.append(batch)


def fill(path: Path, readings: int, *, seed: int) -> int:
    """A store at ``path`` in which at least ``readings`` wait, a second of them in each block; how many they are."""
    clock, plant = BentClock(START_NS), Plant(DEVICES, TAGS, seed=seed)
    journal = SqliteJournal(path, gateway=GATEWAY, clock=clock)
    for _ in range(-(-readings // READINGS_PER_S)):
        for _ in range(HZ):
            clock.pass_s(1 / HZ)
            take(journal, plant.poll())
        journal.commit()
    waiting = journal.backlog()[1]
    journal.close()
    return waiting


class Cloud:
    """``babbitt cloud serve`` over an empty store in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.store, self.token = folder / "cloud/cloud.sqlite3", folder / "token"
        accepted = folder / "tokens"
        tokens.write_secret(self.token, tokens.make(accepted, GATEWAY))
        self.port = free_port(0)
        serve = ["cloud", "serve", "--port", str(self.port), "--data", str(folder / "cloud"), "--tokens", str(accepted)]
        self._child = Child("cloud", serve, folder / "cloud.log")
        until_listening(self.port)

    @property
    def peak_rss_mb(self) -> float:
        return peak_rss_mb(self._child.process.pid)

    @property
    def cpu_s(self) -> float:
        return cpu_s(self._child.process.pid)

    def check(self) -> None:
        self._child.check()

    def end(self) -> None:
        self._child.end()


def until_listening(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"nobody listens at {port}")


def peak_rss_mb(pid: int | str = "self") -> float:
    """The most that a process ever held."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this benchmark reads /proc")


def cpu_s(pid: int) -> float:
    """User and system time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def drain(store: Path, url: str, token: Path) -> dict[str, float]:
    """Say ``ready``, wait for a line, then send everything that waits; what is said at the end is of the whole."""
    clock = SystemClock()
    journal = SqliteJournal(store, gateway=GATEWAY, clock=clock)
    config = UplinkConfig(url=url, token_file=str(token))
    link = HttpLink(config, token_file=token, gateway=GATEWAY)
    uplink = Uplink(journal, link, config, clock=clock, random=random.Random())
    print("ready", flush=True)
    sys.stdin.readline()
    running = asyncio.create_task(uplink.run())
    await emptied(journal)
    running.cancel()
    await asyncio.wait([running])
    await link.close()
    journal.close()
    return {"peak_rss_mb": peak_rss_mb(), "cpu_s": time.process_time(), "blocks": uplink.state.blocks_sent}


async def emptied(journal: SqliteJournal) -> None:
    while journal.backlog()[0]:  # noqa: ASYNC110  a journal tells nobody
        await asyncio.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("url")
    parser.add_argument("token", type=Path)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(drain(options.store, options.url, options.token))))


if __name__ == "__main__":
    main()
