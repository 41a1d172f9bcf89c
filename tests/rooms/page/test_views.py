"""What the page says of machines, alarms, lines and the gateway: nothing that is not of now may look as if it were."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.health.machine import MEMINFO, memory_percent
from edge.page import words
from edge.page.alarms import alarms
from edge.page.house import headline, house
from edge.page.lines import UNITS_SHOWN, lines
from edge.page.machines import VALUES_SHOWN, machine, machines
from edge.page.recent import HEIGHT, SLOT_S, SLOTS, Recent, path_of
from tests.rooms.page.looks import LEDGER, alarm, look, unit, value, verdict
from tests.waiting import until

QUALITIES = ["good", "uncertain", "bad", "none"]


def row(one: dict[str, Any], recent: Recent | None = None, **of_look: Any) -> Any:
    found = machine(look(one, **of_look), recent or Recent(), "pump-1")
    assert found is not None
    return found.values[0]


@pytest.mark.parametrize(
    ("told", "mark", "note"),
    [
        ({}, "ok", ""),
        ({"age_s": 1.8}, "late", "2 s"),
        ({"age_s": 90.0}, "late", "90 s"),
        ({"quality": "uncertain"}, "uncertain", "says its source"),
        ({"quality": "uncertain", "age_s": 90.0}, "late", "90 s"),
        ({"quality": "bad", "cause": "bus", "found": None}, "bad", "no value"),
        ({"quality": "none", "age_s": None, "found": None}, "none", "never read"),
    ],
)  # fmt: skip
def test_a_value_has_a_word_for_all_that_it_is_not(told: dict[str, Any], mark: str, note: str) -> None:
    found = row(value(**told), age_s=0.2)
    assert (found.mark, found.note) == (mark, note)


@given(
    quality=st.sampled_from(QUALITIES), age_s=st.none() | st.floats(0, 1e6), silent_s=st.floats(0, 1e6),
    trouble=st.sampled_from(["", "nobody answers"]),
)  # fmt: skip
def test_only_a_good_reading_of_now_looks_fresh(
    quality: str, age_s: float | None, silent_s: float, trouble: str
) -> None:
    found = row(value(quality=quality, age_s=age_s), age_s=silent_s, trouble=trouble)
    fresh = quality == "good" and age_s is not None and not trouble and age_s + (100 + silent_s - 100.0) <= 1.3
    assert (found.mark == "ok") == fresh
    assert bool(found.note) != fresh


def test_a_bad_value_shows_what_it_was_last_and_how_old_that_is() -> None:
    recent = Recent()
    recent.take(90.0, [value(age_s=0.0)])
    bad = value(found=None, quality="bad", cause="bus")
    recent.take(100.0, [bad])
    found = row(bad, recent, age_s=2.0)
    assert (found.mark, found.text, found.unit, found.note) == ("bad", "4.61", "mm/s", "12 s")


def test_why_values_are_bad_is_said_once_for_each_cause() -> None:
    told = [value(tag=f"t{i}", found=None, quality="bad", cause="bus") for i in range(5)]
    told += [value(tag="flow", found=None, quality="bad", cause="device"), value()]
    found = machine(look(*told), Recent(), "pump-1")
    assert found is not None
    assert found.causes == ("5 of 7 values: no answer on the bus", "Flow: the device has no value")


def test_a_curve_has_gaps_where_readings_were_bad_late_or_not_seen() -> None:
    recent, at = Recent(), 1000 * SLOT_S
    told = [
        value(found=1.0), value(found=2.0), value(found=None, quality="bad", cause="bus"), value(found=3.0),
        None, value(found=4.0), value(found=5.0, age_s=9.0), value(found=6.0),
    ]  # fmt: skip
    for i, one in enumerate(told):
        if one is not None:
            recent.take(at + i * SLOT_S, [one])
    course = recent.course("pump-1", "vibration_mm_s", at + 7 * SLOT_S)
    assert len(course) == SLOTS
    shown = [None if math.isnan(v) else v for v in course[-8:]]
    assert shown == [1.0, 2.0, None, 3.0, None, 4.0, None, 6.0]
    drawn = path_of(course, 2)
    assert drawn is not None
    path, low, high = drawn
    assert (path.count("M"), path.count("l"), low, high) == (4, 1, 1.0, 6.0)
    assert heights(path) == sorted(heights(path), reverse=True)


def test_a_slot_with_one_bad_reading_is_a_gap_however_many_were_good() -> None:
    recent = Recent()
    for one in (value(), value(found=None, quality="bad", cause="bus"), value()):
        recent.take(500.0, [one])
    assert math.isnan(recent.course("pump-1", "vibration_mm_s", 500.0)[-1])


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=SLOTS))
def test_every_curve_stays_in_its_box(course: list[float]) -> None:
    drawn = path_of(course, 2)
    assert (drawn is None) == (not any(math.isfinite(v) for v in course))
    if drawn is not None:
        assert all(0 <= y <= HEIGHT for y in heights(drawn[0]))


def heights(path: str) -> list[int]:
    """Of each point of a curve."""
    found: list[int] = []
    for kind, x, y in re.findall(r"([Ml])(\d+) ?(-?\d+)", path):
        assert kind == "M" or x == "1"
        found.append(int(y) if kind == "M" else found[-1] + int(y))
    return found


def test_what_is_kept_of_values_is_bounded_and_goes_with_them() -> None:
    recent = Recent()
    recent.take(1.0, [value(tag=f"t{i}") for i in range(2500)])
    assert recent.course("pump-1", "t1999", 1.0)
    assert not recent.course("pump-1", "t2000", 1.0)
    recent.take(2.0, [value(tag="t7")])
    assert not recent.course("pump-1", "t8", 2.0)


def test_the_overview_shows_what_alarms_speak_of_and_what_ails_before_the_rest() -> None:
    many = [value(tag=f"t{i}") for i in range(VALUES_SHOWN + 10)]
    many[-1] |= {"quality": "bad", "cause": "bus", "value": None}
    many[-2]["tag"] = "vibration_mm_s"
    (found,) = machines(look(*many, alarms=[alarm()]), Recent())
    assert (len(found.values), found.values_of) == (VALUES_SHOWN, VALUES_SHOWN + 10)
    assert [one.tag for one in found.values[-2:]] == ["vibration_mm_s", many[-1]["tag"]]


def test_the_worst_machine_of_a_large_site_comes_first(tmp_path: Path) -> None:
    seen = look(verdicts=[verdict(asset="m299")])
    seen.answers["values"] |= {"assets": {f"m{i}": f"M {i}" for i in range(300)}, "values": []}
    found = machines(seen, Recent())
    assert (len(found), found[0].asset) == (300, "m299")


def test_machines_are_in_the_order_in_which_they_need_a_person() -> None:
    told = {
        "fine": "NORMAL",
        "soon": "WARNING",
        "unjudged": "UNKNOWN",
        "calling": "NORMAL",
        "now": "CRITICAL",
        "seen": "NORMAL",
    }
    alarms_of = [alarm(asset="calling", priority="low"), alarm(asset="seen", state="acknowledged")]
    seen = look(verdicts=[verdict(asset=a, urgency=u) for a, u in told.items()], alarms=alarms_of)
    seen.answers["values"] |= {"assets": {asset: asset for asset in told}, "values": []}
    found = [one.asset for one in machines(seen, Recent())]
    assert found == ["now", "soon", "calling", "seen", "unjudged", "fine"]


def test_of_a_line_of_many_units_those_with_trouble_come_first() -> None:
    told = [unit(unit=i, detail="no answer" if i > 97 else "") for i in range(100)]
    (line,) = lines(look(units=told))
    assert [row.unit for row in line.units[:3]] == [98, 99, 0]
    assert (len(line.units), line.units_of) == (UNITS_SHOWN, 100)


@pytest.mark.parametrize(
    ("told", "says", "mark"),
    [
        ({"verdicts": []}, "No alarms", "ok"),
        ({}, "1 machine needs a person now", "bad"),
        ({"verdicts": [verdict(urgency="WARNING")]}, "1 machine to plan for this week", "warn"),
        ({"verdicts": [], "alarms": [alarm()]}, "1 machine needs a person now", "bad"),
        ({"verdicts": [], "alarms": [alarm(priority="low")]}, "1 alarm to acknowledge", "warn"),
        ({"verdicts": [], "alarms": [alarm(state="acknowledged")]}, "1 alarm acknowledged", "warn"),
        ({"verdicts": [], "alarms": [alarm(held="shelved")]}, "No alarms", "ok"),
        ({"trouble": "none", "age_s": 12.0}, "The gateway does not answer: this is how it was 12 s ago", "late"),
    ],
)  # fmt: skip
def test_the_headline_is_what_a_person_must_know_first(told: dict[str, Any], says: str, mark: str) -> None:
    seen = look(**told)
    assert headline(seen, machines(seen, Recent()), alarms(seen)) == (says, mark)


def test_data_that_are_missing_are_no_calm() -> None:
    seen = look(value(found=None, quality="bad", cause="bus"), verdicts=[])
    says, mark = headline(seen, machines(seen, Recent()), alarms(seen))
    assert (says, mark) == ("1 machine without some of its data", "warn")


def test_alarms_that_call_come_first_and_held_ones_last() -> None:
    told = [
        alarm(rule="a", priority="low"), alarm(rule="b", state="acknowledged"), alarm(rule="c", held="shelved"),
        alarm(rule="d", priority="medium", state="returned"), alarm(rule="e"),
    ]  # fmt: skip
    rows = alarms(look(alarms=told))
    assert [one.rule for one in rows] == ["e", "d", "a", "b", "c"]
    assert rows[-1].state_words == "shelved (not acknowledged)"
    assert (rows[0].sentence, rows[0].cause, rows[0].action) == (
        "Pump 1 vibrates at 4.61 mm/s", "imbalance", "look at the coupling",
    )  # fmt: skip


def test_what_is_held_is_shown_unless_it_is_by_design_and_nothing_is_the_matter() -> None:
    told = [
        alarm(rule="a", held="suppressed", state="normal", since_ns=0), alarm(rule="b", held="suppressed"),
        alarm(rule="c", held="shelved", state="normal", since_ns=0),
    ]  # fmt: skip
    rows = {row.rule: row for row in alarms(look(alarms=told))}
    assert set(rows) == {"b", "c"}
    assert rows["c"].since == ""
    assert rows["b"].since


@pytest.mark.parametrize(
    ("told", "mark"),
    [({}, "ok"), ({"detail": "no answer"}, "bad"), ({"breaker": "open"}, "bad"), ({"breaker": "probing"}, "bad")],
)
def test_a_unit_that_does_not_answer_well_is_marked(told: dict[str, Any], mark: str) -> None:
    assert lines(look(units=[unit(**told)]))[0].units[0].mark == mark
    assert lines(look(units=[unit(**told)], trouble="nobody answers"))[0].units[0].mark == "late"


def test_a_ledger_that_does_not_balance_is_said(tmp_path: Path) -> None:
    def of(**changed: int) -> tuple[str, str]:
        facts = {fact.name: fact for fact in house(look(ledger=LEDGER | changed), tmp_path)}
        return facts["Ledger"].text, facts["Ledger"].mark

    assert of() == ("balances", "ok")
    for changed in ({"offered": 101}, {"unchanged": 9}, {"pending": 9}):
        assert of(**changed) == ("DOES NOT BALANCE", "bad")


def test_the_memory_that_is_told_is_what_is_free(tmp_path: Path) -> None:
    seen = look()

    def is_told() -> bool:
        free = memory_percent()
        available, total = (
            int(re.findall(rf"{name}: +([0-9]+)", MEMINFO.read_text())[0]) for name in ("MemAvailable", "MemTotal")
        )
        seen.answers["health"] = {"seen": {"memory_percent": free, "board_c": None}}
        [fact] = [fact for fact in house(seen, tmp_path) if fact.name == "Memory"]
        told = float(re.findall(r"([0-9]+) % of the machine's is free", fact.text)[0])
        return told == pytest.approx(100 * available / total, abs=5)

    until(is_told, "the same, though others take memory and give it back meanwhile")


def test_where_nothing_is_kept_nothing_is_said_to_be(tmp_path: Path) -> None:
    for up in ({"up": False, "detail": "refused"}, {"up": False, "detail": "not configured"}):
        uplink = {**up, "backlog_blocks": 2, "backlog_readings": 2000}
        degraded, *rest = house(look(uplink=uplink, degraded="read-only file system"), tmp_path)
        assert (degraded.name, degraded.mark, degraded.detail) == ("DEGRADED", "bad", "read-only file system")
        said = " ".join(f"{fact.name} {fact.text} {fact.detail}" for fact in rest)
        assert "kept here" not in said
        assert "nothing is lost" not in said
        assert "Kept, or in memory" in said


def test_trouble_of_the_gateway_is_marked(tmp_path: Path) -> None:
    up = {"up": False, "detail": "refused", "backlog_blocks": 2, "backlog_readings": 2000}
    clock = {"trusted": False, "steps": 0, "words": ""}
    seen = look(uplink=up, clock=clock, restarts={"poll": 2}, losses={"records": 1, "blocks": 0})
    facts = {fact.name: fact for fact in house(seen, tmp_path)}
    assert (facts["Way up"].mark, facts["Way up"].detail) == ("warn", "refused")
    assert facts["Backlog"].text == "2,000 readings wait"
    assert facts["Clock"].mark == "warn"
    assert facts["Parts that broke and started again"].text == "poll 2"
    assert facts["Store"].mark == "bad"


@given(st.one_of(st.floats(), st.integers(), st.booleans(), st.text(), st.none()), st.integers(0, 6))
def test_any_value_can_be_shown_and_is_short(found: Any, decimals: int) -> None:
    assert (
        0
        <= len(words.number(found, decimals))
        <= max(words.NUMBER_CHARS_MAX, len(f"{found:,}") if isinstance(found, int) else 0)
    )


@given(st.integers())
def test_any_time_can_be_shown(at_ns: int) -> None:
    assert words.clock(at_ns)
