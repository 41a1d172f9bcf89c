"""The judge over machines that it has never seen: from healthy to failed, through faults, gaps and restarts."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from itertools import groupby

import numpy as np
import pytest

from edge.contract.types import Urgency, Verdict, urgency_of
from edge.infer import Judge
from edge.infer.opinion import NOT_ENOUGH
from edge.plant.machine import Machine
from tests.rooms.infer.machines import (
    MODEL_OF,
    PERIOD_MS,
    PERIOD_NS,
    Watched,
    asset_class,
    batch,
    bundle,
    judge,
    watched,
)

IN_ORDER = [Urgency.UNKNOWN, Urgency.NORMAL, Urgency.WARNING, Urgency.CRITICAL]


def walk(verdicts: list[Verdict]) -> list[Urgency]:
    return [urgency for urgency, _ in groupby(v.urgency for v in verdicts)]


@pytest.mark.parametrize("name", MODEL_OF)
def test_to_failure_at_the_demos_pace_urgency_only_rises_and_the_end_is_seen_coming(name: str) -> None:
    """Ten machines that wear out in 300 to 400 h, polled every 1.4 h: every step in order, CRITICAL a day ahead."""
    in_order = 0
    for seed in range(500, 510):
        asset = watched(name, seed, life_h=300.0 + 10.0 * (seed - 500), onset_h=140.0)
        verdicts, hours = [], []
        for verdict in asset.verdicts():
            verdicts.append(verdict)
            hours.append(asset.machine.hour_meter_h)
        critical_h = next((h for v, h in zip(verdicts, hours, strict=True) if v.urgency is Urgency.CRITICAL), hours[-1])
        in_order += walk(verdicts) == IN_ORDER and asset.machine.hour_meter_h - critical_h >= 20.0
        assert verdicts[-1].anomalous
        assert verdicts[-1].health is not None
        assert verdicts[-1].health < 20.0
    assert in_order >= 9, f"{in_order} of 10 machines"


@pytest.mark.parametrize("name", MODEL_OF)
def test_a_slower_clock_tells_the_same_story(name: str) -> None:
    asset = watched(name, 77, pace_h=0.1, life_h=200.0, onset_h=60.0, every=20)
    assert walk(list(asset.verdicts())) == IN_ORDER


@pytest.mark.parametrize("name", MODEL_OF)
def test_healthy_machines_raise_no_alarm(name: str) -> None:
    """500 verdicts of each of 5 machines; the bundle claims fewer than one such machine in 60 ever does."""
    for seed in range(600, 605):
        asset = watched(name, seed, every=1)
        verdicts = list(asset.verdicts(until_h=800.0))
        judged = [v for v in verdicts if v.urgency is not Urgency.UNKNOWN]
        assert len(judged) >= 500
        assert not any(v.anomalous for v in judged), f"seed {seed}"
        assert all(v.urgency is Urgency.NORMAL for v in judged), f"seed {seed}"


def test_the_promised_interval_holds_on_machines_never_seen() -> None:
    """The settled interval of the verdicts, not the model's own: 88 % or more over machines with visible wear."""
    shares = []
    for seed in range(700, 712):
        asset = watched("cnc_spindle", seed, life_h=120.0 + 60.0 * (seed - 700), onset_h=100.0)
        rows = [
            (asset.machine.hour_meter_h, v.rul_low_h, v.rul_high_h)
            for v in asset.verdicts()
            if v.rul_h is not None and asset.machine.truth.wear > 0.1
        ]
        end_h = asset.machine.hour_meter_h
        inside = [
            low <= min(end_h - hour, 1000.0) <= high for hour, low, high in rows if low is not None and high is not None
        ]
        shares.append(np.mean(inside))
    assert np.mean(shares) >= 0.85


def test_every_verdict_is_whole() -> None:
    asset = watched("centrifugal_pump", 3, life_h=300.0, onset_h=150.0)
    for v in asset.verdicts():
        assert v.bundle == bundle("centrifugal_pump").hash
        assert 0.0 <= v.coverage <= 1.0
        assert sum(r.share for r in v.reasons) <= 1.0 + 1e-9
        assert v.urgency is urgency_of(v.rul_low_h)
        if v.urgency is Urgency.UNKNOWN:
            assert v.note.startswith(NOT_ENOUGH)
            assert (v.rul_h, v.rul_low_h, v.rul_high_h) == (None, None, None)
        else:
            assert v.rul_h is not None
            assert v.rul_low_h is not None
            assert v.rul_high_h is not None
            assert v.health is not None
            assert 0.0 <= v.rul_low_h <= v.rul_h <= v.rul_high_h <= 1000.0
            assert 0.0 <= v.health <= 100.0
            assert v.anomaly is not None
            assert math.isfinite(v.anomaly)


