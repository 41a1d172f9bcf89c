"""Who is the sender of a request? The one seam: tokens stand behind it now, device certificates later."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cloud.ingest.tokens import Tokens


class UnknownSenderError(Exception):
    """Nobody that is known."""


class WrongSenderError(Exception):
    """Somebody known, who says that it is somebody else."""


class Identity(Protocol):
    """Tells a request's gateway from what the request can prove, never from what it says alone."""

    def sender(self, request: Request) -> str:
        """The gateway's id. Raises ``UnknownSenderError`` or ``WrongSenderError``, with a text for the sender."""


def sender_of(identity: Identity, request: Request) -> str | Response:
    """The gateway's id, or the answer that refuses the request."""
    try:
        return identity.sender(request)
    except UnknownSenderError as unknown:
        return JSONResponse({"error": str(unknown)}, 401, {"WWW-Authenticate": "Bearer"})
    except WrongSenderError as wrong:
        return JSONResponse({"error": str(wrong)}, 403)


class ByToken:
    """``Authorization: Bearer TOKEN``; the ``Babbitt-Gateway`` header has to name the token's owner."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def sender(self, request: Request) -> str:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        claimed = request.headers.get("babbitt-gateway", "")
        owner = self._tokens.owner(token.strip(), claimed) if scheme.lower() == "bearer" and token else None
        if owner is None:
            raise UnknownSenderError("a gateway's token is needed: Authorization: Bearer TOKEN")
        if claimed != owner:
            raise WrongSenderError(f"the token is not that of gateway {claimed!r}")
        return owner
