"""Keeps the cloud's background rooms running, as ``edge.supervise`` does a gateway's: what breaks ends alone.

It is logged whole, shown on the fleet page and in ``/healthz``, and starts again after a pause that doubles up to
half a minute. What answers gateways and people goes on meanwhile, so no error of a room ends the server.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

PAUSE_S_FIRST = 0.5
PAUSE_S_MAX = 30.0
CALM_S = 60.0

log = logging.getLogger("babbitt.supervise")


@dataclass(slots=True)
class _Fault:
    """The last one of a room, ``restarts`` of which there were; ``runs``: it has started again since."""

    why: str
    at_s: float
    restarts: int
    runs: bool = False

    def words(self, room: str) -> str:
        often = "once" if self.restarts == 1 else f"{self.restarts} times"
        return f"{room} broke {often} ({self.why}) and {'runs again' if self.runs else 'starts anew soon'}"


class Supervisor:
    """Belongs to the event loop; ``trouble`` may be asked from any thread."""

    def __init__(
        self, *, mono_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:  # fmt: skip
        self._mono_s, self._sleep = mono_s, sleep
        self._faults: dict[str, _Fault] = {}

    async def keep(self, room: str, run: Callable[[], Awaitable[None]]) -> None:
        """Await ``run()`` again and again until it returns by itself. A minute without trouble forgets the pauses."""
        pause_s = PAUSE_S_FIRST
        while True:
            began_s = self._mono_s()
            try:
                return await run()
            except Exception as error:
                pause_s = PAUSE_S_FIRST if self._mono_s() - began_s > CALM_S else pause_s
                restarts = self.restarts(room) + 1
                log.exception("%s broke and starts again in %.1f s (restart %d)", room, pause_s, restarts)
                why = f"{type(error).__name__}: {error}"
                self._faults[room] = _Fault(" ".join(why.split())[:200], self._mono_s(), restarts)
            await self._sleep(pause_s)
            self._faults[room].runs = True
            pause_s = min(2 * pause_s, PAUSE_S_MAX)

    def restarts(self, room: str) -> int:
        return self._faults[room].restarts if room in self._faults else 0

    def trouble(self) -> tuple[str, ...]:
        """A sentence for each room that stands still, or broke within the last minute."""
        now_s = self._mono_s()
        return tuple(
            fault.words(room)
            for room, fault in list(self._faults.items())
            if not fault.runs or now_s - fault.at_s < CALM_S
        )
