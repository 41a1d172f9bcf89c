"""What is wrong with a gateway: each figure from just right to just wrong, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.alarm import AlarmDesk
from edge.config.health import Health, HealthRule
from edge.contract.types import AlarmState
from edge.health import Snapshot, concerns, machine
from edge.health.hour import APART_NS, HOUR_NS, Hour
from edge.health.rules import Bounds, findings
from edge.ports import Finding

S = 10**9
WELL = Snapshot(
    mono_ns=0, free_mb=5000.0, store_mb=10.0, waiting_s=0.0, board_c=45.0, memory_percent=60.0, judged_s=1.0
)
BOUNDS = Bounds(Health(), "gw-1", 64.0, 1000.0)


def seen(**figures: Any) -> Snapshot:
    return replace(WELL, **figures)


def found(now: Snapshot = WELL, *, active: str = "", health: Health | None = None, **grown: Any) -> dict[str, Finding]:
    restarted: Mapping[str, int] = {"poll": grown.pop("poll", 0)}
    bounds = replace(BOUNDS, health=health) if health is not None else BOUNDS
    return {one.rule: one for one in findings(now, grown, restarted, bounds, {active})}


def test_each_rule_of_the_table_is_judged_and_a_gateway_that_is_well_raises_none() -> None:
    judged = found()
    assert set(judged) == set(get_args(HealthRule)) == {one.rule for one in concerns(Health(), "gw-1")}
    assert not any(one.holds for one in judged.values())


def test_each_says_how_bad_it_is_why_and_what_to_do() -> None:
    for one in found().values():
        assert one.sentence.startswith("gw-1 "), "displays show the sentence without the name"
        assert one.cause
        assert one.action


@pytest.mark.parametrize(
    ("rule", "figure", "well", "wrong", "not_yet_back"),
    [
        ("disk_low", "free_mb", 256.0, 255.9, 281.0),
        ("disk_full", "free_mb", 64.0, 63.9, 70.0),
        ("store_near_cap", "store_mb", 800.0, 800.1, 721.0),
        ("board_hot", "board_c", 80.0, 80.1, 73.0),
        ("memory_low", "memory_percent", 5.0, 4.9, 5.4),
        ("judges_hang", "judged_s", 60.0, 60.1, None),
        ("disk_hangs", "disk_waits_s", 10.0, 10.1, None),
    ],
)
def test_a_figure_past_its_limit(rule: str, figure: str, well: float, wrong: float, not_yet_back: float | None) -> None:
    assert found(seen(**{figure: well}))[rule].holds is False
    assert found(seen(**{figure: wrong}))[rule].holds is True
    if not_yet_back is not None:
        back = seen(**{figure: not_yet_back})
        assert (found(back)[rule].holds, found(back, active=rule)[rule].holds) == (False, True)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("ledger_unbalanced", {"balanced": False}), ("clock_unset", {"clock_trusted": False}),
        ("backlog_old", {"waiting": 5, "waiting_s": 3601.0}),
    ],
)  # fmt: skip
def test_what_is_so_or_not(rule: str, change: dict[str, Any]) -> None:
    assert [name for name, one in found(seen(**change)).items() if one.holds] == [rule]


@pytest.mark.parametrize(
    ("rule", "grown"),
    [
        ("store_thins", {"thinned": 1}), ("readings_lost", {"lost": 1}), ("readings_lost", {"lost_records": 1}),
        ("readings_lost", {"altered_blocks": 1}), ("clock_stepped", {"clock_steps": 1}), ("room_restarts", {"poll": 3}),
    ],
)  # fmt: skip
def test_what_happened_within_the_hour(rule: str, grown: dict[str, Any]) -> None:
    assert [name for name, one in found(**grown).items() if one.holds] == [rule]


def test_words() -> None:
    lost = found(lost=1234, altered_blocks=2)["readings_lost"].sentence
    assert lost == "gw-1 has lost 1,234 readings, 2 blocks that its disk altered within the hour"
    waiting = seen(waiting=70_000, waiting_s=9000.0, uplink_words="connection refused")
    assert found(waiting)["backlog_old"].sentence == (
        "gw-1 has 70,000 readings waiting to go up, the oldest for 2.5 h (connection refused)"
    )
    hanging = found(seen(judged_s=75.0, late=("pump-1", "press")))["judges_hang"].sentence
    assert hanging == "gw-1 has not judged pump-1, press for 75 s; limits and lamps go on without"
    assert "`poll` again 4 times" in found(poll=4)["room_restarts"].sentence


def test_what_cannot_be_seen_says_nothing_and_what_is_not_there_is_well() -> None:
    blind = seen(free_mb=None, board_c=None, memory_percent=None, waiting_s=None, judged_s=None, waiting=9)
    told = found(blind)
    assert {rule for rule, one in told.items() if one.holds is None} == {
        "disk_low", "disk_full", "board_hot", "memory_low"
    }  # fmt: skip
    assert not any(one.holds for one in told.values())


def test_what_is_switched_off_is_not_judged() -> None:
    off = Health(off=("board_hot",))
    assert "board_hot" not in found(seen(board_c=99.0), health=off)
    assert "board_hot" not in {one.rule for one in concerns(off, "gw-1")}


def test_an_hour_of_counts() -> None:
    hour = Hour()
    grown = [
        hour.take({"lost": lost}, t * APART_NS)["lost"] for t, lost in ((0, 7), (1, 7), (2, 9), (100, 9), (122, 9))
    ]
    assert grown == [0, 0, 2, 2, 0], "an hour after it was seen it is of another hour"
    assert hour.take({"lost": 9, "new": 3}, 123 * APART_NS) == {"lost": 0, "new": 3}


@given(st.lists(st.integers(0, 600), min_size=1, max_size=300))
def test_an_hour_remembers_no_more_than_it_must(steps_s: list[int]) -> None:
    hour, now_ns = Hour(), 0
    for step_s in steps_s:
        now_ns += step_s * S
        assert hour.take({"x": now_ns}, now_ns)["x"] <= HOUR_NS + 600 * S
    assert len(hour._samples) <= 122


def desk() -> AlarmDesk:
    return AlarmDesk([], gateway="gw-1", concerns=concerns(Health(), "gw-1"))


def report(at: AlarmDesk, now: Snapshot, at_s: float, *, active: str = "") -> list[tuple[str, str]]:
    told = at.report_self(found(now, active=active).values(), at_s * S, mono_ns=round(at_s * S))  # type: ignore[arg-type]
    told += at.tick(round(at_s * S), mono_ns=round(at_s * S))
    return [(alarm.rule, alarm.state.value) for alarm in told]


def test_they_are_alarms_of_the_gateway_with_a_life_like_any_other() -> None:
    at, full = desk(), seen(free_mb=10.0)
    assert at.names() == {}
    assert report(at, full, 1) == [("disk_full", "unacknowledged")]
    assert report(at, full, 12) == [("disk_low", "unacknowledged")], "after its delay"
    assert at.names() == {"gw-1": "gw-1"}
    [worst, _] = at.standing()
    assert (worst.asset, worst.rule, worst.value) == ("gw-1", "disk_full", 10.0)
    assert worst.sentence == (
        "gw-1 has 10 MB free on its disk, less than 64: its store grows no more, old readings are thinned"
    )
    assert [a.state for a in at.acknowledge("gw-1", "disk_full", 13 * S)] == [AlarmState.ACKNOWLEDGED]
    assert report(at, WELL, 14) == [], "it must stay well for a while"
    assert sorted(report(at, WELL, 45)) == [("disk_full", "normal"), ("disk_low", "returned")]


def test_they_survive_a_restart() -> None:
    at, again = desk(), desk()
    report(at, seen(free_mb=10.0), 1)
    again.restore(at.state().get)
    assert [alarm.rule for alarm in again.standing()] == ["disk_full"]
    assert report(again, seen(free_mb=10.0), 2) == []


@pytest.mark.parametrize(
    ("zones", "expected"),
    [
        ({"thermal_zone0": "51234\n", "thermal_zone1": "62000\n"}, 62.0), ({}, None), ({"thermal_zone0": "x"}, None),
        ({"thermal_zone0": "-274000\n", "thermal_zone1": "40000"}, 40.0), ({"cooling_device0": "90000"}, None),
    ],
)  # fmt: skip
def test_the_boards_temperature_is_its_hottest_zones(
    tmp_path: Path, zones: dict[str, str], expected: float | None
) -> None:
    for zone, text in zones.items():
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "temp").write_text(text)
    assert machine.board_c(tmp_path) == expected


def test_memory_and_disk_of_this_machine(tmp_path: Path) -> None:
    free = machine.memory_percent()
    assert free is not None
    assert 0.0 < free < 100.0
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 3 kB\nMemAvailable: 40 kB\n")
    assert machine.memory_percent(tmp_path / "meminfo") == 4.0
    assert machine.memory_percent(tmp_path / "none") is None
    assert (machine.free_mb(tmp_path) or 0.0) > 0.0
    assert machine.free_mb(tmp_path / "none") is None
    (tmp_path / "store.db").write_bytes(bytes(2**20))
    (tmp_path / "store.db-wal").write_bytes(bytes(2**19))
    assert machine.store_mb(tmp_path / "store.db") == 1.5
