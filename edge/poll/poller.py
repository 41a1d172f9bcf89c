"""All lines of a site side by side, so that trouble on one is none on another; and another site's in their place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from edge.config.lines import AnyLine, Line, PolledLine, PushedLine
from edge.config.profiles import Profile
from edge.config.scans import scans
from edge.config.site import Site
from edge.config.tables import Asset, Unit
from edge.contract.types import Value
from edge.errors import BabbittError, LineError
from edge.line_counts import LineCounts
from edge.poll.breaker import Breaker
from edge.poll.line import LineOwner, PolledUnit, Unless, always
from edge.poll.listener import ListenedUnit, Listener
from edge.poll.unit import Deliver, Offer, UnitStatus
from edge.ports import Answer, Clock, Driver, Source, Subject

MakeDriver = Callable[[PolledLine, Clock], Driver]
MakeSource = Callable[[PushedLine, Sequence[Subject], Clock], Source]

WRITE_S = 5.0
"""How long a command may take, from when it is given to the device's word."""


@dataclass(slots=True, eq=False)
class _Place:
    """A line's owner, the task that it runs in, and ``what`` it was made of: the same again may keep its owner.

    ``signals`` gives unit and profile of each signal of a polled line, by asset and tag; ``alone`` a profile with that
    signal alone, where it was asked for: drivers know a profile by its identity, so there is one for each.
    """

    what: Any
    owner: LineOwner | Listener
    signals: dict[tuple[str, str], tuple[int, Profile]]
    alone: dict[tuple[str, str], Profile] = field(default_factory=dict)
    task: asyncio.Task[None] | None = field(default=None)


