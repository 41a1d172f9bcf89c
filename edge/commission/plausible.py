"""Whether a value can be what its tag says it is. Pure, and meant to raise a question, never to drop a value.

A wrong register, a wrong byte order and an open thermocouple all give numbers of good quality. What gives them away is
that they are a sentinel of the device, far outside of what the quantity can be, or exactly nothing.
"""

from __future__ import annotations

import math

from edge.commission.show import unit_words
from edge.config.profiles.modbus import Point
from edge.config.profiles.signal import Signal
from edge.contract.types import Value

_OF_UNIT: dict[str, tuple[float, float]] = {
    "Cel": (-100, 1800), "degC": (-100, 1800), "degF": (-150, 3300), "[degF]": (-150, 3300), "K": (0, 2100),
    "%": (-400, 400), "%RH": (0, 100), "Hz": (-5000, 40_000), "V": (-50_000, 50_000), "A": (-20_000, 20_000),
    "bar": (-1.1, 3000), "mbar": (-1100, 1e6), "Pa": (-2e5, 3e8), "kPa": (-110, 3e5), "mm/s": (0, 1000),
    "in/s": (0, 40), "g": (-1000, 1000), "/min": (-200_000, 200_000), "1/min": (-200_000, 200_000),
    "rpm": (-200_000, 200_000), "W": (-1e9, 1e9), "kW": (-1e6, 1e6), "m3/h": (-1e5, 1e5), "l/min": (-1e6, 1e6),
}  # fmt: skip
"""The widest range of each unit in a plant: what lies outside is not this quantity."""

_OF_KIND: dict[str, tuple[float, float]] = {
    "temperature": (-150, 3300), "speed": (-200_000, 200_000), "counter": (0, math.inf), "hours": (0, 1e6),
}  # fmt: skip

_NEVER_ZERO = frozenset({"V", "Hz"})
"""A meter that is read is fed by what it measures."""

_ODD_NUMBERS = frozenset(
    {-9999.0, -999.9, -999.0, 9999.0, 99999.0, 32767.0, -32768.0, 65535.0, 3276.7, -3276.8, 6553.5}
)
_SENSOR_ODD = {"temperature": {85.0: "the power-on value of a DS18B20", -127.0: "a DS18B20 that is not connected"}}

_TINY, _HUGE = 1e-30, 1e15


def suspicion(point: Signal, value: Value) -> str:
    """Why ``value``, of good quality, can hardly be ``point``'s; empty where it can.

    ``point`` is a ``Signal`` of any protocol. Truth values and text are never judged.
    """
    if isinstance(value, bool | str) or value is None:
        return ""
    wide = _OF_UNIT.get(point.unit) or _OF_KIND.get(point.kind)
    tests = (
        _pattern(point, value),
        _order(point, value),
        _SENSOR_ODD.get(point.kind, {}).get(float(value), ""),
        f"outside of what {unit_words(point.unit) or point.kind} can be ({wide[0]:g} to {wide[1]:g})"
        if wide and not wide[0] <= value <= wide[1]
        else "",
        "may stand for `none`: a number that devices use as such" if float(value) in _ODD_NUMBERS else "",
        f"exactly 0 {unit_words(point.unit)}" if value == 0 and point.unit in _NEVER_ZERO else "",
    )
    return next((words for words in tests if words), "")


def all_zero(values: list[Value]) -> bool:
    """Whether a whole unit gives nothing but zeros: it answers, and from registers that nobody fills."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return len(numbers) > 2 and not any(numbers)


def _pattern(point: Signal, value: float) -> str:
    """All ones, or the largest or smallest number of a signed register: what devices send for `not available`."""
    if not isinstance(point, Point) or not point.type.startswith(("int", "uint")):
        return ""
    size = 2 * point.registers
    signed = point.type.startswith("int")
    patterns = {"all bits are one": b"\xff" * size}
    if signed:  # where -1 is a number like any other
        patterns = {
            "the largest signed number": b"\x7f" + b"\xff" * (size - 1),
            "the smallest signed number": b"\x80" + b"\x00" * (size - 1),
        }
    for words, plain in patterns.items():
        raw = int.from_bytes(plain, "big", signed=signed)
        if value == (raw * point.scale + point.offset if point.is_scaled else raw):
            return f"{words}: often `not available`; add it to `not_available`, or mend the sensor"
    return ""


def _order(point: Signal, value: float) -> str:
    """Floats whose exponent is absurd: bytes that stand in another order, or no float at all."""
    if isinstance(point, Point) and point.type.startswith("float") and value and not _TINY < abs(value) < _HUGE:
        return "no plausible float: another byte order, address or type? `babbitt decode` shows all of them"
    return ""
