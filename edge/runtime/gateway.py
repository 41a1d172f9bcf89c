"""One gateway from its start to its end: which rooms run, in what order they start and stop, and why."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

from edge.config.site import Site
from edge.local_socket import Handler
from edge.runtime.rooms import Rooms
from edge.supervise import supervised
from edge.threads import LookupThreads

log = logging.getLogger("babbitt.gateway")

DRAIN_AT_END_S = 3.0

Run = Callable[[], Awaitable[None]]


class Gateway:
    """``panel_apart``: somebody else runs the panel's process. Raises ``BabbittError`` for what refuses at once."""

    def __init__(self, site: Site, *, panel_apart: bool = False) -> None:
        self.rooms = Rooms(site, panel_apart=panel_apart)

    async def run(self, ready: Callable[[], None] | None, stop: asyncio.Event) -> None:
        """Poll until ``stop``, or until a store that took nothing does; then commit, give the uplink a moment, and end.

        Raises ``BabbittError``.
        """
        try:
            await self._run(ready, stop)
        finally:
            if self.rooms.link is not None:
                await self.rooms.link.close()

    async def _run(self, ready: Callable[[], None] | None, stop: asyncio.Event) -> None:
        rooms, manager = self.rooms, self.rooms.heartbeat.manager
        asyncio.get_running_loop().set_default_executor(LookupThreads())
        rooms.succession.introduce(rooms.site, known={})
        rooms.judging.mark(rooms.judging.judges)
        # Before the first poll: whoever looks at the lamp or asks a server sees that one, too.
        if rooms.panel is not None:
            await rooms.panel.open()
        await rooms.norths.open()
        async with asyncio.TaskGroup() as group:

            def start(name: str, run: Run) -> asyncio.Task[None]:
                return group.create_task(supervised(name, run, rooms.clock, rooms.restarts), name=f"babbitt.{name}")

            watching = [start(name, run) for name, run in self._watching()]
            rooms.norths.serve(start)
            keeping = [start(name, run) for name, run in self._keeping()]
            await _first_of(stop.wait(), rooms.store.back.wait(), rooms.poller.opened.wait())
            if rooms.poller.opened.is_set():
                manager.ready()
                if ready is not None:
                    ready()
            await _first_of(stop.wait(), rooms.store.back.wait())
            if stop.is_set():
                manager.stopping()
            log.info("stopping")
            await self._end(watching, keeping)

    def _watching(self) -> Iterator[tuple[str, Run]]:
        """What makes and changes readings, alarms and verdicts: it ends first, and then nothing new comes."""
        rooms = self.rooms
        yield "clock", rooms.watch.run
        yield "poll", rooms.poller.run
        yield "alarm", rooms.flow.tick
        yield "update", rooms.trials.run
        yield "health", rooms.looking.room.run
        if rooms.panel is not None:
            yield "panel", rooms.panel.run
        if rooms.heartbeat.manager.listens:
            yield "watchdog", rooms.heartbeat.run
        if rooms.commanding.guard is not None:
            yield "command", rooms.commanding.run
        if rooms.judging.judges:
            yield "infer", rooms.judging.run
        # What comes down waits above for who can keep what became of it.
        if rooms.link is not None and rooms.store.is_kept:
            yield "downlink", rooms.downlink.run
        if rooms.judging.judges and rooms.store.is_kept:
            yield "bundles", rooms.bundles.run

    def _keeping(self) -> Iterator[tuple[str, Run]]:
        """What stores, sends and shows what came: it ends last, and so takes what the others leave."""
        rooms = self.rooms
        yield "commit", rooms.disk.run
        if not rooms.store.is_kept:
            yield "store", lambda: rooms.store.run(rooms.disk.call)
        if rooms.uplink is not None:
            yield "uplink", rooms.uplink.run
        if rooms.page is not None:
            yield "page", rooms.page.run

    async def _end(self, watching: list[asyncio.Task[None]], keeping: list[asyncio.Task[None]]) -> None:
        """Nothing new, then what is remembered and judged, then the last commit, then what is still sent in time."""
        rooms = self.rooms
        await _ended(watching)
        await rooms.norths.end()
        rooms.memory.keep(ending=True)
        rooms.commanding.finish()
        await rooms.judging.finish()
        await rooms.disk.finish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_AT_END_S):
                while rooms.uplink is not None and rooms.journal.backlog()[0]:
                    await rooms.clock.sleep(0.05)
        await _ended(keeping)

    def close(self) -> None:
        """Let go of all that is the process's, however ``run`` ended: another gateway may follow in it.

        The panel was told by then that nobody watches any more.
        """
        rooms = self.rooms
        try:
            rooms.journal.close()
        finally:
            rooms.commanding.close()
            rooms.judging.close()
            if rooms.panel is not None:
                rooms.panel.close()
            rooms.heartbeat.manager.close()
            rooms.disk.workers.shutdown()

    def commands(self) -> dict[str, Handler]:
        """What may be asked through its socket."""
        return self.rooms.commands()


async def _first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
