"""Motors: trip times of the relay's standard, and insulation where the 10 C rule holds and where it does not."""

from __future__ import annotations

import math

import pytest

from edge.errors import PhysicsError
from edge.physics.motor import (
    activation_of_halving_ev,
    ageing_factor,
    halving_factor,
    insulation_life_h,
    temperature_share,
    trip_s,
)

TAU_S = 1800.0


def test_trip_from_cold_and_from_hot() -> None:
    assert trip_s(2.0, tau_s=TAU_S).value == pytest.approx(580.4, abs=0.05)
    assert trip_s(2.0, tau_s=TAU_S, before=0.9).value == pytest.approx(173.1, abs=0.05)


@pytest.mark.parametrize("current", [0.0, 0.9, 1.05])
def test_up_to_k_it_never_trips(current: float) -> None:
    assert trip_s(current, tau_s=TAU_S).value == math.inf


def test_the_trip_is_where_the_model_reaches_k_squared() -> None:
    for before in (0.0, 0.5, 0.9):
        reached = temperature_share(2.0, trip_s(2.0, tau_s=TAU_S, before=before).value, tau_s=TAU_S, start=before**2)
        assert reached == pytest.approx(1.05**2)


def test_arrhenius_is_not_the_10_c_rule() -> None:
    """0.9 eV gives 0.573 from 155 to 165 C; halving there needs 1.12 eV, and 0.877 eV from 105 to 115 C."""
    assert ageing_factor(155.0, 165.0, activation_ev=0.9).value == pytest.approx(0.573, abs=5e-4)
    assert activation_of_halving_ev(155.0) == pytest.approx(1.12, abs=5e-3)
    assert activation_of_halving_ev(105.0) == pytest.approx(0.877, abs=5e-4)
    halving = ageing_factor(155.0, 165.0, activation_ev=activation_of_halving_ev(155.0))
    assert halving.value == pytest.approx(0.5)


def test_class_f_at_the_rise_of_b_lasts_5_66_times_as_long() -> None:
    assert halving_factor(155.0, 130.0).value == pytest.approx(5.66, abs=5e-3)
    assert insulation_life_h("F", 155.0).value == 20_000.0
    assert insulation_life_h("F", 130.0).value == pytest.approx(20_000.0 * 2.0**2.5)


def test_far_from_the_rated_temperature_is_flagged_and_nonsense_refused() -> None:
    assert "overstates" in insulation_life_h("H", 100.0).doubts[0]
    assert "hotter" in insulation_life_h("B", 140.0).doubts[-1]
    assert ageing_factor(105.0, 155.0, activation_ev=0.9).doubts
    with pytest.raises(PhysicsError, match="accepted: A, E, B, F, H"):
        insulation_life_h("Z", 100.0)
    with pytest.raises(PhysicsError):
        ageing_factor(-300.0, 20.0, activation_ev=0.9)
