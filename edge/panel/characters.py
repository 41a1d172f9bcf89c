"""Matters in lines of 16 or 20 characters: pure, one or more screens each, every one under the matter's heading.

It promises: every line is ASCII that an HD44780 can show, and exactly as wide as the display.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from edge.contract.types import Alarm, Urgency, Verdict, failure_chance
from edge.panel.lamps import NO_DATA_RULE, held_alarms, resettable, shown_alarms, waits
from edge.panel.matters import CALM_RANK, RANK, Kind, Matter
from edge.panel.overview import held_words, overview
from edge.panel.state import PanelState
from edge.panel.text import ago, count, fitting, heading, hours, readable, terse, to_ascii, wrap

LINES_MAX = 3
"""How long a text may grow: one page on four rows, three on two."""
DO_LINES_MAX = 5
"""What to do is cut later than all else."""

MARKS = {0: ("CRITICAL", "CRIT"), 1: ("WARNING", "WARN"), 2: ("NOTICE", "NOTE")}
FRESH_S = 5.0
"""Younger data have no age worth a line."""
Group = Sequence[str]


@dataclass(frozen=True, slots=True)
class Told:
    """What of a matter is put into words: whom it is about, a mark in variants from long to short, groups of lines."""

    name: str
    marks: tuple[str, ...]
    groups: list[Group]


def screens(
    matter: Matter, state: PanelState, columns: int, rows: int, *, trouble: Collection[str] = ()
) -> list[tuple[str, ...]]:
    """All that is to be said of ``matter``: lines cut to the display, ``rows`` of them each."""
    told = tell(matter, state, columns, trouble)
    title = heading(told.name, told.marks, columns)
    return [page(title, lines, columns, rows) for lines in packed(told.groups, rows - 1)]


def tell(matter: Matter, state: PanelState, columns: int, trouble: Collection[str] = ()) -> Told:
    return _WRITERS[matter.kind](matter, state, columns, tuple(trouble))


def page(title: str, lines: Sequence[str], columns: int, rows: int) -> tuple[str, ...]:
    whole = [to_ascii(line)[:columns].ljust(columns) for line in (title, *lines)][:rows]
    return tuple(whole + [" " * columns] * (rows - len(whole)))


def packed(groups: Sequence[Group], room: int) -> Iterator[list[str]]:
    """Groups of lines on as few screens as they need; one that fits on a screen is not torn."""
    lines: list[str] = []
    groups = [group for group in groups if group]
    for group in groups:
        if lines and len(lines) + len(group) > room:
            yield lines
            lines = []
        lines = [*lines, *group]
        while len(lines) > room:
            yield lines[:room]
            lines = lines[room:]
    if lines or not groups:
        yield lines


def _of_alarm(matter: Matter, state: PanelState, columns: int, _: tuple[str, ...]) -> Told:
    """What, since when and in which state, why, and what to do."""
    alarm = matter.alarm
    assert alarm is not None
    name = state.name(alarm.asset)
    groups: list[Group] = [
        wrap(alarm.sentence.removeprefix(name).lstrip(" :"), columns, LINES_MAX),
        [standing(alarm, state, columns), *_how_to_reset(alarm, columns)],
        wrap(alarm.cause and f"Why: {alarm.cause}", columns, LINES_MAX),
        wrap(alarm.action and f"Do: {alarm.action}", columns, DO_LINES_MAX),
    ]
    return Told(_named(state, alarm.asset), alarm_marks(alarm), groups)


def _named(state: PanelState, asset: str) -> str:
    return readable(state.name(asset), asset)


def alarm_marks(alarm: Alarm) -> tuple[str, ...]:
    """The word on the right of an alarm's heading, and a shorter one."""
    if resettable(alarm):
        return "LATCHED", "RESET"
    if not alarm.state.is_active:
        return "RETURNED", "RTN"
    return ("NO DATA", "NODATA") if alarm.rule == NO_DATA_RULE else MARKS[RANK[alarm.priority]]


def standing(alarm: Alarm, state: PanelState, columns: int) -> str:
    """Since when it stands, and whether anybody has acknowledged it."""
    what = "not ack'd" if waits(alarm) else "needs reset" if resettable(alarm) else "ack'd"
    since = ago(state.at_ns, alarm.since_ns)
    if not since:
        return what
    first = ", first" if alarm.first else ""
    return fitting((f"for {since}, {what}{first}", f"for {since}, {what}", f"{since} {what}", what), columns)


def _how_to_reset(alarm: Alarm, columns: int) -> list[str]:
    return [fitting(("hold ACK to reset", "hold ACK: reset"), columns)] if resettable(alarm) else []


def _of_silence(matter: Matter, state: PanelState, columns: int, _: tuple[str, ...]) -> Told:
    return Told(
        _named(state, matter.asset), ("NO DATA", "NODATA"), [_age(state, matter.asset, columns) or ["waiting for data"]]
    )


def _of_machine(matter: Matter, state: PanelState, columns: int, _: tuple[str, ...]) -> Told:
    """Remaining life or health first, the risk until the next stop, then what weighs most; how old its data are."""
    if matter.asset in state.stale:
        # What was judged of it once is not how it stands.
        return _of_silence(matter, state, columns, _)
    verdict = state.verdicts.get(matter.asset)
    name = _named(state, matter.asset)
    lines = verdict_lines(verdict, columns) if verdict is not None else ["no verdict yet"]
    groups: list[Group] = [lines, _record(state, matter.asset, columns), _age(state, matter.asset, columns)]
    return Told(name, machine_marks(matter, state), groups)


