"""No number is made of samples whose unit is not known."""

from __future__ import annotations

import pytest

from edge.errors import UnitError
from edge.features.units import Quantity, vibration_unit


@pytest.mark.parametrize(
    ("unit", "quantity", "to_si"),
    [
        ("g", Quantity.ACCELERATION, 9.80665), ("m/s2", Quantity.ACCELERATION, 1.0),
        ("m/s²", Quantity.ACCELERATION, 1.0),
        ("mm/s", Quantity.VELOCITY, 1e-3), (" mm/s ", Quantity.VELOCITY, 1e-3), ("in/s", Quantity.VELOCITY, 0.0254),
    ],
)  # fmt: skip
def test_units_of_vibration(unit: str, quantity: Quantity, to_si: float) -> None:
    found = vibration_unit(unit)
    assert (found.quantity, found.to_si) == (quantity, to_si)


@pytest.mark.parametrize("unit", ["", "  "])
def test_an_undeclared_unit_is_refused(unit: str) -> None:
    with pytest.raises(UnitError, match=r"machine-1/accelerometer: its unit is not declared \(declare one of g"):
        vibration_unit(unit, "machine-1/accelerometer")


@pytest.mark.parametrize("unit", ["mm", "°C", "counts", "G", "mV", "mg"])
def test_a_unit_of_something_else_is_refused(unit: str) -> None:
    with pytest.raises(UnitError, match=f"{unit!r} is no unit of vibration"):
        vibration_unit(unit)
