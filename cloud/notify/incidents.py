"""From what stands to what is to be said of it: pure. One incident is one raising of one alarm.

Only how things stand counts, never how often that was told: a backlog that arrives after an outage, a server that
starts again, or a gateway that tells its alarms anew call nobody twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from edge.contract.types import Alarm, AlarmState, Held


class Kind(StrEnum):
    """What a message says: raised, nobody has acknowledged, somebody has, or over."""

    RAISED = "raised"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    ENDED = "ended"


class Phase(StrEnum):
    """Of an incident: people are being called; somebody has taken it; it is kept from people; or it is over."""

    CALLING = "calling"
    ACKNOWLEDGED = "acknowledged"
    HELD = "held"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Incident:
    """One raising of the alarm ``rule`` of ``asset`` at ``gateway``. Empty ``asset``: it is about the gateway itself.

    ``stage`` counts the calls that were made, from 0; ``next_ns`` is when to call further, None where nobody is left.
    ``alarm`` is how it stood last, ``name`` the machine's for people.
    """

    gateway: str
    asset: str
    name: str
    alarm: Alarm
    opened_ns: int
    phase: Phase = Phase.CALLING
    stage: int = 0
    next_ns: int | None = None

    @property
    def key(self) -> tuple[str, str, str, int]:
        return (self.gateway, self.asset, self.alarm.rule, self.alarm.since_ns)

    @property
    def machine(self) -> str:
        return f"{self.gateway}/{self.asset}"


def phase_of(alarm: Alarm | None) -> Phase:
    """What an alarm as it stands (None: it stands no longer) asks of people."""
    if alarm is None or alarm.state is AlarmState.NORMAL:
        return Phase.ENDED
    if alarm.held is not Held.NOT:
        return Phase.HELD
    return Phase.ACKNOWLEDGED if alarm.state is AlarmState.ACKNOWLEDGED else Phase.CALLING


def changed(
    incident: Incident, alarm: Alarm | None, now_ns: int, *, again_ns: int | None
) -> tuple[Incident, Kind | None]:
    """The incident as ``alarm`` stands now, and what is to be said to those who were called.

    ``again_ns`` is how long to wait for the next call where people are called again after it was held.
    """
    phase, known = phase_of(alarm), alarm or incident.alarm
    if phase is incident.phase:
        return replace(incident, alarm=known), None
    moved = replace(incident, alarm=known, phase=phase)
    if phase is Phase.CALLING:
        wait_ns = None if again_ns is None else now_ns + again_ns
        # Back from a shelf, or called anew at the machine, since it lasts although somebody had acknowledged it.
        anew = incident.phase is Phase.HELD or known.repeats > incident.alarm.repeats
        return replace(moved, next_ns=wait_ns), Kind.RAISED if anew else None
    moved = replace(moved, next_ns=None)
    if phase is Phase.HELD:
        return moved, None
    return moved, Kind.ACKNOWLEDGED if phase is Phase.ACKNOWLEDGED else Kind.ENDED
