"""Runs a gateway until a signal ends it, and again where its store broke on the way, or can be written again."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import sys
import time
from collections.abc import Callable

from edge.config.site import Site
from edge.errors import BabbittError, BrokenStoreError
from edge.local_socket import answering
from edge.runtime.gateway import Gateway

log = logging.getLogger("babbitt.gateway")

SWITCH_S = 0.001
"""How long the judges' thread may compute while the event loop waits for the interpreter; Python's own is 5 ms."""
BREAKS_APART_S_MIN = 60.0
"""Stores that break in shorter time than that are the disk's: a person must act."""


async def run(site: Site, *, ready: Callable[[], None] | None = None, panel_apart: bool = False) -> None:
    """Run the gateway of ``site`` until SIGINT or SIGTERM. Raises ``BabbittError`` where a person must act first.

    A store that breaks on the way was set aside: the gateway starts anew by itself, unless it was to end, or its disk
    breaks every one. It does so too once a disk that took nothing at the start takes a store. ``panel_apart``: somebody
    else runs the panel's process.
    """
    broken_s = -math.inf
    sys.setswitchinterval(SWITCH_S)
    stop = _stopped_by_signal()
    running = [site]
    while True:
        try:
            await _run_once(running, ready, stop, panel_apart=panel_apart)
            if stop.is_set():
                return
            log.warning("starting again: the store can be written")
        except BrokenStoreError as error:
            now_s = time.monotonic()
            if stop.is_set() or now_s - broken_s < BREAKS_APART_S_MIN:
                raise
            broken_s = now_s
            log.error("starting again with a new store: %s", error)


def _stopped_by_signal() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM, whichever store is open by then, or none."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _run_once(
    running: list[Site], ready: Callable[[], None] | None, stop: asyncio.Event, *, panel_apart: bool
) -> None:
    """Run the last of ``running``; what is kept while it runs follows it there."""
    site = running[-1]
    gateway = Gateway(site, panel_apart=panel_apart)
    try:
        async with answering(site.resolve(site.file.gateway.data_dir) / "gateway.sock", gateway.commands()):
            await gateway.run(ready, stop)
    except* BabbittError as errors:
        raise _first(errors) from None
    finally:
        running.append(gateway.rooms.trials.kept)
        gateway.close()


def _first(errors: BaseExceptionGroup[BabbittError]) -> BabbittError:
    """Of errors that came up through task groups the first: a person mends one at a time."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
