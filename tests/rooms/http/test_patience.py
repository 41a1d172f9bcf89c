"""Peers that hold a connection for nothing lose it; slow ones that go on do not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cloud.runtime import Settings
from edge.http.patience import PatientProtocol
from tests.undelayed import undelayed

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
TIMEOUT_S = 0.6
PAUSE_S = TIMEOUT_S / 8
"""Of a peer that goes on."""
BEARS_S = TIMEOUT_S / 2
"""So much later it may be, since server and peer share a process, and it still goes on."""
Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Hasty(PatientProtocol):
    head_timeout_s = read_timeout_s = TIMEOUT_S


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(2**16)
        await asyncio.sleep(0)  # lets the server see that the peer has gone


async def app(scope: dict[str, object], receive: Callable[[], Awaitable[None]], send: object) -> None:
    request = Request(scope)
    answer = StreamingResponse(endless()) if request.url.path == "/endless" else Response(b"answer")
    await answer(scope, receive, send)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(
            uvicorn.Config(app, http=Hasty, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        )
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


@contextlib.asynccontextmanager
async def opened(port: int) -> AsyncIterator[Peer]:
    async with asyncio.timeout(5):
        peer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield peer
    finally:
        peer[1].transport.abort()
        await asyncio.sleep(0)  # lets it go before the loop does


async def seconds_until_closed(peer: Peer) -> float:
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(5):
            while await peer[0].read(2**16):
                pass
    return time.monotonic() - began


def told(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    undelayed(lambda _: asyncio.run(story()), BEARS_S)


@pytest.mark.parametrize("said", [b"", b"G", HEAD], ids=["nothing", "a letter", "half a head"])
def test_a_head_that_does_not_come_ends_the_connection(said: bytes) -> None:
    async def story() -> None:
        async with served() as port:
            began = time.monotonic()
            async with opened(port) as peer:
                peer[1].write(said)
                await seconds_until_closed(peer)
            assert TIMEOUT_S * 0.9 < time.monotonic() - began < 3

    told(story)


def test_a_head_in_drops_ends_the_connection_however_steady_they_come() -> None:
    async def story() -> None:
        async with served() as port, opened(port) as peer:
            closed = asyncio.create_task(seconds_until_closed(peer))
            while not closed.done():
                peer[1].write(b"G")
                await asyncio.sleep(PAUSE_S)
            assert closed.result() < 3

    told(story)


def test_one_connection_answers_again_and_again_and_then_must_ask_anew() -> None:
    async def story() -> None:
        async with served() as port, opened(port) as peer:
            for _ in range(10):  # For longer than one head may take.
                peer[1].write(HEAD + b"\r\n")
                async with asyncio.timeout(5):
                    assert (await peer[0].readuntil(b"answer")).startswith(b"HTTP/1.1 200")
                await asyncio.sleep(PAUSE_S)
            peer[1].write(HEAD)
            assert await seconds_until_closed(peer) < 3

    told(story)


def test_who_does_not_read_is_cut_off_and_who_reads_slowly_is_not() -> None:
    async def story() -> None:
        async with served() as port, opened(port) as deaf, opened(port) as slow:
            for peer in (deaf, slow):
                peer[1].write(HEAD.replace(b" / ", b" /endless ") + b"\r\n")
            began, read = time.monotonic(), 0
            while time.monotonic() - began < 4 * TIMEOUT_S:
                read += len(await asyncio.wait_for(slow[0].read(2**20), 5))
                await asyncio.sleep(PAUSE_S)
            assert read > 2**20
            assert not slow[0].at_eof()
            assert await seconds_until_closed(deaf) < 3

    told(story)


def test_who_reads_so_slowly_that_the_kernel_wants_no_more_for_long_is_not_cut_off() -> None:
    """Megabytes wait in the kernel, of which a third must go before it takes more: the peer takes less in its time."""

    async def story() -> None:
        async with served() as port:
            loop = asyncio.get_running_loop()
            with socket.create_connection(("127.0.0.1", port)) as peer:
                peer.setblocking(False)
                await loop.sock_sendall(peer, HEAD.replace(b" / ", b" /endless ") + b"\r\n")
                began = time.monotonic()
                while time.monotonic() - began < 8 * TIMEOUT_S:
                    assert await asyncio.wait_for(loop.sock_recv(peer, 2**17), 5)
                    await asyncio.sleep(PAUSE_S)

    told(story)


def test_the_cloud_serves_with_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    from cloud.runtime import _uvicorn_config

    folder = tmp_path_factory.mktemp("cloud")
    assert _uvicorn_config(app, Settings(data=folder, tokens=folder)).http is PatientProtocol
