"""The chance of a failure before the next stop, by a bundle: against what became of machines that nobody had seen."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from edge.contract.types import Verdict
from edge.infer import Judge
from edge.infer.curve import failed_by, within
from edge.infer.opinion import Life
from tests.rooms.infer.machines import PERIOD_MS, asset_class, bundle, watched

HORIZONS_H = (24.0, 72.0, 168.0, 336.0)


@pytest.fixture(scope="module")
def told() -> list[tuple[float, Verdict]]:
    """Hours left and the verdict, of 8 spindles from the onset of wear to failure."""
    found = []
    for seed in range(4000, 4008):
        asset = watched("cnc_spindle", seed, life_h=110.0 + 90.0 * (seed - 4000), onset_h=100.0, every=10)
        rows = [(asset.machine.hour_meter_h, v, asset.machine.truth.life_h) for v in asset.verdicts()]
        end_h = asset.machine.hour_meter_h
        found += [(end_h - hour_h, v) for hour_h, v, life_h in rows if v.rul_h is not None and life_h is not None]
    return found


def test_what_is_likely_happens_and_what_is_not_does_not(told: list[tuple[float, Verdict]]) -> None:
    """Brier score of four horizons, beside that of always saying the share that failed."""
    pairs = [(failed_by(v.survival, h), left_h <= h) for left_h, v in told for h in HORIZONS_H]
    chance = np.array([p for p, _ in pairs if p is not None])
    failed = np.array([f for p, f in pairs if p is not None], dtype=float)
    assert len(chance) > 0.9 * len(pairs)
    assert np.mean((chance - failed) ** 2) < 0.4 * np.mean(failed) * (1.0 - np.mean(failed))
    assert np.mean(failed[chance < 0.05]) < 0.08
    assert np.mean(failed[chance > 0.9]) > 0.85


def test_every_curve_falls_through_the_ends_of_its_interval(told: list[tuple[float, Verdict]]) -> None:
    for _, v in told:
        assert v.survival[0].survives == 1.0
        assert all(a.at_h <= b.at_h and a.survives >= b.survives for a, b in pairwise(v.survival))
        assert v.rul_low_h is not None
        assert v.rul_high_h is not None
        if v.rul_high_h < 900.0:
            assert failed_by(v.survival, v.rul_high_h) == pytest.approx(0.95)
        if 1.0 < v.rul_low_h < 900.0:
            assert failed_by(v.survival, v.rul_low_h) == pytest.approx(0.05)


def test_beyond_the_cap_nothing_is_known_and_beyond_the_curve_nearly_all_have_failed() -> None:
    levels, places = (0.1, 0.5, 0.9), (-0.6, 0.0, 0.7)
    near = within(Life(100.0, 50.0, 200.0), 1000.0, levels, places)
    assert failed_by(near, 5000.0) == pytest.approx(0.95)
    far = within(Life(850.0, 400.0, 1000.0), 1000.0, levels, places)
    assert far[-1].survives == pytest.approx(0.1)
    assert failed_by(far, 880.0) == pytest.approx(0.5 + 0.4 * 30.0 / (far[-1].at_h - 850.0), abs=0.01)
    assert failed_by(far, 999.0) is None
    farther = within(Life(995.0, 700.0, 1000.0), 1000.0, levels, places)
    assert farther[-1].at_h == pytest.approx(995.0)
    assert farther[-1].survives == 0.5
    healthy = within(Life(935.0, 720.0, 966.0), 1000.0, levels, places)
    assert failed_by(healthy, 1700.0) is None
    safe = within(Life(1000.0, 995.0, 1000.0), 1000.0, levels, places)
    assert failed_by(safe, 500.0) == pytest.approx(0.05 * 500.0 / 995.0)


def test_a_bundle_from_before_has_the_ends_alone() -> None:
    curve = within(Life(100.0, 50.0, 200.0), 1000.0, (), ())
    assert [(p.at_h, round(p.survives, 2)) for p in curve] == [(0.0, 1.0), (50.0, 0.95), (200.0, 0.05)]


def test_a_judge_without_papers_or_stop_says_neither() -> None:
    asset = watched("cnc_spindle", 1)
    asset.judge = Judge("asset-1", asset_class("cnc_spindle"), bundle("cnc_spindle"), PERIOD_MS)
    for _ in range(100):
        asset.poll()
    verdict = asset.verdict()
    assert (verdict.stop_h, verdict.failure_p, verdict.basis) == (None, None, "bundle")
