"""The score's definitions, each by the smallest history that shows it, and its interval against published numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.fleet.score import Scored, score, wilson
from cloud.fleet.track import SAMPLES_MAX, Track
from cloud.store.outcomes import Kind, Outcome, State
from edge.contract.types import Urgency, Verdict, urgency_of

HOUR_NS = 3600 * 10**9
START_NS = 1_790_000_000 * 10**9


def judged(
    hour: float, low_h: float | None, *, anomalous: bool = False, bundle: str = "old", note: str = ""
) -> Verdict:
    """At ``hour`` the life is at least ``low_h``, about twice that, at most three times."""
    rul_h, high_h = (None, None) if low_h is None else (2 * low_h, 3 * low_h)
    return Verdict(
        "pump-1", START_NS + int(hour * HOUR_NS), bundle, 50.0, 0.5, anomalous, rul_h, low_h, high_h,
        urgency_of(low_h), (), 1.0, note,
    )  # fmt: skip


def track(*verdicts: Verdict, meter: float = math.nan) -> Track:
    """``meter``: running hours an hour of the clock, NaN without a meter."""
    found = Track()
    for verdict in verdicts:
        found.take(verdict, meter * (verdict.at_ns - START_NS) / HOUR_NS)
    return found


def told(hour: float, kind: Kind = Kind.FAILURE, state: State = State.CONFIRMED, alarm: float | None = None) -> Outcome:
    alarm_ns = None if alarm is None else START_NS + int(alarm * HOUR_NS)
    at_ns = START_NS + int(hour * HOUR_NS)
    return Outcome(1, 1, "gw", "pump-1", at_ns, kind, state, None, None, "", alarm_ns, "ada", at_ns)


def counts(found: Scored) -> tuple[int, int, int, int, int]:
    whole = found.score
    return whole.hits, whole.misses, whole.false_alarms, whole.open, whole.unjudged


def at(hour: float) -> int:
    return START_NS + int(hour * HOUR_NS)


HEALTHY = [judged(hour, 900.0) for hour in range(0, 200, 10)]
ALARM = [judged(200.0 + hour, 100.0) for hour in range(0, 40, 10)]
QUIET = [judged(240.0 + hour, 900.0) for hour in range(0, 400, 10)]


def test_a_failure_in_an_open_episode_is_a_hit_with_its_lead_time() -> None:
    found = score(track(*HEALTHY, *ALARM), [told(250.0)], at(260.0))
    assert counts(found) == (1, 0, 0, 0, 0)
    assert found.score.lead_h == [50.0]
    assert found.by_bundle["old"].hits == 1
    assert found.proposals == ()


def test_lead_time_is_in_running_hours_where_there_is_a_meter() -> None:
    found = score(track(*HEALTHY, *ALARM, judged(250.0, 90.0), meter=0.5), [told(250.0)], at(260.0))
    assert found.score.lead_h == [25.0]


def test_a_failure_out_of_the_blue_is_a_miss() -> None:
    found = score(track(*HEALTHY), [told(195.0)], at(260.0))
    assert counts(found) == (0, 1, 0, 0, 0)
    assert found.by_bundle["old"].misses == 1


def test_a_failure_that_nobody_judged_counts_for_nothing() -> None:
    assert counts(score(track(*HEALTHY), [told(190.0 + 169.0)], at(400.0))) == (0, 0, 0, 0, 1)
    assert counts(score(Track(), [told(10.0)], at(400.0))) == (0, 0, 0, 0, 1)


@pytest.mark.parametrize(("hour", "hits"), [(230.0 + 168.0, 1), (230.0 + 169.0, 0)])
def test_an_episode_speaks_of_the_week_after_its_last_alarm(hour: float, hits: int) -> None:
    found = score(track(*HEALTHY, *ALARM, *QUIET), [told(hour)], at(hour + 1))
    assert found.score.hits == hits
    assert found.score.misses == 1 - hits


def test_an_episode_after_which_nothing_came_is_false_once_its_week_is_over() -> None:
    history = track(*HEALTHY, *ALARM, *QUIET)
    assert counts(score(history, [], at(230.0 + 168.0))) == (0, 0, 0, 1, 0)
    assert counts(score(history, [], at(230.0 + 168.1))) == (0, 0, 1, 0, 0)
    assert counts(score(track(*HEALTHY, *ALARM), [], at(9999.0))) == (0, 0, 0, 1, 0), "still open"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.FALSE_ALARM, (0, 0, 1, 0, 0)),
        (Kind.INSPECTED_OK, (0, 0, 1, 0, 0)),
        (Kind.REPLACED_HEALTHY, (0, 0, 0, 1, 0)),
    ],
)
def test_what_a_person_says_of_an_open_episode_counts_at_once(kind: Kind, expected: tuple[int, ...]) -> None:
    found = score(track(*HEALTHY, *ALARM), [told(235.0, kind)], at(240.0))
    assert counts(found) == expected
    assert found.proposals == ()


def test_what_was_rejected_or_corrected_away_does_not_count() -> None:
    history = track(*HEALTHY, *ALARM)
    assert counts(score(history, [told(235.0, state=State.REJECTED)], at(240.0))) == (0, 0, 0, 1, 0)
    assert counts(score(history, [told(235.0, state=State.CORRECTED)], at(240.0))) == (1, 0, 0, 0, 0)


def test_an_unanswered_episode_is_proposed_the_newest_first() -> None:
    history = track(*HEALTHY, *ALARM, *QUIET, judged(700.0, 40.0))
    found = score(history, [], at(701.0))
    assert [(p.at_ns, p.episode.worst) for p in found.proposals] == [
        (at(700.0), Urgency.CRITICAL), (at(200.0), Urgency.WARNING),
    ]  # fmt: skip
    answered = score(history, [told(650.0, Kind.FALSE_ALARM, alarm=200.0)], at(701.0))
    assert [p.at_ns for p in answered.proposals] == [at(700.0)]


def test_an_anomaly_alone_is_an_alarm_and_too_little_evidence_ends_none() -> None:
    unknown = [replace(judged(1.0 + hour, None), anomaly=None) for hour in range(0, 100, 10)]
    history = track(judged(0.0, 900.0, anomalous=True), *unknown)
    assert [episode.is_open for episode in history.episodes] == [True]
    closed = track(judged(0.0, 900.0, anomalous=True), *unknown, judged(120.0, 900.0))
    assert [episode.is_open for episode in closed.episodes] == [False]


def test_a_figure_that_wavers_about_its_limit_is_one_episode() -> None:
    history = track(*(judged(hour, 160.0 if hour % 2 else 180.0) for hour in range(100)))
    assert len(history.episodes) == 1


def test_an_episode_that_outlasts_a_failure_does_not_foretell_the_next_one() -> None:
    history = track(*HEALTHY, *ALARM, *QUIET)
    found = score(history, [told(225.0), told(300.0)], at(400.0))
    assert (found.score.hits, found.score.misses) == (1, 1)


def test_coverage_is_of_lives_that_ended_in_a_failure() -> None:
    """Of 80, 40 and 20 h left, [60, 180] and [30, 90] hold the first two, and the last [30, 90] misses."""
    verdicts = [judged(20.0, 60.0), judged(60.0, 30.0), judged(80.0, 30.0), judged(90.0, None)]
    found = score(track(*verdicts), [told(100.0)], at(101.0))
    assert (found.score.judged, found.score.covered, found.score.lives) == (3, 2, 1)
    censored = score(track(*verdicts), [told(100.0, Kind.REPLACED_HEALTHY)], at(101.0))
    assert censored.score.coverage is None, "nobody knows how long it would have lasted"


def test_an_upper_end_that_means_or_more_covers_what_is_more() -> None:
    verdict = judged(0.0, 300.0, note="no end within 900 h in sight")
    assert score(track(verdict), [told(5000.0)], at(5001.0)).score.covered == 1


def test_scores_belong_to_the_bundle_that_judged() -> None:
    new = [replace(verdict, bundle="new") for verdict in (*QUIET, judged(700.0, 40.0))]
    found = score(track(*HEALTHY, *ALARM, *new), [told(225.0), told(710.0)], at(711.0))
    assert (found.by_bundle["old"].hits, found.by_bundle["new"].hits) == (1, 1)
    assert found.score.hits == 2


def test_a_long_history_is_sampled_evenly_and_its_meter_is_interpolated() -> None:
    history = track(*(judged(hour / 10, 900.0) for hour in range(20_000)), meter=0.25)
    samples = history.samples
    assert SAMPLES_MAX / 4 < len(samples.at_ns) <= SAMPLES_MAX
    assert samples.meter_at(at(1234.56)) == pytest.approx(0.25 * 1234.56, abs=0.01)
    assert history.verdicts == 20_000


@pytest.mark.parametrize(
    ("right", "of", "z", "low", "high"),
    [(8, 10, 1.959964, 0.4901625, 0.9433178), (7, 8, 1.959964, 0.5291120, 0.9775840), (0, 3, 1.959964, 0.0, 0.5614970)],
)
def test_the_interval_is_wilsons(right: int, of: int, z: float, low: float, high: float) -> None:
    """8 of 10 at 95 %: 0.49 to 0.94 (Wilson 1927; any statistics package)."""
    assert wilson(right, of, z) == pytest.approx((low, high), abs=2e-4)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_share_and_narrows_with_more(seen: tuple[int, int]) -> None:
    right, of = seen
    low, high = wilson(right, of)
    assert 0.0 <= low <= right / of + 1e-12
    assert right / of - 1e-12 <= high <= 1.0
    more = wilson(10 * right, 10 * of)
    assert more[1] - more[0] < high - low


def test_the_line_for_the_panel() -> None:
    history = track(*HEALTHY, *ALARM, *QUIET)
    assert score(history, [], at(300.0)).score.words == "no failure yet to be right about"
    assert score(history, [], at(900.0)).score.words == "no failure yet, 1 false"
    assert score(history, [told(225.0), told(600.0)], at(900.0)).score.words == "right 1 of 2, none false"


def test_a_clock_that_was_years_ahead_does_not_end_the_samples() -> None:
    history = track(*HEALTHY, judged(1e6, 900.0), *QUIET)
    assert history.samples.at_ns[-1] == QUIET[-1].at_ns
    assert list(history.samples.at_ns) == sorted(history.samples.at_ns)


def test_a_failure_told_to_the_minute_answers_the_alarm_that_it_names() -> None:
    """The alarm was raised forty seconds into the minute that the person tells."""
    history = track(*HEALTHY, judged(200.0 + 40.0 / 3600.0, 30.0))
    (proposal,) = score(history, [], at(201.0)).proposals
    named = replace(told(200.0), alarm_ns=proposal.at_ns)
    assert counts(score(history, [named], at(201.0))) == (1, 0, 0, 0, 0)
    assert score(history, [named], at(201.0)).score.lead_h == [0.0]
    assert counts(score(history, [told(200.0)], at(201.0)))[:2] == (0, 1)
