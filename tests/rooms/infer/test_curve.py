"""Survival over the hours to come: it starts at one, never rises, and is silent beyond what is known."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.infer.curve import SHARES, curve, failed_by

HOURS = st.lists(st.floats(0.0, 1e6), min_size=len(SHARES), max_size=len(SHARES))


def test_between_points_in_a_straight_line() -> None:
    points = curve([100.0, 300.0], [0.1, 0.5])
    assert [(p.at_h, p.survives) for p in points] == [(0.0, 1.0), (100.0, 0.9), (300.0, 0.5)]
    assert failed_by(points, 50.0) == pytest.approx(0.05)
    assert failed_by(points, 100.0) == pytest.approx(0.1)
    assert failed_by(points, 200.0) == pytest.approx(0.3)
    assert failed_by(points, 301.0) is None
    assert failed_by((), 1.0) is None


@given(HOURS, st.lists(st.floats(0.0, 1.1e6), min_size=2, max_size=8))
def test_it_never_rises_whatever_the_quantiles_do(hours: list[float], asked: list[float]) -> None:
    points = curve(hours, SHARES)
    assert points[0].at_h == 0.0
    assert points[0].survives == 1.0
    assert all(a.at_h <= b.at_h and a.survives >= b.survives for a, b in pairwise(points))
    known = [p for h in sorted(asked) if (p := failed_by(points, h)) is not None]
    assert all(0.0 <= p <= 1.0 for p in known)
    assert all(a <= b + 1e-12 for a, b in pairwise(known))
