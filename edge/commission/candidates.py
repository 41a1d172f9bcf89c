"""What a window of registers may mean: every type in every byte order, the likeliest for an expected value first.

The answer to the oldest question of commissioning: the display says 230.4, the registers say 0x4366 0x6666.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edge.config.profiles.modbus import REGISTERS_OF, ByteOrder, Point, RegisterType
from edge.contract.types import Quality
from edge.registers import from_words, unpack

ORDERS: tuple[ByteOrder, ...] = ("ABCD", "CDAB", "BADC", "DCBA")
TYPES: tuple[RegisterType, ...] = (
    "uint16", "int16", "float32", "uint32", "int32", "float64", "uint64", "int64", "bcd16", "bcd32", "bcd64",
)  # fmt: skip
SCALES = (1.0, 0.1, 0.01, 10.0, 0.001, 100.0, 1000.0, 0.0001)
"""What vendors use; the first is the likeliest."""
FAR = 0.25
"""How far, as a share of the expected value, a candidate may be off: a live value moves while it is typed."""

_TYPE_COST = dict(zip(TYPES, (0.0, 0.2, -1.0, 0.4, 0.5, 0.0, 1.2, 1.2, 1.5, 1.6, 2.2), strict=True))
_ORDER_COST = dict(zip(ORDERS, (0.0, 0.3, 0.9, 0.7), strict=True))
_SCALE_COST = dict(zip(SCALES, (0.0, 0.2, 0.3, 0.8, 0.5, 1.2, 0.9, 1.5), strict=True))


How = tuple[RegisterType, ByteOrder]


def _points() -> dict[int, list[Point]]:
    """Every type in every order that differs, by how many registers it takes."""
    points: dict[int, list[Point]] = {}
    for kind in TYPES:
        orders = ORDERS if REGISTERS_OF[kind] > 1 else ("ABCD", "BADC")
        points.setdefault(REGISTERS_OF[kind], []).extend(
            Point(tag="candidate", function=3, address=0, type=kind, order=order) for order in orders
        )
    return points


_POINTS = _points()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One reading of the window. ``address`` is absolute; ``error`` the distance from the expected value as a share of
    it, None where nothing is expected. ``plausible`` is False for floats that no sensor gives."""

    address: int
    type: RegisterType
    order: ByteOrder
    scale: float
    value: float
    error: float | None
    plausible: bool

    def point(self, *, function: int) -> dict[str, Any]:
        """The keys of a profile's ``[[point]]`` that say where it lives."""
        keys: dict[str, Any] = {"function": function, "address": self.address, "type": self.type}
        if self.order != "ABCD":
            keys["order"] = self.order
        if self.scale != 1.0:
            keys["scale"] = self.scale
        return keys


def candidates(
    registers: Sequence[int | None],
    *,
    address: int = 0,
    expected: float | None = None,
    scales: Sequence[float] = SCALES,
) -> list[Candidate]:
    """Every reading of ``registers`` (None where one cannot be read), the first of which is ``address``.

    Without ``expected`` all of them by address, in scale 1. With it those within ``FAR``, the best first: a close
    match counts most, then how usual type, order and scale are.
    """
    if expected is None:
        return [
            Candidate(at, *how, 1.0, raw, None, _plausible(how[0], raw)) for at, how, raw in _all(registers, address)
        ]
    near = [
        Candidate(at, *how, scale, value, error, _plausible(how[0], value))
        for at, how, raw in _all(registers, address)
        for scale in scales
        if (error := _error(value := raw if scale == 1.0 else raw * scale, expected)) <= FAR
    ]
    return sorted(near, key=lambda one: (_rank(one), one.address, one.type, one.order))


def _rank(one: Candidate) -> float:
    """Half a decade of closeness weighs as much as an unusual scale."""
    assert one.error is not None
    closeness = math.log10(max(one.error, 1e-4)) + 4.0
    cost = _TYPE_COST[one.type] + _ORDER_COST[one.order] + _SCALE_COST[one.scale]
    # A float is right to many digits or not at all, so that it needs no scale.
    return closeness * 2.0 + cost + (2.0 if one.type.startswith("float") and one.scale != 1.0 else 0.0)


def _all(registers: Sequence[int | None], address: int) -> Iterator[tuple[int, How, float]]:
    """Address, type and order, and the raw value of everything that can be read."""
    for at in range(len(registers)):
        for size, points in _POINTS.items():
            words = [word for word in registers[at : at + size] if word is not None]
            if len(words) < size:
                continue
            data = from_words(words)
            for point in points:
                value, quality, _ = unpack(point, data)
                if quality == Quality.GOOD and isinstance(value, int | float):
                    yield address + at, (point.type, point.order), value


def _error(value: float, expected: float) -> float:
    if expected == 0.0:
        return 0.0 if value == 0.0 else math.inf
    return abs(value - expected) / abs(expected)


def _plausible(kind: str, value: float) -> bool:
    return not kind.startswith("float") or value == 0.0 or 1e-6 < abs(value) < 1e12
