"""What the OPC UA server costs: 2,000 changing tags a second, seen by nobody, then all of them by one client.

The room runs as in a gateway, fed with the batches of 40 machines of 50 tags, each polled once a second; the client is
a process of its own. Beside the CPU of this process, the longest that its event loop was held up.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloud.demo.processes import free_port
from edge.clock import SystemClock
from edge.config.site import load_site
from edge.contract.types import Batch, Quality
from edge.north.opcua.room import OpcUaNorth
from edge.status import rss_mb

MACHINES, TAGS, SECONDS = 40, 50, 10
TICK_S = 0.005
CLIENT = """
import asyncio, logging, sys
from asyncua import Client
logging.disable()
class Heard:
    values = 0
    def datachange_notification(self, *_):
        Heard.values += 1
async def watch(url, machines, tags):
    async with Client(url) as client:
        subscription = await client.create_subscription(1000, Heard())
        for m in range(machines):
            nodes = [client.get_node(f"ns=2;s=Assets/m{m}/t{t}") for t in range(tags)]
            await subscription.subscribe_data_change(nodes)
        print("watching", flush=True)
        Heard.values = 0
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        print(Heard.values, flush=True)
asyncio.run(watch(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


def made_site(folder: Path, port: int) -> Path:
    (folder / "own/devices").mkdir(parents=True)
    points = ",\n".join(
        f'{{ tag = "t{t}", unit = "A", function = 3, address = {2 * t}, type = "float32" }}' for t in range(TAGS)
    )
    (folder / "own/devices/bench.toml").write_text(
        f'point = [\n{points}\n]\n[device]\nid = "bench"\nproducts = ["none"]\nsource = "none"\n'
    )
    assets = "".join(
        f'[[asset]]\nid = "m{m}"\nunit = [{{ line = "hall", unit = {m}, profile = "bench" }}]\n'
        for m in range(MACHINES)
    )
    site = folder / "site.toml"
    site.write_text(
        f'profiles = "own"\n[gateway]\nid = "bench"\n[[line]]\nkind = "modbus-tcp"\nname = "hall"\n{assets}'
        f'[north.opcua]\nport = {port}\nsecurity = ["none"]\nanonymous = true\n'
    )
    return site


class Bench:
    def __init__(self, room: OpcUaNorth) -> None:
        self.room = room
        self.clock = SystemClock("release")
        self.lag_ms = 0.0

    async def feed(self, *, deliver: bool) -> tuple[float, float]:
        """CPU as a share of a core, and the longest lag in ms, over ``SECONDS``."""
        self.lag_ms, started_s, cpu_s = 0.0, time.monotonic(), time.process_time()
        for step in range(SECONDS * MACHINES):
            batch = self._batch(step)
            if deliver:
                self.room.deliver(batch)
            await asyncio.sleep(max(0.0, started_s + (step + 1) / MACHINES - time.monotonic()))
        return (time.process_time() - cpu_s) / (time.monotonic() - started_s), self.lag_ms

    def _batch(self, step: int) -> Batch:
        now_ns = self.clock.wall_ns()
        values = tuple(step + t / TAGS for t in range(TAGS))
        tags = tuple(f"t{t}" for t in range(TAGS))
        return Batch(
            f"m{step % MACHINES}", tags, values, (Quality.GOOD,) * TAGS, (now_ns,) * TAGS, now_ns, self.clock.mono_ns()
        )

    async def watch_lag(self) -> None:
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(TICK_S)
            self.lag_ms = max(self.lag_ms, (time.monotonic() - before_s - TICK_S) * 1000)


async def figures() -> Mapping[str, Any]:
    return {}


async def acknowledge(asset: str, rule: str, user: str) -> bool:
    return False


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = load_site(made_site(Path(folder), free_port(0)))
        room = OpcUaNorth(site, clock=SystemClock("release"), alarms=list, figures=figures, acknowledge=acknowledge)
        started_s = time.process_time()
        await room.open()
        open_s = time.process_time() - started_s
        bench = Bench(room)
        tasks = [asyncio.create_task(room.run()), asyncio.create_task(bench.watch_lag())]
        without, _ = await bench.feed(deliver=False)
        unseen, _ = await bench.feed(deliver=True)
        command = [sys.executable, "-c", CLIENT, room.url, str(MACHINES), str(TAGS)]
        client = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert client.stdout is not None
        assert await client.stdout.readline() == b"watching\n"
        watched, lag_ms = await bench.feed(deliver=True)
        heard, _ = await client.communicate(b"\n")
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    print(f"address space of {MACHINES * TAGS} tags: {open_s:.2f} s of CPU to build, process {rss_mb():.0f} MB")
    print(f"feeding alone: {without:.3f} of a core")
    print(f"the client heard {int(heard):,} of {SECONDS * MACHINES * TAGS:,} values")
    print(f"cpu_unseen={unseen - without:.3f} cpu_watched={watched - without:.3f} lag_ms_max={lag_ms:.0f}")


if __name__ == "__main__":
    asyncio.run(main())
