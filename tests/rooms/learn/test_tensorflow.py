"""A second opinion on our export: TensorFlow's own converter, fed the same weights and the same calibration rows.

Only where the extra ``tensorflow`` is installed. It runs in a process of its own: it brings a runtime of its own, which
would not go well beside ours.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloud.learn.tflite import Dense, export_float, export_int8, run

RNG = np.random.default_rng(21)
LAYERS = (
    Dense(RNG.normal(size=(24, 12)) * 0.3, RNG.normal(size=24) * 0.2, relu=True),
    Dense(RNG.normal(size=(2, 24)) * 0.3, RNG.normal(size=2), relu=False),
)
ROWS = np.clip(RNG.normal(size=(400, 12)), -4.0, 4.0).astype(np.float32)

CONVERT = """
import sys
import numpy as np
import tensorflow as tf

given = np.load(sys.argv[1])
layers = [tf.keras.layers.Input((given["rows"].shape[1],))]
for i in range(2):
    layers.append(tf.keras.layers.Dense(len(given[f"b{i}"]), activation="relu" if i == 0 else None))
model = tf.keras.Sequential(layers)
for i, layer in enumerate(model.layers):
    layer.set_weights([given[f"w{i}"].T, given[f"b{i}"]])
for kind in ("float", "int8"):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([row[None, :]] for row in given["rows"])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    with open(f"{sys.argv[2]}/{kind}.tflite", "wb") as file:
        file.write(converter.convert())
"""


def test_tensorflows_converter_makes_models_that_answer_as_ours(tmp_path: Path) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed (pip install 'babbitt[tensorflow]')")
    given: dict[str, Any] = {"rows": ROWS}
    for i, layer in enumerate(LAYERS):
        given |= {f"w{i}": layer.weights.astype(np.float32), f"b{i}": layer.bias.astype(np.float32)}
    np.savez(tmp_path / "given.npz", **given)
    subprocess.run(
        [sys.executable, "-c", CONVERT, str(tmp_path / "given.npz"), str(tmp_path)], check=True, timeout=110,
        capture_output=True,
    )  # fmt: skip
    fresh = np.clip(np.random.default_rng(22).normal(size=(300, 12)), -4.0, 4.0).astype(np.float32)
    theirs = {kind: run((tmp_path / f"{kind}.tflite").read_bytes(), fresh) for kind in ("float", "int8")}
    ours = {"float": export_float(LAYERS, "ours"), "int8": export_int8(LAYERS, ROWS, "ours")}
    assert np.allclose(run(ours["float"], fresh), theirs["float"], atol=1e-5)
    truth = theirs["float"]
    wrong, their_wrong = (
        float(np.sqrt(np.mean((answer - truth) ** 2))) for answer in (run(ours["int8"], fresh), theirs["int8"])
    )
    assert wrong < 0.05 * truth.std()
    assert wrong < 1.2 * their_wrong
    # The same scheme on the same numbers: the same answers, but for a last digit of another version.
    assert np.mean(run(ours["int8"], fresh) == theirs["int8"]) > 0.9
