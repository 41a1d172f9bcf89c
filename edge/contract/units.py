"""Units of measure: one table of how each is spelled, what people read, and its code.

A unit's own spelling is that of UCUM (https://ucum.org); profiles, contracts and register maps spell some otherwise.
Its code is the common code of UNECE Recommendation 20. What is not in the table stays as it is spelled.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """``sign`` is what people read, ``code`` empty where UNECE has none, ``spelled`` how others spell the same."""

    ucum: str
    sign: str
    code: str = ""
    spelled: tuple[str, ...] = ()


_TURNS = Unit("/min", "rpm", "RPM", ("1/min", "rpm", "RPM", "r/min", "U/min", "min-1", "{rev}/min"))
_TIMES = Unit("/min", "1/min", "C94")
_GRAVITIES = Unit("[g]", "g", "K40")
_TABLE = (
    _TURNS, _GRAVITIES,
    Unit("Cel", "°C", "CEL", ("°C", "degC")), Unit("[degF]", "°F", "FAH", ("°F", "degF")), Unit("K", "K", "KEL"),
    Unit("deg", "°", "DD", ("°",)), Unit("%", "%", "P1", ("percent",)), Unit("[ppm]", "ppm", "59", ("ppm",)),
    Unit("[pH]", "pH", "Q30", ("pH",)), Unit("dB", "dB", "2N"), Unit("lx", "lx", "LUX"),
    Unit("A", "A", "AMP"), Unit("mA", "mA", "4K"), Unit("V", "V", "VLT"), Unit("mV", "mV", "2Z"),
    Unit("Ohm", "Ω", "OHM", ("Ω", "ohm")), Unit("Hz", "Hz", "HTZ"), Unit("kHz", "kHz", "KHZ"),
    Unit("W", "W", "WTT"), Unit("kW", "kW", "KWT"), Unit("MW", "MW", "MAW"), Unit("VA", "VA", "D46"),
    Unit("kVA", "kVA", "KVA"), Unit("var", "var", "D44"), Unit("kvar", "kvar", "KVR"), Unit("kvarh", "kvarh", "K3"),
    Unit("Wh", "Wh", "WHR"), Unit("kWh", "kWh", "KWH"), Unit("MWh", "MWh", "MWH"), Unit("J", "J", "JOU"),
    Unit("Pa", "Pa", "PAL"), Unit("hPa", "hPa", "A97"), Unit("kPa", "kPa", "KPA"), Unit("MPa", "MPa", "MPA"),
    Unit("bar", "bar", "BAR"), Unit("mbar", "mbar", "MBR"), Unit("[psi]", "psi", "PS", ("psi",)),
    Unit("N", "N", "NEW"), Unit("kN", "kN", "B47"), Unit("N.m", "Nm", "NU", ("Nm", "N·m", "N*m")),
    Unit("s", "s", "SEC"), Unit("ms", "ms", "C26"), Unit("min", "min", "MIN"), Unit("h", "h", "HUR"),
    Unit("d", "d", "DAY"), Unit("um", "µm", "4H", ("µm",)), Unit("mm", "mm", "MMT"), Unit("m", "m", "MTR"),
    Unit("mm/s", "mm/s", "C16"), Unit("m/s", "m/s", "MTS"), Unit("m/s2", "m/s²", "MSK", ("m/s²",)),
    Unit("kg", "kg", "KGM"), Unit("t", "t", "TNE"), Unit("kg/h", "kg/h", "E93"), Unit("kg/s", "kg/s", "KGS"),
    Unit("l", "l", "LTR", ("L",)), Unit("l/min", "l/min", "L2", ("L/min",)), Unit("l/s", "l/s", "G51", ("L/s",)),
    Unit("m3", "m³", "MTQ", ("m³",)), Unit("m3/h", "m³/h", "MQH", ("m³/h",)), Unit("m3/s", "m³/s", "MQS", ("m³/s",)),
)  # fmt: skip
_BY_SPELLING = {spelling: unit for unit in _TABLE for spelling in (unit.ucum, *unit.spelled)}


def ucum(unit: str) -> str:
    """The same in UCUM's spelling, so that two that mean one are equal."""
    return _BY_SPELLING[unit].ucum if unit in _BY_SPELLING else unit


def sign(unit: str, kind: str = "") -> str:
    """What people read, such as °C for ``Cel``; ``kind`` is the signal's, where that is known."""
    found = _of(unit, kind)
    return found.sign if found is not None else unit


def code(unit: str, kind: str) -> str:
    """The common code of UNECE Recommendation 20; empty where there is none that we know."""
    found = _of(unit, kind)
    return found.code if found is not None else ""


def _of(unit: str, kind: str) -> Unit | None:
    """A vibration in g is one in standard gravities, which UCUM spells otherwise: its g is the gram."""
    found = _GRAVITIES if (unit, kind) == ("g", "vibration") else _BY_SPELLING.get(unit)
    return _TIMES if found is _TURNS and kind not in ("", "speed", "setpoint") else found
