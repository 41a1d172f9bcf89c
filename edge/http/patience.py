"""HTTP for peers that do not keep up: whoever holds a place for nothing loses it.

A place is a connection, and there are a limited number. A peer must have sent the whole head of a request some time
after it connected, or after the answer before; and it must go on reading what it asked for, however slowly. How long a
body may take is the receiver's own limit.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import termios
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from edge.http.framing import OneLength

HEAD_TIMEOUT_S = 30.0
READ_TIMEOUT_S = 30.0


class PatientProtocol(H11Protocol):
    """uvicorn's protocol with the two deadlines, and for requests of ``OneLength`` alone."""

    head_timeout_s, read_timeout_s = HEAD_TIMEOUT_S, READ_TIMEOUT_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = OneLength(self.app)
        self._head_late: asyncio.TimerHandle | None = None
        self._read_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        _ended(self._head_late)
        _ended(self._read_late)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_answering:
            _ended(self._head_late)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # A request that stood in line may be in hand by now.
        if not self._is_answering and not self.transport.is_closing():
            self._await_head()

    def pause_writing(self) -> None:
        """More waits for the peer than a buffer should hold."""
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        _ended(self._read_late)
        super().resume_writing()

    def _await_reading(self) -> None:
        _ended(self._read_late)
        self._read_late = self.loop.call_later(self.read_timeout_s, self._check_reading, self._unread())

    def _check_reading(self, before: int) -> None:
        if self._unread() < before:
            self._await_reading()
        else:
            self.transport.abort()

    def _unread(self) -> int:
        """Bytes that the peer has not taken. Those that wait here alone do not tell: of megabytes that the kernel holds
        a third must be taken before it wants more."""
        connection = self.transport.get_extra_info("socket")
        held = array.array("i", [0])
        with contextlib.suppress(OSError):  # Other systems do not tell it of sockets.
            if connection is not None and connection.fileno() >= 0:
                fcntl.ioctl(connection, termios.TIOCOUTQ, held)
        return self.transport.get_write_buffer_size() + held[0]

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        _ended(self._head_late)
        self._head_late = self.loop.call_later(self.head_timeout_s, self.transport.abort)


def _ended(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
