"""The socket at which a process is asked: who takes its place is not cut off by the one that ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from edge.local_socket import answering, is_alive


def test_one_that_ends_takes_no_socket_away_from_its_successor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be stopped for as long as it likes between the two things that it does at its end."""
    path = tmp_path / "gateway.sock"
    close = asyncio.Server.close

    async def story() -> None:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as successor:

            def close_and_stand_still(server: asyncio.Server) -> None:
                close(server)
                assert not is_alive(path), "so the next one begins"
                path.unlink(missing_ok=True)
                successor.bind(str(path))
                successor.listen()

            async with answering(path, {}):
                monkeypatch.setattr(asyncio.Server, "close", close_and_stand_still)
            assert is_alive(path)

    asyncio.run(story())
