"""The one thread that touches the store: takes what waits, stores the truth of many requests at once, answers them.

Live requests go first. A request of the backlog is worked a slice at a time, between which live ones have their turn,
so that none of them waits longer than a slice and a commit. When nothing waits the thread does what can wait.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import ChainMap, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cloud.ingest.verify import ForeignBlockError, Part, Sorting, Suspects
from cloud.store.writer import Delivery, Refusal, Seen, StoreBusyError, Writer
from edge.contract.block import Block, Dictionary, open_dictionary, unpack_frames
from edge.contract.types import Ack, Key
from edge.errors import BlockError

FRAMES_MAX = 4096
FRAME_BYTES_MAX = 8 * 1024 * 1024
GROUP_S = 0.03
SLICE_S = 0.03
SLICE_READINGS_MAX = 2**17
QUEUE_S_MAX = 10.0
"""Longer than this nobody is left to wait."""
IDLE_S, BEHIND_S, TROUBLE_S = 1.0, 0.05, 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What a request's headers say."""

    gateway: str
    epoch: str
    live: bool = True
    oldest: int = 1
    backlog_blocks: int = 0
    backlog_readings: int = 0


@dataclass(frozen=True, slots=True)
class Arrived:
    """Blocks that have just become durable."""

    gateway: str
    at_ns: int
    blocks: tuple[Block, ...]


class RefusedError(Exception):
    """The whole request is refused: ``status``, and ``kind``, one word for counting."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.kind = status, kind


class TooLateError(Exception):
    """It has waited too long for its turn; nothing of it was taken."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The acknowledgement, and places in the request (from 0) of frames that could not be read."""

    ack: Ack
    unreadable: tuple[tuple[int, str], ...]


@dataclass(slots=True, eq=False)
class _Job:
    told: Told
    body: bytes
    answer: asyncio.Future[Answer]
    since_s: float
    blocks_left: int
    readings_left: int
    sorting: Sorting | None = None


@dataclass(slots=True)
class _Share:
    """A job's part in a group."""

    job: _Job
    part: Part


@dataclass(slots=True)
class _Group:
    """What will be in the store once the group is committed, seen together with what is in it already."""

    writer: Writer
    shares: list[_Share] = field(default_factory=list)
    coming: dict[Key, tuple[bytes, bool]] = field(default_factory=dict)
    opened: dict[bytes, Dictionary] = field(default_factory=dict)

    @property
    def dictionaries(self) -> Mapping[bytes, Dictionary]:
        return ChainMap(self.opened, self.writer.dictionaries)  # type: ignore[arg-type]  # only read

    def dictionaries_left(self, gateway: str) -> int:
        return self.writer.dictionaries_left(gateway) - len(self.opened)

    def holds(self, key: Key, data: bytes, *, thinned: bool = False) -> Literal["no", "same", "other"]:
        if (coming := self.coming.get(key)) is not None:
            return "same" if coming[0] == data or coming[1] != thinned else "other"
        return self.writer.holds(key, data, thinned=thinned)

    def add(self, share: _Share) -> None:
        self.shares.append(share)
        self.coming.update({b.header.key: (data, b.header.thinned) for data, b in share.part.fresh})
        self.opened.update({digest: open_dictionary(data) for digest, data in share.part.dictionaries.items()})


