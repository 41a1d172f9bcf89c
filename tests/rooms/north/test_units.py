"""Units in OPC UA's words."""

from __future__ import annotations

import pytest

from edge.config.profiles import load_profile
from edge.config.site import profiles_root
from edge.contract.units import sign
from edge.north.units import unit_id


@pytest.mark.parametrize(
    ("unit", "kind", "wanted", "words"),
    [
        ("Cel", "temperature", 4408652, "°C"),
        ("%", "load", 20529, "%"),
        ("Hz", "other", 4740186, "Hz"),
        ("/min", "speed", 0x52504D, "rpm"),
        ("1/min", "setpoint", 0x52504D, "rpm"),
        ("/min", "flow", 0x433934, "1/min"),
        ("g", "vibration", 0x4B3430, "g"),
        ("g", "other", -1, "g"),
        ("furlong", "other", -1, "furlong"),
    ],
)
def test_ids_are_those_of_the_opc_foundations_table(unit: str, kind: str, wanted: int, words: str) -> None:
    """The first three as in UNECE_to_OPCUA.csv, which the OPC Foundation publishes."""
    assert (unit_id(unit, kind), sign(unit, kind)) == (wanted, words)


def test_most_units_of_the_shipped_profiles_have_one() -> None:
    paths = sorted((profiles_root() / "devices").glob("*.toml"))
    used = {(point.unit, point.kind) for path in paths for point in load_profile(path).point if point.unit}
    unknown = {unit for unit in used if unit_id(*unit) < 0}
    assert len(unknown) <= len(used) // 10, unknown
