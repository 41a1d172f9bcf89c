"""Columns of whole numbers as bytes: a first value, a slope, and what remains, cut into byte planes.

Every column of a block (times, flags, values of any kind) comes here as 64-bit whole numbers. All arithmetic wraps at
64 bits, so that any bit pattern survives. Columns are laid end to end in one array, ``lengths`` says where each ends,
and no column is empty: the cost of a block then depends on its cells, not on how many columns they are in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.errors import BlockError

Ints = NDArray[np.int64]
Unsigned = NDArray[np.uint64]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

_SLOPE_BITS = 64
"""What a slope costs: it must save more than this in its column."""


@dataclass(frozen=True, slots=True)
class Packed:
    """``base_bits`` and ``step_bits``: the widest first value's and step's bits, one a column; ``chunks``: the planes.

    Joined, ``chunks`` are the format's bytes; where one ends, statistics change, which is a hint for the compressor.
    """

    sloped: Flags
    base_bits: Bytes
    step_bits: Bytes
    chunks: list[bytes]


def spans(starts: Ints, lengths: Ints) -> Ints:
    """The indices ``starts[i] .. starts[i] + lengths[i]`` of every run, one run after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int64) + np.repeat(starts - ends + lengths, lengths)


def pack(cells: Ints, lengths: Ints) -> Packed:
    """Columns as planes; ``cells`` int64[sum(lengths)], every length at least 1."""
    if not len(lengths):
        none = np.zeros(0, np.uint8)
        return Packed(np.zeros(0, np.bool_), none, none, [])
    ends = np.cumsum(lengths)
    starts = ends - lengths
    bases = cells[starts]
    steps = np.diff(cells, prepend=cells[:1])
    steps[starts] = 0
    slopes = (cells[ends - 1] - bases) // np.maximum(lengths - 1, 1)
    level = steps - np.repeat(slopes, lengths)
    level[starts] = 0
    bits = _widest(zigzag(steps), starts)
    level_bits = _widest(zigzag(level), starts)
    sloped = (bits - level_bits) * (lengths - 1) > _SLOPE_BITS
    steps = np.where(np.repeat(sloped, lengths), level, steps)
    bits = np.where(sloped, level_bits, bits)
    inner = np.ones(len(cells), np.bool_)
    inner[starts] = False
    base = zigzag(bases)
    base_bits = _bit_length(base)
    chunks = _planes(base, np.ones(len(lengths), np.int64), base_bits)
    slope = zigzag(slopes[sloped])
    chunks += _planes(slope, np.ones(len(slope), np.int64), np.full(len(slope), 64))
    chunks += _planes(zigzag(steps[inner]), lengths - 1, bits)
    return Packed(sloped, base_bits.astype(np.uint8), bits.astype(np.uint8), chunks)


def unpack(take: Callable[[int], bytes], lengths: Ints, sloped: Flags, base_bits: Bytes, step_bits: Bytes) -> Ints:
    """The cells that ``pack`` was given; ``take(n)`` gives the next ``n`` bytes. Raises BlockError."""
    if base_bits.max(initial=0) > 64 or step_bits.max(initial=0) > 64:
        raise BlockError("block", "a column claims numbers of more than 64 bits")
    if not len(lengths):
        return np.zeros(0, np.int64)
    ones = np.ones(len(lengths), np.int64)
    bases = unzigzag(_unplanes(take, ones, base_bits))
    count = int(sloped.sum())
    slopes = np.zeros(len(lengths), np.int64)
    slopes[sloped] = unzigzag(_unplanes(take, ones[:count], np.full(count, 64, np.uint8)))
    starts = np.cumsum(lengths) - lengths
    steps = np.zeros(int(lengths.sum()), np.int64)
    inner = np.ones(len(steps), np.bool_)
    inner[starts] = False
    steps[inner] = unzigzag(_unplanes(take, lengths - 1, step_bits)) + np.repeat(slopes, lengths - 1)
    sums = np.cumsum(steps)
    return sums + np.repeat(bases - sums[starts], lengths)


def zigzag(numbers: Ints) -> Unsigned:
    """0, -1, 1, -2 … as 0, 1, 2, 3 …: small numbers of either sign get small codes."""
    return ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)


def unzigzag(codes: Unsigned) -> Ints:
    return ((codes >> np.uint64(1)) ^ (np.uint64(0) - (codes & np.uint64(1)))).view(np.int64)


def _widest(codes: Unsigned, starts: Ints) -> Ints:
    return _bit_length(np.maximum.reduceat(codes, starts))


def _bit_length(codes: Unsigned) -> Ints:
    """Bits of each number; one too many just below a power of two beyond 2^53, where doubles round up."""
    return np.minimum(np.frexp(codes.astype(np.float64))[1], 64).astype(np.int64)


def _planes(codes: Unsigned, lengths: Ints, bits: Ints) -> list[bytes]:
    """Byte p of every code whose column is wider than 8 p bits, for p = 0 … 7, columns sorted by width.

    Sorting puts columns of like noise side by side, and a plane of high bytes is short and nearly constant.
    """
    order = np.argsort(bits, kind="stable")
    codes = codes[spans((np.cumsum(lengths) - lengths)[order], lengths[order])]
    ends = np.concatenate(([0], np.cumsum(lengths[order])))
    table = codes.astype("<u8", copy=False).view(np.uint8).reshape(-1, 8)
    edges = ends[np.searchsorted(bits[order], np.arange(0, 72, 8), "right")].tolist()
    chunks = []
    for plane in range(8):
        top, rest = edges[plane], edges[plane + 1]
        chunks += [table[top:rest, plane].tobytes(), table[rest:, plane].tobytes()]
    return [chunk for chunk in chunks if chunk]


def _unplanes(take: Callable[[int], bytes], lengths: Ints, bits: Bytes) -> Unsigned:
    order = np.argsort(bits, kind="stable")
    ends = np.concatenate(([0], np.cumsum(lengths[order])))
    edges = ends[np.searchsorted(bits[order], np.arange(0, 64, 8), "right")].tolist()
    total = int(ends[-1])
    table = np.zeros((total, 8), np.uint8)
    for plane, first in enumerate(edges):
        table[first:, plane] = np.frombuffer(take(total - first), np.uint8)
    codes = np.empty(total, np.uint64)
    codes[spans((np.cumsum(lengths) - lengths)[order], lengths[order])] = table.view("<u8").ravel()
    return codes