class Poller:
    """Polls or hears every unit of ``site``: ``offer(asset, tags)`` before each, then ``deliver(batch)`` exactly once.

    One asset with several units gives one batch a unit, and one for each of a unit's rates, each with its own tags.
    ``make_driver`` and ``make_source`` are the drivers' room.
    """

    def __init__(
        self, site: Site, *, clock: Clock, offer: Offer, deliver: Deliver, make_driver: MakeDriver,
        make_source: MakeSource,
    ) -> None:  # fmt: skip
        self.opened = asyncio.Event()
        self._clock, self._offer, self._deliver = clock, offer, deliver
        self._make_driver, self._make_source = make_driver, make_source
        self._group: asyncio.TaskGroup | None = None
        self._open: list[_Place] = []
        self._places = {line.name: self._place(site, line) for line in site.file.line if _entries(site, line)}

    async def run(self) -> None:
        """Open every line (``opened`` is set), then poll and listen until cancelled.

        One that cannot be opened is trouble on that line, and tried again.
        """
        try:
            await self._open_all(self._places.values())
            self.opened.set()
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._start(self._places.values())
                # A site may come to have no line that is used, and get one again.
                await asyncio.get_running_loop().create_future()
        finally:
            self._group = None
            for place in list(self._open):
                await self._close(place)

    async def change(self, site: Site, between: Callable[[], None]) -> None:
        """Go on with ``site``: lines that are the same in it go on undisturbed, all others are closed and made anew.

        ``between`` is called when nothing that was changed runs any more and all that is new is open. Raises
        ``LineError`` where a line cannot be opened, and then all goes on as before, without that call.
        """
        if self._group is None:
            raise BabbittError("poll", "is just starting", "try again in a minute")
        wanted = {line.name: _what(site, line) for line in site.file.line if _entries(site, line)}
        staying = {name: p for name, p in self._places.items() if p.task is not None and wanted.get(name) == p.what}
        going = [place for name, place in self._places.items() if name not in staying]
        coming = {line.name: self._place(site, line) for line in site.file.line if line.name in wanted.keys() - staying}
        await self._stop(going)
        try:
            for place in coming.values():
                self._open.append(place)
                await place.owner.opening.now()
        except LineError:
            await self._stop([*coming.values()])
            await self._open_all(going)
            self._start(going)
            raise
        between()
        self._places = {name: coming.get(name) or staying[name] for name in wanted}
        self._start(coming.values())

    async def write(
        self, asset: str, tag: str, value: Value, *, within_s: float = WRITE_S, unless: Unless = always
    ) -> Answer:
        """Write one value before its line's next poll, ``unless`` there is a reason not to when its turn has come.

        Whoever commands reads it back. Trouble is a bad answer. Raises ``LineError`` where no polled line has such a
        signal.
        """
        owner, place = self._polled(asset, tag)
        return await owner.write(*place.signals[asset, tag], tag, value, within_s=within_s, unless=unless)

    async def ask(self, asset: str, tag: str, *, within_s: float = WRITE_S) -> Answer:
        """What a signal is now, asked before its line's next poll. Trouble is a bad answer. Raises ``LineError``."""
        owner, place = self._polled(asset, tag)
        unit, profile = place.signals[asset, tag]
        if (asset, tag) not in place.alone:
            point = next(point for point in profile.point if point.tag == tag)
            place.alone[asset, tag] = msgspec.structs.replace(profile, point=(point,))
        return await owner.ask(unit, place.alone[asset, tag], within_s=within_s)

    def _polled(self, asset: str, tag: str) -> tuple[LineOwner, _Place]:
        for place in self._places.values():
            if (asset, tag) in place.signals and isinstance(place.owner, LineOwner):
                return place.owner, place
        raise LineError(f"{asset}.{tag}", "no polled line has such a signal", "its asset and tag as in the site")

    def overdue(self, before_ns: int) -> list[str]:
        """Lines whose owner does not run, or should have made a turn ``before_ns`` (monotonic) and did not."""
        return [
            name
            for name, place in self._places.items()
            if place.task is None or place.task.done() or place.owner.turn_ns < before_ns
        ]

    def shut(self) -> dict[str, LineError]:
        """Lines that could not be opened yet, by name, and why."""
        every = {name: place.owner.opening.error for name, place in self._places.items()}
        return {name: error for name, error in every.items() if error is not None}

    def status(self) -> list[UnitStatus]:
        return [status for place in self._places.values() for status in place.owner.status()]

    def counts(self) -> list[tuple[AnyLine, LineCounts | None, list[UnitStatus]]]:
        """Every line that is used, what its driver counted, and its units."""
        return [(p.owner.line, p.owner.counts(), p.owner.status()) for p in self._places.values()]

    def _place(self, site: Site, line: Line) -> _Place:
        entries = _entries(site, line)
        common: dict[str, Any] = {"clock": self._clock, "offer": self._offer, "deliver": self._deliver}
        what = _what(site, line)
        if isinstance(line, PolledLine):
            driver = self._make_driver(line, self._clock)
            owner = LineOwner(line, _polled(site, line, entries), driver, **common)
            return _Place(what, owner, _signals(site, entries))
        source = self._make_source(line, _subjects(site, entries), self._clock)
        return _Place(what, Listener(line, _listened(site, entries), source, **common), {})

    async def _open_all(self, places: Iterable[_Place]) -> None:
        for place in places:
            self._open.append(place)
            await place.owner.opening.at_the_start()

    def _start(self, places: Iterable[_Place]) -> None:
        assert self._group is not None
        for place in places:
            place.task = self._group.create_task(place.owner.run(), name=f"babbitt.line[{place.owner.line.name}]")

    async def _stop(self, places: Sequence[_Place]) -> None:
        """End their tasks, each with what it is in the midst of, and close them."""
        tasks = [place.task for place in places if place.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for place in places:
            place.task = None
            if place in self._open:
                await self._close(place)

    async def _close(self, place: _Place) -> None:
        self._open.remove(place)
        await place.owner.close()


def _entries(site: Site, line: Line) -> list[tuple[Asset, Unit]]:
    return [(asset, unit) for asset in site.file.asset for unit in asset.unit if unit.line == line.name]


def _what(site: Site, line: Line) -> Any:
    """All that the owner of ``line`` is made of: two sites in which it is equal can share it."""
    return line, [(asset.id, unit, site.profiles[unit.profile]) for asset, unit in _entries(site, line)]


def _signals(site: Site, entries: Sequence[tuple[Asset, Unit]]) -> dict[tuple[str, str], tuple[int, Profile]]:
    return {
        (asset.id, point.tag): (unit.unit, site.profiles[unit.profile])
        for asset, unit in entries
        for point in site.profiles[unit.profile].point
    }


def _polled(site: Site, line: PolledLine, entries: Sequence[tuple[Asset, Unit]]) -> list[PolledUnit]:
    """What is polled on ``line``. Entries of one unit id share its breaker: they are one device."""
    breakers: dict[int, Breaker] = {}
    return [
        PolledUnit(
            asset=asset.id,
            unit=unit.unit,
            profile_id=unit.profile,
            profile=scan.profile,
            period_ns=scan.period_ms * 1_000_000,
            breaker=breakers.setdefault(unit.unit, Breaker(line.breaker)),
            priority=scan.priority,
        )
        for asset, unit in entries
        for scan in scans(unit, site.profiles[unit.profile])
    ]


def _subjects(site: Site, entries: Sequence[tuple[Asset, Unit]]) -> list[Subject]:
    return [Subject(unit.unit, unit.at, site.profiles[unit.profile], unit.period_ms / 1000) for _, unit in entries]


def _listened(site: Site, entries: Sequence[tuple[Asset, Unit]]) -> list[ListenedUnit]:
    return [
        ListenedUnit(asset.id, unit.unit, unit.profile, site.profiles[unit.profile], unit.period_ms * 1_000_000)
        for asset, unit in entries
    ]
