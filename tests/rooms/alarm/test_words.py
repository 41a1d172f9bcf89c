"""No alarm that a person sees lacks a cause and an action, whoever raises it."""

from __future__ import annotations

import itertools

import pytest

from edge.alarm import judgement, silence
from edge.contract.types import Cause, Reason, SensorFault, SensorState, Urgency, Verdict

REASONS = ((), (Reason("kurtosis", 0.7, "kurtosis is 2.1 times up"),))
SENSORS = tuple(SensorState("flow", fault, 0, None, True, "flow is odd") for fault in SensorFault)


@pytest.mark.parametrize(("reasons", "basis"), tuple(itertools.product(REASONS, ("bundle", "prior"))))
def test_what_a_verdict_raises(reasons: tuple[Reason, ...], basis: str) -> None:
    worst = Verdict(
        "pump-1", 0, "b", 5.0, 3.0, True, 20.0, 10.0, 40.0, Urgency.CRITICAL, reasons, 1.0, basis=basis, sensors=SENSORS
    )
    found = list(judgement.findings(worst, "Pump 1", judgement.entries("pump-1", "Pump 1")))
    assert {one.rule for one in found} == set(judgement.entries("pump-1", "Pump 1"))
    for one in found:
        assert one.holds
        assert one.sentence.startswith("Pump 1")
        assert one.cause
        assert one.action


def test_each_fault_of_a_sensor_has_its_own_repair() -> None:
    assert set(judgement.SENSOR_ACTIONS) == set(SensorFault)


@pytest.mark.parametrize("cause", [None, Cause.BUS, Cause.DEVICE, Cause.DECODE])
@pytest.mark.parametrize("of", [1, 2])
def test_what_silence_raises(cause: Cause | None, of: int) -> None:
    silent = silence.Silent(("flow",), ("Flow",), of, cause, holds=True)
    assert all(silent.words("Pump 1")[1:])
