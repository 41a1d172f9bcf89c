"""The room: looks every few seconds, judges what it sees, and hands on what it finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from edge.health.hour import Hour
from edge.health.rules import Bounds, findings
from edge.health.snapshot import Snapshot
from edge.ports import Clock, Finding


class HealthRoom:
    """``look`` takes a snapshot, ``tell`` is given everything that was found in it, what holds and what does not."""

    def __init__(
        self, bounds: Bounds, *, clock: Clock, look: Callable[[], Awaitable[Snapshot]],
        tell: Callable[[list[Finding]], None],
    ) -> None:  # fmt: skip
        self._bounds, self._clock, self._look, self._tell = bounds, clock, look, tell
        self._counts, self._restarts = Hour(), Hour()
        self._active: set[str] = set()
        self.now: Snapshot | None = None
        self.found: list[Finding] = []

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.judge(await self._look())
            await self._clock.sleep(self._bounds.health.interval_s)

    def judge(self, now: Snapshot) -> None:
        grown = self._counts.take(now.counts, now.mono_ns)
        restarted = self._restarts.take(now.restarts, now.mono_ns)
        found = list(findings(now, grown, restarted, self._bounds, self._active))
        self._active = {one.rule for one in found if one.holds or (one.holds is None and one.rule in self._active)}
        self.now, self.found = now, found
        self._tell(found)
