"""The life of an alarm: the state table of IEC 62682, delays, and what must hold after any history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.alarm.states import (
    CLEARS,
    CLEARS_LATCHED,
    CLEARS_UNSEEN,
    Clears,
    Life,
    Phase,
    acknowledge,
    announced_again,
    elapse,
    reset,
    steady,
    step,
)
from edge.contract.types import AlarmState

S = 10**9
NORMAL, UNACK, ACK, RETURNED = Life.NORMAL, Life.UNACKNOWLEDGED, Life.ACKNOWLEDGED, Life.RETURNED
ISA_18_2 = """
          raise  clear  clear latching  clear held  acknowledge  reset  re-alarm
    A     B      A      A               A           A            A      A
    B     B      D      E               A           C            B      B
    C     C      A      F               A           C            C      B
    D     B      D      D               D           A            D      D
    E     B      E      E               E           F            E      E
    F     B      F      F               F           F            A      F
"""
"""ANSI/ISA-18.2-2016, states A to F of its figure of alarm states; resets after OPC 10000-9, 5.8.5: not before the
alarm has returned and is acknowledged; re-alarm after 5.8.2: an acknowledged alarm wants to be acknowledged again."""

PART_9 = """
          ActiveState  AckedState  LatchedState
    A     inactive     acked       -
    B     active       unacked     -
    C     active       acked       -
    D     inactive     unacked     -
    E     inactive     unacked     latched
    F     inactive     acked       latched
"""


def table(text: str) -> list[tuple[str, ...]]:
    return [tuple(line.split()) for line in text.strip().splitlines()[1:]]


def clear(phase: Phase, clears: Clears) -> Phase:
    return step(phase, False, 0, on_ns=0, off_ns=0, clears=clears)


@pytest.mark.parametrize("row", table(ISA_18_2), ids=lambda row: row[0])
def test_every_state_under_every_event_is_as_the_standard_has_it(row: tuple[str, ...]) -> None:
    phase = Phase(Life(row[0]))
    got = (
        step(phase, True, 0, on_ns=0, off_ns=0), clear(phase, CLEARS), clear(phase, CLEARS_LATCHED),
        clear(phase, CLEARS_UNSEEN), acknowledge(phase), reset(phase), announced_again(phase),
    )  # fmt: skip
    assert tuple(after.life.value for after in got) == row[1:]
    assert step(phase, None, 0, on_ns=0, off_ns=0) == phase, "a reading that says nothing changes nothing"


def test_each_state_has_its_names_in_part_9() -> None:
    for letter, active, acked, latched in table(PART_9):
        life = Life(letter)
        assert life.holds is (active == "active")
        assert life.latched is (latched == "latched")
        seen = life.state in (AlarmState.NORMAL, AlarmState.ACKNOWLEDGED)
        assert seen is (acked == "acked")
        assert Life.of(life.state, latched=life.latched) is life


def test_a_spike_shorter_than_the_on_delay_raises_nothing() -> None:
    phase = step(Phase(), True, 0, on_ns=15 * S, off_ns=0)
    phase = elapse(phase, int(14.9 * S), on_ns=15 * S, off_ns=0)
    assert phase.life is NORMAL
    phase = step(phase, False, int(14.95 * S), on_ns=15 * S, off_ns=0)
    assert elapse(phase, 3600 * S, on_ns=15 * S, off_ns=0).life is NORMAL


def test_a_condition_that_lasts_the_on_delay_raises_by_time_alone() -> None:
    phase = step(Phase(), True, 0, on_ns=15 * S, off_ns=0)
    assert elapse(phase, 15 * S, on_ns=15 * S, off_ns=0).life is UNACK


def test_the_off_delay_holds_a_clearing_back() -> None:
    phase = step(Phase(ACK), False, 0, on_ns=0, off_ns=5 * S)
    assert phase.life is ACK
    assert step(phase, True, 4 * S, on_ns=0, off_ns=5 * S) == Phase(ACK)
    assert step(phase, False, 5 * S, on_ns=0, off_ns=5 * S).life is NORMAL


def test_time_alone_turns_nothing_while_the_last_reading_was_bad() -> None:
    phase = step(Phase(), True, 0, on_ns=15 * S, off_ns=0)
    phase = step(phase, None, 5 * S, on_ns=15 * S, off_ns=0)
    assert elapse(phase, 60 * S, on_ns=15 * S, off_ns=0).life is NORMAL
    assert step(phase, True, 16 * S, on_ns=15 * S, off_ns=0).life is UNACK
    assert step(phase, False, 16 * S, on_ns=15 * S, off_ns=0) == Phase(NORMAL)


def test_acknowledging_leaves_a_running_delay_alone() -> None:
    phase = step(Phase(UNACK), False, 0, on_ns=0, off_ns=5 * S)
    assert elapse(acknowledge(phase), 5 * S, on_ns=0, off_ns=5 * S).life is NORMAL


def test_a_gap_in_the_data_begins_a_delay_anew() -> None:
    phase = step(Phase(), True, 0, on_ns=15 * S, off_ns=0)
    phase = step(steady(phase), True, 16 * S, on_ns=15 * S, off_ns=0)
    assert phase.life is NORMAL


Events = st.lists(
    st.tuples(st.sampled_from(["true", "false", "unknown", "tick", "acknowledge"]), st.integers(0, 3 * S)), max_size=60
)


@given(events=Events, on_ns=st.integers(0, 4 * S), off_ns=st.integers(0, 4 * S))
def test_no_history_breaks_the_invariants(events: list[tuple[str, int]], on_ns: int, off_ns: int) -> None:
    phase, now = Phase(), 0
    for event, pause in events:
        now += pause
        before = phase
        if event == "acknowledge":
            phase = acknowledge(phase)
            assert phase.life in (NORMAL, ACK)
            assert phase.life.holds == before.life.holds, "a person's hand ends no fault"
        elif event == "tick":
            phase = elapse(phase, now, on_ns=on_ns, off_ns=off_ns)
        else:
            holds = {"true": True, "false": False, "unknown": None}[event]
            phase = step(phase, holds, now, on_ns=on_ns, off_ns=off_ns)
            if holds is None:
                assert phase.life is before.life, "a bad reading neither raises nor clears"
            elif holds == before.life.holds:
                assert phase == Phase(before.life), "agreement ends a running delay"
        if phase.life.holds and not before.life.holds:
            assert phase.life is UNACK, "nothing is raised already acknowledged"
            assert before.turning_ns is None or now - before.turning_ns >= on_ns
        if phase.turning_ns is not None:
            delay_ns = off_ns if phase.life.holds else on_ns
            assert phase.turning_ns <= now
            assert phase.doubtful or event == "acknowledge" or now - phase.turning_ns < delay_ns


@given(
    steps=st.lists(st.tuples(st.booleans(), st.integers(1, 10**9)), min_size=1, max_size=40),
    on_ns=st.integers(1, 3 * S),
)
def test_an_alarm_is_raised_exactly_when_its_condition_lasted(steps: list[tuple[bool, int]], on_ns: int) -> None:
    """Against the definition: without an off-delay, raised means that it held from some reading on for ``on_ns``."""
    phase, now, since = Phase(), 0, None
    for holds, pause in steps:
        now += pause
        since = (now if since is None else since) if holds else None
        phase = step(phase, holds, now, on_ns=on_ns, off_ns=0)
        assert phase.life.holds == (since is not None and now - since >= on_ns)
