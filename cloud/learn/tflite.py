"""Export of small Dense/ReLU chains to ``.tflite``: float, or int8 with one weight scale per output channel.

The flatbuffer schema ships inside ai-edge-litert, so no TensorFlow is needed. The scheme is that of the LiteRT 8-bit
quantisation specification: activations int8 asymmetric per tensor, weights int8 symmetric per channel in -127..127,
biases int32 at scale (input scale x weight scale), and every range contains zero. The same weights and the same
calibration rows give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

Array = NDArray[np.float64]

_FILE_IDENTIFIER = b"TFL3"
_SCHEMA_VERSION = 3
# Per-channel weights of fully connected layers came with version 12 of the operator.
_OPERATOR_VERSION = {"float": 1, "int8": 12}


@dataclass(frozen=True)
class Dense:
    """One layer: ``weights`` [out, in], ``bias`` [out], followed by ReLU or by nothing."""

    weights: Array
    bias: Array
    relu: bool


def forward(layers: Sequence[Dense], rows: NDArray[np.floating[Any]]) -> Array:
    """What the chain computes in 64-bit floats: [rows, in] to [rows, out]."""
    return _activations(layers, rows)[-1]


def export_float(layers: Sequence[Dense], name: str) -> bytes:
    """The chain as a float32 model of batch size 1."""
    model = _Builder(name, "float")
    tensor = model.tensor("input", (1, layers[0].weights.shape[1]), schema.TensorType.FLOAT32)
    model.begin(tensor)
    for i, layer in enumerate(layers):
        weights = model.tensor(f"weights_{i}", layer.weights.shape, schema.TensorType.FLOAT32, _f32(layer.weights))
        bias = model.tensor(f"bias_{i}", layer.bias.shape, schema.TensorType.FLOAT32, _f32(layer.bias))
        output = model.tensor(f"dense_{i}", (1, layer.bias.size), schema.TensorType.FLOAT32)
        tensor = model.dense(tensor, weights, bias, output, relu=layer.relu)
    return model.finish(tensor)


def export_int8(layers: Sequence[Dense], calibration: NDArray[np.floating[Any]], name: str) -> bytes:
    """The chain as an int8 model of batch size 1; ``calibration`` [rows, in] gives the activations' ranges."""
    model = _Builder(name, "int8")
    activations = _activations(layers, calibration)
    scale, zero = _range(activations[0])
    tensor = model.tensor("input", (1, layers[0].weights.shape[1]), schema.TensorType.INT8, None, [scale], [zero])
    model.begin(tensor)
    for i, layer in enumerate(layers):
        # A channel whose weights are all but zero still has a bias, which must fit 32 bits at its scale.
        fits = np.abs(layer.bias) / (scale * 2.0**30)
        largest = np.maximum(np.abs(layer.weights).max(axis=1) / 127.0, 1e-10)
        scales = np.maximum(largest, fits).astype(np.float32)
        quantised = np.clip(np.round(layer.weights / scales[:, None]), -127, 127).astype(np.int8)
        bias_scales = (np.float32(scale) * scales).astype(np.float32)
        bias_numbers = np.round(layer.bias / bias_scales).astype(np.int32)
        zeros = [0] * len(scales)
        weights = model.tensor(
            f"weights_{i}", quantised.shape, schema.TensorType.INT8, quantised.tobytes(), scales.tolist(), zeros
        )
        bias = model.tensor(
            f"bias_{i}", layer.bias.shape, schema.TensorType.INT32, bias_numbers.astype("<i4").tobytes(),
            bias_scales.tolist(), zeros,
        )  # fmt: skip
        scale, zero = _range(activations[i + 1])
        output = model.tensor(f"dense_{i}", (1, layer.bias.size), schema.TensorType.INT8, None, [scale], [zero])
        tensor = model.dense(tensor, weights, bias, output, relu=layer.relu)
    return model.finish(tensor)


