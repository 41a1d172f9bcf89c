"""Who is called, when, and about what: the pure part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.notify import routing, words
from cloud.notify.config import DAYS, NotifyFile, load_settings
from cloud.notify.incidents import Incident, Kind, Phase, changed, phase_of
from cloud.notify.routing import Address
from cloud.notify.silence import silences
from edge.config.load import convert
from edge.contract.types import Alarm, AlarmState, Held, Priority
from edge.errors import ConfigError

HOOK = {"name": "pager", "secret_file": "hook"}
SMTP = {"host": "localhost", "sender": "babbitt@plant.example", "security": "none"}
PEOPLE = [{"name": name, "email": f"{name}@plant.example"} for name in ("ada", "bob", "carol")]
ALARM = Alarm(
    "pump-1", "flow_low", "flow_m3_h", Priority.HIGH, AlarmState.UNACKNOWLEDGED, 10, 10, 31.5,
    "Pump 1: flow is 31.5 m3/h, under 40", "a blocked suction filter", "look at the filter",
)  # fmt: skip


def file(**tables: Any) -> NotifyFile:
    whole = {"smtp": SMTP, "person": PEOPLE, "route": [{"to": ["ada"]}], **tables}
    made = convert(whole, NotifyFile, where="notify.toml")
    assert isinstance(made, NotifyFile)
    return made


def names(found: Sequence[Address]) -> list[str]:
    return [address.name for address in found]


def test_the_first_route_that_fits_an_alarm_counts() -> None:
    routes = [
        {"assets": ["gw-1/pump-*"], "priority": ["high"], "to": ["ada"]},
        {"assets": ["gw-1/*"], "rules": ["clock_*"], "to": []},
        {"assets": ["gw-1/*"], "to": ["bob"]},
    ]
    found = file(route=routes)
    assert routing.route_of(found, "gw-1/pump-7", "flow_low", Priority.HIGH) == 0
    assert routing.route_of(found, "gw-1/pump-7", "flow_low", Priority.LOW) == 2
    assert routing.route_of(found, "gw-1/pump-7", "clock_step", Priority.LOW) == 1, "which calls nobody"
    assert routing.route_of(found, "gw-2/pump-7", "flow_low", Priority.HIGH) is None


def test_each_stage_calls_somebody_else_once() -> None:
    escalate = [{"after_min": 15, "to": ["bob", "shift:night", "bob"]}, {"after_min": 30, "to": ["carol"]}]
    night = {"name": "night", "people": ["bob", "carol"]}
    found = file(route=[{"to": ["ada"], "escalate": escalate}], shift=[night])
    route, at = found.route[0], datetime(2026, 11, 29, 3, 0, tzinfo=ZoneInfo("UTC"))
    assert [names(routing.addresses(found, route, stage, at)) for stage in range(routing.stages(route))] == [
        ["ada"], ["bob", "carol"], ["carol"],
    ]  # fmt: skip
    assert [routing.wait_min(route, stage) for stage in range(3)] == [15, 30, None]


@pytest.mark.parametrize(
    ("day", "clock", "on"),
    [
        (27, "21:59", []), (27, "22:00", ["ada"]), (28, "05:59", ["ada"]), (28, "06:00", []),
        (28, "22:00", []), (29, "03:00", []), (30, "22:00", ["ada"]), (27, "03:00", ["ada"]),
    ],
)  # fmt: skip
def test_a_night_shift_belongs_to_the_day_on_which_it_begins(day: int, clock: str, on: list[str]) -> None:
    """27 November 2026 is a Friday: Saturday and Sunday nights are free."""
    days = ["mon", "tue", "wed", "thu", "fri"]
    shift = {"name": "night", "begins": "22:00", "ends": "06:00", "days": days, "people": ["ada"]}
    hours, minutes = map(int, clock.split(":"))
    at = datetime(2026, 11, day, hours, minutes, tzinfo=ZoneInfo("Europe/Berlin"))
    assert list(routing.on_duty(file(shift=[shift]).shift, "night", at)) == on


@given(st.integers(0, 23), st.integers(0, 23), st.integers(0, 7 * 24 * 60 - 1))
def test_two_shifts_that_meet_leave_no_minute_without_anybody(first: int, second: int, minute: int) -> None:
    one = {"name": "on", "begins": f"{first:02}:00", "ends": f"{second:02}:00", "people": ["ada"]}
    other = {"name": "on", "begins": f"{second:02}:00", "ends": f"{first:02}:00", "people": ["bob"]}
    day, rest = divmod(minute, 24 * 60)
    at = datetime(2026, 11, 23 + day, rest // 60, rest % 60, tzinfo=ZoneInfo("UTC"))
    on = routing.on_duty(file(shift=[one, other]).shift, "on", at)
    assert len(on) == (2 if first == second else 1)


def test_what_an_alarm_asks_of_people() -> None:
    assert phase_of(ALARM) is Phase.CALLING
    assert phase_of(replace(ALARM, state=AlarmState.RETURNED)) is Phase.CALLING, "nobody has seen it"
    assert phase_of(replace(ALARM, state=AlarmState.ACKNOWLEDGED)) is Phase.ACKNOWLEDGED
    assert phase_of(replace(ALARM, held=Held.SHELVED)) is Phase.HELD
    assert phase_of(replace(ALARM, state=AlarmState.NORMAL)) is Phase.ENDED
    assert phase_of(None) is Phase.ENDED


def test_only_a_change_is_told_and_an_alarm_that_comes_off_the_shelf_calls_again() -> None:
    calling = Incident("gw-1", "pump-1", "Pump 1", ALARM, 20, next_ns=99)
    same, kind = changed(calling, replace(ALARM, value=30.0), 50, again_ns=5)
    assert (same.next_ns, kind) == (99, None)
    taken, kind = changed(calling, replace(ALARM, state=AlarmState.ACKNOWLEDGED, by="bob"), 50, again_ns=5)
    assert (taken.phase, taken.next_ns, kind) == (Phase.ACKNOWLEDGED, None, Kind.ACKNOWLEDGED)
    over, kind = changed(taken, None, 60, again_ns=5)
    assert (over.phase, over.alarm.by, kind) == (Phase.ENDED, "bob", Kind.ENDED)
    held, kind = changed(calling, replace(ALARM, held=Held.SHELVED), 50, again_ns=5)
    assert (held.next_ns, kind) == (None, None)
    back, kind = changed(held, ALARM, 60, again_ns=5)
    assert (back.phase, back.next_ns, kind) == (Phase.CALLING, 65, Kind.RAISED)


def test_a_message_says_what_where_since_when_why_and_what_to_do() -> None:
    at_ns = 1_796_000_000 * 10**9
    late = Incident("gw-1", "pump-1", "Pump 1", replace(ALARM, since_ns=at_ns), at_ns + 5400 * 10**9)
    text = words.body([(Kind.RAISED, late)], page="https://plant.example/", zone=ZoneInfo("Europe/Berlin"))
    assert text == (
        "Pump 1: flow is 31.5 m3/h, under 40\n"
        "Pump 1, gw-1/pump-1; priority high\n"
        "since 2026-11-30 01:53:20+01:00; told of 1 h 30 min later, as the gateway could not be reached\n"
        "Likely cause: a blocked suction filter\n"
        "What to do: look at the filter\n"
        "https://plant.example/assets/gw-1/pump-1\n"
    )
    low = replace(late, alarm=replace(ALARM, priority=Priority.LOW, sentence="x\nBcc: all"))
    said = words.sorted_by_weight([(Kind.ENDED, late), (Kind.RAISED, low), (Kind.RAISED, late)])
    assert words.subject(said) == "[high] Pump 1: flow is 31.5 m3/h, under 40 (and 2 more)"
    assert words.subject([(Kind.RAISED, low)]) == "[low] x Bcc: all", "a line break ends no header"


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"zone": "Europe/Atlantis"}, "`zone`: there is no 'Europe/Atlantis'"),
        ({"route": [{"to": ["eve"]}]}, "`route[0].to`: there is nobody called 'eve' (people: ada, bob, carol"),
        ({"route": [{"to": ["shift:day"]}]}, "there is no shift 'day'"),
        ({"route": [{"to": ["mqtt"]}]}, "there is no [mqtt]"),
        ({"route": [{"to": ["webhook:pager"]}]}, "there is no webhook 'pager'"),
        ({"route": [{"to": ["ada"], "escalate": [{"after_min": 5, "to": ["eve"]}]}]}, "`route[0].escalate[0].to`"),
        (
            {"route": [{"to": ["ada"], "priority": ["urgent"]}]},
            "`route[0].priority[0]`: Invalid enum value 'urgent' (accepted here: low",
        ),
        ({"smtp": {**SMTP, "host": "mail.example"}}, "`smtp`: mail.example would be reached without encryption"),
        ({"smtp": {**SMTP, "user": "ada"}}, "one of `user` and `password_file` alone"),
        ({"person": [*PEOPLE, PEOPLE[0]]}, "`person`: 'ada' stands twice"),
        ({"person": [{"name": "ada", "email": "ada"}]}, "`person[0].email`: found 'ada'"),
        ({"person": [{"name": "ada", "email": "a..b@plant.example"}]}, "`person[0].email`: found 'a..b@plant.example'"),
        ({"person": [{"name": "ada", "email": "a[b@plant.example"}]}, "`person[0].email`: found 'a[b@plant.example'"),
        ({"shift": [{"name": "day", "people": ["ada"], "begins": "6:00"}]}, "`shift[0].begins`: found '6:00'"),
        ({"shift": [{"name": "day", "people": ["eve"]}]}, "there is no person 'eve'"),
        ({"page": "http://[plant"}, "`page`: found 'http://[plant'"),
        ({"webhook": [HOOK | {"url": "https://[::1/x"}]}, "`webhook[0].url`: found 'https://[::1/x'"),
        ({"webhook": [HOOK | {"url": "https://a:port/"}]}, "`webhook[0].url`: found 'https://a:port/'"),
        ({"webhook": [HOOK | {"url": "https://a:99999/"}]}, "`webhook[0].url`: found 'https://a:99999/'"),
        ({"webhook": [HOOK | {"url": "https://two words/"}]}, "`webhook[0].url`: found 'https://two words/'"),
        ({"webhook": [HOOK | {"url": "http://localhost\\@a.example/"}]}, "a.example would be reached without"),
        ({"colour": "red"}, "Object contains unknown field `colour` (accepted here: route, person"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_with_what_is_accepted(
    change: dict[str, Any], wanted: str, tmp_path: Path
) -> None:
    import tomli_w

    whole = {"smtp": SMTP, "person": PEOPLE, "route": [{"to": ["ada"]}], **change}
    (tmp_path / "notify.toml").write_text(tomli_w.dumps(whole), encoding="utf-8")
    with pytest.raises(ConfigError) as found:
        load_settings(tmp_path / "notify.toml")
    assert wanted in str(found.value)


@pytest.mark.parametrize(
    ("tables", "wanted"),
    [
        ({"route": [{"to": ["ada"]}]}, []),
        ({"route": [{"to": [], "rules": ["clock_step"]}, {"to": ["ada"]}]}, ["`route[0]` calls nobody about what"]),
        ({"route": [{"to": ["ada"], "priority": ["high"]}]}, ["no route takes every alarm of priority low, medium"]),
        ({"route": [{"to": ["shift:day"]}]}, ["`route[0]`: nobody is on duty for 128 of the week's 168 hours, first"]),
        ({"route": [{"to": ["shift:day"], "escalate": [{"after_min": 5, "to": ["bob"]}]}]}, []),
    ],
    ids=["all are called", "on purpose", "no route", "a night", "a night with somebody behind"],
)
def test_what_would_call_nobody_is_said(tables: dict[str, Any], wanted: list[str]) -> None:
    day = {"name": "day", "people": ["ada"], "begins": "06:00", "ends": "14:00", "days": list(DAYS[:5])}
    found = list(silences(file(shift=[day], **tables), datetime(2026, 11, 23, tzinfo=ZoneInfo("Europe/Berlin"))))
    assert len(found) == len(wanted)
    assert all(said.startswith(start) for said, start in zip(found, wanted, strict=True)), found
