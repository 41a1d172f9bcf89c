"""The schedule and the breaker, by hand and as properties; time is a number."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edge.config.lines import Breaker as Limits
from edge.poll.breaker import Breaker
from edge.poll.schedule import OVERRUNS_MAX, STARVED_PERIODS, Schedule

S = 10**9


def test_units_of_one_period_are_spread_over_it() -> None:
    assert [Schedule([S] * 4, 7).due_ns(i) for i in range(4)] == [7, 7 + S // 4, 7 + S // 2, 7 + 3 * S // 4]


def test_scans_of_different_periods_do_not_start_together() -> None:
    schedule = Schedule([S, S, 2 * S, 2 * S, 3 * S], 0)
    assert len({schedule.due_ns(i) for i in range(5)}) == 5


@given(st.integers(1, 10**10), st.lists(st.integers(0, 10**11), max_size=30))
def test_due_times_never_drift_and_each_is_overrun_or_taken_once(period: int, delays: list[int]) -> None:
    schedule, now, passed = Schedule([period], 5), 5, 0
    for delay in delays:
        now = max(now, schedule.due_ns(0)) + delay
        missed = (now - schedule.due_ns(0)) // period
        assert list(schedule.overrun(now)) == ([(0, min(missed, OVERRUNS_MAX))] if missed else [])
        assert now - period < schedule.due_ns(0) <= now
        assert not list(schedule.overrun(now))
        schedule.take(0)
        passed += missed + 1
        assert schedule.due_ns(0) == 5 + passed * period


def test_the_longest_waiting_goes_first_and_a_higher_rank_after_the_others() -> None:
    schedule = Schedule([S, S, S], 0)
    assert schedule.next(0) == 0
    schedule.take(0)
    assert schedule.next(0) == 1, "nobody is due: the first to fall due"
    assert schedule.next(2 * S // 3) == 1
    assert schedule.next(2 * S // 3, lambda i: i == 1) == 2
    assert schedule.next(S // 3, lambda i: i == 1) == 1, "alone it goes at once"
    assert schedule.next(0, lambda i: i == 1) == 1, "who is not yet due keeps nobody waiting"


def test_the_higher_priority_goes_first_and_of_one_priority_the_longest_waiting() -> None:
    schedule = Schedule([S, S, S], 0, [0, 2, 2])
    assert schedule.next(S) == 1
    schedule.take(1)
    assert schedule.next(S) == 2
    schedule.take(2)
    assert schedule.next(S) == 0


def served(schedule: Schedule, takes_ns: int, polls: int) -> list[tuple[int, int]]:
    """A line that is always asked as soon as it is free: when it asked whom."""
    found, now = [], 0
    for _ in range(polls):
        list(schedule.overrun(now))
        i = schedule.next(now)
        now = max(now, schedule.due_ns(i))
        schedule.take(i)
        found.append((now, i))
        now += takes_ns
    return found


@given(
    st.lists(st.tuples(st.sampled_from([S // 10, S // 2, S]), st.integers(0, 9)), min_size=2, max_size=6),
    st.integers(S // 100, S),
)
def test_whoever_starves_gets_a_turn_within_its_bound(scans: list[tuple[int, int]], takes_ns: int) -> None:
    """However much the line lacks time: ``STARVED_PERIODS`` of its own, and two polls for each scan of the line."""
    schedule = Schedule([period for period, _ in scans], 0, [priority for _, priority in scans])
    asked = served(schedule, takes_ns, 400)
    for i, (period, _) in enumerate(scans):
        times = [0, *(at for at, who in asked if who == i), asked[-1][0]]
        longest = max(after - before for before, after in itertools.pairwise(times))
        assert longest <= (STARVED_PERIODS + 1) * period + 2 * (len(scans) + 1) * takes_ns


def test_on_a_full_line_the_high_priority_keeps_half_of_the_turns_at_least() -> None:
    asked = served(Schedule([S // 10] * 5, 0, [5, 0, 0, 0, 0]), S // 10, 400)
    assert sum(who == 0 for _, who in asked) >= 195


def test_a_process_that_stood_still_does_not_catch_up_for_hours() -> None:
    assert list(Schedule([S], 0).overrun(10**6 * S)) == [(0, OVERRUNS_MAX)]


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
