"""``POST /api/v1/blocks``: verify, store once by key, commit, and only then acknowledge.

Bounded: requests in flight, bytes and seconds a body. A gateway that is asked to wait (503 with Retry-After) keeps what
it has. SQLite is touched by one thread of its own; the event loop never waits for the disk.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from cloud.ingest.tokens import Tokens
from cloud.ingest.verify import ForeignBlockError, Suspects, Verified, verify
from cloud.store.writer import Refusal, Seen, StoreBusyError, Writer
from edge.contract.block import Block, unpack_frames
from edge.contract.types import Ack
from edge.errors import BlockError

CONTENT_TYPE = "application/vnd.babbitt.blocks"
BODY_BYTES_MAX = 8 * 1024 * 1024
BODY_TIMEOUT_S = 30.0
FRAMES_MAX = 4096
IN_FLIGHT_MAX = 16
RETRY_AFTER_S = 1
_EPOCH = re.compile(r"^[0-9a-f]{32}$")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrived:
    """Blocks that have just become durable."""

    gateway: str
    at_ns: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class _Told:
    """What the request's headers say."""

    gateway: str
    epoch: str
    backlog_blocks: int
    backlog_readings: int
    oldest: int
    live: bool


class _EarlyAnswerError(Exception):
    """Ends a request early with a status and a reason."""

    def __init__(self, status: int, error: str, *, refusal: str = "", retry: bool = False) -> None:
        super().__init__(error)
        self.status, self.refusal, self.retry = status, refusal, retry


class Receiver:
    """``on_arrived`` is called in the event loop after each commit that stored something new."""

    def __init__(
        self,
        writer: Writer,
        tokens: Tokens,
        on_arrived: Callable[[Arrived], None],
        *,
        now_ns: Callable[[], int] = time.time_ns,
        in_flight_max: int = IN_FLIGHT_MAX,
    ) -> None:
        self._writer, self._tokens, self._on_arrived, self._now_ns = writer, tokens, on_arrived, now_ns
        self._in_flight, self._in_flight_max = 0, in_flight_max
        self._suspects = Suspects()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-writer")
        self._busy = False
        self.unauthorised = 0

    def close(self) -> None:
        """Wait for what is being stored."""
        self._thread.shutdown(wait=True)

    async def blocks(self, request: Request) -> Response:
        """The endpoint."""
        if self._in_flight >= self._in_flight_max:
            return _error(_EarlyAnswerError(503, "too many requests at once", retry=True))
        self._in_flight += 1
        gateway = ""
        try:
            gateway = self._authorised(request)
            told = _told(request, gateway)
            ack = await self._stored(told, await _body(request))
        except _EarlyAnswerError as answer:
            if gateway and answer.refusal:
                await self._count_refusal(gateway, Refusal(answer.refusal, str(answer)))
            return _error(answer)
        except ClientDisconnect:
            return Response(status_code=400)
        finally:
            self._in_flight -= 1
        return JSONResponse(ack)

    def _authorised(self, request: Request) -> str:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        claimed = request.headers.get("babbitt-gateway", "")
        owner = self._tokens.owner(token.strip(), claimed) if scheme.lower() == "bearer" and token else None
        if owner is None:
            self.unauthorised += 1
            raise _EarlyAnswerError(401, "a gateway's token is needed: Authorization: Bearer TOKEN")
        if claimed != owner:
            raise _EarlyAnswerError(403, f"the token is not that of gateway {claimed!r}")
        return owner

    async def _stored(self, told: _Told, body: bytes) -> dict[str, object]:
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._thread, self._store, loop, told, body)
        except StoreBusyError as busy:
            if not self._busy:
                log.error("the store takes nothing: %s", busy)
            self._busy = True
            raise _EarlyAnswerError(503, f"the store takes nothing now: {busy}", retry=True) from busy
        if self._busy:
            log.warning("the store takes blocks again")
        self._busy = False
        return answer

    def _store(self, loop: asyncio.AbstractEventLoop, told: _Told, body: bytes) -> dict[str, object]:
        """Runs in the writer's thread."""
        try:
            frames = unpack_frames(body, frames_max=FRAMES_MAX, frame_bytes_max=BODY_BYTES_MAX)
            found = verify(frames, gateway=told.gateway, epoch=told.epoch, store=self._writer, suspects=self._suspects)
        except BlockError as error:
            raise _EarlyAnswerError(400, f"the body is malformed: {error.problem}", refusal="malformed body") from error
        except ForeignBlockError as error:
            raise _EarlyAnswerError(403, str(error), refusal="another gateway's") from error
        seen = _seen(told, found, self._now_ns())
        through = self._writer.store(
            told.gateway, told.epoch, found.fresh, seen, dictionaries=tuple(found.dictionaries.items()),
            oldest=told.oldest, duplicates=found.duplicates, refusals=found.refusals,
        )  # fmt: skip
        arrived = Arrived(told.gateway, seen.at_ns, tuple(block for _, block in found.fresh))
        loop.call_soon_threadsafe(self._on_arrived, arrived)
        also = tuple(sorted(seq for seq in found.held if seq > through))
        ack = Ack(told.epoch, through, also, tuple(found.refused), tuple(digest.hex() for digest in found.wants))
        return {
            "epoch": ack.epoch, "through": ack.through, "also": ack.also, "refused": ack.refused,
            "unreadable": found.unreadable, "wants": ack.wants,
        }  # fmt: skip

    async def _count_refusal(self, gateway: str, refusal: Refusal) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._writer.refuse, gateway, refusal, self._now_ns())
        except StoreBusyError as busy:
            log.warning("a refusal (%s) of %s is not counted: %s", refusal.kind, gateway, busy)


