"""What is written on a machine, in a site file: read strictly, and refused with the key where it cannot be."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.config.site import load_site, profiles_root
from edge.errors import ConfigError

DEMO = re.sub(r"(?m)^(stop|nameplate).*\n", "", (profiles_root() / "sites/demo.toml").read_text(encoding="utf-8"))
"""The demo's site without papers and stops."""
PUMP = 'class = "centrifugal_pump"\n'


def site(folder: Path, lines: str) -> Path:
    """The demo's site with ``lines`` added to its pump."""
    path = folder / "site.toml"
    path.write_text(DEMO.replace(PUMP, PUMP + lines), encoding="utf-8")
    return path


def test_papers_a_stop_and_zones(tmp_path: Path) -> None:
    lines = """\
stop = { at = 2027-03-01T06:00:00Z }
nameplate.bearing = { c_kn = 30.0, p_kn = 5.0, rpm = 1500, fitted_at_h = 1200.0 }
nameplate.winding = { insulation = "F", hot_spot_c = 130.0 }
nameplate.vibration = { tag = "vibration_mm_s", power_kw = 45.0, support = "rigid" }
"""
    service = load_site(site(tmp_path, lines)).services["pump-1"]
    assert service.stop is not None
    assert service.stop.at == datetime(2027, 3, 1, 6, tzinfo=UTC)
    assert service.nameplate is not None
    assert service.nameplate.bearing is not None
    assert service.nameplate.bearing.fitted_at_h == 1200.0
    assert service.zones == (1.4, 2.8, 4.5)


def test_without_papers_nothing_is_told(tmp_path: Path) -> None:
    service = load_site(site(tmp_path, "")).services["pump-1"]
    assert (service.nameplate, service.stop, service.zones) == (None, None, None)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("nameplate = {}", r"`asset\[1\].nameplate`: names no part \(give bearing, tool, winding or vibration\)"),
        ("nameplate.bearing = { c_kn = 30.0 }", r"asset\[1\].nameplate.bearing.*missing required field `rpm`"),
        ("nameplate.bearing = { c_kn = -3.0, rpm = 5 }", r"c_kn`: Expected `float` > 0.0, found -3.0"),
        ("nameplate.bearing = { c = 3.0, rpm = 5 }", r"unknown field `c`.*accepted here: kind, c_kn"),
        ("nameplate.bearing = { c_kn = 3.0, p_kn = 3.0, rpm = 5 }", r"nameplate.bearing.p_kn`: a load of 3 kN on a"),
        ("nameplate.tool = { v_m_min = 500, n = 0.25, c_m_min = 400 }", r"tool.v_m_min`: a tool life under a minute"),
        ('nameplate.winding = { insulation = "Q", hot_spot_c = 90 }', r"winding.insulation"),
        ("stop = {}", r"`asset\[1\].stop`: found nothing \(give one of at, at_h and every_h\)"),
        ("stop = { at_h = 5.0, every_h = 2.0 }", r"stop`: found at_h and every_h"),
        ("stop = { at = 2027-03-01T06:00:00 }", r"stop.at`: Expected `datetime` with a timezone component"),
        (
            'nameplate = { winding = { insulation = "F", hot_spot_c = 9 }, vibration = { tag = "x", power_kw = 45 } }',
            r"vibration.tag`: no unit of it measures 'x'",
        ),
        (
            'nameplate = { bearing = { c_kn = 3, rpm = 9 }, vibration = { tag = "vibration_mm_s", power_kw = 7.5 } }',
            r"nameplate.vibration`: iso_20816_3: 7.5 kW: covers machines above 15 kW alone",
        ),
    ],
)
def test_what_cannot_be_is_refused_at_load(tmp_path: Path, lines: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_site(site(tmp_path, lines + "\n"))


def test_a_class_without_an_hour_meter_has_no_hours_to_count(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    plate = 'class = "generic"\nnameplate.bearing = { c_kn = 30.0, rpm = 1500 }\n'
    path.write_text(DEMO.replace(PUMP, plate), encoding="utf-8")
    with pytest.raises(ConfigError, match="the asset's class names no hour meter"):
        load_site(path)
