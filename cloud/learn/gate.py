"""The gate between training and a gateway: an int8 model must say what its float original says.

Both are run by LiteRT, the runtime of the gateway, on rows that neither was calibrated with. Refused are an int8 model
that differs by more than the gate, one that is pressed against the end of its range where the float one goes on, and
one that says nothing at all. Each has happened with converters that reported success.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.learn.tflite import output_range, run
from edge.errors import BundleError

_PRESSED_MAX = 0.01
"""Share of rows that int8 may have at an end of its range by more than the gate."""


@dataclass(frozen=True)
class Agreement:
    """``rms`` and ``worst`` difference of each output, int8 less float, in the output's unit."""

    rms: tuple[float, ...]
    worst: tuple[float, ...]


def agree(
    float32: bytes,
    int8: bytes,
    rows: NDArray[np.floating[Any]],
    *,
    gate: float | Sequence[float],
    where: str,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> Agreement:
    """How well the two models agree on scaled ``rows`` [rows, in]; ``gate`` is the greatest root mean square
    difference, for all outputs or for each, in the output's unit. ``within`` is what answers are cut to by whoever
    uses them: differences beyond do not matter. Raises ``BundleError`` where the two do not agree."""
    hint = "train with other seeds or rows; calibrate on rows that reach as far as those that the model will be given"
    try:
        wanted, given = run(float32, rows).astype(np.float64), run(int8, rows).astype(np.float64)
        low, high = output_range(int8)
    except (ValueError, RuntimeError) as error:
        raise BundleError(where, f"LiteRT cannot run it: {error}", hint) from error
    if wanted.shape != given.shape:
        raise BundleError(where, f"int8 gives {given.shape[1]} outputs, float {wanted.shape[1]}", hint)
    if not (np.isfinite(wanted).all() and np.isfinite(given).all()):
        raise BundleError(where, "an answer is not a number", hint)
    wanted, given = np.clip(wanted, *within), np.clip(given, *within)
    gates = np.broadcast_to(np.asarray(gate, dtype=np.float64), wanted.shape[1:])
    difference = given - wanted
    rms = np.sqrt(np.mean(difference**2, axis=0))
    for i in np.flatnonzero(rms > gates):
        problem = f"int8 and float differ by {rms[i]:.4g} (RMS of output {i}), the gate is {gates[i]:.4g}"
        raise BundleError(where, problem, hint)
    nearly = (high - low) / 512.0 if np.isfinite(high) else 0.0
    pressed = (given <= low + nearly) & (wanted < low - gates) | (given >= high - nearly) & (wanted > high + gates)
    for i in np.flatnonzero(pressed.mean(axis=0) > _PRESSED_MAX):
        share = 100.0 * pressed[:, i].mean()
        problem = f"int8 cannot go beyond {low:.4g} to {high:.4g}, where float goes on in {share:.0f} % of rows"
        raise BundleError(where, problem, hint)
    return Agreement(tuple(rms.tolist()), tuple(np.abs(difference).max(axis=0).tolist()))
