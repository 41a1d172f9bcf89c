"""The cable between gateway and cloud: a TCP relay that can be cut and mended. Cut means cut: open connections die."""

from __future__ import annotations

import asyncio
import contextlib

CHUNK_BYTES = 65536


class Relay:
    """Forwards 127.0.0.1:``port`` to ``target_port`` while the cable is whole."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.whole = True
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        self.whole = False
        for writer in list(self._open):
            writer.transport.abort()

    def mend(self) -> None:
        self.whole = True

    async def stop(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.whole:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError):
                out_reader, out_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
                self._open.add(out_writer)
                try:
                    await asyncio.gather(_pump(reader, out_writer), _pump(out_reader, writer))
                finally:
                    self._open.discard(out_writer)
                    out_writer.close()
        finally:
            self._open.discard(writer)
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
