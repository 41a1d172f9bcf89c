"""The life of one alarm after IEC 62682: pure transitions over monotonic time, which no clock correction can bend.

::

                  raise                    acknowledge
      NORMAL ----------> UNACKNOWLEDGED ---------------> ACKNOWLEDGED
        ^                  |        ^                        |
        | acknowledge      | clear  | raise                  | clear
        +------------- RETURNED ----+        NORMAL <--------+

A condition raises or clears only after it has held for the delay. A reading that says nothing (bad quality) neither
resets a delay nor lets it elapse: the next one that does decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.contract.types import AlarmState


@dataclass(frozen=True, slots=True)
class Phase:
    """``turning_ns``: since when (monotonic) the condition has contradicted the state; None where it agrees.

    ``doubtful``: the last reading said nothing, so that time alone may not turn the state.
    """

    state: AlarmState = AlarmState.NORMAL
    turning_ns: int | None = None
    doubtful: bool = False


_RAISED = {AlarmState.NORMAL: AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED: AlarmState.UNACKNOWLEDGED}
_CLEARED = {AlarmState.UNACKNOWLEDGED: AlarmState.RETURNED, AlarmState.ACKNOWLEDGED: AlarmState.NORMAL}
_ACKNOWLEDGED = {AlarmState.UNACKNOWLEDGED: AlarmState.ACKNOWLEDGED, AlarmState.RETURNED: AlarmState.NORMAL}
CALM = Phase()
_STEADY = {state: Phase(state) for state in AlarmState}


def step(phase: Phase, holds: bool | None, mono_ns: int, *, on_ns: int, off_ns: int) -> Phase:
    """The phase after a reading at ``mono_ns`` whose condition holds, does not, or is unknown (None)."""
    if holds is None:
        if phase.turning_ns is None or phase.doubtful:
            return phase
        return Phase(phase.state, phase.turning_ns, doubtful=True)
    if holds == (phase.state in _CLEARED):
        return phase if phase.turning_ns is None else _STEADY[phase.state]
    turning_ns = mono_ns if phase.turning_ns is None else phase.turning_ns
    return _turned(phase.state, turning_ns, mono_ns, on_ns=on_ns, off_ns=off_ns)


def elapse(phase: Phase, mono_ns: int, *, on_ns: int, off_ns: int) -> Phase:
    """The phase after time alone has passed."""
    if phase.turning_ns is None or phase.doubtful:
        return phase
    return _turned(phase.state, phase.turning_ns, mono_ns, on_ns=on_ns, off_ns=off_ns)


def acknowledge(phase: Phase) -> Phase:
    """The phase after an operator has seen it. A running delay runs on."""
    if phase.state not in _ACKNOWLEDGED:
        return phase
    return Phase(_ACKNOWLEDGED[phase.state], phase.turning_ns, phase.doubtful)


def steady(phase: Phase) -> Phase:
    """The phase without a running delay: after a gap in the data one begins anew."""
    return _STEADY[phase.state]


def _turned(state: AlarmState, turning_ns: int, mono_ns: int, *, on_ns: int, off_ns: int) -> Phase:
    table, delay_ns = (_CLEARED, off_ns) if state in _CLEARED else (_RAISED, on_ns)
    if mono_ns - turning_ns >= delay_ns:
        return _STEADY[table[state]]
    return Phase(state, turning_ns)
