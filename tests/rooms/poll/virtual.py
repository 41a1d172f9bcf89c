"""Virtual time, a diary and a bus that takes its time: the world in which pollers and listeners are watched."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.config.lines import Breaker, Line, ModbusTcp, PolledLine
from edge.config.profiles import Profile
from edge.config.profiles.modbus import ModbusProfile, Point
from edge.config.site import Site
from edge.config.tables import Asset, Gateway, SiteFile, Unit
from edge.contract.types import Batch, Quality
from edge.drivers import make_source
from edge.poll import Poller
from edge.ports import Answer, Clock, Driver
from tests.peers.image import Image, profile_of

S = 10**9


class Waking:
    """A clock that jumps: when everybody sleeps, time is where the first wants to wake."""

    def __init__(self) -> None:
        self.now_ns = 1_800_000_000 * S
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0

    def wall_ns(self) -> int:
        return self.now_ns

    def mono_ns(self) -> int:
        return self.now_ns - 1_799_999_000 * S

    def trusted(self) -> bool:
        return True

    async def sleep(self, seconds: float) -> None:
        self._count += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now_ns + max(1, round(seconds * S)), self._count, future))
        await future

    def wake_all(self) -> None:
        for _, _, future in self._sleepers:
            if not future.done():
                future.set_result(None)
        self._sleepers.clear()

    async def run_for(self, seconds: float) -> None:
        end_ns = self.now_ns + int(seconds * S)
        while True:
            for _ in range(20):  # let all that can run without time run
                await asyncio.sleep(0)
            self._sleepers = [s for s in self._sleepers if not s[2].cancelled()]
            if not self._sleepers or min(self._sleepers)[0] > end_ns:
                self.now_ns = end_ns
                return
            first = min(self._sleepers)
            self._sleepers.remove(first)
            self.now_ns = first[0]
            first[2].set_result(None)


@dataclass
class Diary:
    """What was offered and delivered. Every delivery answers the oldest open offer of the same asset and tags."""

    open: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)

    def offer(self, asset: str, tags: Sequence[str]) -> None:
        self.open.append((asset, tuple(tags)))

    def deliver(self, batch: Batch) -> None:
        self.open.remove((batch.asset, batch.tags))
        self.batches.append(batch)

    def count(self, asset: str, quality: Quality | None = None) -> int:
        return sum(1 for b in self.batches if b.asset == asset and quality in (None, b.quality[0]))


@dataclass
class Bus:
    """A driver whose units take ``takes_s`` to answer; those in ``dead`` never do, and cost ``timeout_s``."""

    clock: Clock
    takes_s: float = 0.01
    timeout_s: float = 0.3
    dead: set[int] = field(default_factory=set)
    asked: list[tuple[float, int]] = field(default_factory=list)
    busy: bool = False
    is_open: bool = False

    async def open(self) -> None:
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False

    async def read(self, unit: int, profile: ModbusProfile) -> list[Answer]:
        assert self.is_open
        assert not self.busy, "two questions at once on one line"
        self.asked.append((self.clock.mono_ns() / S, unit))
        self.busy = True
        try:
            await self.clock.sleep(self.timeout_s if unit in self.dead else self.takes_s)
        finally:
            self.busy = False
        if unit in self.dead:
            return [Answer(None, Quality.BAD_BUS, "no answer")] * len(profile.point)
        return [Answer(unit, Quality.GOOD)] * len(profile.point)


def two_points(prefix: str = "t") -> ModbusProfile:
    return profile_of([
        Point(tag=f"{prefix}{i}", function=3, address=i, type="uint16") for i in range(2)
    ])  # fmt: skip


def site_of(lines: Sequence[Line], assets: Sequence[Asset], profiles: dict[str, Profile] | None = None) -> Site:
    file = SiteFile(gateway=Gateway(id="g"), line=tuple(lines), asset=tuple(assets))
    return Site(
        path=Path("site.toml"), file=file, profiles=profiles or {"p": two_points()}, folders=(), classes={}, services={}
    )


def asset(number: int, line: str = "l", period_ms: int = 1000) -> Asset:
    return Asset(id=f"a{number}", unit=(Unit(line=line, unit=number, profile="p", period_ms=period_ms),))


def tcp(name: str = "l", port: int = 1, **breaker: float) -> ModbusTcp:
    return ModbusTcp(name=name, port=port, timeout_ms=200, breaker=Breaker(**breaker))  # type: ignore[arg-type]


class World:
    """A poller over buses in virtual time."""

    def __init__(self, site: Site, *, takes_s: float = 0.01, timeout_s: float = 0.3) -> None:
        self.clock = Waking()
        self.diary = Diary()
        self.buses: dict[str, Bus] = {}
        self.tasks: list[asyncio.Task[None]] = []

        def make(line: PolledLine, clock: Clock) -> Driver:
            self.buses[line.name] = self.make_bus(clock, takes_s, timeout_s)
            return self.buses[line.name]

        self.poller = Poller(
            site,
            clock=self.clock,
            offer=self.diary.offer,
            deliver=self.diary.deliver,
            make_driver=make,
            make_source=make_source,
        )

    @property
    def bus(self) -> Bus:
        return self.buses["l"]

    def make_bus(self, clock: Clock, takes_s: float, timeout_s: float) -> Bus:
        return Bus(clock, takes_s, timeout_s)

    def play(self, *acts: float | Callable[[], object]) -> None:
        """Run for so many seconds, or call (and await what that gives), one after the other; then stop."""

        async def run() -> None:
            polling = asyncio.create_task(self.poller.run())
            for act in acts:
                if callable(act):
                    told = act()
                    if inspect.isawaitable(told):
                        await told
                else:
                    await self.clock.run_for(act)
                assert not polling.done()
            for task in self.tasks:
                task.cancel()
            polling.cancel()
            await asyncio.wait([polling])
            assert polling.cancelled()

        asyncio.run(run())


def an_image() -> Image:
    image = Image()
    image.put(3, 0, b"\x00\x07\x00\x08")
    return image
