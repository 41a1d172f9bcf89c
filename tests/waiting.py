"""Waits for what nobody tells: until it holds, or the deadline says that it never will. No other wait is by sleeping.

The deadline only ends what hangs; it is no claim about speed, so it is long enough for the busiest machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from edge.errors import BabbittError

T = TypeVar("T")

DEADLINE_S = 60.0
PAUSE_S = 0.01

What = str | Callable[[], object]


def nothing() -> None:
    pass


def until(
    holds: Callable[[], T | None], what: What = "", *, within_s: float = DEADLINE_S, pause_s: float = PAUSE_S,
    meanwhile: Callable[[], object] = nothing,
) -> T:  # fmt: skip
    """The first true answer of ``holds``. A ``BabbittError`` means that whoever answers is not up yet.

    ``meanwhile`` is called before each try, such as a process's check that it still runs. Raises ``AssertionError``
    with ``what`` was waited for once ``within_s`` are over.
    """
    deadline_s, last = time.monotonic() + within_s, ""
    while True:
        meanwhile()
        try:
            if found := holds():
                return found
        except BabbittError as error:
            last = str(error)
        assert time.monotonic() < deadline_s, _in_vain(what, last, within_s)
        time.sleep(pause_s)


async def until_async(
    holds: Callable[[], Any], what: What = "", *, within_s: float = DEADLINE_S, pause_s: float = PAUSE_S,
    meanwhile: Callable[[], object] = nothing,
) -> Any:  # fmt: skip
    """As ``until``, amid an event loop that goes on; ``holds`` may answer with something to await."""
    deadline_s, last = time.monotonic() + within_s, ""
    while True:
        meanwhile()
        try:
            found = holds()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return found
        except BabbittError as error:
            last = str(error)
        assert time.monotonic() < deadline_s, _in_vain(what, last, within_s)
        await asyncio.sleep(pause_s)


def _in_vain(what: What, last: str, within_s: float) -> str:
    said = what if isinstance(what, str) else what()
    return f"not within {within_s:g} s: {said or 'what was waited for'}{f' ({last})' if last else ''}"
