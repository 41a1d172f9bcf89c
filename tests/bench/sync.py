"""A backlog of ten million readings goes up: readings a second, bytes on the wire and memory, beside a rival.

A gateway's process drains a real journal (20 devices x 100 tags x 10 Hz, see ``signals.py``) into a real ``babbitt
cloud serve`` with the settings that both have by default. The clock starts with the first try and stops when the
receiver's rollups hold every reading: decoding, validation, storing and deriving are counted in.

The rival, in the same run and in turn with ours: the same readings as JSON rows to FastAPI, which inserts them into a
narrow, indexed table of SQLite, one FULL commit a request. It is given fewer readings, whose rows lie ready in memory.

Bytes are counted on the wire, both ways with all headers, by a relay through which a tenth of the backlog goes in a run
of its own; the memory of that run beside the whole one's says whether memory is flat.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cloud.demo.processes import free_port
from tests.bench import _rows
from tests.bench._backlog import DEVICES, GATEWAY, TAGS, Cloud, fill, until_listening
from tests.bench.signals import Plant

DEADLINE_S = 500.0
GOALS = {"rate_ratio": "at least 30", "wire_ratio": "at most 0.03"}


@dataclass(frozen=True, slots=True)
class Drained:
    """One backlog that went up. CPU seconds are a million readings' worth."""

    rate: float
    gateway_mb: float
    receiver_mb: float
    gateway_cpu_s: float
    receiver_cpu_s: float


class Relay:
    """Forwards to ``target`` and counts bytes, both ways."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.bytes = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                self.bytes += len(data)
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)


def drained(store: Path, readings: int, *, relayed: bool = False) -> tuple[Drained, int]:
    """Send a copy of ``store``; also the bytes on the wire where ``relayed``."""
    with tempfile.TemporaryDirectory(prefix="babbitt-sync-") as name:
        folder = Path(name)
        shutil.copy(store, folder / "store.db")
        cloud = Cloud(folder)
        relay = Relay(cloud.port) if relayed else None
        try:
            found = _drained(folder / "store.db", cloud, relay.port if relay else cloud.port, readings)
        finally:
            cloud.end()
            if relay:
                relay.close()
        return found, relay.bytes if relay else 0


def _drained(store: Path, cloud: Cloud, port: int, readings: int) -> Drained:
    before_s = cloud.cpu_s
    gateway = subprocess.Popen(
        [sys.executable, "-m", "tests.bench._backlog", str(store), f"http://127.0.0.1:{port}", str(cloud.token)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert gateway.stdout is not None
        gateway.stdout.readline()
        started = time.monotonic()
        print(file=gateway.stdin, flush=True)
        _until_derived(cloud, readings)
        seconds = time.monotonic() - started
        told = json.loads(gateway.communicate(timeout=60)[0])
    finally:
        gateway.kill()
        gateway.wait()
    millions = readings / 1e6
    receiver_cpu_s = (cloud.cpu_s - before_s) / millions
    return Drained(readings / seconds, told["peak_rss_mb"], cloud.peak_rss_mb, told["cpu_s"] / millions, receiver_cpu_s)


def _until_derived(cloud: Cloud, readings: int) -> None:
    """Until the rollups, of minutes and of hours, hold every reading."""
    database = sqlite3.connect(f"file:{cloud.store}?mode=ro", uri=True)
    deadline = time.monotonic() + DEADLINE_S
    for table in ("hour", "minute"):
        while (found := database.execute(f"SELECT coalesce(sum(count), 0) FROM {table}").fetchone()[0]) < readings:
            cloud.check()
            if time.monotonic() > deadline:
                raise SystemExit(f"{found:,} of {readings:,} readings after {DEADLINE_S:.0f} s")
            time.sleep(0.02)
        assert found == readings, f"{found} readings by {table}, of {readings} sent"
    database.close()


@contextmanager
def rows_server(folder: Path) -> Iterator[int]:
    """The rival's server, its port."""
    port = free_port(0)
    command = [sys.executable, "-m", "uvicorn", "tests.bench._rows:app", "--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen(
        [*command, "--no-access-log"], env={**os.environ, "ROWS_DATABASE": str(folder / "rows.sqlite3")}
    )
    try:
        until_listening(port)
        yield port
    finally:
        server.terminate()
        server.wait()


