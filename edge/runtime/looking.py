"""What a gateway sees of itself: gathered from its rooms and its machine, for the room that judges its health."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from edge.clock_watch import ClockWatch
from edge.config.site import Site
from edge.errors import BrokenStoreError, StoreError
from edge.health import HealthRoom, Snapshot, machine
from edge.health.rules import Bounds
from edge.ports import Clock, Finding, Journal
from edge.runtime.judging import Judging

READ_WITHIN_S = 5.0

OnDisk = Callable[[Callable[[], Any]], Awaitable[Any]]


class Looking:
    """``uplink`` gives whether the way up is open and why not, None where there is none; ``on_disk`` runs a call where
    it may wait for the disk."""

    def __init__(
        self, site: Site, *, clock: Clock, journal: Journal, watch: ClockWatch, judging: Judging,
        restarts: Mapping[str, int], uplink: Callable[[], tuple[bool, str] | None], on_disk: OnDisk,
        tell: Callable[[list[Finding]], None],
    ) -> None:  # fmt: skip
        gateway, self._health = site.file.gateway, site.file.health
        self._store = site.resolve(gateway.data_dir) / "store.db"
        self._thermal = Path(self._health.board_path)
        self._clock, self._journal, self._watch, self._judging = clock, journal, watch, judging
        self._restarts, self._uplink, self._on_disk = restarts, uplink, on_disk
        self._ledger = journal.totals()
        self._oldest, self._store_mb = 0, 0.0
        self._reading: asyncio.Future[float | None] | None = None
        self._asked_ns = 0
        self._steps = watch.now.steps
        self._trusted_steps = 0
        self._mark = (0, clock.mono_ns())
        bounds = Bounds(self._health, gateway.id, gateway.free_mb_min, gateway.store_mb_max)
        self.room = HealthRoom(bounds, clock=clock, look=self.look, tell=tell)

    async def look(self) -> Snapshot:
        """Takes what needs the disk in one go, off the loop; one that hangs keeps nothing else from being seen.

        Raises ``BrokenStoreError``.
        """
        free_mb, disk_waits_s = await self._asked()
        ledger, board_c, memory_percent = self._ledger, machine.board_c(self._thermal), machine.memory_percent()
        now_ns, (_, waiting) = self._clock.mono_ns(), self._journal.backlog()
        up, losses, clock = self._uplink(), self._journal.losses(), self._watch.now
        waiting_s = self._waited_s(self._oldest, waiting, now_ns)
        return Snapshot(
            mono_ns=now_ns, free_mb=free_mb, disk_waits_s=disk_waits_s, store_mb=self._store_mb,
            balanced=_is_balanced(ledger),
            clock_trusted=clock.trusted, clock_words=clock.last.words if clock.last is not None else "",
            waiting=waiting, waiting_s=waiting_s if up is not None else None,
            uplink_words=up[1] if up is not None and not up[0] else "", board_c=board_c,
            memory_percent=memory_percent, judged_s=self._judging.silent_s(now_ns), late=tuple(self._judging.late),
            restarts=dict(self._restarts), unkept=self._journal.trouble,
            counts={
                "thinned": ledger["thinned"], "lost": ledger["dropped"] - ledger["dropped_power"],
                "lost_records": losses.records, "altered_blocks": losses.blocks, "clock_steps": self._stepped(),
            },
        )  # fmt: skip

    async def _asked(self) -> tuple[float | None, float]:
        """What is free on the disk, and for how long it has been asked without an answer."""
        if self._reading is None:
            # One at a time: while the disk hangs no queue of questions grows.
            self._reading, self._asked_ns = asyncio.ensure_future(self._on_disk(self._read)), self._clock.mono_ns()
        await asyncio.wait([self._reading], timeout=READ_WITHIN_S)
        if not self._reading.done():
            return None, (self._clock.mono_ns() - self._asked_ns) / 1e9
        reading, self._reading = self._reading, None
        return reading.result(), 0.0

    def _read(self) -> float | None:
        try:
            self._ledger = self._journal.totals()
        except BrokenStoreError:
            raise
        except StoreError:
            pass  # A disk that refuses now: the counts stand as they did, and what is free is still told.
        self._oldest, self._store_mb = self._journal.oldest(), machine.store_mb(self._store)
        return machine.free_mb(self._store.parent)

    def _waited_s(self, oldest: int, waiting: int, now_ns: int) -> float:
        """For how long at least the oldest block has waited: it was there at the mark, or the mark is set anew."""
        if not waiting or oldest > self._mark[0]:
            self._mark = (self._journal.last_seq, now_ns)
        return (now_ns - self._mark[1]) / 1e9

    def _stepped(self) -> int:
        """How often the wall clock was set while it could be believed."""
        clock = self._watch.now
        if clock.steps > self._steps and clock.last is not None and clock.last.trusted:
            self._trusted_steps += clock.steps - self._steps
        self._steps = clock.steps
        return self._trusted_steps

    def figures(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """What a panel tells of it: what, in what words, and which of its alarms are about it."""
        now = self.room.now
        if now is None:
            return
        if now.free_mb is not None:
            free = f"{now.free_mb / 1024:.0f} GB" if now.free_mb >= 10_240 else f"{now.free_mb:.0f} MB"
            yield "disk", f"{free} free", ("disk_low", "disk_full", "nothing_kept", "store_near_cap", "store_thins")
        if now.board_c is not None:
            yield "board", f"{now.board_c:.0f} C", ("board_hot",)
        if now.memory_percent is not None:
            yield "memory", f"{now.memory_percent:.0f} % free", ("memory_low",)

    def health(self) -> dict[str, Any]:
        """What it saw last, and what is wrong with it: plain data."""
        room = self.room
        return {
            "seen": msgspec.to_builtins(room.now) if room.now is not None else None,
            "findings": [
                {"rule": one.rule, "value": one.value, "sentence": one.sentence, "cause": one.cause,
                 "action": one.action}
                for one in room.found if one.holds
            ],
        }  # fmt: skip


def _is_balanced(ledger: Mapping[str, int]) -> bool:
    kept = ledger["acknowledged"] + ledger["pending"] + ledger["thinned"] + ledger["dropped"]
    return ledger["good"] == ledger["kept"] + ledger["unchanged"] and ledger["kept"] == kept
