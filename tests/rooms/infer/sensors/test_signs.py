"""What a single sensor gives away: each fault by its own name, and nothing of machines that are healthy or worn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.contract.types import SensorFault
from edge.infer.sensors.signs import Signs
from edge.plant.machines import MACHINES

Array = NDArray[np.float64]
POLLS, BEGINS = 2400, 1000


def healthy(draw: np.random.Generator) -> Array:
    return np.round(60.0 + 5.0 * np.sin(np.arange(POLLS) / 200.0) + 0.3 * draw.standard_normal(POLLS), 2)


def stuck(x: Array, draw: np.random.Generator) -> Array:
    return np.full(len(x), x[0])


def noisy(x: Array, draw: np.random.Generator) -> Array:
    return x + 3.0 * draw.standard_normal(len(x))


def clipped(x: Array, draw: np.random.Generator) -> Array:
    return np.minimum(x + 4.0, 66.0)


def spiking(x: Array, draw: np.random.Generator) -> Array:
    return x + 20.0 * (draw.random(len(x)) < 0.06)


def said(x: Array) -> list[str]:
    """The faults that were said, in order."""
    signs, found = Signs(), [""]
    for value in x:
        signs.update(float(value), others_move=True)
        if signs.fault != found[-1]:
            found.append(signs.fault)
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fault", [stuck, noisy, clipped, spiking])
def test_every_fault_has_its_name(fault: Callable[[Array, np.random.Generator], Array], seed: int) -> None:
    draw = np.random.default_rng(seed)
    x = healthy(draw)
    x[BEGINS:] = fault(x[BEGINS:], draw)
    assert said(x)[:2] == ["", SensorFault(fault.__name__)]


@pytest.mark.parametrize("grain", [0.01, 0.5, 2.0])
def test_a_coarse_sensor_is_not_a_bad_one(grain: float) -> None:
    assert said(np.round(healthy(np.random.default_rng(9)) / grain) * grain) == [""]


def test_a_sensor_that_works_again_is_believed_again() -> None:
    x = healthy(np.random.default_rng(2))
    x[BEGINS : BEGINS + 300] = x[BEGINS]
    assert said(x) == ["", "stuck", ""]


def test_nothing_is_stuck_where_nothing_else_moves() -> None:
    signs = Signs()
    for value in healthy(np.random.default_rng(2))[:BEGINS]:
        signs.update(float(value), others_move=True)
    for _ in range(500):
        signs.update(60.0, others_move=False)
    assert signs.fault == ""


@pytest.mark.parametrize("model", MACHINES)
def test_a_machine_that_wears_to_failure_has_no_bad_sensor(model: str) -> None:
    machine = MACHINES[model](5, life_h=300.0, onset_h=150.0)
    sensors = {tag: Signs() for tag, value in machine.signals().items() if isinstance(value, float)}
    while not machine.truth.failed:
        machine.step(0.3)
        if machine.running:
            for tag, signs in sensors.items():
                signs.update(float(machine.signals()[tag] or 0.0), others_move=True)
                assert signs.fault == "", tag


def test_after_a_restart_it_goes_on_to_the_bit() -> None:
    x = healthy(np.random.default_rng(4))
    one = Signs()
    for i, value in enumerate(x):
        if i == 777:
            other = Signs(**one.kept())
        one.update(float(value), others_move=True)
        if i >= 777:
            other.update(float(value), others_move=True)
    assert {k: v for k, v in asdict(one).items() if not (isinstance(v, float) and math.isnan(v))} == {
        k: v for k, v in asdict(other).items() if not (isinstance(v, float) and math.isnan(v))
    }
