"""Control charts against the run lengths of the literature, by computation and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from edge.infer.sensors.charts import Cusum, PageHinkley, run_length


@pytest.mark.parametrize(
    ("shift", "h", "samples"),
    [(0.0, 4.0, 167.7), (1.0, 4.0, 8.38), (0.0, 5.0, 465.4), (1.0, 5.0, 10.38), (2.0, 5.0, 4.01)]
)  # fmt: skip
def test_the_run_lengths_of_a_two_sided_cusum_are_those_of_the_tables(shift: float, h: float, samples: float) -> None:
    assert run_length(shift, k=0.5, h=h) == pytest.approx(samples, rel=1e-3)


@pytest.mark.parametrize(("shift", "samples"), [(0.0, 167.7), (1.0, 8.38)])
def test_the_chart_itself_runs_as_long_as_computed(shift: float, samples: float) -> None:
    """400 runs of seed 7; within three standard errors."""
    draw = np.random.default_rng(7)
    lengths = []
    for _ in range(400):
        chart, count = Cusum(k=0.5, h=4.0), 1
        while not chart.update(shift + draw.standard_normal()):
            count += 1
        lengths.append(count)
    assert np.mean(lengths) == pytest.approx(samples, abs=3.0 * float(np.std(lengths)) / 20.0)


def test_the_default_limit_lasts_years_at_four_samples_a_day() -> None:
    assert run_length(0.0) > 3.0 * 365.0 * 4.0


def test_a_cusum_knows_when_the_shift_began_and_comes_back() -> None:
    draw = np.random.default_rng(3)
    chart = Cusum()
    for _ in range(100):
        chart.update(draw.standard_normal())
    taken = 0
    while not chart.signals:
        chart.update(2.0 + draw.standard_normal())
        taken += 1
    assert abs(chart.since - taken) <= 4
    assert chart.up > chart.down
    for _ in range(60):
        chart.update(draw.standard_normal())
    assert not chart.signals


def test_one_wild_sample_is_no_shift() -> None:
    chart = Cusum()
    assert not chart.update(1e9)
    assert not PageHinkley(least=1).update(-1e9)


def test_page_hinkley_needs_no_known_mean() -> None:
    draw = np.random.default_rng(5)
    test = PageHinkley()
    assert not any(test.update(40.0 * 0.05 + draw.standard_normal()) for _ in range(500))
    taken = next(n for n in range(1, 100) if test.update(3.0 + 1.5 + draw.standard_normal()))
    assert taken < 20
