"""Puts the pages under their addresses, behind the guard and strict headers."""

from __future__ import annotations

from collections.abc import Collection

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from edge.http.headers import StrictHeaders
from edge.page.guards import Guard
from edge.page.pages import Pages


def application(pages: Pages, names: Collection[str]) -> ASGIApp:
    """The whole of what is served. The headers are outermost, so that errors have them too."""
    app = Starlette(
        routes=[
            Route("/", pages.overview),
            Route("/machines/{asset}", pages.machine),
            Route("/parts", pages.parts),
            Route("/api/status", pages.status),
            Route("/static/{name}", pages.static),
        ],
        exception_handlers={404: pages.missing},
    )
    return StrictHeaders(Guard(app, names))
