"""Where people tell what became of a machine: a form on its page, and the same as JSON."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from cloud.fleet.record import AssetRecord, Records
from cloud.store.outcomes import Kind, NotTakenError, Outcome, State, Told
from cloud.store.reader import Reader
from cloud.web.people import People, Session, TooOftenError, has_word, is_own
from edge.errors import StoreError

BODY_BYTES_MAX = 16 * 1024
FIELDS_MAX = 32
NOBODY = "writing is off here: start the server with `babbitt cloud serve --people FILE`; see `babbitt cloud person`"

ShowPage = Callable[[Request, str, Mapping[str, str]], Any]
"""Renders the asset's page again, with what is wrong in words and what was typed; a coroutine."""


class _RefusedError(Exception):
    def __init__(self, status: int, words: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.words, self.headers = status, words, dict(headers or {})
        super().__init__(words)


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
        gateway, asset = _place(request)
        if not await self._is_known(gateway, asset):
            return _json({"error": "no such asset"}, 404)
        return _json(plain(await asyncio.to_thread(self._records.of, gateway, asset)))

    async def told(self, request: Request) -> Response:
        """Takes a JSON object: ``kind``, ``at`` (ISO 8601) or ``at_ns``, and, where they are known, ``cost``,
        ``downtime_h``, ``words``, ``alarm_ns``; to correct one, its ``number`` and ``revision``, and ``state``.
        """
        try:
            person = self._bearer(request)
            fields = await _object(request)
            return _json(await self._take(request, person, fields), 201)
        except _RefusedError as refused:
            return _json({"error": refused.words}, refused.status, refused.headers)

    async def form(self, request: Request) -> Response:
        fields: dict[str, str] = {}
        try:
            session = self._signed_in(request)
            fields = await _form(request)
            if not has_word(session, fields.get("word", "")):
                raise _RefusedError(403, "this form is an old one: load the page again")
            await self._take(request, session.person, fields)
        except _RefusedError as refused:
            page: Response = await self._show(request, refused.words, fields)
            page.status_code = refused.status
            page.headers.update(refused.headers)
            return page
        return _back(request)

    async def sign_in(self, request: Request) -> Response:
        """The token once, for a cookie."""
        try:
            people = self._writable(request)
            fields = await _form(request)
            token = fields.get("token", "").strip()
            person = _tried(people, token, request)
            if person is None:
                raise _RefusedError(403, "that is nobody's token; see `babbitt cloud person`")
        except _RefusedError as refused:
            page: Response = await self._show(request, refused.words, {})
            page.status_code = refused.status
            page.headers.update(refused.headers)
            return page
        answer = _back(request)
        people.sign_in(person, token, answer, secure=request.url.scheme == "https")
        return answer

    async def sign_out(self, request: Request) -> Response:
        answer = _back(request)
        if self._people is not None and is_own(request):
            self._people.sign_out(request, answer)
        return answer

    def session(self, request: Request) -> Session | None:
        return self._people.session(request) if self._people is not None else None

    @property
    def is_on(self) -> bool:
        return self._people is not None

    async def _take(self, request: Request, person: str, fields: Mapping[str, Any]) -> Outcome:
        assert self._people is not None
        gateway, asset = _place(request)
        if not await self._is_known(gateway, asset):
            raise _RefusedError(404, "no such asset")
        told, number, revision = told_of(fields)
        try:
            self._people.writes(person)
            made = await asyncio.to_thread(self._write, gateway, asset, told, number, revision, person)
        except TooOftenError as error:
            raise _RefusedError(429, f"that is {error}", {"Retry-After": str(error.retry_after_s)}) from error
        except NotTakenError as error:
            raise _RefusedError(409 if error.hint else 400, error.problem) from error
        except StoreError as error:
            raise _RefusedError(503, f"it could not be kept: {error.problem}") from error
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

    def _writable(self, request: Request) -> People:
        if self._people is None:
            raise _RefusedError(403, NOBODY)
        if not is_own(request):
            raise _RefusedError(403, "this form was sent from another site")
        return self._people

    def _signed_in(self, request: Request) -> Session:
        session = self._writable(request).session(request)
        if session is None:
            raise _RefusedError(401, "enter your token first")
        return session

    def _bearer(self, request: Request) -> str:
        if self._people is None:
            raise _RefusedError(403, NOBODY)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        person = _tried(self._people, token.strip(), request) if scheme.lower() == "bearer" else None
        if person is None:
            words = "wants `Authorization: Bearer TOKEN` of a person; see `babbitt cloud person`"
            raise _RefusedError(401, words, {"WWW-Authenticate": "Bearer"})
        return person

    async def _is_known(self, gateway: str, asset: str) -> bool:
        return await asyncio.to_thread(self._reader.asset, gateway, asset) is not None


def told_of(fields: Mapping[str, Any]) -> tuple[Told, int, int]:
    """What a form or an object says, and the number and revision that it corrects, 0 for a new one."""
    if any("\ud800" <= letter <= "\udfff" for letter in str(fields.get("words") or "")):
        raise _RefusedError(400, "`words` holds half of a character, which cannot be kept")
    number, revision = _whole(fields, "number") or 0, _whole(fields, "revision") or 0
    state = str(fields.get("state") or (State.CORRECTED if number else State.CONFIRMED))
    kind = str(fields.get("kind") or "")
    if kind not in list(Kind):
        raise _RefusedError(400, f"`kind` wants one of {', '.join(Kind)}")
    if state not in list(State):
        raise _RefusedError(400, f"`state` wants one of {', '.join(State)}")
    told = Told(
        at_ns=_at_ns(fields), kind=Kind(kind), state=State(state), cost=_number(fields, "cost"),
        downtime_h=_number(fields, "downtime_h"), words=str(fields.get("words") or "").strip(),
        alarm_ns=_whole(fields, "alarm_ns"),
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


def _tried(people: People, token: str, request: Request) -> str | None:
    try:
        return people.known(token, request)
    except TooOftenError as error:
        raise _RefusedError(429, f"wrong tokens {error}", {"Retry-After": str(error.retry_after_s)}) from error


def _place(request: Request) -> tuple[str, str]:
    return request.path_params["gateway"], request.path_params["asset"]


def _back(request: Request) -> RedirectResponse:
    gateway, asset = (quote(part, safe="") for part in _place(request))
    return RedirectResponse(f"/assets/{gateway}/{asset}#outcomes", 303)


async def _body(request: Request) -> bytes:
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > BODY_BYTES_MAX:
                raise _RefusedError(413, f"more than {BODY_BYTES_MAX // 1024} kB")
    except ClientDisconnect as error:
        raise _RefusedError(400, "cut short") from error
    return body


async def _object(request: Request) -> Mapping[str, Any]:
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise _RefusedError(415, "wants `Content-Type: application/json`")
    try:
        found = json.loads(await _body(request))
    except (ValueError, RecursionError) as error:
        raise _RefusedError(400, f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise _RefusedError(400, "wants one JSON object")
    unknown = ", ".join(sorted(set(found) - _FIELDS))
    if unknown:
        raise _RefusedError(400, f"knows no field {unknown[:80]}; it takes {', '.join(sorted(_FIELDS))}")
    return found


_FIELDS = {
    "at", "at_ns", "kind", "state", "cost", "downtime_h", "words", "alarm_ns", "number", "revision",
}  # fmt: skip


async def _form(request: Request) -> dict[str, str]:
    try:
        return dict(parse_qsl((await _body(request)).decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX))
    except ValueError as error:
        raise _RefusedError(400, f"no form of ours: {error}") from error


def _at_ns(fields: Mapping[str, Any]) -> int:
    if fields.get("at_ns") not in (None, ""):
        return _whole(fields, "at_ns") or 0
    text = str(fields.get("at") or "")
    try:
        at = datetime.fromisoformat(text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000) * 1_000_000
    except (ValueError, OverflowError) as error:
        raise _RefusedError(400, f"`at` wants a time such as 2026-11-29T05:30Z, found {text[:40]!r}") from error


def _whole(fields: Mapping[str, Any], name: str) -> int | None:
    found = fields.get(name)
    if found in (None, ""):
        return None
    text = str(found)
    if isinstance(found, (bool, float)) or not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise _RefusedError(400, f"`{name}` wants a whole number, found {text[:40]!r}")
    if int(text) >= 2**63:
        raise _RefusedError(400, f"`{name}` is too large")
    return int(text)


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
        raise _RefusedError(400, f"`{name}` wants a number such as 8400 or 6.5, found {str(found)[:40]!r}")
    return figure


def _json(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    told = {"Cache-Control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(data), status, told, media_type="application/json")
