"""What an operator asks of the gateway by the acknowledge button: pure, by the page that was read and what stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.contract.types import Alarm
from edge.panel.lamps import resettable, shown_alarms, waits
from edge.panel.matters import Matter
from edge.panel.state import PanelState


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of an alarm: that it is acknowledged, or (``reset``) that a latched one ends."""

    asset: str
    rule: str
    reset: bool = False


def pressed_on(read: Matter, state: PanelState) -> tuple[Asked, ...]:
    """What a short press asks for on this page: its alarm is acknowledged."""
    return tuple(Asked(a.asset, a.rule) for a in shown_alarms(state) if waits(a) and _is_of(read, a))


def held_on(read: Matter, state: PanelState) -> tuple[Asked, ...]:
    """What holding it asks for: where the page's alarm waits for its reset that, else all of the machine are
    acknowledged. One press never does both."""
    shown = shown_alarms(state)
    resets = tuple(Asked(a.asset, a.rule, reset=True) for a in shown if resettable(a) and _is_of(read, a))
    return resets or tuple(Asked(a.asset, a.rule) for a in shown if waits(a) and read.asset and a.asset == read.asset)


def still_meant(promised: Sequence[Asked], state: PanelState) -> tuple[Asked, ...]:
    """Those of what was ``promised`` that can be done yet."""
    can = {Asked(a.asset, a.rule, resettable(a)) for a in shown_alarms(state) if waits(a) or resettable(a)}
    return tuple(one for one in promised if one in can)


def promise(asked: Sequence[Asked]) -> str:
    """What letting go will do, in words for the display."""
    if not asked:
        return "nothing to ack"
    return "let go: reset" if asked[0].reset else f"let go: ack {len(asked)}"


def done(asked: Sequence[Asked]) -> str:
    """What was done, in words for the display."""
    if not asked:
        return "nothing to ack"
    what = "reset" if asked[0].reset else "acknowledged"
    return what if len(asked) == 1 else f"{what} {len(asked)}"


def _is_of(read: Matter, alarm: Alarm) -> bool:
    return read.alarm is not None and (alarm.asset, alarm.rule) == (read.alarm.asset, read.alarm.rule)
