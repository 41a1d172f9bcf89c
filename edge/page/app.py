"""Puts the pages under their addresses, behind the guard and strict headers."""

from __future__ import annotations

from collections.abc import Collection

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from edge.http.headers import StrictHeaders
from edge.page.acting import Acting
from edge.page.guards import Guard
from edge.page.pages import Pages


def application(pages: Pages, acting: Acting, names: Collection[str]) -> ASGIApp:
    """The whole of what is served. The headers are outermost, so that errors have them too."""
    app = Starlette(
        routes=[
            Route("/", pages.overview),
            Route("/machines/{asset}", pages.machine),
            Route("/alarms", pages.alarms),
            Route("/parts", pages.parts),
            Route("/api/status", pages.status),
            Route("/static/{name}", pages.static),
            Route("/alarms/{asset}/{rule}", acting.alarm),
            Route("/alarms/{asset}/{rule}", acting.act, methods=["POST"]),
            Route("/advice/{id}", acting.advice),
            Route("/advice/{id}", acting.advised, methods=["POST"]),
            Route("/person", acting.person),
            Route("/person", acting.sign_in, methods=["POST"]),
            Route("/out", acting.sign_out, methods=["POST"]),
        ],
        exception_handlers={HTTPException: pages.failed},
    )
    return StrictHeaders(Guard(app, names))
