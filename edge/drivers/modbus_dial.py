"""The one TCP connection of a line: made when it is needed, made anew after a growing pause when it is lost."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Generic, TypeVar

from edge.drivers.backoff import Backoff
from edge.drivers.deadline import HeardWithin
from edge.ports import Clock

RECONNECT_FIRST_S = 0.1
RECONNECT_MAX_S = 5.0
SILENCES_MAX = 5
"""After so many unanswered questions in a row the connection may be dead on the other side, and is made anew."""


class Connection(asyncio.Protocol):
    """One TCP connection. ``lost`` is why it is no longer usable, or empty."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.lost = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.lose(words(exc) if isinstance(exc, OSError) else "closed by the other side")

    def lose(self, why: str) -> None:
        """It is unusable from now on, for the first reason that is given."""
        self.lost = self.lost or why
        if self.transport is not None:
            self.transport.abort()


C = TypeVar("C", bound=Connection)


class Dial(Generic[C]):
    """Connects to ``host`` and ``port`` by ``connections`` that ``make`` gives."""

    def __init__(self, host: str, port: int, timeout_ms: int, clock: Clock, make: Callable[[], C]) -> None:
        self._host, self._port, self._timeout_ms = host, port, timeout_ms
        self._make = make
        self._backoff = Backoff(clock, RECONNECT_FIRST_S, RECONNECT_MAX_S)
        self._connection: C | None = None
        self._silences = 0
        self.connections = 0

    async def connection(self) -> C | str:
        """The connection, made if need be and if the last failure is not too fresh; else the trouble in words."""
        if self._connection is not None and not self._connection.lost:
            return self._connection
        self.hang_up()
        if not self._backoff.allows():
            return self._backoff.trouble
        loop = asyncio.get_running_loop()
        try:
            async with HeardWithin(self._timeout_ms / 1000):
                _, self._connection = await loop.create_connection(self._make, self._host, self._port)
        except TimeoutError:
            return self._backoff.failed(f"no connection within {self._timeout_ms} ms")
        except OSError as error:
            return self._backoff.failed(f"no connection: {words(error)}")
        self.connections += 1
        # Only an answer clears the back-off: a peer that accepts and hangs up at once must not be hammered.
        self._backoff.failed("connection lost")
        return self._connection

    def answered(self) -> None:
        self._silences = 0
        self._backoff.succeeded()

    def unanswered(self) -> None:
        self._silences += 1
        if self._silences >= SILENCES_MAX:
            self.hang_up()

    def hang_up(self) -> None:
        self._silences = 0
        if self._connection is not None:
            self._connection.lose("hung up")
            self._connection = None


def words(error: OSError) -> str:
    # asyncio says "Connect call failed ('10.0.0.7', 502)" of whatever the system had said.
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error) or type(error).__name__).lower()
