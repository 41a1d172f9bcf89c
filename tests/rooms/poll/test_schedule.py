"""The schedule and the breaker, by hand and as properties; time is a number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.config.lines import Breaker as Limits
from edge.poll.breaker import Breaker
from edge.poll.schedule import OVERRUNS_MAX, Schedule

S = 10**9


def test_units_of_one_period_are_spread_over_it() -> None:
    assert [Schedule([S] * 4, 7).due_ns(i) for i in range(4)] == [7, 7 + S // 4, 7 + S // 2, 7 + 3 * S // 4]


@given(st.integers(1, 10**10), st.lists(st.integers(0, 10**11), max_size=30))
def test_due_times_never_drift_and_each_is_overrun_or_taken_once(period: int, delays: list[int]) -> None:
    schedule, now, passed = Schedule([period], 5), 5, 0
    for delay in delays:
        now = max(now, schedule.due_ns(0)) + delay
        missed = (now - schedule.due_ns(0)) // period
        assert schedule.overruns(0, now) == min(missed, OVERRUNS_MAX)
        assert now - period < schedule.due_ns(0) <= now
        assert schedule.overruns(0, now) == 0
        schedule.take(0)
        passed += missed + 1
        assert schedule.due_ns(0) == 5 + passed * period


def test_the_longest_waiting_goes_first_and_the_last_choice_after_the_others() -> None:
    schedule = Schedule([S, S, S], 0)
    nobody = [False] * 3
    assert schedule.next(0, nobody) == 0
    schedule.take(0)
    assert schedule.next(0, nobody) == 1, "nobody is due: the first to fall due"
    assert schedule.next(2 * S // 3, nobody) == 1
    assert schedule.next(2 * S // 3, [False, True, False]) == 2
    assert schedule.next(S // 3, [False, True, False]) == 1, "alone it goes at once"
    assert schedule.next(0, [False, True, False]) == 1, "who is not yet due keeps nobody waiting"


def test_a_process_that_stood_still_does_not_catch_up_for_hours() -> None:
    assert Schedule([S], 0).overruns(0, 10**6 * S) == OVERRUNS_MAX


def test_the_breaker_by_hand() -> None:
    breaker = Breaker(Limits(failures=3, first_s=1.0, max_s=4.0))
    now, pauses = 0, []
    for _ in range(2):
        breaker.failed(now)
        assert breaker.allows(now)
    for _ in range(5):
        breaker.failed(now)
        assert not breaker.allows(now)
        assert breaker.state(now) == "open"
        opened = now
        while not breaker.allows(now):
            now += S // 4
        assert breaker.state(now) == "probing"
        pauses.append((now - opened) / S)
    assert pauses == [1, 2, 4, 4, 4]
    breaker.succeeded()
    assert (breaker.state(now), breaker.failures) == ("closed", 0)
