"""A serial device, or a device server's raw socket, kept open: what is unplugged is opened again with growing pauses.

What arrives is handed on in pieces of ``PIECE_BYTES_MAX`` at most, and no faster than the fastest serial line speaks:
a peer that floods a socket costs no more than one that floods a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import termios
from collections.abc import Callable

from edge.config.lines import Serial, SerialStream, SerialTcp, SerialTcpStream
from edge.drivers.backoff import Backoff
from edge.drivers.tty import cannot_open, open_tty
from edge.ports import Clock

SerialLine = Serial | SerialStream | SerialTcp | SerialTcpStream
Hear = Callable[[bytes], None]

REOPEN_FIRST_S, REOPEN_MAX_S = 0.25, 5.0
CONNECT_S = 5.0
PIECE_BYTES_MAX = 1024
FASTEST_BYTES_S = 100_000
"""A serial line of 921,600 baud carries 92,160 bytes a second."""
UNSENT_BYTES_MAX = 4096
_KEEP_ALIVE = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
"""A device server that lost its power says nothing: after 25 s the connection counts as lost."""


class SerialPort:
    """One line's device. ``trouble`` says why it cannot be used, and is empty while it can."""

    def __init__(self, line: SerialLine, hear: Hear, clock: Clock) -> None:
        self._line = line
        self._hear = hear
        self._clock = clock
        self._backoff = Backoff(clock, REOPEN_FIRST_S, REOPEN_MAX_S)
        self._opened: _Tty | _Socket | None = None
        self._trouble = "not connected yet"

    @property
    def trouble(self) -> str:
        return self._opened.lost if self._opened is not None else self._trouble

    async def open(self) -> None:
        """Raises ``LineError`` for a device that a person must plug in or free.

        A socket is tried later: a device server that is switched off is trouble on the line.
        """
        if isinstance(self._line, Serial | SerialStream):
            try:
                self._opened = _Tty(self._line, self._arrived)
            except (OSError, termios.error) as error:
                raise cannot_open(self._line.device, error) from error

    async def ready(self) -> str:
        """Open again what was lost, unless the last attempt is too fresh; the trouble, empty where there is none."""
        if not self.trouble:
            return ""
        if self._opened is not None:
            self._trouble = self._opened.lost
            self._opened.close()
            self._opened = None
        if not self._backoff.allows():
            return self._trouble
        try:
            self._opened = await self._open_once()
        except TimeoutError:
            self._trouble = self._backoff.failed(f"no connection within {CONNECT_S:g} s")
        except (OSError, termios.error) as error:
            self._trouble = self._backoff.failed(self._words(error))
        else:
            # Only bytes clear the back-off: what opens and is lost at once must not be hammered.
            self._backoff.failed("")
        return self.trouble

    async def lost(self) -> None:
        """Wait until it cannot be used any more."""
        if self._opened is not None:
            await self._opened.ended.wait()

    def send(self, data: bytes) -> None:
        assert self._opened is not None
        self._opened.send(data)

    async def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        self._trouble = "closed"

    async def _open_once(self) -> _Tty | _Socket:
        if isinstance(self._line, Serial | SerialStream):
            return _Tty(self._line, self._arrived)
        opened = _Socket(self._arrived)
        async with asyncio.timeout(CONNECT_S):
            await asyncio.get_running_loop().create_connection(lambda: opened, self._line.host, self._line.port)
        return opened

    def _arrived(self, data: bytes) -> None:
        self._backoff.succeeded()
        self._hear(data)

    def _words(self, error: Exception) -> str:
        if isinstance(self._line, Serial | SerialStream):
            return f"serial device lost; {cannot_open(self._line.device, error)}"
        reason = getattr(error, "strerror", None) or str(error.args[-1] if error.args else error)
        return f"no connection: {reason.lower()}"


class _Tty:
    """An open serial device. Raises ``OSError`` or ``termios.error`` where it cannot be opened or set."""

    def __init__(self, line: Serial | SerialStream, hear: Hear) -> None:
        self._hear = hear
        self._serial = open_tty(
            line.device, baud=line.baud, bits=line.bits, parity=line.parity, stop_bits=line.stop_bits
        )
        self._fd = self._serial.fileno()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._readable)
        self.ended = asyncio.Event()
        self.lost = ""

    def send(self, data: bytes) -> None:
        try:
            taken = os.write(self._fd, data)
        except BlockingIOError:
            taken = 0
        except OSError as error:
            self._lose(error)
            return
        if taken < len(data):
            # Half a request would be read as the head of the next one.
            with contextlib.suppress(OSError, termios.error):
                self._serial.reset_output_buffer()

    def close(self) -> None:
        self.lost = self.lost or "closed"
        self.ended.set()
        if self._serial.is_open:
            self._loop.remove_reader(self._fd)
            with contextlib.suppress(OSError, termios.error):
                self._serial.close()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, PIECE_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if data:
            self._hear(data)
        else:
            self._lose(OSError("hung up"))

    def _lose(self, error: OSError) -> None:
        self.lost = f"serial device lost: {(error.strerror or str(error)).lower()}"
        self.close()


class _Socket(asyncio.BufferedProtocol):
    """A connection to a device server's raw socket."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._buffer = bytearray(PIECE_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        self.ended = asyncio.Event()
        self.lost = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._hear(bytes(self._buffer[:nbytes]))
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(nbytes / FASTEST_BYTES_S, self._resume)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(str(getattr(exc, "strerror", None) or "closed by the other side").lower())

    def send(self, data: bytes) -> None:
        assert self._transport is not None
        if self._transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self._lose("it takes no more bytes")
            return
        self._transport.write(data)

    def close(self) -> None:
        self._lose("closed")

    def _lose(self, reason: str) -> None:
        self.lost = self.lost or f"connection lost: {reason}"
        self.ended.set()
        if self._transport is not None:
            self._transport.abort()

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
