"""Samples of a snapshot as bytes: their bits as whole numbers, differences of neighbours, byte planes.

Plain arithmetic in the width of a sample, so that a snapshot of a million samples takes a few times its own memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.types import Samples
from edge.errors import BlockError

SAMPLES_MAX = 2**20
"""In all snapshots of a block together."""
_TYPES = {name: np.dtype(name) for name in ("int16", "int32", "float32", "float64")}

Note = list[Any]
"""The type's name, how many samples there are, and 1 where they are stored as differences, else 0."""


def pack(samples: Samples) -> tuple[Note, bytes]:
    """The samples' note for the directory and their planes."""
    name, width = samples.dtype.name, samples.dtype.itemsize
    assert name in _TYPES, f"samples of {', '.join(_TYPES)}, not {samples.dtype}"
    assert samples.ndim == 1, "samples have one dimension"
    numbers = _whole(samples.astype(_TYPES[name], copy=False))
    plain, steps = _zigzag(numbers), _zigzag(np.diff(numbers, prepend=numbers.dtype.type(0)))
    stepped = _bits(steps) < _bits(plain)
    codes = steps if stepped else plain
    planes = codes.astype(f"<u{width}", copy=False).view(np.uint8).reshape(-1, width).T
    return [name, len(samples), int(stepped)], planes.tobytes()


def unpack(note: Any, take: Callable[[int], bytes], room: int) -> Samples:
    """The samples that were packed, of which there may be ``room`` at most. Raises BlockError."""
    match note:
        case [str(name), int(count), 0 | 1 as stepped] if name in _TYPES and 0 <= count <= room:
            width = _TYPES[name].itemsize
        case _:
            raise BlockError("block", "samples of a snapshot that cannot be, or more than a block holds")
    planes = np.frombuffer(take(count * width), np.uint8).reshape(width, count)
    numbers = _unzigzag(np.ascontiguousarray(planes.T).view(f"<u{width}").ravel().astype(f"u{width}"))
    if stepped:
        numbers = numbers.cumsum(dtype=numbers.dtype)
    return _meant(numbers, _TYPES[name])


def _whole(samples: Samples) -> NDArray[Any]:
    """Floats as their bits, in an order that rises with the value."""
    if samples.dtype.kind == "i":
        return samples
    return _ordered(samples.view(f"i{samples.dtype.itemsize}"))


def _meant(numbers: NDArray[Any], dtype: np.dtype[Any]) -> Samples:
    return numbers if dtype.kind == "i" else _ordered(numbers).view(dtype)


def _ordered(bits: NDArray[Any]) -> NDArray[Any]:
    """Flips all bits below the sign of negative numbers; its own inverse."""
    flipped: NDArray[Any] = bits ^ ((bits >> (8 * bits.itemsize - 1)) & np.iinfo(bits.dtype).max)
    return flipped


def _zigzag(numbers: NDArray[Any]) -> NDArray[Any]:
    width = numbers.itemsize
    return ((numbers << 1) ^ (numbers >> (8 * width - 1))).view(f"u{width}")


def _unzigzag(codes: NDArray[Any]) -> NDArray[Any]:
    numbers: NDArray[Any] = (codes >> 1).view(f"i{codes.itemsize}") ^ -(codes & 1).view(f"i{codes.itemsize}")
    return numbers


def _bits(codes: NDArray[Any]) -> float:
    """About how many bits all codes have together."""
    return float(np.log2(codes.astype(np.float64) + 1).sum())
