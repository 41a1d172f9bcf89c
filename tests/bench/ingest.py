"""How much the receiver takes: many gateways, each with a token and a connection of its own, a block a second each.

A real ``babbitt cloud serve`` is fed by one other process with blocks that were sealed before (a plant's signals, names
in dictionaries, numbers and times that advance), for as long as ``--seconds`` says. A latency runs from the moment at
which a block was due to the acknowledgement of it, which comes after the commit. At the end it is waited until
everything is derived, and each reading that was acknowledged is looked for in the rollups.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import sqlite3
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cloud.demo.processes import Child, free_port
from cloud.ingest import tokens
from edge.contract.block import Dictionary, encode_block, pack_dictionary, pack_frames
from edge.contract.types import Batch, Key, Lane
from tests.bench.signals import START_NS, Plant

GOALS = {"readings_per_s": 100_000, "ack_p99_ms": 1000}
TAGS, HZ = 50, 10
PLANTS = 20
"""So many different ones; gateways beyond that have the same signals under other names."""
HEAD = (
    "POST /api/v1/blocks HTTP/1.1\r\nHost: cloud\r\nContent-Type: application/vnd.babbitt.blocks\r\n"
    "Authorization: Bearer {token}\r\nBabbitt-Gateway: {gateway}\r\nBabbitt-Epoch: {epoch}\r\nBabbitt-Lane: live\r\n"
    "Babbitt-Oldest: {seq}\r\nBabbitt-Backlog-Blocks: 1\r\nBabbitt-Backlog-Readings: {readings}\r\n"
    "Content-Length: {length}\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Gateway:
    """``requests`` are ready to be sent, head and body."""

    name: str
    requests: list[bytes]


@dataclass(frozen=True, slots=True)
class Load:
    """What came of sending: seconds from due to acknowledged, and statuses that were no acknowledgement."""

    began_s: float
    ended_s: float
    latencies_s: list[float]
    others: dict[int, int]


def prepared(names: dict[str, str], blocks: int) -> list[Gateway]:
    """Requests of every gateway, one block each. ``names`` are the tokens by gateway."""
    plants = [Plant(1, TAGS, seed=seed) for seed in range(min(PLANTS, len(names)))]
    seconds = [[[batch for _ in range(HZ) for batch in plant.poll()] for _ in range(blocks)] for plant in plants]
    return [
        Gateway(name, _requests(name, token, number, seconds[number % PLANTS]))
        for number, (name, token) in enumerate(names.items())
    ]


def _requests(name: str, token: str, number: int, seconds: list[list[Batch]]) -> list[bytes]:
    dictionary = Dictionary(((seconds[0][0].asset, seconds[0][0].tags),))
    epoch, boot = f"{number:032x}", f"{number + 2**64:032x}"
    requests = []
    for seq, batches in enumerate(seconds, 1):
        sealed_ns = START_NS + seq * 10**9
        block = encode_block(
            Key(name, epoch, seq), boot=boot, lane=Lane.TELEMETRY, sealed_ns=sealed_ns, batches=batches, records=[],
            dictionary=dictionary,
        )  # fmt: skip
        body = pack_frames([pack_dictionary(dictionary), block] if seq == 1 else [block])
        head = HEAD.format(
            token=token, gateway=name, epoch=epoch, seq=seq, readings=TAGS * HZ, length=len(body)
        )  # fmt: skip
        requests.append(head.encode() + body)
    return requests


async def _sent(gateway: Gateway, url: str, due_s: float, every_s: float, load: Load) -> None:
    """Send each request when it is due, or at once where it is late; again where it was not taken."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    for request in gateway.requests:
        await asyncio.sleep(due_s - time.monotonic())
        while (status := await _post(reader, writer, request)) != 200:
            load.others[status] = load.others.get(status, 0) + 1
            await asyncio.sleep(1.0)
        load.latencies_s.append(time.monotonic() - due_s)
        due_s += every_s
    writer.close()


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    answer = json.loads(await reader.readexactly(length))
    status = int(head.split(None, 2)[1])
    assert status != 200 or (answer["through"] and not answer["refused"] and not answer["wants"]), answer
    return status


def send(gateways: list[Gateway], url: str, every_s: float, results: Any) -> None:
    """Send everything, evenly spread over time; runs in a process of its own."""

    async def all_of_them() -> None:
        began_s = time.monotonic() + 0.5
        load = Load(began_s, 0.0, [], {})
        apart_s = every_s / len(gateways)
        async with asyncio.TaskGroup() as group:
            for number, gateway in enumerate(gateways):
                group.create_task(_sent(gateway, url, began_s + number * apart_s, every_s, load))
        results.put((load.began_s, time.monotonic(), load.latencies_s, load.others))

    asyncio.run(all_of_them())


