"""The owner of one line: the only task that uses its driver.

Every due poll is offered once and delivered once, in this order and with one value for every tag, whatever happens:
asked; overrun (the line had no time, at most one poll a unit waits); left alone by the breaker; or stopped at the end.
So the ledger counts what was due, not what went well. Trouble on the bus never ends the task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from edge.config.lines import PolledLine
from edge.config.profiles import Profile
from edge.contract.types import Batch, Quality
from edge.poll.breaker import Breaker
from edge.poll.schedule import Schedule
from edge.poll.unit import Deliver, Offer, UnitStatus
from edge.ports import Answer, Clock, Driver

log = logging.getLogger("babbitt.poll")

STOP_S = 0.5
"""How long a poll that is under way at the end may take for its answer."""


@dataclass(slots=True)
class PolledUnit:
    """One unit of one asset: what to ask how often, and how it has been doing."""

    asset: str
    unit: int
    profile_id: str
    profile: Profile
    period_ns: int
    breaker: Breaker
    tags: tuple[str, ...] = ()
    asked_ns: int = 0
    polls: int = 0
    failures: int = 0
    overruns: int = 0
    left_alone: int = 0
    last_good_ns: int | None = None
    response_ns: int | None = None
    detail: str = ""
    troubled_polls: int = 0
    announced: bool = False

    def __post_init__(self) -> None:
        self.tags = tuple(point.tag for point in self.profile.point)


class LineOwner:
    """Polls ``units`` through ``driver`` for ever; see the module for what it promises."""

    def __init__(
        self, line: PolledLine, units: Sequence[PolledUnit], driver: Driver, *, clock: Clock, offer: Offer,
        deliver: Deliver,
    ) -> None:  # fmt: skip
        self.line = line
        self.units = tuple(units)
        self._driver = driver
        self._clock = clock
        self._offer = offer
        self._deliver = deliver

    async def open(self) -> None:
        """Raises ``LineError``."""
        await self._driver.open()

    async def close(self) -> None:
        await self._driver.close()

    async def run(self) -> None:
        """Poll until cancelled."""
        schedule = Schedule([unit.period_ns for unit in self.units], self._clock.mono_ns())
        while True:
            now_ns = self._clock.mono_ns()
            for i, unit in enumerate(self.units):
                for _ in range(schedule.overruns(i, now_ns)):
                    self._overrun(unit)
            i = schedule.next(now_ns, [self._suspect(unit, now_ns) for unit in self.units])
            wait_ns = schedule.due_ns(i) - now_ns
            if wait_ns > 0:
                await self._clock.sleep(wait_ns / 1e9)
                continue
            schedule.take(i)
            await self._poll(self.units[i])

    def status(self) -> list[UnitStatus]:
        now_ns = self._clock.mono_ns()
        return [
            UnitStatus(
                asset=u.asset, line=self.line.name, unit=u.unit, profile=u.profile_id, polls=u.polls,
                failures=u.failures, overruns=u.overruns, left_alone=u.left_alone,
                consecutive_failures=u.breaker.failures, breaker=u.breaker.state(now_ns), last_good_ns=u.last_good_ns,
                response_ms=None if u.response_ns is None else u.response_ns / 1e6, detail=u.detail,
            )
            for u in self.units
        ]  # fmt: skip

    def _suspect(self, unit: PolledUnit, now_ns: int) -> bool:
        """Whether ``unit`` lets the living go first, since asking it may cost a timeout again; but not for ever."""
        waited_s = (now_ns - unit.asked_ns) / 1e9
        return unit.breaker.failures > 0 and unit.breaker.allows(now_ns) and waited_s < self.line.breaker.max_s

    def _overrun(self, unit: PolledUnit) -> None:
        unit.overruns += 1
        self._not_asked(unit, "overrun: the line had no time")

    def _not_asked(self, unit: PolledUnit, detail: str) -> None:
        self._offer(unit.asset, unit.tags)
        self._finish(unit, _nothing(unit, detail))

    async def _poll(self, unit: PolledUnit) -> None:
        asked_ns = self._clock.mono_ns()
        if not unit.breaker.allows(asked_ns):
            unit.left_alone += 1
            self._not_asked(unit, unit.detail or "left alone")
            return
        unit.asked_ns = asked_ns
        self._offer(unit.asset, unit.tags)
        reading = asyncio.ensure_future(self._driver.read(unit.unit, unit.profile))
        try:
            await asyncio.shield(reading)
        finally:
            # Cut off by the end of the program it was offered, so it is delivered: with its answer, where that comes
            # soon, for the unit has perhaps served it already.
            await _ended(reading)
            answers = _answers(reading)
            if answers is not None:
                self._judge(unit, answers, asked_ns)
            self._finish(unit, answers or _nothing(unit, "stopped"))

    def _judge(self, unit: PolledUnit, answers: Sequence[Answer], asked_ns: int) -> None:
        """Tell the breaker whether the unit lives: a refusal is a sign of life, nothing but trouble of the bus none."""
        now_ns = self._clock.mono_ns()
        if all(answer.quality == Quality.BAD_BUS for answer in answers):
            unit.breaker.failed(now_ns)
        else:
            unit.breaker.succeeded()
            unit.response_ns = now_ns - asked_ns
        bad = [answer for answer in answers if answer.quality.is_bad]
        unit.detail = bad[0].detail if bad else ""
        self._announce(unit, len(bad))

    def _announce(self, unit: PolledUnit, bad: int) -> None:
        """Log trouble once, when it has lasted as long as the breaker waits, and its end once."""
        unit.troubled_polls = unit.troubled_polls + 1 if bad else 0
        where = f"line {self.line.name} unit {unit.unit} ({unit.asset})"
        if unit.troubled_polls >= self.line.breaker.failures and not unit.announced:
            unit.announced = True
            log.warning("%s: %d of %d values bad: %s", where, bad, len(unit.tags), unit.detail)
        elif unit.announced and not bad:
            unit.announced = False
            log.info("%s: all values good again", where)

    def _finish(self, unit: PolledUnit, answers: Sequence[Answer]) -> None:
        unit.polls += 1
        # Trust first: a clock that is set in between gives a right time that is called wrong, never the reverse.
        trusted = self._clock.trusted()
        wall_ns = self._clock.wall_ns()
        quality = tuple(answer.quality for answer in answers)
        if all(q == Quality.BAD_BUS for q in quality):
            unit.failures += 1
        elif Quality.GOOD in quality:
            unit.last_good_ns = wall_ns
        self._deliver(Batch(
            asset=unit.asset, tags=unit.tags, values=tuple(answer.value for answer in answers), quality=quality,
            source_ns=(wall_ns,) * len(answers), read_ns=wall_ns, mono_ns=self._clock.mono_ns(),
            trusted=trusted,
        ))  # fmt: skip


async def _ended(reading: asyncio.Future[list[Answer]]) -> None:
    if not reading.done():
        await asyncio.wait({reading}, timeout=STOP_S)
    if reading.cancel():
        await asyncio.wait({reading})


def _answers(reading: asyncio.Future[list[Answer]]) -> list[Answer] | None:
    """What it gave; None where it was cut off or broke."""
    return None if reading.cancelled() or reading.exception() else reading.result()


def _nothing(unit: PolledUnit, detail: str) -> list[Answer]:
    return [Answer(None, Quality.BAD_BUS, detail)] * len(unit.tags)
