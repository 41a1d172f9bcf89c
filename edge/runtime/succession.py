"""One site follows another while the gateway runs; what is the same in both goes on undisturbed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from edge.config.site import Site
from edge.contract.types import Asset
from edge.described import deadbands_of, introduction, shown, watched

if TYPE_CHECKING:
    from edge.infer import Judge
    from edge.runtime.rooms import Rooms


class Succession:
    """Of the sites that ``rooms`` run."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def switch(self, site: Site) -> None:
        """Run ``site`` from now on. Raises ``BabbittError``, and then no part of it runs."""
        rooms = self._rooms
        # Loading a model takes a while, in which the lines are polled.
        judges = await rooms.disk.call(partial(rooms.judging.made_for, rooms.site, site))
        renews = bool(rooms.norths.all) and shown(site) != shown(rooms.site)
        await rooms.poller.change(site, lambda: self._take_over(site, judges, renews=renews))
        if renews:
            # Before it returns, so that whoever judges what follows does not judge this.
            await rooms.norths.renew()

    def introduce(self, site: Site, *, known: Mapping[str, Asset]) -> None:
        """Tell the receiver what each asset and tag means, but those that are ``known`` to be the same."""
        for asset in site.file.asset:
            told = introduction(site, asset)
            if known.get(asset.id) != told:
                self._rooms.journal.record(replace(told, at_ns=self._rooms.clock.wall_ns()))

    def _take_over(self, site: Site, judges: dict[str, Judge], *, renews: bool) -> None:
        """Between the last reading of the old and the first of the new: everyone else learns of it.

        What other systems see is built for one site: where that ``renews``, their servers start anew afterwards.
        """
        rooms = self._rooms
        before = {asset.id: introduction(rooms.site, asset) for asset in rooms.site.file.asset}
        rooms.memory.keep()
        rooms.judging.take_over(site, judges)
        rooms.site = site
        rooms.seats.change(site)
        rooms.latest.clear()
        rooms.desk.change([watched(site, asset) for asset in site.file.asset])
        rooms.kept.change({asset.id: deadbands_of(site, asset) for asset in site.file.asset})
        if renews:
            rooms.norths.all = []
        rooms.commanding.change(site)
        self.introduce(site, known=before)
