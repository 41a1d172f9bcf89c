"""Which sensor explains what stands off: worked evidence of a few residuals, and that nothing spills over."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.infer.sensors.isolate import Evidence, Finding, isolate, quantile_chi2, shift_of
from edge.infer.sensors.spec import Coupling

TAGS = ("vibration_mm_s", "acceleration_rms_g", "bearing_temperature_c", "power_kw")
WEAR = (Coupling("bearing wear", tuple((tag, 1) for tag in TAGS)),)
CORRELATED = np.array([[1.0, 0.8, 0.1, 0.0], [0.8, 1.0, 0.1, 0.0], [0.1, 0.1, 1.0, 0.3], [0.0, 0.0, 0.3, 1.0]])
LOAD = np.array([[-0.2], [-0.1], [-0.5], [-0.9]])
"""What the load's own sensor does to the four, were it one off: they were compared under the wrong load."""


def evidence(*shifts: float, known: tuple[int, ...] = ()) -> Evidence:
    """Averages of standard deviation 1: ``shifts`` of the four signals and of the load."""
    signature = np.column_stack([np.eye(4), LOAD])
    mean = signature @ np.array([*shifts, *[0.0] * (5 - len(shifts))])
    return Evidence(mean, CORRELATED, signature, TAGS, known, frozenset({4}))


@pytest.mark.parametrize(("p", "dof", "value"), [(0.05, 1, 3.841), (0.01, 5, 15.086), (1e-4, 10, 35.56)])
def test_quantiles_are_those_of_the_tables(p: float, dof: int, value: float) -> None:
    assert quantile_chi2(p, dof) == pytest.approx(value, rel=0.03)


def test_healthy_is_nothing() -> None:
    assert isolate(evidence(1.0, 1.0, -1.0, 0.5), WEAR) == Finding()


@pytest.mark.parametrize("sensor", range(5))
@pytest.mark.parametrize("size", [-30.0, 30.0])
def test_one_sensor_alone_is_blamed_alone(sensor: int, size: float) -> None:
    found = isolate(evidence(*[size if i == sensor else 0.0 for i in range(5)]), WEAR)
    assert (found.sensors, found.machine) == ((sensor,), False)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 3), st.floats(15.0, 1e4), st.integers(0, 99))
def test_a_drift_of_any_size_never_spills_over_to_its_neighbours(sensor: int, size: float, seed: int) -> None:
    """The vibration's residual is correlated by 0.8 with the acceleration's: a plain contribution would blame both.

    A hundred noises that are always the same: of others one in 500,000 makes a power that is 15 off look like a load
    that is off, and nobody could tell them apart.
    """
    rest = np.linalg.cholesky(CORRELATED) @ np.random.default_rng(seed).standard_normal(4)
    shifts = [*rest.tolist(), 0.0]
    shifts[sensor] += size
    found = isolate(evidence(*shifts), WEAR)
    assert found.sensors == (sensor,)


def test_coupled_signals_that_rise_together_are_the_machine() -> None:
    found = isolate(evidence(20.0, 18.0, 6.0, 9.0), WEAR)
    assert (found.machine, found.coupling, found.sensors) == (True, "bearing wear", ())
    assert set(found.together) == set(TAGS)


def test_the_fault_whose_signals_moved_and_no_others_is_named() -> None:
    dry = Coupling("failing lubrication", (("acceleration_rms_g", 1), ("bearing_temperature_c", 1)))
    assert isolate(evidence(0.0, 20.0, 20.0, 0.0), (*WEAR, dry)).coupling == "failing lubrication"


def test_two_that_no_fault_moves_so_are_two_sensors() -> None:
    found = isolate(evidence(0.0, 0.0, -40.0, -25.0), WEAR)
    assert (found.sensors, found.machine) == ((2, 3), False)


def test_what_nobody_can_explain_is_never_a_sensor() -> None:
    found = isolate(evidence(-30.0, 25.0, -40.0, -25.0), WEAR)
    assert found.machine
    assert found.sensors == ()


def test_a_sensor_that_is_known_to_be_off_hides_no_fault_and_is_blamed_for_none() -> None:
    assert isolate(evidence(0.0, 0.0, 50.0, 0.0, known=(2,)), WEAR) == Finding()
    assert isolate(evidence(20.0, 18.0, 50.0, 9.0, known=(2,)), WEAR).machine


def test_the_offset_is_estimated_beside_what_else_is_off() -> None:
    shift, sd = shift_of(evidence(0.0, 12.0, 50.0, 0.0, known=(1, 2)), 2)
    assert shift == pytest.approx(50.0, abs=1e-6)
    assert 0.5 < sd <= 1.0
