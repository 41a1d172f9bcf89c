"""Units of signals in the words of OPC UA: UNECE Recommendation 20 codes, and what people read.

OPC 10000-8, 5.6.4.3: the id of a unit is its common code's characters as the bytes of a number, most significant first.
"""

from __future__ import annotations

UNECE_URI = "http://www.opcfoundation.org/UA/units/un/cefact"

_CODES = {
    "%": "P1", "/min": "C94", "A": "AMP", "mA": "4K", "Cel": "CEL", "[degF]": "FAH", "K": "KEL", "Hz": "HTZ",
    "kHz": "KHZ", "N": "NEW", "kN": "B47", "N.m": "NU", "V": "VLT", "mV": "2Z", "VA": "D46", "kVA": "KVA", "W": "WTT",
    "kW": "KWT", "MW": "MAW", "Wh": "WHR", "kWh": "KWH", "MWh": "MWH", "var": "D44", "kvar": "KVR", "kvarh": "K3",
    "J": "JOU", "Pa": "PAL", "hPa": "A97", "kPa": "KPA", "MPa": "MPA", "bar": "BAR", "mbar": "MBR", "[psi]": "PS",
    "Ohm": "OHM", "deg": "DD", "s": "SEC", "ms": "C26", "min": "MIN", "h": "HUR", "d": "DAY", "um": "4H", "mm": "MMT",
    "m": "MTR", "mm/s": "C16", "m/s": "MTS", "m/s2": "MSK", "[g]": "K40", "kg": "KGM", "t": "TNE", "kg/h": "E93",
    "kg/s": "KGS", "l": "LTR", "L": "LTR", "m3": "MTQ", "m3/h": "MQH", "m3/s": "MQS", "l/min": "L2", "L/min": "L2",
    "l/s": "G51", "L/s": "G51", "dB": "2N", "[ppm]": "59", "ppm": "59", "lx": "LUX", "[pH]": "Q30",
}  # fmt: skip
_SHOWN = {
    "Cel": "°C", "[degF]": "°F", "deg": "°", "[psi]": "psi", "[ppm]": "ppm", "[pH]": "pH", "[g]": "g", "Ohm": "Ω",
    "m3": "m³", "m3/h": "m³/h", "m3/s": "m³/s", "m/s2": "m/s²", "um": "µm", "N.m": "Nm",
}  # fmt: skip
_OF_KIND = {("g", "vibration"): "[g]"}
"""A vibration in g is one in standard gravities; alone, UCUM's g is the gram."""


def unit_id(unit: str, kind: str) -> int:
    """The id of a signal's unit, -1 where UNECE has none that we know."""
    code = "RPM" if (unit, kind) == ("/min", "speed") else _CODES.get(_OF_KIND.get((unit, kind), unit), "")
    return int.from_bytes(code.encode("ascii"), "big") if code else -1


def shown(unit: str, kind: str) -> str:
    """What people read, such as °C for ``Cel``."""
    return "rpm" if (unit, kind) == ("/min", "speed") else _SHOWN.get(_OF_KIND.get((unit, kind), unit), unit)
