"""All lines of a site side by side, so that trouble on one is none on another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from edge.config.lines import PolledLine, PushedLine
from edge.config.profiles import Profile
from edge.config.scans import scans
from edge.config.site import Site
from edge.config.tables import Asset, Unit
from edge.contract.types import Value
from edge.errors import LineError
from edge.poll.breaker import Breaker
from edge.poll.line import LineOwner, PolledUnit
from edge.poll.listener import ListenedUnit, Listener
from edge.poll.unit import Deliver, Offer, UnitStatus
from edge.ports import Answer, Clock, Driver, Source, Subject

MakeDriver = Callable[[PolledLine, Clock], Driver]
MakeSource = Callable[[PushedLine, Sequence[Subject], Clock], Source]

WRITE_S = 5.0
"""How long a command may take, from when it is given to the device's word."""


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
        self._owners: list[LineOwner | Listener] = []
        self._writable: dict[tuple[str, str], tuple[LineOwner, int, Profile]] = {}
        for line in site.file.line:
            entries = [(asset, unit) for asset in site.file.asset for unit in asset.unit if unit.line == line.name]
            if not entries:
                continue
            if isinstance(line, PolledLine):
                units = _polled(site, line, entries)
                driver = make_driver(line, clock)
                owner = LineOwner(line, units, driver, clock=clock, offer=offer, deliver=deliver)
                self._owners.append(owner)
                self._writable |= {
                    (asset.id, point.tag): (owner, unit.unit, site.profiles[unit.profile])
                    for asset, unit in entries
                    for point in site.profiles[unit.profile].point
                }
            else:
                source = make_source(line, _subjects(site, entries), clock)
                heard = _listened(site, entries)
                self._owners.append(Listener(line, heard, source, clock=clock, offer=offer, deliver=deliver))

    async def run(self) -> None:
        """Open every line (``opened`` is set), then poll and listen until cancelled.

        Raises ``LineError`` where one cannot be opened.
        """
        opened: list[LineOwner | Listener] = []
        try:
            for owner in self._owners:
                await owner.open()
                opened.append(owner)
            self.opened.set()
            async with asyncio.TaskGroup() as group:
                for owner in self._owners:
                    group.create_task(owner.run(), name=f"babbitt.line[{owner.line.name}]")
        finally:
            for owner in opened:
                await owner.close()

    async def write(self, asset: str, tag: str, value: Value, *, within_s: float = WRITE_S) -> Answer:
        """Write one value before its line's next poll; whoever commands reads it back. Trouble is a bad answer.

        Raises ``LineError`` where no polled line has such a signal.
        """
        found = self._writable.get((asset, tag))
        if found is None:
            raise LineError(f"{asset}.{tag}", "no polled line has such a signal", "its asset and tag as in the site")
        owner, unit, profile = found
        return await owner.write(unit, profile, tag, value, within_s=within_s)

    def status(self) -> list[UnitStatus]:
        return [status for owner in self._owners for status in owner.status()]


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
