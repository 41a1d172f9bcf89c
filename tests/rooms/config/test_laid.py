"""The rules that count for a machine: its class's, as the site changes them, each figure with its source."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.alarm import AlarmDesk, Watched
from edge.alarm.rules import holds
from edge.config.asset_class import AssetClass
from edge.config.laid import Laid, Machine, Measured, Zones, lay
from edge.config.rule import Rule, SiteRule
from edge.config.site import Site, load_site, profiles_root
from edge.contract.types import Alarm, Batch, Priority, Quality
from edge.errors import ConfigError
from edge.features.severity import Boundaries, Zone

DEMO = (profiles_root() / "sites/demo.toml").read_text(encoding="utf-8")
PUMP = 'class = "centrifugal_pump"\n'
GROUP_1 = Zones(Boundaries(2.3, 4.5, 7.1), "iso_20816_3 group_1 rigid", (120.0, 30000.0))


def rule(**figures: Any) -> Rule:
    told: dict[str, Any] = {"id": "r", "tag": "t", "priority": Priority.MEDIUM, "sentence": "", **figures}
    return Rule(**told)


def laid(made: Rule, measured: Measured, of_site: tuple[SiteRule, ...] = (), zones: Zones | None = None) -> Laid:
    tags = {"t": measured, "speed_rpm": Measured("1/min", "speed")}
    return lay("press", [made], of_site, Machine(tags, zones, "speed_rpm"))[0]


def site(folder: Path, lines: str) -> Site:
    """The demo's site with ``lines`` added to its pump."""
    path = folder / "site.toml"
    path.write_text(DEMO.replace(PUMP, PUMP + lines), encoding="utf-8")
    return load_site(path)


@pytest.mark.parametrize(
    ("kind", "deadband", "delay_s"),
    [
        ("flow", 4.0, 15.0), ("level", 4.0, 60.0), ("pressure", 1.6, 15.0), ("temperature", 0.8, 60.0),
        ("vibration", 4.0, 5.0), ("speed", 0.0, 0.0), ("other", 0.0, 0.0),
    ],
)  # fmt: skip
def test_what_nobody_says_is_what_is_usual_for_the_kind_of_signal(kind: str, deadband: float, delay_s: float) -> None:
    made = laid(rule(above=80.0), Measured(kind=kind)).rule
    assert (made.deadband, made.on_delay_s, made.off_delay_s) == (deadband, delay_s, delay_s)


def test_the_deadband_of_a_vibration_is_of_its_limit_however_far_its_sensor_reaches() -> None:
    zone = rule(kind="zone", zone="C", above=2.8)
    made = laid(zone, Measured("mm/s", "vibration", range=(0.0, 65.5)))
    assert made.rule.deadband == pytest.approx(0.14)
    assert holds(made.rule, 2.6, active=True) is False, "5 % of the range would keep it until the machine stands"
    assert made.sources["deadband"].startswith("5 % of the limit, vibration (ours")


def test_a_limit_of_80_with_1_percent_of_0_to_100_clears_only_below_79() -> None:
    made = laid(rule(above=80.0), Measured("Cel", "temperature", range=(0.0, 100.0)))
    assert made.sources["deadband"] == "1 % of 0 to 100, temperature (EEMUA 191)"
    assert holds(made.rule, 79.0, active=True) is True
    assert holds(made.rule, 78.99, active=True) is False


def test_what_is_written_stays_and_so_does_a_0() -> None:
    told = {"deadband": 0.0, "on_delay_s": 0.0, "off_delay_s": 3.0}
    made = laid(rule(below=2.0, **told), Measured("bar", "pressure", range=(0.0, 10.0)))
    assert (made.rule.deadband, made.rule.on_delay_s, made.rule.off_delay_s) == (0.0, 0.0, 3.0)
    assert {made.sources[name] for name in ("limit", *told)} == {"class press"}


def test_a_rate_has_the_delay_of_its_signal_and_a_tenth_of_its_limit_as_deadband() -> None:
    made = laid(rule(kind="rate", above=3.0), Measured("Cel", "temperature", range=(0.0, 100.0))).rule
    assert (made.deadband, made.on_delay_s, made.window_s) == (0.3, 60.0, 60.0)


