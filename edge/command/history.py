"""The writes to one tag so far, for what a contract says of a minute's change and of the time between two. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

KEPT_MAX = 256


@dataclass(frozen=True, slots=True)
class Change:
    """A write that changed the tag by ``by`` (its size), at monotonic ``at_ns``, whether or not the device took it."""

    at_ns: int
    by: float


def changed_within(changes: Sequence[Change], now_ns: int, within_s: float) -> float:
    """By how much the writes of the last ``within_s`` changed it together."""
    return sum(change.by for change in changes if now_ns - change.at_ns < within_s * 1e9)


def since_last(changes: Sequence[Change], now_ns: int) -> float | None:
    """Seconds since the last write, None where there was none."""
    return (now_ns - max(change.at_ns for change in changes)) / 1e9 if changes else None


def with_change(changes: Sequence[Change], change: Change, *, keep_s: float) -> tuple[Change, ...]:
    """With one more, without those that no rule asks about any more. Older ones that are too many are taken as one."""
    kept = [one for one in changes if change.at_ns - one.at_ns <= keep_s * 1e9]
    while len(kept) >= KEPT_MAX:
        first, second, *rest = kept
        kept = [Change(second.at_ns, first.by + second.by), *rest]
    return (*kept, change)
