"""The life of an alarm: the state table of IEC 62682, delays, and what must hold after any history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.alarm.states import Phase, acknowledge, elapse, steady, step
from edge.contract.types import AlarmState

S = 10**9
NORMAL, UNACK, ACK, RETURNED = (
    AlarmState.NORMAL,
    AlarmState.UNACKNOWLEDGED,
    AlarmState.ACKNOWLEDGED,
    AlarmState.RETURNED,
)


@pytest.mark.parametrize(
    ("before", "raised", "cleared", "acknowledged"),
    [
        (NORMAL, UNACK, NORMAL, NORMAL),
        (UNACK, UNACK, RETURNED, ACK),
        (ACK, ACK, NORMAL, ACK),
        (RETURNED, UNACK, RETURNED, NORMAL),
    ],
)
def test_every_transition_of_the_table(
    before: AlarmState, raised: AlarmState, cleared: AlarmState, acknowledged: AlarmState
) -> None:
    phase = Phase(before)
    assert step(phase, True, 0, on_ns=0, off_ns=0).state is raised
    assert step(phase, False, 0, on_ns=0, off_ns=0).state is cleared
    assert acknowledge(phase).state is acknowledged
    assert step(phase, None, 0, on_ns=0, off_ns=0) == phase


def test_a_spike_shorter_than_the_on_delay_raises_nothing() -> None:
    phase = step(Phase(), True, 0, on_ns=15 * S, off_ns=0)
    phase = elapse(phase, int(14.9 * S), on_ns=15 * S, off_ns=0)
    assert phase.state is NORMAL
    phase = step(phase, False, int(14.95 * S), on_ns=15 * S, off_ns=0)
    assert elapse(phase, 3600 * S, on_ns=15 * S, off_ns=0).state is NORMAL


def test_a_condition_that_lasts_the_on_delay_raises_by_time_alone() -> None:
    phase = step(Phase(), True, 0, on_ns=15 * S, off_ns=0)
    assert elapse(phase, 15 * S, on_ns=15 * S, off_ns=0).state is UNACK


def test_the_off_delay_holds_a_clearing_back() -> None:
    phase = step(Phase(ACK), False, 0, on_ns=0, off_ns=5 * S)
    assert phase.state is ACK
    assert step(phase, True, 4 * S, on_ns=0, off_ns=5 * S) == Phase(ACK)
    assert step(phase, False, 5 * S, on_ns=0, off_ns=5 * S).state is NORMAL


def test_time_alone_turns_nothing_while_the_last_reading_was_bad() -> None:
    phase = step(Phase(), True, 0, on_ns=15 * S, off_ns=0)
    phase = step(phase, None, 5 * S, on_ns=15 * S, off_ns=0)
    assert elapse(phase, 60 * S, on_ns=15 * S, off_ns=0).state is NORMAL
    assert step(phase, True, 16 * S, on_ns=15 * S, off_ns=0).state is UNACK
    assert step(phase, False, 16 * S, on_ns=15 * S, off_ns=0) == Phase(NORMAL)


def test_acknowledging_leaves_a_running_delay_alone() -> None:
    phase = step(Phase(UNACK), False, 0, on_ns=0, off_ns=5 * S)
    assert elapse(acknowledge(phase), 5 * S, on_ns=0, off_ns=5 * S).state is NORMAL


def test_a_gap_in_the_data_begins_a_delay_anew() -> None:
    phase = step(Phase(), True, 0, on_ns=15 * S, off_ns=0)
    phase = step(steady(phase), True, 16 * S, on_ns=15 * S, off_ns=0)
    assert phase.state is NORMAL


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
            assert phase.state in (NORMAL, ACK)
            assert phase.state.is_active == before.state.is_active, "a person's hand ends no fault"
        elif event == "tick":
            phase = elapse(phase, now, on_ns=on_ns, off_ns=off_ns)
        else:
            holds = {"true": True, "false": False, "unknown": None}[event]
            phase = step(phase, holds, now, on_ns=on_ns, off_ns=off_ns)
            if holds is None:
                assert phase.state is before.state, "a bad reading neither raises nor clears"
            elif holds == before.state.is_active:
                assert phase == Phase(before.state), "agreement ends a running delay"
        if phase.state.is_active and not before.state.is_active:
            assert phase.state is UNACK, "nothing is raised already acknowledged"
            assert before.turning_ns is None or now - before.turning_ns >= on_ns
        if phase.turning_ns is not None:
            delay_ns = off_ns if phase.state.is_active else on_ns
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
        assert phase.state.is_active == (since is not None and now - since >= on_ns)
