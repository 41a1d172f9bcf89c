"""Asking the cloud what is wanted of this gateway: one who asks, for bundles, commands and all else that comes down.

Nothing is pushed in. It asks at its interval; at once where the receiver's answers to blocks say that something is
new; and oftener where nothing goes up, so that no answer could say so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial

from msgspec.structs import replace

from edge.contract.desired import Desired
from edge.errors import StoreError
from edge.ports import Clock, Desk, LinkDown
from edge.update.seats import Seats

QUIET_S = 10.0
"""After so long without a word of a receiver that was there it is asked. One that was not there is not pressed."""
AHEAD_NS = 3600 * 10**9
"""So far ahead of the gateway's clock a word may be and still make those before it old: else one from the end of time,
of a cloud that is not its owner's any more, would keep out all that its owner ever says again."""
AGAIN_S = 2.0
"""A hint that could not be followed is followed again after so long."""

log = logging.getLogger("babbitt.update")


class Asker:
    """``desired`` is the newest word, None before the first; ``turn`` counts how often it was asked for.

    What was said earlier than what is known is passed over; how far that is outlasts a power cut, before it is acted
    on. ``detail`` says in words what is wrong, and is empty while nothing is.
    """

    def __init__(
        self, seats: Seats, desk: Desk | None, *, clock: Clock, workers: Executor, interval_s: float
    ) -> None:  # fmt: skip
        self.desk, self.desired, self.turn = desk, None, 0
        self.detail = "not asked yet" if desk is not None else "no way to the cloud is configured"
        self._seats, self._clock, self._workers = seats, clock, workers
        self._interval_ns = round(interval_s * 1e9)
        self._asked_ns: int | None = None
        self._issued, self._reached = "", False
        self._answers, self._heard_ns = 0, clock.mono_ns()

    desired: Desired | None

    async def step(self) -> None:
        """Ask, where it is time to."""
        if self.desk is not None and self._is_due(self.desk):
            hint = self.desk.hint().issued
            self._asked_ns = self._clock.mono_ns()
            self._reached = await self._asked(self.desk)
            if self._reached:
                self._issued = hint
            self.turn += 1

    def _is_due(self, desk: Desk) -> bool:
        now_ns, hint = self._clock.mono_ns(), desk.hint()
        if hint.answers != self._answers:
            self._answers, self._heard_ns = hint.answers, now_ns
        if self._asked_ns is None:
            return True
        waited_ns = now_ns - self._asked_ns
        if waited_ns >= self._interval_ns:
            return True
        is_quiet = self._reached and min(now_ns - self._heard_ns, waited_ns) >= QUIET_S * 1e9
        return is_quiet or (hint.issued not in ("", self._issued) and waited_ns >= AGAIN_S * 1e9)

    async def _asked(self, desk: Desk) -> bool:
        """Whether there was an answer that counts."""
        try:
            desired = await desk.desired()
        except LinkDown as down:
            self.detail = f"the cloud was not reached: {down}"
            return False
        self.detail = ""
        if desired is None:
            return True
        known_ns = self._known_ns()
        if desired.issued_ns < known_ns:
            self.detail = "the cloud said something older than before, which is passed over"
            log.warning("downlink: %s", self.detail)
            return True
        latest_ns = self._clock.wall_ns() + AHEAD_NS if self._clock.trusted() else known_ns
        issued_ns = max(known_ns, min(desired.issued_ns, latest_ns))
        try:
            await self._on_disk(partial(self._seats.update, partial(replace, issued_ns=issued_ns)))
        except StoreError as error:
            self.detail = str(error)
            log.error("downlink: %s", error)
            return False
        self.desired = desired
        return True

    def _known_ns(self) -> int:
        """What was said earlier is old; 0 where what is known of that cannot be."""
        known_ns = self._seats.judging.issued_ns
        return 0 if self._clock.trusted() and known_ns > self._clock.wall_ns() + AHEAD_NS else known_ns

    async def _on_disk(self, call: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._workers, call)
