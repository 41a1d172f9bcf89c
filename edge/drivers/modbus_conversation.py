"""How one unit is asked a question, whatever carries the frames: its pause, and how to get into step with it.

On a serial line a late reply looks like the reply to the next question of the same length. So after a silence the unit
is first asked a short question whose answer has a length of its own; a unit answers in order, hence its answer proves
that nothing older is still to come. Where that stays unanswered too, the late reply has had two deadlines to arrive,
and the next question is asked plainly again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from edge.contract.types import Quality
from edge.drivers.modbus_questions import Question, Reply, Request
from edge.ports import Clock

Ask = Callable[[int, Question], Awaitable[Reply]]
"""Ask ``unit`` one question. Never raises for trouble on the line."""


class Conversation:
    """Talks to units through ``carry``. ``numbered`` carriers (TCP) tell late replies by their transaction."""

    def __init__(self, carry: Ask, clock: Clock, *, numbered: bool) -> None:
        self._carry = carry
        self._clock = clock
        self._numbered = numbered
        self._unanswered: dict[int, Question] = {}
        self._asked_ns: dict[int, int] = {}

    async def ask(self, unit: int, question: Question, *, pause_ms: int = 0) -> Reply:
        """Ask one question by itself, in step."""
        if self.is_owed(unit):
            step = await self.get_into_step(unit, [question if isinstance(question, Request) else Request(3, 0, 1)])
            if not step.heard:
                return step
        return await self.asked(unit, question, pause_ms)

    def is_owed(self, unit: int) -> bool:
        """Whether a reply of ``unit`` may still come, so that ``get_into_step`` goes before the next question."""
        return unit in self._unanswered

    async def asked(self, unit: int, question: Question, pause_ms: int) -> Reply:
        """Ask, after the pause that the device needs between questions; remember what stays unanswered."""
        if pause_ms and unit in self._asked_ns:
            rest_ns = self._asked_ns[unit] + pause_ms * 1_000_000 - self._clock.mono_ns()
            if rest_ns > 0:
                await self._clock.sleep(rest_ns / 1e9)
        if not self._numbered:
            # Set before the question is sent, so that a cancelled one counts as unanswered.
            self._unanswered[unit] = question
        reply = await self._carry(unit, question)
        self._asked_ns[unit] = self._clock.mono_ns()
        if reply.quality != Quality.BAD_BUS:
            self._unanswered.pop(unit, None)
        return reply

    async def get_into_step(self, unit: int, usual: Iterable[Request]) -> Reply:
        """The short question after a silence; the length of its answer is its own.

        ``usual`` is what the unit is asked otherwise, at least one, the likeliest to be answered first.
        """
        owed = self._unanswered.pop(unit)
        requests = list(usual)
        near = next((request for request in requests if request != owed), requests[0])
        lengths = {request.data_bytes for request in (*requests, owed) if isinstance(request, Request)}
        reply = await self._carry(unit, step_question(near, lengths))
        self._asked_ns[unit] = self._clock.mono_ns()
        return reply


def step_question(near: Request, lengths: set[int]) -> Request:
    """The shortest question at ``near`` whose answer has none of ``lengths``, where there is one."""
    step = 1 if near.function >= 3 else 8
    sizes = [Request(near.function, min(near.address, 65536 - n), n) for n in range(1, 1 + 12 * step, step)]
    return next((request for request in sizes if request.data_bytes not in lengths), sizes[0])
