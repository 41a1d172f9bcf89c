"""What all Modbus drivers are, whatever carries their frames: ``Driver``, ``Writer`` and ``Identifier``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

from edge.config.profiles.modbus import ModbusProfile
from edge.contract.types import Quality, Value
from edge.drivers.modbus_conversation import Conversation
from edge.drivers.modbus_questions import Identify, Question, Reply, identification
from edge.drivers.modbus_reader import Reader
from edge.drivers.modbus_write import write_question
from edge.line_counts import LineCounts
from edge.ports import Answer, Clock, NoAnswer

IDENTIFY_MAX = 8
"""Questions that one identification may take: a device that says that more follows for ever is not followed."""
OBJECT_NAMES = {
    0: "vendor", 1: "product", 2: "revision", 3: "url", 4: "product_name", 5: "model", 6: "application",
}  # fmt: skip


class ModbusDriver(ABC):
    """Talks through ``_answer``. ``counts`` is what came of the questions; see ``edge.line_counts``.

    ``numbered`` carriers tell late replies by their number; a frame has ``overhead_bytes`` more than its PDU.
    """

    def __init__(self, clock: Clock, *, numbered: bool, overhead_bytes: int) -> None:
        self._clock = clock
        self._overhead_bytes = overhead_bytes
        self._conversation = Conversation(self._carry, clock, numbered=numbered)
        self.give_way: Callable[[], Awaitable[None]] | None = None
        self._reader = Reader(self._conversation, clock, self._between)
        self.counts = LineCounts()

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def _answer(self, unit: int, question: Question) -> Reply:
        """Take one question to one unit. Never raises for trouble on the line."""

    async def _carry(self, unit: int, question: Question) -> Reply:
        started_ns = self._clock.mono_ns()
        reply = await self._answer(unit, question)
        self.counts.of(unit).count(
            reply.fault, busy_ns=self._clock.mono_ns() - started_ns,
            sent_bytes=self._overhead_bytes + len(question.pdu), heard_bytes=self._overhead_bytes + question.size_max,
            code=reply.code,
        )  # fmt: skip
        return reply

    async def _between(self) -> None:
        if self.give_way is not None:
            await self.give_way()

    async def read(self, unit: int, profile: ModbusProfile) -> list[Answer]:
        return await self._reader.read(unit, profile)

    async def ask(self, unit: int, question: Question) -> Reply:
        """Any one question, such as ``WriteThenRead``."""
        return await self._conversation.ask(unit, question)

    async def write(self, unit: int, profile: ModbusProfile, tag: str, value: Value) -> Answer:
        point = next((point for point in profile.point if point.tag == tag), None)
        if point is None or not point.writable:
            return Answer(None, Quality.BAD_DECODE, f"{tag} is not writable in profile {profile.device.id}")
        try:
            question = write_question(point, value, profile.quirks)
        except ValueError as error:
            return Answer(None, Quality.BAD_DECODE, str(error))
        reply = await self._conversation.ask(unit, question, pause_ms=profile.quirks.pause_ms)
        if reply.quality != Quality.GOOD:
            return Answer(None, reply.quality, reply.detail)
        return Answer(value, Quality.GOOD)

    async def identify(self, unit: int) -> dict[str, str]:
        texts: dict[int, str] = {}
        question: Identify | None = Identify()
        for _ in range(IDENTIFY_MAX):
            if question is None:
                break
            reply = await self._conversation.ask(unit, question)
            if reply.quality == Quality.BAD_BUS and not texts:
                raise NoAnswer(reply.detail)
            if reply.quality != Quality.GOOD:
                break
            told, more = identification(reply.data)
            texts |= told
            question = _next(question, more, conformity=reply.data[0] & 0x7F)
        return {OBJECT_NAMES.get(number, f"object_{number}"): text for number, text in sorted(texts.items())}


def _next(asked: Identify, more: int | None, conformity: int) -> Identify | None:
    """What to ask next: the rest of this level, then the next level where the device knows it."""
    if more is not None:
        return Identify(asked.level, more) if more > asked.first else None
    return Identify(2, 3) if asked.level == 1 and conformity >= 2 else None
