"""Orders of a bearing's parts, by worked numbers and by what must hold for every bearing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.features.bearing import Bearing, Place

CWRU = Bearing(balls=9, ball_mm=0.3126 * 25.4, pitch_mm=1.537 * 25.4)
SKF_6205 = Bearing(balls=9, ball_mm=7.94, pitch_mm=38.5)
PRONOSTIA = Bearing(balls=13, ball_mm=3.5, pitch_mm=25.6)


def test_6205_at_25_hz() -> None:
    found = [25.0 * order for order in (SKF_6205.ftf, SKF_6205.bpfo, SKF_6205.bpfi, SKF_6205.bsf)]
    assert found == pytest.approx([9.92, 89.3, 135.7, 58.03], abs=0.05)


def test_the_orders_of_the_cwru_rig() -> None:
    assert CWRU.bpfo == pytest.approx(3.5848, abs=1e-4)
    assert CWRU.bpfi == pytest.approx(5.4152, abs=1e-4)
    assert CWRU.ftf == pytest.approx(0.39828, abs=5e-5)
    assert 30.0 * CWRU.bpfo == pytest.approx(107.54, abs=0.01)


def test_a_ball_strikes_both_races_in_each_of_its_turns() -> None:
    """The rig's table gives 4.7135 for the rolling element: that is twice the spin, not the spin."""
    assert CWRU.bsf == pytest.approx(2.3567, abs=1e-3)
    assert CWRU.order(Place.BALL) == pytest.approx(4.7135, abs=1e-3)
    assert CWRU.order(Place.BALL) == 2.0 * CWRU.bsf


def test_pronostia_at_1800_rpm() -> None:
    assert 30.0 * PRONOSTIA.bpfo == pytest.approx(168.3, abs=0.1)
    assert 30.0 * PRONOSTIA.bpfi == pytest.approx(221.7, abs=0.1)


@given(st.integers(3, 40), st.floats(0.02, 0.6), st.floats(0.0, 45.0))
def test_what_holds_for_every_bearing(balls: int, ratio: float, angle_deg: float) -> None:
    bearing = Bearing(balls, ratio, 1.0, angle_deg)
    assert bearing.bpfo + bearing.bpfi == pytest.approx(balls)
    assert bearing.bpfo == pytest.approx(balls * bearing.ftf)
    assert 0.0 < bearing.ftf < 0.5
    scaled = Bearing(balls, 25.4 * ratio, 25.4, angle_deg)
    assert [scaled.order(p) for p in Place] == pytest.approx([bearing.order(p) for p in Place])


@pytest.mark.parametrize(
    ("balls", "ball_mm", "pitch_mm", "angle_deg"),
    [
        (2, 7.94, 38.5, 0.0),
        (9, 0.0, 38.5, 0.0),
        (9, 38.5, 7.94, 0.0),
        (9, 7.94, float("nan"), 0.0),
        (9, 7.9, 38.5, 90.0),
    ],
)
def test_what_is_no_bearing_is_refused(balls: int, ball_mm: float, pitch_mm: float, angle_deg: float) -> None:
    with pytest.raises(ValueError, match=r"no such bearing|contact angle"):
        Bearing(balls, ball_mm, pitch_mm, angle_deg)
