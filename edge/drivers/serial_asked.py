"""Devices on a serial line that answer requests of their own protocol, which their profiles describe.

One question at a time. Survived, each as an answer of bad quality with its reason: silence, noise, cut and merged
frames, wrong checksums, messages of other units or to other questions, refusals, a device that is unplugged.

An answer may come after its deadline, and nothing in most of these protocols says to which question. So after a silence
nothing is asked before the late answer has had a second deadline to arrive; what comes until then is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from edge.config.lines import Serial, SerialTcp
from edge.config.profiles.serial import FRAME_BYTES_MAX, SerialProfile
from edge.contract.types import Quality
from edge.drivers.deadline import HeardWithin
from edge.drivers.serial_framer import Framer
from edge.drivers.serial_messages import Reader, Said, request_bytes
from edge.drivers.serial_port import SerialPort
from edge.line_counts import Fault, LineCounts
from edge.ports import Answer, Clock

DRAIN_NS = 10_000_000
"""So long what came is read and dropped, however late it is: it lies in a buffer where this process stood still."""


class SerialDriver:
    """The ``Driver`` of one such line. ``counts`` is what became of its questions."""

    def __init__(self, line: Serial | SerialTcp, clock: Clock) -> None:
        self._line = line
        self._clock = clock
        self._port = SerialPort(line, self._hear, clock)
        self._talks: dict[tuple[int, int], _Talk] = {}
        self.counts = LineCounts()
        self._question: _Question | None = None
        self._owed_until_ns = 0

    async def open(self) -> None:
        """Raises ``LineError``."""
        await self._port.open()

    async def close(self) -> None:
        await self._port.close()

    async def read(self, unit: int, profile: SerialProfile) -> list[Answer]:
        """One answer for each of ``profile.point``, in order."""
        talk = self._talks.get((unit, id(profile)))
        if talk is None:
            talk = self._talks[unit, id(profile)] = _Talk(profile, unit)
        answers: list[Answer | None] = [None] * len(profile.point)
        silence = ""
        for message in talk.wanted:
            found = silence or await self._ask(talk, message)
            if isinstance(found, Said):
                for place, answer in zip(found.places, found.answers, strict=True):
                    answers[place] = answer
                continue
            # A unit that is silent once is not asked further: a dead one costs one deadline a poll.
            silence = found
            for place in talk.reader.places(message):
                answers[place] = Answer(None, Quality.BAD_BUS, found)
        return [answer for answer in answers if answer is not None]

    async def _ask(self, talk: _Talk, message: int) -> Said | str:
        """What it answered, or why nothing was heard."""
        counts = self.counts.of(talk.unit)
        trouble = await self._port.ready()
        if trouble:
            counts.count("line", busy_ns=0, sent_bytes=0, heard_bytes=0)
            return trouble
        await self._let_late_answers_pass()
        began_ns = self._clock.mono_ns()
        request = talk.requests[message]
        allowed_s = self._line.timeout_ms / 1000 + self._wire_s(len(request) + talk.reader.profile.frame.bytes_max)
        question = self._question = _Question(talk, message, self._clock)
        # Set before it is sent, so that the answer to a cancelled question counts as owed.
        self._owed_until_ns = self._clock.mono_ns() + int(2 * allowed_s * 1e9)
        self._port.send(request)
        lost = asyncio.ensure_future(self._port.lost())
        try:
            ends: set[asyncio.Future[Any]] = {question.said, lost}
            with contextlib.suppress(TimeoutError):
                async with HeardWithin(allowed_s):
                    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
            self._question = None
        answered = question.said.done()
        fault = question.fault() if answered or not self._port.trouble else "line"
        counts.count(
            fault, busy_ns=self._clock.mono_ns() - began_ns, sent_bytes=len(request), heard_bytes=question.answer_bytes
        )
        if answered:
            self._owed_until_ns = 0
            return question.said.result()
        # It was open for longer where this process stood still.
        self._owed_until_ns = self._clock.mono_ns() + int(allowed_s * 1e9)
        return self._port.trouble or question.silence(allowed_s)

    async def _let_late_answers_pass(self) -> None:
        if self._owed_until_ns:
            rest_ns = self._owed_until_ns - self._clock.mono_ns()
            await self._clock.sleep(max(rest_ns, DRAIN_NS) / 1e9)
        self._owed_until_ns = 0

    def _hear(self, data: bytes) -> None:
        if self._question is not None:
            self._question.hear(data)

    def _wire_s(self, count: int) -> float:
        """What the wire may take for ``count`` characters of ten bits or eleven; behind a device server it is unknown,
        and its deadline the user's."""
        return 11 * min(count, FRAME_BYTES_MAX) / self._line.baud if isinstance(self._line, Serial) else 0.0


class _Talk:
    """What is compiled for one unit with one profile; it holds the profile, so that its id stays its own."""

    def __init__(self, profile: SerialProfile, unit: int) -> None:
        self.unit = unit
        self.reader = Reader(profile, unit)
        self.requests = [request_bytes(message, profile.frame, unit) for message in profile.message]
        self.wanted = [i for i in range(len(profile.message)) if self.reader.places(i)]


class _Question:
    """One open question: waits for its own message and passes over all others."""

    def __init__(self, talk: _Talk, message: int, clock: Clock) -> None:
        self._talk = talk
        self._message = message
        self._clock = clock
        self._framer = Framer(talk.reader.profile.frame)
        self._foreign = 0
        self.answer_bytes = 0
        self.said: asyncio.Future[Said] = asyncio.get_running_loop().create_future()

    def hear(self, data: bytes) -> None:
        for message in self._framer.feed(data, self._clock.mono_ns()):
            said = self._talk.reader.read(message, only=self._message)
            if said is None:
                self._foreign += 1
            elif not self.said.done():
                self.answer_bytes = len(message)
                self.said.set_result(said)

    def fault(self) -> Fault:
        """How the question ended, for a diagnosis of the line."""
        if self.said.done():
            refused = all(answer.quality == Quality.BAD_DEVICE for answer in self.said.result().answers)
            return "refused" if refused else ""
        counts = self._framer.counts
        if counts.checksum:
            return "crc"
        if self._foreign:
            return "mismatch"
        return "noise" if counts.noise or counts.cut or counts.long else "timeout"

    def silence(self, waited_s: float) -> str:
        """Why there is no answer, after the deadline."""
        self._framer.drop()
        heard = [self._framer.counts.words()] if self._framer.counts.words() else []
        if self._foreign:
            heard.append(f"{self._foreign} messages that do not answer it")
        return f"no answer within {waited_s * 1000:.0f} ms" + (f", only {', '.join(heard)}" if heard else "")
