"""The ways in which other systems read this gateway, side by side."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edge.contract.types import Alarm, Batch, Verdict
from edge.errors import BabbittError
from edge.ports import North

log = logging.getLogger("babbitt.gateway")


class Norths:
    """``make`` builds them for the site as it is now; what they see is built for one site."""

    def __init__(self, make: Callable[[], list[North]]) -> None:
        self._make = make
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

    async def renew(self, serve: Callable[[North], None]) -> None:
        """Build and open them anew for another site; what cannot be opened is left out, with a word in the log."""
        self.all = []
        for north in self._make():
            try:
                await north.open()
            except BabbittError as error:
                log.error("%s is not served until the gateway is started again: %s", north.name, error)
                continue
            self.all.append(north)
            serve(north)