def test_reasons_name_the_signal_its_size_and_how_long() -> None:
    asset = watched("cnc_spindle", 5, life_h=350.0, onset_h=140.0)
    worn = list(asset.verdicts(until_h=330.0))[-1]
    words = {r.tag: r.words for r in worn.reasons}
    assert "kurtosis" in words
    assert "was 3.0 when healthy" in words["kurtosis"]
    assert "rising for" in words["kurtosis"]
    assert [r.share for r in worn.reasons] == sorted((r.share for r in worn.reasons), reverse=True)


def test_while_it_learns_it_says_so() -> None:
    asset = watched("extruder_drive", 1)
    assert asset.judge.verdict(0, mono_ns=0) is None
    first = next(iter(asset.verdicts()))
    assert first.urgency is Urgency.UNKNOWN
    assert "learning the healthy baseline" in first.note
    assert first.health is None


@pytest.mark.parametrize(("tag", "word"), [("kurtosis", "kurtosis"), ("hour_meter_h", "hour meter")])
def test_a_signal_that_never_comes_is_named(tag: str, word: str) -> None:
    asset = watched("cnc_spindle", 1)
    for _ in range(120):
        asset.poll(bad=(tag,))
    assert asset.verdict().urgency is Urgency.UNKNOWN
    assert f"{NOT_ENOUGH}: no good reading of {word}" in asset.verdict().note


@pytest.mark.parametrize(("tag", "word"), [("kurtosis", "kurtosis"), ("hour_meter_h", "hour meter")])
def test_a_signal_that_goes_silent_ends_the_judgement_and_its_return_resumes_it(tag: str, word: str) -> None:
    asset = watched("cnc_spindle", 1)
    for _ in range(100):
        asset.poll()
    assert asset.verdict().urgency is Urgency.NORMAL
    for _ in range(40):
        asset.poll(bad=(tag,))
    assert asset.verdict().urgency is Urgency.UNKNOWN
    assert f"no good reading of {word}" in asset.verdict().note
    for _ in range(5):
        asset.poll()
    assert asset.verdict().urgency is Urgency.NORMAL


def test_a_gap_in_the_polls_is_missing_evidence() -> None:
    asset = watched("cnc_spindle", 1)
    for _ in range(100):
        asset.poll()
    assert asset.verdict().coverage == 1.0
    later = asset.judge.verdict(0, mono_ns=(asset.polls + 60) * PERIOD_NS)
    assert later is not None
    assert later.coverage < 0.5
    assert later.urgency is Urgency.UNKNOWN
    assert "of the expected readings were good" in later.note


def test_a_wall_clock_that_jumps_is_no_gap() -> None:
    asset = watched("cnc_spindle", 1)
    for _ in range(100):
        asset.poll()
    for at_ns in (0, 2**62):
        verdict = asset.judge.verdict(at_ns, mono_ns=asset.polls * PERIOD_NS)
        assert verdict is not None
        assert (verdict.coverage, verdict.urgency, verdict.at_ns) == (1.0, Urgency.NORMAL, at_ns)


def test_a_dead_unit_is_no_evidence() -> None:
    asset = watched("cnc_spindle", 1)
    tags = tuple(asset.poll().tags)
    for _ in range(99):
        asset.poll()
    for _ in range(25):
        asset.poll(bad=tags)
    assert asset.verdict().coverage == pytest.approx(5 / 30, abs=0.01)
    assert asset.verdict().urgency is Urgency.UNKNOWN


def unbalanced(machine: Machine) -> None:
    machine.unbalance(4.0)


def test_an_unbalance_is_an_anomaly_but_no_wear_and_no_life_is_guessed() -> None:
    for name in MODEL_OF:
        asset = watched(name, 9)
        list(asset.verdicts(until_h=150.0))
        unbalanced(asset.machine)
        after = list(asset.verdicts(until_h=260.0))
        assert after[-1].anomalous
        assert after[-1].urgency is Urgency.UNKNOWN
        assert after[-1].rul_h is None
        assert "not trained on" in after[-1].note
        assert after[-1].reasons[0].tag == "vibration_mm_s"
        assert all(v.urgency is not Urgency.CRITICAL for v in after), name


