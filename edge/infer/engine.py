"""LiteRT, wrapped: one small model, one row in, one row out, one thread.

The default delegate (XNNPACK) stays off: for models of this size it gains microseconds, and under emulated Arm it gave
other values without an error. Without it the same bytes give the same answer on every machine that was tried.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from edge.errors import BundleError


class Engine:
    """One model. int8 inputs and outputs are quantised and dequantised here, so that callers see float32 only."""

    def __init__(self, model: bytes, *, inputs: int, where: str) -> None:
        """``inputs``: the size the model must take. Raises ``BundleError`` for bytes that are not such a model."""
        hint = "copy the whole bundle again, or train it with `babbitt cloud train`"
        try:
            self._interpreter = Interpreter(
                model_content=model,
                num_threads=1,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise BundleError(where, f"LiteRT cannot run it: {error}", hint) from error
        for what, details in (
            ("inputs", self._interpreter.get_input_details()), ("outputs", self._interpreter.get_output_details())
        ):  # fmt: skip
            if len(details) != 1:
                raise BundleError(
                    where, f"the model has {len(details)} {what}, wanted is one", "join them in the model"
                )
            if details[0]["dtype"] not in (np.float32, np.int8):
                kind = np.dtype(details[0]["dtype"]).name
                raise BundleError(where, f"its {what} are {kind}, wanted is float32 or int8", "convert it anew")
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        shape = tuple(int(size) for size in self._input["shape"])
        if shape != (1, inputs):
            raise BundleError(where, f"the model takes {shape}, the features give (1, {inputs})", hint)
        self.outputs = int(self._output["shape"][-1])

    def run(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        """The model's outputs [outputs] for one scaled row [inputs]."""
        self._interpreter.set_tensor(self._input["index"], _quantised(row, self._input)[None, :])
        self._interpreter.invoke()
        return _dequantised(self._interpreter.get_tensor(self._output["index"])[0], self._output)


def _quantised(row: NDArray[np.float32], detail: dict[str, Any]) -> NDArray[Any]:
    if detail["dtype"] != np.int8:
        return row.astype(np.float32)
    scale, zero = detail["quantization"]
    quantised: NDArray[np.int8] = np.clip(np.round(row / scale) + zero, -128, 127).astype(np.int8)
    return quantised


def _dequantised(values: NDArray[Any], detail: dict[str, Any]) -> NDArray[np.float32]:
    if detail["dtype"] != np.int8:
        return values.astype(np.float32)
    scale, zero = detail["quantization"]
    numbers: NDArray[np.float32] = ((values.astype(np.float32) - zero) * scale).astype(np.float32)
    return numbers