def machine_marks(matter: Matter, state: PanelState) -> tuple[str, ...]:
    """Normal is a word of the judge's: a machine that is not judged yet, or by no model, is only without alarms."""
    verdict = state.verdicts.get(matter.asset)
    if matter.rank < CALM_RANK:
        return MARKS[matter.rank]
    if any(a.asset == matter.asset for a in shown_alarms(state)):
        return ("ALARM", "ALM")
    return ("NORMAL", "OK") if verdict is not None and verdict.urgency is Urgency.NORMAL else ("UNJUDGED", "?")


def verdict_lines(verdict: Verdict, columns: int) -> list[str]:
    """A life that rests on papers alone is called one by age."""
    if verdict.rul_h is not None and verdict.rul_low_h is not None and verdict.rul_high_h is not None:
        rul, low, high = hours(verdict.rul_h), hours(verdict.rul_low_h), hours(verdict.rul_high_h)
        what = "by age" if verdict.basis == "prior" else "RUL"
        first = fitting((f"{what} {rul}h ({low}-{high})", f"{what} {rul}h {low}-{high}", f"{what} {rul}h"), columns)
    elif verdict.health is not None:
        first = f"health {verdict.health:.0f} %"
    else:
        return wrap(verdict.note or "not enough evidence", columns, LINES_MAX)
    why = terse(verdict.reasons[0].words) if verdict.reasons else ""
    return [first, *stop_line(verdict, columns), *wrap(why, columns, 2)]


def stop_line(verdict: Verdict, columns: int) -> list[str]:
    chance = failure_chance(verdict).replace("under ", "<").replace("over ", ">").replace(" ", "")
    if not chance or verdict.stop_h is None:
        return []
    stop = hours(verdict.stop_h)
    return [
        fitting((f"stop in {stop}h: {chance} fail", f"stop {stop}h {chance} fail", f"{chance} fail by stop"), columns)
    ]


def _record(state: PanelState, asset: str, columns: int) -> list[str]:
    """How often verdicts on this machine were right, in a line; nothing where nothing has come of them yet."""
    record = state.records.get(asset)
    if record is None:
        return []
    failures, false = record.hits + record.misses, record.false_alarms
    short = f"right {record.hits}/{failures}" if failures else f"{false} false"
    return [fitting((record.words, f"{short}, {false} false" if failures else short, short), columns)]


def _age(state: PanelState, asset: str, columns: int) -> list[str]:
    age_s = state.age_s.get(asset)
    if age_s is None or age_s < FRESH_S:
        return []
    age = ago(int(age_s * 1e9), 0, least="1 s")
    return [fitting((f"data {age} old", f"data {age}"), columns)]


def _of_advice(matter: Matter, state: PanelState, columns: int, _: tuple[str, ...]) -> Told:
    advice = matter.advice
    assert advice is not None
    groups: list[Group] = [
        wrap(advice.words, columns, 2),
        [approvals(advice.approvals_needed, columns)],
        wrap(advice.why and f"Why: {advice.why}", columns, LINES_MAX),
    ]
    return Told(_named(state, matter.asset), ("ADVICE", "ADV"), groups)


def approvals(needed: int, columns: int) -> str:
    """How many more people must agree."""
    if not needed:
        return "for you to do"
    return fitting((f"{needed} approval{'s' if needed > 1 else ''} needed", f"{needed} must approve"), columns)


def _of_gateway(matter: Matter, state: PanelState, columns: int, trouble: tuple[str, ...]) -> Told:
    """What is wrong; what is well too, where somebody turned to it."""
    bad, good = gateway_words(state, trouble)
    marks = ("TROUBLE",) if bad else ("ALL WELL", "OK")
    shown = (*bad, *(good if matter.kind is Kind.GATEWAY else ()))
    return Told("GATEWAY", marks, [wrap(words, columns, 2) for words in shown])


def gateway_words(state: PanelState, trouble: Collection[str]) -> tuple[list[str], list[str]]:
    """What is wrong with the gateway, and what is well."""
    waiting = count(state.backlog_readings)
    bad = [f"{condition.what}: {condition.words}" for condition in state.health if not condition.ok]
    good = [f"{condition.what}: {condition.words}" for condition in state.health if condition.ok]
    if state.uplink_up is False:
        bad.append(f"uplink down: {waiting} rdg kept")
    else:
        good.append("no uplink" if state.uplink_up is None else f"uplink ok: {waiting} waiting")
    return [*bad, *trouble], good


def _of_overview(_: Matter, state: PanelState, columns: int, trouble: tuple[str, ...]) -> Told:
    title, words = overview(state, trouble)
    return Told(title[0], title[1:], [[fitting(variants, columns)] for variants in words])


def _of_held(_: Matter, state: PanelState, columns: int, __: tuple[str, ...]) -> Told:
    held = held_alarms(state)
    counts = held_words(state)[0]
    shown = [[counts]] if len(counts) <= columns else []
    return Told("HELD ALARMS", (str(len(held)),), [*shown, *(held_lines(alarm, state, columns) for alarm in held)])


def held_lines(alarm: Alarm, state: PanelState, columns: int) -> list[str]:
    """Which alarm, how it is held, and for how long still."""
    name, rule = _named(state, alarm.asset), alarm.rule.replace("_", " ")
    left = ago(alarm.until_ns, state.at_ns) if alarm.until_ns and state.at_ns else ""
    how = fitting((f"{alarm.held}, {left} left", f"{alarm.held} {left}"), columns) if left else alarm.held
    return [fitting((f"{name}: {rule}", f"{name} {rule}"), columns), how]


_WRITERS = {
    Kind.ALARM: _of_alarm, Kind.SILENCE: _of_silence, Kind.MACHINE: _of_machine, Kind.ADVICE: _of_advice,
    Kind.TROUBLE: _of_gateway, Kind.GATEWAY: _of_gateway, Kind.OVERVIEW: _of_overview, Kind.HELD: _of_held,
}  # fmt: skip
