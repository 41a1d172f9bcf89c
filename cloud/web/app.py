"""Puts pages, API, events and the receiver under their paths, behind strict headers."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from cloud.dispatch.desk import Desk
from cloud.ingest.receive import Receiver
from cloud.web.api import Api
from cloud.web.commanding import Commanding
from cloud.web.pages import Pages
from cloud.web.telling import Telling
from edge.http.headers import StrictHeaders

STATIC = Path(__file__).parent / "static"


def application(
    receiver: Receiver, desk: Desk, pages: Pages, api: Api, telling: Telling, commanding: Commanding
) -> Starlette:
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
            Route("/assets/{gateway}/{asset}/acknowledge", commanding.form, methods=["POST"]),
            Route("/assets/{gateway}/{asset}/person", telling.sign_in, methods=["POST"]),
            Route("/assets/{gateway}/{asset}/person/out", telling.sign_out, methods=["POST"]),
            Route("/events/{gateway}/{asset}", pages.asset_events),
            Route("/api/v1/live", pages.live),
            Route("/api/v1/fleet", api.fleet),
            Route("/api/v1/assets/{gateway}/{asset}", api.asset),
            Route("/api/v1/assets/{gateway}/{asset}/outcomes", telling.listed, methods=["GET"]),
            Route("/api/v1/assets/{gateway}/{asset}/outcomes", telling.told, methods=["POST"]),
            Route("/api/v1/assets/{gateway}/{asset}/record", api.record),
            Route("/api/v1/assets/{gateway}/{asset}/acknowledge", commanding.acknowledged, methods=["POST"]),
            Route("/api/v1/assets/{gateway}/{asset}/reset", commanding.reset, methods=["POST"]),
            Route("/api/v1/commands", commanding.listed, methods=["GET"]),
            Route("/api/v1/commands", commanding.submitted, methods=["POST"]),
            Route("/api/v1/commands/draft", commanding.drafted, methods=["POST"]),
            Route("/api/v1/commands/{id}", commanding.shown),
            Route("/api/v1/score", api.score),
            Route("/api/v1/series", api.series),
            Route("/api/v1/stats", api.stats),
            Route("/healthz", api.health),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(StrictHeaders)],
        exception_handlers={404: pages.not_found},
    )
