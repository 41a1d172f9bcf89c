"""Notices what happens to the wall clock, by the monotonic one, which nobody can set.

Two things happen to it. It becomes trusted: then the readings of this boot that were stamped before are wrong by a
known offset, and a ``ClockSet`` says so to the receiver. Or it is stepped: by a person, by a time service after a long
outage, or because the machine slept. No reading is moved by that, since order and age go by the monotonic clock;
but people who compare times must be told, so each step is logged, counted and recorded.

A gateway that was started anew in the same boot, after the clock was set and before anybody was told, says it then:
``state`` and ``restore`` carry over that readings of this boot wait for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from edge.clock import STEP_NS
from edge.contract.types import ClockSet
from edge.ports import Clock

LOOK_S = 0.5
READ_NS_MAX = 50_000_000
"""Two clocks are read one after the other: a look that was held up for longer in between says nothing."""

log = logging.getLogger("babbitt.clock")


@dataclass(frozen=True, slots=True)
class Step:
    """The wall clock was set by ``by_ns`` (below zero: back) while it was ``trusted``; ``at_ns`` is the new time."""

    by_ns: int
    at_ns: int
    trusted: bool

    @property
    def words(self) -> str:
        way = "forward" if self.by_ns > 0 else "back"
        return f"the gateway's clock was set {way} by {span_words(abs(self.by_ns))}"


@dataclass(frozen=True, slots=True)
class ClockState:
    """How the wall clock is doing: ``steps`` since the start, and the last of them."""

    trusted: bool
    steps: int = 0
    last: Step | None = None


class ClockWatch:
    """``on_set`` and ``on_step`` are told at once, from the loop that runs ``run``; ``boot`` has 32 hex digits."""

    def __init__(
        self, clock: Clock, *, boot: str, on_set: Callable[[ClockSet], None], on_step: Callable[[Step], None]
    ) -> None:
        self._clock, self._boot, self._on_set, self._on_step = clock, boot, on_set, on_step
        trusted = clock.trusted()
        self._offset_ns = clock.wall_ns() - clock.mono_ns()
        self._untold = not trusted
        self.now = ClockState(trusted)

    async def run(self) -> None:
        """Look until cancelled."""
        if not self.now.trusted:
            log.warning("the wall clock is not set yet; what is read carries the monotonic time and is corrected later")
        while True:
            self.look()
            await self._clock.sleep(LOOK_S)

    def look(self) -> None:
        """Compare the clocks once."""
        before_ns, trusted = self._clock.mono_ns(), self._clock.trusted()
        wall_ns, mono_ns = self._clock.wall_ns(), self._clock.mono_ns()
        if mono_ns - before_ns > READ_NS_MAX:
            return
        by_ns = wall_ns - mono_ns - self._offset_ns
        was_trusted, self._offset_ns = self.now.trusted, wall_ns - mono_ns
        self.now = ClockState(trusted, self.now.steps, self.now.last)
        if abs(by_ns) >= STEP_NS:
            self._stepped(Step(by_ns, wall_ns, was_trusted))
        if not trusted:
            self._untold = True
        elif self._untold:
            self._untold = False
            log.warning("the wall clock is set now; what this boot read before is corrected by the recorded offset")
            self._on_set(ClockSet(self._boot, self._offset_ns, mono_ns, wall_ns))

    def _stepped(self, step: Step) -> None:
        log.warning("%s%s", step.words, "" if step.trusted else "; it was not trusted before")
        self.now = ClockState(self.now.trusted, self.now.steps + 1, step)
        self._on_step(step)

    def state(self) -> bytes:
        """Whose readings wait to be corrected: this boot, or none."""
        return self._boot.encode() if self._untold else b""

    def restore(self, state: bytes) -> None:
        self._untold = self._untold or state == self._boot.encode()


def span_words(span_ns: int) -> str:
    """``1.5 s``, ``3 min 20 s``, ``2 h 5 min`` or ``366 d 1 h``."""
    seconds = span_ns / 1e9
    if seconds < 100:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, hours, days = (whole // size for size in (60, 3600, 86_400))
    if hours < 1:
        return f"{minutes} min {whole % 60} s"
    return f"{hours} h {minutes % 60} min" if days < 2 else f"{days} d {hours % 24} h"
