"""Limits: what one reading says about one rule. Pure; delays and memory live in ``states`` and ``desk``.

A reading of bad quality says nothing: it neither raises nor clears. What a limit is laid on (the value, its rate, how
far it is off) is for ``gauges``.
"""

from __future__ import annotations

from edge.config.rule import Rule
from edge.contract.types import Quality, Value


def usable(value: Value, quality: Quality) -> float | None:
    """The value as a number where a limit may be laid on it: not bad, a number, and not NaN."""
    if quality >= Quality.BAD_BUS or isinstance(value, bool | str | None):
        return None
    number = float(value)
    return number if number == number else None


def holds(rule: Rule, value: float | None, *, active: bool, enabled: bool | None = True) -> bool | None:
    """Whether the rule's condition holds, or None where the reading does not tell.

    Strictly past the limit raises. Once the alarm is active it holds on until the value is back by more than the
    deadband, so that a limit of 80 with a deadband of 1 clears only below 79. ``enabled`` is the state that the rule
    depends on: false means that the limit does not apply now, None that the state is unknown.
    """
    if enabled is False:
        return False
    if value is None or enabled is None:
        return None
    # Each of these is asked for every reading on the way to the lamp.
    above, below, slack = rule.above, rule.below, rule.deadband or 0.0
    if above is not None:
        return value >= above - slack if active else value > above
    if below is not None:
        return value <= below + slack if active else value < below
    limit = limit_of(rule)
    return value >= limit - slack if active else value > limit


def limit_of(rule: Rule) -> float:
    limit = rule.limit
    assert limit is not None
    return limit
