"""A back-test in words and numbers: a table for people, plain data for programs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from cloud.backtest.money import Saved
from cloud.backtest.run import Backtest, Tested
from cloud.backtest.score import HOUR_NS, Event, Fate, Tally

WOLVES_SHOWN_MAX = 8
_WIDTH = 42
_HEAD = f"{'':{_WIDTH}}{'caught':>8}{'late':>6}{'missed':>8}{'wolf':>6}{'lead':>10}   "


def stamp(at_ns: int) -> str:
    """UTC, to the second where it is not a whole minute."""
    at = dt.datetime.fromtimestamp(at_ns // 10**9, dt.UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S" if at.second else "%Y-%m-%d %H:%M")


def span(hours: float) -> str:
    """Hours in the unit that a person would use."""
    size = abs(hours)
    if size >= 48.0:
        return f"{hours / 24.0:.1f} d"
    if size >= 1.0:
        return f"{hours:.1f} h"
    return f"{60.0 * hours:.0f} min" if size * 60.0 >= 2.0 else f"{3600.0 * hours:.0f} s"


def headline(found: Backtest) -> str:
    """The outcome in one sentence."""
    tally, saved, money = found.tally, found.saved, found.prices.currency
    if not tally.judged:
        return f"{counted(len(tally.events), 'alarm')}, and no failure is known to hold them against."
    caught, late, missed = (tally.count(how) for how in ("caught", "late", "missed"))
    return (
        f"Of {counted(tally.judged, 'failure')} {caught} would have been caught in time, {late} late, {missed} missed;"
        f" {counted(len(tally.wolf), 'alarm')} cried wolf. Against running to failure that saves"
        f" {saved.amount:,.0f} {money} ({saved.low:,.0f} to {saved.high:,.0f})."
    )


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' if number != 1 else ''}"


def lines_of(found: Backtest) -> Iterator[str]:
    """The whole report, line by line."""
    for note in found.notes:
        yield f"note: {note}"
    for one in found.assets:
        yield ""
        yield from _asset(one)
    yield ""
    yield headline(found)
    yield ""
    yield from _table(found)
    yield ""
    yield from _basis(found)


def _asset(one: Tested) -> Iterator[str]:
    at_ns, gaps = one.track.at_ns, one.track.gaps()
    days = (int(at_ns[-1]) - int(at_ns[0])) / HOUR_NS
    longest = max((end - begin for begin, end in gaps), default=0) / HOUR_NS
    holes = f", {counted(len(gaps), 'gap')} (the longest {span(longest)})" if gaps else ""
    yield (
        f"{one.track.asset}: {stamp(int(at_ns[0]))} to {stamp(int(at_ns[-1]))} UTC ({span(days)}), {len(at_ns):,} rows,"
        f" one every {span(one.track.period_ns / HOUR_NS)}{holes}"
    )
    judged = one.replayed.judged_from_ns
    since = f"from {stamp(judged)} on" if judged is not None else f"never: {one.replayed.note or 'too few rows'}"
    yield f"  judged by {one.replayed.mind}; {since}"
    for words in one.replayed.words:
        yield f"  {words}"
    for mapped in one.mapping:
        yield f"  {mapped.column} -> {mapped.tag} ({mapped.how}{'; ' if mapped.words else ''}{mapped.words})"
    if not one.failures:
        yield "  no failure is known: nothing can be caught or missed, and whether alarms cried wolf is for you to say"
    for fate in one.tally.fates:
        yield f"  {_fate(fate, int(at_ns[0]), int(at_ns[-1]))}"
    what = "cried wolf" if one.failures else "alarm"
    for event in one.tally.wolf[:WOLVES_SHOWN_MAX]:
        yield f"  {what:12}{_event(event)}"
    if len(one.tally.wolf) > WOLVES_SHOWN_MAX:
        yield f"  {what:12}{len(one.tally.wolf) - WOLVES_SHOWN_MAX} more times"


def _fate(fate: Fate, first_ns: int, last_ns: int) -> str:
    at = stamp(fate.failure.at_ns)
    if fate.how == "unjudged":
        why = "it came while the judge was still learning"
        if fate.failure.at_ns > last_ns:
            why = f"the export ends too early for it, at {stamp(last_ns)}"
        elif fate.failure.at_ns < first_ns:
            why = f"the export begins after it, at {stamp(first_ns)}"
        return f"unjudged    failure of {at}: {why}"
    if fate.event is None or fate.lead_h is None:
        return f"MISSED      failure of {at}"
    when = f"{span(fate.lead_h)} before" if fate.lead_h >= 0.0 else f"{span(-fate.lead_h)} after its beginning"
    return f"{fate.how:12}failure of {at}: {when}, {fate.event.sentence}"


def _event(event: Event) -> str:
    until = "still standing at the end" if event.until_ns is None else f"until {stamp(event.until_ns)}"
    return f"{stamp(event.since_ns)} {until}: {event.sentence}"


def _table(found: Backtest) -> Iterator[str]:
    currency = found.prices.currency
    yield f"{_HEAD}saved [{currency}]"
    yield _row("Babbitt", found.tally, found.saved)
    yield _row("limit at 3 sd on every signal", found.rival, found.rival_saved)
    if found.tally.judged:
        name = f"{counted(len(found.tally.events), 'alarm')} at random moments"
        missed = found.tally.judged - found.chance
        yield f"{name:{_WIDTH}}{found.chance:>8.1f}{'-':>6}{missed:>8.1f}{'-':>6}{'-':>10}   -"
    if found.time_based is not None:
        timed = found.time_based
        name = f"replace every {span(timed.every_h)} (best in hindsight)"
        yield (
            f"{name:{_WIDTH}}{timed.caught:>8}{'-':>6}{timed.missed:>8}{'-':>6}{'-':>10}   {timed.saved:,.0f},"
            f" for {counted(timed.replaced, 'replacement')}"
        )
    yield f"{'run to failure':{_WIDTH}}{0:>8}{0:>6}{found.tally.judged:>8}{0:>6}{'-':>10}   0"


def _row(name: str, tally: Tally, saved: Saved) -> str:
    leads = tally.leads_h
    lead = span(float(np.median(leads))) if leads else "-"
    return (
        f"{name:{_WIDTH}}{tally.count('caught'):>8}{tally.count('late'):>6}{tally.count('missed'):>8}{len(tally.wolf):>6}"
        f"{lead:>10}   {saved.amount:,.0f} ({saved.low:,.0f} to {saved.high:,.0f})"
    )


def _basis(found: Backtest) -> Iterator[str]:
    terms, prices = found.terms, found.prices
    money = prices.currency
    yield (
        f"An alarm is in time from {span(terms.horizon_h)} to {span(terms.lead_h)} before a failure; alarms within"
        f" {span(terms.together_h)} of each other are one event. A healthy machine may raise"
        f" {found.alarms_per_week:g} anomal{'y' if found.alarms_per_week == 1.0 else 'ies'} a week."
    )
    yield (
        f"Prices: an unplanned stop {prices.unplanned_h:g} h, a planned one {prices.planned_h:g} h, at"
        f" {prices.downtime:,.0f} {money} an hour; an event that cried wolf {prices.false_alarm:,.0f} {money}."
    )
    yield (
        f"The range holds 90 %: what {counted(found.tally.judged, 'failure')} in {found.tally.days:,.1f} judged days"
        " can tell of the next as many. Nothing of Babbitt's was set on these files; the interval at which the rival"
        " replaces was."
    )


def as_json(found: Backtest) -> dict[str, Any]:
    """The same as plain data; times are nanoseconds since 1970, UTC."""
    return {
        "notes": list(found.notes),
        "terms": asdict(found.terms),
        "prices": asdict(found.prices),
        "alarms_per_week": found.alarms_per_week,
        "babbitt": _counts(found.tally, found.saved),
        "fixed_threshold": _counts(found.rival, found.rival_saved),
        "time_based": None if found.time_based is None else asdict(found.time_based),
        "chance": {"caught": found.chance},
        "run_to_failure": {"caught": 0, "missed": found.tally.judged, "saved": 0.0},
        "assets": {one.track.asset: _asset_json(one) for one in found.assets},
    }  # fmt: skip


def _counts(tally: Tally, saved: Saved) -> dict[str, Any]:
    leads = tally.leads_h
    return {
        "caught": tally.count("caught"), "late": tally.count("late"), "missed": tally.count("missed"),
        "unjudged": tally.count("unjudged"), "cried_wolf": len(tally.wolf), "days": round(tally.days, 3),
        "lead_h_median": float(np.median(leads)) if leads else None,
        "saved": saved.amount, "saved_low": saved.low, "saved_high": saved.high,
    }  # fmt: skip


def _asset_json(one: Tested) -> dict[str, Any]:
    return {
        "from_ns": int(one.track.at_ns[0]), "to_ns": int(one.track.at_ns[-1]), "rows": len(one.track.at_ns),
        "gaps": [list(gap) for gap in one.track.gaps()],
        "mind": one.replayed.mind, "judged_from_ns": one.replayed.judged_from_ns, "note": one.replayed.note,
        "signals": {m.column: {"tag": m.tag, "how": m.how, "words": m.words} for m in one.mapping},
        "failures": [
            {
                "at_ns": fate.failure.at_ns, "end_ns": fate.failure.end_ns, "how": fate.how, "lead_h": fate.lead_h,
                "words": fate.event.sentence if fate.event else "",
            }
            for fate in one.tally.fates
        ],
        "cried_wolf": [asdict(event) for event in one.tally.wolf],
        "fixed_threshold": {
            "caught": one.rival.count("caught"), "missed": one.rival.count("missed"), "cried_wolf": len(one.rival.wolf),
        },
    }  # fmt: skip
