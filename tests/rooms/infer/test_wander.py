"""What is learned of healthy signals, against processes whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from edge.infer.averages import BUCKET_POLLS, LENGTHS, Averages
from edge.infer.channels import learn
from edge.infer.lasting import Lasting
from edge.infer.wander import distance_as_rare, looks, noise, slope, smoothed

WHITE = np.random.default_rng(3).standard_normal((4000, 1))


def test_the_structure_function_tells_holding_from_wandering_from_a_trend() -> None:
    assert slope(WHITE, 5)[0] == pytest.approx(0.0, abs=0.1)
    walks = np.cumsum(np.random.default_rng(4).standard_normal((4000, 20)), axis=0)
    assert slope(walks, 5).mean() == pytest.approx(1.0, abs=0.15)
    assert slope(np.arange(4000.0)[:, None], 5)[0] == pytest.approx(2.0)


def test_an_autoregressive_stretch_is_worth_few_looks() -> None:
    """Correlation r from one to the next: n (1 - r) / (1 + r) of n are independent. 0.9: one in 19."""
    x, rng = np.zeros((20000, 1)), np.random.default_rng(5)
    for i in range(1, len(x)):
        x[i] = 0.9 * x[i - 1] + rng.standard_normal()
    assert looks(x)[0] == pytest.approx(20000 / 19, rel=0.2)
    assert looks(WHITE)[0] == pytest.approx(4000, rel=0.05)


@pytest.mark.parametrize(("freedom", "exact"), [(3.0, 16.73), (6.0, 6.88), (20.0, 4.18), (1000.0, 3.51)])
def test_a_badly_known_spread_stretches_the_limit_as_students_distribution_does(freedom: float, exact: float) -> None:
    """``exact``: the quantile of Student's distribution at the tail of 3.5 normal deviates."""
    assert float(distance_as_rare(3.5, np.array(freedom))) == pytest.approx(exact, rel=0.15)


def test_noise_is_told_of_a_signal_that_is_held_between_readings() -> None:
    assert noise(WHITE)[0] == pytest.approx(1.0, rel=0.05)
    assert noise(WHITE.repeat(3, axis=0))[0] == pytest.approx(1.0, rel=0.05)


def test_averages_forget_wholly_and_gaps_stop_their_clock() -> None:
    averages = Averages(np.zeros(2))
    for _ in range(LENGTHS[-1] + BUCKET_POLLS):
        averages.take(np.array([8.0, 8.0]), np.array([1.0, 0.0]))
    assert averages.means()[:, 0] == pytest.approx(8.0)
    assert averages.means()[:, 1] == pytest.approx(0.0)


def test_a_signal_that_others_explain_has_a_channel_for_what_they_do_not() -> None:
    rng = np.random.default_rng(6)
    current = 5.0 + 0.2 * rng.standard_normal(400)
    rows = np.column_stack([current, 2.0 * current + 0.05 * rng.standard_normal(400), rng.standard_normal(400)])
    channels, values, _, _ = learn(rows)
    relations = [channels.owner[c] for c in range(channels.size) if channels.kind(c) == "relation"]
    assert relations == [0, 1]
    assert values.shape == (400, channels.size)


def test_a_wear_of_weeks_is_seen_though_no_hour_differs_from_the_one_before() -> None:
    """Half a standard deviation of the noise a week, over five weeks after three that are healthy."""
    rng, lasting, hours = np.random.default_rng(1), Lasting(1, 3600.0), 8 * 168
    stood = []
    for hour in range(hours):
        worn = max(hour - 3 * 168, 0) / 168 * 0.5
        for _ in range(6):
            lasting.step(rng.standard_normal(1) + worn, 600.0, 1.0, hour)
        stood.append(lasting.standing)
        if not lasting.standing:
            lasting.end_period()
    assert not any(stood[24 : 3 * 168 : 24][3:]), "quiet while healthy, once a few days are known"
    assert stood[-1]


def test_smoothing_begins_with_the_first_row() -> None:
    assert smoothed(np.full((10, 1), 7.0), 3.5) == pytest.approx(7.0)
