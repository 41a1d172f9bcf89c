"""A Modbus device that misbehaves on demand, over TCP or on a pty. Its framing is its own, not the drivers'.

A ``Misdeed`` turns one question into what the device does about it: a list of acts, each a pause and then bytes, or
``HANG_UP``. Silence is the empty list. A pause may be ``GIVEN_UP``: then who asked is certainly no longer waiting,
however much time either side had.
"""

from __future__ import annotations

import asyncio
import math
import os
import pty
import socket
import struct
import tty
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from tests.peers.image import Image

HANG_UP = b"hang up"
GIVEN_UP = math.inf
"""The pause until the next question comes, or until ``Hostile.let_go``."""

Send = Callable[[bytes], None]


@dataclass(frozen=True)
class Asked:
    """One question with the honest reply's PDU, and how this carrier frames a PDU."""

    unit: int
    transaction: int
    pdu: bytes
    honest: bytes
    serial: bool

    @property
    def function(self) -> int:
        return self.pdu[0]

    @property
    def address(self) -> int:
        """Of whatever is read or written."""
        return int.from_bytes(self.pdu[1:3], "big")

    @property
    def count(self) -> int:
        return int.from_bytes(self.pdu[3:5], "big")

    def frame(self, pdu: bytes | None = None, *, unit: int | None = None, transaction: int | None = None) -> bytes:
        pdu = self.honest if pdu is None else pdu
        unit = self.unit if unit is None else unit
        if self.serial:
            body = bytes((unit,)) + pdu
            return body + slow_crc(body)
        number = self.transaction if transaction is None else transaction
        return struct.pack(">HHHB", number & 0xFFFF, 0, len(pdu) + 1, unit) + pdu


Act = tuple[float, bytes]
Misdeed = Callable[[Asked], list[Act]]


def honest(asked: Asked) -> list[Act]:
    return [(0.0, asked.frame())]


def silent(asked: Asked) -> list[Act]:
    return []


def sends(data: bytes) -> Misdeed:
    return lambda asked: [(0.0, data)]


def slow_crc(data: bytes) -> bytes:
    """The CRC bit by bit, as the standard's text describes it."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            lowest, crc = crc & 1, crc >> 1
            crc ^= 0xA001 if lowest else 0
    return struct.pack("<H", crc)


@dataclass
class Hostile:
    """``misdeed`` answers the next questions; ``script`` is used up first. ``asked`` is what came, in order."""

    image: Image
    misdeed: Misdeed = honest
    script: list[Misdeed] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    device: str = ""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _last: asyncio.Task[None] | None = None
    _given_up: asyncio.Event = field(default_factory=asyncio.Event)

    def acts(self, unit: int, transaction: int, pdu: bytes, *, serial: bool) -> list[Act]:
        asked = Asked(unit, transaction, pdu, self.image.answer(pdu), serial)
        self.asked.append(asked)
        self.let_go()
        return (self.script.pop(0) if self.script else self.misdeed)(asked)

    def let_go(self) -> None:
        """Whoever asked until now has given up: what was kept for then is sent."""
        self._given_up.set()
        self._given_up = asyncio.Event()

    def perform(self, acts: list[Act], send: Send) -> None:
        """Do it in the background, and never before what an earlier question still gets: a device answers in order."""
        before, given_up = self._last, self._given_up

        async def act() -> None:
            if before is not None:
                await asyncio.wait([before])
            for pause_s, data in acts:
                if pause_s == GIVEN_UP:
                    await given_up.wait()
                elif pause_s:
                    await asyncio.sleep(pause_s)
                send(data)

        task = asyncio.get_running_loop().create_task(act())
        self._last = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def over_tcp(hostile: Hostile) -> AbstractAsyncContextManager[Hostile]:
    """Modbus TCP."""

    async def listen(reader: asyncio.StreamReader, send: Send) -> None:
        while True:
            transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
            pdu = await reader.readexactly(length - 1)
            hostile.perform(hostile.acts(unit, transaction, pdu, serial=False), send)

    return _served(hostile, listen)


def as_device_server(hostile: Hostile) -> AbstractAsyncContextManager[Hostile]:
    """A serial device server: RTU frames over TCP."""

    async def listen(reader: asyncio.StreamReader, send: Send) -> None:
        rest = bytearray()
        while data := await reader.read(4096):
            rest.extend(data)
            for frame in _frames(rest):
                hostile.perform(hostile.acts(frame[0], 0, frame[1:-2], serial=True), send)

    return _served(hostile, listen)


@asynccontextmanager
async def _served(
    hostile: Hostile, listen: Callable[[asyncio.StreamReader, Send], Awaitable[None]]
) -> AsyncIterator[Hostile]:
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hostile.connections += 1
        writers.add(writer)

        def send(data: bytes) -> None:
            if data is HANG_UP:
                # A reset, not an orderly end.
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            elif not writer.is_closing():
                writer.write(data)

        try:
            await listen(reader, send)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", hostile.port)
    hostile.port = server.sockets[0].getsockname()[1]
    try:
        yield hostile
    finally:
        server.close()
        await hostile.stop()
        for writer in list(writers):
            writer.transport.abort()
        await asyncio.sleep(0)
        await server.wait_closed()


@asynccontextmanager
async def on_pty(hostile: Hostile) -> AsyncIterator[Hostile]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    hostile.device = os.ttyname(slave)
    loop = asyncio.get_running_loop()
    rest = bytearray()

    def readable() -> None:
        rest.extend(os.read(master, 4096))
        for frame in _frames(rest):
            hostile.perform(hostile.acts(frame[0], 0, frame[1:-2], serial=True), lambda data: _put(master, data))

    loop.add_reader(master, readable)
    try:
        yield hostile
    finally:
        loop.remove_reader(master)
        await hostile.stop()
        os.close(master)
        os.close(slave)


def _frames(rest: bytearray) -> list[bytes]:
    """The whole RTU requests at the beginning of ``rest``, taken out of it."""
    frames = []
    while len(rest) >= 4:
        counted = {15: 6, 16: 6, 23: 10}.get(rest[1])
        if counted is not None and len(rest) <= counted:
            break
        length = {43: 7}.get(rest[1], 8) if counted is None else counted + 1 + rest[counted] + 2
        if len(rest) < length:
            break
        frame, rest[:length] = bytes(rest[:length]), b""
        assert slow_crc(frame[:-2]) == frame[-2:], "the driver's own frames are right"
        frames.append(frame)
    return frames


def _put(fd: int, data: bytes) -> None:
    assert os.write(fd, data) == len(data)
