"""Says to people what is to be said: each way to them by itself, so that one that breaks keeps nobody else waiting.

What a way does not take is tried again, under the same id, or given up where that is in vain; then the next is called.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from cloud.notify.channels import Channel, Email, Hook, NotDeliveredError
from cloud.notify.config import Settings
from cloud.notify.outbox import Batch, Outbox
from cloud.notify.routing import Address

END_S = 5.0
HOUR_NS = 3600 * 10**9
RETRY_S_FIRST, RETRY_S_MAX = 15.0, 1800.0
GIVE_UP_NS = 24 * HOUR_NS

log = logging.getLogger("babbitt.notify")

Way = tuple[str, str]
"""A channel, and a hook's name."""


def channels(settings: Settings) -> dict[Way, Channel]:
    """Every channel of the file, by what an ``Address`` says; e-mail stands for all of its addresses.

    Raises ``ConfigError``.
    """
    made: dict[Way, Channel] = {}
    if settings.file.smtp is not None:
        made["email", ""] = Email(settings, settings.file.smtp)
    for hook in settings.file.webhook:
        made["webhook", hook.name] = Hook(settings, hook)
    if settings.file.mqtt is not None:
        from cloud.notify.mqtt import Topics

        made["mqtt", ""] = Topics(settings, settings.file.mqtt)
    return made


class Ways:
    """``changing`` is held while incidents change. Raises ``ConfigError`` where a secret is missing."""

    def __init__(
        self, settings: Settings, outbox: Outbox, *, changing: threading.Lock, now_ns: Callable[[], int]
    ) -> None:  # fmt: skip
        self._file, self._outbox, self._changing, self._now_ns = settings.file, outbox, changing, now_ns
        self.channels = channels(settings)
        self._due = {way: asyncio.Event() for way in self.channels}
        self._failing: set[Address] = set()

    def rooms(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What is to be kept running for each until it is cancelled."""
        return {f"telling people by {' '.join(way).strip()}": partial(self._say_forever, way) for way in self.channels}

    def nudge(self) -> None:
        """Something may be due."""
        for due in self._due.values():
            due.set()

    async def close(self) -> None:
        for channel in self.channels.values():
            await channel.close()

    async def _say_forever(self, way: Way) -> None:
        while True:
            await self._due[way].wait()
            self._due[way].clear()
            await _whole(self._say(way))

    async def say_all(self) -> None:
        """All that is due now."""
        await asyncio.gather(*[self._say(way) for way in self.channels])

    def give_up_lost(self) -> None:
        """What waits for a way that the file does not have any more. Called while incidents may change."""
        for address in self._outbox.due(self._now_ns()):
            if self._way(address) is None and (batch := self._outbox.take(address, self._now_ns())) is not None:
                self._give_up(batch, "the file has no such channel any more")

    async def _say(self, way: Way) -> None:
        """All that is due by one of the ways. Raises what breaks in it, once it was tried to tell everybody else."""
        due = await asyncio.to_thread(self._outbox.due, self._now_ns())
        said = [self._say_to(self.channels[way], one) for one in due if self._way(one) == way]
        for result in await asyncio.gather(*said, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    def _way(self, address: Address) -> Way | None:
        ways = (address.channel, address.to), (address.channel, "")
        return next((way for way in ways if way in self.channels), None)

    async def _say_to(self, channel: Channel, address: Address) -> None:
        now_ns = self._now_ns()
        if channel.gathers and (until_ns := await asyncio.to_thread(self._full, address, now_ns)):
            await asyncio.to_thread(self._outbox.postpone, address, until_ns)
        batch = await asyncio.to_thread(self._begun, address, now_ns)
        if batch is None:
            return
        try:
            await channel.send(batch)
        except NotDeliveredError as error:
            await asyncio.to_thread(self._failed, batch, error)
            return
        if address in self._failing:
            self._failing.discard(address)
            log.info("%s %s is reached again", address.channel, address.to)
        await asyncio.to_thread(self._outbox.sent, batch, self._now_ns())

    def _begun(self, address: Address, now_ns: int) -> Batch | None:
        """What goes out now, noted as such before anything can make it stale: what may be under way is no secret."""
        with self._changing:
            batch = self._outbox.take(address, now_ns)
            if batch is not None:
                pause_s = min(RETRY_S_FIRST * 2**batch.tries, RETRY_S_MAX)
                self._outbox.begin(batch, now_ns + round(pause_s * 1e9))
            return batch

    def _full(self, address: Address, now_ns: int) -> int:
        """Until when ``address`` has had enough messages, 0 where it has not.

        A call about an alarm of high priority waits for others of its kind alone.
        """
        most, since_ns = self._file.per_hour_max, now_ns - HOUR_NS
        sent = self._outbox.sent_since(address, since_ns)
        if len(sent) >= most and self._outbox.is_urgent(address, now_ns):
            sent = self._outbox.sent_since(address, since_ns, urgent=True)
        return sent[-most] + HOUR_NS if len(sent) >= most else 0

    def _failed(self, batch: Batch, error: NotDeliveredError) -> None:
        address = batch.address
        with self._changing:
            if error.for_good or self._now_ns() - batch.made_ns > GIVE_UP_NS:
                self._give_up(batch, str(error))
                return
            self._outbox.failed(batch, str(error))
        if address not in self._failing:
            self._failing.add(address)
            log.warning("%s %s cannot be told, tried again: %s", address.channel, address.to, error)

    def _give_up(self, batch: Batch, why: str) -> None:
        log.error("%s %s is not told, given up: %s", batch.address.channel, batch.address.to, why)
        self._outbox.give_up(batch, why, self._now_ns())


async def _whole(saying: Coroutine[Any, Any, None]) -> None:
    """What is cut at the end may finish: what a channel took and nobody noted is said again otherwise."""
    task = asyncio.ensure_future(saying)
    try:
        await asyncio.shield(task)
    finally:
        await asyncio.wait({task}, timeout=END_S)
        task.cancel()
