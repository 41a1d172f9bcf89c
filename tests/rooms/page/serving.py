"""The page's process as it is served, before a gateway's socket that answers what a test wants; and raw requests."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.config.page import Found, Page
from edge.errors import BabbittError
from edge.local_socket import answering
from edge.page.connections import CountedProtocol
from edge.page.serving import Serving
from tests.rooms.page.looks import alarm, answers
from tests.waiting import DEADLINE_S, until_async


@dataclass
class FakeGateway:
    """Answers at ``gateway.sock`` as a gateway does, and notes what it was told."""

    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: dict[str, Any] = field(
        default_factory=lambda: {**answers(), "alarms": {"standing": [alarm()], "held": [], "kpi": {}}}
    )
    refuses: str = ""
    asked: int = 0

    def several(self, of: list[str]) -> dict[str, Any]:
        self.asked += 1
        return {name: copy.deepcopy(self.answers[name]) for name in of if name in self.answers}

    def commands(self) -> dict[str, Any]:
        names = ("acknowledge", "reset", "shelve", "unshelve", "out_of_service", "in_service", "advised")
        return {"several": self.several, **{name: self._taker(name) for name in names}}

    def _taker(self, name: str) -> Any:
        def take(**arguments: Any) -> dict[str, Any]:
            if self.refuses:
                raise BabbittError("pump-1", self.refuses, "wait")
            self.told.append((name, arguments))
            return {"acknowledged": 1} if name == "acknowledge" else {"changed": 1}

        return take


@dataclass
class Served:
    """A page that runs; ``get`` and ``post`` speak HTTP by hand, so that nothing is made proper on the way."""

    port: int
    folder: Path
    gateway: FakeGateway
    serving: Serving

    async def raw(self, request: bytes) -> bytes:
        """All that comes back until the server closes."""
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            with contextlib.closing(writer), contextlib.suppress(ConnectionError):
                writer.write(request)
                return await reader.read()
        return b""

    async def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
        return await self.request("GET", path, headers=headers)

    async def post(self, path: str, form: str, **headers: str) -> tuple[int, dict[str, str], str]:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.request("POST", path, form.encode(), headers=kind | headers)

    async def request(
        self, method: str, path: str, body: bytes = b"", *, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:  # fmt: skip
        """Status, headers (a cookie without its attributes is at ``cookie``) and body."""
        told = {
            "Host": f"127.0.0.1:{self.port}",
            "Connection": "close",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }
        head = "".join(f"{name.replace('_', '-')}: {text}\r\n" for name, text in told.items())
        answer = await self.raw(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        found, _, rest = answer.partition(b"\r\n\r\n")
        lines = found.decode("latin-1").split("\r\n")
        fields = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines[1:])}
        fields["cookie"] = fields.get("set-cookie", "").partition(";")[0]
        return int(lines[0].split()[1]), fields, rest.decode("utf-8")


@contextlib.asynccontextmanager
async def served(
    folder: Path, port: int, *, gateway: FakeGateway | None = None, names: tuple[str, ...] = ("gateway",)
) -> AsyncIterator[Served]:
    """The page of ``folder`` at ``port``, once it has heard of the gateway where there is one."""
    CountedProtocol.open.clear()
    fake = gateway or FakeGateway()
    serving = Serving(Found(Page(port=port, names=names), "gw-1", folder, folder / "page.pin"))
    async with answering(folder / "gateway.sock", fake.commands()):
        running = asyncio.create_task(serving.run())

        def runs() -> None:
            assert not running.done(), running

        await until_async(lambda: serving._watching._look.is_live and serving.is_listening, meanwhile=runs)
        try:
            yield Served(port, folder, fake, serving)
        finally:
            serving.end()
            await running
