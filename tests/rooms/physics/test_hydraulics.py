"""Another speed: the affinity laws, and what static head makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import PhysicsError
from edge.physics.hydraulics import Pump, System, affinity, operating_point


@pytest.mark.parametrize(
    ("speed", "flow", "head", "power"),
    [(1.1, 1.1, 1.21, 1.331), (1.15, 1.15, 1.3225, 1.5209), (0.8, 0.8, 0.64, 0.512)],
)
def test_affinity(speed: float, flow: float, head: float, power: float) -> None:
    scaled = affinity(speed)
    assert (scaled.flow, scaled.head, scaled.power) == pytest.approx((flow, head, power), abs=5e-5)


def test_the_system_of_a_measured_point() -> None:
    """12 m to lift and 8 m of friction at 40 L/s."""
    system = System.of_point(12.0, 8.0, 0.040)
    assert system.k_s2_m5 == pytest.approx(5000.0)
    assert system.head_m(0.040) == pytest.approx(20.0)


@given(speed=st.floats(0.5, 1.2))
def test_without_static_head_the_operating_point_follows_the_cube(speed: float) -> None:
    pump, system = Pump(shutoff_m=30.0, a_s2_m5=6250.0), System(0.0, 5000.0)
    rated, now = operating_point(pump, system), operating_point(pump, system, speed)
    assert now.flow_m3_s == pytest.approx(rated.flow_m3_s * speed)
    assert now.power_kw == pytest.approx(rated.power_kw * speed**3)


def test_with_static_head_the_cube_law_is_wrong_and_at_low_speed_nothing_flows() -> None:
    pump, system = Pump(shutoff_m=30.0, a_s2_m5=6250.0), System.of_point(12.0, 8.0, 0.040)
    rated = operating_point(pump, system)
    assert (rated.flow_m3_s, rated.head_m) == pytest.approx((0.040, 20.0))
    slower = operating_point(pump, system, 0.8)
    assert slower.flow_m3_s < 0.8 * rated.flow_m3_s
    assert slower.power_kw / rated.power_kw < 0.512
    # The same water costs more energy a cubic metre than the cube law makes one think.
    assert slower.power_kw / slower.flow_m3_s > 0.8**2 * rated.power_kw / rated.flow_m3_s
    stalled = operating_point(pump, system, 0.6)
    assert (stalled.flow_m3_s, stalled.power_kw) == (0.0, 0.0)
    assert "nothing flows" in stalled.doubts[-1]


def test_nonsense_is_refused() -> None:
    with pytest.raises(PhysicsError, match="speed"):
        affinity(0.0)
    with pytest.raises(PhysicsError, match="static_m"):
        System.of_point(-1.0, 8.0, 0.04)
    with pytest.raises(PhysicsError, match="efficiency"):
        operating_point(Pump(30.0, 6250.0, efficiency=1.5), System(12.0, 5000.0))
