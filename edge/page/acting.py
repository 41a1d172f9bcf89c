"""What an operator may do about an alarm or an advice: forms, each with the session's word, told to the gateway.

The gateway decides and records, with the person's name; what it refuses is shown in its own words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from edge.errors import BabbittError
from edge.http.forms import is_own
from edge.page.advice import advice
from edge.page.alarms import AlarmRow, alarm
from edge.page.drawing import Drawing
from edge.page.forms import fields_of
from edge.page.guards import FRESH
from edge.page.people import People, Session, has_word, name_of, remember
from edge.page.tries import LockedError
from edge.page.watching import Watching

WHY_CHARS_MAX = 200
SHELVE_MIN = {"30": "30 min", "60": "1 h", "240": "4 h", "480": "8 h", "once": "until it returns to normal"}


@dataclass(frozen=True, slots=True)
class Act:
    """``wants`` names the fields that its form has beside those of all; ``done`` is said when it was."""

    title: str
    done: str
    wants: tuple[str, ...] = ()


ACTS = {
    "acknowledge": Act("Acknowledge", "acknowledged"),
    "reset": Act("Reset", "reset"),
    "shelve": Act("Shelve", "shelved", ("why", "for")),
    "unshelve": Act("Unshelve", "back from the shelf"),
    "out_of_service": Act("Take out of service", "out of service", ("why",)),
    "in_service": Act("Put back into service", "back in service"),
}


def acts_for(row: AlarmRow) -> dict[str, Act]:
    """What may be done about an alarm as it stands, the likeliest first."""
    may = {
        "acknowledge": row.state in ("unacknowledged", "returned"), "reset": row.latched,
        "shelve": not row.held, "unshelve": row.held == "shelved", "out_of_service": row.held != "out of service",
        "in_service": row.held == "out of service",
    }  # fmt: skip
    return {name: act for name, act in ACTS.items() if may[name]}


class Acting:
    """Routes."""

    def __init__(self, drawing: Drawing, watching: Watching, people: People) -> None:
        self._drawing, self._watching, self._people = drawing, watching, people

    async def alarm(self, request: Request) -> Response:
        """One alarm with what may be done about it."""
        return await self._alarm(request)

    async def act(self, request: Request) -> Response:
        asset, rule = request.path_params["asset"], request.path_params["rule"]
        fields = await fields_of(request)
        act = fields.get("act", "")
        if act not in ACTS:
            raise HTTPException(400)

        arguments, missing = _arguments(act, fields)
        if missing:
            return await self._alarm(request, missing, 400)

        async def do(by: str) -> Mapping[str, Any]:
            return await self._watching.tell(act, asset=asset, rule=rule, by=by, **arguments)

        again = f"/alarms/{quote(asset, safe='')}/{quote(rule, safe='')}"
        return await self._done(request, fields, do, f"{again}?done={act}", self._alarm)

    async def advice(self, request: Request) -> Response:
        return await self._advice(request)

    async def advised(self, request: Request) -> Response:
        """The operator's word on an advice: done by hand, or it will not be."""
        fields = await fields_of(request)
        done = {"done": True, "declined": False}.get(fields.get("act", ""))
        if done is None:
            raise HTTPException(400)

        async def do(by: str) -> Mapping[str, Any]:
            why = fields.get("why", "")[:WHY_CHARS_MAX]
            return await self._watching.tell("advised", digest=request.path_params["id"], done=done, by=by, why=why)

        return await self._done(request, fields, do, f"/?done={fields['act']}", self._advice)

    async def person(self, request: Request) -> Response:
        """The form to sign in by."""
        return self._person(request, "")

    async def sign_in(self, request: Request) -> Response:
        fields = await fields_of(request)
        session, key, said, status = await self._known(request, fields)
        if session is None:
            return self._person(request, said, status)
        return _redirected("/", key)

    async def sign_out(self, request: Request) -> Response:
        fields = await fields_of(request)
        session = self._people.session(request)
        if session is None or not has_word(session, fields.get("word", "")):
            raise HTTPException(403)
        response = _redirected("/", None)
        self._people.sign_out(request, response)
        return response

    async def _done(
        self,
        request: Request,
        fields: Mapping[str, str],
        do: Callable[[str], Any],
        then: str,
        again: Callable[..., Any],
    ) -> Response:
        """Have it done by who signed in, or signs in with the same form; what is refused is said on the same page."""
        session, key, said, status = await self._known(request, fields)
        if session is None:
            return await again(request, said, status)  # type: ignore[no-any-return]
        try:
            told = await do(session.name)
        except BabbittError as error:
            response: Response = await again(request, f"Not done: {error.problem}. {error.hint}", 409, session)
        else:
            nothing = 0 in (told.get("acknowledged"), told.get("changed"))
            response = _redirected(f"{then}&nothing" if nothing else then, None)
        if key is not None:
            remember(response, key)
        return response

    async def _known(
        self, request: Request, fields: Mapping[str, str]
    ) -> tuple[Session | None, str | None, str, int]:  # fmt: skip
        """Whose form it is, with a new session's key; or why nobody's, and the status of that answer."""
        if not is_own(request):
            return None, None, "This form comes from another page", 403
        session = self._people.session(request)
        if session is not None and not fields.get("pin"):
            if has_word(session, fields.get("word", "")):
                return session, None, "", 200
            return None, None, "This form is not of this session: do it again", 403
        if not self._people.may_act:
            return None, None, "This page is read-only: no PIN is set", 403
        name = name_of(fields.get("name", ""))
        if not name or not fields.get("pin"):
            return None, None, "Say your name and the PIN", 400
        try:
            found = await self._people.sign_in(name, fields["pin"], request)
        except LockedError as error:
            return None, None, f"Not looked at: {error}", 429
        if found is None:
            return None, None, "This is not the PIN", 403
        return found[1], found[0], "", 200

    async def _alarm(
        self, request: Request, said: str = "", status: int = 200, session: Session | None = None
    ) -> Response:  # fmt: skip
        look = await self._watching.fresh()
        asset, rule = request.path_params["asset"], request.path_params["rule"]
        row = alarm(look, asset, rule)
        done, good = _said_of(request, {name: act.done for name, act in ACTS.items()}), not said
        if row is None and not (done or said):
            raise HTTPException(404)
        return self._form(
            request, "alarm.html", status, session, look=look, row=row, asset=asset, rule=rule, said=said or done,
            good=good, holding=status == 400, offered=acts_for(row) if row is not None else {}, times=SHELVE_MIN,
        )  # fmt: skip

    async def _advice(
        self, request: Request, said: str = "", status: int = 200, session: Session | None = None
    ) -> Response:  # fmt: skip
        look = await self._watching.fresh()
        row = next((one for one in advice(look) if one.id == request.path_params["id"]), None)
        if row is None and not said:
            raise HTTPException(404)
        return self._form(request, "advice.html", status, session, look=look, row=row, said=said, good=not said)

    def _person(self, request: Request, said: str, status: int = 200) -> Response:
        if not self._people.may_act:
            raise HTTPException(404)
        return self._form(request, "person.html", status, None, said=said, good=False)

    def _form(self, request: Request, template: str, status: int, session: Session | None, **told: Any) -> Response:
        session = session or self._people.session(request)
        html = self._drawing.page(template, acts=self._people.may_act, session=session, why_max=WHY_CHARS_MAX, **told)
        return HTMLResponse(html, status, FRESH)


def _arguments(act: str, fields: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """What the gateway is told beside the name, and what is missing from the form, or empty."""
    wants = ACTS[act].wants
    why, lasting = fields.get("why", "").strip()[:WHY_CHARS_MAX], fields.get("for", "")
    if "why" in wants and not why:
        return {}, "Say why, for whoever looks for this alarm"
    if "for" in wants and lasting not in SHELVE_MIN:
        return {}, "Say for how long"
    found: dict[str, Any] = {"why": why} if "why" in wants else {}
    since = fields.get("since", "")
    if act == "acknowledge" and since.isascii() and since.isdigit():
        found["since_ns"] = int(since)
    if "for" in wants:
        found |= {"once": True} if lasting == "once" else {"for_s": int(lasting) * 60}
    return found, ""


def _said_of(request: Request, done: Mapping[str, str]) -> str:
    """What an address says was done: words of ours, whatever stands there."""
    act = done.get(request.query_params.get("done", ""))
    if act is None:
        return ""
    return "There was nothing to do any more" if "nothing" in request.query_params else f"{act[0].upper()}{act[1:]}"


def _redirected(to: str, key: str | None) -> Response:
    response = RedirectResponse(to, 303, FRESH)
    if key is not None:
        remember(response, key)
    return response
