"""The owner of one line: nobody else uses its driver, and it asks one question at a time.

Every due poll is offered once and delivered once, in this order and with one value for every tag, whatever happens:
asked; overrun (the line had no time, at most one poll a scan waits); left alone by the breaker; or stopped at the end.
So the ledger counts what was due, not what went well. Trouble on the bus never ends the task.

A command goes before the next poll, or between two questions of one, in the order in which commands came.

A unit that does not answer is asked with growing pauses and after the living. Once one falls silent the others are in
doubt too, until each has answered: those that have go first, so that many that die at once cost the living little.
Where none of the line answers, the first that does again ends the pauses of all: it was the connection, and one attempt
serves them. What is not there when the line is opened, such as an adapter, is trouble on the bus as well; once it is
there, nobody has to wait for a pause.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from edge.config.lines import PolledLine
from edge.config.profiles import Profile
from edge.contract.types import Batch, Quality, Value
from edge.line_counts import LineCounts
from edge.poll.breaker import Breaker
from edge.poll.opening import Opening
from edge.poll.schedule import Schedule
from edge.poll.unit import Deliver, Offer, UnitStatus
from edge.ports import Answer, Clock, Driver, GivesWay, Writer

log = logging.getLogger("babbitt.poll")

STOP_S = 0.5
"""How long a poll that is under way at the end may take for its answer."""
LATE_PERIODS = 1.1
"""When the next poll may be at the latest: a period from now, and a little for jitter."""
POLL_NS_MAX = 30_000_000_000
"""A poll, with what goes before it, that takes longer than this is none that goes on: its data have a deadline too."""
COMMANDS_MAX = 32
"""So many commands may wait for one line; a further one is refused at once."""

Unless = Callable[[], str]
"""Why not, in words; empty where nothing stands against it."""


def always() -> str:
    return ""


@dataclass(slots=True)
class PolledUnit:
    """One scan of one unit of one asset: what to ask how often, and how it has been doing."""

    asset: str
    unit: int
    profile_id: str
    profile: Profile
    period_ns: int
    breaker: Breaker
    priority: int = 0
    tags: tuple[str, ...] = ()
    due_ns: int = 0
    asked_ns: int = 0
    answered_ns: int = 0
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
        self.turn_ns = 0
        """By when it makes its next turn at the latest (monotonic)."""
        self._driver = driver
        self._clock = clock
        self._offer = offer
        self._deliver = deliver
        self.opening = Opening(line.name, driver.open, clock)
        self._turn = asyncio.Lock()
        self._has_turn = False
        if isinstance(driver, GivesWay):
            driver.give_way = self._give_way
        self._commands = 0
        self._doubt_ns = 0
        self._is_asking = self._is_stopping = False

    async def close(self) -> None:
        await self._driver.close()

    async def run(self) -> None:
        """Poll until cancelled.

        What is under way then was offered, so it is delivered: with its answer, where that comes soon, for the unit
        has perhaps served it already.
        """
        self._is_stopping = False  # It may have run before: where another line broke, all of them start again.
        polling = asyncio.create_task(self._poll_forever(), name=f"babbitt.poll[{self.line.name}]")
        try:
            await asyncio.shield(polling)
        finally:
            if self._is_asking:
                self._is_stopping = True
                await asyncio.wait({polling}, timeout=STOP_S)
            polling.cancel()
            await asyncio.wait({polling})

    async def write(
        self, unit: int, profile: Profile, tag: str, value: Value, *, within_s: float, unless: Unless = always
    ) -> Answer:
        """Write before the next poll. Bad of the device where the line takes no commands, or too many wait.

        ``unless`` is asked when the line is free and nothing can come between: where it says why not, nothing is sent,
        and the answer is bad of the device with these words. Bad of the bus after ``within_s``: then nobody knows
        whether it was done, unless it was never sent.
        """
        driver = self._driver
        if not isinstance(driver, Writer):
            return Answer(None, Quality.BAD_DEVICE, f"line {self.line.name} takes no commands")

        async def write() -> Answer:
            why_not = unless()
            return Answer(None, Quality.BAD_DEVICE, why_not) if why_not else await driver.write(
                unit, profile, tag, value
            )  # fmt: skip

        return await self._at_once(unit, write, within_s)

    async def ask(self, unit: int, profile: Profile, *, within_s: float) -> Answer:
        """Read the one point of ``profile`` before the next poll, as it is now. Trouble is a bad answer."""
        assert len(profile.point) == 1

        async def read() -> Answer:
            [answer] = await self._driver.read(unit, profile)
            return answer

        return await self._at_once(unit, read, within_s)

    async def _at_once(self, unit: int, do: Callable[[], Awaitable[Answer]], within_s: float) -> Answer:
        if self.opening.error is not None:
            return Answer(None, Quality.BAD_BUS, self.opening.trouble)
        if self._commands >= COMMANDS_MAX:
            return Answer(None, Quality.BAD_DEVICE, f"{COMMANDS_MAX} commands wait for line {self.line.name} already")
        self._commands += 1
        sent = False
        try:
            async with asyncio.timeout(within_s), self._turn:
                sent = True
                answer = await do()
        except TimeoutError:
            return Answer(None, Quality.BAD_BUS, f"{'not confirmed' if sent else 'not sent'} within {within_s:g} s")
        finally:
            self._commands -= 1
        if answer.quality != Quality.BAD_BUS:
            for scan in self.units:
                if scan.unit == unit:
                    self._lives(scan)
        return answer

    async def _poll_forever(self) -> None:
        units = self.units
        schedule = Schedule([u.period_ns for u in units], self._clock.mono_ns(), [u.priority for u in units])
        while not self._is_stopping:
            now_ns = self._clock.mono_ns()
            for i, count in schedule.overrun(now_ns):
                for _ in range(count):
                    self._overrun(units[i])
            i = schedule.next(now_ns, partial(self._rank, now_ns))
            wait_ns = schedule.due_ns(i) - now_ns
            self.turn_ns = now_ns + max(wait_ns, 0)
            if wait_ns > 0:
                await self._clock.sleep(wait_ns / 1e9)
                continue
            self.turn_ns += POLL_NS_MAX
            if self._commands:
                async with self._turn:  # Behind those that came before; those that came since go first as well.
                    await asyncio.sleep(0)  # One that gave up must get to say so.
                continue
            units[i].due_ns = schedule.due_ns(i)
            schedule.take(i)
            await self._turn.acquire()
            self._has_turn = True
            try:
                await self._poll(units[i])
            finally:
                if self._has_turn:
                    self._turn.release()

    async def _give_way(self) -> None:
        """Between two questions of a poll: let the commands go first that have come meanwhile."""
        if self._has_turn and self._commands and not self._is_stopping:
            self._has_turn = False
            self._turn.release()
            await self._turn.acquire()
            self._has_turn = True

    def counts(self) -> LineCounts | None:
        """What its driver counted, where it does."""
        counts = getattr(self._driver, "counts", None)
        return counts if isinstance(counts, LineCounts) else None

    def status(self) -> list[UnitStatus]:
        now_ns = self._clock.mono_ns()
        return [
            UnitStatus(
                asset=u.asset, line=self.line.name, unit=u.unit, profile=u.profile_id, polls=u.polls,
                failures=u.failures, overruns=u.overruns, left_alone=u.left_alone,
                consecutive_failures=u.breaker.failures, last_good_ns=u.last_good_ns,
                breaker=u.breaker.state(now_ns) if self.opening.error is None else "closed",
                response_ms=None if u.response_ns is None else u.response_ns / 1e6, detail=u.detail,
                period_ms=u.period_ns / 1e6, priority=u.priority,
            )
            for u in self.units
        ]  # fmt: skip

    def _rank(self, now_ns: int, i: int) -> int:
        """Asking a unit may cost a timeout: 2 where the last one did, 1 where it is in doubt; but not for ever."""
        unit = self.units[i]
        waited_s = (now_ns + unit.period_ns * LATE_PERIODS - unit.asked_ns) / 1e9
        if waited_s >= self.line.breaker.max_s or not self._may_ask(unit, now_ns):
            return 0
        return 2 if unit.breaker.failures else int(unit.answered_ns < self._doubt_ns)

    def _may_ask(self, unit: PolledUnit, now_ns: int) -> bool:
        """At the last due time of a pause, not the first after it: no pause is longer than it is said to be."""
        return unit.breaker.allows(now_ns + int(unit.period_ns * LATE_PERIODS))

    def _overrun(self, unit: PolledUnit) -> None:
        unit.overruns += 1
        self._not_asked(unit, "overrun: the line had no time")

    def _not_asked(self, unit: PolledUnit, detail: str) -> None:
        self._offer(unit.asset, unit.tags)
        self._finish(unit, _nothing(unit, detail))

    async def _poll(self, unit: PolledUnit) -> None:
        shut = ""
        if self.opening.error is not None:
            shut = await self.opening.again()
            if not shut:
                for other in self.units:
                    other.breaker.succeeded()  # Nobody was asked: nobody has to wait for a pause.
        asked_ns = self._clock.mono_ns()
        if not shut and not self._may_ask(unit, asked_ns):
            unit.left_alone += 1
            self._not_asked(unit, unit.detail or "left alone")
            return
        unit.asked_ns = asked_ns
        self._offer(unit.asset, unit.tags)
        answers: Sequence[Answer] = ()
        self._is_asking = True
        try:
            answers = _nothing(unit, shut) if shut else await self._driver.read(unit.unit, unit.profile)
            self._judge(unit, answers, asked_ns)
        finally:
            self._is_asking = False
            self._finish(unit, answers or _nothing(unit, "stopped"))

    def _judge(self, unit: PolledUnit, answers: Sequence[Answer], asked_ns: int) -> None:
        """Tell the breaker whether the unit lives: a refusal is a sign of life, nothing but trouble of the bus none."""
        qualities = [answer.quality for answer in answers]
        if qualities.count(Quality.BAD_BUS) == len(qualities):
            if not unit.breaker.failures:
                self._doubt(asked_ns)
            unit.breaker.failed(asked_ns)
        else:
            self._lives(unit)
            unit.answered_ns = self._clock.mono_ns()
            unit.response_ns = unit.answered_ns - asked_ns
        bad = 0
        if qualities.count(Quality.GOOD) < len(qualities):
            details = [answer.detail for answer in answers if answer.quality.is_bad]
            bad, unit.detail = len(details), details[0] if details else ""
        else:
            unit.detail = ""
        self._announce(unit, bad)

    def _doubt(self, asked_ns: int) -> None:
        """A unit was silent: who has not answered since is in doubt. While there are such, that is still so."""
        if all(unit.breaker.failures or unit.answered_ns >= self._doubt_ns for unit in self.units):
            self._doubt_ns = asked_ns

    def _lives(self, unit: PolledUnit) -> None:
        """A unit answered. Where no other did before it, what kept it away may have kept all of them away."""
        if unit.breaker.failures and all(other.breaker.failures for other in self.units):
            for other in self.units:
                other.breaker.try_now()
        unit.breaker.succeeded()

    def _announce(self, unit: PolledUnit, bad: int) -> None:
        """Log trouble once, when it has lasted as long as the breaker waits, and its end once."""
        unit.troubled_polls = unit.troubled_polls + 1 if bad else 0
        if not bad and not unit.announced:
            return
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
        quality = tuple([answer.quality for answer in answers])
        if quality.count(Quality.BAD_BUS) == len(quality):
            unit.failures += 1
        elif Quality.GOOD in quality:
            unit.last_good_ns = wall_ns
        self._deliver(Batch(
            asset=unit.asset, tags=unit.tags, values=tuple([answer.value for answer in answers]), quality=quality,
            source_ns=(wall_ns,) * len(answers), read_ns=wall_ns, mono_ns=self._clock.mono_ns(),
            trusted=trusted,
        ))  # fmt: skip


def _nothing(unit: PolledUnit, detail: str) -> list[Answer]:
    return [Answer(None, Quality.BAD_BUS, detail)] * len(unit.tags)
