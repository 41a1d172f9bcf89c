"""A judge with a sensor that it does not believe: it judges on, says without whom, and its interval is wider."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edge.contract.types import SensorFault, Urgency, Verdict
from edge.features.tracker import FeatureSpec, FeatureTracker
from edge.infer import Judge
from edge.infer.doubt import Doubt
from edge.infer.opinion import NOT_ENOUGH
from tests.rooms.infer.machines import PERIOD_MS, asset_class, bundle, watched

CLASS = "cnc_spindle"


def drifting(hours: float, *, kelvin_per_h: float, seed: int = 21) -> list[Verdict]:
    """A healthy spindle whose bearing thermometer drifts from 300 h on, polled once an hour."""
    asset = watched(CLASS, seed, pace_h=1.0, every=1)
    found = list(asset.verdicts(until_h=300.0))
    asset.machine.drift_sensor("bearing_temperature_c", kelvin_per_h)
    return found + list(asset.verdicts(until_h=hours))


def test_a_drifting_thermometer_is_named_and_the_machine_judged_without_it() -> None:
    verdicts = drifting(800.0, kelvin_per_h=-0.01)
    last = verdicts[-1]
    [sensor] = last.sensors
    assert sensor.fault is SensorFault.DRIFTING
    assert sensor.quarantined
    assert {"bearing", "temperature"} <= set(sensor.words.split())
    assert last.urgency is Urgency.NORMAL
    assert not last.anomalous
    assert "judged without bearing temperature" in last.note
    assert "interval widened" in last.note
    healthy = list(watched(CLASS, 21, pace_h=1.0, every=1).verdicts(until_h=800.0))[-1]
    assert healthy.rul_low_h is not None
    assert last.rul_low_h is not None
    assert last.rul_low_h < healthy.rul_low_h
    assert not any(v.urgency in (Urgency.WARNING, Urgency.CRITICAL) for v in verdicts)


def test_a_fast_drift_that_could_be_a_hot_bearing_is_called_within_a_week() -> None:
    """Before the watch had said whose fault it is, the models can only see a hot bearing."""
    verdicts = drifting(520.0, kelvin_per_h=1.0)
    named = next(i for i, v in enumerate(verdicts) if v.sensors)
    assert named < 300 + 168
    assert all(v.urgency is Urgency.NORMAL for v in verdicts[named:])


def test_wear_is_still_seen_beside_a_drifting_sensor() -> None:
    asset = watched(CLASS, 23, pace_h=1.0, every=1, life_h=300.0)
    list(asset.verdicts(until_h=300.0))
    asset.machine.drift_sensor("power_kw", 0.05)
    list(asset.verdicts(until_h=450.0))
    assert "power_kw" in {s.tag for s in asset.verdict().sensors}
    asset.machine.begin_wear()
    verdicts = list(asset.verdicts())
    assert verdicts[-1].urgency is Urgency.CRITICAL
    assert verdicts[-1].anomalous


def test_a_restart_in_the_middle_of_a_quarantine_goes_on_to_the_bit() -> None:
    asset, twin = (watched(CLASS, 24, pace_h=1.0, every=1) for _ in range(2))
    for one in (asset, twin):
        list(one.verdicts(until_h=250.0))
        one.machine.drift_sensor("power_kw", 0.05)
        list(one.verdicts(until_h=420.0))
        assert one.verdict().sensors
    again = Judge("asset-1", asset_class(CLASS), bundle(CLASS), PERIOD_MS)
    assert again.restore(twin.judge.state())
    twin.judge = again
    assert list(asset.verdicts(until_h=520.0)) == list(twin.verdicts(until_h=520.0))


def test_a_state_of_before_there_was_a_watch_is_gone_on_with() -> None:
    asset = watched(CLASS, 25, pace_h=1.0)
    list(asset.verdicts(until_h=120.0))
    kept = json.loads(asset.judge.state())
    del kept["sensors"]
    again = Judge("asset-1", asset_class(CLASS), bundle(CLASS), PERIOD_MS)
    assert again.restore(json.dumps(kept).encode())
    asset.judge = again
    asset.poll()
    assert NOT_ENOUGH not in asset.verdict().note


class TestDoubt:
    SPEC = FeatureSpec.from_json(bundle(CLASS).features)

    def test_a_condition_that_is_not_believed_leaves_nothing_to_judge_under(self) -> None:
        assert Doubt(self.SPEC, frozenset({"speed_rpm"})).too_much == "speed is not believed"

    def test_half_of_the_signals_must_be_left(self) -> None:
        tags = [s.tag for s in self.SPEC.signals]
        assert Doubt(self.SPEC, frozenset(tags[:3])).too_much == ""
        assert "4 of 7 signals" in Doubt(self.SPEC, frozenset(tags[:4])).too_much

    def test_what_is_taken_above_a_doubted_sensor_is_doubted_too(self) -> None:
        doubt = Doubt(self.SPEC, frozenset({"ambient_temperature_c"}))
        assert [self.SPEC.signals[i].tag for i in doubt.signals] == ["bearing_temperature_c"]

    @pytest.mark.parametrize("tag", ["bearing_temperature_c", "kurtosis"])
    def test_what_a_doubted_sensor_said_makes_no_difference(self, tag: str) -> None:
        """Two trackers that differ in this one signal alone give the same features, to the bit."""
        judged = bundle(CLASS)
        trackers = [FeatureTracker(self.SPEC), FeatureTracker(self.SPEC)]
        draw = np.random.default_rng(5)
        for hour in range(160):
            values: dict[str, object] = {t: 5.0 + 0.1 * draw.standard_normal() for t in self.SPEC.tags}
            trackers[0].update(values, float(hour))
            other = 9.0 if hour > 100 else 5.0
            trackers[1].update({**values, tag: other + 0.1 * draw.standard_normal()}, float(hour))
        from edge.infer.prognosis import Prognosis

        familiar = Prognosis(judged)._strangeness.reproduced
        doubt = Doubt(self.SPEC, frozenset({tag}))
        one, two = (doubt.filled(t, judged.familiar.scaling, familiar) for t in trackers)
        assert one.tobytes() == two.tobytes()
        assert np.isfinite(one).all()
