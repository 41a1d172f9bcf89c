"""What is turned away before any page is asked for: foreign names, other methods, too long or too many heads.

A browser that a foreign page has tricked into asking us (DNS rebinding) asks under that page's name: only names that
are ours are answered, and addresses, which are nobody's name.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from edge.config.page import Found

TARGET_BYTES_MAX = 1024
HEADERS_MAX, HEADER_BYTES_MAX = 64, 16 * 1024
METHODS = ("GET", "HEAD", "POST")
FRESH = {"Cache-Control": "no-store"}


class Guard:
    """Middleware. ``names`` are ours, in lower case, beside addresses and ``localhost``."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app, self._names = app, frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refused = self._refused(scope)
            if refused is not None:
                status, why = refused
                return await PlainTextResponse(f"{why}\n", status, {"Connection": "close"})(scope, receive, send)
        return await self._app(scope, receive, send)

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        if scope["method"] not in METHODS:
            return 405, "pages are read with GET; forms come by POST"
        if len(scope["raw_path"]) + len(scope["query_string"]) > TARGET_BYTES_MAX:
            return 414, "this address is too long"
        size = sum(len(name) + len(value) for name, value in scope["headers"])
        if len(scope["headers"]) > HEADERS_MAX or size > HEADER_BYTES_MAX:
            return 431, "too many headers"
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not is_ours(hosts[0].decode("latin-1"), self._names):
            return 421, "not a name of this gateway: ask by its address, or put the name into `page.names`"
        return None


def is_ours(host: str, names: Collection[str]) -> bool:
    """Whether a Host header names this machine: by an address, ``localhost``, or one of ``names``."""
    name = host_of(host)
    if name is None:
        return False
    if name == "localhost" or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def host_of(host: str) -> str | None:
    """The name in ``name:port``, in lower case; None where it is neither."""
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            return None
        port = port[1:]
    else:
        name, _, port = host.partition(":")
    if port and not (port.isascii() and port.isdigit()):
        return None
    return name.lower().removesuffix(".") or None


def own_names(found: Found) -> frozenset[str]:
    """Under which names this gateway's page is asked for."""
    machine = socket.gethostname()
    short = machine.partition(".")[0]
    names = {*found.page.names, found.gateway, machine, short, f"{short}.local"}
    return frozenset(name.lower() for name in names)
