"""A request that tells its length in two ways ends its connection: what follows it may be anybody's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cloud.ingest.tokens import make
from cloud.runtime import Settings, running
from tests.ports import free_port
from tests.rooms.page.serving import served

DEADLINE_S = 20.0
SECOND = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LENGTH, CHUNKED = b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"
BODY = b"0\r\n\r\n"
"""Whole by either length."""


@contextlib.asynccontextmanager
async def page(folder: Path) -> AsyncIterator[int]:
    async with served(folder, free_port()) as it:
        yield it.port


@contextlib.asynccontextmanager
async def cloud(folder: Path) -> AsyncIterator[int]:
    make(folder / "tokens", "gw-1")
    async with running(Settings(folder / "data", folder / "tokens", port=0)) as address:
        port = urlsplit(address).port
        assert port is not None
        yield port


Server = Callable[[Path], AbstractAsyncContextManager[int]]


@pytest.mark.parametrize("server", [page, cloud])
@pytest.mark.parametrize("lengths", [LENGTH + CHUNKED, CHUNKED + LENGTH, CHUNKED.upper() + LENGTH.lower()])
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_two_lengths_get_one_refusal_and_no_answer_to_what_follows(
    server: Server, lengths: bytes, method: bytes, tmp_path: Path
) -> None:
    async def story() -> None:
        async with server(tmp_path) as port, asyncio.timeout(DEADLINE_S):
            answer = await answered(port, method + b" / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + lengths + b"\r\n" + BODY)
            assert answer.startswith(b"HTTP/1.1 400")
            assert b"connection: close" in answer.lower()
            assert answer.count(b"HTTP/1.1") == 1

    asyncio.run(story())


@pytest.mark.parametrize("server", [page, cloud])
@pytest.mark.parametrize("length", [LENGTH, CHUNKED])
def test_one_length_is_answered_and_so_is_what_follows(server: Server, length: bytes, tmp_path: Path) -> None:
    async def story() -> None:
        async with server(tmp_path) as port, asyncio.timeout(DEADLINE_S):
            answer = await answered(port, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + length + b"\r\n" + BODY, two=True)
            assert answer.count(b"HTTP/1.1 200") == 2

    asyncio.run(story())


async def answered(port: int, request: bytes, *, two: bool = False) -> bytes:
    """All that comes back for ``request`` and what follows it on its connection: until the server closes it, or (two)
    until both are answered.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = b""
    with contextlib.closing(writer), contextlib.suppress(ConnectionError):
        writer.write(request + SECOND)
        while not (two and found.count(b"HTTP/1.1 ") == 2) and (data := await reader.read(2**16)):
            found += data
    return found
