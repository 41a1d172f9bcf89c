"""The way between gateway and receiver, with everything that can happen to it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter
from enum import StrEnum

CHUNK_BYTES = 16 * 1024
SLOW_S = 0.1


class Fault(StrEnum):
    """What the link does from now on, to open connections and to new ones."""

    NONE = "none"
    CUT = "cut"
    """Connections are reset, and new ones refused at once."""
    RESET = "reset"
    """Now and then a connection is reset in the midst of a transfer."""
    SLOW = "slow"
    """Every piece of data waits."""
    BLACK_HOLE = "black hole"
    """Connections are taken and nothing goes through in either direction, ever."""
    DEAF = "deaf"
    """Requests go through and are worked on; their answers are lost, with the connection."""
    FLIP = "flip"
    """Single bits turn over, in either direction."""


class Link:
    """A relay in a thread of its own. ``port`` is where the gateway connects; ``fault`` may be set at any time."""

    def __init__(self, target_port: int, seed: int) -> None:
        self._target_port, self._chance = target_port, random.Random(seed)
        self.fault = Fault.NONE
        self.done: Counter[Fault] = Counter()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(60)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def set(self, fault: Fault) -> None:
        """Change what happens. What a black hole swallowed stays swallowed: its connections are reset."""
        asyncio.run_coroutine_threadsafe(self._set(fault), self._loop).result(60)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    async def _start(self) -> asyncio.Server:
        return await asyncio.start_server(self._relay, "127.0.0.1", 0)

    async def _set(self, fault: Fault) -> None:
        before, self.fault = self.fault, fault
        if fault is Fault.CUT or before in (Fault.BLACK_HOLE, Fault.DEAF):
            self.done[fault] += len(self._writers)
            self._reset_all()

    async def _end(self) -> None:
        self._server.close()
        self.fault = Fault.CUT
        for _ in range(20):
            await asyncio.sleep(0)  # Whoever was just let in is turned away, and not left open.
        self._reset_all()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _reset_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.fault is Fault.CUT:
                self.done[Fault.CUT] += 1
                return
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._connect(reader, writer)
        finally:
            writer.transport.abort()
            self._writers.discard(writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        out_reader, out_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        self._writers |= {writer, out_writer}
        pumps = [
            asyncio.ensure_future(self._pump(reader, out_writer, answers=False)),
            asyncio.ensure_future(self._pump(out_reader, writer, answers=True)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            out_writer.transport.abort()
            self._writers.discard(out_writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if not await self._passes(data, answers=answers):
                    return
                writer.write(self._flipped(data))
                await writer.drain()

    async def _passes(self, data: bytes, *, answers: bool) -> bool:
        """Whether these bytes go on; False where their connection ends here."""
        fault = self.fault
        if fault is Fault.SLOW:
            self.done[fault] += 1
            await asyncio.sleep(self._chance.uniform(0, SLOW_S))
        elif fault is Fault.BLACK_HOLE:
            self.done[fault] += 1
            await asyncio.Event().wait()
        elif (fault is Fault.DEAF and answers) or (fault is Fault.RESET and self._chance.random() < 0.3):
            self.done[fault] += 1
            return False
        return True

    def _flipped(self, data: bytes) -> bytes:
        if self.fault is not Fault.FLIP or self._chance.random() < 0.5:
            return data
        self.done[Fault.FLIP] += 1
        spoilt = bytearray(data)
        spoilt[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)
        return bytes(spoilt)
