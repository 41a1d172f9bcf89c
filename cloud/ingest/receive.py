"""``POST /api/v1/blocks``: who sends, how much, and what is answered. Storing is the worker's.

A gateway is told that a block is held only after the commit that made it durable. Bounded: requests under way and their
bytes, together and of each gateway, and the bytes and seconds of a body. A gateway that is asked to wait (429 or 503
with Retry-After) keeps what it has. The event loop never waits for the disk.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Collection

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from cloud.ingest.admission import Admission, Place, TurnedAwayError
from cloud.ingest.group import Answer, Arrived, RefusedError, Told, TooLateError
from cloud.ingest.identity import Identity, UnknownSenderError, WrongSenderError
from cloud.ingest.worker import Worker, nobody
from cloud.store.writer import Refusal, StoreBusyError, Writer
from edge.contract import exchange

__all__ = ["Arrived", "Receiver"]

CONTENT_TYPE = "application/vnd.babbitt.blocks"
BODY_BYTES_MAX = 8 * 1024 * 1024
BODY_TIMEOUT_S = 30.0
RETRY_AFTER_S = 1
CONGESTED_RETRY_AFTER_S = 5
_EPOCH = re.compile(r"^[0-9a-f]{32}$")

log = logging.getLogger(__name__)


class _EarlyAnswerError(Exception):
    """Ends a request early with a status and a reason."""

    def __init__(self, status: int, error: str, *, refusal: str = "") -> None:
        super().__init__(error)
        self.status, self.refusal = status, refusal


class Receiver:
    """``on_arrived`` and ``on_derived`` are called in the event loop, as ``Worker`` says."""

    def __init__(
        self,
        writer: Writer,
        identity: Identity,
        on_arrived: Callable[[Arrived], None],
        *,
        now_ns: Callable[[], int] = time.time_ns,
        admission: Admission | None = None,
        issued: Callable[[str], int] | None = None,
        on_derived: Callable[[Collection[str]], None] = nobody,
    ) -> None:
        """``issued`` says at once when something was last decided about a gateway; each answer tells it."""
        self._identity, self._admission, self._issued = identity, admission or Admission(), issued
        self._worker = Worker(writer, on_arrived, on_derived=on_derived, now_ns=now_ns)
        self.unauthorised = 0

    def close(self) -> None:
        """Wait for what is being stored."""
        self._worker.close()

    async def blocks(self, request: Request) -> Response:
        """The endpoint."""
        try:
            gateway = self._identity.sender(request)
        except UnknownSenderError as unknown:
            self.unauthorised += 1
            return _error(401, str(unknown), WWW_Authenticate="Bearer")
        except WrongSenderError as wrong:
            self.unauthorised += 1
            return _error(403, str(wrong))
        try:
            with self._admission.enter(gateway) as place:
                return self._hinting(gateway, _json(await self._taken(request, gateway, place)))
        except _EarlyAnswerError as early:
            if early.refusal:
                await self._count(gateway, Refusal(early.refusal, str(early)))
            return _error(early.status, str(early))
        except TurnedAwayError as away:
            return _error(away.status, str(away), Retry_After=str(away.retry_after_s))
        except RefusedError as refused:
            return _error(refused.status, str(refused))
        except TooLateError:
            return _error(503, "more waits than can be stored in time", Retry_After=str(CONGESTED_RETRY_AFTER_S))
        except StoreBusyError as busy:
            return _error(503, f"the store takes nothing now: {busy}", Retry_After=str(RETRY_AFTER_S))
        except ClientDisconnect:
            return Response(status_code=400)

    def _hinting(self, gateway: str, response: Response) -> Response:
        if self._issued is not None:
            response.headers[exchange.ISSUED] = str(self._issued(gateway))
        return response

    async def _taken(self, request: Request, gateway: str, place: Place) -> Answer:
        if self._worker.is_congested(live=request.headers.get("babbitt-lane") != "backlog"):
            raise TooLateError
        body = await _body(request, place)
        _check_digest(request, body)
        return await self._worker.submit(_told(request, gateway), body)

    async def _count(self, gateway: str, refusal: Refusal) -> None:
        try:
            await self._worker.refuse(gateway, refusal)
        except StoreBusyError as busy:
            log.warning("a refusal (%s) of %s is not counted: %s", refusal.kind, gateway, busy)


def _json(answer: Answer) -> Response:
    ack = answer.ack
    return _sealed(JSONResponse({
        "epoch": ack.epoch, "through": ack.through, "also": ack.also, "refused": ack.refused,
        "unreadable": answer.unreadable, "wants": ack.wants,
    }))  # fmt: skip


def _check_digest(request: Request, body: bytes) -> None:
    """Before anything that the request says is believed, or refused for good. Gateways of old send none."""
    claimed = request.headers.get(exchange.HEADER)
    if claimed is not None and claimed != exchange.digest_of(request.headers, body):
        raise _EarlyAnswerError(422, "the request was altered on the way: send it again", refusal="altered request")


def _told(request: Request, gateway: str) -> Told:
    if request.headers.get("content-type", "").partition(";")[0].strip() != CONTENT_TYPE:
        raise _EarlyAnswerError(400, f"wants content type {CONTENT_TYPE}", refusal="malformed body")
    epoch = request.headers.get("babbitt-epoch", "")
    if not _EPOCH.match(epoch):
        raise _EarlyAnswerError(400, "Babbitt-Epoch wants 32 hex digits", refusal="malformed body")
    lane = request.headers.get("babbitt-lane", "live")
    if lane not in ("live", "backlog"):
        raise _EarlyAnswerError(400, "Babbitt-Lane wants live or backlog", refusal="malformed body")
    return Told(
        gateway, epoch, live=lane == "live", oldest=_count(request, "babbitt-oldest"),
        backlog_blocks=_count(request, "babbitt-backlog-blocks"),
        backlog_readings=_count(request, "babbitt-backlog-readings"),
    )  # fmt: skip


def _count(request: Request, header: str) -> int:
    text = request.headers.get(header, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise _EarlyAnswerError(400, f"{header} wants a count", refusal="malformed body")
    return int(text)


async def _body(request: Request, place: Place) -> bytes:
    """The body, never holding more than the limit, nor more than there is a place for."""
    length = int(request.headers.get("content-length", "0") or 0)
    if length > BODY_BYTES_MAX:
        raise _too_large()
    place.hold(length)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.stream():
                size += len(part)
                if size > BODY_BYTES_MAX:
                    raise _too_large()
                place.hold(size)
                parts.append(part)
    except TimeoutError as error:
        raise _EarlyAnswerError(408, f"the body took longer than {BODY_TIMEOUT_S:.0f} s") from error
    return b"".join(parts)


def _too_large() -> _EarlyAnswerError:
    return _EarlyAnswerError(413, f"a request may hold {BODY_BYTES_MAX} bytes", refusal="oversized")


def _error(status: int, error: str, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return _sealed(JSONResponse({"error": error}, status, named))


def _sealed(response: Response) -> Response:
    response.headers[exchange.HEADER] = exchange.digest_of({}, bytes(response.body))
    return response
