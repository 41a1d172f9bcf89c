"""The service manager hears of the gateway only while what was read becomes alarms."""

from __future__ import annotations

from collections.abc import Callable

from edge.ports import Clock
from edge.watchdog import Watchdog

BEAT_S_MAX = 1.0


class Heartbeat:
    """``trouble`` says why nobody watches, empty while somebody does; ``brief`` how it goes."""

    def __init__(self, clock: Clock, *, trouble: Callable[[], str], brief: Callable[[], str]) -> None:
        self._clock, self._trouble, self._brief = clock, trouble, brief
        self.manager = Watchdog()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            trouble = self._trouble()
            if not trouble:
                self.manager.beat()
            self.manager.say(trouble or self._brief())
            await self._clock.sleep(min(BEAT_S_MAX, self.manager.interval_s or BEAT_S_MAX))
