"""Tool life: worked numbers of Taylor's law."""

from __future__ import annotations

import pytest

from edge.errors import PhysicsError
from edge.physics.tool import extended_tool_life_min, life_factor, tool_life_min


@pytest.mark.parametrize(
    ("n", "speed", "factor"),
    [(0.5, 0.5, 4.0), (0.4, 0.8, 1.747), (0.4, 1.3, 0.519), (0.25, 1.15, 0.572), (0.125, 1.15, 0.327)],
)
def test_life_at_another_speed(n: float, speed: float, factor: float) -> None:
    assert life_factor(speed=speed, n=n).value == pytest.approx(factor, abs=5e-4)


def test_plain_and_extended_agree_at_the_same_cut() -> None:
    """V T^n = C with C of that feed and depth."""
    plain = tool_life_min(180.0, n=0.25, c_m_min=400.0)
    assert plain.value == pytest.approx((400.0 / 180.0) ** 4)
    c = 400.0 * 0.2**0.3 * 1.5**0.15
    assert extended_tool_life_min(180.0, 0.2, 1.5, n=0.25, a=0.3, b=0.15, c=c).value == pytest.approx(plain.value)


def test_more_feed_costs_life_by_its_exponent() -> None:
    lives = [extended_tool_life_min(180.0, f, 1.5, n=0.25, a=0.3, b=0.15, c=300.0).value for f in (0.2, 0.4)]
    assert lives[1] / lives[0] == pytest.approx(2.0 ** (-0.3 / 0.25))


def test_beyond_the_law_is_flagged_and_nonsense_refused() -> None:
    assert "built-up edge" in tool_life_min(60.0, n=0.25, c_m_min=400.0).doubts[0]
    assert "heat" in tool_life_min(500.0, n=0.25, c_m_min=400.0).doubts[0]
    assert life_factor(speed=3.0, n=0.25).doubts
    with pytest.raises(PhysicsError, match="n: found"):
        life_factor(speed=1.1, n=0.0)
