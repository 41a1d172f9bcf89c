"""Rules that cannot all be meant are refused at load; what is accepted can both raise and clear."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import assume, given
from hypothesis import strategies as st

from edge.alarm.rules import holds
from edge.cli.check import check
from edge.cli.rules import rules as rules_command
from edge.config.laid import Machine, Measured, Zones, lay
from edge.config.rule import Rule, SiteRule
from edge.config.rule_conflicts import conflicts
from edge.config.site import load_site, profiles_root
from edge.contract.types import Priority
from edge.errors import ConfigErrors
from edge.features.severity import Boundaries

TEMPERATURE = Measured("Cel", "temperature", 1000, (0.0, 100.0))
VELOCITY = Measured("mm/s", "vibration", 1000)
LOW, MEDIUM, HIGH = Priority.LOW, Priority.MEDIUM, Priority.HIGH
DEMO = (profiles_root() / "sites/demo.toml").read_text(encoding="utf-8")


def rule(name: str, **figures: Any) -> Rule:
    told: dict[str, Any] = {"tag": "t", "priority": MEDIUM, "sentence": "s", **figures}
    return Rule(id=name, **told)


def wrong(*rules: Rule, measured: Measured = TEMPERATURE, zones: Zones | None = None) -> list[str]:
    machine = Machine({"t": measured}, zones)
    return [one.problem for one in conflicts(lay("press", rules, (), machine), machine)]


ACCEPTED = (
    [rule("a", above=80.0)],
    [rule("a", above=80.0), rule("b", below=10.0)],
    [rule("a", above=80.0), rule("b", above=90.0, priority=HIGH)],
    [rule("a", below=10.0), rule("b", below=5.0, priority=HIGH)],
    [rule("a", above=80.0), rule("b", above=80.0, priority=HIGH, on_delay_s=600.0)],
    [rule("a", above=80.0), rule("b", above=70.0)],
    [rule("a", above=50.0, enabled_by="heating"), rule("b", below=60.0, enabled_by="cooling")],
    [rule("a", kind="rate", above=5.0), rule("b", below=60.0, priority=HIGH)],
    [rule("a", kind="deviation", beyond=5.0), rule("b", kind="deviation", beyond=9.0, priority=HIGH)],
    [rule("a", kind="stale", after_s=2.0)],
    [rule("a", kind="rate", above=5.0, window_s=5.0)],
)


@pytest.mark.parametrize("rules", ACCEPTED, ids=lambda rules: "+".join(f"{r.kind}" for r in rules))
def test_what_can_be_meant(rules: list[Rule]) -> None:
    assert wrong(*rules) == []


REFUSED = (
    ([rule("a", above=50.0), rule("b", below=60.0)],
     "below 60 (b) and above 50 (a) leave no value without an alarm"),
    ([rule("a", above=50.0), rule("b", below=50.0)],
     "below 50 (b) and above 50 (a) leave no value without an alarm"),
    ([rule("a", above=50.0, enabled_by="running"), rule("b", below=60.0)],
     "below 60 (b) and above 50 (a) leave no value without an alarm"),
    ([rule("a", above=50.0, deadband=10.0), rule("b", below=40.0)],
     ("a deadband of 10 (a) is as wide as the 10 between its limit and that of b: one would clear only where the other"
      " raises")),
    ([rule("a", above=50.0), rule("b", below=40.0, deadband=12.0)],
     ("a deadband of 12 (b) is as wide as the 10 between its limit and that of a: one would clear only where the other"
      " raises")),
    ([rule("a", above=90.0), rule("b", above=80.0, priority=HIGH)],
     "a (medium, 90) and b (high, 80): the milder comes after the graver"),
    ([rule("a", below=5.0, priority=LOW), rule("b", below=10.0)],
     "a (low, 5) and b (medium, 10): the milder comes after the graver"),
    ([rule("a", above=80.0), rule("b", above=85.0, deadband=6.0, priority=HIGH)],
     ("a (medium, 80) and b (high, 85): a deadband of 6 is wider than the 5 between them: the graver would outlast the"
      " milder")),
    ([rule("a", above=100.0)], "a limit of 100 that t can never pass: its range is 0 to 100"),
    ([rule("a", below=0.0)], "a limit of 0 that t can never pass: its range is 0 to 100"),
    ([rule("a", above=3.0, deadband=3.0)], "with a deadband of 3 it could never clear: its range is 0 to 100"),
    ([rule("a", below=99.5)], "with a deadband of 1 it could never clear: its range is 0 to 100"),
    ([rule("a", kind="deviation", beyond=5.0, deadband=5.0)],
     "a deadband of 5 is as wide as the limit of 5: it could never clear"),
    ([rule("a", kind="zone", zone="C", above=2.8)],
     "zones are of velocities in mm/s; of t 'Cel' is no unit of vibration"),
)  # fmt: skip


@pytest.mark.parametrize(("rules", "words"), REFUSED, ids=lambda value: value[:40] if isinstance(value, str) else "")
def test_what_cannot(rules: list[Rule], words: str) -> None:
    assert wrong(*rules) == [words]


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"kind": "stale", "after_s": 1.9}, "`after_s`: 1.9 s are too short for polls 1 s apart"),
        ({"kind": "rate", "above": 5.0, "window_s": 4.0}, "`window_s`: 4 s are too short for polls 1 s apart"),
    ],
)
def test_what_polls_are_too_slow_for_falls_away_of_a_class_and_is_refused_of_a_site(
    figures: dict[str, Any], words: str
) -> None:
    machine = Machine({"t": TEMPERATURE})
    [of_class] = lay("press", [rule("a", **figures)], (), machine)
    assert of_class.off == words.partition(": ")[2]
    assert list(conflicts([of_class], machine)) == []
    of_site = SiteRule(id="a", tag="t", priority=LOW, sentence="s", **figures)
    assert [one.problem for one in conflicts(lay("press", [], [of_site], machine), machine)] == [words]


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("mm/s", ""), ("", "of t its unit is not declared"), ("g", "zones are of velocities, t is an acceleration (g)"),
        ("in/s", "zones are in mm/s, t is in in/s"),
    ],
)  # fmt: skip
def test_no_zone_is_claimed_of_what_is_not_known_to_be_a_velocity_in_mm_s(unit: str, words: str) -> None:
    zones = Zones(Boundaries(2.3, 4.5, 7.1), "group_1", (120.0, 30000.0))
    made = [rule("a", kind="zone", zone="C"), rule("b", kind="change")]
    found = wrong(*made, measured=Measured(unit, "vibration"), zones=zones)
    assert len(found) == (2 if words else 0)
    assert all(words in problem for problem in found)


FIGURE = st.floats(-1000.0, 1000.0).map(lambda x: round(x, 1))
SIDES = st.sampled_from(["above", "below"])
PLAIN = st.builds(
    lambda side, limit, priority, slack: {side: limit, "priority": priority, "deadband": slack},
    SIDES, FIGURE, st.sampled_from(list(Priority)), st.one_of(st.none(), st.floats(0.0, 500.0)),
)  # fmt: skip
OFF = st.builds(
    lambda limit, slack: {"kind": "deviation", "beyond": limit, "deadband": slack},
    st.floats(0.1, 100.0), st.one_of(st.none(), st.floats(0.0, 150.0)),
)  # fmt: skip
SPANS = st.one_of(st.none(), st.tuples(FIGURE, FIGURE).filter(lambda span: span[0] < span[1]))
KINDS = st.sampled_from(["temperature", "flow", "other"])


@given(st.lists(st.one_of(PLAIN, OFF), min_size=1, max_size=5), SPANS, KINDS)
def test_an_accepted_set_leaves_no_alarm_that_can_neither_raise_nor_clear(
    made: list[dict[str, Any]], span: tuple[float, float] | None, kind: str
) -> None:
    rules = [rule(f"r{i}", **figures) for i, figures in enumerate(made)]
    machine = Machine({"t": Measured("", kind, 1000, span)})
    laid = lay("press", rules, (), machine)
    assume(not list(conflicts(laid, machine)))
    for one in (found.rule for found in laid):
        figures = reachable(one, span)
        assert any(holds(one, figure, active=False) for figure in figures), "it can raise"
        assert any(holds(one, figure, active=True) is False for figure in figures), "it can clear"
    plain = [found.rule for found in laid if found.rule.kind == "limit"]
    lows, highs = ([one for one in plain if one.is_low is low] for low in (True, False))
    for low in lows:
        for high in highs:
            calm = [x for x in reachable(low, span) + reachable(high, span) if not holds(low, x, active=False)]
            assert any(holds(high, x, active=True) is False for x in calm), "one clears where the other does not raise"


def reachable(one: Rule, span: tuple[float, float] | None) -> list[float]:
    """Figures on both sides of all that matters to ``one``, among those that its tag can give."""
    assert one.limit is not None
    marks = (one.limit, one.limit - one.slack, one.limit + one.slack)
    near = [nudged for mark in marks for nudged in (mark, math.nextafter(mark, -1e9), math.nextafter(mark, 1e9))]
    if one.beyond is not None:
        return [0.0, *(figure for figure in near if figure >= 0.0)]
    low, high = span or (-1e6, 1e6)
    return [low, high, *(figure for figure in near if low <= figure <= high)]


SITE = """\
rule = [
    { id = "bearing_temperature_high", above = 99.0 },
    { id = "flow_low", below = 20.0 },
    { id = "flow_high", tag = "flow_m3_h", above = 15.0, priority = "low", sentence = "{name}" },
    { id = "oil", tag = "oil_c", above = 15.0, priority = "low", sentence = "{name}" },
    { id = "odd", tag = "speed_rpm", kind = "deviation", of = "set", beyond = 5.0, suppressed_by = "w1", \
priority = "low", sentence = "{name}" },
    { id = "moved", tag = "vibration_mm_s", kind = "change", priority = "low", sentence = "{name}" },
]
"""


def test_all_of_a_site_are_told_at_once_and_a_start_names_the_first(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(DEMO.replace('class = "centrifugal_pump"\n', f'class = "centrifugal_pump"\n{SITE}'))
    with pytest.raises(ConfigErrors) as error:
        load_site(path)
    assert str(error.value).startswith(
        f"{path}: `asset[1].rule` (oil): `tag`: no unit of this machine measures 'oil_c'"
    )
    assert str(error.value).endswith("5 more: `babbitt gateway check` prints them all")
    for command in (check, rules_command):
        said = CliRunner().invoke(command, [str(path)])
        assert said.exit_code == 2
        lines = [line for line in said.output.splitlines() if "asset[1].rule" in line]
        for words in (
            "(oil): `tag`: no unit of this machine measures 'oil_c' (tags: acceleration_rms_g",
            "(odd): `of`: no unit of this machine measures 'set'",
            "(odd): `suppressed_by`: no unit of this machine measures 'w1'",
            "(moved): kind change has no limit: no nameplate tells of vibration (give",
            "(bearing_temperature_high, bearing_temperature_too_high): bearing_temperature_high (medium, 99) and",
            "(flow_low, flow_high): below 20 (flow_low) and above 15 (flow_high) leave no value without an alarm",
        ):
            assert any(words in line for line in lines), words
        assert len(lines) == 6