def _told(request: Request, gateway: str) -> _Told:
    if request.headers.get("content-type", "").partition(";")[0].strip() != CONTENT_TYPE:
        raise _EarlyAnswerError(400, f"wants content type {CONTENT_TYPE}", refusal="malformed body")
    epoch = request.headers.get("babbitt-epoch", "")
    if not _EPOCH.match(epoch):
        raise _EarlyAnswerError(400, "Babbitt-Epoch wants 32 hex digits", refusal="malformed body")
    lane = request.headers.get("babbitt-lane", "live")
    if lane not in ("live", "backlog"):
        raise _EarlyAnswerError(400, "Babbitt-Lane wants live or backlog", refusal="malformed body")
    return _Told(
        gateway, epoch, live=lane == "live", oldest=_count(request, "babbitt-oldest"),
        backlog_blocks=_count(request, "babbitt-backlog-blocks"),
        backlog_readings=_count(request, "babbitt-backlog-readings"),
    )  # fmt: skip


def _count(request: Request, header: str) -> int:
    text = request.headers.get(header, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise _EarlyAnswerError(400, f"{header} wants a count", refusal="malformed body")
    return int(text)


def _seen(told: _Told, found: Verified, at_ns: int) -> Seen:
    """What still waits on the gateway once this request is acknowledged: it counts what it is sending as well."""
    readings = sum(block.header.readings for _, block in found.fresh) + sum(d.readings for d in found.duplicates)
    blocks = len(found.fresh) + len(found.duplicates)
    return Seen(at_ns, max(0, told.backlog_blocks - blocks), max(0, told.backlog_readings - readings))


async def _body(request: Request) -> bytes:
    """The body, never holding more than the limit."""
    if int(request.headers.get("content-length", "0") or 0) > BODY_BYTES_MAX:
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.stream():
                size += len(part)
                if size > BODY_BYTES_MAX:
                    raise _too_large()
                parts.append(part)
    except TimeoutError as error:
        raise _EarlyAnswerError(408, f"the body took longer than {BODY_TIMEOUT_S:.0f} s") from error
    return b"".join(parts)


def _too_large() -> _EarlyAnswerError:
    return _EarlyAnswerError(413, f"a request may hold {BODY_BYTES_MAX} bytes", refusal="oversized")


def _error(answer: _EarlyAnswerError) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_S)} if answer.retry else {}
    if answer.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": str(answer)}, answer.status, headers)
