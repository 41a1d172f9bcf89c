"""The life of one alarm after ISA-18.2 / IEC 62682: pure transitions over monotonic time, which no clock can bend.

::

                     raise                      acknowledge
      A normal ----------------> B unacknowledged ----------> C acknowledged
        ^                          |     ^                       |
        | acknowledge        clear |     | raise                 | clear
        +---------- D returned <---+-----+        A normal <-----+

A rule may latch: what returns then stays, and only a reset ends it, once it is acknowledged (OPC 10000-9, 5.8.5)::

      B -- clear --> E latched, unacknowledged -- acknowledge --> F latched, acknowledged -- reset --> A normal
      C -- clear --> F                              E and F -- raise --> B

Nobody is called by what returns while it is held back (shelved, suppressed, out of service: G, H and I, which lie
beside these; see ``holding``), so there is nothing to acknowledge: B goes to A.

A condition raises or clears only after it has held for the delay. A reading that says nothing (bad quality) neither
resets a delay nor lets it elapse: the next one that does decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from edge.contract.types import AlarmState


class Life(StrEnum):
    """The states of the standard by its letters. Of the process the condition holds in B and C alone."""

    NORMAL = "A"
    UNACKNOWLEDGED = "B"
    ACKNOWLEDGED = "C"
    RETURNED = "D"
    LATCHED_UNACKNOWLEDGED = "E"
    LATCHED_ACKNOWLEDGED = "F"

    @property
    def state(self) -> AlarmState:
        """How it is told; a latched alarm stands as if its condition still held, with a word that it does not."""
        return _STATE_OF[self]

    @property
    def latched(self) -> bool:
        return self in (Life.LATCHED_UNACKNOWLEDGED, Life.LATCHED_ACKNOWLEDGED)

    @property
    def holds(self) -> bool:
        """Whether the condition of the process holds."""
        return self in CLEARS

    @classmethod
    def of(cls, state: AlarmState, *, latched: bool) -> Life:
        """The state that is told as ``state``."""
        return next((life for life in cls if life.state is state and life.latched is latched), cls.NORMAL)


_STATE_OF = {
    Life.NORMAL: AlarmState.NORMAL,
    Life.UNACKNOWLEDGED: AlarmState.UNACKNOWLEDGED,
    Life.ACKNOWLEDGED: AlarmState.ACKNOWLEDGED,
    Life.RETURNED: AlarmState.RETURNED,
    Life.LATCHED_UNACKNOWLEDGED: AlarmState.UNACKNOWLEDGED,
    Life.LATCHED_ACKNOWLEDGED: AlarmState.ACKNOWLEDGED,
}


@dataclass(frozen=True, slots=True)
class Phase:
    """``turning_ns``: since when (monotonic) the condition has contradicted the state; None where it agrees.

    ``doubtful``: the last reading said nothing, so that time alone may not turn the state.
    """

    life: Life = Life.NORMAL
    turning_ns: int | None = None
    doubtful: bool = False


Clears = Mapping[Life, Life]
"""Where each state in which the condition holds goes when it no longer does."""

CLEARS: Clears = {Life.UNACKNOWLEDGED: Life.RETURNED, Life.ACKNOWLEDGED: Life.NORMAL}
CLEARS_UNSEEN: Clears = {Life.UNACKNOWLEDGED: Life.NORMAL, Life.ACKNOWLEDGED: Life.NORMAL}
CLEARS_LATCHED: Clears = {
    Life.UNACKNOWLEDGED: Life.LATCHED_UNACKNOWLEDGED,
    Life.ACKNOWLEDGED: Life.LATCHED_ACKNOWLEDGED,
}
_ACKNOWLEDGED = {
    Life.UNACKNOWLEDGED: Life.ACKNOWLEDGED,
    Life.RETURNED: Life.NORMAL,
    Life.LATCHED_UNACKNOWLEDGED: Life.LATCHED_ACKNOWLEDGED,
}
CALM = Phase()
_STEADY = {life: Phase(life) for life in Life}


def step(
    phase: Phase, holds: bool | None, mono_ns: int, *, on_ns: int, off_ns: int, clears: Clears = CLEARS
) -> Phase:  # fmt: skip
    """The phase after a reading at ``mono_ns`` whose condition holds, does not, or is unknown (None)."""
    if holds is None:
        if phase.turning_ns is None or phase.doubtful:
            return phase
        return Phase(phase.life, phase.turning_ns, doubtful=True)
    if holds == (phase.life in clears):
        return phase if phase.turning_ns is None else _STEADY[phase.life]
    turning_ns = mono_ns if phase.turning_ns is None else phase.turning_ns
    return _turned(phase.life, turning_ns, mono_ns, on_ns=on_ns, off_ns=off_ns, clears=clears)


def elapse(phase: Phase, mono_ns: int, *, on_ns: int, off_ns: int, clears: Clears = CLEARS) -> Phase:
    """The phase after time alone has passed."""
    if phase.turning_ns is None or phase.doubtful:
        return phase
    return _turned(phase.life, phase.turning_ns, mono_ns, on_ns=on_ns, off_ns=off_ns, clears=clears)


def acknowledge(phase: Phase) -> Phase:
    """The phase after an operator has seen it. A running delay runs on."""
    return _moved(phase, _ACKNOWLEDGED.get(phase.life))


def reset(phase: Phase) -> Phase:
    """The phase after an operator has reset it: of a latched alarm that is acknowledged, and of no other."""
    return _moved(phase, Life.NORMAL if phase.life is Life.LATCHED_ACKNOWLEDGED else None)


def announced_again(phase: Phase) -> Phase:
    """The phase after an alarm that still stands wants to be acknowledged anew."""
    return _moved(phase, Life.UNACKNOWLEDGED if phase.life is Life.ACKNOWLEDGED else None)


def steady(phase: Phase) -> Phase:
    """The phase without a running delay: after a gap in the data one begins anew."""
    return _STEADY[phase.life]


def _moved(phase: Phase, life: Life | None) -> Phase:
    return phase if life is None else replace(phase, life=life)


def _turned(life: Life, turning_ns: int, mono_ns: int, *, on_ns: int, off_ns: int, clears: Clears) -> Phase:
    holds = life in clears
    if mono_ns - turning_ns < (off_ns if holds else on_ns):
        return Phase(life, turning_ns)
    return _STEADY[clears[life] if holds else Life.UNACKNOWLEDGED]
