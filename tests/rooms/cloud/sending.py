"""What a gateway would send, and a way to send it: blocks of a small made-up machine, over real HTTP."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cloud.ingest.tokens import make
from cloud.runtime import Settings, running
from cloud.store.lag import Allowance
from edge.contract.block import encode_block, pack_frames
from edge.contract.types import Asset, Batch, Key, Lane, Quality, Record, Tag, Value
from tests.waiting import DEADLINE_S

GATEWAY, EPOCH, BOOT = "gateway-1", "ab" * 16, "cd" * 16
START_NS = 1_800_000_000 * 10**9  # the beginning of a minute and of an hour
SECOND_NS = 10**9
TAGS = ("vibration_mm_s", "bearing_temperature_c", "running")
READINGS_PER_POLL = len(TAGS)
SPINDLE = Asset(
    asset="spindle-1", name="Milling spindle 1", asset_class="cnc_spindle", period_ms=1000, at_ns=START_NS,
    tags=(
        Tag("vibration_mm_s", "mm/s", "Vibration velocity RMS", "vibration", 2),
        Tag("bearing_temperature_c", "°C", "Bearing temperature", "temperature", 1),
        Tag("running", "", "Running", "state", 0),
    ),
)  # fmt: skip


def batch(
    second: float, vibration: Value, *, asset: str = "spindle-1", bad: Quality | None = None, from_ns: int = START_NS
) -> Batch:
    """A poll ``second`` seconds after the start; with ``bad`` its vibration failed."""
    at_ns = from_ns + int(second * SECOND_NS)
    quality = (bad or Quality.GOOD, Quality.GOOD, Quality.GOOD)
    values: tuple[Value, ...] = (None if bad else vibration, 40 + second / 10, True)
    return Batch(asset, TAGS, values, quality, (at_ns - 1000,) * 3, at_ns, at_ns)


def block(
    seq: int,
    batches: Sequence[Batch] = (),
    records: Sequence[Record] = (),
    *,
    gateway: str = GATEWAY,
    epoch: str = EPOCH,
) -> bytes:
    return encode_block(
        Key(gateway, epoch, seq), boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=START_NS + seq * SECOND_NS,
        batches=batches, records=records,
    )  # fmt: skip


def telemetry(seq: int, *, polls: int = 5) -> bytes:
    """Block ``seq`` of a steady stream: its polls follow those of the block before."""
    first = (seq - 1) * polls
    return block(seq, [batch(second, second % 7 + 0.25) for second in range(first, first + polls)])


@dataclass(frozen=True, slots=True)
class Sender:
    """A gateway's side of the wire."""

    url: str
    token: str

    def headers(self, **more: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.token}", "Babbitt-Gateway": GATEWAY, "Babbitt-Epoch": EPOCH,
            "Content-Type": "application/vnd.babbitt.blocks", "Babbitt-Backlog-Blocks": "0",
            "Babbitt-Backlog-Readings": "0", **{name.replace("_", "-"): value for name, value in more.items()},
        }  # fmt: skip

    async def send(self, *blocks: bytes, **more: str) -> httpx.Response:
        return await self.post(pack_frames(blocks), **more)

    async def post(self, body: Any, **more: str) -> httpx.Response:
        async with httpx.AsyncClient(timeout=DEADLINE_S) as client:
            return await client.post(f"{self.url}/api/v1/blocks", content=body, headers=self.headers(**more))

    async def get(self, path: str, **query: Any) -> Any:
        async with httpx.AsyncClient(timeout=DEADLINE_S) as client:
            answer = await client.get(f"{self.url}{path}", params=query)
        answer.raise_for_status()
        return answer.json()

    async def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.get("/api/v1/stats")
        return found


def at_once() -> Allowance:
    """What is derived from a block is there when its answer is, however busy the machine: nothing is left for later."""
    return Allowance(burst_s=3600.0)


@contextlib.asynccontextmanager
async def cloud(folder: Path, **settings: Any) -> AsyncIterator[Sender]:
    """A cloud on a port of its own with its store in ``folder``, and one gateway that it knows."""
    token = make(folder / "tokens", GATEWAY)
    told = {"port": 0, "allowance": at_once(), **settings}
    async with running(Settings(data=folder / "data", tokens=folder / "tokens", **told)) as url:
        yield Sender(url, token)


class CloudProcess:
    """``babbitt cloud serve`` as a process, which can be killed and started again on the same folder and port."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self._log = folder / "cloud.log"
        self.sender = Sender(f"http://127.0.0.1:{port}", make(folder / "tokens", GATEWAY))

    def start(self) -> None:
        """Returns once it serves."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edge.cli", "cloud", "serve", "--port", str(self._port),
             "--data", str(self._folder / "data"), "--tokens", str(self._folder / "tokens")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert self._process.stdout is not None
        watchdog = threading.Timer(DEADLINE_S, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        assert line.startswith("fleet page: http://127.0.0.1:"), line

    def kill(self) -> None:
        self._process.kill()
        self._reap()

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        self._reap()
        return self._process.returncode

    def _reap(self) -> None:
        try:
            self._process.wait(DEADLINE_S)
        finally:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()


@contextlib.contextmanager
def cloud_process(folder: Path, port: int) -> Iterator[CloudProcess]:
    process = CloudProcess(folder, port)
    process.start()
    try:
        yield process
    finally:
        process.kill()
