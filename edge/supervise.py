"""Keeps a room running: a broken invariant ends its task, and only its task.

An error that a person must act on (``BabbittError``) is not ours to mend: it goes up and ends the gateway. Anything
else is a programmer's: it is logged whole, counted for the panel and the status, and the room starts again after a
pause that doubles up to half a minute.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from edge.errors import BabbittError
from edge.ports import Clock

PAUSE_S_FIRST = 0.5
PAUSE_S_MAX = 30.0
CALM_S = 60.0

log = logging.getLogger("babbitt.supervise")


async def supervised(room: str, run: Callable[[], Awaitable[None]], clock: Clock, restarts: Counter[str]) -> None:
    """Await ``run()`` again and again until it returns by itself. A minute without trouble forgets the pauses."""
    pause_s = PAUSE_S_FIRST
    while True:
        started_ns = clock.mono_ns()
        try:
            return await run()
        except BabbittError:
            raise
        except Exception:
            restarts[room] += 1
            log.exception("%s broke and starts again in %.1f s (restart %d)", room, pause_s, restarts[room])
        if clock.mono_ns() - started_ns > CALM_S * 1e9:
            pause_s = PAUSE_S_FIRST
        await clock.sleep(pause_s)
        pause_s = min(2 * pause_s, PAUSE_S_MAX)
