"""What the room does at a machine: reads one tag as it is now, and writes it. Trouble is words, never an exception."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from edge.contract.types import Quality, Value
from edge.errors import LineError
from edge.ports import Answer

READ_S, WRITE_S = 3.0, 5.0
"""How long one question, and one write, may take from when they are given."""

Resolve = Callable[[str, str, float], float]
"""What the device would hold of a value of an asset's tag. Raises ``ValueError`` where it can hold none of it."""


Where = Callable[[str, str], str]
"""Which register of which device an asset's tag is, as a text that is another one for any other register."""


class Poll(Protocol):
    """The poller, as far as it is needed. Both raise ``LineError`` where no line has such a signal."""

    async def ask(self, asset: str, tag: str, *, within_s: float) -> Answer: ...
    async def write(
        self, asset: str, tag: str, value: Value, *, within_s: float, unless: Callable[[], str]
    ) -> Answer: ...  # fmt: skip


class Machine:
    def __init__(self, poll: Poll, resolve: Resolve, where: Where = lambda asset, tag: f"{asset}.{tag}") -> None:
        self._poll, self._resolve, self.where = poll, resolve, where

    def written(self, asset: str, tag: str, value: float) -> tuple[float | None, str]:
        """What the device would hold of ``value``; None and why where it can hold none of it."""
        try:
            held = float(self._resolve(asset, tag, value))
        except (ValueError, OverflowError) as error:
            return None, str(error)
        return (held, "") if math.isfinite(held) else (None, f"{held} is no number that can be written")

    async def read(self, asset: str, tag: str, *, within_s: float = READ_S) -> tuple[float | None, str]:
        """The number that stands there now; None and why where it cannot be told."""
        try:
            answer = await self._poll.ask(asset, tag, within_s=within_s)
        except LineError as error:
            return None, str(error)
        value = answer.value
        if answer.quality != Quality.GOOD:
            return None, answer.detail or "no answer"
        if isinstance(value, str) or value is None or not math.isfinite(value):
            return None, f"{value!r} is no number"
        return float(value), ""

    async def write(self, asset: str, tag: str, value: float, *, unless: Callable[[], str]) -> str:
        """What the device said against it, or ``unless``; empty where it took it by its own word."""
        try:
            answer = await self._poll.write(asset, tag, value, within_s=WRITE_S, unless=unless)
        except LineError as error:
            return str(error)
        return "" if answer.quality == Quality.GOOD else answer.detail or "no answer"
