"""What lamps and display show: pure, from what stands to a ``PanelView``.

It promises: the worst comes first; green means that every machine is normal and its data are fresh, never less; data
that stopped have a sign of their own (green off, amber blinking, "NO DATA"); every line is ASCII that an HD44780 can
show and exactly as wide as the display.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from edge.contract.types import Alarm, AlarmState, Priority, Urgency, Verdict, failure_chance
from edge.panel.displays import characters
from edge.panel.lamps import LOST, NO_DATA_RULE, buzzing, lamps, shown_alarms
from edge.panel.state import PanelState
from edge.panel.text import count, fitting, heading, hours, terse, to_ascii, wrap
from edge.ports import PanelView, Pattern

PAGE_S = 2.5
"""How long one page stays."""

LINES_MAX = 3
"""How long a text may grow: one page on four rows, three on two."""

_RANK = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}
_RANK_OF_URGENCY = {Urgency.CRITICAL: 0, Urgency.WARNING: 1}
_MARKS = {0: ("CRITICAL", "CRIT"), 1: ("WARNING", "WARN"), 2: ("NOTICE", "NOTE")}


@dataclass(frozen=True, slots=True)
class Card:
    """One matter: its rank (0 is the worst), its heading, and groups of lines that belong on one page."""

    rank: int
    heading: str
    groups: tuple[tuple[str, ...], ...]

    def pages(self, rows: int) -> Iterator[tuple[str, ...]]:
        for group in self.groups:
            for i in range(0, len(group), rows - 1):
                yield (self.heading, *group[i : i + rows - 1])


def compose(state: PanelState, display: str, *, trouble: Collection[str] = ()) -> PanelView:
    """The view at this moment: matters take turns, the worst first; with all machines normal, each tells of itself.

    ``trouble`` is the panel's own.
    """
    columns, rows = characters(display)
    machines = [card for asset in state.names for card in _asset_cards(state, asset, columns)]
    uplink = [_uplink_card(state, columns)] if state.uplink_up is False else []
    cards = sorted(machines, key=lambda card: card.rank) + uplink
    if not machines:
        cards += _calm_cards(state, columns)
    pages = [page for card in cards for page in card.pages(rows)]
    page = pages[int(state.elapsed_s / PAGE_S) % len(pages)]
    lit = lamps(state, trouble=trouble)
    sound = Pattern.DOUBLE if buzzing(state) else Pattern.OFF
    return PanelView(lit.green, lit.amber, lit.red, _lines(page, columns, rows), lit.blue, sound)


def stopped(display: str) -> PanelView:
    """What is left when the gateway ends: a panel that no longer watches never shows green."""
    columns, rows = characters(display)
    return PanelView(Pattern.OFF, Pattern.OFF, Pattern.OFF, _lines(("GATEWAY STOPPED", "not watching"), columns, rows))


def lost(display: str, silent_s: float) -> PanelView:
    """The gateway has not answered for so many seconds: lamps that nothing else lights so, and never a green one."""
    columns, rows = characters(display)
    silence = f"no answer for {_whole(silent_s)}"
    page = (fitting(("GATEWAY IS SILENT", "GATEWAY SILENT"), columns), fitting((silence, silence[3:]), columns),
            "alarms are not shown", "check the gateway")  # fmt: skip
    lit = LOST
    return PanelView(lit.green, lit.amber, lit.red, _lines(page[:rows], columns, rows), lit.blue)


def _whole(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _asset_cards(state: PanelState, asset: str, columns: int) -> Iterator[Card]:
    """What is to be said of one asset that is not as it should be: of its silence, and of its trouble."""
    alarms = [a for a in shown_alarms(state) if a.asset == asset]
    silence = next((a for a in alarms if a.rule == NO_DATA_RULE and a.state.is_active), None)
    verdict = state.verdicts.get(asset)
    if asset in state.stale or silence is not None:
        yield _silence_card(state, asset, silence, columns)
        verdict = None
    troubles = [a for a in alarms if a is not silence]
    if troubles or (verdict is not None and verdict.urgency in _RANK_OF_URGENCY):
        yield _trouble_card(state, asset, troubles, verdict, columns)


def _silence_card(state: PanelState, asset: str, alarm: Alarm | None, columns: int) -> Card:
    if alarm is None:
        return Card(1, heading(state.names[asset], ("NO DATA", "NODATA"), columns), (("waiting for data",),))
    groups = [wrap(alarm.cause, columns, LINES_MAX), wrap(alarm.action, columns, LINES_MAX)]
    title = heading(state.names[asset], ("NO DATA", "NODATA"), columns)
    return Card(_RANK[alarm.priority], title, _groups(state, [alarm], groups))


def _trouble_card(
    state: PanelState, asset: str, alarms: Sequence[Alarm], verdict: Verdict | None, columns: int
) -> Card:
    active = sorted((a for a in alarms if a.state.is_active), key=lambda a: (_RANK[a.priority], a.since_ns))
    urgency_rank = _RANK_OF_URGENCY.get(verdict.urgency, 2) if verdict is not None else 2
    if not active and urgency_rank == 2:
        return _returned_card(state, alarms[0], columns)
    rank = min([urgency_rank, *(_RANK[a.priority] for a in active)])
    groups: list[Sequence[str]] = []
    if verdict is not None:
        groups = [_verdict_lines(verdict, columns), *_record_groups(state, asset, columns)]
    # What a verdict's alarms say, the verdict's own lines have said.
    limit = next(
        (a for a in active if verdict is None or a.rule not in ("anomaly", "rul_warning", "rul_critical")), None
    )
    if limit is not None:
        words = limit.sentence.removeprefix(state.names[asset]).strip()
        groups.append(wrap(words, columns, LINES_MAX))
    if active:
        groups.append(wrap(active[0].action, columns, LINES_MAX))
    return Card(rank, heading(state.names[asset], _MARKS[rank], columns), _groups(state, active, groups))


def _returned_card(state: PanelState, alarm: Alarm, columns: int) -> Card:
    """An alarm that ended before anybody saw it."""
    name = state.names[alarm.asset]
    words = alarm.sentence.removeprefix(name).lstrip(" :")
    groups = [wrap(words, columns, LINES_MAX)]
    return Card(2, heading(name, ("RETURNED", "RTN"), columns), _groups(state, [alarm], groups))


def _uplink_card(state: PanelState, columns: int) -> Card:
    waiting = count(state.backlog_readings)
    title = fitting((f"UPLINK DOWN {waiting} rdg", "UPLINK DOWN"), columns)
    kept = "kept in the gateway" if waiting in title else f"{waiting} rdg kept"
    return Card(3, title, ((kept,),))


def _calm_cards(state: PanelState, columns: int) -> list[Card]:
    """Normal is a word of the judge's: a machine that is not judged yet, or by no model, is only without alarms."""
    total = len(state.names)
    normal = {asset for asset, verdict in state.verdicts.items() if verdict.urgency is Urgency.NORMAL}
    judged = len(normal & state.names.keys())
    uplink = {True: "uplink ok", False: "uplink down", None: "no uplink"}[state.uplink_up]
    summary = heading("NO ALARMS", (f"{judged}/{total} judged", f"{judged}/{total}"), columns)
    if judged == total:
        summary = heading("ALL NORMAL", (f"{total}/{total} OK", f"{total} OK", "OK"), columns)
    cards = [Card(4, summary, ((uplink,),))]
    for asset, name in state.names.items():
        verdict = state.verdicts.get(asset)
        lines = _verdict_lines(verdict, columns) if verdict is not None else ["no verdict yet"]
        mark = ("NORMAL", "OK") if asset in normal else ("UNJUDGED", "?")
        groups = [tuple(lines), *_record_groups(state, asset, columns)]
        cards.append(Card(4, heading(name, mark, columns), tuple(groups)))
    return cards if total else [Card(4, "NO ASSETS", (("",),))]


