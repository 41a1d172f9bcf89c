"""What comes back over HTTP, bounded, and what it says in words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edge.ports import LinkDown

if TYPE_CHECKING:
    import httpx

DETAIL_CHARS_MAX = 200


async def read_body(response: httpx.Response, bytes_max: int) -> bytes:
    """The body. Raises ``LinkDown`` for one that is larger, having read no more of it than that."""
    parts, size = [], 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > bytes_max:
            raise LinkDown(f"an answer of more than {bytes_max} bytes")
        parts.append(part)
    return b"".join(parts)


def error_text(answer: bytes) -> str:
    """What the receiver says went wrong: only its own errors are JSON with an ``error``. Empty for others'."""
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        return ""
    text = said.get("error") if isinstance(said, dict) else None
    return text[:DETAIL_CHARS_MAX] if isinstance(text, str) else ""


def words_of(error: httpx.HTTPError) -> str:
    """What the error says; many say nothing, and are named: ``ReadError`` is a connection lost while reading."""
    return str(error) or f"connection lost ({type(error).__name__})"
