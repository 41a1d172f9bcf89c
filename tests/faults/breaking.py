"""The real gateway, in which a room's task breaks and judges hang where files say so.

    python -m tests.faults.breaking FOLDER site.toml info

``FOLDER/break-ROOM`` breaks the task of that room once, by an exception in its midst; while ``FOLDER/judges-hang`` is
there, whatever is given to a judge hangs, outside of the interpreter.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from edge import supervise
from edge.contract.types import Batch
from edge.gateway import main
from edge.ports import Clock
from edge.runtime import gateway

LOOK_S = 0.02


class Injected(AssertionError):
    """What a broken invariant is."""


def breakable(folder: Path) -> Callable[..., Awaitable[None]]:
    async def supervised(room: str, run: Callable[[], Awaitable[None]], clock: Clock, restarts: Counter[str]) -> None:
        async def until_broken() -> None:
            running = asyncio.ensure_future(run())
            try:
                while not running.done():
                    await asyncio.wait({running}, timeout=LOOK_S)
                    if (folder / f"break-{room}").exists():
                        (folder / f"break-{room}").unlink(missing_ok=True)
                        raise Injected(f"{room} was broken")
                await running
            finally:
                running.cancel()
                await asyncio.wait({running})

        await supervise.supervised(room, until_broken, clock, restarts)

    return supervised


def hanging(folder: Path) -> None:
    from edge.infer import Judge

    observe = Judge.observe

    def hangs(self: Judge, batch: Batch) -> None:
        while (folder / "judges-hang").exists():
            time.sleep(0.05)
        observe(self, batch)

    Judge.observe = hangs  # type: ignore[method-assign]


if __name__ == "__main__":
    FOLDER = Path(sys.argv.pop(1))
    gateway.supervised = breakable(FOLDER)  # type: ignore[attr-defined, assignment]
    hanging(FOLDER)
    sys.exit(main())
