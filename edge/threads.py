"""Threads for name lookups, which the operating system may hold for half a minute and nobody can cancel.

With the cable cut every lookup hangs. Each therefore has a thread of its own that neither the disk nor another lookup
waits for, nor the program's end. Their number is bounded: beyond it a lookup fails like any other that finds nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

LOOKUPS_MAX = 16

P = ParamSpec("P")
T = TypeVar("T")


class LookupThreads(ThreadPoolExecutor):
    """An event loop's default executor (asyncio wants a ``ThreadPoolExecutor``); it ends without waiting."""

    def __init__(self, at_once_max: int = LOOKUPS_MAX) -> None:
        super().__init__(max_workers=1)
        self._free = threading.BoundedSemaphore(at_once_max)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``fn`` in a daemon thread. The future fails with ``OSError`` where too many hang already."""
        future: Future[T] = Future()

        def work() -> None:
            try:
                if future.set_running_or_notify_cancel():
                    _settle(future, lambda: fn(*args, **kwargs))
            finally:
                self._free.release()

        if self._free.acquire(blocking=False):
            threading.Thread(target=work, name="babbitt.lookup", daemon=True).start()
        else:
            future.set_exception(OSError("too many name lookups hang"))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing is waited for: what hangs ends with the process."""


def _settle(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except Exception as error:  # noqa: BLE001 It belongs to whoever waits for the future.
        future.set_exception(error)
