"""LiteRT on this machine: it loads, it answers, and int8 says what float says."""

from __future__ import annotations

import time

import numpy as np
import pytest

from cloud.learn.tflite import Dense, export_float, export_int8, forward, run
from edge.errors import BundleError
from edge.infer.engine import Engine

RNG = np.random.default_rng(7)
LAYERS = (
    Dense(RNG.normal(size=(32, 20)) * 0.2, RNG.normal(size=32) * 0.1, relu=True),
    Dense(RNG.normal(size=(2, 32)) * 0.2, RNG.normal(size=2) * 0.1, relu=False),
)
ROWS = np.clip(RNG.normal(size=(200, 20)), -4.0, 4.0).astype(np.float32)


def test_the_runtime_loads_and_answers() -> None:
    engine = Engine(export_float(LAYERS, "smoke"), inputs=20, where="smoke")
    assert engine.run(ROWS[0]).shape == (2,) == (engine.outputs,)


def test_float_agrees_with_the_formula_and_int8_with_float() -> None:
    truth = forward(LAYERS, ROWS)
    float32 = Engine(export_float(LAYERS, "float"), inputs=20, where="float")
    int8 = Engine(export_int8(LAYERS, ROWS, "int8"), inputs=20, where="int8")
    assert np.allclose([float32.run(row) for row in ROWS], truth, atol=1e-5)
    error = np.array([int8.run(row) for row in ROWS]) - truth
    assert np.sqrt(np.mean(error**2)) < 0.03 * truth.std()


def test_one_row_at_a_time_and_a_batch_give_the_same_bits() -> None:
    model = export_int8(LAYERS, ROWS, "int8")
    engine = Engine(model, inputs=20, where="int8")
    assert np.array_equal(np.array([engine.run(row) for row in ROWS]), run(model, ROWS))


def test_an_answer_takes_microseconds() -> None:
    engine = Engine(export_int8(LAYERS, ROWS, "int8"), inputs=20, where="int8")
    took = []
    for row in np.tile(ROWS, (5, 1)):
        start = time.thread_time()
        engine.run(row)
        took.append(time.thread_time() - start)
    assert np.median(took) < 500e-6


@pytest.mark.parametrize("model", [b"", b"TFL3", bytes(64), b"\x1c\x00\x00\x00TFL3" + bytes(40)])
def test_bytes_that_are_no_model_are_refused(model: bytes) -> None:
    with pytest.raises(BundleError):
        Engine(model, inputs=20, where="broken")


def test_a_model_for_other_features_is_refused() -> None:
    with pytest.raises(BundleError, match=r"takes \(1, 20\).*give \(1, 21\)"):
        Engine(export_float(LAYERS, "float"), inputs=21, where="life.int8.tflite")
