"""One table of units: however one is spelled it is the same, and has one sign."""

from __future__ import annotations

import pytest

from edge.config.profiles import load_profile
from edge.config.site import profiles_root
from edge.contract.units import code, sign, ucum


@pytest.mark.parametrize(
    ("spellings", "wanted"),
    [
        (("/min", "1/min", "rpm", "r/min", "{rev}/min"), "rpm"), (("Cel", "°C", "degC"), "°C"), (("deg", "°"), "°"),
        (("N.m", "Nm", "N·m"), "Nm"), (("m3/h", "m³/h"), "m³/h"), (("l/min", "L/min"), "l/min"),
    ],
)  # fmt: skip
def test_spellings_of_one_unit_are_the_same(spellings: tuple[str, ...], wanted: str) -> None:
    assert {sign(spelling) for spelling in spellings} == {wanted}
    assert len({ucum(spelling) for spelling in spellings}) == 1


def test_what_is_not_in_the_table_stays_as_it_is() -> None:
    assert (ucum("furlong"), sign("furlong"), code("furlong", "other"), sign("")) == ("furlong", "furlong", "", "")


def test_units_that_differ_in_size_or_meaning_stay_apart() -> None:
    units = ["/min", "Hz", "s", "min", "h", "Cel", "[degF]", "K", "W", "kW", "var", "VA", "bar", "mbar", "m3/h", "l/s"]
    assert len({ucum(unit) for unit in units}) == len(units)
    assert (sign("g", "vibration"), code("g", "vibration"), code("g", "mass")) == ("g", "K40", "")


def test_every_sign_of_the_shipped_profiles_is_one_that_people_read() -> None:
    paths = sorted((profiles_root() / "devices").glob("*.toml"))
    signs = {sign(point.unit, point.kind) for path in paths for point in load_profile(path).point}
    assert not signs & {"/min", "Cel", "deg", "m3", "m3/h", "N.m", "[degF]"}
