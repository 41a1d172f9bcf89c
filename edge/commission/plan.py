"""What a line could be set to: timeout, baud rate and periods, each with the arithmetic that it comes from. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.commission.line_facts import LineFacts, UnitFacts

BAUDS = (9_600, 19_200, 38_400, 57_600, 115_200)
ROOM = 0.6
"""A line that is planned to be taken up by no more than this has room for retries and for a dead unit."""
TIMEOUT_STEP_MS = 10
TIMEOUT_MS_MIN = 50
SPARE = 1.5
"""A timeout is so much longer than what all but one answer of twenty take."""


@dataclass(frozen=True, slots=True)
class TimeoutPlan:
    timeout_ms: int
    words: str


@dataclass(frozen=True, slots=True)
class Plan:
    """``timeout_ms``, ``baud`` and ``stretch`` (of all periods) are None where what is set serves. ``notes`` tell how
    they were reckoned."""

    timeout_ms: int | None
    baud: int | None
    stretch: float | None
    notes: tuple[str, ...]


def timeout_plan(line: LineFacts, unit: UnitFacts) -> TimeoutPlan:
    """A timeout by what ``unit``'s answers take. Where they come too late it can only be doubled."""
    counts = unit.counts
    if counts.late:
        doubled = _rounded(2 * line.timeout_ms)
        return TimeoutPlan(doubled, f"2 x {line.timeout_ms:.0f} ms, since it answers later than that; then look again")
    p95_ms = counts.response_ms(0.95) or line.timeout_ms
    wire_ms = 0.0
    if line.baud is not None and counts.requests:
        wire_ms = min(p95_ms, 1000 * line.unit_wire_s(unit, line.baud) / counts.requests)
    wanted = max(TIMEOUT_MS_MIN, _rounded(SPARE * (p95_ms - wire_ms)))
    minus = f" - {wire_ms:.1f} ms on the wire" if wire_ms else ""
    return TimeoutPlan(wanted, f"{SPARE:g} x ({p95_ms:.1f} ms for 95 % of its answers{minus})")


def plan(line: LineFacts) -> Plan:
    """What to set. Without answers there is nothing to reckon with, and nothing is suggested."""
    answering = [unit for unit in line.units if unit.counts.replies or unit.counts.late]
    if not answering or not line.counted:
        return Plan(None, None, None, ())
    notes: list[str] = []
    timeout_ms = _timeout(line, answering, notes)
    needed = _needed(line, answering, notes)
    baud, stretch = None, None
    if needed > ROOM:
        baud = _baud(line, needed, notes)
        stretch = math.ceil(10 * needed / ROOM) / 10
        notes.append(f"periods x {stretch:g} at the settings of now: {needed:.0%} / {ROOM:.0%} = {stretch:g}")
    return Plan(timeout_ms, baud, stretch, tuple(notes))


def _timeout(line: LineFacts, answering: list[UnitFacts], notes: list[str]) -> int | None:
    """The longest that one of the units needs, where it is longer than what is set or much shorter."""
    plans = {unit.name: timeout_plan(line, unit) for unit in answering}
    name, longest = max(plans.items(), key=lambda item: item[1].timeout_ms)
    silent = sum(unit.counts.timeouts for unit in line.units)
    wasteful = silent and longest.timeout_ms <= 0.5 * line.timeout_ms
    if longest.timeout_ms <= line.timeout_ms and not wasteful:
        return None
    notes.append(f"timeout_ms = {longest.timeout_ms} (now {line.timeout_ms:.0f}): {longest.words}, of {name}")
    if wasteful:
        spared_s = silent * (line.timeout_ms - longest.timeout_ms) / 1000
        notes.append(f"it spares {spared_s:.1f} s of the {line.window_s:.0f} s: {silent} timeouts were waited for")
    return longest.timeout_ms


def _needed(line: LineFacts, answering: list[UnitFacts], notes: list[str]) -> float:
    """The share of time that all polls that are due would take, those included that had no time."""
    needed = 0.0
    for unit in answering:
        asked = unit.polls.due - unit.polls.overruns - unit.polls.left_alone
        if asked <= 0 or not unit.counts.requests:
            continue
        counts, questions = unit.counts, unit.counts.requests / asked
        # What is waited for in vain is not to be planned for, unless nothing is known but that.
        spent_ns, of = (counts.answering_ns, counts.replies) if counts.replies else (counts.busy_ns, counts.requests)
        question_s = spent_ns / 1e9 / of
        share = unit.polls.due / line.window_s * questions * question_s
        needed += share
        notes.append(
            f"{unit.name}: {unit.polls.due / line.window_s:.2f} polls/s x {questions:.1f} questions x"
            f" {1000 * question_s:.1f} ms = {share:.0%}"
        )
    notes.append(f"together {needed:.0%} of the line's time")
    return needed


def _baud(line: LineFacts, needed: float, notes: list[str]) -> int | None:
    """The lowest standard rate at which there is room: what is no wire time (the units' own) stays."""
    if line.baud is None:
        return None
    scale = needed / max(line.airtime, 1e-9)
    own_s = max(0.0, line.busy_s - line.wire_s(line.baud))
    for baud in (baud for baud in BAUDS if baud > line.baud):
        share = scale * (own_s + line.wire_s(baud)) / line.window_s
        if share <= ROOM:
            notes.append(
                f"baud = {baud} (now {line.baud}): wire {scale * line.wire_s(line.baud) / line.window_s:.0%} ->"
                f" {scale * line.wire_s(baud) / line.window_s:.0%}, the units' own {scale * own_s / line.window_s:.0%}"
                f" stays: {share:.0%}"
            )
            return baud
    return None


def _rounded(ms: float) -> int:
    return int(math.ceil(ms / TIMEOUT_STEP_MS) * TIMEOUT_STEP_MS)
