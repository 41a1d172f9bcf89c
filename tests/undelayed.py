"""Claims in milliseconds are judged by whoever was there in time: a try in which the test itself stood still is none.

What passes has passed. What fails while the test's own process, or a peer that says so, was held up for longer than
the claim bears is tried again; what fails in time fails.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tests.waiting import DEADLINE_S

T = TypeVar("T")

TICK_S = 0.005


class Delays:
    """The ``longest_s`` of one try. Peers and scenes that time themselves tell theirs."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    def tell(self, late_s: float) -> None:
        self.longest_s = max(self.longest_s, late_s)


def undelayed(scene: Callable[[Delays], T], bears_s: float, *, within_s: float = DEADLINE_S) -> T:
    """What ``scene`` gives. It is tried anew where it fails and something was later than ``bears_s``, for ``within_s``
    at most: then its own failure stands."""
    deadline_s = time.monotonic() + within_s
    while True:
        with _watched() as delays:
            try:
                return scene(delays)
            except Exception as error:
                if delays.longest_s <= bears_s or time.monotonic() >= deadline_s:
                    raise
                print(f"{delays.longest_s:.3f} s late, which is no judge of: {error}")


@contextmanager
def _watched() -> Iterator[Delays]:
    """A thread that wakes every ``TICK_S`` and tells how much too late it did."""
    delays, end = Delays(), threading.Event()

    def watch() -> None:
        while True:
            due_s = time.monotonic() + TICK_S
            ended = end.wait(TICK_S)
            delays.tell(time.monotonic() - due_s)
            if ended:
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield delays
    finally:
        end.set()
        thread.join()
