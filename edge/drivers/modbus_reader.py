"""Reads whole profiles: which block first, when to give up, and what to make of a device's refusals.

A dead unit costs one timeout a poll, not one a block: the block that answered last is asked first, and where it stays
silent the others are not asked. A unit that is silent to one block only keeps its other blocks.

A block that is refused is halved until what is refused stands alone, its neighbours being good; a poll asks at most
``EXTRA_MAX`` questions more for that. What was found out is remembered for the unit, whichever profile asks next. What
was refused alone is asked again now and then: a controller that is being loaded refuses everything for a while.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from edge.config.profiles.modbus import ModbusProfile
from edge.contract.types import Quality
from edge.drivers.modbus_block import Block, answers_of
from edge.drivers.modbus_conversation import Conversation
from edge.drivers.modbus_plan import REFUSALS, Lessons, Plan
from edge.drivers.modbus_questions import Reply, Request
from edge.ports import Answer, Clock

EXTRA_MAX = 32
"""Questions that one poll may ask to find out what is refused: two for each halving of a block."""
REFUSED_AGAIN_S = 10.0
"""How long what was refused alone is left alone; then one of a unit's refused places is asked again."""


@dataclass(slots=True)
class _Talk:
    """What is remembered of one unit with one profile: its plan, and the block that answered last."""

    plan: Plan
    lead: int = 0

    def usual(self) -> list[Request]:
        """What the unit is asked, the block that answered last first."""
        blocks = self.plan.blocks or self.plan.refused
        return [block.request for block in (*blocks[self.lead :], *blocks[: self.lead])]


@dataclass(slots=True)
class _Known:
    """What is known of one unit. ``again_ns``: when it was last asked what it had refused."""

    again_ns: int
    lessons: Lessons = field(default_factory=Lessons)


class Reader:
    """Reads profiles through ``conversation``; ``between`` two blocks others may use it."""

    def __init__(
        self, conversation: Conversation, clock: Clock, between: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._conversation = conversation
        self._between = between
        self._clock = clock
        self._talks: dict[tuple[int, int], _Talk] = {}
        self._known: dict[int, _Known] = {}

    async def read(self, unit: int, profile: ModbusProfile) -> list[Answer]:
        """One answer for each of ``profile.point``, in order."""
        known = self._known.get(unit)
        if known is None:
            known = self._known[unit] = _Known(self._clock.mono_ns())
        talk = self._talk(unit, profile, known.lessons)
        plan = talk.plan
        poll = _Poll(self._conversation, unit, talk, known.lessons, profile.quirks.pause_ms)
        replies: dict[int, Reply] = {}
        parted: dict[int, list[tuple[Block, Reply]]] = {}
        for i in _lead_first(len(plan.blocks), talk.lead):
            if replies and self._between is not None:
                await self._between()
            reply = replies[i] = await poll.ask(plan.blocks[i].request)
            if reply.quality == Quality.GOOD:
                talk.lead = i
            elif reply.code in REFUSALS:
                parted[i] = await poll.part(plan.blocks[i], reply)
        refused = await self._refused(known, poll, plan)
        if not parted:
            return plan.answers([*(replies[i] for i in range(len(plan.blocks))), *refused])
        told = list(zip(plan.refused, refused, strict=True))
        for i, block in enumerate(plan.blocks):
            told += parted.get(i) or [(block, replies[i])]
        return answers_of(len(profile.point), told)

    def _talk(self, unit: int, profile: ModbusProfile, lessons: Lessons) -> _Talk:
        """The unit's talk by ``profile``, its plan up to date. The plan holds the profile, whose id stays its own."""
        talk = self._talks.get((unit, id(profile)))
        if talk is None or talk.plan.version != lessons.version:
            talk = self._talks[unit, id(profile)] = _Talk(Plan(profile, lessons))
        return talk

    async def _refused(self, known: _Known, poll: _Poll, plan: Plan) -> list[Reply]:
        """For each block that the unit refused before what it said then; one of them is now and then asked again."""
        if not plan.refused:
            return []
        refused = known.lessons.refused
        said = {block.request: refused[block.request] for block in plan.refused}
        due = self._clock.mono_ns() - known.again_ns >= REFUSED_AGAIN_S * 1e9
        if due or not plan.blocks:
            known.again_ns = self._clock.mono_ns()
            request = next(request for request in refused if request in said)
            said[request] = await poll.ask(request)
            known.lessons.again(request, said[request])
        # Who is silent now did not refuse: what it once said would hide that.
        return [poll.over or said[block.request] for block in plan.refused]


class _Poll:
    """One read of one unit: what it has said so far. ``over`` is why it is asked no more."""

    def __init__(self, conversation: Conversation, unit: int, talk: _Talk, lessons: Lessons, pause_ms: int) -> None:
        self._conversation, self._unit, self._talk = conversation, unit, talk
        self._lessons, self._pause_ms = lessons, pause_ms
        self._heard = False
        self._silences = 0
        self._extra = EXTRA_MAX
        self.over: Reply | None = None

    async def ask(self, request: Request) -> Reply:
        """The unit's reply; no question any more once it is over."""
        if self.over is not None:
            return self.over
        if self._conversation.is_owed(self._unit):
            step = await self._conversation.get_into_step(self._unit, self._talk.usual())
            if not step.heard:
                self.over = step
                return step
            self._heard = True
        reply = await self._conversation.asked(self._unit, request, self._pause_ms)
        if reply.heard:
            self._heard, self._silences = True, 0
        else:
            self._silences += 1
            if not self._heard or self._silences > 1:
                self.over = reply
        return reply

    async def part(self, block: Block, refusal: Reply) -> list[tuple[Block, Reply]]:
        """Find out what of ``block`` is refused: its parts with a reply each, and a lesson where there is one."""
        halves = block.halves()
        if halves is None:
            self._lessons.refuse(block.request, refusal)
            return [(block, refusal)]
        if self._extra < 2 or self.over is not None:
            return [(block, refusal)]
        self._extra -= 2
        replies = [await self.ask(half.request) for half in halves]
        if all(reply.quality == Quality.GOOD for reply in replies):
            self._lessons.cut(halves[1].request)
        parts: list[tuple[Block, Reply]] = []
        for half, reply in zip(halves, replies, strict=True):
            parts += await self.part(half, reply) if reply.code in REFUSALS else [(half, reply)]
        return parts


def _lead_first(count: int, lead: int) -> list[int]:
    return [lead, *(i for i in range(count) if i != lead)] if count else []
