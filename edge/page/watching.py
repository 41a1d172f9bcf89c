"""Asks the gateway, for all who look together: once a second while somebody does, else every five.

A gateway that does not answer is told as such, with how long ago it last did; what it said then is kept, and ages.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge.errors import BabbittError
from edge.local_socket import asked
from edge.page.recent import Recent

INTERVAL_S, IDLE_INTERVAL_S = 1.0, 5.0
COUNTS_EVERY_S = 10.0
COUNTS_KEPT = 31
"""The doctor's window: five minutes."""
ANSWER_WITHIN_S = 3.0
ANSWER_BYTES_MAX = 8 * 1024 * 1024
FRESH_WITHIN_S = 1.5
"""How long a page may wait for news where the last are older than ``INTERVAL_S``: values a second late look old."""

QUESTIONS = ("status", "values", "alarms", "health", "advice", "contracts")

log = logging.getLogger("babbitt.page")


@dataclass(frozen=True, slots=True)
class Look:
    """What the gateway answered last, by question, and how it is with it at ``now_s``.

    ``answered_s`` is when it last did (None: never); ``trouble`` why it does not now, or empty. ``counts`` are the
    newest and one from up to five minutes before, None where the gateway's whole life is shorter. All times are
    monotonic.
    """

    answers: dict[str, Any] = field(default_factory=dict)
    answered_s: float | None = None
    trouble: str = "not asked yet"
    now_s: float = 0.0
    counts: Any = None
    counts_before: Any = None

    @property
    def is_live(self) -> bool:
        return not self.trouble

    @property
    def age_s(self) -> float:
        """How long ago the gateway said all this."""
        return max(0.0, self.now_s - self.answered_s) if self.answered_s is not None else 0.0

    def of(self, question: str) -> dict[str, Any]:
        """The answer to ``question``; empty where there is none, as from a gateway that does not know it."""
        found = self.answers.get(question, {})
        return found if isinstance(found, dict) and "error" not in found else {}


def _nothing() -> None:
    """Nobody listens for beats."""


class Watching:
    """Belongs to the event loop. ``look()`` is what pages are made of."""

    def __init__(
        self, socket: Path, *, monotonic_s: Callable[[], float] = time.monotonic, beat: Callable[[], None] = _nothing
    ) -> None:
        """``beat`` is called each time that the gateway was asked, whether it answered or not."""
        self._socket, self._monotonic_s, self._beat = socket, monotonic_s, beat
        self._look = Look()
        self._counts: deque[tuple[float, Any]] = deque(maxlen=COUNTS_KEPT)
        self._asked_s = self._heard_s = float("-inf")
        self._wake = asyncio.Event()
        self._news = asyncio.Event()
        self._is_outdated = False
        self.recent = Recent()
        self.asked = 0

    def look(self) -> Look:
        """Somebody looks: what is known, as it is now."""
        self._wake.set()
        look = self._look
        before = self._counts[0][1] if len(self._counts) > 1 else None
        newest = self._counts[-1][1] if self._counts else None
        return replace(look, now_s=self._monotonic_s(), counts=newest, counts_before=before)

    async def fresh(self) -> Look:
        """``look()``, after the next answer where nobody has looked for a while, or something was done since."""
        self.look()
        try:
            async with asyncio.timeout(FRESH_WITHIN_S):
                while self._is_outdated or self._monotonic_s() - self._heard_s > INTERVAL_S:
                    await self._news.wait()
        except TimeoutError:
            pass
        return self.look()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            await self._ask()
            self._beat()
            try:
                async with asyncio.timeout(IDLE_INTERVAL_S - INTERVAL_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            # Whoever looks, and however many: never more often than this.
            await asyncio.sleep(max(0.0, self._asked_s + INTERVAL_S - self._monotonic_s()))

    async def tell(self, command: str, **arguments: Any) -> dict[str, Any]:
        """What a person wants done. Raises ``BabbittError`` where it is refused, or nobody answers."""
        answer = await asked(self._socket, command, within_s=ANSWER_WITHIN_S, **arguments)
        self._is_outdated = True
        return answer

    async def _ask(self) -> None:
        now_s = self._asked_s = self._monotonic_s()
        wants_counts = not self._counts or now_s - self._counts[-1][0] >= COUNTS_EVERY_S
        questions = [*QUESTIONS, *(["counts"] if wants_counts else [])]
        self.asked += 1
        self._is_outdated = False
        try:
            answers = await asked(
                self._socket, "several", of=questions, within_s=ANSWER_WITHIN_S, bytes_max=ANSWER_BYTES_MAX
            )
        except BabbittError as error:
            if self._look.is_live:
                log.warning("the gateway does not answer: %s", error)
            self._look = replace(self._look, trouble=error.problem)
        else:
            if not self._look.is_live:
                log.info("the gateway answers")
            self._take(answers, self._monotonic_s())
        self._heard_s = self._monotonic_s()
        self._news.set()
        self._news = asyncio.Event()

    def _take(self, answers: dict[str, Any], now_s: float) -> None:
        counts = answers.pop("counts", None)
        if counts is not None and "error" not in counts:
            if self._counts and counts["uptime_s"] < self._counts[-1][1]["uptime_s"]:
                self._counts.clear()  # It was started anew, and counts from nothing.
            self._counts.append((now_s, counts))
        self._look = Look(answers, now_s, "")
        self.recent.take(now_s, self._look.of("values").get("values", ()))
