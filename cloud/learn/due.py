"""When it is time to train again: a quarter has passed, or enough failures were confirmed since."""

from __future__ import annotations

QUARTER_DAYS = 91
FAILURES_MIN = 5
_DAY_NS = 86_400 * 10**9


def due(
    now_ns: int, last_ns: int | None, failures_since: int, *, days: int = QUARTER_DAYS, failures: int = FAILURES_MIN
) -> str | None:
    """Why to train now, in words; None where it can wait. ``last_ns`` is when it was trained last, None for never.

    A clock that was set back makes nothing due: it is then due a quarter after it passes ``last_ns`` again.
    """
    if last_ns is None:
        return "nothing was trained yet"
    if failures_since >= failures:
        return f"{failures_since} failures were confirmed since the last training"
    passed = (now_ns - last_ns) // _DAY_NS
    return f"{passed} days have passed since the last training" if passed >= days else None
