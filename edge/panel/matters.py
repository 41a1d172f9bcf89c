"""What there is to tell, the worst first: pure, from what stands to a list of matters that take turns on a display."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from edge.contract.types import Alarm, AlarmState, Priority, Urgency
from edge.panel.lamps import NO_DATA_RULE, ails, gone, held_alarms, shown_alarms, silent
from edge.panel.state import Advice, PanelState


class Kind(StrEnum):
    """What a page is about."""

    ALARM = "alarm"
    SILENCE = "silence"
    MACHINE = "machine"
    ADVICE = "advice"
    TROUBLE = "trouble"
    GATEWAY = "gateway"
    OVERVIEW = "overview"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing to tell, about ``asset`` where it is about one.

    ``rank`` is 0 for what is worst, 1 and 2 for less, 3 for the gateway's own trouble, 4 where all is well. ``auto``:
    it takes its turn by itself; others come up where somebody turns the pages.
    """

    kind: Kind
    rank: int
    asset: str = ""
    alarm: Alarm | None = None
    advice: Advice | None = None
    auto: bool = True

    @property
    def key(self) -> tuple[str, ...]:
        """What it is the same by, however it goes on."""
        rule = self.alarm.rule if self.alarm is not None else ""
        return (self.kind, self.asset, rule, self.advice.words if self.advice is not None else "")


RANK = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}
_RANK_OF_URGENCY = {Urgency.CRITICAL: 0, Urgency.WARNING: 1}
GATEWAY_RANK, CALM_RANK = 3, 4
TURNS_MAX = 5
"""In a flood of alarms the worst take turns with their count; nobody would wait for all of them."""


def matters(state: PanelState, trouble: Collection[str] = ()) -> tuple[Matter, ...]:
    """All of them, in the order to page through; never none. ``trouble`` is the panel's own."""
    told = [*_alarms(state), *_silent(state), *_near_their_end(state)]
    told.sort(key=lambda matter: (matter.rank, *_haste(matter.alarm)))
    calm, flood = not told, len(told) > TURNS_MAX
    told = [*told[:TURNS_MAX], *(replace(matter, auto=False) for matter in told[TURNS_MAX:])]
    told += [Matter(Kind.ADVICE, CALM_RANK, advice.asset, advice=advice) for advice in state.advice]
    if ails(state) or trouble:
        told.append(Matter(Kind.TROUBLE, GATEWAY_RANK))
    told.append(Matter(Kind.OVERVIEW, CALM_RANK, auto=calm or flood))
    shown = {matter.asset for matter in told if matter.kind in (Kind.MACHINE, Kind.SILENCE)}
    told += [Matter(Kind.MACHINE, CALM_RANK, asset, auto=calm) for asset in state.names if asset not in shown]
    if held_alarms(state):
        told.append(Matter(Kind.HELD, CALM_RANK, auto=calm))
    told.append(Matter(Kind.GATEWAY, CALM_RANK, auto=False))
    return tuple(told)


def _alarms(state: PanelState) -> Iterator[Matter]:
    for alarm in shown_alarms(state):
        yield Matter(Kind.ALARM, rank_of(alarm), alarm.asset, alarm)


def rank_of(alarm: Alarm) -> int:
    """One that is gone is no worse than a notice, and stays until it is acknowledged or reset."""
    return RANK[Priority.LOW] if gone(alarm) and not _new(alarm) else RANK[alarm.priority]


def _new(alarm: Alarm) -> bool:
    return alarm.state is AlarmState.UNACKNOWLEDGED


def _silent(state: PanelState) -> Iterator[Matter]:
    told = {a.asset for a in shown_alarms(state) if a.rule == NO_DATA_RULE and a.state.is_active}
    for asset in silent(state):
        if asset not in told:
            yield Matter(Kind.SILENCE, RANK[Priority.MEDIUM], asset)


def _near_their_end(state: PanelState) -> Iterator[Matter]:
    for asset in state.names:
        verdict = state.verdicts.get(asset)
        if verdict is not None and asset not in state.stale and verdict.urgency in _RANK_OF_URGENCY:
            yield Matter(Kind.MACHINE, _RANK_OF_URGENCY[verdict.urgency], asset)


def _haste(alarm: Alarm | None) -> tuple[int, int]:
    """Among matters of one rank: unacknowledged alarms first, each by age; then what is no alarm."""
    if alarm is None:
        return 2, 0
    return (0 if _new(alarm) else 1), alarm.since_ns
