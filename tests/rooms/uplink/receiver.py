"""A receiver that misbehaves on order: a real HTTP server, written against the description of the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from edge.contract.block import is_dictionary, open_dictionary, peek, unpack_frames

BODY_BYTES_MAX = 4 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """What came in one body; ``dictionaries`` by digest."""

    lane: str
    oldest: int
    seqs: tuple[int, ...]
    size: int
    dictionaries: tuple[bytes, ...]


@dataclass
class Receiver:
    """``orders`` says what to do with the next requests, one each: ``serve`` once it is empty.

    ``cut`` closes before an answer, ``drop`` stores and closes, ``hang`` waits for us to go, ``busy`` asks for time,
    ``many`` says that there were too many, ``refuse`` will not take the request, ``proxy`` answers like a proxy that
    knows nothing, ``nonsense`` with 200 and no acknowledgement, ``endless`` with a body that does not end, ``other``
    for another epoch, ``none`` holds nothing, ``want`` asks for
    dictionaries that nobody has.

    ``held_back`` are orders for the backlog lane alone; ``free`` stops that lane's answers while it is not set, and
    ``seconds_per_kb`` makes the receiver slow.
    """

    token: str = "secret"  # noqa: S105
    orders: deque[str] = field(default_factory=deque)
    held_back: deque[str] = field(default_factory=deque)
    free: asyncio.Event = field(default_factory=asyncio.Event)
    seconds_per_kb: float = 0.0
    frames_max: int = 4096
    refused: set[int] = field(default_factory=set)
    forgetful: int = 0
    """How many more requests find that their dictionaries were lost."""
    url: str = ""
    held: dict[int, bytes] = field(default_factory=dict)
    dictionaries: dict[bytes, bytes] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    duplicates: int = 0
    altered: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    connections: int = 0
    at_once: Counter[str] = field(default_factory=Counter)
    at_once_max: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.free.set()

    @property
    def got(self) -> list[list[int]]:
        """The numbers in each request that came, in order."""
        return [list(request.seqs) for request in self.requests]

    def got_on(self, lane: str) -> list[Request]:
        return [request for request in self.requests if request.lane == lane]

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Receiver]:
        tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            tasks[asyncio.create_task(self._serve(reader, writer))] = writer

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task, writer in tasks.items():
                task.cancel()
                writer.transport.abort()  # What the other end did not read would keep it open.
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._serve_one(reader, writer):
                pass
        writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line = (await reader.readline()).decode()
        if not line:
            return False
        assert line == "POST /api/v1/blocks HTTP/1.1\r\n"
        headers = {}
        while (header := (await reader.readline()).decode().strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers["content-length"]))
        lane = headers["babbitt-lane"]
        self.at_once[lane] += 1
        self.at_once_max[lane] = max(self.at_once_max[lane], self.at_once[lane])
        try:
            return await self._answer(lane, headers, body, reader, writer)
        finally:
            self.at_once[lane] -= 1

    async def _answer(
        self,
        lane: str,
        headers: dict[str, str],
        body: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        orders = self.held_back if lane == "backlog" and self.held_back else self.orders
        order = orders.popleft() if orders else "serve"
        self.headers = headers
        if headers["authorization"] != f"Bearer {self.token}":
            return await _say(writer, 401, {"error": "unknown token"})
        frames = unpack_frames(body, frames_max=10_000, frame_bytes_max=BODY_BYTES_MAX)
        told = {open_dictionary(frame).digest: frame for frame in frames if is_dictionary(frame)}
        blocks = {peek(frame).key.seq: frame for frame in frames if not is_dictionary(frame)}
        seqs, oldest = list(blocks), int(headers["babbitt-oldest"])
        self.requests.append(Request(lane, oldest, tuple(seqs), len(body), tuple(told)))
        if lane == "backlog":
            await self.free.wait()
        if order == "cut":
            return False
        if order == "hang":
            await reader.read()
            return False
        if order in ("busy", "many"):
            return await _say(writer, 503 if order == "busy" else 429, {"error": "busy"}, "Retry-After: 7\r\n")
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
        if order == "refuse" or len(blocks) > self.frames_max or (len(seqs) == 1 and seqs[0] in self.refused):
            return await _say(writer, 413, {"error": "too large"})
        if order == "none":
            return await _say(writer, 200, {"epoch": headers["babbitt-epoch"], "through": 0})
        if order == "want":
            wants = [peek(data).digest.hex() for data in blocks.values()]
            return await _say(writer, 200, {"epoch": headers["babbitt-epoch"], "through": 0, "wants": wants})
        wants = self._store(blocks, told)
        await asyncio.sleep(self.seconds_per_kb * len(body) / 1024)
        if order == "drop":
            return False
        epoch = "f" * 32 if order == "other" else headers["babbitt-epoch"]
        through = oldest - 1
        while through + 1 in self.held:
            through += 1
        also = [seq for seq in seqs if seq > through and seq in self.held]
        refused = [[seq, "cannot be read"] for seq in seqs if seq in self.refused]
        answer = {"epoch": epoch, "through": through, "also": also, "refused": refused, "wants": wants}
        return await _say(writer, 200, answer)

    def _store(self, blocks: dict[int, bytes], told: dict[bytes, bytes]) -> list[str]:
        """Keep what can be opened; returns the digests of dictionaries that are missing."""
        self.dictionaries |= told
        if self.forgetful:
            self.forgetful -= 1
            self.dictionaries.clear()
        wants = set()
        for seq, data in blocks.items():
            needed = peek(data).dictionary
            if seq in self.refused:
                continue
            if needed and needed not in self.dictionaries:
                wants.add(needed.hex())
                continue
            self.duplicates += seq in self.held
            if self.held.setdefault(seq, data) != data:
                self.altered.append(seq)
        return sorted(wants)


async def _say(writer: asyncio.StreamWriter, status: int, answer: object, more: str = "") -> bool:
    body = json.dumps(answer).encode()
    writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body)
    await writer.drain()
    return True
