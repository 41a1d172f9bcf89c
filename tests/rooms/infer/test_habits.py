"""Without a bundle each regime of speed and load has its own usual: nothing at full speed may be an alarm at idle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from edge.contract.types import Batch, Quality, Verdict
from edge.infer import Judge
from tests.rooms.infer.machines import asset_class

STEP_NS = 30_000_000_000
FULL, IDLE = (1500.0, 5.0), (300.0, 0.8)
"""Speed and usual vibration."""


class Machine:
    """Runs an hour at full speed and one at idle in turn while it is learned, polled every half minute."""

    def __init__(self) -> None:
        self.judge = Judge("asset-1", asset_class("centrifugal_pump"), None, 30_000)
        self.rng = np.random.default_rng(1)
        self.polls = 0
        for hour in range(6):
            for _ in range(120):
                speed, usual = FULL if hour % 2 == 0 else IDLE
                self.poll(speed, usual * math.exp(0.05 * self.rng.standard_normal()))

    def batch(self, speed: float, vibration: Any) -> Batch:
        self.polls += 1
        now = self.polls * STEP_NS
        load = 80.0 if speed > 1000.0 else 10.0
        wobble = self.rng.standard_normal(2)
        values = (speed * (1.0 + 0.005 * wobble[0]), load + wobble[1], vibration)
        quality = (Quality.GOOD, Quality.GOOD, Quality.GOOD if vibration is not None else Quality.BAD_BUS)
        return Batch("asset-1", ("speed_rpm", "load_percent", "vibration_mm_s"), values, quality, (now,) * 3, now, now)

    def poll(self, speed: float, vibration: Any, *others: Judge) -> None:
        batch = self.batch(speed, vibration)
        for judge in (self.judge, *others):
            judge.observe(batch)

    def verdict(self, judge: Judge | None = None) -> Verdict:
        found = (judge or self.judge).verdict(self.polls * STEP_NS, mono_ns=self.polls * STEP_NS)
        assert found is not None
        return found


def habits(verdict: Verdict) -> list[str]:
    return [reason.words for reason in verdict.reasons if "is usual" in reason.words]


def test_what_is_usual_at_full_speed_is_an_alarm_at_idle() -> None:
    machine = Machine()
    for _ in range(10):
        machine.poll(FULL[0], 5.2)
        assert not habits(machine.verdict())
        assert not machine.verdict().anomalous
    for _ in range(10):
        machine.poll(IDLE[0], 5.2)
    verdict = machine.verdict()
    assert verdict.anomalous
    assert verdict.anomaly is not None
    assert verdict.anomaly > 1.0
    assert habits(verdict) == ["vibration 5.2 mm/s at a speed and load where 0.8 is usual"]
    assert verdict.reasons[0].since_ns == (machine.polls - 9) * STEP_NS
    for _ in range(3):
        machine.poll(IDLE[0], 0.8)
    assert not habits(machine.verdict())


def test_one_knock_and_a_regime_never_seen_say_nothing() -> None:
    machine = Machine()
    for vibration in (0.8, 9.0, 0.8, 9.0, 9.0, 0.8, None, math.nan):
        machine.poll(IDLE[0], vibration)
        assert not habits(machine.verdict())
    for _ in range(50):
        machine.poll(2900.0, 20.0)
    assert not habits(machine.verdict())


def test_a_restart_goes_on_to_the_bit() -> None:
    machine = Machine()
    for _ in range(2):
        machine.poll(IDLE[0], 5.2)
    twin = Judge("asset-1", asset_class("centrifugal_pump"), None, 30_000)
    assert twin.restore(machine.judge.state())
    again = Judge.resumed(machine.judge.checkpoint(), lambda _: pytest.fail("it has no bundle"))
    for vibration in (5.2, 5.3, 0.8, 5.2, 0.8, 0.8, 0.8):
        machine.poll(IDLE[0], vibration, twin, again)
        assert habits(machine.verdict()) == habits(machine.verdict(twin)) == habits(machine.verdict(again))
    assert machine.judge.checkpoint() == again.checkpoint()
    assert machine.judge.state() == twin.state()
    assert len(machine.judge.state()) < 60_000
