"""Puts pages, API, events and the receiver under their paths, behind strict headers."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.dispatch.desk import Desk
from cloud.ingest.receive import Receiver
from cloud.web.api import Api
from cloud.web.pages import Pages
from cloud.web.telling import Telling

STATIC = Path(__file__).parent / "static"
HEADERS = {
    # No inline script or style, nothing from elsewhere: what a tag's name or an alarm's sentence says can never run.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class _StrictHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, send_strictly if scope["type"] == "http" else send)


def application(receiver: Receiver, desk: Desk, pages: Pages, api: Api, telling: Telling) -> Starlette:
    """The whole of what is served."""
    return Starlette(
        routes=[
            Route("/api/v1/blocks", receiver.blocks, methods=["POST"]),
            Route("/api/v1/desired", desk.desired),
            Route("/api/v1/bundles/{bundle}/{name}", desk.file),
            Route("/", pages.fleet),
            Route("/events", pages.fleet_events),
            Route("/assets/{gateway}/{asset}", pages.asset),
            Route("/assets/{gateway}/{asset}/outcomes", telling.form, methods=["POST"]),
            Route("/assets/{gateway}/{asset}/person", telling.sign_in, methods=["POST"]),
            Route("/assets/{gateway}/{asset}/person/out", telling.sign_out, methods=["POST"]),
            Route("/events/{gateway}/{asset}", pages.asset_events),
            Route("/api/v1/live", pages.live),
            Route("/api/v1/fleet", api.fleet),
            Route("/api/v1/assets/{gateway}/{asset}", api.asset),
            Route("/api/v1/assets/{gateway}/{asset}/outcomes", telling.listed, methods=["GET"]),
            Route("/api/v1/assets/{gateway}/{asset}/outcomes", telling.told, methods=["POST"]),
            Route("/api/v1/assets/{gateway}/{asset}/record", api.record),
            Route("/api/v1/score", api.score),
            Route("/api/v1/series", api.series),
            Route("/api/v1/stats", api.stats),
            Route("/healthz", api.health),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(_StrictHeaders)],
        exception_handlers={404: pages.not_found},
    )