class Worker:
    """``submit`` and ``refuse`` belong to the event loop, all that begins with an underscore to the thread."""

    def __init__(
        self, writer: Writer, on_arrived: Callable[[Arrived], None], *, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        """``on_arrived`` is called in the event loop after each commit that stored something new."""
        self._writer, self._on_arrived, self._now_ns = writer, on_arrived, now_ns
        self._live: deque[_Job] = deque()
        self._backlog: deque[_Job] = deque()
        self._refusals: deque[tuple[str, Refusal, asyncio.Future[None]]] = deque()
        self._changed = threading.Condition()
        self._suspects = Suspects()
        self._is_closing = self._is_busy = False
        self._thread = threading.Thread(target=self._run, name="store-writer")
        self._thread.start()

    def close(self) -> None:
        """Wait for what was submitted to be stored."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def is_congested(self, *, live: bool) -> bool:
        """Whether the lane's first has waited so long that nobody should queue behind it."""
        with self._changed:
            queue = self._live if live else self._backlog
            return bool(queue) and time.monotonic() - queue[0].since_s > QUEUE_S_MAX / 2

    async def submit(self, told: Told, body: bytes) -> Answer:
        """Have a request stored. Raises ``RefusedError``, ``TooLateError``, ``StoreBusyError``."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        job = _Job(told, body, answer, time.monotonic(), told.backlog_blocks, told.backlog_readings)
        with self._changed:
            self._queue(job).append(job)
            self._changed.notify()
        return await answer

    async def refuse(self, gateway: str, refusal: Refusal) -> None:
        """Have a refusal counted. Raises ``StoreBusyError``."""
        counted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._changed:
            self._refusals.append((gateway, refusal, counted))
            self._changed.notify()
        await counted

    def _queue(self, job: _Job) -> deque[_Job]:
        return self._live if job.told.live else self._backlog

    def _has_work(self) -> bool:
        return bool(self._live or self._backlog or self._refusals)

    def _run(self) -> None:
        while self._has_work() or not self._is_closing:
            if self._has_work():
                self._work()
            else:
                self._rest()

    def _rest(self) -> None:
        wait_s = BEHIND_S if self._writer.is_behind else IDLE_S
        try:
            if self._writer.idle(self._now_ns()):
                return
        except StoreBusyError as busy:
            self._note_busy(busy)
            wait_s = TROUBLE_S
        with self._changed:
            self._changed.wait_for(lambda: self._has_work() or self._is_closing, wait_s)

    def _work(self) -> None:
        """One group: live requests, then a slice of the backlog."""
        for _ in range(len(self._refusals)):
            self._count_refusal(*self._refusals.popleft())
        group = _Group(self._writer)
        until_s = time.monotonic() + GROUP_S
        while self._live and time.monotonic() < until_s:
            self._sort(self._live.popleft(), group, until_s)
        if self._backlog:
            self._sort(self._backlog.popleft(), group, time.monotonic() + SLICE_S)
        self._store(group)

    def _sort(self, job: _Job, group: _Group, until_s: float) -> None:
        """Sort a part of a job into the group; what is left of it stays the first of its queue."""

        def is_enough(part: Part) -> bool:
            readings = sum(block.header.readings for _, block in part.fresh)
            is_stepping_aside = not job.told.live and bool(self._live)
            return is_stepping_aside or readings > SLICE_READINGS_MAX or time.monotonic() > until_s

        try:
            if job.sorting is None:
                job.sorting = self._opened(job)
            part = job.sorting.go_on(group, is_enough=is_enough)
        except (RefusedError, TooLateError, StoreBusyError) as error:
            self._fail(job, error)
            return
        group.add(_Share(job, part))
        if not job.sorting.is_done:
            self._queue(job).appendleft(job)

    def _opened(self, job: _Job) -> Sorting:
        if time.monotonic() - job.since_s > QUEUE_S_MAX:
            raise TooLateError
        told = job.told
        try:
            frames = unpack_frames(job.body, frames_max=FRAMES_MAX, frame_bytes_max=FRAME_BYTES_MAX)
            return Sorting(frames, gateway=told.gateway, epoch=told.epoch, suspects=self._suspects)
        except BlockError as error:
            refused = RefusedError(400, "malformed body", f"the body is malformed: {error.problem}")
        except ForeignBlockError as error:
            refused = RefusedError(403, "another gateway's", str(error))
        self._writer.refuse(told.gateway, Refusal(refused.kind, str(refused)), self._now_ns())
        raise refused

    def _store(self, group: _Group) -> None:
        if not group.shares:
            return
        at_ns = self._now_ns()
        deliveries = [_delivery(share, at_ns) for share in group.shares]
        try:
            throughs = self._writer.commit(deliveries)
        except StoreBusyError as busy:
            self._note_busy(busy)
            for share in group.shares:
                self._fail(share.job, busy)
            return
        if self._is_busy:
            log.warning("the store takes blocks again")
            self._is_busy = False
        reached: dict[_Job, int] = {}
        for share, delivery, through in zip(group.shares, deliveries, throughs, strict=True):
            reached[share.job] = through
            if blocks := tuple(block for _, block in share.part.fresh):
                _call(share.job, self._on_arrived, Arrived(delivery.gateway, at_ns, blocks))
        for job, through in reached.items():
            if job.sorting is not None and job.sorting.is_done:
                _call(job, _set, job.answer, _answer(job.told, job.sorting, through))

    def _fail(self, job: _Job, error: Exception) -> None:
        """Nothing more of a job is taken."""
        queue = self._queue(job)
        if queue and queue[0] is job:
            queue.popleft()
        _call(job, _raise, job.answer, error)

    def _count_refusal(self, gateway: str, refusal: Refusal, counted: asyncio.Future[None]) -> None:
        loop = counted.get_loop()
        try:
            self._writer.refuse(gateway, refusal, self._now_ns())
        except StoreBusyError as busy:
            loop.call_soon_threadsafe(_raise, counted, busy)
        else:
            loop.call_soon_threadsafe(_set, counted, None)

    def _note_busy(self, busy: StoreBusyError) -> None:
        if not self._is_busy:
            log.error("the store takes nothing: %s", busy)
        self._is_busy = True


def _delivery(share: _Share, at_ns: int) -> Delivery:
    """What still waits on the gateway once this is acknowledged: it counts what it is sending as well."""
    job, part = share.job, share.part
    job.blocks_left -= len(part.fresh) + len(part.duplicates)
    job.readings_left -= sum(block.header.readings for _, block in part.fresh) + sum(
        d.readings for d in part.duplicates
    )
    seen = Seen(at_ns, max(0, job.blocks_left), max(0, job.readings_left))
    told = job.told
    return Delivery(
        told.gateway, told.epoch, part.fresh, seen, dictionaries=tuple(part.dictionaries.items()),
        oldest=told.oldest, duplicates=part.duplicates, refusals=part.refusals,
    )  # fmt: skip


def _answer(told: Told, sorting: Sorting, through: int) -> Answer:
    also = tuple(sorted(seq for seq in sorting.held if seq > through))
    wants = tuple(digest.hex() for digest in sorting.wants)
    return Answer(Ack(told.epoch, through, also, tuple(sorting.refused), wants), tuple(sorting.unreadable))


def _call(job: _Job, call: Callable[..., None], *values: object) -> None:
    """In the job's event loop."""
    job.answer.get_loop().call_soon_threadsafe(call, *values)


def _set(future: asyncio.Future[Any], value: object) -> None:
    if not future.done():
        future.set_result(value)


def _raise(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
