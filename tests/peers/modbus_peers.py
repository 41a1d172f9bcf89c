"""Starts real Modbus peers, none of them ours: pymodbus' servers and a libmodbus program, over TCP and a paced wire."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymodbus import FramerType, ModbusDeviceIdentification
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge.clock import SystemClock
from edge.config.lines import ModbusRtu, ModbusRtuTcp, ModbusTcp
from tests.peers.image import Image

HERE = Path(__file__).parent
UNIT = 17


class Hasty(SystemClock):
    """Nobody else has asked on the lines of a test: a serial line with a long timeout is used at once all the same."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.01))


def tcp_line(port: int, timeout_ms: int = 1000) -> ModbusTcp:
    return ModbusTcp(name="tcp", host="127.0.0.1", port=port, timeout_ms=timeout_ms)


def rtu_line(device: str, baud: int = 115_200, timeout_ms: int = 400) -> ModbusRtu:
    # Eleven bits a character, as the standard wants: without parity, two stop bits.
    return ModbusRtu(name="rtu", device=device, baud=baud, parity="N", stop_bits=2, timeout_ms=timeout_ms)


def rtu_tcp_line(port: int, timeout_ms: int = 1000) -> ModbusRtuTcp:
    return ModbusRtuTcp(name="rtu-tcp", host="127.0.0.1", port=port, baud=115_200, timeout_ms=timeout_ms)


def sim_device(image: Image) -> SimDevice:
    """The image as pymodbus holds it; each run of addresses is one of its blocks."""
    blocks: list[list[SimData]] = []
    for function in (1, 2, 3, 4):
        table = image.tables[function]
        runs: list[SimData] = []
        start: int | None = None
        for address in sorted(table):
            if start is None:
                start = address
            if address + 1 not in table:
                values = [table[a] for a in range(start, address + 1)]
                if function < 3:
                    runs.append(SimData(start, values=[bool(v) for v in values], datatype=DataType.BITS))
                else:
                    runs.append(SimData(start, values=values, datatype=DataType.REGISTERS))
                start = None
        kind = DataType.BITS if function < 3 else DataType.REGISTERS
        blocks.append(runs or [SimData(9999, values=[False] if function < 3 else [0], datatype=kind)])
    return SimDevice(UNIT, simdata=(blocks[0], blocks[1], blocks[2], blocks[3]))


def identity(image: Image) -> ModbusDeviceIdentification:
    info = {number: text.decode() for number, text in image.identity.items()}
    return ModbusDeviceIdentification(info=info)  # type: ignore[no-untyped-call]


@asynccontextmanager
async def pymodbus_tcp(image: Image, port: int = 0) -> AsyncIterator[int]:
    server = ModbusTcpServer([sim_device(image)], address=("127.0.0.1", port), identity=identity(image))
    assert await server.listen()
    try:
        transport: Any = server.transport
        yield transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


@asynccontextmanager
async def pymodbus_rtu(image: Image, device: str, baud: int) -> AsyncIterator[None]:
    server = ModbusSerialServer([sim_device(image)], port=device, baudrate=baud, identity=identity(image))
    assert await server.listen()
    try:
        yield
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


@asynccontextmanager
async def pymodbus_rtu_over_tcp(image: Image) -> AsyncIterator[int]:
    server = ModbusTcpServer(
        [sim_device(image)], address=("127.0.0.1", 0), framer=FramerType.RTU, identity=identity(image)
    )
    assert await server.listen()
    try:
        transport: Any = server.transport
        yield transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


@asynccontextmanager
async def device_server(device: str) -> AsyncIterator[int]:
    """Bytes from a TCP port to a serial device and back, as they come: what a serial device server does."""
    fd = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(fd)
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while data := await reader.read(4096):
            os.write(fd, data)
        writer.close()

    loop = asyncio.get_running_loop()
    loop.add_reader(fd, lambda: writers[-1].write(os.read(fd, 4096)))
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.remove_reader(fd)
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)
        os.close(fd)


@contextmanager
def libmodbus(program: Path, image: Image, *arguments: str) -> Iterator[int]:
    """The C program with ``image``; gives its TCP port (0 on a serial line)."""
    with subprocess.Popen(
        [str(program), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write("\n".join([*image.lines(), ".\n"]))
            process.stdin.flush()
            yield int(process.stdout.readline())
        finally:
            process.kill()


def compiled(folder: Path) -> Path:
    """The libmodbus program, built in ``folder``."""
    program = folder / "libmodbus_peer"
    compiler = shutil.which("gcc")
    assert compiler is not None, "gcc and libmodbus-dev build the foreign peer"
    subprocess.run([compiler, "-O1", "-o", str(program), str(HERE / "libmodbus_peer.c"), "-lmodbus"], check=True)
    return program


@dataclass
class Wire:
    """The ptys at both ends, and after its end what the wire ``saw`` of the master."""

    master: str
    slave: str
    saw: dict[str, float] = field(default_factory=dict)


@contextmanager
def wire(baud: int, bits: int = 11) -> Iterator[Wire]:
    command = [sys.executable, str(HERE / "wire.py"), str(baud), str(bits)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            master, slave = process.stdout.readline().split()
            ends = Wire(master, slave)
            yield ends
            process.stdin.close()
            ends.saw.update(json.loads(process.stdout.readline()))
        finally:
            process.kill()
