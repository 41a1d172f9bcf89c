"""What the owners of lines have in common: whom they tell, and how they say how a unit is doing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge.contract.types import Batch
from edge.poll.breaker import State

Offer = Callable[[str, Sequence[str]], None]
Deliver = Callable[[Batch], None]


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """How one scan of one unit of one asset is doing, for the panel and the page.

    ``polls`` were due since the start, or came by themselves; of them ``failures`` gave nothing, ``overruns`` and
    ``left_alone`` being those that were never asked. ``detail`` is the last trouble, empty after a poll without any.
    """

    asset: str
    line: str
    unit: int
    profile: str
    polls: int
    failures: int
    overruns: int
    left_alone: int
    consecutive_failures: int
    breaker: State
    last_good_ns: int | None
    response_ms: float | None
    detail: str
    period_ms: float = 0.0
    priority: int = 0
