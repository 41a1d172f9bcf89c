"""The store that a gateway keeps all in; where its disk takes nothing, a journal in memory until it does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from edge.config.site import Site
from edge.errors import StoreError, UnwritableStoreError
from edge.journal import UnkeptJournal, open_journal, open_unkept, take_over
from edge.ports import Clock, Journal
from edge.runtime.making import data_folder

AGAIN_S = 15.0
"""How often a store that could not be opened is tried again."""
FILE = "store.db"

OnDisk = Callable[[Callable[[], Any]], Awaitable[Any]]

log = logging.getLogger("babbitt.gateway")


class Store:
    """``journal`` is open. ``back`` is set once the store can be opened that could not be at the start: then another
    gateway is to take the place of this one. Raises ``StoreError`` where a person must act first.
    """

    def __init__(self, site: Site, *, clock: Clock) -> None:
        self._site, self._clock = site, clock
        self.back = asyncio.Event()
        self.is_kept = True
        self.journal = self._open()

    def _open(self) -> Journal:
        gateway = self._site.file.gateway
        path = self._site.resolve(gateway.data_dir) / FILE
        try:
            data_folder(self._site)
            journal = open_journal(path, gateway, clock=self._clock)
        except UnwritableStoreError as error:
            return self._open_in_memory(error)
        take_over(journal, path, gateway.id, clock=self._clock, remembered=_is_remembered)
        return journal

    def _open_in_memory(self, error: UnwritableStoreError) -> UnkeptJournal:
        gateway = self._site.file.gateway
        path = self._site.resolve(gateway.data_dir) / FILE
        try:
            journal = open_unkept(
                path, gateway.id, clock=self._clock, why=f"{error.where} {error.problem}", remembered=_is_remembered
            )
        except (OSError, StoreError) as other:
            raise error from other
        log.error("NOTHING IS KEPT: %s; the gateway goes on from memory, and tries again", error)
        self.is_kept = False
        return journal

    async def run(self, on_disk: OnDisk) -> None:
        """Until the store can be opened, or cancelled."""
        while not self.back.is_set():
            await self._clock.sleep(AGAIN_S)
            if await on_disk(self._can_be_opened):
                self.back.set()

    def _can_be_opened(self) -> bool:
        """Only to open it tells that it can be."""
        gateway = self._site.file.gateway
        try:
            folder = data_folder(self._site)
            open_journal(folder / FILE, gateway, clock=self._clock).close()
        except StoreError:
            return False
        return True


def _is_remembered(name: str) -> bool:
    """Alarms, what rules and judges have learned, and the clock: nothing that belongs to one epoch, such as a chain."""
    return name in ("alarm", "alarm_figures", "rules", "clock") or name.startswith(("alarm.", "judge/"))
