"""The same reading means different things at different speeds and loads."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.features.regime import Condition, Regimes

CONDITIONS = (Condition("speed_rpm", ratio=1.25), Condition("load_percent", width=25.0))
IDLE, FULL = {"speed_rpm": 300.0, "load_percent": 10.0}, {"speed_rpm": 1500.0, "load_percent": 80.0}


def poll(regime: dict[str, float], vibration: object) -> dict[str, object]:
    return {**regime, "vibration_mm_s": vibration}


def learned(seed: int = 1) -> tuple[Regimes, list[float]]:
    """A healthy machine: about 5 mm/s at full speed, 0.8 at idle; with all that it was shown."""
    regimes = Regimes("vibration_mm_s", CONDITIONS)
    rng, shown = np.random.default_rng(seed), []
    for _ in range(60):
        for regime, usual in ((FULL, 5.0), (IDLE, 0.8)):
            shown.append(usual * math.exp(0.05 * rng.standard_normal()))
            assert regimes.update(poll(regime, shown[-1])) is None
    return regimes, shown


def test_what_is_usual_at_full_speed_is_an_alarm_at_idle() -> None:
    regimes, shown = learned()
    full, idle = regimes.update(poll(FULL, 5.2)), regimes.update(poll(IDLE, 5.2))
    assert full is not None
    assert idle is not None
    assert abs(full.strength) < 2.0
    assert idle.strength > 10.0
    assert idle.usual == pytest.approx(0.8, rel=0.05)
    # Blind to the regime nobody could tell: 5.2 is no more than this far off all that was seen.
    assert abs(5.2 - np.mean(shown)) / np.std(shown) < 1.5


def test_a_regime_that_was_not_seen_says_nothing() -> None:
    regimes, _ = learned()
    assert regimes.learned == 2
    assert regimes.update(poll({"speed_rpm": 3000.0, "load_percent": 80.0}, 50.0)) is None


def test_wear_does_not_teach_itself_to_be_normal() -> None:
    regimes, _ = learned()
    strengths = []
    for i in range(5000):
        standing = regimes.update(poll(FULL, 5.0 * (1.0 + i / 5000.0)))
        assert standing is not None
        strengths.append(standing.strength)
    assert strengths[-1] > 10.0
    assert strengths[-1] == max(strengths)


def test_wild_readings_while_learning_do_not_blind_it() -> None:
    regimes = Regimes("vibration_mm_s", CONDITIONS)
    rng = np.random.default_rng(2)
    for i in range(60):
        regimes.update(poll(FULL, 900.0 if i in (20, 40) else 5.0 * math.exp(0.05 * rng.standard_normal())))
    standing = regimes.update(poll(FULL, 10.0))
    assert standing is not None
    assert standing.strength > 5.0


@pytest.mark.parametrize(
    "values",
    [
        poll(FULL, None), poll(FULL, math.nan), poll(FULL, 0.0), poll(FULL, -1.0), poll(FULL, True),
        {"vibration_mm_s": 5.0}, poll({"speed_rpm": 0.0, "load_percent": 1.0}, 5.0),
        poll({"speed_rpm": math.inf, "load_percent": 1.0}, 5.0),
    ],
)  # fmt: skip
def test_bad_readings_and_standstill_teach_nothing(values: dict[str, object]) -> None:
    regimes, _ = learned()
    before = regimes.kept()
    assert regimes.update(values) is None
    assert regimes.kept() == before


def test_its_memory_is_bounded() -> None:
    regimes = Regimes("vibration_mm_s", CONDITIONS)
    for i in range(1000):
        regimes.update(poll({"speed_rpm": 1000.0, "load_percent": 25.0 * i}, 5.0))
    assert len(regimes.kept()["cells"]) == 64
    assert len(json.dumps(regimes.kept())) < 5000


VALUES = st.fixed_dictionaries({
    "speed_rpm": st.one_of(st.none(), st.floats(1.0, 4000.0)),
    "load_percent": st.one_of(st.none(), st.floats(-10.0, 150.0)),
    "vibration_mm_s": st.one_of(st.none(), st.just(math.nan), st.floats(1e-3, 1e3)),
})  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.lists(VALUES, max_size=60), st.lists(VALUES, max_size=30))
def test_kept_state_makes_a_twin_that_stays_bit_equal(first: list[Any], then: list[Any]) -> None:
    one, twin = (Regimes("vibration_mm_s", CONDITIONS, learn=11) for _ in range(2))
    for values in first:
        one.update(values)
    assert twin.restore(json.loads(json.dumps(one.kept())))
    assert [one.update(v) for v in then] == [twin.update(v) for v in then]
    assert one.kept() == twin.kept()


def test_state_of_other_conditions_is_refused() -> None:
    regimes, _ = learned()
    other = Regimes("vibration_mm_s", CONDITIONS[:1])
    assert not other.restore(regimes.kept())
    assert not other.restore({"version": 1})
    assert not other.restore(other.kept() | {"cells": [[1, 2.0, math.nan, 0.0]]})
    assert other.kept()["cells"] == []


@pytest.mark.parametrize(("ratio", "width"), [(0.0, 0.0), (1.0, 0.0), (1.25, 5.0), (0.5, 0.0), (0.0, -1.0)])
def test_a_condition_is_cut_one_way(ratio: float, width: float) -> None:
    with pytest.raises(ValueError, match="give a ratio"):
        Condition("speed_rpm", ratio=ratio, width=width)
