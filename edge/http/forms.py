"""Whether a form comes from a page of ours: asked by every server that lets people change anything."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request


def is_own(request: Request) -> bool:
    """Whether a form comes from a page of ours, as far as the browser tells; ``no-referrer`` makes the origin null."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin", "null")
    try:
        return origin == "null" or urlsplit(origin).netloc == request.headers.get("Host")
    except ValueError:
        return False
