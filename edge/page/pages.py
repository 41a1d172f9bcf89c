"""The pages that everybody may read: the overview, one machine, what changed of either, and the same as JSON."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from edge.page.drawing import STATIC, Drawing, Parts, stamp
from edge.page.guards import FRESH
from edge.page.house import house
from edge.page.lines import lines
from edge.page.people import People
from edge.page.watching import Look, Watching

KEEP_STATIC = {"Cache-Control": "public, max-age=31536000, immutable"}


class Pages:
    """Routes."""

    def __init__(self, drawing: Drawing, watching: Watching, people: People) -> None:
        self._drawing, self._watching, self._people = drawing, watching, people

    async def overview(self, request: Request) -> Response:
        look = await self._watching.fresh()
        return self._page(request, "/", self._parts(look, "/"), "Overview")

    async def machine(self, request: Request) -> Response:
        look = await self._watching.fresh()
        asset = request.path_params["asset"]
        return self._page(request, f"/machines/{asset}", self._parts(look, f"/machines/{asset}"), asset)

    async def alarms(self, request: Request) -> Response:
        look = await self._watching.fresh()
        return self._page(request, "/alarms", self._parts(look, "/alarms"), "Alarms")

    async def parts(self, request: Request) -> Response:
        """Of the page at the address ``page`` the parts that the browser does not ``have``, by their stamps."""
        have = frozenset(request.query_params.get("have", "").split("."))
        parts = self._parts(await self._watching.fresh(), request.query_params.get("page", "/"))
        stamps = {name: stamp(html) for name, html in parts.items()}
        news = {name: {"is": stamps[name], "html": html} for name, html in parts.items() if stamps[name] not in have}
        return JSONResponse(news, headers=FRESH)

    async def status(self, request: Request) -> Response:  # noqa: ARG002
        """All that the pages are made of, as JSON."""
        look = await self._watching.fresh()
        told = {
            "at_ns": time.time_ns(), "gateway": self._drawing.gateway, "answers": look.is_live,
            "trouble": look.trouble, "age_s": look.age_s if look.answered_s is not None else None, **look.answers,
            "lines": lines(look), "facts": house(look, self._drawing.data_dir),
        }  # fmt: skip
        return Response(msgspec.json.encode(told), media_type="application/json", headers=FRESH)

    async def static(self, request: Request) -> Response:
        """One of three files, from memory: there is no way from an address to the disk."""
        name = request.path_params["name"]
        if name not in STATIC:
            raise HTTPException(404)
        return Response(self._drawing.static[name], headers={**KEEP_STATIC, "Content-Type": STATIC[name]})

    async def failed(self, request: Request, error: Exception) -> Response:
        """What is refused, in a page of our own."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        sentence = {
            404: "There is no such page", 403: "This is not allowed", 405: "This is not how to ask here",
            413: "This is too much",
        }.get(status, "This cannot be read")  # fmt: skip
        session = self._people.session(request)
        html = self._drawing.page("missing.html", sentence=sentence, acts=self._people.may_act, session=session)
        return HTMLResponse(html, status, FRESH)

    def _parts(self, look: Look, address: str) -> Parts:
        told: dict[str, Any] = {"acts": self._people.may_act, "locked": self._people.tries.locked()}
        if address == "/":
            return self._drawing.overview(look, self._watching, **told)
        if address == "/alarms":
            return self._drawing.alarms(look, **told)
        try:
            return self._drawing.machine(look, self._watching, address.removeprefix("/machines/"), **told)
        except KeyError:
            raise HTTPException(404) from None

    def _page(self, request: Request, address: str, parts: Parts, title: str) -> Response:
        session = self._people.session(request)
        html = self._drawing.page(
            "page.html", parts=parts, address=address, title=title, acts=self._people.may_act, session=session
        )
        return HTMLResponse(html, headers=FRESH)