def _activations(layers: Sequence[Dense], rows: NDArray[np.floating[Any]]) -> list[Array]:
    values = [np.asarray(rows, dtype=np.float64)]
    for layer in layers:
        x = values[-1] @ layer.weights.T + layer.bias
        values.append(np.maximum(x, 0.0) if layer.relu else x)
    return values


def _range(values: Array) -> tuple[float, int]:
    """Scale and zero point of an int8 tensor that holds all of ``values``, and zero exactly."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = float(np.float32(max(high - low, 1e-6) / 255.0))
    return scale, int(np.clip(round(-128 - low / scale), -128, 127))


def _f32(values: Array) -> bytes:
    return values.astype("<f4").tobytes()


class _Builder:
    """Collects tensors, buffers and operators in order and packs them into one flatbuffer."""

    def __init__(self, name: str, kind: str) -> None:
        code = schema.OperatorCodeT()
        code.deprecatedBuiltinCode = code.builtinCode = schema.BuiltinOperator.FULLY_CONNECTED
        code.version = _OPERATOR_VERSION[kind]
        self._graph = schema.SubGraphT()
        self._graph.name, self._graph.tensors, self._graph.operators = name, [], []
        self._model = schema.ModelT()
        self._model.version, self._model.description = _SCHEMA_VERSION, name
        self._model.operatorCodes, self._model.subgraphs = [code], [self._graph]
        # Buffer 0 is by convention the empty one, shared by all tensors without constant data.
        self._model.buffers = [schema.BufferT()]

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: int,
        data: bytes | None = None,
        scales: Sequence[float] = (),
        zeros: Sequence[int] = (),
    ) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, [int(size) for size in shape], kind
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data, dtype=np.uint8)
            self._model.buffers.append(buffer)
            tensor.buffer = len(self._model.buffers) - 1
        if scales:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = list(scales), list(zeros)
            tensor.quantization.quantizedDimension = 0
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def begin(self, tensor: int) -> None:
        self._graph.inputs = [tensor]

    def dense(self, source: int, weights: int, bias: int, output: int, *, relu: bool) -> int:
        options = schema.FullyConnectedOptionsT()
        activation = schema.ActivationFunctionType
        options.fusedActivationFunction = activation.RELU if relu else activation.NONE
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = 0, [source, weights, bias], [output]
        operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        operator.builtinOptions = options
        self._graph.operators.append(operator)
        return output

    def finish(self, output: int) -> bytes:
        self._graph.outputs = [output]
        builder = flatbuffers.Builder(4096)
        builder.Finish(self._model.Pack(builder), _FILE_IDENTIFIER)
        return bytes(builder.Output())


def run(model: bytes, rows: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """What LiteRT makes of ``rows`` [rows, in] with a model of this module, [rows, out], as one batch."""
    interpreter = _interpreter(model)
    interpreter.resize_tensor_input(0, (len(rows), rows.shape[1]))
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    values = np.asarray(rows, dtype=np.float32)
    if source["dtype"] == np.int8:
        scale, zero = source["quantization"]
        values = np.clip(np.round(values / scale) + zero, -128, 127).astype(np.int8)
    interpreter.set_tensor(source["index"], values)
    interpreter.invoke()
    answer = interpreter.get_tensor(target["index"])
    if target["dtype"] == np.int8:
        scale, zero = target["quantization"]
        answer = (answer.astype(np.float32) - zero) * scale
    return np.asarray(answer, dtype=np.float32)


def output_range(model: bytes) -> tuple[float, float]:
    """The least and the greatest number that the model can answer; infinite for a float one."""
    interpreter = _interpreter(model)
    interpreter.allocate_tensors()
    detail = interpreter.get_output_details()[0]
    if detail["dtype"] != np.int8:
        return -np.inf, np.inf
    scale, zero = detail["quantization"]
    return float((-128 - zero) * scale), float((127 - zero) * scale)


def _interpreter(model: bytes) -> Interpreter:
    return Interpreter(
        model_content=model,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
