"""What each lamp says, situation by situation, and what it never says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.types import Alarm, AlarmState, Held, Priority, Urgency, Verdict
from edge.panel import PanelState, lamps
from edge.panel.lamps import DARK, LOST, MEANINGS, TEST, Lamps, buzzing
from edge.ports import Pattern
from tests.rooms.panel.situations import (
    ACK,
    ALL_FINE,
    CRITICAL,
    DISK,
    FINE,
    LIFE,
    LIMIT,
    NAMES,
    RETURNED,
    SHELVED,
    SILENT,
    SITUATIONS,
    SPEED,
    UNACK,
    UNKNOWN,
    WARNING,
    alarm,
    state,
)  # fmt: skip

# green, amber, red, blue
TABLE = {
    "all normal": "on off off off",
    "no alarms, one judged normal": "on off off off",
    "critical, unacknowledged": "off off fast slow",
    "acknowledged": "off off on off",
    "returned unseen": "off off slow slow",
    "latched": "off off slow on",
    "warning": "off on off off",
    "silent": "off double off slow",
    "not heard yet": "off double off off",
    "silent and high": "off double fast slow",
    "held alone": "on off off off",
    "advice": "on off off on",
    "uplink down": "on flash off off",
    "uplink down and critical": "off flash fast slow",
    "disk full": "on flash off off",
    "no uplink": "on off off off",
    "no assets": "off off off off",
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_lamps(name: str) -> None:
    lit = lamps(SITUATIONS[name])
    assert f"{lit.green} {lit.amber} {lit.red} {lit.blue}" == TABLE[name]


@pytest.mark.parametrize(
    ("alarm_state", "latched", "shown"),
    [
        (UNACK, False, "fast slow"), (ACK, False, "on off"), (RETURNED, False, "slow slow"),
        (UNACK, True, "fast slow"), (ACK, True, "slow on"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("priority", Priority)
def test_new_acknowledged_and_gone_look_different(
    alarm_state: AlarmState, latched: bool, shown: str, priority: Priority
) -> None:
    lit = lamps(state([replace(LIMIT, state=alarm_state, latched=latched, priority=priority)], ALL_FINE))
    lamp, other = (lit.red, lit.amber) if priority is Priority.HIGH else (lit.amber, lit.red)
    assert f"{lamp} {lit.blue}" == shown
    assert (other, lit.green) == (Pattern.OFF, Pattern.OFF)


def test_the_panels_own_trouble_has_a_sign_that_does_not_put_out_the_green_lamp() -> None:
    fine = state((), ALL_FINE)
    assert lamps(fine, trouble=("display missing",)) == Lamps(green=Pattern.ON, amber=Pattern.FLASH)


def test_an_old_verdict_of_a_silent_machine_lights_nothing() -> None:
    assert lamps(state([SILENT], {"s": CRITICAL}, stale={"s"})).red is Pattern.OFF


def test_a_dead_gateway_has_a_sign_that_nothing_else_has_and_is_never_green() -> None:
    assert LOST.green is Pattern.OFF
    assert LOST.red is Pattern.DOUBLE
    assert LOST != DARK != TEST


def test_high_alarms_sound_until_they_are_acknowledged_and_held_ones_never() -> None:
    medium = alarm("zone_c", Priority.MEDIUM, UNACK, "Spindle 1")
    assert buzzing(state([LIFE, medium, replace(LIMIT, state=ACK)])) == (LIFE,)
    assert not buzzing(state([replace(LIFE, held=held) for held in Held if held is not Held.NOT]))


Alarms = st.lists(
    st.builds(
        Alarm,
        asset=st.sampled_from([*NAMES, "gateway"]),
        rule=st.sampled_from(["zone_c", "no_data", "rul_critical", "anomaly"]),
        tag=st.just("t"),
        priority=st.sampled_from(list(Priority)),
        state=st.sampled_from([UNACK, ACK, RETURNED]),
        since_ns=st.integers(0, 10),
        at_ns=st.just(0),
        value=st.none() | st.floats(0, 10),
        sentence=st.text(max_size=60),
        cause=st.text(max_size=60),
        action=st.text(max_size=60),
        latched=st.booleans(),
        held=st.sampled_from([Held.NOT, Held.NOT, Held.SHELVED, Held.SUPPRESSED]),
        until_ns=st.integers(0, 2**60),
        first=st.booleans(),
    ),
    max_size=6,
    unique_by=lambda a: (a.asset, a.rule),
)
States = st.builds(
    lambda alarms, verdicts, stale, uplink_up, backlog, age_s, ill, advised: state(
        alarms, verdicts, stale, uplink_up=uplink_up, backlog=backlog, age_s=age_s,
        health=(DISK,) if ill else (), advice=(SPEED,) if advised else (),
    ),
    alarms=Alarms,
    verdicts=st.dictionaries(st.sampled_from(list(NAMES)), st.sampled_from([FINE, WARNING, CRITICAL, UNKNOWN])),
    stale=st.frozensets(st.sampled_from(list(NAMES))),
    uplink_up=st.sampled_from([True, False, None]),
    backlog=st.integers(0, 10**13),
    age_s=st.none() | st.floats(0, 1e9),
    ill=st.booleans(),
    advised=st.booleans(),
)  # fmt: skip


@given(States, st.booleans())
def test_in_no_situation_do_the_lamps_lie(situation: PanelState, troubled: bool) -> None:
    lit = lamps(situation, trouble=("display missing",) if troubled else ())
    shown = [a for a in situation.alarms if a.held is Held.NOT]
    current = [v for asset, v in situation.verdicts.items() if asset not in situation.stale]
    assert lit.green in (Pattern.OFF, Pattern.ON), "green never blinks"
    assert lit.red in (Pattern.OFF, Pattern.ON, Pattern.FAST, Pattern.SLOW), "only a dead gateway lets it double flash"
    held_silent = {a.asset for a in situation.alarms if a.rule == "no_data" and a.held is not Held.NOT}
    if lit.green is Pattern.ON:
        assert not shown
        assert set(situation.stale) <= held_silent
        assert all(v.urgency.rank < Urgency.WARNING.rank for v in current)
    if any(a.priority is Priority.HIGH and a.state is UNACK for a in shown):
        assert lit.red is Pattern.FAST
    if any(a.state in (UNACK, RETURNED) for a in shown):
        assert lit.blue is Pattern.SLOW
    if set(situation.stale) - held_silent:
        assert lit.amber is Pattern.DOUBLE
    if troubled or situation.uplink_up is False:
        assert lit.amber is not Pattern.OFF
    meant = {(lamp, pattern.replace("double flash", "double")) for lamp, pattern, _ in MEANINGS}
    told = {(lamp, getattr(lit, lamp)) for lamp in ("green", "amber", "red", "blue")}
    assert {(lamp, pattern) for lamp, pattern in told if pattern is not Pattern.OFF} <= meant
    assert lit == lamps(replace(situation, alarms=[*situation.alarms, SHELVED]), trouble=("x",) if troubled else ())


def test_a_machine_whose_silence_people_hold_back_does_not_keep_the_tower_flashing() -> None:
    situation = state([replace(SILENT, held=Held.OUT_OF_SERVICE)], ALL_FINE, stale={"s"})
    assert lamps(situation) == Lamps(green=Pattern.ON)
    assert lamps(replace(situation, stale={"s", "p"})) == Lamps(amber=Pattern.DOUBLE)


def test_a_verdict_alone_lights_a_lamp() -> None:
    by_urgency: dict[Urgency, Verdict] = {v.urgency: v for v in (FINE, WARNING, CRITICAL, UNKNOWN)}
    lit = {urgency: lamps(state(verdicts={"s": v})) for urgency, v in by_urgency.items()}
    assert lit[Urgency.NORMAL] == lit[Urgency.UNKNOWN] == Lamps(green=Pattern.ON)
    assert lit[Urgency.WARNING] == Lamps(amber=Pattern.ON)
    assert lit[Urgency.CRITICAL] == Lamps(red=Pattern.ON)
