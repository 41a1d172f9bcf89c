"""The ways in which other systems read this gateway, side by side."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from edge.contract.types import Alarm, Batch, Verdict
from edge.errors import BabbittError
from edge.ports import North

log = logging.getLogger("babbitt.gateway")

Start = Callable[[str, Callable[[], Awaitable[None]]], asyncio.Task[None]]
"""Starts a room by its name, and keeps it running."""


class Norths:
    """``make`` builds them for the site as it is now; what they see is built for one site."""

    def __init__(self, make: Callable[[], list[North]]) -> None:
        self._make = make
        self._start: Start | None = None
        self._serving: list[asyncio.Task[None]] = []
        self.all = make()

    def deliver(self, batch: Batch) -> None:
        for north in self.all:
            north.deliver(batch)

    def announce(self, alarm: Alarm) -> None:
        for north in self.all:
            north.announce(alarm)

    def judge(self, verdict: Verdict) -> None:
        for north in self.all:
            north.judge(verdict)

    async def open(self) -> None:
        """Raises ``LineError``."""
        for north in self.all:
            await north.open()

    def serve(self, start: Start) -> None:
        """From now on; so will those that are built anew."""
        self._start = start
        self._serving = [start(north.name, north.run) for north in self.all]

    async def end(self) -> None:
        """Those that serve."""
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)
        self._serving = []

    async def renew(self) -> None:
        """End those that serve and build them anew for another site; what cannot be opened is left out, with a word in
        the log."""
        await self.end()
        self.all = []
        for north in self._make():
            try:
                await north.open()
            except BabbittError as error:
                log.error("%s is not served until the gateway is started again: %s", north.name, error)
                continue
            self.all.append(north)
            if self._start is not None:
                self._serving.append(self._start(north.name, north.run))
