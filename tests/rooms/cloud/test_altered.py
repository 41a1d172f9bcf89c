"""What turns over on a line without TLS is not believed: neither what is said around blocks, nor the answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge.config.tables import Uplink
from edge.contract import exchange
from edge.contract.block import pack_frames
from edge.contract.types import Lane
from edge.ports import LinkDown, StoredBlock
from edge.uplink import HttpLink
from tests.rooms.cloud.sending import GATEWAY, cloud, telemetry

SPOILT = {
    "Babbitt_Epoch": "b" * 32, "Babbitt_Oldest": "9", "Babbitt_Lane": "back,og", "Babbitt_Backlog_Blocks": "1",
    "Babbitt_Backlog_Readings": "x", "Content_Type": "application/vnd.babbitt.clocks",
}  # fmt: skip


def test_a_request_that_was_altered_is_to_be_sent_again_and_changes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with cloud(tmp_path) as sender:
            body = pack_frames([telemetry(1), telemetry(2)])
            said = sender.headers(Babbitt_Oldest="1", Babbitt_Lane="live")
            digest = exchange.digest_of(said, body)
            sound = {"Babbitt_Oldest": "1", "Babbitt_Lane": "live", "Babbitt_Digest": digest}
            for name, value in SPOILT.items():
                answer = await sender.post(body, **{**sound, name: value})
                assert answer.status_code == 422, name
            flipped = bytearray(body)
            flipped[len(body) // 2] ^= 4
            assert (await sender.post(bytes(flipped), **sound)).status_code == 422
            stats = await sender.stats()
            assert stats["blocks"] == 0
            assert stats["refused_by"] == {"altered request": len(SPOILT) + 1}
            assert (await sender.post(body, **sound)).json()["through"] == 2

    asyncio.run(story())


def test_an_answer_that_was_altered_lets_go_of_nothing(tmp_path: Path) -> None:
    """One digit: it would acknowledge a block that the receiver could not read."""
    told = b'{"epoch":"' + b"a" * 32 + b'","through":1}'
    altered = told.replace(b":1}", b":9}")
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Length: {len(told)}\r\n{exchange.HEADER}: {exchange.digest_of({}, told)}\r\n\r\n"
    ).encode()

    async def story() -> None:
        answers = [head + altered, head + told]

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answers.pop(0))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        token = tmp_path / "token"
        token.write_text("secret\n", encoding="utf-8")
        token.chmod(0o600)
        link = HttpLink(
            Uplink(url=f"http://127.0.0.1:{port}", token_file=str(token)), token_file=token, gateway=GATEWAY
        )
        block = StoredBlock(1, Lane.TELEMETRY, 5, telemetry(1))
        with pytest.raises(LinkDown, match="altered on the way"):
            await link.send([block], live=True, oldest=1, backlog_blocks=1, backlog_readings=5)
        ack = await link.send([block], live=True, oldest=1, backlog_blocks=1, backlog_readings=5)
        assert ack.through == 1
        await link.close()
        server.close()

    asyncio.run(story())
