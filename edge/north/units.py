"""Units of signals in the words of OPC UA, which are UNECE's (``edge.contract.units``).

OPC 10000-8, 5.6.4.3: the id of a unit is its common code's characters as the bytes of a number, most significant first.
"""

from __future__ import annotations

from edge.contract.units import code

UNECE_URI = "http://www.opcfoundation.org/UA/units/un/cefact"


def unit_id(unit: str, kind: str) -> int:
    """The id of a signal's unit, -1 where UNECE has none that we know."""
    found = code(unit, kind)
    return int.from_bytes(found.encode("ascii"), "big") if found else -1
