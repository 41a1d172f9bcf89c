"""What alarms were worth: which failure each announced, how long before, and which announced nothing.

Alarms of an asset that follow each other within ``together_h`` are one event: one call to look at the machine; an alarm
of another kind that is raised later than that is news, and another event. An event counts by its beginning alone: an
alarm that always stands announces nothing. Of a failure, an event is in time from ``horizon_h`` to ``lead_h`` before
it, late until its end; every other event cried wolf. What is raised within ``together_h`` after a failure belongs to
the repair. A failure is not judged where no alarm could have been in time for it: before judging began, or long after
the last row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cloud.backtest.failures import Failure
from cloud.backtest.replay import Alarmed

HOUR_NS = 3600 * 10**9


@dataclass(frozen=True, slots=True)
class Terms:
    """Hours: how much lead is needed to act, how far ahead an alarm may be, and what counts as one event."""

    lead_h: float = 24.0
    horizon_h: float = 336.0
    together_h: float = 24.0


@dataclass(frozen=True, slots=True)
class Event:
    since_ns: int
    until_ns: int | None
    rules: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Fate:
    """One failure: caught, late, missed, or unjudged (before the judge had learned, or after the last row).

    ``lead_h`` is from the event's beginning to the failure, negative where that was after it.
    """

    failure: Failure
    how: str
    lead_h: float | None
    event: Event | None


@dataclass(frozen=True)
class Tally:
    """One asset's failures with their fate, and the events that cried wolf; over ``days`` in which it was judged."""

    fates: tuple[Fate, ...]
    wolf: tuple[Event, ...]
    events: tuple[Event, ...]
    days: float

    def count(self, how: str) -> int:
        return sum(fate.how == how for fate in self.fates)

    @property
    def judged(self) -> int:
        return len(self.fates) - self.count("unjudged")

    @property
    def leads_h(self) -> list[float]:
        return [fate.lead_h for fate in self.fates if fate.how == "caught" and fate.lead_h is not None]


def events_of(alarms: Sequence[Alarmed], failures: Sequence[Failure], terms: Terms) -> list[Event]:
    """Alarms joined into events, without those of repairs. A failure's end cuts: what is raised later is another."""
    apart_ns = round(terms.together_h * HOUR_NS)
    ends = np.array(sorted(failure.end_ns for failure in failures), np.int64)
    found: list[Event] = []
    raised_ns = 0
    for alarm in sorted(alarms, key=lambda alarm: alarm.since_ns):
        before = int(np.searchsorted(ends, alarm.since_ns, "left"))
        if before and alarm.since_ns - ends[before - 1] <= apart_ns and not _in_failure(alarm, failures):
            continue
        last = found[-1] if found else None
        same_life = last is not None and int(np.searchsorted(ends, last.since_ns, "left")) == before
        is_near = last is not None and (last.until_ns is None or alarm.since_ns - last.until_ns <= apart_ns)
        is_news = last is not None and alarm.rule not in last.rules and alarm.since_ns - raised_ns > apart_ns
        raised_ns = alarm.since_ns
        if last is not None and same_life and is_near and not is_news:
            until_ns = None if None in (last.until_ns, alarm.until_ns) else max(last.until_ns or 0, alarm.until_ns or 0)
            rules = tuple(dict.fromkeys((*last.rules, alarm.rule)))
            found[-1] = Event(last.since_ns, until_ns, rules, last.sentence)
        else:
            found.append(Event(alarm.since_ns, alarm.until_ns, (alarm.rule,), alarm.sentence))
    return found


def _in_failure(alarm: Alarmed, failures: Sequence[Failure]) -> bool:
    return any(failure.at_ns <= alarm.since_ns <= failure.end_ns for failure in failures)


def tally(
    alarms: Sequence[Alarmed], failures: Sequence[Failure], terms: Terms, *, from_ns: int | None, to_ns: int
) -> Tally:
    """``from_ns`` is when judging began (None: never), ``to_ns`` the last row."""
    events = events_of(alarms, failures, terms)
    fates: list[Fate] = []
    taken: set[int] = set()
    before_ns = None
    for failure in sorted(failures):
        if from_ns is None or failure.at_ns <= from_ns:
            fates.append(Fate(failure, "unjudged", None, None))
            continue
        begin_ns = failure.at_ns - round(terms.horizon_h * HOUR_NS)
        if before_ns is not None:
            begin_ns = max(begin_ns, before_ns + 1)
        mine = [i for i, event in enumerate(events) if begin_ns <= event.since_ns <= failure.end_ns]
        taken.update(mine)
        if failure.at_ns - round(max(terms.lead_h, terms.together_h) * HOUR_NS) > to_ns:
            fates.append(Fate(failure, "unjudged", None, events[mine[0]] if mine else None))
            continue
        fates.append(_fate(failure, [events[i] for i in mine], terms))
        before_ns = failure.end_ns
    wolf = tuple(event for i, event in enumerate(events) if i not in taken)
    days = 0.0 if from_ns is None else (to_ns - from_ns) / (24 * HOUR_NS)
    return Tally(tuple(fates), wolf, tuple(events), days)


def _fate(failure: Failure, events: Sequence[Event], terms: Terms) -> Fate:
    if not events:
        return Fate(failure, "missed", None, None)
    lead_h = (failure.at_ns - events[0].since_ns) / HOUR_NS
    return Fate(failure, "caught" if lead_h >= terms.lead_h else "late", lead_h, events[0])


def by_chance(tallies: Sequence[Tally], terms: Terms) -> float:
    """How many failures as many events would have announced in time, had each come at a random moment.

    A failure is caught by one of n events with 1 - (1 - w / d)^n, where w of d judged days are in time for it.
    """
    caught = 0.0
    for one in tallies:
        for fate in one.fates:
            if fate.how != "unjudged" and one.days > 0.0:
                share = min((terms.horizon_h - terms.lead_h) / 24.0 / one.days, 1.0)
                caught += 1.0 - (1.0 - max(share, 0.0)) ** len(one.events)
    return caught


def joined(tallies: Sequence[Tally]) -> Tally:
    """Several assets as one."""
    return Tally(
        tuple(fate for one in tallies for fate in one.fates), tuple(event for one in tallies for event in one.wolf),
        tuple(event for one in tallies for event in one.events), sum(one.days for one in tallies),
    )  # fmt: skip
