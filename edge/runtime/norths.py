"""The ways in which other systems read this gateway, side by side.

One that cannot be opened, such as a server whose address another program has, is tried again after pauses that double
from ``PAUSE_S_FIRST`` to ``PAUSE_S_MAX``, and neither ends nor holds up anything else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from edge.contract.types import Alarm, Batch, Verdict
from edge.errors import BabbittError, LineError
from edge.ports import Clock, North

log = logging.getLogger("babbitt.gateway")

Start = Callable[[str, Callable[[], Awaitable[None]]], asyncio.Task[None]]
"""Starts a room by its name, and keeps it running."""

PAUSE_S_FIRST, PAUSE_S_MAX = 1.0, 30.0


class Norths:
    """``make`` builds them for the site as it is now; what they see is built for one site.

    ``troubles`` says by name why one cannot be opened: where, what and what to do; empty where it is.
    """

    def __init__(self, make: Callable[[], list[North]], clock: Clock) -> None:
        self._make, self._clock = make, clock
        self.troubles: dict[str, str] = {}
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

    def status(self) -> dict[str, Any]:
        """By name, each with its ``trouble``."""
        return {north.name: {**north.status(), "trouble": self.troubles.get(north.name, "")} for north in self.all}

    async def open(self) -> None:
        """Make them ready. Raises ``ConfigError``."""
        for north in self.all:
            await self._open(north)

    def serve(self, start: Start) -> None:
        """From now on; so will those that are built anew."""
        self._start = start
        self._serving = [start(north.name, partial(self._run, north)) for north in self.all]

    async def end(self) -> None:
        """Those that serve."""
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)
        self._serving = []

    async def renew(self) -> None:
        """End those that serve and build them anew for another site.

        What that site says wrongly of them is said in the log; those are left out.
        """
        await self.end()
        try:
            self.all = self._make()
            await self.open()
        except BabbittError as error:
            log.error("other systems are not served until the gateway is started again: %s", error)
            self.all = []
        if self._start is not None:
            self.serve(self._start)

    async def _open(self, north: North) -> None:
        try:
            await north.open()
        except LineError as error:
            self._say(north, str(error))
        else:
            self._say(north, "")

    async def _run(self, north: North) -> None:
        """Open it again where it is not, and serve. Until cancelled."""
        while True:
            pause_s = PAUSE_S_FIRST
            while self.troubles.get(north.name):
                await self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_S_MAX)
                await self._open(north)
            try:
                return await north.run()
            except LineError as error:  # It broke, opened itself again, and another program was faster.
                self._say(north, str(error))

    def _say(self, north: North, trouble: str) -> None:
        """Log trouble once, and its end once."""
        before = self.troubles.get(north.name, "")
        if trouble and trouble != before:
            log.warning("%s is not served: %s; it is tried again, and all else goes on", north.name, trouble)
        elif before and not trouble:
            log.info("%s is served", north.name)
        self.troubles[north.name] = trouble
