"""The two pages, and the fragments of them that live events carry. What is shown comes from fleet; nothing is kept."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from cloud.dispatch.show import Shown
from cloud.dispatch.views import Setpoints
from cloud.fleet.asset import AssetDetail, detail
from cloud.fleet.ledger import Books
from cloud.fleet.overview import NO_ALARMS, Glance, Overview, Raised, overview
from cloud.fleet.plain import by_bundle
from cloud.fleet.record import AssetRecord, Records
from cloud.store.reader import Reader
from cloud.web import drawings, words
from cloud.web.live import Client, Event, Hub, Render, TooManyClientsError, json_event
from cloud.web.people import People
from edge.contract.setpoint_words import figure
from edge.contract.types import Urgency

EVENT_STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
RANGES = {"5m": (300, "5 min"), "1h": (3600, "1 h"), "24h": (86_400, "24 h"), "30d": (2_592_000, "30 d")}
"""Spans that the charts offer: seconds and label."""


def templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    for name in (
        "rul",
        "chance",
        "probability",
        "between",
        "utc_input",
        "hours",
        "count",
        "percent",
        "title",
        "class_title",
        "unit",
        "quality",
        "state",
        "holding",
        "clock",
        "span",
    ):
        environment.filters[name] = getattr(words, name)
    environment.globals |= {
        "value": words.value, "age": words.age, "freshness": words.freshness, "headline": words.headline,
        "freshness_limits_s": words.freshness_limits_s, "urgency_words": words.URGENCY_WORDS, "Urgency": Urgency,
        "survival_line": drawings.survival_line,
        "life_bar": drawings.life_bar, "life_x": drawings.life_x, "curve": drawings.curve, "card_name": card_name,
        "ranges": RANGES, "cause_words": words.CAUSE_WORDS, "kind_words": words.KIND_WORDS,
        "outcome_words": words.OUTCOME_WORDS, "fault_words": words.FAULT_WORDS, "basis_words": words.BASIS_WORDS,
        "step_words": words.STEP_WORDS, "waits_for_a_person": words.waits_for_a_person,
        "few_failures": words.FEW_FAILURES, "timeline": drawings.timeline,
    }  # fmt: skip
    environment.filters["figure"] = figure
    environment.filters["urlencode_path"] = lambda text: quote(text, safe="")
    return environment


def card_name(asset: Glance) -> str:
    """The name of a card's event: another one for each asset, and plain whatever asset and gateway are called."""
    digest = hashlib.blake2s(f"{asset.gateway}/{asset.asset}".encode(), digest_size=8)
    return f"card-{digest.hexdigest()}"


