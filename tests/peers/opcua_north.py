"""The gateway's OPC UA server and a real alarm desk in a process of their own.

    python -m tests.peers.opcua_north SITE [TAG [IDLE]]

``TAG`` may be written, as ASSET/TAG, where it is not empty; a connection may be without a session for ``IDLE`` s.

It prints the line ``ready``, then answers each JSON line on its standard input by one on its standard output.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from edge.alarm import AlarmDesk, Watched
from edge.clock import SystemClock
from edge.config.alarms import Alarms
from edge.config.health import Health
from edge.config.site import Site, load_site
from edge.contract.types import Alarm, Batch, Quality, Tag, Value, Verdict
from edge.errors import BabbittError
from edge.health import concerns
from edge.north.opcua.model import BOOLEAN, FIGURES, STRING
from edge.north.opcua.room import OpcUaNorth
from edge.ports import Finding
from edge.runtime.alarms import AlarmAnswers

LAG_TICK_S = 0.005
IDLE_S = 60.0


class OneTag:
    """A guard that allows one tag, between 0 and 100, and remembers what was written."""

    def __init__(self, asset: str, tag: str) -> None:
        self.allowed = (asset, tag)
        self.written: list[tuple[str, str, Value, str]] = []

    def allows(self, asset: str, tag: str) -> bool:
        return (asset, tag) == self.allowed

    async def write(self, asset: str, tag: str, value: Value, *, by: str) -> str:
        if not isinstance(value, int | float) or not 0 <= value <= 100:
            return "outside of its bounds"
        self.written.append((asset, tag, value, by))
        return ""


class Host:
    """What the runtime does for the room, driven from outside."""

    def __init__(self, site: Site, allow: tuple[str, str] | None, idle_s: float) -> None:
        self.clock = SystemClock("release")
        # Tests raise one alarm again and again: that is what they want to see.
        config = Alarms(chatter_raises=0)
        gateway = site.file.gateway.id
        self.desk = AlarmDesk(
            [_watched(site, asset.id) for asset in site.file.asset], config=config, gateway=gateway,
            concerns=concerns(Health(), gateway),
        )  # fmt: skip
        self.guard = OneTag(*allow) if allow is not None else None
        self.acknowledged: list[tuple[str, str, str]] = []
        self.lag_ms = 0.0
        self.room = OpcUaNorth(
            site, clock=self.clock, alarms=self.desk.every, figures=self._figures, acknowledge=self._acknowledge,
            hands=AlarmAnswers(self.desk, self.clock, self._announce), guard=self.guard, idle_s=idle_s,
        )  # fmt: skip

    async def serve(self) -> None:
        await self.room.open()
        serving = asyncio.create_task(self.room.run())
        watching = asyncio.create_task(self._watch_lag())
        try:
            await self._answer()
        finally:
            for task in (serving, watching):
                task.cancel()
            await asyncio.wait([serving, watching])

    async def _answer(self) -> None:
        reader = asyncio.StreamReader(limit=2**22)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        print("ready", flush=True)
        while line := await reader.readline():
            request = json.loads(line)
            print(json.dumps(self._commands()[request.pop("do")](**request)), flush=True)

    def _commands(self) -> dict[str, Callable[..., Any]]:
        return {
            "deliver": self._deliver, "judge": self._judge, "status": self.room.status, "lag": self._lag,
            "report": self._report, "acknowledged": lambda: self.acknowledged,
            "written": lambda: self.guard.written if self.guard is not None else [],
            "cpu": time.process_time,
        }  # fmt: skip

    def _deliver(self, asset: str, values: dict[str, Value], quality: int = 0, source_ns: int = 0) -> int:
        now_ns, count = self.clock.wall_ns(), len(values)
        batch = Batch(
            asset, tuple(values), tuple(values.values()), (Quality(quality),) * count, (source_ns or now_ns,) * count,
            now_ns, self.clock.mono_ns(),
        )  # fmt: skip
        self._announce(self.desk.observe(batch))
        self.room.deliver(batch)
        return now_ns

    def _report(self, rule: str, *, holds: bool) -> None:
        """What the gateway finds about itself."""
        finding = Finding(rule, holds, "", 7.0, f"gw-1: {rule}", "it is so", "mend it")
        now_ns, mono_ns = self.clock.wall_ns(), self.clock.mono_ns()
        self._announce(self.desk.report_self([finding], now_ns, mono_ns=mono_ns))

    def _judge(self, verdict: dict[str, Any]) -> None:
        judged = msgspec.convert(verdict, Verdict)
        self._announce(self.desk.judge(judged, mono_ns=self.clock.mono_ns()))
        self.room.judge(judged)

    def _announce(self, alarms: list[Alarm]) -> None:
        for alarm in alarms:
            self.room.announce(alarm)

    async def _acknowledge(self, asset: str, rule: str, user: str) -> bool:
        self.acknowledged.append((asset, rule, user))
        alarms = self.desk.acknowledge(asset, rule, self.clock.wall_ns())
        self._announce(alarms)
        return bool(alarms)

    async def _figures(self) -> dict[str, Any]:
        words = {BOOLEAN: True, STRING: "words"}
        return {name: words.get(data_type, 7) for name, (data_type, _) in FIGURES.items()}

    async def _watch_lag(self) -> None:
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(LAG_TICK_S)
            self.lag_ms = max(self.lag_ms, (time.monotonic() - before_s - LAG_TICK_S) * 1000)

    def _lag(self) -> float:
        """The longest, in ms, that the event loop was held up since this was asked last."""
        found, self.lag_ms = self.lag_ms, 0.0
        return found


def _watched(site: Site, asset_id: str) -> Watched:
    asset = next(asset for asset in site.file.asset if asset.id == asset_id)
    points = [point for unit in asset.unit for point in site.profiles[unit.profile].point]
    tags = tuple(Tag(point.tag, point.unit, point.title, point.kind, point.decimals) for point in points)
    asset_class = msgspec.structs.replace(site.classes[asset.class_], rule=site.rules(asset.id))
    return Watched(asset.id, asset.name, asset_class, 3_600_000, tags)


def main() -> None:
    allow = tuple(sys.argv[2].split("/")) if sys.argv[2:] and sys.argv[2] else None
    idle_s = float(sys.argv[3]) if sys.argv[3:] else IDLE_S
    try:
        asyncio.run(Host(load_site(Path(sys.argv[1])), allow, idle_s).serve())  # type: ignore[arg-type]
    except BabbittError as error:
        print(error, flush=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
