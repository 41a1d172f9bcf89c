"""OPC UA in: what listens there is no OPC UA server, or one that means harm. It costs bounded memory and no more."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.clock import SystemClock
from edge.config.lines import OpcUa
from edge.contract.types import Quality
from edge.drivers.opcua import OpcUaSource
from edge.opcua.bounded import CHUNK_BYTES_MAX
from edge.ports import Subject
from tests.peers.listening import listening
from tests.peers.opcua_listening import line, profile, source
from tests.peers.opcua_peers import Peer

ACKNOWLEDGE = b"ACKF" + struct.pack("<I", 28) + struct.pack("<5I", 0, 65_535, 65_535, 0, 0)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def told_of(serve: Serve, *, until: Callable[[OpcUaSource], bool]) -> str:
    """What the source says of a server that does ``serve`` with each connection."""

    async def scene() -> str:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        to = OpcUa(
            name="h", url=f"opc.tcp://127.0.0.1:{port}", security="None", timeout_ms=200, reconnect_max_s=0.1
        )  # fmt: skip
        one = OpcUaSource(to, [Subject(1, "Motor1", profile({"node": "Temp"}), 1.0)], SystemClock())
        async with listening(one) as ear:
            await ear.until(lambda: one.trouble(0) != "not yet connected" and until(one), "in trouble")
            assert not ear.heard
            words = one.trouble(0)
        server.close()
        return words

    return asyncio.run(scene())


def test_a_chunk_that_never_ends_is_let_go_of() -> None:
    """asyncua alone would gather the 4 GiB that its head announces."""
    taken: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(ACKNOWLEDGE + b"MSGF" + struct.pack("<II", 0xFFFF_FFFF, 1))
        sent = 0
        try:
            while sent < 64 * CHUNK_BYTES_MAX:
                writer.write(bytes(16_384))
                await writer.drain()
                sent += 16_384
                await asyncio.sleep(0)
        except OSError:
            pass
        taken.append(sent)

    assert len(told_of(serve, until=lambda _: len(taken) > 0)) > 10
    # What lies in the buffers of the sockets between was sent, but not taken.
    assert taken[0] < 64 * CHUNK_BYTES_MAX


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(st.binary(max_size=300), st.just(ACKNOWLEDGE), st.just(b"OPNF\xff\x00\x00\x00")), max_size=6))
def test_whatever_bytes_come_it_is_trouble_in_words(parts: list[bytes]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"".join(parts))
        writer.close()

    assert len(told_of(serve, until=lambda one: True)) > 10


@pytest.mark.parametrize("floats", [100_000, 1_000_000])
def test_arrays_are_taken_up_to_a_bound_and_beyond_it_said_to_be_too_large(opcua_open: Peer, floats: int) -> None:
    fits = floats * 8 < 4 * 1024 * 1024

    async def scene() -> None:
        one = source(line(opcua_open), {"node": "Levels", "element": 1})
        async with listening(one) as ear:
            if fits:
                await ear.until(lambda: ear.values() == [0.5], "heard")
            else:
                await ear.until(lambda: "a message is larger than it may be" in one.trouble(0), "too large")
                assert not [a for a in ear.answers() if a.quality == Quality.GOOD]

    opcua_open.tell(fill="Levels", floats=floats)
    try:
        asyncio.run(scene())
    finally:
        opcua_open.tell(set="Levels", value=[1.0, 2.0, 3.0])
