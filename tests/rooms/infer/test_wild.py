"""Registers that are read wrongly, for a moment or for good: a judge goes on, and what it says can be sealed."""

from __future__ import annotations

import math
import random

import pytest

from edge.contract.seal import Link
from edge.contract.types import Value, Verdict
from edge.features.tracker import number
from edge.infer import Judge
from edge.plant.machines import MACHINES
from tests.rooms.infer.machines import MODEL_OF, PERIOD_MS, PERIOD_NS, asset_class, batch, bundle

WILD: tuple[Value, ...] = (
    1e308, -1e308, 1e200, 1e155, 1e30, 1e29, 5e-324, -1e-9, -0.0, 0.0, 1e18, -1.0, 2**63 - 1, -(2**63), True, "text",
    math.nan, math.inf,
)  # fmt: skip


def test_what_no_reading_can_be_is_no_number() -> None:
    for found in (10**400, -(10**400), 1e31, math.inf, math.nan, True, "1", None):
        assert number(found) is None


def figures(verdict: Verdict) -> list[float]:
    offsets = (sensor.offset for sensor in verdict.sensors)
    given = (
        verdict.health, verdict.anomaly, verdict.rul_h, verdict.rul_low_h, verdict.rul_high_h, verdict.anomaly_p,
        *offsets, *(reason.share for reason in verdict.reasons),
    )  # fmt: skip
    return [figure for figure in given if figure is not None]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("often", [0.002, 0.05])
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("name", sorted(MODEL_OF))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_wild_readings_neither_end_a_judge_nor_make_a_verdict_that_cannot_be_sealed(
    name: str, trained: bool, often: float, seed: int
) -> None:
    chance = random.Random(f"{name} {trained} {often} {seed}")
    judge = Judge("asset-1", asset_class(name), bundle(name) if trained else None, PERIOD_MS)
    machine, link = MACHINES[MODEL_OF[name]](seed, life_h=300.0, onset_h=50.0), Link(0, "0" * 64)
    stuck: dict[str, Value] = {}
    for poll in range(1, 500):
        machine.step(1.0)
        values = dict(machine.signals())
        for tag in values:
            stuck = {t: v for t, v in stuck.items() if chance.random() > 0.03}
            if poll > 60 and chance.random() < often / 20.0:
                stuck[tag] = chance.choice(WILD)
            if poll > 60 and chance.random() < often:
                values[tag] = chance.choice(WILD)
        judge.observe(batch({**values, **stuck}, poll))
        if poll % 5 == 0:
            verdict = judge.verdict(poll, mono_ns=poll * PERIOD_NS)
            assert verdict is not None
            assert all(map(math.isfinite, figures(verdict)))
            link = link.after(link.sealed(verdict))
