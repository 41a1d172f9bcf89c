"""The owner of one line whose devices speak by themselves: the only task that uses its source.

Every message is offered once and delivered once, as it comes. Every period in which a signal said nothing is offered
and delivered too, with what the line knows of it: its last value again where the source vouches that nothing changed,
else bad with the reason. So a gap is never the mere absence of messages.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge.config.lines import PushedLine
from edge.config.profiles import Profile
from edge.contract.types import Batch, Quality
from edge.poll.opening import Opening
from edge.poll.schedule import Schedule
from edge.poll.unit import Deliver, Offer, UnitStatus
from edge.ports import Answer, Clock, Heard, Source

log = logging.getLogger("babbitt.poll")


@dataclass(slots=True)
class ListenedUnit:
    """One unit of one asset: what it may say, and how it has been doing."""

    asset: str
    unit: int
    profile_id: str
    profile: Profile
    period_ns: int
    tags: tuple[str, ...] = ()
    last: list[Answer | None] = field(default_factory=list)
    fresh: set[int] = field(default_factory=set)
    batches: int = 0
    failures: int = 0
    consecutive_failures: int = 0
    last_good_ns: int | None = None
    detail: str = ""
    announced: bool = False

    def __post_init__(self) -> None:
        self.tags = tuple(point.tag for point in self.profile.point)
        self.last = [None] * len(self.tags)


class Listener:
    """Listens to ``source`` for ``units``, which it numbers as they stand here, for ever."""

    def __init__(
        self, line: PushedLine, units: Sequence[ListenedUnit], source: Source, *, clock: Clock, offer: Offer,
        deliver: Deliver,
    ) -> None:  # fmt: skip
        self.line = line
        self.units = tuple(units)
        self.turn_ns = 0
        """By when it looks for silence next, at the latest (monotonic)."""
        self._source = source
        self._clock = clock
        self._offer = offer
        self._deliver = deliver
        self.opening = Opening(line.name, source.open, clock)

    async def close(self) -> None:
        await self._source.close()

    async def run(self) -> None:
        """Listen until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name=f"babbitt.source[{self.line.name}]")
            group.create_task(self._beat_forever(), name=f"babbitt.beat[{self.line.name}]")

    async def _listen(self) -> None:
        await self.opening.at_last()
        await self._source.run(self._hear)

    def counts(self) -> None:
        """Nobody is asked: there are no questions to count."""

    def status(self) -> list[UnitStatus]:
        return [
            UnitStatus(
                asset=u.asset, line=self.line.name, unit=u.unit, profile=u.profile_id, polls=u.batches,
                failures=u.failures, overruns=0, left_alone=0, consecutive_failures=u.consecutive_failures,
                breaker="closed", last_good_ns=u.last_good_ns, response_ms=None, detail=u.detail,
                period_ms=u.period_ns / 1e6,
            )
            for u in self.units
        ]  # fmt: skip

    def _hear(self, heard: Heard) -> None:
        unit = self.units[heard.subject]
        now_ns = self._clock.wall_ns()
        if not heard.past:
            unit.fresh.update(heard.places)
            for place, answer in zip(heard.places, heard.answers, strict=True):
                unit.last[place] = answer
        times = heard.source_ns or (None,) * len(heard.places)
        self._give(
            unit, heard.places, heard.answers, [now_ns if at is None else at for at in times], now_ns, past=heard.past
        )

    async def _beat_forever(self) -> None:
        schedule = Schedule([unit.period_ns for unit in self.units], self._clock.mono_ns())
        for i in range(len(self.units)):
            schedule.take(i)  # Nobody is missed before the first whole period.
        while True:
            now_ns = self._clock.mono_ns()
            i = schedule.next(now_ns)
            wait_ns = schedule.due_ns(i) - now_ns
            self.turn_ns = now_ns + max(wait_ns, 0)
            if wait_ns > 0:
                await self._clock.sleep(wait_ns / 1e9)
                continue
            # Several periods of a machine that stood still are one: nobody listened, and the source says what it has.
            for _ in schedule.overrun(now_ns):
                pass
            schedule.take(i)
            self._beat(i)

    def _beat(self, subject: int) -> None:
        unit = self.units[subject]
        silent = [place for place in range(len(unit.tags)) if place not in unit.fresh]
        unit.fresh.clear()
        if not silent:
            return
        trouble = self.opening.trouble or self._source.trouble(subject)
        now_ns = self._clock.wall_ns()
        answers = [self._instead(unit, place, trouble) for place in silent]
        self._give(unit, tuple(silent), answers, [now_ns] * len(silent), now_ns)

    def _instead(self, unit: ListenedUnit, place: int, trouble: str) -> Answer:
        last = unit.last[place]
        if trouble:
            return Answer(None, Quality.BAD_BUS, trouble)
        if self._source.reports_changes and last is not None:
            return last
        return Answer(None, Quality.BAD_BUS, f"nothing came within {unit.period_ns / 1e9:g} s")

    def _give(
        self, unit: ListenedUnit, places: Sequence[int], answers: Sequence[Answer], source_ns: Sequence[int],
        now_ns: int, *, past: bool = False,
    ) -> None:  # fmt: skip
        trusted = self._clock.trusted()
        tags = tuple(unit.tags[place] for place in places)
        self._count(unit, answers, now_ns)
        self._offer(unit.asset, tags)
        self._deliver(Batch(
            asset=unit.asset, tags=tags, values=tuple(a.value for a in answers),
            quality=tuple(a.quality for a in answers), source_ns=tuple(source_ns), read_ns=now_ns,
            mono_ns=self._clock.mono_ns(), trusted=trusted, past=past,
        ))  # fmt: skip

    def _count(self, unit: ListenedUnit, answers: Sequence[Answer], now_ns: int) -> None:
        unit.batches += 1
        bad = [answer for answer in answers if answer.quality.is_bad]
        if len(bad) == len(answers):
            unit.failures += 1
            unit.consecutive_failures += 1
        else:
            unit.consecutive_failures, unit.last_good_ns = 0, now_ns
        unit.detail = bad[0].detail if bad else ""
        self._announce(unit)

    def _announce(self, unit: ListenedUnit) -> None:
        """Log trouble once and its end once."""
        where = f"line {self.line.name} unit {unit.unit} ({unit.asset})"
        if unit.consecutive_failures and not unit.announced:
            unit.announced = True
            log.warning("%s: %s", where, unit.detail)
        elif unit.announced and not unit.detail:
            unit.announced = False
            log.info("%s: all values good again", where)
