"""Suppression by design: an alarm that means nothing in the present state of its machine is kept from people.

The state is a condition on the machine's own tags (``edge.contract.expression``). As long as it is not known nothing is
suppressed: an alarm too many is the lesser harm. What a restart carried over stands until the tags had time to come; a
condition that ended meanwhile is taken to have ended just now, for the machine may be in its start-up.
"""

from __future__ import annotations

from edge.alarm.context import Context
from edge.contract.expression import parse_expression
from edge.contract.terms import Seen, TagRef


class Suppression:
    """Of one rule. ``settle_ns``: so long after the condition has ended it still suppresses, as in a start-up."""

    def __init__(self, condition: str, settle_ns: int, context: Context) -> None:
        """Raises ``ExpressionError``."""
        self._condition, self._settle_ns, self._context = parse_expression(condition), settle_ns, context
        self._young_ns = context.fresh_ns(ref.tag for ref in self._condition.tags)
        self._first_ns: int | None = None
        self._held = False
        self._ended_ns: int | None = None

    @property
    def ended_ns(self) -> int | None:
        """Since when (monotonic) it suppresses only because its condition has ended a short while ago."""
        return self._ended_ns

    def resume(self, ended_ns: int | None) -> None:
        """Go on from a restart before which it suppressed: its condition held, or had ended at ``ended_ns``."""
        self._held, self._ended_ns = ended_ns is None, ended_ns

    def holds(self, mono_ns: int) -> bool | None:
        """Whether the alarm is suppressed; None where, short after the start, that is not known yet."""
        if self._first_ns is None:
            self._first_ns = mono_ns
        found = self._condition.holds(lambda ref: self._seen(ref, mono_ns))
        if found is None:
            young = mono_ns - self._first_ns <= self._young_ns
            return None if young else False
        if found:
            self._held, self._ended_ns = True, None
            return True
        if self._held:
            self._held, self._ended_ns = False, mono_ns
        return self._ended_ns is not None and mono_ns - self._ended_ns < self._settle_ns

    def _seen(self, ref: TagRef, mono_ns: int) -> Seen:
        if ref.asset:
            return Seen()
        age_ns = self._context.age_ns(ref.tag, mono_ns)
        return Seen(self._context.value(ref.tag, mono_ns), None if age_ns is None else age_ns / 1e9)


def tags_of(condition: str) -> set[str]:
    """The tags that a condition leans on. Raises ``ExpressionError``."""
    return {ref.tag for ref in parse_expression(condition).tags}
