"""The desk over HTTP: a real client against a receiver that is right, late, cut, altered, or somebody else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.config.tables import Uplink as UplinkConfig
from edge.contract import exchange
from edge.contract.desired import Desired, Withdrawn, pack_desired
from edge.ports import LinkDown
from edge.uplink import HttpLink
from edge.uplink.desk import HttpDesk

BUNDLE = "ab" * 32
DEADLINE_S = 60.0
DESIRED = Desired("gw", 7, (), (Withdrawn(1, BUNDLE, "cries wolf"),))


class Answers:
    """What the receiver says to each request, in order; the last for ever. It notes what it was asked."""

    def __init__(self, *answers: bytes) -> None:
        self.answers, self.asked = list(answers), list[str]()
        self.delay_s = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                self.asked.append(head)
                await asyncio.sleep(self.delay_s)
                writer.write(self.answers[0] if len(self.answers) == 1 else self.answers.pop(0))
                await writer.drain()
                if b"Connection: close" in self.answers[0]:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer(body: bytes, status: str = "200 OK", *, digest: str | None = None, tag: str = '"t1"') -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nETag: {tag}\r\n"
    head += f"{exchange.HEADER}: {exchange.digest_of({}, body) if digest is None else digest}\r\n\r\n"
    return head.encode() + body


@asynccontextmanager
async def desk(folder: Path, answers: Answers, *, timeout_s: float = DEADLINE_S) -> AsyncIterator[HttpDesk]:
    token = folder / "token"
    token.write_text("secret\n")
    token.chmod(0o600)
    connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[asyncio.create_task(answers.serve(reader, writer))] = writer

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    uplink = UplinkConfig(url=f"http://127.0.0.1:{port}", token_file="token", timeout_s=timeout_s)  # noqa: S106
    link = HttpLink(uplink, token_file=token, gateway="gw")
    try:
        yield link.desk()
    finally:
        await link.close()
        server.close()
        for task, writer in connections.items():
            task.cancel()
            # What the other end did not read would keep a closed connection open.
            writer.transport.abort()
        await asyncio.gather(*connections, return_exceptions=True)


def told(
    folder: Path, answers: Answers, ask: Callable[[HttpDesk], Awaitable[None]], *, timeout_s: float = DEADLINE_S
) -> None:
    async def story() -> None:
        async with asyncio.timeout(2 * DEADLINE_S), desk(folder, answers, timeout_s=timeout_s) as one:
            await ask(one)

    asyncio.run(story())


def test_it_asks_with_its_token_and_cheaply_where_nothing_changed(tmp_path: Path) -> None:
    answers = Answers(answer(pack_desired(DESIRED)), b'HTTP/1.1 304 Not Modified\r\nETag: "t1"\r\n\r\n')

    async def ask(one: HttpDesk) -> None:
        assert await one.desired() == DESIRED
        assert await one.desired() is None

    told(tmp_path, answers, ask)
    first, second = answers.asked
    assert "GET /api/v1/desired" in first
    assert "Authorization: Bearer secret" in first
    assert "If-None-Match" not in first
    assert 'If-None-Match: "t1"' in second


ANSWERS = [
    (answer(pack_desired(DESIRED), digest="00" * 16), "altered on the way"),
    (answer(pack_desired(DESIRED), digest=""), "altered on the way"),
    (answer(b"<html>log in to the hotel's network</html>"), "not the receiver's"),
    (answer(json.dumps({"format": 9}).encode()), "format 9"),
    (answer(pack_desired(Desired("another", 7))), "meant for gateway 'another'"),
    (answer(b'{"error": "not found"}', "404 Not Found"), "404 Not Found: not found"),
    (answer(b"", "500 Internal Server Error"), "500"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b" " * 2_200_000, "more than 2097152 bytes"),
    (b"HTTP/1.1 304 Not Modified\r\n\r\n", "304"),
    (b"SSH-2.0-OpenSSH\r\n\r\n", "illegal status line"),
]


@pytest.mark.parametrize(("said", "words"), ANSWERS)
def test_whatever_else_it_hears_is_a_link_that_is_down(tmp_path: Path, said: bytes, words: str) -> None:
    async def ask(one: HttpDesk) -> None:
        with pytest.raises(LinkDown, match=words):
            await one.desired()

    told(tmp_path, Answers(said), ask)


def test_a_file_comes_whole_or_not_at_all(tmp_path: Path) -> None:
    data = bytes(range(256)) * 40
    answers = Answers(answer(data), answer(data, digest="11" * 16), answer(data))

    async def ask(one: HttpDesk) -> None:
        assert await one.file(BUNDLE, "life.int8.tflite", bytes_max=len(data)) == data
        with pytest.raises(LinkDown, match="altered on the way"):
            await one.file(BUNDLE, "life.int8.tflite", bytes_max=len(data))
        with pytest.raises(LinkDown, match="more than 100 bytes"):
            await one.file(BUNDLE, "life.int8.tflite", bytes_max=100)

    told(tmp_path, answers, ask)
    assert f"GET /api/v1/bundles/{BUNDLE}/life.int8.tflite" in answers.asked[0]


def test_a_cut_amid_a_file_is_a_link_that_is_down(tmp_path: Path) -> None:
    class Cuts(Answers):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer(b"x" * 1000)[:-500])
            await writer.drain()
            writer.close()

    async def ask(one: HttpDesk) -> None:
        with pytest.raises(LinkDown):
            await one.file(BUNDLE, "manifest.json", bytes_max=10_000)

    told(tmp_path, Cuts(), ask)


def test_one_that_says_nothing_is_waited_for_in_bounds(tmp_path: Path) -> None:
    answers = Answers(answer(b""))
    answers.delay_s = 600.0

    async def ask(one: HttpDesk) -> None:
        with pytest.raises(LinkDown, match=r"0\.2|Timeout|timed"):
            await one.file(BUNDLE, "manifest.json", bytes_max=100)

    told(tmp_path, answers, ask, timeout_s=0.2)


def test_nobody_there(tmp_path: Path) -> None:
    async def ask(one: HttpDesk) -> None:
        one._base = "http://127.0.0.1:9/api/v1"
        with pytest.raises(LinkDown):
            await one.desired()

    told(tmp_path, Answers(answer(b"")), ask)
