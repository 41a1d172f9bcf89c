"""What lamps and buzzer mean: pure, from what stands to a pattern for each. ``MEANINGS`` says it to people.

The more urgent row hides the less urgent ones of the same lamp. Green is on with no other lamp but amber's flash and
blue. Fast, on and slow are what ISA-18.1 shows for new, acknowledged and returned. The buzzer sounds, two beeps and a
pause, for what lets red blink fast, until it is silenced or acknowledged. An alarm that is held lights and sounds
nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from edge.contract.types import Alarm, AlarmState, Held, Priority, Urgency
from edge.panel.state import PanelState
from edge.ports import Pattern

MEANINGS = (
    ("red", "fast", "an alarm of high priority that nobody has acknowledged"),
    ("red", "on", "one that is acknowledged and still there, or a machine near its end"),
    ("red", "slow", "one that is gone, but waits for its acknowledgement, or (latched) for its reset"),
    ("amber", "double flash", "data of a machine have stopped: nothing current is known of it"),
    ("amber", "fast", "an alarm of lower priority that nobody has acknowledged"),
    ("amber", "on", "one that is acknowledged and still there, or a machine whose life is running out"),
    ("amber", "slow", "one that is gone, but waits for its acknowledgement or its reset"),
    ("amber", "flash", "the gateway itself: its uplink, disk or clock, the panel's display, a stuck button"),
    ("green", "on", "every machine is without alarms, and its data are fresh"),
    ("blue", "slow", "somebody must press acknowledge"),
    ("blue", "on", "somebody must decide: advice waits, or a latched alarm for its reset"),
    ("buzzer", "two beeps", "an alarm of high priority that nobody has acknowledged or silenced"),
    ("all dark", "", "the gateway was stopped, or the panel has no power"),
    ("not green", "double flash", "red, amber and blue: the gateway does not answer, nothing current is known at all"),
)
"""Lamp, pattern, meaning; of each lamp the most urgent first."""

NO_DATA_RULE = "no_data"

OFF, ON, SLOW, FAST, FLASH, DOUBLE = (
    Pattern.OFF, Pattern.ON, Pattern.SLOW, Pattern.FAST, Pattern.FLASH, Pattern.DOUBLE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lamps:
    """A pattern for each."""

    green: Pattern = OFF
    amber: Pattern = OFF
    red: Pattern = OFF
    blue: Pattern = OFF


DARK = Lamps()
LOST = Lamps(amber=DOUBLE, red=DOUBLE, blue=DOUBLE)
TEST = Lamps(ON, ON, ON, ON)


def lamps(state: PanelState, *, trouble: Collection[str] = ()) -> Lamps:
    """``trouble`` is the panel's own."""
    shown = shown_alarms(state)
    high = [a for a in shown if a.priority is Priority.HIGH]
    rest = [a for a in shown if a.priority is not Priority.HIGH]
    urgencies = {verdict.urgency for asset, verdict in state.verdicts.items() if asset not in state.stale}
    red = _sequence(high, steady=Urgency.CRITICAL in urgencies)
    amber = _sequence(rest, steady=Urgency.WARNING in urgencies)
    stale = bool(silent(state)) or any(a.rule == NO_DATA_RULE and a.state.is_active for a in shown)
    normal = red is OFF and amber is OFF and not stale and bool(state.names)
    if stale:
        amber = DOUBLE
    elif amber is OFF and (trouble or ails(state)):
        amber = FLASH
    return Lamps(green=ON if normal else OFF, amber=amber, red=red, blue=_blue(state, shown))


def buzzing(state: PanelState) -> tuple[Alarm, ...]:
    """The alarms that sound until somebody silences or acknowledges them."""
    return tuple(a for a in shown_alarms(state) if a.priority is Priority.HIGH and a.state is AlarmState.UNACKNOWLEDGED)


def shown_alarms(state: PanelState) -> list[Alarm]:
    """Those that call for somebody: all but the held ones."""
    return [a for a in state.alarms if a.held is Held.NOT]


def held_alarms(state: PanelState) -> list[Alarm]:
    """What people hold back, and what is suppressed by design while it would stand."""
    by_design = Held.SUPPRESSED
    return [a for a in state.alarms if a.held not in (Held.NOT, by_design) or (a.held is by_design and _stands(a))]


def _stands(alarm: Alarm) -> bool:
    return alarm.state is not AlarmState.NORMAL


def silent(state: PanelState) -> list[str]:
    """Assets of which nothing current is known, but those whose silence people hold back."""
    held = {a.asset for a in state.alarms if a.rule == NO_DATA_RULE and a.held is not Held.NOT}
    return [asset for asset in state.names if asset in state.stale and asset not in held]


def waits(alarm: Alarm) -> bool:
    """Whether somebody must acknowledge it."""
    return alarm.state.awaits_a_person


def resettable(alarm: Alarm) -> bool:
    """Whether somebody may reset it: latched, with its condition gone, and acknowledged."""
    return alarm.latched and not waits(alarm)


def gone(alarm: Alarm) -> bool:
    """Whether its cause is gone, and it stays only until somebody acknowledges or resets it."""
    return alarm.latched or not alarm.state.is_active


def ails(state: PanelState) -> bool:
    """Whether the gateway itself is not as it should be."""
    return state.uplink_up is False or any(not condition.ok for condition in state.health)


def _sequence(alarms: Sequence[Alarm], *, steady: bool) -> Pattern:
    if any(a.state is AlarmState.UNACKNOWLEDGED for a in alarms):
        return FAST
    if steady or any(not gone(a) for a in alarms):
        return ON
    return SLOW if alarms else OFF


def _blue(state: PanelState, shown: Sequence[Alarm]) -> Pattern:
    if any(waits(a) for a in shown):
        return SLOW
    return ON if state.advice or any(a.latched for a in shown) else OFF