class Pages:
    """Endpoints. ``now_ns`` is the server's wall clock, against which ages are shown; ``own`` its own alarms about
    machines, ``trouble`` what is wrong with the server itself, a sentence each."""

    def __init__(
        self, reader: Reader, books: Books, records: Records, hub: Hub, *, people: People | None = None,
        rollouts: Callable[[], tuple[Shown, ...]] = tuple,
        setpoints: Callable[[str, str], Setpoints] = lambda _gateway, _asset: Setpoints(),
        asked: Callable[[str, str], Mapping[tuple[str, int, int | None, bool], str]] = lambda _gateway, _asset: {},
        now_ns: Callable[[], int] = time.time_ns, own: Callable[[], Raised] = lambda: NO_ALARMS,
        trouble: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:  # fmt: skip
        self._reader, self._books, self._hub, self._now_ns, self._own = reader, books, hub, now_ns, own
        self._records, self._people, self._rollouts = records, people, rollouts
        self._setpoints, self._asked, self._trouble = setpoints, asked, trouble
        self._templates = templates()
        self._cards: dict[str, Event] = {}

    async def fleet(self, _request: Request) -> Response:
        seen = await asyncio.to_thread(overview, self._reader, self._now_ns(), self._own())
        bundles, whole = by_bundle((await asyncio.to_thread(self._records.scores)).values())
        return self._page(
            "fleet.html",
            view=seen,
            trouble=self._trouble(),
            fleet=whole,
            bundles=bundles,
            read=self._records.read,
            rollouts=await asyncio.to_thread(self._rollouts),
        )

    async def asset(self, request: Request) -> Response:
        return await self.asset_page(request, "", {})

    async def asset_page(self, request: Request, trouble: str, typed: Mapping[str, str]) -> Response:
        """With ``trouble``, why what was ``typed`` into a form of it was not taken."""
        found = await self._detail(request)
        if found is None:
            return self._page("missing.html", status=404, what=f"{request.path_params['asset']}")
        span = request.query_params.get("range", "5m")
        return self._page(
            "asset.html", view=found, span=span if span in RANGES else "5m", record=await self._record(request),
            session=self._people.session(request) if self._people is not None else None,
            writable=self._people is not None, trouble=trouble, typed=typed,
            **await asyncio.to_thread(self._wanted, found.glance.gateway, found.glance.asset),
        )  # fmt: skip

    async def fleet_events(self, _request: Request) -> Response:
        return await self._stream("fleet", self._fleet_fragments)

    async def asset_events(self, request: Request) -> Response:
        gateway, asset = request.path_params["gateway"], request.path_params["asset"]
        if await self._detail(request) is None:
            return Response(status_code=404)

        async def render() -> Iterable[Event]:
            found, record = await self._detail(request), await self._record(request)
            return await asyncio.to_thread(self._asset_fragments, found, record) if found is not None else []

        return await self._stream(("asset", gateway, asset), render)

    async def live(self, _request: Request) -> Response:
        """One JSON event for each asset of each block, as soon as it is committed."""

        async def nothing() -> Iterable[Event]:
            return []

        return await self._stream("live", nothing)

    async def not_found(self, request: Request, _error: Exception) -> Response:
        if request.url.path.startswith("/api/"):
            return Response('{"error": "not found"}', 404, media_type="application/json")
        return self._page("missing.html", status=404, what=request.url.path)

    async def _detail(self, request: Request) -> AssetDetail | None:
        path = request.path_params
        return await asyncio.to_thread(
            detail, self._reader, self._books, path["gateway"], path["asset"], self._now_ns(), self._own()
        )

    async def _record(self, request: Request) -> AssetRecord:
        path = request.path_params
        return await asyncio.to_thread(self._records.of, path["gateway"], path["asset"])

    def _wanted(self, gateway: str, asset: str) -> dict[str, Any]:
        """What people want of a machine: ``setpoints``, and which alarms they have ``asked`` to acknowledge."""
        return {"setpoints": self._setpoints(gateway, asset), "asked": self._asked(gateway, asset)}

    async def _stream(self, name: Any, render: Render) -> Response:
        try:
            client = self._hub.join(name, render)
        except TooManyClientsError:
            return Response("too many pages are open", 503, {"Retry-After": "5"})
        return _EventStream(self._hub, name, client)

    async def _fleet_fragments(self) -> Iterable[Event]:
        return await asyncio.to_thread(self._fleet_now)

    def _fleet_now(self) -> list[Event]:
        """Runs in a thread, one at a time: a large fleet takes long to draw."""
        seen, rollouts = overview(self._reader, self._now_ns(), self._own()), self._rollouts()
        trouble = self._trouble()
        order = tuple((asset.gateway, asset.asset) for asset in seen.assets)
        counts = tuple(seen.count(urgency) for urgency in Urgency)
        self._cards = {name: self._card(name, asset, seen) for asset in seen.assets if (name := card_name(asset))}
        seen_ms = {f"{a.gateway}/{a.asset}": a.last_read_ns // 1_000_000 for a in seen.assets}
        seen_ms |= {g.gateway: g.last_seen_ns // 1_000_000 for g in seen.gateways}
        return [
            self._fragment("trouble", "_trouble.html", trouble, trouble=trouble),
            self._fragment("headline", "_headline.html", counts, view=seen),
            self._fragment("cards", "_cards.html", order, view=seen),
            self._fragment("totals", "_totals.html", seen.stats, view=seen),
            self._fragment("rollouts", "_rollouts.html", rollouts, rollouts=rollouts),
            self._fragment("gateways", "_gateways.html", _still(seen), view=seen),
            *self._cards.values(),
            json_event("seen", seen_ms, tuple(seen_ms.items())),
        ]

    def _card(self, name: str, asset: Glance, seen: Overview) -> Event:
        """Drawn only where it says something new."""
        key = replace(asset, last_read_ns=0)
        known = self._cards.get(name)
        return known if known and known.key == key else self._fragment(name, "_card.html", key, view=seen, asset=asset)

    def _asset_fragments(self, found: AssetDetail, record: AssetRecord) -> Iterable[Event]:
        glance = replace(found.glance, last_read_ns=0)
        wanted = self._wanted(glance.gateway, glance.asset)
        asked = tuple(wanted["asked"].items())
        seen_ms = {f"{glance.gateway}/{glance.asset}": found.glance.last_read_ns // 1_000_000}
        return [
            self._fragment("judgement", "_judgement.html", (glance.verdict, glance.healths, found.bundles), view=found),
            self._fragment("badge", "_badge.html", (glance.urgency, glance.backlog_readings), view=found),
            self._fragment("record", "_record.html", _drawn(record), view=found, record=record),
            self._fragment(
                "alarms", "_alarms.html", (glance.alarms, glance.held, asked), view=found, asked=wanted["asked"]
            ),
            self._fragment("setpoints", "_setpoints.html", wanted["setpoints"], setpoints=wanted["setpoints"]),
            self._fragment("changes", "_changes.html", found.changes, view=found),
            self._fragment("latest", "_latest.html", found.latest, view=found),
            self._fragment("ledger", "_ledger.html", found.balance, view=found),
            self._fragment("spans", "_spans.html", found.balance.spans, view=found),
            json_event("seen", seen_ms, tuple(seen_ms.items())),
        ]

    def _fragment(self, name: str, template: str, key: Any, **values: Any) -> Event:
        return Event(name, self._render(template, **values), key)

    def _page(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        html = self._render(template, now_ms=self._now_ns() // 1_000_000, **values)
        return HTMLResponse(html, status, {"Cache-Control": "no-store"})

    def _render(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(**values)


def _drawn(record: AssetRecord) -> Any:
    """What the record's panel shows, but for the newest number, which it need not follow by the second."""
    return (
        record.scored.score.words, record.scored.score.open, record.declared, record.broken, record.sealed // 60,
        record.outcomes, len(record.episodes), round(record.read, 2),
    )  # fmt: skip


def _still(seen: Overview) -> Any:
    """The gateways without what changes by the second."""
    return tuple(replace(gateway, last_seen_ns=0) for gateway in seen.gateways)


class _EventStream(StreamingResponse):
    """Leaves its topic however the stream ends."""

    def __init__(self, hub: Hub, name: Any, client: Client) -> None:
        super().__init__(client.stream(), media_type="text/event-stream", headers=EVENT_STREAM)
        self._hub, self._name, self._client = hub, name, client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.leave(self._name, self._client)
