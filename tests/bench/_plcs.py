"""PLCs in a process of their own, for what is measured in another: ``python -m tests.bench._plcs DEVICES REPLY_MS``.

Prints the ports of so many Modbus TCP servers, then answers reads of registers (function 3, register ``n`` holds ``n``)
after REPLY_MS, one question a connection at a time, as a serial gateway does. A line on standard input, a JSON list of
unit numbers, says which units are dead from now on: they stay silent.
"""

from __future__ import annotations

import asyncio
import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

HEAD = struct.Struct(">HHHBBHH")
TIMEOUT_S = 10


@cache
def registers(address: int, count: int) -> bytes:
    return struct.pack(f">BB{count}H", 3, 2 * count, *range(address, address + count))


class Plc(asyncio.Protocol):
    """One connection. ``dead`` is shared by all."""

    def __init__(self, dead: set[int], reply_s: float) -> None:
        self.dead, self.reply_s = dead, reply_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        transaction, _, _, unit, function, address, count = HEAD.unpack(data)
        assert function == 3
        if unit in self.dead:
            return
        pdu = registers(address, count)
        frame = struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu
        if self.reply_s:
            asyncio.get_running_loop().call_later(self.reply_s, self.transport.write, frame)
        else:
            self.transport.write(frame)


async def serve(devices: int, reply_s: float) -> None:
    loop, dead = asyncio.get_running_loop(), set[int]()
    servers = [await loop.create_server(lambda: Plc(dead, reply_s), "127.0.0.1", 0) for _ in range(devices)]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    ended = loop.create_future()

    def told() -> None:
        line = sys.stdin.readline()
        if not line:
            loop.remove_reader(sys.stdin.fileno())
            ended.set_result(None)
            return
        dead.clear()
        dead.update(json.loads(line))

    loop.add_reader(sys.stdin.fileno(), told)
    await ended


@dataclass(frozen=True)
class Plcs:
    """The running process, as whoever started it sees it."""

    process: subprocess.Popen[str]
    ports: list[int]

    def die(self, units: list[int]) -> None:
        """These units are silent from now on, and no others."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(units) + "\n")
        self.process.stdin.flush()


@contextmanager
def plcs(devices: int, reply_ms: float = 0.0) -> Iterator[Plcs]:
    command = [sys.executable, "-m", "tests.bench._plcs", str(devices), str(reply_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield Plcs(process, json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()
            process.wait(TIMEOUT_S)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
