"""Temperature, load and operating hours: what a week of polls says, at any pace and through any mishap."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.features.duty import Duty
from edge.features.slow import HOUR_NS, SlowSignal

START_NS = 1_790_000_000_000_000_000 // HOUR_NS * HOUR_NS


def warming(window: SlowSignal, *, hours: int, per_day: float = 0.5, polls_an_hour: int = 4, start_h: int = 0) -> None:
    """60 °C, warmer by ``per_day`` each day, with a daily swing of 3 K."""
    for i in range(hours * polls_an_hour):
        h = start_h + i / polls_an_hour
        window.update(
            60.0 + per_day * h / 24.0 + 3.0 * math.sin(2.0 * math.pi * h / 24.0), START_NS + round(h * HOUR_NS)
        )


def test_the_slope_of_seven_days() -> None:
    window = SlowSignal()
    warming(window, hours=168, per_day=0.5)
    assert window.slope_per_day == pytest.approx(0.5, abs=0.15)
    assert window.mean == pytest.approx(60.0 + 0.5 * 3.5, abs=0.05)
    assert window.peak == pytest.approx(63.0 + 0.5 * 6.25, abs=0.1)
    assert window.covered == 1.0


def test_a_straight_line_is_found_exactly() -> None:
    window = SlowSignal()
    for h in range(168):
        window.update(40.0 + 0.25 * h, START_NS + h * HOUR_NS)
    assert window.slope_per_day == pytest.approx(6.0, rel=1e-9)


def test_only_the_last_week_counts() -> None:
    window = SlowSignal()
    warming(window, hours=24 * 30, per_day=0.0)
    window.update(500.0, START_NS - 2 * HOUR_NS)
    assert window.peak == pytest.approx(63.0, abs=0.01)
    for h in range(24 * 30, 24 * 38):
        window.update(20.0 + 0.001 * (h % 2), START_NS + h * HOUR_NS)
    assert window.mean == pytest.approx(20.0, abs=0.01)
    assert window.slope_per_day == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("polls_an_hour", [1, 4, 60])
def test_the_pace_of_polling_does_not_bend_the_mean(polls_an_hour: int) -> None:
    """Half of the week is polled so often, half once an hour."""
    window = SlowSignal()
    for h in range(168):
        for i in range(polls_an_hour if h < 84 else 1):
            window.update(50.0 if h < 84 else 70.0, START_NS + h * HOUR_NS + i * HOUR_NS // polls_an_hour)
    assert window.mean == pytest.approx(60.0)
    assert window.variance == pytest.approx(100.0)


def test_gaps_leave_the_slope_where_it_was() -> None:
    window = SlowSignal()
    for h in range(168):
        if not 40 <= h < 110:
            window.update(40.0 + 0.1 * h, START_NS + h * HOUR_NS)
    assert window.slope_per_day == pytest.approx(2.4, rel=1e-9)
    assert window.covered == pytest.approx(98 / 168)


def test_longer_steps_say_the_same_from_less() -> None:
    hourly, sparse = SlowSignal(), SlowSignal(step_h=4)
    for window in (hourly, sparse):
        warming(window, hours=168, per_day=0.5)
    assert sparse.slope_per_day == pytest.approx(hourly.slope_per_day, abs=0.05)
    assert sparse.mean == pytest.approx(hourly.mean, abs=0.1)
    assert sparse.peak == hourly.peak
    assert sparse.covered == 1.0
    assert len(json.dumps(sparse.kept())) < 4_000
    assert not hourly.restore(sparse.kept())


def test_too_little_has_no_slope() -> None:
    window = SlowSignal()
    assert (window.mean, window.peak, window.variance, window.slope_per_day) == (None, None, None, None)
    warming(window, hours=60)
    assert window.slope_per_day is None
    assert window.mean is not None


def test_a_stuck_sensor_has_no_trend() -> None:
    window = SlowSignal()
    warming(window, hours=100)
    for h in range(100, 130):
        window.update(61.5, START_NS + h * HOUR_NS)
    assert window.unchanged_h == pytest.approx(29.0)
    assert window.slope_per_day is None
    window.update(61.6, START_NS + 130 * HOUR_NS)
    assert window.slope_per_day is not None


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, "hot", True])
def test_a_bad_reading_changes_nothing(bad: Any) -> None:
    window = SlowSignal()
    warming(window, hours=100)
    before = window.kept()
    window.update(bad, START_NS + 100 * HOUR_NS)
    assert window.kept() == before


def test_hours_count_while_it_runs_and_not_across_a_gap() -> None:
    duty = Duty()
    for s in range(0, 3601, 10):
        duty.update(START_NS + s * 1_000_000_000, running=True, load=50.0)
    assert duty.operating_h == pytest.approx(1.0)
    duty.update(START_NS + 2 * HOUR_NS, running=True, load=50.0)
    assert duty.operating_h == pytest.approx(1.0)
    duty.update(START_NS + 2 * HOUR_NS + 30_000_000_000, running=False, load=0.0)
    duty.update(START_NS + 2 * HOUR_NS + 60_000_000_000, running=None)
    duty.update(START_NS + 2 * HOUR_NS + 90_000_000_000, running=True)
    assert duty.operating_h == pytest.approx(1.0 + 30.0 / 3600.0)
    duty.update(START_NS, running=True)
    assert duty.operating_h == pytest.approx(1.0 + 30.0 / 3600.0)


def test_a_standstill_is_no_load_of_zero() -> None:
    duty = Duty()
    for h in range(48):
        running = h % 2 == 0
        load = (40.0 if h % 4 == 0 else 60.0) if running else 0.0
        duty.update(START_NS + h * HOUR_NS, running=running, load=load, temperature_c=50.0)
    found = duty.features()
    assert found["load_mean"] == pytest.approx(50.0)
    assert found["load_variance"] == pytest.approx(100.0)
    assert found["temperature_mean_c"] == found["temperature_peak_c"] == 50.0
    assert "temperature_slope_c_per_day" not in found


READING = st.one_of(st.none(), st.booleans(), st.floats(-1e6, 1e6), st.just(math.nan))
POLLS = st.lists(st.tuples(st.integers(-50, 400), READING, READING, st.booleans()), max_size=30)


@settings(max_examples=60, deadline=None)
@given(POLLS, POLLS)
def test_kept_state_makes_a_twin_that_stays_bit_equal(first: list[Any], then: list[Any]) -> None:
    duty = Duty()
    for minutes, load, temperature, running in first:
        duty.update(START_NS + minutes * HOUR_NS // 10, running=running, load=load, temperature_c=temperature)
    twin = Duty()
    assert twin.restore(json.loads(json.dumps(duty.kept())))
    for minutes, load, temperature, running in then:
        for one in (duty, twin):
            one.update(START_NS + minutes * HOUR_NS // 10, running=running, load=load, temperature_c=temperature)
    assert twin.kept() == duty.kept()
    assert twin.features() == duty.features()
    assert all(math.isfinite(value) for value in duty.features().values())


def test_damaged_state_is_refused_and_changes_nothing() -> None:
    duty = Duty()
    duty.update(START_NS, running=True, load=1.0, temperature_c=2.0)
    kept = duty.kept()
    damages: tuple[dict[str, Any], ...] = (
        {"version": 9}, {"operating_h": math.nan}, {"load": {}}, {"last_ns": None}, {"temperature": None},
    )  # fmt: skip
    for damage in damages:
        fresh = Duty()
        assert not fresh.restore(kept | damage)
        assert fresh.kept() == Duty().kept()
    assert not SlowSignal(24).restore(SlowSignal(48).kept())
    assert Duty().restore(kept)
