"""What the page shows of lines and units, and what the doctor finds there. Pure."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.commission.doctor import Finding, findings
from edge.commission.line_facts import LineFacts, facts
from edge.commission.plan import plan
from edge.config.lines import place_of
from edge.page import words
from edge.page.watching import Look

UNITS_SHOWN = 12
"""Of each line."""
SINCE_START_BELOW_S = 60.0
"""While the page has watched for less the doctor looks at all since the gateway's start."""


@dataclass(frozen=True, slots=True)
class UnitRow:
    """``mark`` is ok, bad (it does not answer, or not well) or late (the gateway itself does not answer)."""

    asset: str
    unit: int
    profile: str
    every: str
    mark: str
    breaker: str
    detail: str
    last: str
    polls: str
    failures: str
    response: str


@dataclass(frozen=True, slots=True)
class LineRow:
    """``units`` are those shown, of ``units_of``: on a line of many those with trouble come first.

    ``airtime`` is the share of time in which it was taken up over the doctor's ``window``; None: not counted. ``plan``
    is what the doctor would change, in words, where a finding speaks of it.
    """

    name: str
    kind: str
    place: str
    airtime: float | None
    window: str
    units: tuple[UnitRow, ...]
    units_of: int
    findings: tuple[Finding, ...]
    plan: tuple[str, ...]


def lines(look: Look) -> list[LineRow]:
    """In the order of the site file; what is known of units without the doctor's counts is shown all the same."""
    units = look.of("status").get("units", [])
    known = {line.name: line for line in _facts(look)}
    names = dict.fromkeys([*known, *(unit["line"] for unit in units)])
    return [_line(look, name, known.get(name), [u for u in units if u["line"] == name]) for name in names]


def _facts(look: Look) -> list[LineFacts]:
    if look.counts is None:
        return []
    before = look.counts_before
    if before is not None and look.counts["uptime_s"] - before["uptime_s"] < SINCE_START_BELOW_S:
        before = None
    return facts(look.counts, before)


def _line(look: Look, name: str, line: LineFacts | None, units: list[Mapping[str, Any]]) -> LineRow:
    shown = units if len(units) <= UNITS_SHOWN else sorted(units, key=_is_well)[:UNITS_SHOWN]
    rows = tuple(_unit(look, unit) for unit in shown)
    if line is None:
        return LineRow(name, "", "", None, "", rows, len(units), (), ())
    airtime, window, found = line.airtime if line.counted else None, words.span(line.window_s), tuple(findings(line))
    notes = _planned(line) if found else ()
    return LineRow(name, line.kind, place_of(line.line), airtime, window, rows, len(units), found, notes)


def _planned(line: LineFacts) -> tuple[str, ...]:
    found = plan(line)
    return found.notes if found.timeout_ms or found.baud or found.stretch else ()


def _is_well(unit: Mapping[str, Any]) -> bool:
    return unit["breaker"] == "closed" and not unit["detail"]


def _unit(look: Look, unit: Mapping[str, Any]) -> UnitRow:
    last = unit["last_good_ns"]
    response = unit["response_ms"]
    return UnitRow(
        asset=unit["asset"], unit=unit["unit"], profile=unit["profile"],
        every=f"{unit['period_ms'] / 1000:g} s", mark="late" if not look.is_live else "ok" if _is_well(unit) else "bad",
        breaker=words.BREAKERS.get(unit["breaker"], unit["breaker"]), detail=unit["detail"] or "answers",
        last=words.ago(time.time() - last / 1e9) if last else "never",
        polls=words.number(unit["polls"]), failures=words.number(unit["failures"]),
        response=f"{response:.1f} ms" if response is not None else "–",
    )  # fmt: skip
