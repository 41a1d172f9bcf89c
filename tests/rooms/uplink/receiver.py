"""A receiver that misbehaves on order: a real HTTP server, written against the description of the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from edge.contract.block import peek, unpack_frames

BODY_BYTES_MAX = 4 * 1024 * 1024


@dataclass
class Receiver:
    """``orders`` says what to do with the next requests, one each: ``serve`` once it is empty.

    ``cut`` closes before an answer, ``drop`` stores and closes, ``hang`` waits for us to go, ``busy`` asks for time,
    ``refuse`` will not take the request, ``proxy`` answers like a proxy that knows nothing, ``nonsense`` with 200 and
    no acknowledgement, ``endless`` with a body that does not end, ``other`` for another epoch, ``none`` holds nothing.
    """

    token: str = "secret"  # noqa: S105
    orders: deque[str] = field(default_factory=deque)
    frames_max: int = 4096
    refused: set[int] = field(default_factory=set)
    url: str = ""
    held: dict[int, bytes] = field(default_factory=dict)
    got: list[list[int]] = field(default_factory=list)
    altered: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    connections: int = 0
    at_once: int = 0
    at_once_max: int = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Receiver]:
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            self.connections += 1
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._serve_one(reader, writer):
                    pass
            writer.close()
            tasks.discard(task)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line = (await reader.readline()).decode()
        if not line:
            return False
        headers = {}
        while (header := (await reader.readline()).decode().strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers["content-length"]))
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            return await self._answer(line, headers, body, reader, writer)
        finally:
            self.at_once -= 1

    async def _answer(
        self,
        line: str,
        headers: dict[str, str],
        body: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        assert line == "POST /api/v1/blocks HTTP/1.1\r\n"
        order = self.orders.popleft() if self.orders else "serve"
        self.headers = headers
        if headers["authorization"] != f"Bearer {self.token}":
            return await _say(writer, 401, {"error": "unknown token"})
        frames = unpack_frames(body, frames_max=10_000, frame_bytes_max=BODY_BYTES_MAX)
        seqs = [peek(frame).key.seq for frame in frames]
        self.got.append(seqs)
        if order == "cut":
            return False
        if order == "hang":
            await reader.read()
            return False
        if order == "busy":
            return await _say(writer, 503, {"error": "busy"}, "Retry-After: 7\r\n")
        if order == "proxy":
            writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 6\r\n\r\n<html>")
            return True
        if order == "nonsense":
            return await _say(writer, 200, {"epoch": "short", "through": -1})
        if order == "endless":
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                await writer.drain()
        if order == "refuse" or len(frames) > self.frames_max or (len(seqs) == 1 and seqs[0] in self.refused):
            return await _say(writer, 413, {"error": "too large"})
        if order == "none":
            return await _say(writer, 200, {"epoch": headers["babbitt-epoch"], "through": 0})
        self._store(frames)
        if order == "drop":
            return False
        epoch = "f" * 32 if order == "other" else headers["babbitt-epoch"]
        through = 0
        while through + 1 in self.held:
            through += 1
        also = [seq for seq in seqs if seq > through and seq in self.held]
        refused = [[seq, "cannot be read"] for seq in seqs if seq in self.refused]
        return await _say(writer, 200, {"epoch": epoch, "through": through, "also": also, "refused": refused})

    def _store(self, frames: list[bytes]) -> None:
        for frame in frames:
            seq = peek(frame).key.seq
            if seq in self.refused:
                continue
            if self.held.setdefault(seq, frame) != frame:
                self.altered.append(seq)


async def _say(writer: asyncio.StreamWriter, status: int, answer: object, more: str = "") -> bool:
    body = json.dumps(answer).encode()
    writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body)
    await writer.drain()
    return True