def measure(folder: Path, *, gateways: int, seconds: float, pace: float) -> dict[str, float]:
    accepted = folder / "tokens"
    names = {f"gateway-{number:04d}": tokens.make(accepted, f"gateway-{number:04d}") for number in range(gateways)}
    began_s = time.monotonic()
    ready = prepared(names, max(round(seconds * pace), 1))
    print(f"{sum(len(g.requests) for g in ready):,} blocks sealed in {time.monotonic() - began_s:.0f} s", flush=True)
    port = free_port(0)
    options = ["--port", str(port), "--data", str(folder / "cloud"), "--tokens", str(accepted)]
    server = Child("cloud", ["cloud", "serve", *options], folder / "cloud.log")
    try:
        _until(lambda: _listens(port), 20)
        context = multiprocessing.get_context("fork")
        results = context.Queue()
        sender = context.Process(target=send, args=(ready, f"http://127.0.0.1:{port}", 1 / pace, results))
        sender.start()
        cpu_before_s = _cpu_s(server)
        load = Load(*results.get(timeout=seconds + 120))
        sender.join()
        cpu_s = _cpu_s(server) - cpu_before_s
        ended_s = time.monotonic()
        _until(lambda: _is_derived(folder / "cloud/cloud.sqlite3"), 120)
        derived_s = time.monotonic() - ended_s
        rss_mb, written = _peak_mb(server), _written(server)
    finally:
        server.end()
    readings = len(load.latencies_s) * TAGS * HZ
    assert _rolled_up(folder / "cloud/cloud.sqlite3") == (readings, readings), "rollups do not hold what was sent"
    latencies_ms = [latency * 1000 for latency in sorted(load.latencies_s)]
    return {
        "readings_per_s": readings / (load.ended_s - load.began_s),
        "ack_p50_ms": statistics.median(latencies_ms),
        "ack_p99_ms": latencies_ms[int(len(latencies_ms) * 0.99)],
        "ack_max_ms": latencies_ms[-1],
        "turned_away": float(sum(load.others.values())),
        "derived_after_s": derived_s,
        "cpu_us_per_reading": cpu_s / readings * 1e6,
        "peak_rss_mb": rss_mb,
        "written_bytes_per_reading": written / readings,
        "stored_bytes_per_reading": (folder / "cloud/cloud.sqlite3").stat().st_size / readings,
    }


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _until(answers: Any, deadline_s: float) -> None:
    started = time.monotonic()
    while not answers():
        if time.monotonic() - started > deadline_s:
            raise SystemExit("nothing came of it in time")
        time.sleep(0.05)


def _cpu_s(process: Child) -> float:
    """What it has used of the processors, its own and the kernel's for it."""
    fields = Path(f"/proc/{process.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _written(process: Child) -> int:
    """Bytes that it has caused to be written to the disk."""
    counts = Path(f"/proc/{process.process.pid}/io").read_text(encoding="ascii")
    return int(counts.partition("\nwrite_bytes:")[2].split()[0])


def _peak_mb(process: Child) -> float:
    status = Path(f"/proc/{process.process.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def _asked(store: Path, sql: str) -> tuple[Any, ...]:
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return tuple(connection.execute(sql).fetchone())
    finally:
        connection.close()


def _is_derived(store: Path) -> bool:
    return bool(_asked(store, "SELECT (SELECT block FROM progress) = (SELECT max(id) FROM block)")[0])


def _rolled_up(store: Path) -> tuple[int, int]:
    minutes, hours = _asked(store, "SELECT (SELECT sum(count) FROM minute), (SELECT sum(count) FROM hour)")
    return minutes, hours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long to send (default 120)")
    parser.add_argument("--gateways", type=int, default=200, help="how many send (default 200)")
    parser.add_argument("--pace", type=float, default=1.1, help="blocks a second of each, 500 readings in each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="babbitt-ingest-") as name:
        found = measure(Path(name), gateways=options.gateways, seconds=options.seconds, pace=options.pace)
    for name, value in sorted(found.items(), key=lambda item: item[0] in GOALS):
        if options.json:
            print(json.dumps({"name": name, "value": round(value, 3), "goal": GOALS.get(name)}))
        else:
            print(f"{name} {value:.2f}" if value < 100 else f"{name} {value:.0f}")


if __name__ == "__main__":
    main()
