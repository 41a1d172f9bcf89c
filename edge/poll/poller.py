"""All lines of a site, polled side by side, so that trouble on one is none on another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edge.config.site import Line, Site
from edge.poll.breaker import Breaker
from edge.poll.line import Deliver, LineOwner, Offer, PolledUnit, UnitStatus
from edge.ports import Clock, Driver


class Poller:
    """Polls every unit of ``site``: ``offer(asset, tags)`` before each due poll, then ``deliver(batch)`` exactly once.

    One asset with several units gives one batch a unit, each with its own tags. ``make_driver`` is the drivers' room.
    """

    def __init__(
        self, site: Site, *, clock: Clock, offer: Offer, deliver: Deliver, make_driver: Callable[[Line, Clock], Driver]
    ) -> None:
        self.opened = asyncio.Event()
        self._owners = [
            LineOwner(line, units, make_driver(line, clock), clock=clock, offer=offer, deliver=deliver)
            for line in site.file.line
            if (units := _units_of(site, line))
        ]

    async def run(self) -> None:
        """Open every line (``opened`` is set), then poll until cancelled. Raises ``LineError`` where one cannot be."""
        opened: list[LineOwner] = []
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

    def status(self) -> list[UnitStatus]:
        return [status for owner in self._owners for status in owner.status()]


def _units_of(site: Site, line: Line) -> list[PolledUnit]:
    """What is polled on ``line``. Entries of one unit id share its breaker: they are one device."""
    breakers: dict[int, Breaker] = {}
    return [
        PolledUnit(
            asset=asset.id,
            unit=unit.unit,
            profile_id=unit.profile,
            profile=site.profiles[unit.profile],
            period_ns=unit.period_ms * 1_000_000,
            breaker=breakers.setdefault(unit.unit, Breaker(line.breaker)),
        )
        for asset in site.file.asset
        for unit in asset.unit
        if unit.line == line.name
    ]
