"""The thread that the judges have: what they must do in order, and what becomes of one that does not come back.

A judge runs models, and models are strangers' code. On a thread of its own it may take seconds, or for ever: nothing
else waits. One that is late is left behind on its thread, and the others go on with another. A thread that comes back
says so; one that loops in Python is interrupted after a while; one that hangs in native code costs its stack until the
gateway ends. Native code that never lets go of the interpreter holds up everything: that is the watchdog's.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


class Interrupted(BaseException):
    """Raised within a judge that never comes back; no ``except Exception`` of its own may keep it."""


def _nothing(*_: Any) -> None:
    """Nobody need be told."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One thing to do with the judge of one asset.

    On the event loop ``then`` is called with what ``run`` gave, or ``lost`` where that will never come.
    """

    asset: str
    run: Callable[[], Any]
    then: Callable[[Any], None] = _nothing
    lost: Callable[[], None] = _nothing

    @property
    def is_awaited(self) -> bool:
        """Whether somebody asked for it and waits."""
        return self.lost is not _nothing


class Round:
    """``steps``, one after the other, until one breaks or the round is taken away.

    ``come_back`` is called on the thread that was left behind, once its judge has returned after all.
    """

    def __init__(self, steps: Iterable[Step], come_back: Callable[[], None]) -> None:
        self._steps, self._done = deque(steps), deque[tuple[Step, Any]]()
        self._come_back = come_back
        self._lock = threading.Lock()
        self._at: Step | None = None
        self._taken = False

    @property
    def at(self) -> Step | None:
        """What is being done at this moment."""
        return self._at

    def __call__(self) -> None:
        while (step := self._next()) is not None:
            result = step.run()
            with self._lock:
                if self._taken:
                    break
                self._done.append((step, result))
        else:
            return
        self._come_back()

    def _next(self) -> Step | None:
        with self._lock:
            self._at = None
            if self._taken or not self._steps:
                return None
            self._at = self._steps.popleft()
            return self._at

    def tell(self) -> None:
        """On the event loop: have what was done until now told, in order."""
        while self._done:
            step, result = self._done.popleft()
            step.then(result)

    def take(self) -> deque[Step]:
        """Take it away from its thread: what was not begun. Nothing that is done from now on is told."""
        with self._lock:
            self._taken = True
            left, self._steps = self._steps, deque()
            return left


class JudgesThread:
    """Makes calls in order. A daemon: the gateway ends without waiting for it."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[], None], asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="babbitt.judges", daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], None]) -> asyncio.Future[None]:
        """From the event loop, which gets what it raises."""
        future = asyncio.get_running_loop().create_future()
        self._calls.put((call, future))
        return future

    def end(self) -> None:
        """After what it is in the midst of."""
        self._calls.put(None)

    def interrupt(self) -> bool:
        """Break off what it does in Python, where that is so. False where it has ended."""
        number = self._thread.ident
        if number is None or not self._thread.is_alive():
            return False
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(number), ctypes.py_object(Interrupted))
        return True

    def _run(self) -> None:
        with contextlib.suppress(Interrupted):
            while (asked := self._calls.get()) is not None:
                call, future = asked
                error: BaseException | None = None
                try:
                    call()
                except Exception as broke:  # noqa: BLE001 - it belongs to whoever waits
                    error = broke
                # An event loop that is closed waits for nothing.
                with contextlib.suppress(RuntimeError):
                    future.get_loop().call_soon_threadsafe(_settle, future, error)


def _settle(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
