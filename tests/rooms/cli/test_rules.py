"""``babbitt gateway rules``: what counts for each machine, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner

from edge.cli.rules import rules
from edge.config.asset_class import RESERVED_RULES
from edge.config.health import HealthRule
from edge.config.site import profiles_root

DEMO = profiles_root() / "sites/demo.toml"
PUMP = 'class = "centrifugal_pump"\n'
LINES = """\
nameplate.vibration = { tag = "vibration_mm_s", power_kw = 400.0 }
rule = [
    { id = "flow_low", below = 12.0 },
    { id = "discharge_pressure_low", off = true },
    { id = "warms", kind = "rate", tag = "bearing_temperature_c", above = 3.0, priority = "low", sentence = "{name}" },
    { id = "moved", kind = "change", tag = "vibration_mm_s", priority = "low", sentence = "{name}" },
]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(DEMO.read_text(encoding="utf-8").replace(PUMP, PUMP + LINES), encoding="utf-8")
    return path


def test_every_figure_has_its_source(site: Path) -> None:
    said = CliRunner().invoke(rules, [str(site), "--asset", "pump-1"])
    assert said.exit_code == 0, said.output
    text = said.output
    for line in (
        "flow_low                      medium    flow_m3_h < 12 m³/h",
        "      means nothing without running",
        "      limit: site",
        "discharge_pressure_low        medium    not laid: switched off by the site",
        "rate of bearing_temperature_c > 3 °C/min over 60 s",
        "      delays: usual for temperature (common practice beside ISA-18.2)",
        "|vibration_mm_s - its baseline| > 1.125 mm/s",
        "      limit: iso_20816_3 group_1 rigid, a quarter of B/C",
        "      suppressed while speed_rpm < 120 or speed_rpm > 30000",
    ):
        assert line in text
    assert "spindle-1" not in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_same_as_json(site: Path) -> None:
    told = json.loads(CliRunner().invoke(rules, [str(site), "--json"]).output)["assets"]
    assert set(told) == {"spindle-1", "pump-1", "extruder-1"}
    flow = next(rule for rule in told["pump-1"] if rule["id"] == "flow_low")
    assert (flow["below"], flow["sources"]["limit"], flow["off"]) == (12.0, "site", "")
    assert flow["condition"] == "flow_m3_h < 12"


def test_what_no_file_says_is_listed_too(site: Path) -> None:
    told = json.loads(CliRunner().invoke(rules, [str(site), "--json"]).output)
    assert set(told["every_machine"]) == RESERVED_RULES - {"flood"}
    assert set(told["gateway"]) == set(get_args(HealthRule))
    text = CliRunner().invoke(rules, [str(site)]).output
    assert "rul_critical                  less than 48 running hours left" in text
    assert "disk_full (high)" in text


def test_a_machine_that_is_not_there_is_named_with_those_that_are(site: Path) -> None:
    said = CliRunner().invoke(rules, [str(site), "--asset", "pump"])
    assert said.exit_code == 2
    assert "there are: spindle-1, pump-1, extruder-1" in said.output
