"""What a line needs may be missing when the gateway starts: an adapter that is not plugged in, a port that is taken.

It is tried again after pauses that double from ``PAUSE_S_FIRST`` to ``PAUSE_S_MAX``, and never ends what else runs. The
log says it once, and once when it is there.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from edge.errors import LineError
from edge.ports import Clock

PAUSE_S_FIRST, PAUSE_S_MAX = 0.5, 5.0

log = logging.getLogger("babbitt.poll")


class Opening:
    """Of the line ``name`` by ``open_it``.

    ``error`` says where, what and what to do, and ``trouble`` the same in one line; there is none once it is open.
    """

    def __init__(self, name: str, open_it: Callable[[], Awaitable[None]], clock: Clock) -> None:
        self._name, self._open_it, self._clock = name, open_it, clock
        self._pause_s = 0.0
        self._again_ns = 0
        self.error: LineError | None = None

    @property
    def trouble(self) -> str:
        return str(self.error).removeprefix(f"line {self._name}: ") if self.error is not None else ""

    async def now(self) -> None:
        """Open it. Raises ``LineError``, which is its ``error`` from then on."""
        try:
            await self._open_it()
        except LineError as error:
            self._pause_s = min(max(2 * self._pause_s, PAUSE_S_FIRST), PAUSE_S_MAX)
            self._again_ns = self._clock.mono_ns() + int(self._pause_s * 1e9)
            self.error = error
            raise
        self.error, self._pause_s = None, 0.0

    async def at_the_start(self) -> None:
        """Open it, or say that it is missing."""
        try:
            await self.now()
        except LineError:
            log.warning("line %s: %s; it is tried again, and all else goes on", self._name, self.trouble)

    async def again(self) -> str:
        """Open it where it is not open yet, unless the last attempt is too fresh. Gives the ``trouble``."""
        if self.error is not None and self._clock.mono_ns() >= self._again_ns:
            try:
                await self.now()
            except LineError:
                return self.trouble
            log.info("line %s: opened", self._name)
        return self.trouble

    async def at_last(self) -> None:
        """Return once it is open."""
        while await self.again():
            await self._clock.sleep(max(0.0, (self._again_ns - self._clock.mono_ns()) / 1e9))