def test_after_a_repair_all_is_well_again_within_a_day() -> None:
    asset = watched("centrifugal_pump", 4, life_h=300.0, onset_h=120.0)
    worn = list(asset.verdicts(until_h=380.0))[-1]
    assert worn.urgency is Urgency.CRITICAL
    asset.machine.repair()
    healed = list(asset.verdicts(until_h=asset.machine.hour_meter_h + 24.0))[-1]
    assert healed.urgency is Urgency.NORMAL
    assert healed.health is not None
    assert healed.health > 90.0


def test_a_pace_beyond_the_training_widens_the_interval_and_is_said() -> None:
    asset = watched("cnc_spindle", 2, pace_h=4.0, every=1)
    verdict = list(asset.verdicts(until_h=400.0))[-1]
    assert "polled every 4.0 h of machine time" in verdict.note
    assert "interval widened" in verdict.note


def outage(asset: Watched, hours: float) -> None:
    """The gateway is off; the machine runs on."""
    end_h = asset.machine.hour_meter_h + hours
    while asset.machine.hour_meter_h < end_h:
        asset.machine.step(0.5)


@pytest.mark.parametrize(("name", "seed"), [("extruder_drive", 604), ("extruder_drive", 602), ("cnc_spindle", 613)])
def test_a_healthy_machine_raises_nothing_for_a_day_or_three_that_nobody_watched(name: str, seed: int) -> None:
    """What is not known widens the interval that is shown, with the reason, and is no evidence of wear."""
    for hours in (25.0, 72.0):
        asset = watched(name, seed, every=1)
        list(asset.verdicts(until_h=100.0))
        for _ in range(6):
            outage(asset, hours)
            first, *others = asset.verdicts(until_h=asset.machine.hour_meter_h + 30.0)
            assert "interval widened" in first.note
            assert {v.urgency for v in (first, *others)} == {Urgency.NORMAL}, f"after {hours} h"


def test_after_a_gap_the_interval_is_wide_until_the_averages_have_forgotten_it() -> None:
    asset = watched("cnc_spindle", 1, every=1)
    before = list(asset.verdicts(until_h=200.0))[-1]
    outage(asset, 30.0)
    noted = ["for more than 12 h of its last days" in v.note for v in asset.verdicts(until_h=330.0)]
    assert "widened" not in before.note
    hours = 1.4 * sum(noted)
    assert 24.0 < hours < 72.0
    assert not noted[-1]


def test_a_worn_machine_that_ran_unwatched_fails_within_its_interval() -> None:
    """30 h unwatched in the middle of its wear: over the two days after, the interval covers nine in ten."""
    inside = []
    for seed in range(900, 908):
        asset = watched("centrifugal_pump", seed, pace_h=0.3, every=20, life_h=300.0, onset_h=150.0)
        list(asset.verdicts(until_h=280.0))
        outage(asset, 30.0)
        rows = [(asset.machine.hour_meter_h, v) for v in asset.verdicts(until_h=358.0)]
        list(asset.verdicts())
        for hour, v in rows:
            if v.rul_low_h is not None and v.rul_high_h is not None:
                inside.append(v.rul_low_h <= asset.machine.hour_meter_h - hour <= v.rul_high_h)
    assert len(inside) > 50
    assert np.mean(inside) >= 0.9, f"{np.mean(inside):.2f}"


def test_polled_too_rarely_a_healthy_machine_warns_no_oftener_than_at_the_slowest_pace_of_the_training() -> None:
    def warnings(pace_h: float) -> int:
        found = [walk(list(watched("extruder_drive", seed, pace_h=pace_h, every=1).verdicts(until_h=900.0)))
                 for seed in range(600, 608)]  # fmt: skip
        return sum(urgency in (Urgency.WARNING, Urgency.CRITICAL) for steps in found for urgency in steps)

    assert warnings(4.0) <= warnings(2.0)


@pytest.mark.parametrize("name", MODEL_OF)
def test_wear_that_came_while_nobody_watched_is_called_once_it_is_seen(name: str) -> None:
    for seed in range(640, 644):
        asset = watched(name, seed, pace_h=0.3, every=3, life_h=200.0)
        list(asset.verdicts(until_h=150.0))
        asset.machine.begin_wear()
        outage(asset, 140.0)
        end_h = asset.machine.hour_meter_h + 12.0
        raised = {v.urgency for v in asset.verdicts(until_h=end_h)}
        assert raised & {Urgency.WARNING, Urgency.CRITICAL}, f"seed {seed}: {raised}"


def test_a_restart_in_the_middle_of_a_gap_continues_to_the_bit() -> None:
    asset = watched("extruder_drive", 604, life_h=250.0, onset_h=120.0)
    list(asset.verdicts(until_h=250.0))
    outage(asset, 30.0)
    asset.poll()
    twin = judge("extruder_drive")
    assert twin.restore(asset.judge.state())
    assert twin.verdict(0, mono_ns=asset.polls * PERIOD_NS) == asset.verdict()
    assert twin.state() == asset.judge.state()