def test_a_zone_is_the_standards_for_this_machine_and_speaks_at_the_standards_speeds() -> None:
    measured = Measured("mm/s", "vibration")
    made = laid(rule(kind="zone", zone="C", above=2.8), measured, zones=GROUP_1)
    assert made.rule.above == 4.5
    assert made.sources["limit"] == "iso_20816_3 group_1 rigid, B/C"
    assert made.rule.suppressed_by == "speed_rpm < 120 or speed_rpm > 30000"
    assert laid(rule(kind="zone", zone="D", above=4.5), measured, zones=GROUP_1).rule.above == 7.1
    assert laid(rule(kind="zone", zone="C", above=2.8), measured).rule.above == 2.8, "no nameplate: the class's"
    held = laid(rule(kind="zone", zone="C", suppressed_by="not running"), measured, zones=GROUP_1).rule
    assert held.suppressed_by == "not running or speed_rpm < 120 or speed_rpm > 30000"


def test_a_significant_change_is_a_quarter_of_b_c_and_is_not_laid_where_no_nameplate_tells_of_it() -> None:
    measured = Measured("mm/s", "vibration")
    made = laid(rule(kind="change"), measured, zones=GROUP_1)
    assert (made.rule.beyond, made.sources["limit"]) == (1.125, "iso_20816_3 group_1 rigid, a quarter of B/C")
    assert laid(rule(kind="change"), measured).off == "the nameplate tells nothing of vibration"
    assert laid(rule(kind="change", beyond=0.7), measured).rule.limit == 0.7


def test_a_rule_on_what_no_unit_measures_is_not_laid() -> None:
    [made] = lay("press", [rule(above=1.0)], (), Machine({}))
    assert made.off == "no unit measures t"


def test_a_site_changes_one_figure_and_the_rest_stays() -> None:
    of_class = rule(above=80.0, deadband=2.0, sentence="hot", cause="c", action="a")
    made = laid(of_class, Measured(), (SiteRule(id="r", above=70.0, priority=Priority.HIGH, on_delay_s=0.0),))
    assert (made.rule.above, made.rule.deadband, made.rule.priority) == (70.0, 2.0, Priority.HIGH)
    assert (made.rule.sentence, made.rule.cause, made.rule.action) == ("hot", "c", "a")
    assert (made.sources["limit"], made.sources["on_delay_s"], made.sources["deadband"]) == (
        "site", "site", "class press"
    )  # fmt: skip
    assert made.origin == "class press, changed by the site"


def test_a_sites_limit_takes_the_place_of_every_other() -> None:
    low = laid(rule(above=80.0), Measured(), (SiteRule(id="r", below=3.0),)).rule
    assert (low.above, low.below) == (None, 3.0)
    zone = rule(kind="zone", zone="C", above=2.8)
    mine = laid(zone, Measured("mm/s", "vibration"), (SiteRule(id="r", above=2.0),), GROUP_1).rule
    assert (mine.kind, mine.above) == ("limit", 2.0), "a builder's own limit goes before the standard's"


def test_a_site_switches_a_rule_off_and_adds_one(tmp_path: Path) -> None:
    lines = """\
rule = [
    { id = "flow_low", off = true },
    { id = "discharge_pressure_low", below = 1.5 },
    { id = "speed_low", tag = "speed_rpm", priority = "low", below = 100.0, sentence = "{name} is slow" },
]
"""
    found = site(tmp_path, lines)
    ids = [rule.id for rule in found.rules("pump-1")]
    assert "flow_low" not in ids
    assert ids[-1] == "speed_low"
    assert next(r for r in found.rules("pump-1") if r.id == "discharge_pressure_low").below == 1.5
    off = next(one for one in found.laid["pump-1"] if one.rule.id == "flow_low")
    assert off.off == "switched off by the site"


