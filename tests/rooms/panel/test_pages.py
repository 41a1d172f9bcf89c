"""What there is to tell, in lines, situation by situation on both sizes; the golden ones lie in ``tests/golden/panel``.

``BABBITT_GOLDEN=write`` writes them anew.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.types import AlarmState, Urgency
from edge.panel import PanelState
from edge.panel.characters import screens
from edge.panel.displays import characters
from edge.panel.matters import TURNS_MAX, Kind, matters
from tests.rooms.panel.situations import (
    ACK,
    ALL_FINE,
    FINE,
    HIGH,
    LIMIT,
    MEDIUM,
    NAMES,
    NOW,
    RECORD,
    SHELVED,
    SITUATIONS,
    UNACK,
    H,
    S,
    alarm,
    state,
)  # fmt: skip
from tests.rooms.panel.test_lamps import States

GOLDEN = Path(__file__).parents[2] / "golden" / "panel"


def drawn(situation: PanelState, display: str) -> str:
    columns, rows = characters(display)
    return "".join(
        f"|{'|'.join(screen)}|{'' if matter.auto else ' by hand'}\n"
        for matter in matters(situation)
        for screen in screens(matter, situation, columns, rows)
    )


@pytest.mark.parametrize("display", ["16x2", "20x4"])
def test_pages(display: str) -> None:
    shown = "\n".join(f"{name}\n{drawn(situation, display)}" for name, situation in SITUATIONS.items())
    path = GOLDEN / f"pages-{display}.txt"
    if os.environ.get("BABBITT_GOLDEN") == "write":
        path.write_text(shown, encoding="ascii")
    assert shown == path.read_text(encoding="ascii")


@given(States, st.sampled_from(["16x2", "20x4"]), st.lists(st.text(max_size=30), max_size=2))
def test_in_no_situation_does_a_page_break(situation: PanelState, display: str, trouble: list[str]) -> None:
    columns, rows = characters(display)
    told = matters(situation, trouble)
    assert told[0].auto, "there is always something to show"
    assert len({matter.key for matter in told}) == len(told), "each is found again by its key"
    for matter in told:
        shown = screens(matter, situation, columns, rows, trouble=trouble)
        assert shown
        for lines in shown:
            assert len(lines) == rows
            assert all(len(line) == columns and line.isascii() and line.isprintable() for line in lines)


def test_the_worst_comes_first() -> None:
    old = alarm("zone_d", HIGH, ACK, "Extruder drive 2 vibrates", asset="e", ago_ns=3 * H)
    new = alarm("seal", HIGH, UNACK, "Pump 1 leaks", asset="p")
    older = alarm("flow", HIGH, UNACK, "Pump 1 pumps nothing", asset="p", ago_ns=2 * H)
    medium = alarm("zone_c", MEDIUM, UNACK, "Spindle 1 vibrates")
    gone = replace(LIMIT, rule="gone", state=AlarmState.RETURNED, since_ns=0)
    told = matters(state([medium, old, gone, new, older], ALL_FINE, uplink_up=False))
    assert [m.alarm.rule if m.alarm else m.kind for m in told if m.auto] == [
        "flow", "seal", "zone_d", "zone_c", "gone", Kind.TROUBLE,
    ]  # fmt: skip


def test_in_a_flood_the_first_and_worst_take_turns_with_the_count_and_all_can_be_paged_to() -> None:
    flood = [alarm(f"rule_{i}", HIGH, UNACK, "Spindle 1 shakes", ago_ns=(99 - i) * H) for i in range(50)]
    told = matters(state(flood, ALL_FINE))
    turns = [m.alarm.rule if m.alarm else m.kind for m in told if m.auto]
    assert turns == [*(f"rule_{i}" for i in range(TURNS_MAX)), Kind.OVERVIEW]
    assert sum(m.alarm is not None for m in told) == 50
    assert "|50 ALARMS  on 1 of 3|" in drawn(state(flood, ALL_FINE), "20x4")


def test_held_alarms_are_counted_and_have_a_page() -> None:
    situation = state([SHELVED, replace(SHELVED, rule="zone_d")], ALL_FINE)
    text = drawn(situation, "20x4")
    assert "|ALL NORMAL    3/3 OK|uplink ok           |2 shelved           |" in text
    assert "|Spindle 1: zone d   |shelved, 25 min left|" in text


def test_an_alarm_of_the_gateway_itself_has_a_page_too() -> None:
    full = alarm("disk", HIGH, UNACK, "disk is full", asset="hall-3")
    assert "|HALL-3      CRITICAL|disk is full" in drawn(state([full], ALL_FINE), "20x4")


@pytest.mark.parametrize(
    ("ago_ns", "words"),
    [
        (0, "1 min not ack'd"), (59 * S, "1 min not ack'd"), (99 * 60 * S, "99 min not ack'd"),
        (2 * H, "2 h not ack'd"), (47 * H, "47 h not ack'd"), (60 * H, "2 d not ack'd"), (-H, "1 min not ack'd"),
        (NOW, "not ack'd"),
    ],
)  # fmt: skip
def test_since_when(ago_ns: int, words: str) -> None:
    text = drawn(state([alarm("zone_d", HIGH, UNACK, "Spindle 1 shakes", ago_ns=ago_ns)]), "20x4")
    assert f"|SPINDLE 1   CRITICAL|shakes              |{words}".rstrip() in text.replace("for ", "").replace(",", "")


@pytest.mark.parametrize(("display", "line"), [("20x4", "stop 120h 7% fail"), ("16x2", "7% fail by stop")])
def test_the_risk_until_the_planned_stop_has_a_line(display: str, line: str) -> None:
    told = replace(FINE, stop_h=120.0, failure_p=0.07, basis="bundle")
    assert f"|{line}" in drawn(state(verdicts={"s": told}), display)


def test_a_life_by_papers_is_called_one_by_age() -> None:
    told = replace(FINE, urgency=Urgency.UNKNOWN, basis="prior")
    assert "|by age 640h 410-910 |" in drawn(state(verdicts={"s": told}), "20x4")


@pytest.mark.parametrize(
    ("counts", "display", "line"),
    [
        ((7, 1, 1), "20x4", "right 7/8, 1 false"),
        ((7, 1, 1), "16x2", "right 7/8"),
        ((0, 0, 3), "20x4", "3 false"),
    ],
)
def test_how_often_it_was_right_stands_in_a_line(counts: tuple[int, int, int], display: str, line: str) -> None:
    hits, misses, false = counts
    words = f"right {hits} of {hits + misses}, {false} false" if hits else "no failure yet, 3 false"
    record = replace(RECORD, hits=hits, misses=misses, false_alarms=false, words=words)
    assert f"|{line}" in drawn(state(verdicts=dict.fromkeys(NAMES, FINE), records={"s": record}), display)
