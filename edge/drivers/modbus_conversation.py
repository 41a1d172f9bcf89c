"""How one unit is talked to, whatever carries the frames: which block first, when to give up, how to get into step.

A dead unit costs one timeout a poll, not one a block: the block that answered last is asked first, and where it stays
silent the others are not asked. A unit that is silent to one block only keeps its other blocks.

On a serial line a late reply looks like the reply to the next question of the same length. So after a silence the unit
is first asked a short question whose answer has a length of its own; a unit answers in order, hence its answer proves
that nothing older is still to come. Where that stays unanswered too, the late reply has had two deadlines to arrive,
and the next poll asks plainly again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from edge.config.profiles.modbus import ModbusProfile
from edge.contract.types import Quality
from edge.drivers.modbus_frames import Reply, Request, silent
from edge.drivers.modbus_plan import Plan
from edge.ports import Answer, Clock

Ask = Callable[[int, Request], Awaitable[Reply]]
"""Ask ``unit`` one question. Never raises for trouble on the line."""


@dataclass(slots=True)
class _Talk:
    """What is remembered of one unit with one profile: its plan, and the block that answered last."""

    plan: Plan
    lead: int = 0


class Conversation:
    """Reads whole profiles through ``ask``. ``numbered`` carriers (TCP) tell late replies by their transaction."""

    def __init__(self, ask: Ask, clock: Clock, *, numbered: bool) -> None:
        self._ask = ask
        self._clock = clock
        self._numbered = numbered
        self._talks: dict[tuple[int, int], _Talk] = {}
        self._plans: dict[int, Plan] = {}
        self._unanswered: dict[int, Request] = {}
        self._asked_ns: dict[int, int] = {}

    def plan(self, profile: ModbusProfile) -> Plan:
        """The compiled plan of ``profile``. The plan holds the profile, so that its id stays its own."""
        plan = self._plans.get(id(profile))
        if plan is None:
            plan = self._plans[id(profile)] = Plan(profile)
        return plan

    async def read(self, unit: int, profile: ModbusProfile) -> list[Answer]:
        """One answer for each of ``profile.point``, in order."""
        plan = self.plan(profile)
        talk = self._talks.setdefault((unit, id(profile)), _Talk(plan))
        replies: dict[int, Reply] = {}
        missing = silent("not asked")
        heard, silences = False, 0
        for i in _lead_first(len(plan.blocks), talk.lead):
            if unit in self._unanswered:
                step = await self._get_into_step(unit, talk)
                if not step.heard:
                    missing = step
                    break
                heard = True
            reply = replies[i] = await self._paced(unit, plan.blocks[i].request, profile.quirks.pause_ms)
            if reply.heard:
                heard, silences, talk.lead = True, 0, i if reply.data else talk.lead
                continue
            silences += 1
            if not heard or silences > 1:
                missing = reply
                break
        return plan.answers([replies.get(i, missing) for i in range(len(plan.blocks))])

    async def _paced(self, unit: int, request: Request, pause_ms: int) -> Reply:
        """Ask, after the pause that the device needs between questions; remember what stays unanswered."""
        if pause_ms and unit in self._asked_ns:
            rest_ns = self._asked_ns[unit] + pause_ms * 1_000_000 - self._clock.mono_ns()
            if rest_ns > 0:
                await self._clock.sleep(rest_ns / 1e9)
        if not self._numbered:
            # Set before the question is sent, so that a cancelled one counts as unanswered.
            self._unanswered[unit] = request
        reply = await self._ask(unit, request)
        self._asked_ns[unit] = self._clock.mono_ns()
        if reply.quality != Quality.BAD_BUS:
            self._unanswered.pop(unit, None)
        return reply

    async def _get_into_step(self, unit: int, talk: _Talk) -> Reply:
        """The short question after a silence; the length of its answer is its own."""
        owed = self._unanswered.pop(unit)
        blocks = talk.plan.blocks
        near = blocks[talk.lead].request
        if near == owed and len(blocks) > 1:
            near = blocks[(talk.lead + 1) % len(blocks)].request
        lengths = {owed.data_bytes} | {b.request.data_bytes for b in blocks}
        reply = await self._ask(unit, step_question(near, lengths))
        self._asked_ns[unit] = self._clock.mono_ns()
        return reply


def step_question(near: Request, lengths: set[int]) -> Request:
    """The shortest question at ``near`` whose answer has none of ``lengths``, where there is one."""
    step = 1 if near.function >= 3 else 8
    sizes = [Request(near.function, min(near.address, 65536 - n), n) for n in range(1, 1 + 12 * step, step)]
    return next((request for request in sizes if request.data_bytes not in lengths), sizes[0])


def _lead_first(count: int, lead: int) -> list[int]:
    return [lead, *(i for i in range(count) if i != lead)]
