"""The ``Desk`` port over HTTP: what is wanted of this gateway, and the files of bundles, asked for with its own token.

Asking costs little where nothing has changed: the answer is then 304 and has no body. Survives a receiver that is away,
slow, of a former version or says nonsense, and files that are cut or altered on the way: all of these are ``LinkDown``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from edge.contract import exchange
from edge.contract.desired import BYTES_MAX, Desired, parse_desired
from edge.ports import Hint, LinkDown
from edge.uplink.answers import error_text, read_body, words_of

if TYPE_CHECKING:
    import httpx

BYTES_S_MIN = 2048
"""A file may take as long as it would at this rate, beside the timeout of any request."""


class HttpDesk:
    """Asks ``{base}/desired`` and ``{base}/bundles/HASH/NAME``. The client is the link's, and closed by it."""

    def __init__(
        self, client: httpx.AsyncClient, base: str, headers: Mapping[str, str], *, timeout_s: float,
        hint: Callable[[], Hint] = Hint,
    ) -> None:  # fmt: skip
        """``hint`` is what the link's answers said last."""
        self._client, self._base, self._headers, self._timeout_s = client, base, dict(headers), timeout_s
        self._known, self.hint = "", hint

    async def desired(self) -> Desired | None:
        known = {"If-None-Match": self._known} if self._known else {}
        status, headers, body = await self._get("/desired", known, bytes_max=BYTES_MAX)
        if status == 304:
            return None
        try:
            desired = parse_desired(body)
        except ValueError as error:
            raise LinkDown(f"the answer is not the receiver's: {error}") from error
        if desired.gateway != self._headers["Babbitt-Gateway"]:
            raise LinkDown(f"the answer is meant for gateway {desired.gateway[:60]!r}")
        self._known = headers.get("ETag", "")
        return desired

    async def file(self, bundle: str, name: str, *, bytes_max: int) -> bytes:
        _, _, body = await self._get(f"/bundles/{bundle}/{name}", {}, bytes_max=bytes_max)
        return body

    async def _get(self, path: str, more: Mapping[str, str], *, bytes_max: int) -> tuple[int, Mapping[str, str], bytes]:
        import httpx

        limit_s = self._timeout_s + bytes_max / BYTES_S_MIN
        try:
            async with (
                asyncio.timeout(limit_s),
                self._client.stream("GET", self._base + path, headers={**self._headers, **more}) as response,
            ):
                body = await read_body(response, bytes_max)
        except TimeoutError as error:
            raise LinkDown(f"no answer within {limit_s:g} s") from error
        except httpx.HTTPError as error:
            raise LinkDown(words_of(error)) from error
        status = response.status_code
        if status == 304 and more:
            return status, response.headers, b""
        if status != 200:
            said = error_text(body)
            raise LinkDown(f"{status} {response.reason_phrase}" + (f": {said}" if said else ""))
        if response.headers.get(exchange.HEADER, "") != exchange.digest_of({}, body):
            raise LinkDown("the answer was altered on the way, or is not the receiver's")
        return status, response.headers, body
