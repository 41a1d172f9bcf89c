"""The one thread that touches the store: takes what waits, stores the truth of many requests at once, answers them.

Live requests go first. A request of the backlog is worked a slice at a time, between which live ones have their turn,
so that none of them waits longer than a slice and a commit. When nothing waits the thread does what can wait.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from cloud.ingest.group import (
    Answer,
    Arrived,
    Group,
    Job,
    RefusedError,
    Share,
    Told,
    TooLateError,
    answer_to,
    delivery_of,
)
from cloud.ingest.verify import ForeignBlockError, Part, Sorting, Suspects
from cloud.store.writer import Refusal, StoreBusyError, Writer
from edge.contract.block import unpack_frames
from edge.errors import BlockError

FRAMES_MAX = 4096
FRAME_BYTES_MAX = 8 * 1024 * 1024
GROUP_S = 0.03
SLICE_S, SLICE_S_MIN, LIVE_S = 0.03, 0.005, 2.0
SLICE_READINGS_MAX = 2**17
BUSY_REQUESTS_PER_S, APART_S = 40, 0.02
"""From so many live requests a second on commits keep that far apart: more requests share one, and its sync."""
QUEUE_S_MAX = 10.0
"""Longer than this nobody is left to wait."""
IDLE_S, BEHIND_S, TROUBLE_S = 1.0, 0.05, 1.0
DERIVED_TOLD_EVERY_S = 5.0
"""Whoever looks reads much anew when told, and it is told under load."""

log = logging.getLogger(__name__)


def nobody(_gateways: Collection[str]) -> None:
    """Nobody looks."""


class Worker:
    """``submit`` and ``refuse`` belong to the event loop, all that begins with an underscore to the thread."""

    def __init__(
        self,
        writer: Writer,
        on_arrived: Callable[[Arrived], None],
        *,
        on_derived: Callable[[Collection[str]], None] = nobody,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """``on_arrived`` is called in the event loop after each commit that stored something new, ``on_derived`` with
        the gateways from whose blocks something was derived later than that."""
        self._writer, self._on_arrived, self._on_derived, self._now_ns = writer, on_arrived, on_derived, now_ns
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told_s = -DERIVED_TOLD_EVERY_S
        self._live: deque[Job] = deque()
        self._backlog: deque[Job] = deque()
        self._refusals: deque[tuple[str, Refusal, asyncio.Future[None]]] = deque()
        self._changed = threading.Condition()
        self._suspects = Suspects()
        self._is_closing = self._is_busy = False
        self._recent: deque[float] = deque(maxlen=BUSY_REQUESTS_PER_S)
        self._stored_s = 0.0
        self._is_backlogs_turn = True
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
        self._loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = self._loop.create_future()
        job = Job(told, body, answer, time.monotonic(), told.backlog_blocks, told.backlog_readings)
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

    def _queue(self, job: Job) -> deque[Job]:
        return self._live if job.told.live else self._backlog

    def _has_work(self) -> bool:
        return bool(self._live or self._backlog or self._refusals)

    def _run(self) -> None:
        while self._has_work() or not self._is_closing:
            if self._has_work():
                self._wait_for_company()
                self._work()
            else:
                self._rest()
            self._tell_derived()

    def _tell_derived(self) -> None:
        now_s = time.monotonic()
        if (
            self._loop is not None
            and now_s - self._told_s >= DERIVED_TOLD_EVERY_S
            and (gateways := self._writer.derived_late())
        ):
            self._told_s = now_s
            self._loop.call_soon_threadsafe(self._on_derived, gateways)

    def _rest(self) -> None:
        wait_s = BEHIND_S if self._writer.is_behind else IDLE_S
        try:
            if self._writer.idle(self._now_ns()):
                return
        except StoreBusyError as busy:
            self._note_busy(busy)
            wait_s = TROUBLE_S
        except Exception:
            # A mistake of this program in what can wait: storing goes on.
            log.exception("what can wait is not done")
            wait_s = TROUBLE_S
        with self._changed:
            self._changed.wait_for(lambda: self._has_work() or self._is_closing, wait_s)

    def _wait_for_company(self) -> None:
        """Where live requests come in numbers, and nothing else is to be done."""
        now_s = time.monotonic()
        is_busy = len(self._recent) == BUSY_REQUESTS_PER_S and now_s - self._recent[0] < 1.0
        if is_busy and not self._backlog:
            time.sleep(max(0.0, self._stored_s + APART_S - now_s))

    def _work(self) -> None:
        """One group: live requests, then a slice of the backlog."""
        for _ in range(len(self._refusals)):
            self._count_refusal(*self._refusals.popleft())
        group = Group(self._writer)
        try:
            self._gather(group)
            self._store(group)
            has_served_live = any(job.told.live for job in group.jobs)
            if self._writer.is_pressed and (has_served_live or not self._live):
                # A live request does not wait for a slice and for this, unless it came while live ones had their turn.
                self._writer.derive_more()
        except StoreBusyError as busy:
            self._note_busy(busy)
        except Exception as broken:
            # A mistake of this program: those who are concerned are told, all others are served on.
            log.exception("requests of %s are not taken", ", ".join({job.told.gateway for job in group.jobs}))
            for job in group.jobs:
                self._fail(job, broken)

    def _gather(self, group: Group) -> None:
        until_s = time.monotonic() + GROUP_S
        while self._live and time.monotonic() < until_s:
            self._sort(self._live, group, until_s)
        # A live request does not wait for a slice, unless the backlog has waited for a live one just before.
        self._is_backlogs_turn = not (group.jobs and self._is_backlogs_turn)
        if self._backlog and self._is_backlogs_turn and not self._writer.is_pressed:
            self._sort(self._backlog, group, time.monotonic() + self._slice_s())

    def _slice_s(self) -> float:
        """Short where somebody's live requests may come at any moment."""
        is_live = bool(self._recent) and time.monotonic() - self._recent[-1] < LIVE_S
        return SLICE_S_MIN if is_live else SLICE_S

    def _sort(self, queue: deque[Job], group: Group, until_s: float) -> None:
        """Sort a part of a queue's first job into the group; what is left of it stays the first."""
        job = queue.popleft()
        group.jobs.append(job)

        def is_enough(part: Part) -> bool:
            is_stepping_aside = not job.told.live and bool(self._live)
            return is_stepping_aside or part.readings > SLICE_READINGS_MAX or time.monotonic() > until_s

        try:
            if job.sorting is None:
                job.sorting = self._opened(job)
            part = job.sorting.go_on(group, is_enough=is_enough)
        except (RefusedError, TooLateError, StoreBusyError) as error:
            self._fail(job, error)
            return
        group.add(Share(job, part))
        if not job.sorting.is_done:
            queue.appendleft(job)

    def _opened(self, job: Job) -> Sorting:
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

    def _store(self, group: Group) -> None:
        if not group.shares:
            return
        at_ns = self._now_ns()
        deliveries = [delivery_of(share, at_ns) for share in group.shares]
        try:
            throughs = self._writer.commit(deliveries)
        except StoreBusyError as busy:
            self._note_busy(busy)
            for share in group.shares:
                self._fail(share.job, busy)
            return
        self._stored_s = time.monotonic()
        self._recent.extend(self._stored_s for share in group.shares if share.job.told.live)
        if self._is_busy:
            log.warning("the store takes blocks again")
            self._is_busy = False
        reached: dict[Job, int] = {}
        for share, delivery, through in zip(group.shares, deliveries, throughs, strict=True):
            reached[share.job] = through
            if blocks := tuple(block for _, block in share.part.fresh):
                _call(share.job, self._on_arrived, Arrived(delivery.gateway, at_ns, blocks))
        for job, through in reached.items():
            if job.sorting is not None and job.sorting.is_done:
                _call(job, _set, job.answer, answer_to(job.told, job.sorting, through))

    def _fail(self, job: Job, error: Exception) -> None:
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


def _call(job: Job, call: Callable[..., None], *values: object) -> None:
    """In the job's event loop."""
    job.answer.get_loop().call_soon_threadsafe(call, *values)


def _set(future: asyncio.Future[Any], value: object) -> None:
    if not future.done():
        future.set_result(value)


def _raise(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
