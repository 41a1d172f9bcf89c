"""Where people ask machines for something: commands as JSON, and alarms acknowledged by a button or as JSON.

A person's token says who asks; it stands for no signature. A command counts by the keys that its contract names alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cloud.dispatch import ordering
from cloud.dispatch.acknowledging import acknowledge
from cloud.dispatch.views import Views, plain
from cloud.store.commands import Commands
from cloud.store.reader import Reader
from cloud.web.people import People
from cloud.web.telling import ShowPage
from cloud.web.writing import (
    RefusedError,
    back,
    bearer,
    check_word,
    counted,
    form,
    json_answer,
    json_body,
    json_object,
    place,
    refused,
    signed_in,
    whole,
)
from edge.contract.command_file import parse_command
from edge.contract.downlink import Acknowledged
from edge.contract.fields import Fields
from edge.errors import ConfigError, StoreError

LIMIT_MAX = 1000
FIGURE_MAX = 1e15
"""As in a contract."""
_DRAFT = {"gateway", "contract", "value", "by", "why", "expires_s"}
_EXPIRES_S = 3600.0


class Commanding:
    """Endpoints. Without ``people`` nothing can be written, and the answer says so."""

    def __init__(
        self, reader: Reader, commands: Commands, views: Views, people: People | None, show: ShowPage, *,
        on_told: Callable[[str, str], None], now_ns: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        """``on_told`` learns, in the loop, of which gateway's asset something was asked."""
        self._reader, self._commands, self._views, self._people = reader, commands, views, people
        self._show, self._on_told, self._now_ns = show, on_told, now_ns

    async def listed(self, request: Request) -> Response:
        """Commands, the newest first, of ``gateway`` and ``asset`` where they are named."""
        query = request.query_params
        try:
            limit = min(whole(query, "limit") or 50, LIMIT_MAX)
        except RefusedError as error:
            return refused(error)
        found = await asyncio.to_thread(self._views.commands, query.get("gateway"), query.get("asset"), limit=limit)
        return json_answer([plain(one) for one in found])

    async def shown(self, request: Request) -> Response:
        """One command by the beginning of its id, with every step that its gateway told."""
        try:
            return json_answer(plain(await asyncio.to_thread(self._views.command, request.path_params["id"])))
        except ConfigError as error:
            return json_answer({"error": error.problem}, 404)

    async def drafted(self, request: Request) -> Response:
        """Takes ``gateway``, ``contract`` (id or hash), ``value``, ``why``, and, where they are to be others than the
        token's person and an hour, ``by`` and ``expires_s``; answers with the command that is to be signed.
        """
        try:
            person = bearer(self._people, request)
            fields = await json_object(request, _DRAFT)
            return json_answer(await self._draft(person, fields), 201)
        except RefusedError as error:
            return refused(error)

    async def submitted(self, request: Request) -> Response:
        """Takes a command, as it was drafted, with the signature of whoever gives it, or those of approvers."""
        try:
            person = bearer(self._people, request)
            command = _command(await json_body(request))
            held = await self._writing(
                person, lambda: ordering.submit(self._commands, command, now_ns=self._now_ns())
            )  # fmt: skip
            self._on_told(command.gateway, command.asset)
            return json_answer(plain(await asyncio.to_thread(self._views.command, held.command.id)), 201)
        except RefusedError as error:
            return refused(error)

    async def acknowledged(self, request: Request) -> Response:
        """Takes ``rule`` and ``since_ns`` of an alarm that waits to be acknowledged."""
        return await self._answered(request, resets=False)

    async def reset(self, request: Request) -> Response:
        """Takes ``rule`` and ``since_ns`` of an alarm that is acknowledged, and latched until it is reset."""
        return await self._answered(request, resets=True)

    async def _answered(self, request: Request, *, resets: bool) -> Response:
        try:
            person = bearer(self._people, request)
            fields = await json_object(request, {"rule", "since_ns"})
            rule, since_ns = str(fields.get("rule") or ""), whole(fields, "since_ns")
            is_new = await self._acknowledge(request, person, rule, since_ns, resets=resets)
            return json_answer({"asked": True, "new": is_new}, 202)
        except RefusedError as error:
            return refused(error)

    async def form(self, request: Request) -> Response:
        """A button beside an alarm, which acknowledges or resets it."""
        try:
            session = signed_in(self._people, request)
            fields = await form(request)
            check_word(session, fields)
            resets = "reset" in fields
            since, _, rule = fields.get("reset" if resets else "alarm", "").partition(" ")
            since_ns = whole({"since_ns": since}, "since_ns")
            await self._acknowledge(request, session.person, rule, since_ns, resets=resets)
        except RefusedError as error:
            page: Response = await self._show(request, error.words, {"section": "alarms"})
            page.status_code = error.status
            page.headers.update(error.headers)
            return page
        return back(request, "alarms")

    async def _draft(self, person: str, fields: Any) -> Any:
        value, expires_s = fields.get("value"), fields.get("expires_s", _EXPIRES_S)
        if any(type(figure) not in (int, float) or not abs(figure) <= FIGURE_MAX for figure in (value, expires_s)):
            raise RefusedError(400, "`value` and `expires_s` want numbers")
        try:
            found = Fields({"by": person, **fields}, "draft")
            gateway, contract, by, why = map(found.name, ("gateway", "contract", "by", "why"))
        except ValueError as error:
            raise RefusedError(400, str(error)) from error
        return await self._writing(person, lambda: ordering.draft(
            self._commands, gateway, contract, float(value), by=by, why=why, expires_s=float(expires_s),
            now_ns=self._now_ns(),
        ))  # fmt: skip

    async def _acknowledge(
        self, request: Request, person: str, rule: str, since_ns: int | None, *, resets: bool
    ) -> bool:  # fmt: skip
        gateway, asset = place(request)
        if not rule or since_ns is None:
            raise RefusedError(400, "wants `rule` and `since_ns` of an alarm")
        seen = Acknowledged(asset, rule, since_ns, person, self._now_ns(), resets=resets)
        is_new: bool = await self._writing(
            person, lambda: acknowledge(self._commands, self._reader, gateway, seen), conflict=409
        )
        self._on_told(gateway, asset)
        return is_new

    async def _writing(self, person: str, change: Callable[[], Any], *, conflict: int = 400) -> Any:
        """Do it in a thread, counted. Raises ``RefusedError`` for what cannot be done."""
        assert self._people is not None
        counted(self._people, person)
        try:
            return await asyncio.to_thread(change)
        except ConfigError as error:
            raise RefusedError(conflict, f"{error.problem}" + (f" ({error.hint})" if error.hint else "")) from error
        except StoreError as error:
            raise RefusedError(503, f"it could not be kept: {error.problem}") from error


def _command(data: bytes) -> Any:
    try:
        return parse_command(data)
    except ValueError as error:
        raise RefusedError(400, f"no command: {error}") from error
