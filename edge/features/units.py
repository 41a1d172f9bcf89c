"""What a vibration sensor measures, by its declared unit; a unit that is missing or unknown is refused, never guessed.

1 read as g is 9.8 times the truth of 1 read as m/s², and acceleration read as velocity says nothing at all: no number
leaves this room before it is known what it is a number of.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge.errors import UnitError

STANDARD_GRAVITY_M_S2 = 9.80665


class Quantity(StrEnum):
    ACCELERATION = "acceleration"
    VELOCITY = "velocity"


@dataclass(frozen=True, slots=True)
class VibrationUnit:
    """``to_si`` times a sample gives m/s² of an acceleration, m/s of a velocity."""

    quantity: Quantity
    to_si: float


_ACCELERATION = {
    "g": STANDARD_GRAVITY_M_S2, "[g]": STANDARD_GRAVITY_M_S2, "gn": STANDARD_GRAVITY_M_S2, "m/s2": 1.0, "m/s²": 1.0,
    "m/s^2": 1.0, "mm/s2": 1e-3, "mm/s²": 1e-3, "mm/s^2": 1e-3,
}  # fmt: skip
_VELOCITY = {"m/s": 1.0, "mm/s": 1e-3, "in/s": 0.0254, "[in_i]/s": 0.0254}
_KNOWN = {unit: VibrationUnit(Quantity.ACCELERATION, scale) for unit, scale in _ACCELERATION.items()} | {
    unit: VibrationUnit(Quantity.VELOCITY, scale) for unit, scale in _VELOCITY.items()
}


def vibration_unit(unit: str, where: str = "vibration") -> VibrationUnit:
    """What ``unit`` (UCUM, or as it is commonly written) stands for. ``where`` names the signal in the error.

    Raises ``UnitError`` where the unit is empty or is none of a vibration.
    """
    found = _KNOWN.get(unit.strip())
    if found is None:
        problem = f"{unit!r} is no unit of vibration" if unit.strip() else "its unit is not declared"
        raise UnitError(where, problem, "declare one of g, m/s2, mm/s2 (acceleration) or mm/s, m/s, in/s (velocity)")
    return found
