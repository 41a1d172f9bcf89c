"""Values of any kind as whole numbers, and back to the bit.

Plant data are whole numbers in disguise: registers times a scale, decimals, single precision widened to double. What
kind a column is gets found out from its values alone and is proved on every one of them, so that a guess can cost
bytes but never a bit.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from edge.contract.columns import Flags, Ints, spans
from edge.contract.types import Value
from edge.errors import BlockError

Floats = NDArray[np.float64]

NONE, BOOL, INT, FLOAT64, FLOAT32, TEXT, MIXED = range(7)
SCALED = 16
"""Kinds from here on are scales."""
INT_MIN, INT_MAX = -(2**63), 2**63 - 1
_DIGITS_MAX = 400
"""Longest decimal spelling of a whole number beyond 64 bits."""


class Scale(NamedTuple):
    """``times``: number x factor + offset; ``over``: number / factor; ``over32``: that, rounded to single precision."""

    op: Literal["times", "over", "over32"]
    factor: float
    offset: float = 0.0


SINGLES = tuple(Scale("over32", d) for d in (1.0, 2.0, 4.0, 8.0, 10.0, 20.0, 50.0, 1e2, 1e3, 1e4, 1e5))
QUOTIENTS = tuple(Scale("over", d) for d in (1.0, 10.0, 20.0, 50.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7))
PRODUCTS = tuple(Scale("times", float(f"{digits}e-{power}")) for power in range(1, 5) for digits in (1, 5, 2, 25))
STANDARD = (*SINGLES, *QUOTIENTS, *PRODUCTS)
"""Scales that every decoder of version 2 knows, simplest first: kinds from 16 on. Blocks may bring more."""


class _Family(NamedTuple):
    """Scales that are tried together, simplest first: quotients, then products. ``first`` is their first one's kind.

    ``limit`` is the largest number believed: beyond it, it takes as many bits as the float itself, for no gain.
    """

    first: int
    factors: Floats
    quotients: int
    limit: float
    single: bool


def _family(first: int, scales: Sequence[Scale], quotients: int, limit: float) -> _Family:
    return _Family(first, np.array([[s.factor] for s in scales]), quotients, limit, scales[0].op == "over32")


_SINGLES = _family(SCALED, SINGLES, len(SINGLES), 2.0**22)
_DOUBLES = _family(SCALED + len(SINGLES), (*QUOTIENTS, *PRODUCTS), len(QUOTIENTS), 2.0**48)
_CELLS_AT_ONCE = 4096


def floats_to_ints(values: Floats, lengths: Ints) -> tuple[Ints, Ints]:
    """One kind a column and one whole number a cell; ``values`` float64[sum(lengths)], no column empty.

    Kinds from ``SCALED`` on are those of ``STANDARD``.
    """
    starts = lengths.cumsum() - lengths
    with np.errstate(all="ignore"):
        narrow = values.astype(np.float32)
        single = narrow.astype(np.float64).view(np.int64) == values.view(np.int64)
        # What a processor makes of a NaN's payload while narrowing is its own affair, so NaNs stay as they are.
        is_single = np.logical_and.reduceat(single & (values == values), starts)
        inside = is_single.repeat(lengths)
        kinds = np.where(is_single, FLOAT32, FLOAT64)
        cells = np.where(inside, _ordered32(narrow), _ordered64(values))
        for columns, family in ((is_single.nonzero()[0], _SINGLES), ((~is_single).nonzero()[0], _DOUBLES)):
            for part in _portions(columns, lengths):
                where = spans(starts[part], lengths[part])
                found, numbers = _first_exact(values[where], lengths[part], family)
                hit = found >= 0
                kinds[part[hit]] = family.first + found[hit]
                inside = hit.repeat(lengths[part]).nonzero()[0]
                cells[where[inside]] = numbers[found.repeat(lengths[part])[inside], inside].astype(np.int64)
    return kinds, cells


def _portions(columns: Ints, lengths: Ints) -> list[Ints]:
    """Columns in portions of some thousand cells, so that trying many scales needs little memory at a time."""
    portion = lengths[columns].cumsum() // _CELLS_AT_ONCE
    if not len(columns) or portion[-1] == 0:
        return [columns] if len(columns) else []
    return np.split(columns, (portion[1:] != portion[:-1]).nonzero()[0] + 1)


def _first_exact(values: Floats, lengths: Ints, family: _Family) -> tuple[Ints, Floats]:
    """For each column the index of the first scale that gives back its every bit, or -1; the numbers for each scale."""
    _, factors, cut, limit, single = family
    numbers, back = np.empty((2, len(factors), len(values)))
    np.multiply(values, factors[:cut], out=numbers[:cut])
    np.divide(values, factors[cut:], out=numbers[cut:])
    np.rint(numbers, out=numbers)
    # This turns -0.0, which a whole number cannot hold, into 0.0; the proof below then fails for it.
    numbers += 0.0
    np.divide(numbers[:cut], factors[:cut], out=back[:cut])
    np.multiply(numbers[cut:], factors[cut:], out=back[cut:])
    if single:
        back = back.astype(np.float32).astype(np.float64)
    exact = (back.view(np.int64) == values.view(np.int64)) & (np.abs(numbers) <= limit)
    whole: Flags = np.logical_and.reduceat(exact, lengths.cumsum() - lengths, axis=1)
    return np.where(whole.any(axis=0), whole.argmax(axis=0), -1), numbers


def ints_to_floats(kind: Ints | int, cells: Ints, scales: Sequence[Scale]) -> Floats:
    """The doubles of cells of one kind, or of a kind each; of kinds that are no floats, anything.

    Raises BlockError where a number is beyond its kind.
    """
    divisor, factor, offset, narrow = _STANDARD_PLAN if scales is STANDARD else _plan(scales)
    with np.errstate(all="ignore"):
        floats = cells / divisor[kind] * factor[kind] + offset[kind]
        found = set(kind.tolist() if isinstance(kind, np.ndarray) else [kind])
        if any(narrow[one] for one in found):
            floats = np.where(narrow[kind], floats.astype(np.float32), floats)
    if FLOAT64 in found:
        floats = np.where(kind == FLOAT64, _unordered64(cells), floats)
    if FLOAT32 in found:
        inside = np.broadcast_to(kind == FLOAT32, cells.shape)
        numbers = cells[inside]
        if len(numbers) and (numbers.max() >= 2**31 or numbers.min() < -(2**31)):
            raise BlockError("block", "a single-precision value has more than 32 bits")
        floats[inside] = _unordered32(numbers)
    return floats


class _Plan(NamedTuple):
    """By kind: number / divisor x factor + offset, then rounded to single where ``narrow``.

    What a scale does not ask for changes no bit: dividing by 1, multiplying by 1, adding -0.
    """

    divisor: Floats
    factor: Floats
    offset: Floats
    narrow: Flags


def _plan(scales: Sequence[Scale]) -> _Plan:
    nothing = [(1.0, 1.0, -0.0, False)] * SCALED
    rows = [
        (1.0, s.factor, s.offset, False) if s.op == "times" else (s.factor, 1.0, -0.0, s.op == "over32") for s in scales
    ]
    columns = zip(*nothing, *rows, strict=True)
    divisor, factor, offset, narrow = map(np.array, columns)
    return _Plan(divisor, factor, offset, narrow)


_STANDARD_PLAN = _plan(STANDARD)


def _ordered64(values: Floats) -> Ints:
    """Bits of doubles in an order that rises with the value: neighbours in value are neighbours in number."""
    bits = values.view(np.int64)
    return bits ^ ((bits >> 63) & np.int64(2**63 - 1))


def _unordered64(cells: Ints) -> Floats:
    return (cells ^ ((cells >> 63) & np.int64(2**63 - 1))).view(np.float64)


def _ordered32(values: NDArray[np.float32]) -> Ints:
    bits = values.view(np.int32).astype(np.int64)
    return bits ^ ((bits >> 63) & np.int64(2**31 - 1))


def _unordered32(cells: Ints) -> Floats:
    bits = (cells ^ ((cells >> 63) & np.int64(2**31 - 1))).astype(np.int32)
    return bits.view(np.float32).astype(np.float64)


def spell(value: Value) -> str:
    """One value of a mixed column as text whose first letter is its type."""
    if isinstance(value, bool):
        return f"b{value:d}"
    if isinstance(value, int):
        text = f"i{value}"
        assert len(text) <= _DIGITS_MAX, "a whole number of more than 1,300 bits"
        return text
    if isinstance(value, float):
        return "f" + struct.pack(">d", value).hex()
    assert isinstance(value, str), f"{value!r} with a quality that is not bad"
    return "s" + value


def unspell(text: str) -> Value:
    """The value that ``spell`` was given. Raises BlockError."""
    letter, rest = text[:1], text[1:]
    if letter == "s":
        return rest
    if letter == "b" and rest in ("0", "1"):
        return rest == "1"
    digits = rest.removeprefix("-")
    if letter == "i" and len(rest) < _DIGITS_MAX and digits.isascii() and digits.isdigit():
        return int(rest)
    if letter == "f" and len(rest) == 16 and not rest.strip("0123456789abcdef"):
        return cast(float, struct.unpack(">d", bytes.fromhex(rest))[0])
    raise BlockError("block", "a value in a mixed column has no type")
