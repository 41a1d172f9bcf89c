"""What a fleet shows of ageing: lives from their beginning, replaced ones censored, and none that began before data."""

from __future__ import annotations

import numpy as np
import pytest

from cloud.learn.ages import fleet_ages
from cloud.learn.lives import Life
from cloud.learn.survival import TooFewError


def life(asset: str, number: int, end_h: float, *, failed: bool) -> Life:
    none = np.zeros(0)
    return Life(
        "g", asset, number, np.zeros((0, 1), np.float32), none, none, none.astype(np.int64), end_h, 0, failed,
        none.astype(bool),
    )  # fmt: skip


def fleet(seed: int, assets: int, *, lives: int = 3, shape: float = 2.0) -> list[Life]:
    """Machines renewed at each end, seen from a random age on; half are replaced by plan before they fail."""
    rng = np.random.default_rng(seed)
    found = []
    for asset in range(assets):
        hour_h = -float(rng.uniform(0.0, 500.0))
        for number in range(1, lives + 1):
            lasts_h, plan_h = 1000.0 * float(rng.weibull(shape)), float(rng.uniform(500.0, 1500.0))
            hour_h = max(hour_h + min(lasts_h, plan_h), 1.0)
            found.append(life(f"m{asset}", number, hour_h, failed=lasts_h <= plan_h))
    return found


def test_the_law_of_a_fleet_is_found_although_half_are_replaced_healthy() -> None:
    ages = fleet_ages(fleet(1, 400))
    assert ages.lives == 800
    assert 300 < ages.failures < 600
    assert ages.shape == pytest.approx(2.0, rel=0.1)
    assert ages.scale_h == pytest.approx(1000.0, rel=0.05)


def test_few_failures_are_known_less_well() -> None:
    spreads = [fleet_ages(fleet(2, assets)).spread for assets in (3, 30, 300)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[0] > 5.0 * spreads[-1]


def test_a_first_life_has_no_known_age() -> None:
    with pytest.raises(TooFewError, match="no life of the data is known from its beginning"):
        fleet_ages([life("a", 1, 500.0, failed=True), life("b", 1, 700.0, failed=True)])
    alone = [life("a", 1, 500.0, failed=True), life("a", 2, 800.0, failed=False)]
    with pytest.raises(TooFewError, match="none of 1 machines has failed"):
        fleet_ages(alone)
    one = fleet_ages([*alone, life("a", 3, 1000.0, failed=True)])
    assert (one.failures, one.lives, one.shape) == (1, 2, 1.5)
    assert one.spread > 0.5
