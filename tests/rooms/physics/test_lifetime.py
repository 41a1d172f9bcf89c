"""How lives scatter: against closed forms where there are some, and what must hold whatever the numbers."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.physics.lifetime import Lifetime, Part, remaining_h, survives

PARTS = st.lists(
    st.builds(
        Part,
        st.builds(Lifetime, st.floats(0.7, 5.0), st.floats(1.0, 1e5), st.floats(0.0, 1.8)),
        st.floats(0.0, 2e5),
        st.sampled_from([1.0, 3.0, 10.0]),
    ),
    min_size=1,
    max_size=3,
)


def test_l10_is_what_one_in_ten_do_not_reach() -> None:
    """L10 of 2400 h, slope 1.5: scale 4.48 L10, half have failed at 3.51 L10."""
    law = Lifetime.of_quantile(1.5, 0.1, 2400.0, 0.0)
    assert law.survives(2400.0) == pytest.approx(0.9)
    assert law.scale_h / 2400.0 == pytest.approx(4.48, abs=5e-3)
    assert remaining_h([Part(law, 0.0)], 0.5) / 2400.0 == pytest.approx(3.51, abs=5e-3)


def test_without_spread_the_chance_of_those_that_live_is_weibulls() -> None:
    law = Lifetime(2.0, 1000.0, 0.0)
    expected = math.exp(-(1.2**2) + 0.8**2)
    assert survives([Part(law, 800.0)], 400.0) == pytest.approx(expected)
    assert survives([Part(law, 800.0, pace=2.0)], 200.0) == pytest.approx(expected)


def test_spread_agrees_with_many_draws() -> None:
    rng = np.random.default_rng(1)
    lives = 1000.0 * np.exp(0.9 * rng.standard_normal(400_000)) * rng.weibull(1.5, 400_000)
    law = Lifetime(1.5, 1000.0, 0.9)
    for hours in (50.0, 500.0, 3000.0):
        assert law.survives(hours) == pytest.approx(np.mean(lives > hours), abs=2e-3)
    old = lives[lives > 2000.0] - 2000.0
    assert remaining_h([Part(law, 2000.0)], 0.5) == pytest.approx(np.median(old), rel=0.03)


def test_less_known_is_wider_and_the_middle_of_new_parts_hardly_moves() -> None:
    ends = []
    for spread in (0.0, 0.5, 1.0, 1.5):
        parts = [Part(Lifetime(1.5, 1000.0, spread), 0.0)]
        low, middle, high = (remaining_h(parts, share) for share in (0.05, 0.5, 0.95))
        ends.append(high / low)
        assert middle == pytest.approx(1000.0 * math.log(2.0) ** (1 / 1.5), rel=0.12)
    assert ends == sorted(ends)
    assert ends[0] < 16.0 < 250.0 < ends[-1]


def test_who_has_outlived_the_papers_is_likely_of_the_longer_lived() -> None:
    """With a known scale an old part of slope 1.5 is near its end; with an unknown one its age speaks for it."""
    known, unknown = Lifetime(1.5, 1000.0, 0.0), Lifetime(1.5, 1000.0, 1.1)
    assert remaining_h([Part(unknown, 5000.0)], 0.5) > 4.0 * remaining_h([Part(known, 5000.0)], 0.5)


@settings(max_examples=60, deadline=None)
@given(PARTS, st.lists(st.floats(0.0, 1e6), min_size=2, max_size=6))
def test_survival_starts_at_one_and_never_rises(parts: list[Part], hours: list[float]) -> None:
    chances = [survives(parts, h) for h in sorted(hours)]
    assert all(0.0 <= chance <= 1.0 for chance in chances)
    assert all(a >= b - 1e-12 for a, b in pairwise(chances))
    assert survives(parts, 0.0) in (0.0, 1.0)


@settings(max_examples=40, deadline=None)
@given(PARTS, st.floats(0.02, 0.98))
def test_a_quantile_is_where_the_chance_says(parts: list[Part], share: float) -> None:
    hours = remaining_h(parts, share)
    assert 0.0 <= hours < math.inf
    if hours > 0.0:
        assert survives(parts, hours) == pytest.approx(1.0 - share, abs=1e-6)


def test_two_parts_end_sooner_than_either() -> None:
    one, other = Part(Lifetime(1.5, 1000.0, 0.5), 100.0), Part(Lifetime(3.0, 1500.0, 0.5), 100.0)
    assert survives([one, other], 500.0) == pytest.approx(survives([one], 500.0) * survives([other], 500.0))


def test_a_fleet_draws_the_law_to_itself_by_its_precision() -> None:
    law = Lifetime(1.5, 10_000.0, 1.0)
    vague, sure = (law.drawn_together(math.log(2000.0), spread, apart=0.3) for spread in (3.0, 0.1))
    assert 8000.0 < vague.scale_h < 10_000.0
    assert 2000.0 < sure.scale_h < 2500.0
    assert sure.spread < 0.35 < vague.spread < law.spread
