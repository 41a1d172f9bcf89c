"""Zones by worked numbers: which side a boundary is on, and when a change matters although the zone is good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.features.severity import Boundaries, Zone

GROUP_1_RIGID = Boundaries(2.3, 4.5, 7.1)
GROUP_2_RIGID = Boundaries(1.4, 2.8, 4.5)


@pytest.mark.parametrize(
    ("velocity", "zone"),
    [(0.0, "A"), (2.3, "A"), (2.3001, "B"), (4.5, "B"), (4.5001, "C"), (7.1, "C"), (7.1001, "D"), (80.0, "D")],
)
def test_a_boundary_belongs_to_the_better_zone(velocity: float, zone: str) -> None:
    assert GROUP_1_RIGID.zone(velocity) is Zone(zone)


def test_the_same_velocity_is_good_for_one_size_and_not_for_another() -> None:
    assert GROUP_1_RIGID.zone(2.3) is Zone.A
    assert GROUP_2_RIGID.zone(2.3) is Zone.B


def test_the_warning_is_a_quarter_of_bc_above_the_baseline() -> None:
    """0.8 + 0.25 x 4.5 = 1.925 mm/s."""
    assert GROUP_1_RIGID.warning_mm_s(0.8) == pytest.approx(1.925)
    assert GROUP_1_RIGID.warning_mm_s(6.0) == pytest.approx(1.25 * 4.5)
    assert GROUP_1_RIGID.trip_max_mm_s == pytest.approx(1.25 * 7.1)


def test_a_change_matters_even_inside_a_good_zone() -> None:
    assert GROUP_1_RIGID.zone(1.93) is Zone.A
    assert GROUP_1_RIGID.is_significant(1.93, 0.8)
    assert not GROUP_1_RIGID.is_significant(1.92, 0.8)
    assert GROUP_1_RIGID.is_significant(0.8, 1.93)


@given(st.floats(0.0, 50.0), st.floats(0.0, 50.0))
def test_more_vibration_is_never_a_better_zone(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert GROUP_2_RIGID.zone(low).value <= GROUP_2_RIGID.zone(high).value


@pytest.mark.parametrize("numbers", [(2.3, 2.3, 7.1), (4.5, 2.3, 7.1), (0.0, 1.0, 2.0), (1.0, 2.0, float("nan"))])
def test_boundaries_rise(numbers: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="do not rise"):
        Boundaries(*numbers)