def test_a_nameplate_of_vibration_alone_gives_the_zones(tmp_path: Path) -> None:
    found = site(tmp_path, 'nameplate.vibration = { tag = "vibration_mm_s", power_kw = 400.0 }\n')
    assert found.services["pump-1"].zones == (2.3, 4.5, 7.1)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('{ id = "flow_low" }, { id = "flow_low" }', r"`asset\[1\].rule\[1\]` \(flow_low\): the id stands twice"),
        (
            '{ id = "flow_lo", below = 1.0 }',
            r"\(flow_lo\): the class has no such rule .*the class has vibration_zone_c",
        ),
        ('{ id = "x", off = true }', r"\(x\): there is no such rule to switch off"),
        ('{ id = "flow_low", after_s = 1.0 }', r"`after_s` is not for kind limit \(give `above` or `below`\)"),
        ('{ id = "flow_low", above = 1.0, below = 0.0 }', "wants one limit"),
        ('{ id = "flow_low", below = nan }', "`below`: found nan"),
        ('{ id = "flow_low", window_s = 60.0 }', "`window_s` is for kind rate, not limit"),
        ('{ id = "flow_low", kind = "zone" }', "`below` is not for kind zone"),
        ('{ id = "vibration_zone_c", kind = "zone", above = 2.0 }', "wants a zone"),
        ('{ id = "flow_low", sentence = "{wat}" }', "`sentence` cannot be filled: 'wat'"),
        ('{ id = "no_data", tag = "t", priority = "low", sentence = "s", above = 1.0 }', "comes without a rule"),
        ('{ id = "anomaly", off = true }', r"\(anomaly\): the alarm comes without a rule, and none can change it"),
        ('{ id = "flow_low", kind = "deviation", beyond = 1.0, of = "flow_m3_h" }', "is compared with itself"),
        ('{ id = "flow_low", kind = "odd" }', "Invalid enum value 'odd'"),
        (
            '{ id = "flow_low", suppressed_by = "not" }',
            "`suppressed_by`: wanted a tag, a number or `\\(`, found the end",
        ),
        ('{ id = "flow_low", suppressed_by = "spindle-1.running" }', "spindle-1.running is of another machine"),
        ('{ id = "flow_low", settle_s = 9.0 }', "`settle_s` without `suppressed_by`"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(tmp_path: Path, lines: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        site(tmp_path, f"rule = [{lines}]\n")
    assert error.value.where == str(tmp_path / "site.toml")


@pytest.mark.parametrize(
    ("kind", "delay_s"), [("flow", 15.0), ("pressure", 15.0), ("level", 60.0), ("temperature", 60.0)]
)
@pytest.mark.parametrize("short_s", [0.1, 0.0])
def test_a_spike_shorter_than_what_is_usual_raises_nothing(kind: str, delay_s: float, short_s: float) -> None:
    made = laid(rule(above=80.0), Measured("", kind)).rule
    watched = Watched("press", "Press", AssetClass(id="press", title="", source="", rule=(made,)), 100)
    desk, changes = AlarmDesk([watched]), list[Alarm]()
    for i in range(round(delay_s * 10) + 20):
        at_ns, spike = i * 10**8, i < round((delay_s - short_s) * 10)
        if spike or short_s:
            batch = Batch("press", ("t",), (90.0 if spike else 20.0,), (Quality.GOOD,), (0,), at_ns, at_ns)
            changes += [one for one in desk.observe(batch) if one.rule == "r"]
        changes += [one for one in desk.tick(at_ns, mono_ns=at_ns) if one.rule == "r"]
    assert len(changes) == (0 if short_s else 1), "14.9 s of flow are a spike, 15 are an alarm"


@given(st.floats(0.0, 20.0))
@example(2.3)
@example(4.5)
@example(math.nextafter(4.5, 5.0))
@example(7.1)
def test_the_alarms_of_zones_agree_with_the_standards_zones_boundaries_included(velocity: float) -> None:
    """A value on a boundary is in the better zone: 2.3 mm/s is A for group 1, and well into B for group 2."""
    measured = Measured("mm/s", "vibration")
    raised = {
        zone: holds(laid(rule(kind="zone", zone=zone), measured, zones=GROUP_1).rule, velocity, active=False)
        for zone in ("C", "D")
    }
    zone = GROUP_1.boundaries.zone(velocity)
    assert raised == {"C": zone in (Zone.C, Zone.D), "D": zone is Zone.D}
    assert (GROUP_1.boundaries.zone(2.3), Boundaries(1.4, 2.8, 4.5).zone(2.3)) == (Zone.A, Zone.B)


@pytest.mark.parametrize("power_kw", [15.0, 11.0])
def test_below_15_kw_no_zone_is_claimed(tmp_path: Path, power_kw: float) -> None:
    lines = f'nameplate.vibration = {{ tag = "vibration_mm_s", power_kw = {power_kw} }}\n'
    with pytest.raises(ConfigError, match="covers machines above 15 kW alone"):
        site(tmp_path, lines)
