"""The gateway's own pulse: what it was late, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from edge.runtime.pulse import Pulse
from tests.laws.journals import BentClock


class LateClock(BentClock):
    """Each sleep ends later than it should, by the next of ``late_s``."""

    def __init__(self, *late_s: float) -> None:
        super().__init__()
        self._late_s: Iterator[float] = iter(late_s)

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds + next(self._late_s))


@pytest.mark.parametrize(("late_s", "stood_still_s"), [([], 0.0), ([0.001] * 1000, 0.0), ([0.4, 0.0, 0.001, 1.5], 1.9)])
def test_it_adds_up_by_how_much_a_sleep_was_too_long(late_s: list[float], stood_still_s: float) -> None:
    pulse = Pulse(LateClock(*late_s))

    async def scene() -> None:
        for _ in late_s:
            await pulse.sleep(0.1)

    asyncio.run(scene())
    assert pulse.stood_still_s == pytest.approx(stood_still_s)