def test_asked_twice_it_answers_the_same() -> None:
    asset = watched("cnc_spindle", 5, life_h=350.0, onset_h=100.0)
    list(asset.verdicts(until_h=300.0))
    first = asset.verdict()
    assert all(asset.verdict() == first for _ in range(20))


@pytest.mark.parametrize("stop_h", [30.0, 200.0, 400.0])
def test_a_restart_continues_to_the_bit(stop_h: float) -> None:
    asset = watched("extruder_drive", 8, life_h=350.0, onset_h=140.0)
    list(asset.verdicts(until_h=stop_h))
    twin = judge("extruder_drive")
    assert twin.restore(asset.judge.state())
    for _ in range(60):
        taken = asset.poll()
        twin.observe(taken)
        assert asset.verdict() == twin.verdict(0, mono_ns=asset.polls * PERIOD_NS)
    assert asset.judge.state() == twin.state()


def test_a_new_bundle_keeps_the_learned_baseline_and_judges_anew() -> None:
    asset = watched("cnc_spindle", 8)
    list(asset.verdicts(until_h=200.0))
    newer = dataclasses.replace(bundle("cnc_spindle"), hash="0" * 64)
    twin = Judge("asset-1", asset_class("cnc_spindle"), newer, PERIOD_MS)
    assert twin.restore(asset.judge.state())
    verdict = twin.verdict(0, mono_ns=asset.polls * PERIOD_NS)
    assert verdict is not None
    assert verdict.bundle == "0" * 64
    assert verdict.urgency is Urgency.NORMAL


@pytest.mark.parametrize("state", [b"", b"{}", b"[]", b"\xff", b'{"version":1,"mind":{}}', b'{"version":99}'])
def test_state_that_is_none_of_ours_is_refused(state: bytes) -> None:
    fresh = judge("cnc_spindle")
    assert not fresh.restore(state)
    assert fresh.verdict(0, mono_ns=0) is None


def test_state_of_another_class_is_refused() -> None:
    asset = watched("centrifugal_pump", 8)
    list(asset.verdicts(until_h=150.0))
    assert not judge("cnc_spindle").restore(asset.judge.state())


def test_observing_and_judging_cost_little() -> None:
    """Of this thread's own time: what else the machine does is not the judge's."""
    asset = watched("cnc_spindle", 8)
    list(asset.verdicts(until_h=150.0))
    observe_s, verdict_s = [], []
    for _ in range(300):
        asset.machine.step(1.4)
        asset.polls += 1
        taken = batch(asset.machine.signals(), asset.polls)
        start = time.thread_time()
        asset.judge.observe(taken)
        between = time.thread_time()
        asset.verdict()
        observe_s.append(between - start)
        verdict_s.append(time.thread_time() - between)
    assert np.median(observe_s) < 200e-6
    assert np.quantile(verdict_s, 0.99) < 5e-3


def test_an_anomaly_comes_with_its_p_value_and_its_reasons_with_their_beginning() -> None:
    """Of n healthy machines of the bundle none scored so high: 1 / (n + 1), and no less can be said."""
    highest = (0.5, 0.6, 0.7, 0.8)
    trained = bundle("cnc_spindle")
    novelty = dataclasses.replace(trained.novelty, healthy=tuple(x * trained.novelty.threshold for x in highest))
    asset = watched("cnc_spindle", 5, life_h=350.0, onset_h=140.0)
    asset.judge = Judge("asset-1", asset_class("cnc_spindle"), dataclasses.replace(trained, novelty=novelty), PERIOD_MS)
    worn = list(asset.verdicts(until_h=330.0))[-1]
    assert worn.anomalous
    assert worn.anomaly_p == 1 / (len(highest) + 1)
    assert all(0 < reason.since_ns < asset.polls * PERIOD_NS for reason in worn.reasons)


def test_after_a_repair_the_alarm_was_right_and_has_spent_nothing() -> None:
    asset = watched("centrifugal_pump", 4, life_h=300.0, onset_h=120.0)
    assert list(asset.verdicts(until_h=380.0))[-1].anomalous
    assert json.loads(asset.judge.state())["mind"]["budget"]["raised"]
    asset.machine.repair()
    assert not list(asset.verdicts(until_h=asset.machine.hour_meter_h + 24.0))[-1].anomalous
    budget = json.loads(asset.judge.state())["mind"]["budget"]
    assert (budget["raised"], budget["limit"]) == ([], 1.0)
