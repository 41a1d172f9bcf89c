"""A request that tells its length in two ways is refused, and nothing more is read of its connection.

Whoever stands between may have gone by the other of the two: what follows would then be a part of this request for one
and a request of its own for the other, put there by somebody else (RFC 9112, 6.1, 6.3 and 11.2).
"""

from __future__ import annotations

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LENGTHS = frozenset((b"content-length", b"transfer-encoding"))


class OneLength:
    """Around an application, before anything of a request is looked at."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and LENGTHS.issubset(name for name, _ in scope["headers"]):
            why = "either a Content-Length or a Transfer-Encoding, not both\n"
            await PlainTextResponse(why, 400, {"Connection": "close"})(scope, receive, send)
        else:
            await self._app(scope, receive, send)
