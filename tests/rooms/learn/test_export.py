"""Export to int8: one scale a channel, the numbers of the specification's arithmetic, and a gate that refuses."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from cloud.learn.gate import agree
from cloud.learn.tflite import Dense, export_float, export_int8, output_range, run
from edge.errors import BundleError

RNG = np.random.default_rng(11)
LAYERS = (
    Dense(RNG.normal(size=(24, 12)) * 0.3, RNG.normal(size=24) * 0.2, relu=True),
    Dense(RNG.normal(size=(8, 24)) * 0.3, RNG.normal(size=8) * 0.2, relu=True),
    Dense(RNG.normal(size=(2, 8)) * 0.4, RNG.normal(size=2), relu=False),
)
ROWS = np.clip(RNG.normal(size=(400, 12)), -4.0, 4.0).astype(np.float32)
FRESH = np.clip(np.random.default_rng(12).normal(size=(300, 12)), -4.0, 4.0).astype(np.float32)
FLOAT, INT8 = export_float(LAYERS, "float"), export_int8(LAYERS, ROWS, "int8")
GATE = 0.05


def emulated(model: bytes, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """The model by the LiteRT 8-bit quantisation specification, in whole numbers: int32 sums of int8 products, then
    scaled, rounded and clipped. Read from the flatbuffer itself, not from what it was made of."""
    graph = schema.ModelT.InitFromPackedBuf(model)
    tensors, buffers = graph.subgraphs[0].tensors, graph.buffers

    def numbers(index: int, kind: str) -> NDArray[np.int64]:
        tensor = tensors[index]
        data = np.frombuffer(bytes(buffers[tensor.buffer].data), dtype=kind)
        return data.reshape(tensor.shape).astype(np.int64)

    first = tensors[graph.subgraphs[0].inputs[0]].quantization
    values = np.clip(np.round(rows / np.float32(first.scale[0])) + first.zeroPoint[0], -128, 127).astype(np.int64)
    for operator in graph.subgraphs[0].operators:
        given, weights, bias = (int(i) for i in operator.inputs)
        a, w, b = (tensors[i].quantization for i in (given, weights, int(operator.outputs[0])))
        total = (values - a.zeroPoint[0]) @ numbers(weights, "<i1").T + numbers(bias, "<i4")
        factor = float(a.scale[0]) * np.asarray(w.scale, dtype=np.float64) / float(b.scale[0])
        lowest = -128
        if operator.builtinOptions.fusedActivationFunction == schema.ActivationFunctionType.RELU:
            lowest = max(lowest, int(b.zeroPoint[0]))
        values = np.clip(np.floor(total * factor + 0.5).astype(np.int64) + b.zeroPoint[0], lowest, 127)
    answer: NDArray[np.float64] = (values - int(b.zeroPoint[0])) * float(b.scale[0])
    return answer


def test_every_output_channel_has_a_scale_of_its_own() -> None:
    interpreter = Interpreter(model_content=INT8)
    interpreter.allocate_tensors()
    found = {tuple(d["shape"]): d for d in interpreter.get_tensor_details() if d["name"].startswith("weights")}
    for layer in LAYERS:
        detail = found[layer.weights.shape]
        assert detail["dtype"] == np.int8
        scales = detail["quantization_parameters"]["scales"]
        assert len(scales) == layer.bias.size
        assert scales == pytest.approx(np.abs(layer.weights).max(axis=1) / 127.0, rel=1e-5)
        assert not detail["quantization_parameters"]["zero_points"].any()
    for detail in (interpreter.get_input_details()[0], interpreter.get_output_details()[0]):
        assert detail["dtype"] == np.int8
        assert len(detail["quantization_parameters"]["scales"]) == 1


@pytest.mark.parametrize("rows", [FRESH, np.zeros((1, 12), np.float32), np.full((1, 12), 4.0, np.float32),
                                  np.full((1, 12), -4.0, np.float32)])  # fmt: skip
def test_litert_gives_what_whole_number_arithmetic_gives(rows: NDArray[np.float32]) -> None:
    """Its fixed-point multiplier may round a tie the other way: one step, in few rows."""
    step = (output_range(INT8)[1] - output_range(INT8)[0]) / 255.0
    steps = np.abs(run(INT8, rows) - emulated(INT8, rows)) / step
    assert steps.max() < 1.01
    assert np.mean(steps > 0.01) <= 0.05


def test_a_good_export_passes_the_gate_and_tells_by_how_much() -> None:
    found = agree(FLOAT, INT8, FRESH, gate=GATE, where="life")
    assert 0.0 < found.rms[0] < GATE
    assert found.worst[0] >= found.rms[0]


def test_an_altered_model_is_refused() -> None:
    """One weight of the last layer turned round, as a flipped bit would: it runs, and says something else."""
    graph = schema.ModelT.InitFromPackedBuf(INT8)
    operator = graph.subgraphs[0].operators[-1]
    buffer = graph.buffers[graph.subgraphs[0].tensors[int(operator.inputs[1])].buffer]
    start = INT8.index(bytes(buffer.data))
    largest = start + int(np.argmax(np.abs(np.frombuffer(bytes(buffer.data), "<i1")[:8])))
    altered = bytearray(INT8)
    altered[largest] ^= 0x80
    with pytest.raises(BundleError, match="differ by"):
        agree(FLOAT, bytes(altered), FRESH, gate=GATE, where="life")


def test_a_model_that_was_calibrated_on_too_narrow_rows_overflows_and_is_refused() -> None:
    narrow = export_int8(LAYERS, 0.1 * ROWS, "narrow")
    with pytest.raises(BundleError, match="differ by"):
        agree(FLOAT, narrow, FRESH, gate=GATE, where="life")


def test_a_model_pressed_against_its_range_is_refused_however_wide_the_gate() -> None:
    """A twentieth of the rows, each a little beyond what the model can say, hardly moves the root mean square."""
    layers = (Dense(np.array([[1.0]]), np.array([0.0]), relu=False),)
    rows = np.linspace(0.0, 1.0, 200)[:, None].astype(np.float32)
    cut = export_int8(layers, rows[rows[:, 0] < 0.9], "cut")
    with pytest.raises(BundleError, match="cannot go beyond"):
        agree(export_float(layers, "float"), cut, rows, gate=0.04, where="life")
    # Nobody looks beyond 0.9: then it says all that is wanted of it.
    agree(export_float(layers, "float"), cut, rows, gate=0.04, where="life", within=(0.0, 0.9))


@pytest.mark.parametrize("broken", [b"", b"TFL3", INT8[: len(INT8) // 2]])
def test_bytes_that_do_not_run_are_refused(broken: bytes) -> None:
    with pytest.raises(BundleError, match="cannot run it"):
        agree(FLOAT, broken, FRESH, gate=GATE, where="life")


def test_a_model_of_other_outputs_is_refused() -> None:
    with pytest.raises(BundleError, match="int8 gives 8 outputs, float 2"):
        agree(FLOAT, export_int8(LAYERS[:2], ROWS, "two"), FRESH, gate=GATE, where="life")