def _verdict_lines(verdict: Verdict, columns: int) -> list[str]:
    """Remaining life or health first, the risk until the next stop, then what weighs most, or why nothing is judged.

    A life that rests on papers alone is called one by age.
    """
    if verdict.rul_h is not None and verdict.rul_low_h is not None and verdict.rul_high_h is not None:
        rul, low, high = hours(verdict.rul_h), hours(verdict.rul_low_h), hours(verdict.rul_high_h)
        what = "by age" if verdict.basis == "prior" else "RUL"
        first = fitting((f"{what} {rul}h ({low}-{high})", f"{what} {rul}h {low}-{high}", f"{what} {rul}h"), columns)
    elif verdict.health is not None:
        first = f"health {verdict.health:.0f} %"
    else:
        return wrap(verdict.note or "not enough evidence", columns, LINES_MAX)
    return [first, *_stop_line(verdict, columns), *wrap(_why(verdict), columns, 2)]


def _stop_line(verdict: Verdict, columns: int) -> list[str]:
    chance = failure_chance(verdict).replace("under ", "<").replace("over ", ">").replace(" ", "")
    if not chance or verdict.stop_h is None:
        return []
    stop = hours(verdict.stop_h)
    return [
        fitting((f"stop in {stop}h: {chance} fail", f"stop {stop}h {chance} fail", f"{chance} fail by stop"), columns)
    ]


def _why(verdict: Verdict) -> str:
    return terse(verdict.reasons[0].words) if verdict.reasons else ""


def _record_groups(state: PanelState, asset: str, columns: int) -> list[tuple[str, ...]]:
    """How often verdicts on this machine were right, in a line; nothing where nothing has come of them yet."""
    record = state.records.get(asset)
    if record is None:
        return []
    failures, false = record.hits + record.misses, record.false_alarms
    short = f"right {record.hits}/{failures}" if failures else f"{false} false"
    return [(fitting((record.words, f"{short}, {false} false" if failures else short, short), columns),)]


def _groups(state: PanelState, alarms: Sequence[Alarm], groups: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    kept = [tuple(group) for group in groups if group]
    unseen = any(a.state in (AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED) for a in alarms)
    if unseen and state.acknowledge_hint:
        kept.append((state.acknowledge_hint,))
    return tuple(kept) or (("",),)


def _lines(page: Sequence[str], columns: int, rows: int) -> tuple[str, ...]:
    lines = [to_ascii(line)[:columns].ljust(columns) for line in page]
    return tuple(lines + [" " * columns] * (rows - len(lines)))
