"""Every Modbus driver beside real peers that are not ours: pymodbus and libmodbus, on each kind of line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from edge.config.lines import PolledLine
from tests.peers import modbus_peers as peers
from tests.peers.image import Image

Serving = Callable[[Image], AbstractAsyncContextManager[PolledLine]]
BAUD = 115_200
TIMEOUT_MS = 20_000
"""No law is about silence, and a peer on a busy machine may be late."""


@pytest.fixture(scope="session")
def libmodbus_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return peers.compiled(tmp_path_factory.mktemp("libmodbus"))


KINDS = (
    "pymodbus tcp", "libmodbus tcp", "pymodbus rtu", "libmodbus rtu", "pymodbus rtu over tcp",
    "libmodbus rtu behind a device server",
)  # fmt: skip


@pytest.fixture(params=KINDS)
def serving(request: pytest.FixtureRequest, libmodbus_program: Path) -> Serving:
    """Starts the peer with an image and gives the line to it."""

    @asynccontextmanager
    async def pymodbus_tcp(image: Image) -> AsyncIterator[PolledLine]:
        async with peers.pymodbus_tcp(image) as port:
            yield peers.tcp_line(port, TIMEOUT_MS)

    @asynccontextmanager
    async def libmodbus_tcp(image: Image) -> AsyncIterator[PolledLine]:
        with peers.libmodbus(libmodbus_program, image, "tcp", "0") as port:
            yield peers.tcp_line(port, TIMEOUT_MS)

    @asynccontextmanager
    async def pymodbus_rtu(image: Image) -> AsyncIterator[PolledLine]:
        with peers.wire(BAUD) as ends:
            async with peers.pymodbus_rtu(image, ends.slave, BAUD):
                yield peers.rtu_line(ends.master, BAUD, TIMEOUT_MS)

    @asynccontextmanager
    async def libmodbus_rtu(image: Image) -> AsyncIterator[PolledLine]:
        with (
            peers.wire(BAUD) as ends,
            peers.libmodbus(libmodbus_program, image, "rtu", ends.slave, str(BAUD), str(peers.UNIT)),
        ):
            yield peers.rtu_line(ends.master, BAUD, TIMEOUT_MS)

    @asynccontextmanager
    async def pymodbus_rtu_over_tcp(image: Image) -> AsyncIterator[PolledLine]:
        async with peers.pymodbus_rtu_over_tcp(image) as port:
            yield peers.rtu_tcp_line(port, TIMEOUT_MS)

    @asynccontextmanager
    async def libmodbus_behind_a_device_server(image: Image) -> AsyncIterator[PolledLine]:
        with (
            peers.wire(BAUD) as ends,
            peers.libmodbus(libmodbus_program, image, "rtu", ends.slave, str(BAUD), str(peers.UNIT)),
        ):
            async with peers.device_server(ends.master) as port:
                yield peers.rtu_tcp_line(port, TIMEOUT_MS)

    servings: tuple[Serving, ...] = (
        pymodbus_tcp, libmodbus_tcp, pymodbus_rtu, libmodbus_rtu, pymodbus_rtu_over_tcp,
        libmodbus_behind_a_device_server,
    )  # fmt: skip
    return dict(zip(KINDS, servings, strict=True))[request.param]
