"""What limits are laid on beside the value: rates, deviations, ages; by themselves and on the desk."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.alarm import AlarmDesk, Watched
from edge.alarm.baseline import APART_NS, LEARNED_OF, REGIMES_MAX, Baseline
from edge.alarm.gauges import Rate
from edge.config.asset_class import AssetClass
from edge.config.rule import Rule
from edge.contract.types import Batch, Priority, Quality, Tag, Value
from edge.features.severity import Boundaries

S = 10**9
WALL = 1_800_000_000 * S
TAGS = tuple(
    Tag(tag, unit, title, "other", 1)
    for tag, unit, title in (("t_c", "Cel", "Oil"), ("set_c", "Cel", "Setpoint"), ("speed_rpm", "1/min", "Speed"))
)


def desk_of(**figures: object) -> AlarmDesk:
    rule = Rule(
        id="r", tag="t_c", priority=Priority.LOW, sentence="{name} {value} {unit} past {limit}",
        **figures,  # type: ignore[arg-type]
    )  # fmt: skip
    made = AssetClass(id="press", title="Press", source="test", watch=("t_c",), speed="speed_rpm", rule=(rule,))
    return AlarmDesk([Watched("press", "Press", made, 1000, TAGS)])


def poll(at_s: float, t: Value, setpoint: Value = 50.0, speed: Value = 1500.0) -> Batch:
    values = (t, setpoint, speed)
    quality = tuple(Quality.BAD_DEVICE if v is None else Quality.GOOD for v in values)
    mono_ns = round(at_s * S)
    return Batch("press", tuple(tag.tag for tag in TAGS), values, quality, (WALL,) * 3, WALL + mono_ns, mono_ns)


def said(desk: AlarmDesk, polls: Iterable[Batch]) -> list[tuple[float, str]]:
    """When which sentence was said of the rule, with the desk ticking at each poll."""
    found = []
    for batch in polls:
        changes = desk.observe(batch) + desk.tick(batch.read_ns, mono_ns=batch.mono_ns)
        found += [(batch.mono_ns / S, alarm.sentence) for alarm in changes if alarm.rule == "r"]
    return found


def rates(value: Callable[[float], float], *, until_s: int = 120, either_way: bool = False) -> list[float | None]:
    gauge = Rate(60 * S, either_way=either_way)
    return [gauge.read(value(t), t * S) for t in range(until_s)]


def test_the_rate_of_a_ramp_is_its_slope_a_minute_and_is_told_once_most_of_the_window_was_seen() -> None:
    told = rates(lambda t: 20.0 + 3.0 * t / 60.0)
    assert told[:48] == [None] * 48
    assert all(rate == pytest.approx(3.0) for rate in told[48:])


@pytest.mark.parametrize(("either_way", "expected"), [(False, -3.0), (True, 3.0)])
def test_a_fall_is_a_rate_below_nothing_or_how_fast_it_goes(either_way: bool, expected: float) -> None:
    assert rates(lambda t: -3.0 * t / 60.0, either_way=either_way)[-1] == pytest.approx(expected)


@settings(deadline=None)
@given(at=st.integers(0, 119), spike=st.floats(-1e6, 1e6), slope=st.floats(-10.0, 10.0))
def test_one_wild_reading_does_not_make_a_rate(at: int, spike: float, slope: float) -> None:
    told = rates(lambda t: spike if t == at else slope * t / 60.0)
    assert all(rate is None or rate == pytest.approx(slope, abs=1e-6) for rate in told)


def test_noise_hardly_moves_a_rate() -> None:
    noise = random.Random(7)
    told = rates(lambda t: 2.0 * t / 60.0 + noise.gauss(0.0, 0.05), until_s=1000)
    assert all(rate is None or abs(rate - 2.0) < 0.3 for rate in told)


def test_after_a_gap_there_is_no_rate_until_the_window_was_seen_again() -> None:
    gauge = Rate(60 * S, either_way=False)
    for t in range(60):
        gauge.read(0.0, t * S)
    assert [gauge.read(50.0, t * S) for t in range(600, 640)] == [None] * 40


def test_a_temperature_that_climbs_too_fast_is_an_alarm_in_its_own_words() -> None:
    desk = desk_of(kind="rate", above=2.0, deadband=0.2)
    polls = [poll(t, 40.0 + (min(t, 200) * 3.0 / 60.0)) for t in range(400)]
    (first_s, raised), (_, cleared) = said(desk, polls)
    assert 48 <= first_s <= 60
    assert raised == "Press 3.00 °C/min past 2"
    assert cleared.startswith("Press: Oil, its rate is back at 1.")


def test_a_value_that_leaves_its_setpoint_by_too_much_is_an_alarm_whichever_way() -> None:
    for off in (-6.0, 6.0):
        desk = desk_of(kind="deviation", of="set_c", beyond=5.0, deadband=1.0)
        steps = [(0, 50.0), (1, 50.0 + off), (2, 54.5), (3, 53.0)]
        told = said(desk, [poll(t, value) for t, value in steps])
        assert told == [(1.0, "Press 6.0 °C past 5"), (3.0, "Press: Oil, how far it is off is back at 3.0 °C")]


def test_a_setpoint_that_moves_away_raises_it_too_and_one_that_is_not_known_says_nothing() -> None:
    desk = desk_of(kind="deviation", of="set_c", above=5.0)
    assert said(desk, [poll(0, 90.0, setpoint=None)]) == []
    assert said(desk, [poll(1, 50.0, setpoint=44.0)]) == [(1.0, "Press 6.0 °C past 5")]
    assert said(desk, [poll(2, 50.0, setpoint=None)]) == [], "the last one is good for five polls"
    assert said(desk, [poll(t, 10.0, setpoint=None) for t in (7, 8)]) == []
    assert said(desk, [poll(9, 50.0)]) == [(9.0, "Press: Oil, how far it is off is back at 0.0 °C")]


def hours(value: Callable[[float], float], until_h: float, speed: float = 1500.0, from_h: float = 0.0) -> list[Batch]:
    """A poll each ten seconds."""
    return [poll(t, value(t), speed=speed) for t in range(round(from_h * 3600), round(until_h * 3600), 10)]


@pytest.mark.parametrize("wild", [math.inf, -math.inf, 1.7e308])
def test_what_is_not_finite_neither_ends_a_deviation_nor_teaches_a_baseline(wild: float) -> None:
    desk = desk_of(kind="deviation", of="set_c", beyond=5.0)
    assert [s for s, _ in said(desk, [poll(1, 60.0)])] == [1.0]
    assert said(desk, [poll(2, math.inf, math.inf), poll(3, wild, -wild)]) == [], "no difference: it stands"
    desk = desk_of(kind="deviation", beyond=5.0)
    polls = [poll(60 * t, math.inf if t % 3 else 2.0) for t in range(3 * LEARNED_OF + 1)]
    assert said(desk, polls) == []
    assert [text for _, text in said(desk, [poll(20_000, 2.0), poll(20_001, 9.0)])] == ["Press 7.0 °C past 5"]


def test_a_rate_of_an_infinity_is_none_and_ends_no_alarm() -> None:
    desk = desk_of(kind="rate", beyond=5.0)
    assert len(said(desk, [poll(t, float(t)) for t in range(60)])) == 1
    assert said(desk, [poll(60 + t, math.inf) for t in range(60)]) == []


def test_a_significant_change_is_one_of_a_quarter_of_b_c_from_its_own_baseline() -> None:
    limit = Boundaries(2.3, 4.5, 7.1).significant_mm_s
    assert limit == 1.125
    desk = desk_of(kind="change", beyond=limit, deadband=0.1)
    assert said(desk, hours(lambda _: 0.8, 1.1)) == [], "criterion II: 0.8 + 0.25 * 4.5 = 1.925 mm/s"
    assert said(desk, hours(lambda _: 1.925, 1.2, from_h=1.1)) == []
    [(_, words)] = said(desk, hours(lambda _: 1.93, 1.3, from_h=1.2))
    assert words == "Press 1.1 °C past 1.125"


def test_a_baseline_is_of_one_speed_and_a_standing_machine_has_none() -> None:
    desk = desk_of(kind="deviation", beyond=1.0)
    assert said(desk, hours(lambda _: 2.0, 1.1)) == []
    assert said(desk, hours(lambda _: 9.0, 1.5, speed=3000.0, from_h=1.1)) == [], "another regime, not learned yet"
    assert said(desk, hours(lambda _: 0.0, 3.0, speed=0.0, from_h=1.5)) == []
    assert [s for s, _ in said(desk, hours(lambda _: 4.0, 3.1, from_h=3.0))] == [3.0 * 3600]


def test_what_is_learned_is_carried_over_a_restart_and_wear_does_not_teach() -> None:
    desk, again = (desk_of(kind="deviation", beyond=1.0) for _ in range(2))
    said(desk, hours(lambda _: 2.0, 1.1))
    again.restore_learned(desk.learned())
    assert again.learned() == desk.learned()
    assert [s for s, _ in said(again, hours(lambda t: 2.0 + t / 3600, 2.5, from_h=1.1))] == [3960.0]


def test_another_rule_of_the_same_id_takes_no_baseline_of_another_tag() -> None:
    desk, again = desk_of(kind="deviation", beyond=1.0), desk_of(kind="deviation", beyond=1.0)
    said(desk, hours(lambda _: 2.0, 1.1))
    again.restore_learned(desk.learned().replace(b'"t_c"', b'"u_c"'))
    assert said(again, hours(lambda _: 9.0, 1.1)) == []


@pytest.mark.parametrize("damaged", [b"", b"[]", b'{"press": {"r": 5}}', b'{"press": {"r": {"usual": {"x": 1}}}}'])
def test_a_memory_that_is_damaged_is_learned_anew(damaged: bytes) -> None:
    desk = desk_of(kind="deviation", beyond=1.0)
    desk.restore_learned(damaged)
    assert said(desk, hours(lambda _: 2.0, 1.1)) == []


@given(st.lists(st.tuples(st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 1e5)), max_size=50))
def test_a_baseline_takes_any_speed_and_its_memory_is_bounded(readings: list[tuple[float, float]]) -> None:
    baseline = Baseline()
    for i, (speed, value) in enumerate(readings):
        usual = baseline.usual(value, speed, i * APART_NS)
        assert usual is None or math.isfinite(usual)
    kept = baseline.kept()
    assert len(kept["usual"]) + len(kept["seen"]) <= REGIMES_MAX
    assert all(len(seen) < LEARNED_OF for seen in kept["seen"].values())


def test_a_tag_with_a_time_limit_of_its_own_is_stale_after_it_and_not_before() -> None:
    desk = desk_of(kind="stale", after_s=30.0, off_delay_s=1.0)
    reads = [poll(t, 1.0 if t < 10 else None) for t in range(60)]
    assert said(desk, reads) == [(40.0, "Press 31 s past 30")], "the last good one was at 9 s"
    assert said(desk, [poll(60 + t, 1.0) for t in range(5)]) == [(61.0, "Press: Oil is read again")]


def test_of_a_tag_that_has_grown_old_no_delay_elapses() -> None:
    stale = Rule(id="old", tag="t_c", kind="stale", after_s=20.0, priority=Priority.LOW, sentence="{name}")
    hot = Rule(id="r", tag="t_c", above=80.0, on_delay_s=60.0, priority=Priority.HIGH, sentence="{name} is hot")
    made = AssetClass(id="press", title="Press", source="test", watch=("t_c", "set_c"), rule=(hot, stale))
    desk = AlarmDesk([Watched("press", "Press", made, 1000, TAGS)])
    polls = [poll(0, 50.0), poll(1, 99.0)]
    assert said(desk, polls) == []
    for t in range(2, 120):
        desk.observe(Batch("press", ("set_c",), (50.0,), (Quality.GOOD,), (WALL,), WALL + t * S, t * S))
        told = desk.tick(WALL + t * S, mono_ns=t * S)
        assert [alarm.rule for alarm in told] == (["old"] if t == 22 else []), "one reading is no minute"
    assert said(desk, [poll(120 + t, 99.0) for t in range(70)]) == [(180.0, "Press is hot")]


def test_a_tag_that_was_never_read_is_stale_from_its_limit_on_and_a_restart_does_not_clear_it() -> None:
    desk, again = (desk_of(kind="stale", after_s=30.0) for _ in range(2))
    assert [s for s, _ in said(desk, [poll(t, None) for t in range(40)])] == [31.0]
    again.restore(desk.state().get)
    assert said(again, [poll(t, None) for t in range(40)]) == []
    assert [s for s, _ in said(again, [poll(40, 1.0)])] == [40.0]
