"""How long, hard and hot an asset ran is kept by its judge, through restarts."""

from __future__ import annotations

import json

import pytest

from edge.contract.types import Batch, Quality, Value
from edge.infer import Judge
from tests.rooms.infer.machines import asset_class

STEP_NS = 30_000_000_000
START_NS = 1_790_000_000_000_000_000


def fresh() -> Judge:
    return Judge("asset-1", asset_class("centrifugal_pump"), None, 30_000)


def poll(judge: Judge, number: int, **changed: Value) -> None:
    values: dict[str, Value] = {
        "bearing_temperature_c": 50.0 + number * 1e-3, "load_percent": 70.0, "speed_rpm": 1450.0, **changed,
    }  # fmt: skip
    at = START_NS + number * STEP_NS
    quality = tuple(Quality.GOOD if v is not None else Quality.BAD_BUS for v in values.values())
    tags, numbers = tuple(values), tuple(values.values())
    judge.observe(Batch("asset-1", tags, numbers, quality, (at,) * len(tags), at, number * STEP_NS))


def test_hours_load_and_temperature_of_a_pump() -> None:
    judge = fresh()
    for number in range(241):
        poll(judge, number)
    for number in range(241, 300):
        poll(judge, number, speed_rpm=0.0, load_percent=0.0)
    found = judge.worked
    assert found["operating_h"] == pytest.approx(2.0 + 1.0 / 120.0)
    assert found["load_mean"] == pytest.approx(70.0)
    assert found["load_variance"] == pytest.approx(0.0, abs=1e-6)
    assert found["temperature_peak_c"] == pytest.approx(50.299)


def test_a_tag_that_says_so_outranks_the_speed() -> None:
    judge = fresh()
    for number in range(121):
        poll(judge, number, running=False)
    assert judge.worked["operating_h"] == 0.0
    assert "load_mean" not in judge.worked


def test_missing_readings_and_a_restart_lose_nothing_that_was_known() -> None:
    judge = fresh()
    for number in range(100):
        poll(judge, number, **({"bearing_temperature_c": None} if number % 3 else {}))
    twin = fresh()
    assert twin.restore(judge.state())
    for number in range(100, 140):
        poll(judge, number)
        poll(twin, number)
    assert twin.worked == judge.worked
    assert json.loads(twin.state())["worked"] == json.loads(judge.state())["worked"]
