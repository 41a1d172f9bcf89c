"""A settled life and the hours that nobody watched."""

from __future__ import annotations

import pytest

from edge.infer.opinion import Life
from edge.infer.settle import SettledLife

CAP_H = 1000.0
HEALTHY, WORN = Life(940.0, 700.0, 1000.0), Life(200.0, 120.0, 320.0)


def settled(first: Life) -> SettledLife:
    life = SettledLife()
    life.settle(first, 100.0, cap_h=CAP_H, anomalous=False)
    return life


def test_hours_that_nobody_watched_do_not_draw_it_to_a_single_answer() -> None:
    life, watched = settled(HEALTHY), settled(HEALTHY)
    after = life.settle(WORN, 124.0, cap_h=CAP_H, anomalous=False, unseen_h=23.9)
    assert after.low_h > 168.0
    assert watched.settle(WORN, 124.0, cap_h=CAP_H, anomalous=False).low_h == pytest.approx(WORN.low_h, rel=0.01)


def test_an_end_in_sight_comes_nearer_also_while_nobody_watches() -> None:
    after = settled(WORN).settle(WORN, 160.0, cap_h=CAP_H, anomalous=False, unseen_h=60.0)
    assert (after.rul_h, after.low_h, after.high_h) == pytest.approx((140.0, 60.0, 260.0))


def test_a_life_known_as_longer_only_does_not_run_down_by_hours_that_nobody_watched() -> None:
    after = settled(HEALTHY).settle(HEALTHY, 800.0, cap_h=CAP_H, anomalous=False, unseen_h=700.0)
    assert (after.rul_h, after.low_h, after.high_h) == pytest.approx((940.0, 700.0, 1000.0))


def test_an_improvement_does_not_last_by_hours_that_nobody_watched() -> None:
    life = settled(WORN)
    life.settle(HEALTHY, 101.0, cap_h=CAP_H, anomalous=False)
    assert life.settle(HEALTHY, 131.0, cap_h=CAP_H, anomalous=False, unseen_h=29.0).low_h < 168.0
    assert life.settle(HEALTHY, 156.0, cap_h=CAP_H, anomalous=False).low_h > 168.0