def rival(rows: list[_rows.Row], a_request: int) -> float:
    """Rows a second."""
    with tempfile.TemporaryDirectory(prefix="babbitt-rows-") as name, rows_server(Path(name)) as port:
        started = time.monotonic()
        _rows.send(f"http://127.0.0.1:{port}", rows, a_request=a_request)
        return len(rows) / (time.monotonic() - started)


def rival_bytes(rows: list[_rows.Row], a_request: int) -> float:
    """Bytes a row on the wire."""
    with tempfile.TemporaryDirectory(prefix="babbitt-rows-") as name, rows_server(Path(name)) as port:
        relay = Relay(port)
        _rows.send(f"http://127.0.0.1:{relay.port}", rows, a_request=a_request)
        relay.close()
        return relay.bytes / len(rows)


def rows_of_plant(count: int, seed: int) -> list[_rows.Row]:
    plant = Plant(DEVICES, TAGS, seed=seed)
    rows: list[_rows.Row] = []
    while len(rows) < count:
        rows += _rows.rows_of(GATEWAY, plant.poll())
    return rows


def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    readings, tenth = options.readings, max(options.readings // 10, 20_000)
    whole, part = folder / "whole.db", folder / "part.db"
    count = fill(whole, readings, seed=options.seed)
    count_of_part = fill(part, tenth, seed=options.seed)
    rows = rows_of_plant(options.rows, options.seed)
    small, wire = drained(part, count_of_part, relayed=True)
    row_bytes = rival_bytes(rows[: 4 * options.rows_a_request], options.rows_a_request)
    runs, rates = [], []
    for _ in range(options.rounds):
        runs.append(drained(whole, count)[0])
        rates.append(rival(rows, options.rows_a_request))
    median = statistics.median
    rate, rival_rate = median(run.rate for run in runs), median(rates)
    return {
        "readings": count,
        "gateway_cpu_s_per_million": median(run.gateway_cpu_s for run in runs),
        "receiver_cpu_s_per_million": median(run.receiver_cpu_s for run in runs),
        "wire_bytes_per_reading": wire / count_of_part,
        "rival_wire_bytes_per_reading": row_bytes,
        "readings_per_s": rate,
        "rival_readings_per_s": rival_rate,
        "peak_rss_mb_gateway_tenth": small.gateway_mb,
        "peak_rss_mb_receiver_tenth": small.receiver_mb,
        "rate_ratio": rate / rival_rate,
        "wire_ratio": wire / count_of_part / row_bytes,
        "peak_rss_mb_gateway": max(run.gateway_mb for run in runs),
        "peak_rss_mb_receiver": max(run.receiver_mb for run in runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--readings", type=int, default=10_000_000, help="in the backlog (default 10 million)")
    parser.add_argument("--rows", type=int, default=200_000, help="readings for the rival (default 200,000)")
    parser.add_argument("--rows-a-request", type=int, default=2000, help="of the rival (default 2,000)")
    parser.add_argument("--rounds", type=int, default=3, help="of ours and the rival in turn; medians are printed")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="babbitt-backlog-") as name:
        found = measure(options, Path(name))
    for figure, value in found.items():
        if options.json:
            print(json.dumps({"name": figure, "value": round(value, 4), "goal": GOALS.get(figure, "")}))
        else:
            goal = f" (goal: {GOALS[figure]})" if figure in GOALS else ""
            print(f"{figure} {value:.4f}{goal}" if value < 10 else f"{figure} {value:,.0f}{goal}")


if __name__ == "__main__":
    main()
