"""What a law answers: a number that carries its source and its doubts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.errors import PhysicsError


@dataclass(frozen=True, slots=True)
class Estimate:
    """``value`` in the unit that the function's name ends with, by ``law`` (its name and source).

    ``doubts`` say where the inputs leave the law's validity; none of them is no promise that nothing else ails.
    """

    value: float
    law: str
    doubts: tuple[str, ...] = ()


def positive(**values: float) -> None:
    """Raises ``PhysicsError`` naming the first of ``values`` that is not a positive, finite number."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0.0):
            raise PhysicsError(name, f"found {value!r}, a law of physics wants a positive number")
