"""Where people tell what became of a machine: a form on its page, and the same as JSON."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cloud.fleet.record import AssetRecord, Records
from cloud.store.outcomes import Kind, NotTakenError, Outcome, State, Told
from cloud.store.reader import Reader
from cloud.web.people import People
from cloud.web.writing import (
    RefusedError,
    back,
    bearer,
    check_word,
    counted,
    form,
    json_answer,
    json_object,
    place,
    refused,
    signed_in,
    tried,
    whole,
    writable,
)
from edge.errors import StoreError
from edge.http.forms import is_own

ShowPage = Callable[[Request, str, Mapping[str, str]], Any]
"""Renders the asset's page again, with what is wrong in words and what was typed; a coroutine."""


class Telling:
    """Endpoints. Without ``people`` nothing can be written, and the answer says so."""

    def __init__(
        self, reader: Reader, records: Records, people: People | None, show: ShowPage, *,
        on_told: Callable[[str, str], None] = lambda _gateway, _asset: None, now_ns: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        """``on_told`` learns, in the loop, of which gateway's asset something was told."""
        self._reader, self._records, self._people, self._show = reader, records, people, show
        self._on_told, self._now_ns = on_told, now_ns

    async def listed(self, request: Request) -> Response:
        gateway, asset = place(request)
        if not await self._is_known(gateway, asset):
            return json_answer({"error": "no such asset"}, 404)
        return json_answer(plain(await asyncio.to_thread(self._records.of, gateway, asset)))

    async def told(self, request: Request) -> Response:
        """Takes a JSON object: ``kind``, ``at`` (ISO 8601) or ``at_ns``, and, where they are known, ``cost``,
        ``downtime_h``, ``words``, ``alarm_ns``; to correct one, its ``number`` and ``revision``, and ``state``.
        """
        try:
            person = bearer(self._people, request)
            fields = await json_object(request, _FIELDS)
            return json_answer(await self._take(request, person, fields), 201)
        except RefusedError as error:
            return refused(error)

    async def form(self, request: Request) -> Response:
        fields: dict[str, str] = {}
        try:
            session = signed_in(self._people, request)
            fields = await form(request)
            check_word(session, fields)
            await self._take(request, session.person, fields)
        except RefusedError as error:
            return await self._shown(request, error, fields)
        return back(request, "outcomes")

    async def sign_in(self, request: Request) -> Response:
        """The token once, for a cookie."""
        try:
            people = writable(self._people, request)
            fields = await form(request)
            token = fields.get("token", "").strip()
            person = tried(people, token, request)
            if person is None:
                raise RefusedError(403, "that is nobody's token; see `babbitt cloud person`")
        except RefusedError as error:
            return await self._shown(request, error, {})
        answer = back(request, "outcomes")
        people.sign_in(person, token, answer, secure=request.url.scheme == "https")
        return answer

    async def sign_out(self, request: Request) -> Response:
        answer = back(request, "outcomes")
        if self._people is not None and is_own(request):
            self._people.sign_out(request, answer)
        return answer

    async def _shown(self, request: Request, error: RefusedError, fields: Mapping[str, str]) -> Response:
        page: Response = await self._show(request, error.words, fields)
        page.status_code = error.status
        page.headers.update(error.headers)
        return page

    async def _take(self, request: Request, person: str, fields: Mapping[str, Any]) -> Outcome:
        assert self._people is not None
        gateway, asset = place(request)
        if not await self._is_known(gateway, asset):
            raise RefusedError(404, "no such asset")
        told, number, revision = told_of(fields)
        counted(self._people, person)
        try:
            made = await asyncio.to_thread(self._write, gateway, asset, told, number, revision, person)
        except NotTakenError as error:
            raise RefusedError(409 if error.hint else 400, error.problem) from error
        except StoreError as error:
            raise RefusedError(503, f"it could not be kept: {error.problem}") from error
        self._on_told(gateway, asset)
        return made

    def _write(self, gateway: str, asset: str, told: Told, number: int, revision: int, person: str) -> Outcome:
        outcomes, now_ns = self._records.outcomes, self._now_ns()
        self._records.recount()
        if not number:
            return outcomes.tell(gateway, asset, told, by=person, now_ns=now_ns)
        before = next((one for one in outcomes.newest(gateway, asset) if one.number == number), None)
        if before is None:
            raise NotTakenError(f"{gateway}/{asset}", f"nothing was told under number {number}")
        if before.revision != revision:
            hint = "look at it again, then correct what stands there now"
            raise NotTakenError(f"{gateway}/{asset}", "somebody has corrected it meanwhile", hint)
        return outcomes.correct(before, told, by=person, now_ns=now_ns)

    async def _is_known(self, gateway: str, asset: str) -> bool:
        return await asyncio.to_thread(self._reader.asset, gateway, asset) is not None


def told_of(fields: Mapping[str, Any]) -> tuple[Told, int, int]:
    """What a form or an object says, and the number and revision that it corrects, 0 for a new one."""
    if any("\ud800" <= letter <= "\udfff" for letter in str(fields.get("words") or "")):
        raise RefusedError(400, "`words` holds half of a character, which cannot be kept")
    number, revision = whole(fields, "number") or 0, whole(fields, "revision") or 0
    state = str(fields.get("state") or (State.CORRECTED if number else State.CONFIRMED))
    kind = str(fields.get("kind") or "")
    if kind not in list(Kind):
        raise RefusedError(400, f"`kind` wants one of {', '.join(Kind)}")
    if state not in list(State):
        raise RefusedError(400, f"`state` wants one of {', '.join(State)}")
    told = Told(
        at_ns=_at_ns(fields), kind=Kind(kind), state=State(state), cost=_number(fields, "cost"),
        downtime_h=_number(fields, "downtime_h"), words=str(fields.get("words") or "").strip(),
        alarm_ns=whole(fields, "alarm_ns"),
    )  # fmt: skip
    return told, number, revision


def plain(record: AssetRecord) -> dict[str, Any]:
    """For JSON: what was told, every revision of it, and the alarms that nobody has answered."""
    return {
        "outcomes": record.outcomes, "history": record.history,
        "proposed": [
            {
                "state": State.PROPOSED, "alarm_ns": one.episode.from_ns, "to_ns": one.episode.to_ns,
                "open": one.episode.is_open, "worst": one.episode.worst, "bundle": one.episode.bundle,
            }
            for one in record.scored.proposals
        ],
    }  # fmt: skip


_FIELDS = {
    "at", "at_ns", "kind", "state", "cost", "downtime_h", "words", "alarm_ns", "number", "revision",
}  # fmt: skip


def _at_ns(fields: Mapping[str, Any]) -> int:
    if fields.get("at_ns") not in (None, ""):
        return whole(fields, "at_ns") or 0
    text = str(fields.get("at") or "")
    try:
        at = datetime.fromisoformat(text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000) * 1_000_000
    except (ValueError, OverflowError) as error:
        raise RefusedError(400, f"`at` wants a time such as 2026-11-29T05:30Z, found {text[:40]!r}") from error


_DIGITS_MAX = 24


def _number(fields: Mapping[str, Any], name: str) -> float | None:
    found = fields.get(name)
    if found in (None, ""):
        return None
    try:
        figure = math.nan if isinstance(found, bool) or len(str(found)) > _DIGITS_MAX else float(found)
    except (TypeError, ValueError):
        figure = math.nan
    if not math.isfinite(figure):
        # A comma is a decimal point to some and a mark of thousands to others: money is not guessed at.
        raise RefusedError(400, f"`{name}` wants a number such as 8400 or 6.5, found {str(found)[:40]!r}")
    return figure
