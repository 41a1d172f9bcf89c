"""Columns of whole numbers as bytes: a first value, a slope, and what remains, cut into byte planes.

Every column of a block (times, flags, values of any kind) comes here as 64-bit whole numbers. All arithmetic wraps at
64 bits, so that any bit pattern survives. Columns are laid end to end in one array, ``lengths`` says where each ends,
and no column is empty: the cost of a block then depends on its cells, not on how many columns they are in.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.errors import BlockError

Ints = NDArray[np.int64]
Unsigned = NDArray[np.uint64]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

_PLANES = np.arange(8)
_ZERO = np.zeros(1, np.int64)
_SLOPE_BITS = 64
"""What a slope costs: it must save more than this in its column."""
_CUT_CELLS = 256
"""Planes shorter than this are not worth statistics of their own."""


@dataclass(frozen=True, slots=True)
class Heads:
    """``kinds`` int64 of every column, 0 where it is empty; ``sloped`` and ``widths`` of those that are not."""

    kinds: Ints
    sloped: Flags
    widths: Bytes


@dataclass(frozen=True, slots=True)
class Packed:
    """``sloped`` bool[C], ``widths`` uint8[C] (bytes of the first value x 16 + bytes of the widest step), ``chunks``.

    Joined, ``chunks`` are the planes as the format has them; where one ends, statistics change, which is a hint for the
    compressor.
    """

    sloped: Flags
    widths: Bytes
    chunks: list[bytes]


def spans(starts: Ints, lengths: Ints) -> Ints:
    """The indices ``starts[i] .. starts[i] + lengths[i]`` of every run, one run after the other."""
    ends = lengths.cumsum()
    total = int(ends[-1]) if len(ends) else 0
    runs: Ints = np.arange(total) + (starts - ends + lengths).repeat(lengths)
    return runs


def pack(cells: Ints, lengths: Ints, kinds: Ints) -> Packed:
    """Columns as planes; ``cells`` int64[sum(lengths)], every length at least 1, ``kinds`` below 256."""
    if not len(lengths):
        return Packed(np.zeros(0, np.bool_), np.zeros(0, np.uint8), [])
    starts = lengths.cumsum() - lengths
    base_codes = zigzag(cells[starts])
    base_bytes = (_bit_length(base_codes) + 7) // 8
    order = _order(base_bytes, kinds)
    chunks = _planes(base_codes[order], None, base_bytes[order], kinds[order])
    widths = (base_bytes * 16).astype(np.uint8)
    if len(cells) == len(lengths):
        return Packed(np.zeros(len(lengths), np.bool_), widths, chunks)
    steps = _steps(cells, starts, lengths)
    chunks.append(_rows(zigzag(steps.slopes)).T.tobytes())
    order = _order(steps.widths, kinds)
    inner = spans(starts[order] + 1, lengths[order] - 1)
    chunks += _planes(steps.codes[inner], lengths[order] - 1, steps.widths[order], kinds[order])
    return Packed(steps.sloped, widths + steps.widths.astype(np.uint8), chunks)


class _Steps(NamedTuple):
    """``codes``: one a cell, of which those of first cells mean nothing; ``slopes`` of the columns that are sloped."""

    codes: Unsigned
    widths: Ints
    sloped: Flags
    slopes: Ints


def _steps(cells: Ints, starts: Ints, lengths: Ints) -> _Steps:
    steps = np.empty_like(cells)
    steps[0] = 0
    np.subtract(cells[1:], cells[:-1], out=steps[1:])
    steps[starts] = 0
    slopes = (cells[starts + lengths - 1] - cells[starts]) // np.maximum(lengths - 1, 1)
    level = steps - slopes.repeat(lengths)
    level[starts] = 0
    codes, level_codes = zigzag(steps), zigzag(level)
    bits = _bit_length(np.maximum.reduceat(codes, starts))
    level_bits = _bit_length(np.maximum.reduceat(level_codes, starts))
    sloped = (bits - level_bits) * (lengths - 1) > _SLOPE_BITS
    codes = np.where(sloped.repeat(lengths), level_codes, codes)
    return _Steps(codes, (np.where(sloped, level_bits, bits) + 7) // 8, sloped, slopes[sloped])


def unpack(take: Callable[[int], bytes], lengths: Ints, kinds: Ints, sloped: Flags, widths: Bytes) -> Ints:
    """The cells that ``pack`` was given; ``take(n)`` gives the next ``n`` bytes. Raises BlockError."""
    base_bytes, step_bytes = (widths >> 4).astype(np.int64), (widths & 15).astype(np.int64)
    if base_bytes.max(initial=0) > 8 or step_bytes.max(initial=0) > 8:
        raise BlockError("block", "a column claims numbers of more than 8 bytes")
    bases = np.empty(len(lengths), np.int64)
    order = _order(base_bytes, kinds)
    bases[order] = unzigzag(_unplanes(take, None, base_bytes[order]))
    total = int(lengths.sum())
    if total == len(lengths) and not (sloped.any() or step_bytes.any()):
        return bases
    slopes = np.zeros(len(lengths), np.int64)
    count = int(sloped.sum())
    slope_planes = np.frombuffer(take(8 * count), np.uint8).reshape(8, count)
    slopes[sloped] = unzigzag(np.ascontiguousarray(slope_planes.T).view("<u8").ravel())
    starts = lengths.cumsum() - lengths
    steps = np.zeros(total, np.int64)
    order = _order(step_bytes, kinds)
    inner = spans(starts[order] + 1, lengths[order] - 1)
    steps[inner] = unzigzag(_unplanes(take, lengths[order] - 1, step_bytes[order]))
    steps += slopes.repeat(lengths)
    sums = steps.cumsum()
    cells: Ints = sums + (bases - sums[starts]).repeat(lengths)
    return cells


def zigzag(numbers: Ints) -> Unsigned:
    """0, -1, 1, -2 … as 0, 1, 2, 3 …: small numbers of either sign get small codes."""
    return ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)


def unzigzag(codes: Unsigned) -> Ints:
    numbers: Ints = ((codes >> np.uint64(1)) ^ (np.uint64(0) - (codes & np.uint64(1)))).view(np.int64)
    return numbers


def _bit_length(codes: Unsigned) -> Ints:
    """Bits of each number; one too many just below a power of two beyond 2^53, where doubles round up."""
    return np.minimum(np.frexp(codes.astype(np.float64))[1], 64).astype(np.int64)


def _order(widths: Ints, kinds: Ints) -> Ints:
    """By width, then by kind, then as they were: columns of like noise stand side by side in a plane."""
    return np.argsort(widths * 256 + kinds, kind="stable")


def _rows(codes: Unsigned) -> Bytes:
    """Eight bytes a code, the least significant first."""
    return codes.astype("<u8", copy=False).view(np.uint8).reshape(-1, 8)


def _first_rows(lengths: Ints | None, widths: Ints) -> list[int]:
    """For each plane the first code that has a byte in it; columns come in ``_order``, so all after it have one too.

    ``lengths``: how many codes each column has, None where it is one.
    """
    rows = widths.searchsorted(_PLANES, "right")
    if lengths is not None:
        rows = np.concatenate((_ZERO, lengths.cumsum()))[rows]
    found: list[int] = rows.tolist()
    return found


def _planes(codes: Unsigned, lengths: Ints | None, widths: Ints, kinds: Ints) -> list[bytes]:
    """Byte p of every code whose column is wider than p bytes, for p = 0 … 7, cut where a new width or kind begins."""
    rows = _rows(codes)
    keys = widths * 256 + kinds
    cuts = _cuts(keys, lengths) if len(rows) > _CUT_CELLS else []
    chunks = []
    for plane, first in enumerate(_first_rows(lengths, widths)):
        if first < len(rows):
            edges = [first, *(cut for cut in cuts if cut > first), len(rows)]
            chunks += [rows[start:end, plane].tobytes() for start, end in itertools.pairwise(edges)]
    return chunks


def _cuts(keys: Ints, lengths: Ints | None) -> list[int]:
    """Before which codes a new key begins; see ``_first_rows``."""
    columns = (keys[1:] != keys[:-1]).nonzero()[0]
    ends: Ints = columns + 1 if lengths is None else lengths.cumsum()[columns]
    found: list[int] = ends.tolist()
    return found


def _unplanes(take: Callable[[int], bytes], lengths: Ints | None, widths: Ints) -> Unsigned:
    total = len(widths) if lengths is None else int(lengths.sum())
    rows = np.zeros((total, 8), np.uint8)
    for plane, first in enumerate(_first_rows(lengths, widths)):
        if first < total:
            rows[first:, plane] = np.frombuffer(take(total - first), np.uint8)
    codes: Unsigned = rows.view("<u8").ravel()
    return codes
