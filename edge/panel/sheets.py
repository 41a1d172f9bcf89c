"""Matters on a display of 128x64 dots: pure, one or more sheets each, in plain data that ``dots`` draws.

A sheet has a large name, words or bars below it, and a strip at its foot. Words are those of the character displays.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from edge.contract.types import Urgency, Verdict
from edge.panel.characters import Told, packed, tell
from edge.panel.lamps import shown_alarms, waits
from edge.panel.matters import CALM_RANK, GATEWAY_RANK, Kind, Matter
from edge.panel.state import PanelState
from edge.panel.text import ago, hours, short_name, to_ascii

COLUMNS, ROWS = 16, 3
"""Words below the name."""
NAME_MAX = 13
"""Beside its sign."""
TILES_MAX = 10


class Sign(StrEnum):
    """What is drawn beside a name, and for each machine."""

    NONE = ""
    GOOD = "good"
    ALARM = "alarm"
    NOTICE = "notice"
    UNKNOWN = "unknown"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Life:
    """Remaining life in hours with its interval; ``by_age``: it rests on papers alone."""

    hours: float
    low_h: float
    high_h: float
    by_age: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """One screen. ``health`` (0 to 100) and ``life`` are bars; ``tiles`` is a sign for each machine.

    ``mark`` stands in the strip, lit up where it is ``loud``, as an alarm is until it is acknowledged; ``detail`` right
    of it, such as for how long it stands. ``uplink`` is True, False, or
    None where there is none. ``note`` takes the strip's place.
    """

    name: str
    sign: Sign = Sign.NONE
    lines: tuple[str, ...] = ()
    health: float | None = None
    life: Life | None = None
    tiles: tuple[Sign, ...] = ()
    mark: str = ""
    loud: bool = False
    detail: str = ""
    uplink: bool | None = None
    note: str = ""


_BADNESS = [Sign.ALARM, Sign.SILENT, Sign.NOTICE, Sign.UNKNOWN, Sign.GOOD]


def sheets(matter: Matter, state: PanelState, trouble: Collection[str] = ()) -> list[Sheet]:
    """All that is to be said of ``matter``."""
    told = tell(matter, state, COLUMNS, trouble)
    if matter.kind is Kind.OVERVIEW:
        return [_overview(state, told)]
    name = short_name(to_ascii(told.name).upper(), NAME_MAX)
    sign, loud = _sign(matter, state, told.marks[0])
    mark = f"{told.marks[0]} held" if matter.kind is Kind.HELD else told.marks[0]
    blank = Sheet(name, sign, mark=mark, loud=loud, uplink=state.uplink_up)
    groups, pages = told.groups, []
    verdict = state.verdicts.get(matter.asset)
    if matter.kind is Kind.MACHINE and matter.asset not in state.stale and verdict is not None and _has_bars(verdict):
        pages = [_bars(blank, verdict, _age(matter, state))]
        # The bars have said the first line; what weighs most, and how often it was right, is still to be said.
        groups = [groups[0][1:], *groups[1:]]
    if matter.alarm is not None and not matter.alarm.latched:
        # Since when and whether it is acknowledged, the strip says.
        groups = [groups[0], *groups[2:]]
    pages += [replace(blank, lines=tuple(lines)) for lines in packed(groups, ROWS) if lines]
    pages = pages or [blank]
    if matter.alarm is not None:
        pages[0] = replace(pages[0], detail=ago(state.at_ns, matter.alarm.since_ns))
    return [replace(page, detail=page.detail or _number(i, len(pages))) for i, page in enumerate(pages)]


def _number(index: int, count: int) -> str:
    return f"{index + 1}/{count}" if count > 1 else ""


def _has_bars(verdict: Verdict) -> bool:
    return verdict.health is not None or _life(verdict) is not None


def _bars(blank: Sheet, verdict: Verdict, age: str) -> Sheet:
    return replace(blank, health=verdict.health, life=_life(verdict), lines=(_life_words(verdict),), detail=age)


def _life(verdict: Verdict) -> Life | None:
    if verdict.rul_h is None or verdict.rul_low_h is None or verdict.rul_high_h is None:
        return None
    return Life(verdict.rul_h, verdict.rul_low_h, verdict.rul_high_h, verdict.basis == "prior")


def _life_words(verdict: Verdict) -> str:
    life = _life(verdict)
    if life is None:
        return "no life estimate"
    return f"{hours(life.hours)}h ({hours(life.low_h)}-{hours(life.high_h)})"[:COLUMNS]


def _overview(state: PanelState, told: Told) -> Sheet:
    """A tile for each machine, the worst where there are too many, and what else there is."""
    alarmed = {a.asset for a in shown_alarms(state)}
    tiles = [_of_machine(state, asset, alarmed) for asset in state.names]
    well = sum(tile is Sign.GOOD for tile in tiles)
    sign = Sign.GOOD if tiles and well == len(tiles) else Sign.ALARM if alarmed else Sign.NONE
    if len(tiles) > TILES_MAX:
        tiles = sorted(tiles, key=_BADNESS.index)[:TILES_MAX]
    # The first line is of the uplink, which has an icon.
    lines = tuple(line for group in told.groups[1:] for line in group)[:2]
    return Sheet(
        told.name, sign, lines, tiles=tuple(tiles), mark=told.marks[0], loud=bool(alarmed), uplink=state.uplink_up
    )


def _of_machine(state: PanelState, asset: str, alarmed: Collection[str]) -> Sign:
    verdict = state.verdicts.get(asset)
    if asset in state.stale:
        return Sign.SILENT
    if asset in alarmed:
        return Sign.ALARM
    if verdict is None or verdict.urgency is Urgency.UNKNOWN:
        return Sign.UNKNOWN
    return Sign.GOOD if verdict.urgency is Urgency.NORMAL else Sign.NOTICE


def _sign(matter: Matter, state: PanelState, mark: str) -> tuple[Sign, bool]:
    """The sign beside a name, and whether its mark is lit up."""
    if mark == "NO DATA":
        return Sign.SILENT, matter.alarm is None or waits(matter.alarm)
    if matter.alarm is not None:
        return Sign.ALARM, waits(matter.alarm)
    if matter.rank < CALM_RANK:
        return Sign.ALARM, matter.rank < GATEWAY_RANK
    if matter.kind is Kind.ADVICE:
        return Sign.NOTICE, True
    if matter.kind is Kind.MACHINE:
        alarmed = {a.asset for a in shown_alarms(state)}
        return _of_machine(state, matter.asset, alarmed), False
    return (Sign.GOOD if mark == "ALL WELL" else Sign.NONE), False


def _age(matter: Matter, state: PanelState) -> str:
    age_s = state.age_s.get(matter.asset)
    age = ago(int(age_s * 1e9), 0, least="1 s") if age_s is not None else ""
    return f"{age} old" if 0 < len(age) <= 4 else age


def plain(name: str, *lines: str) -> Sheet:
    """Words of the panel's own, with a sign where there is room for one."""
    return Sheet(name, Sign.SILENT if len(name) <= COLUMNS - 2 else Sign.NONE, lines[:ROWS])
