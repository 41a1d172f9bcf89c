"""What comes by a form: within limits, and from a page of ours."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

FORM_BYTES_MAX = 4096
FORM_WITHIN_S = 5.0
FIELDS_MAX = 12
FORM = "application/x-www-form-urlencoded"


async def fields_of(request: Request) -> dict[str, str]:
    """A form's fields, of each name the last. Raises ``HTTPException`` for none, too many, or such as take too long."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != FORM:
        raise HTTPException(415)
    body = bytearray()
    try:
        async with asyncio.timeout(FORM_WITHIN_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > FORM_BYTES_MAX:
                    raise HTTPException(413)
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:
        raise HTTPException(400) from None
    try:
        text = body.decode("ascii")
        found = parse_qs(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict",
                         max_num_fields=FIELDS_MAX)  # fmt: skip
    except ValueError:
        raise HTTPException(400) from None
    return {name: values[-1] for name, values in found.items()}
