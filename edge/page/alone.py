"""One page a gateway: who serves already, who makes room for whom, and when one that was left over ends.

The page answers at ``page.sock`` beside the gateway's own socket. One that a gateway started and that outlives it (the
gateway was killed) goes on for ``ORPHAN_S`` to say that nobody watches, and makes room for the next. One that runs by
itself, as a unit of systemd, stays, and a gateway starts none beside it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.errors import BabbittError
from edge.local_socket import answering, asked, is_alive
from edge.page.serving import Serving

SERVED_CODE = 10
"""The exit code of one that is not needed: another serves, and stays."""
ORPHAN_S = 600.0
LOOK_EVERY_S = 2.0
MAKES_ROOM_WITHIN_S, LOOK_ROOM_S = 5.0, 0.05

log = logging.getLogger("babbitt.page")


async def alone(path: Path, serving: Serving, *, beside: int | None) -> int:
    """Serve, unless another page does that stays; the exit code. ``beside`` is the gateway's process that started it,
    which may have gone by now; None where it runs by itself. Raises ``BabbittError`` where it cannot.
    """
    if is_alive(path):
        told = await asked(path, "status")
        if not told["beside"] and beside is not None:
            log.info("another page serves already, by itself")
            return SERVED_CODE
        if not told["left_over"]:
            raise BabbittError(str(path), f"process {told['pid']} serves this page already", "stop that one first")
        await _makes_room(path)

    def left_over() -> bool:
        return beside is not None and os.getppid() != beside

    def status() -> dict[str, Any]:
        return {"pid": os.getpid(), "beside": beside is not None, "left_over": left_over(), **serving.status()}

    async with answering(path, {"status": status, "end": serving.end}):
        watching = asyncio.create_task(_ends_if_left_over(left_over, serving))
        try:
            await serving.run()
        finally:
            watching.cancel()
    return 0


async def _ends_if_left_over(left_over: Callable[[], bool], serving: Serving) -> None:
    alone_s = 0.0
    while alone_s < ORPHAN_S:
        await asyncio.sleep(LOOK_EVERY_S)
        alone_s = alone_s + LOOK_EVERY_S if left_over() else 0.0
    log.warning("no gateway has come back for %.0f s: the page ends", ORPHAN_S)
    serving.end()


async def _makes_room(path: Path) -> None:
    """A page that was left over ends when it is told to."""
    await asked(path, "end")
    for _ in range(int(MAKES_ROOM_WITHIN_S / LOOK_ROOM_S)):
        if not is_alive(path):
            return
        await asyncio.sleep(LOOK_ROOM_S)
    raise BabbittError(str(path), "a page that was left over does not end", "end its process")
