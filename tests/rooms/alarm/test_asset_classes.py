"""The shipped classes of machine: each loads, and each of its rules can reach an operator."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config.asset_class import AssetClass, load_asset_class
from edge.config.laid import Machine, Measured, Zones, lay
from edge.config.profiles import load_profile
from edge.config.rule_conflicts import conflicts
from edge.config.site import profiles_root
from edge.contract.types import Priority
from edge.errors import ConfigError
from edge.features.severity import Boundaries

FILES = sorted((profiles_root() / "assets").glob("*.toml"))
PROFILE_OF = {"cnc_spindle": "plant-spindle", "centrifugal_pump": "plant-pump", "extruder_drive": "plant-extruder"}


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def asset_class(request: pytest.FixtureRequest) -> AssetClass:
    return load_asset_class(request.param)


def test_the_four_classes_are_there() -> None:
    assert {path.stem for path in FILES} >= {*PROFILE_OF, "generic"}


def test_every_rule_says_why_and_what_to_do(asset_class: AssetClass) -> None:
    for rule in asset_class.rule:
        assert rule.cause
        assert rule.action
        assert rule.sentence.startswith("{name} "), "displays show the sentence without the name"
        for filled in ("{value}", "{unit}", "{limit}"):
            assert filled in rule.sentence or (rule.kind == "stale" and filled == "{unit}"), "how bad it is"
    assert asset_class.source


ZONES = Zones(Boundaries(1.4, 2.8, 4.5), "group 2", (120.0, 30000.0))


@pytest.mark.parametrize(("class_id", "profile_id"), PROFILE_OF.items())
@pytest.mark.parametrize("zones", [None, ZONES], ids=["no nameplate", "nameplate"])
def test_its_rules_on_its_simulated_device_agree_and_every_one_but_an_age_has_a_deadband(
    class_id: str, profile_id: str, zones: Zones | None
) -> None:
    asset_class = load_asset_class(profiles_root() / "assets" / f"{class_id}.toml")
    points = load_profile(profiles_root() / "devices" / f"{profile_id}.toml").point
    machine = Machine({p.tag: Measured(p.unit, p.kind, 100, p.range) for p in points}, zones, asset_class.speed)
    laid = lay(asset_class.id, asset_class.rule, (), machine)
    assert [one.rule.id for one in laid if one.off] == ([] if zones else ["vibration_changed"])
    assert list(conflicts(laid, machine)) == []
    assert all(one.rule.slack > 0 or one.rule.kind == "stale" for one in laid if not one.off)
    zone = {one.rule.zone: (one.rule.limit, one.rule.priority) for one in laid if one.rule.zone}
    assert zone == {"C": (2.8, Priority.MEDIUM), "D": (4.5, Priority.HIGH)}


@pytest.mark.parametrize(("class_id", "profile_id"), PROFILE_OF.items())
def test_what_a_class_watches_its_simulated_device_measures(class_id: str, profile_id: str) -> None:
    asset_class = load_asset_class(profiles_root() / "assets" / f"{class_id}.toml")
    measured = {point.tag for point in load_profile(profiles_root() / "devices" / f"{profile_id}.toml").point}
    wanted = {*asset_class.watch, asset_class.hour_meter, asset_class.speed, *(rule.tag for rule in asset_class.rule)}
    wanted |= {rule.enabled_by for rule in asset_class.rule if rule.enabled_by}
    assert wanted <= measured


RULE = '[[rule]]\nid = "{id}"\ntag = "t"\npriority = "low"\nsentence = "{sentence}"\n{limit}\n'


@pytest.mark.parametrize(
    ("rule_id", "sentence", "limit", "problem"),
    [
        ("a", "s", "", "wants one limit"),
        ("a", "s", "above = 1.0\nbelow = 0.0", "wants one limit"),
        ("no_data", "s", "above = 1.0", "id is taken"),
        ("rul_critical", "s", "above = 1.0", "id is taken"),
        ("a", "{wat}", "above = 1.0", "cannot be filled"),
        ("a", "{value:q}", "above = 1.0", "cannot be filled"),
        ("a", "{", "above = 1.0", "cannot be filled"),
        ("a", "s", "above = 1.0\ndeadband = -1.0", "deadband"),
        ("a", "{value:>999999999}", "above = 1.0", "cannot be filled"),
        ("a", "{name.__class__}", "above = 1.0", "cannot be filled"),
        ("a", "{limit:{limit}}", "above = 1.0", "cannot be filled"),
        ("a", "{value!r}", "above = 1.0", "cannot be filled"),
        ("a", "two\\nlines", "above = 1.0", "one line"),
        ("a", "\\u001b[2J", "above = 1.0", "one line"),
        ("a", "s", 'above = 1.0\naction = "\\u202e"', "one line"),
        ("a", "s" * 501, "above = 1.0", "length <= 500"),
        ("a", "s", "above = 1.0\non_delay_s = 1e300", "<= 604800"),
        ("a", "s", "above = 1.0\noff_delay_s = 1e9", "<= 604800"),
        ("a", "s", 'above = 1.0\nsuppressed_by = "running"\nsettle_s = 1e308', "<= 604800"),
        ("a", "s", "above = 1.0\nre_alarm_s = 1e308", "<= 604800"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_at_load(
    tmp_path: Path, rule_id: str, sentence: str, limit: str, problem: str
) -> None:
    path = tmp_path / "mine.toml"
    rule = RULE.replace("{id}", rule_id).replace("{sentence}", sentence).replace("{limit}", limit)
    path.write_text(f'id = "mine"\ntitle = "Mine"\nsource = "me"\n{rule}')
    with pytest.raises(ConfigError, match=problem) as error:
        load_asset_class(path)
    assert str(path) in str(error.value)


def test_two_rules_of_one_id_are_refused(tmp_path: Path) -> None:
    rule = RULE.replace("{id}", "a").replace("{sentence}", "s").replace("{limit}", "above = 1.0")
    path = tmp_path / "mine.toml"
    path.write_text(f'id = "mine"\ntitle = "Mine"\nsource = "me"\n{rule}{rule}')
    with pytest.raises(ConfigError, match="id is taken"):
        load_asset_class(path)
