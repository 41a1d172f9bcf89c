"""Peers that hold a connection for nothing lose it; slow ones that go on do not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cloud.runtime import Settings
from edge.http.patience import PatientProtocol

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
TIMEOUT_S = 0.6
PAUSE_S = TIMEOUT_S / 8
"""Of a peer that goes on: a test machine may hold it up for the rest of the time that it has."""
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


class StoodStillError(Exception):
    """The machine did, for so long that a server had to end whoever went on."""


def steadily(story: Callable[[], Awaitable[None]]) -> None:
    """Run it, and anew where it failed on a machine that stood still meanwhile: its peers were as late as that."""
    for _ in range(5):
        with contextlib.suppress(StoodStillError):
            return asyncio.run(watched(story))
    pytest.fail("the machine stood still each time")


async def watched(story: Callable[[], Awaitable[None]]) -> None:
    longest_s = 0.0

    async def watch() -> None:
        nonlocal longest_s
        while True:
            began_s = time.monotonic()
            await asyncio.sleep(PAUSE_S)
            longest_s = max(longest_s, time.monotonic() - began_s)

    watching = asyncio.create_task(watch())
    try:
        await story()
    except Exception as failure:
        await asyncio.sleep(2 * PAUSE_S)  # Until it is seen how long this took.
        if longest_s > TIMEOUT_S / 2:
            raise StoodStillError from failure
        raise
    finally:
        watching.cancel()


async def opened(port: int) -> Peer:
    async with asyncio.timeout(5):
        return await asyncio.open_connection("127.0.0.1", port)


async def seconds_until_closed(peer: Peer) -> float:
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(5):
            while await peer[0].read(2**16):
                pass
    peer[1].close()
    return time.monotonic() - began


@pytest.mark.parametrize("said", [b"", b"G", HEAD], ids=["nothing", "a letter", "half a head"])
def test_a_head_that_does_not_come_ends_the_connection(said: bytes) -> None:
    async def story() -> None:
        async with served() as port:
            began = time.monotonic()
            peer = await opened(port)
            peer[1].write(said)
            await seconds_until_closed(peer)
            assert TIMEOUT_S * 0.9 < time.monotonic() - began < 3

    steadily(story)


def test_a_head_in_drops_ends_the_connection_however_steady_they_come() -> None:
    async def story() -> None:
        async with served() as port:
            peer = await opened(port)
            closed = asyncio.create_task(seconds_until_closed(peer))
            while not closed.done():
                peer[1].write(b"G")
                await asyncio.sleep(PAUSE_S)
            assert closed.result() < 3

    steadily(story)


def test_one_connection_answers_again_and_again_and_then_must_ask_anew() -> None:
    async def story() -> None:
        async with served() as port:
            peer = await opened(port)
            for _ in range(10):  # For longer than one head may take.
                peer[1].write(HEAD + b"\r\n")
                async with asyncio.timeout(5):
                    assert (await peer[0].readuntil(b"answer")).startswith(b"HTTP/1.1 200")
                await asyncio.sleep(PAUSE_S)
            peer[1].write(HEAD)
            assert await seconds_until_closed(peer) < 3

    steadily(story)


def test_who_does_not_read_is_cut_off_and_who_reads_slowly_is_not() -> None:
    async def story() -> None:
        async with served() as port:
            deaf, slow = await opened(port), await opened(port)
            for peer in (deaf, slow):
                peer[1].write(HEAD.replace(b" / ", b" /endless ") + b"\r\n")
            began, read = time.monotonic(), 0
            while time.monotonic() - began < 4 * TIMEOUT_S:
                read += len(await asyncio.wait_for(slow[0].read(2**20), 5))
                await asyncio.sleep(PAUSE_S)
            assert read > 2**20
            assert not slow[0].at_eof()
            assert await seconds_until_closed(deaf) < 3
            slow[1].close()

    steadily(story)


def test_the_cloud_serves_with_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    from cloud.runtime import _uvicorn_config

    folder = tmp_path_factory.mktemp("cloud")
    assert _uvicorn_config(app, Settings(data=folder, tokens=folder)).http is PatientProtocol
