"""A serial device on a pty or behind a device server's raw socket: speaks at a wire's pace, answers, and misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import socket
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import free_port

Reply = Callable[[bytes], list[tuple[float, bytes]]]
"""What a request gets: bytes, each after a pause in seconds."""


@dataclass
class SerialDevice:
    """Requests end with ``end``; ``reply`` answers them. ``baud`` is the pace of what it says, 0 for none."""

    reply: Reply = lambda request: []
    end: bytes = b"\r\n"
    baud: int = 0
    asked: list[bytes] = field(default_factory=list)
    write: Callable[[bytes], None] = lambda data: None
    _heard: bytearray = field(default_factory=bytearray)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def hear(self, data: bytes) -> None:
        self._heard += data
        while self.end in self._heard:
            at = self._heard.index(self.end) + len(self.end)
            request = bytes(self._heard[:at])
            del self._heard[:at]
            self.asked.append(request)
            task = asyncio.get_running_loop().create_task(self._perform(self.reply(request)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _perform(self, acts: list[tuple[float, bytes]]) -> None:
        for pause_s, data in acts:
            await asyncio.sleep(pause_s)
            await self.say(data)

    async def say(self, data: bytes) -> None:
        """Send ``data`` as fast as the wire carries it: ten bits a character."""
        if not self.baud:
            self.write(data)
            return
        for i in range(0, len(data), 8):
            self.write(data[i : i + 8])
            await asyncio.sleep(10 * len(data[i : i + 8]) / self.baud)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def plugged_in(device: SerialDevice, path: Path) -> AsyncIterator[SerialDevice]:
    """``path`` is the device while it lasts; afterwards it is gone, and whoever has it open hears a hang-up."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    path.symlink_to(os.ttyname(slave))  # noqa: ASYNC240
    loop = asyncio.get_running_loop()

    def readable() -> None:
        with contextlib.suppress(OSError):
            device.hear(os.read(master, 4096))

    def write(data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(master, data)

    device.write = write
    loop.add_reader(master, readable)
    try:
        yield device
    finally:
        device.write = lambda data: None
        await device.stop()
        loop.remove_reader(master)
        path.unlink()  # noqa: ASYNC240
        os.close(slave)
        os.close(master)


@asynccontextmanager
async def behind_a_server(device: SerialDevice, port: int) -> AsyncIterator[int]:
    """A device server's raw socket at ``port`` (0: any), which is given."""
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        device.write = writer.write
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                device.hear(data)
        writers.discard(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await device.stop()
        server.close()
        for writer in list(writers):
            writer.transport.abort()
        await server.wait_closed()


class Speaker:
    """A device server in a thread: what is said goes to whoever is connected, and waits a moment for somebody."""

    def __init__(self) -> None:
        self.port = free_port()
        self._listening: socket.socket | None = None
        self._connected: socket.socket | None = None

    def start(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._listening.settimeout(60.0)

    def say(self, data: bytes) -> None:
        assert self._listening is not None
        if self._connected is None:
            self._connected, _ = self._listening.accept()
        self._connected.sendall(data)

    def stop(self) -> None:
        for one in (self._connected, self._listening):
            if one is not None:
                one.close()
        self._connected = self._listening = None
