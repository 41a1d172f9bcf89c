"""How far to believe the time that a device gave to its value."""

from __future__ import annotations

from datetime import UTC, datetime

from edge.contract.types import Quality
from edge.ports import Answer

FUTURE_S_MAX = 3600
"""A device's clock may be ahead of ours by as much; a time beyond is no time."""
NS_FIRST = 946_684_800 * 10**9
"""The year 2000: what is dated before comes from a clock that was never set."""
NS_LAST = 7_258_118_400 * 10**9
"""The year 2200, for a gateway whose own clock was never set."""

Reading = tuple[Answer, int | None]
"""A value, and the wall time in nanoseconds at which it was true by its source; None: at its arrival."""


def dated(answer: Answer, at_ns: int, now_ns: int | None) -> Reading:
    """``answer`` as of ``at_ns`` by its device; ``now_ns`` is our wall time, None where that is not to be trusted.

    A clock that was never set leaves the value and makes it uncertain; the far future makes it undecodable.
    """
    if at_ns < NS_FIRST:
        quality = max(answer.quality, Quality.UNCERTAIN)
        return Answer(answer.value, quality, answer.detail or "dated by a clock that was never set"), None
    if at_ns > (NS_LAST if now_ns is None else now_ns + FUTURE_S_MAX * 10**9):
        return Answer(None, Quality.BAD_DECODE, f"dated in the future: {_moment(at_ns)}"), None
    return answer, at_ns


def _moment(at_ns: int) -> str:
    if at_ns >= NS_LAST:
        return "after the year 2200"
    return datetime.fromtimestamp(at_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
