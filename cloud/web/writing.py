"""Who writes, and what comes in: bodies, forms and tokens of people, bounded and checked, each refusal in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from cloud.web.people import People, Session, TooOftenError, has_word
from edge.http.forms import is_own

BODY_BYTES_MAX = 16 * 1024
FIELDS_MAX = 32
NOBODY = "writing is off here: start the server with `babbitt cloud serve --people FILE`; see `babbitt cloud person`"


class RefusedError(Exception):
    """Ends a request with a status and a reason in words."""

    def __init__(self, status: int, words: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.words, self.headers = status, words, dict(headers or {})
        super().__init__(words)


def writable(people: People | None, request: Request) -> People:
    """Raises ``RefusedError`` where nobody writes, or where a form comes from elsewhere."""
    if people is None:
        raise RefusedError(403, NOBODY)
    if not is_own(request):
        raise RefusedError(403, "this form was sent from another site")
    return people


def bearer(people: People | None, request: Request) -> str:
    """Whose token the request bears."""
    if people is None:
        raise RefusedError(403, NOBODY)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    person = tried(people, token.strip(), request) if scheme.lower() == "bearer" else None
    if person is None:
        words = "wants `Authorization: Bearer TOKEN` of a person; see `babbitt cloud person`"
        raise RefusedError(401, words, {"WWW-Authenticate": "Bearer"})
    return person


def tried(people: People, token: str, request: Request) -> str | None:
    try:
        return people.known(token, request)
    except TooOftenError as error:
        raise RefusedError(429, f"wrong tokens {error}", {"Retry-After": str(error.retry_after_s)}) from error


def counted(people: People, person: str) -> None:
    """One thing more that ``person`` writes."""
    try:
        people.writes(person)
    except TooOftenError as error:
        raise RefusedError(429, f"that is {error}", {"Retry-After": str(error.retry_after_s)}) from error


def signed_in(people: People | None, request: Request) -> Session:
    session = writable(people, request).session(request)
    if session is None:
        raise RefusedError(401, "enter your token first")
    return session


def check_word(session: Session, fields: Mapping[str, str]) -> None:
    if not has_word(session, fields.get("word", "")):
        raise RefusedError(403, "this form is an old one: load the page again")


async def body(request: Request) -> bytes:
    found = b""
    try:
        async for part in request.stream():
            found += part
            if len(found) > BODY_BYTES_MAX:
                raise RefusedError(413, f"more than {BODY_BYTES_MAX // 1024} kB")
    except ClientDisconnect as error:
        raise RefusedError(400, "cut short") from error
    return found


async def json_object(request: Request, known: set[str]) -> Mapping[str, Any]:
    """An object that has no other fields than the ``known`` ones."""
    found = parsed(await json_body(request))
    if not isinstance(found, dict):
        raise RefusedError(400, "wants one JSON object")
    unknown = ", ".join(sorted(set(found) - known))
    if unknown:
        raise RefusedError(400, f"knows no field {unknown[:80]}; it takes {', '.join(sorted(known))}")
    return found


async def json_body(request: Request) -> bytes:
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise RefusedError(415, "wants `Content-Type: application/json`")
    return await body(request)


def parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"not JSON: {error}") from error


async def form(request: Request) -> dict[str, str]:
    try:
        return dict(parse_qsl((await body(request)).decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX))
    except ValueError as error:
        raise RefusedError(400, f"no form of ours: {error}") from error


def whole(fields: Mapping[str, Any], name: str) -> int | None:
    """A whole number from 0 on, None where there is none."""
    found = fields.get(name)
    if found in (None, ""):
        return None
    text = str(found)
    if isinstance(found, (bool, float)) or not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise RefusedError(400, f"`{name}` wants a whole number, found {text[:40]!r}")
    if int(text) >= 2**63:
        raise RefusedError(400, f"`{name}` is too large")
    return int(text)


def place(request: Request) -> tuple[str, str]:
    return request.path_params["gateway"], request.path_params["asset"]


def back(request: Request, section: str) -> RedirectResponse:
    gateway, asset = (quote(part, safe="") for part in place(request))
    return RedirectResponse(f"/assets/{gateway}/{asset}#{section}", 303)


def json_answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    told = {"Cache-Control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(data), status, told, media_type="application/json")


def refused(error: RefusedError) -> Response:
    return json_answer({"error": error.words}, error.status, error.headers)
