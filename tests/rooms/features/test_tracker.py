"""What an asset's departure from its own baseline means, at any polling pace and through any mishap."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.features.baseline import fit
from edge.features.tracker import FeatureSpec, FeatureTracker, Signal

SPEC = FeatureSpec(
    signals=(Signal("vibration_mm_s", log=True), Signal("bearing_c", minus="ambient_c")),
    conditions=("load_percent",),
    hour_meter="hour_meter_h",
    running="running",
)


def reading(hour: float, *, ratio: float = 1.0, noise: float = 0.0, **changed: Any) -> dict[str, Any]:
    """A machine whose vibration follows its load; ``ratio`` is its departure."""
    load = 50.0 + 10.0 * math.sin(hour)
    values = {
        "vibration_mm_s": (0.5 + 0.01 * load) * ratio * math.exp(noise),
        "bearing_c": 40.0 + 0.1 * load,
        "ambient_c": 20.0,
        "load_percent": load,
        "running": True,
        "hour_meter_h": hour,
    }
    return values | changed


def feed(tracker: FeatureTracker, values: dict[str, Any]) -> bool:
    return tracker.update(values, values["hour_meter_h"])


def learned(pace_h: float = 1.0, *, seed: int = 1, sigma: float = 0.01) -> tuple[FeatureTracker, float]:
    tracker, hour = FeatureTracker(SPEC), 0.0
    rng = np.random.default_rng(seed)
    while not tracker.ready:
        feed(tracker, reading(hour, noise=sigma * rng.standard_normal()))
        hour += pace_h
    return tracker, hour


def test_names_and_vector_belong_together() -> None:
    tracker, _ = learned()
    assert SPEC.names[0] == "vibration_mm_s.mean_6h"
    assert len(tracker.vector()) == len(SPEC.names) == 7
    assert tracker.vector().dtype == np.float32


def test_a_doubling_is_the_logarithm_of_two_whatever_the_load() -> None:
    tracker, hour = learned()
    for i in range(500):
        feed(tracker, reading(hour + i, ratio=2.0))
    vibration = tracker.departures()[:, 0]
    assert vibration == pytest.approx([math.log(2.0)] * 3, abs=0.05)
    assert tracker.departures()[:, 1] == pytest.approx([0.0] * 3, abs=0.2)


@pytest.mark.parametrize("pace_h", [1.0 / 3600.0, 0.1, 0.5, 2.0])
def test_features_mean_the_same_at_every_pace(pace_h: float) -> None:
    """40 h after a step by 1.5 each average is 1 - exp(-40 / tau) of the way, from a poll a second to one in 2 h."""
    baseline, hour = learned(0.5)
    tracker = FeatureTracker(SPEC)
    assert tracker.restore(baseline.state())
    start = hour
    while hour < start + 40.0:
        hour += pace_h
        feed(tracker, reading(hour, ratio=1.5))
    expected = [math.log(1.5) * -math.expm1(-40.0 / tau) for tau in SPEC.taus_h]
    assert tracker.departures()[:, 0] == pytest.approx(expected, abs=0.02)
    assert tracker.risen_h()[0] == pytest.approx(40.0, abs=4.0 + 2.0 * pace_h)


def test_the_baseline_wants_a_day_of_operation_or_more() -> None:
    dense, sparse = learned(0.01)[1], learned(2.0)[1]
    assert dense == pytest.approx(24.0, abs=0.6)
    assert sparse == pytest.approx(96.0, abs=4.1)


def test_wild_readings_do_not_tilt_the_baseline() -> None:
    rng = np.random.default_rng(3)
    load = rng.uniform(40.0, 60.0, 48)
    truth = 1.0 + 0.02 * (load - 50.0)
    signals = truth + 0.01 * rng.standard_normal(48)
    signals[[5, 17, 30, 41]] += 8.0
    baseline = fit(signals[:, None], load[:, None])
    for at in (42.0, 50.0, 58.0):
        assert baseline.expected(np.array([at]))[0] == pytest.approx(1.0 + 0.02 * (at - 50.0), abs=0.03)
    assert baseline.spread[0] < 0.03


def test_a_condition_that_never_varied_gets_no_slope_and_strange_loads_are_not_extrapolated() -> None:
    rng = np.random.default_rng(4)
    still = fit(rng.standard_normal((48, 1)), np.full((48, 1), 50.0))
    assert still.expected(np.array([50.0])) == pytest.approx(still.expected(np.array([90.0])))
    load = rng.uniform(40.0, 60.0, 48)
    steep = fit((0.1 * load)[:, None], load[:, None])
    assert steep.expected(np.array([500.0]))[0] < 7.0


def test_a_machine_at_rest_teaches_nothing() -> None:
    tracker, hour = learned()
    before = tracker.vector()
    for i in range(100):
        assert not feed(tracker, reading(hour + i, ratio=9.0, running=False))
    assert np.array_equal(before, tracker.vector())


def test_a_poll_torn_across_a_stop_is_no_departure() -> None:
    """Its first request still found the machine running, its second found zeros."""
    tracker, hour = learned()
    before = tracker.vector()
    zeros = {"vibration_mm_s": 0.03, "bearing_c": 30.0, "load_percent": 0.0}
    for i in range(1, 4):
        assert not feed(tracker, reading(hour + i, running=True, **zeros))
    assert np.array_equal(before, tracker.vector())


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -1.0, 0.0, "broken", True])
def test_a_bad_reading_is_a_gap_not_a_number(bad: Any) -> None:
    tracker, hour = learned()
    for i in range(1, 30):
        feed(tracker, reading(hour + i, vibration_mm_s=bad, bearing_c=90.0 + 0.1 * reading(hour + i)["load_percent"]))
    assert np.isfinite(tracker.vector()).all()
    assert tracker.departures()[0, 0] == pytest.approx(0.0, abs=0.02)
    assert tracker.departures()[0, 1] == pytest.approx(50.0, rel=0.05)
    assert tracker.silent_h()[0] == pytest.approx(30.0, abs=1.1)
    assert tracker.silent_h()[1] == 0.0


def test_without_a_signal_nothing_is_learned_and_its_name_is_known() -> None:
    tracker = FeatureTracker(SPEC)
    for hour in range(200):
        feed(tracker, reading(float(hour), bearing_c=None))
    assert not tracker.ready
    assert tracker.never_seen() == ("bearing_c",)


def test_a_replaced_hour_meter_keeps_what_was_learned() -> None:
    tracker, hour = learned()
    for i in range(100):
        feed(tracker, reading(hour + i, ratio=2.0))
    before = tracker.departures()
    feed(tracker, reading(0.0, ratio=2.0))
    assert np.array_equal(tracker.departures(), before)
    for i in range(20):
        feed(tracker, reading(float(i), ratio=2.0))
    assert tracker.departures()[0, 0] == pytest.approx(math.log(2.0), abs=0.05)
    assert np.isfinite(tracker.vector()).all()


def test_a_repair_is_noticed_within_hours_but_a_lucky_reading_is_not() -> None:
    tracker, hour = learned()
    for i in range(200):
        feed(tracker, reading(hour + i, ratio=3.0))
    feed(tracker, reading(hour + 200.0))
    feed(tracker, reading(hour + 201.0, ratio=3.0))
    assert tracker.renewals == 0
    for i in range(8):
        feed(tracker, reading(hour + 202.0 + i))
    assert tracker.renewals == 1
    assert np.abs(tracker.departures()).max() < 0.1
    assert tracker.risen_h().max() == 0.0


VALUE = st.one_of(st.floats(allow_nan=True, allow_infinity=True, width=32), st.none(), st.booleans(), st.integers())


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 80),
    st.lists(st.tuples(st.floats(-1.0, 5.0), VALUE, VALUE, VALUE), max_size=40),
    st.lists(st.tuples(st.floats(-1.0, 5.0), VALUE, VALUE, VALUE), max_size=20),
)
def test_state_makes_a_twin_that_stays_bit_equal(warm: int, first: list[Any], then: list[Any]) -> None:
    tracker = FeatureTracker(SPEC)
    hour = 0.0
    for i in range(warm):
        hour = float(i)
        feed(tracker, reading(hour, noise=0.01 * math.sin(7.0 * i)))
    for step, vibration, bearing, load in first:
        hour = max(0.0, hour + step)
        feed(tracker, reading(hour, vibration_mm_s=vibration, bearing_c=bearing, load_percent=load))
    twin = FeatureTracker(SPEC)
    assert twin.restore(tracker.state())
    for step, vibration, bearing, load in then:
        hour = max(0.0, hour + step)
        values = reading(hour, vibration_mm_s=vibration, bearing_c=bearing, load_percent=load)
        assert feed(tracker, values) == feed(twin, values)
    assert tracker.state() == twin.state()
    if tracker.ready:
        assert np.array_equal(tracker.vector(), twin.vector())
        assert np.isfinite(tracker.vector()).all()


def test_foreign_or_damaged_state_is_refused_and_changes_nothing() -> None:
    tracker, _ = learned()
    other = FeatureTracker(FeatureSpec(SPEC.signals, SPEC.conditions, SPEC.hour_meter, taus_h=(1.0, 2.0, 3.0)))
    assert not other.restore(tracker.state())
    assert not other.ready
    fresh = FeatureTracker(SPEC)
    state = tracker.state()
    for damaged in (b"", state[:-1], state[:-8], state + bytes(8), b"\x09" + state[1:]):
        assert not fresh.restore(damaged)
    assert fresh.restore(state)


def test_the_specification_survives_json() -> None:
    import json

    assert FeatureSpec.from_json(json.loads(json.dumps(SPEC.as_json()))) == SPEC


def test_the_baseline_knows_speed_what_is_usual_at_full_speed_is_not_at_idle() -> None:
    """About 5 mm/s at 1500 1/min and 80 %, 0.8 at 300 and 10 %: 5.2 is none there, and sixfold here."""
    spec = FeatureSpec((Signal("vibration_mm_s", log=True),), ("speed_rpm", "load_percent"), "hour_meter_h")
    rng = np.random.default_rng(5)

    def values(full: bool, vibration: float) -> dict[str, Any]:
        speed, load = (1500.0, 80.0) if full else (300.0, 10.0)
        return {
            "vibration_mm_s": vibration, "speed_rpm": speed * (1.0 + 0.01 * rng.standard_normal()),
            "load_percent": load + rng.standard_normal(),
        }  # fmt: skip

    found = {}
    for full in (True, False):
        tracker, hour = FeatureTracker(spec), 0.0
        while not tracker.ready:
            at_full = int(hour) % 2 == 0
            usual = 5.0 if at_full else 0.8
            tracker.update(values(at_full, usual * math.exp(0.05 * rng.standard_normal())), hour)
            hour += 1.0
        for i in range(400):
            tracker.update(values(full, 5.2), hour + i)
        found[full] = tracker.departures()[:, 0]
    assert found[True] == pytest.approx([math.log(5.2 / 5.0)] * 3, abs=0.1)
    assert found[False] == pytest.approx([math.log(5.2 / 0.8)] * 3, abs=0.15)
