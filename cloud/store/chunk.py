"""A chunk: raw readings of one asset in one hour, one compressed column a tag, one column of times for all of them.

A gateway seals a block a second, so a day of an asset is 86,400 blocks; opened one by one they take half a minute. In
chunks the same day of a tag is some tens of rows. Blocks stay the truth: chunks are derived, may be missing, and can be
made anew. Numbers become whole ones as in a block (``edge.contract.kinds``), so that they come back to the bit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from edge.contract import columns, kinds
from edge.contract.types import Quality
from edge.errors import BlockError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Span = tuple[int, int]

CHUNKS = """
-- Raw readings by asset and hour, made from blocks: a row for polls with one list of tags (their numbers, by commas).
-- `thinned`: the spans that the gateway has thinned, as JSON, NULL where it has not. `loose`: not joined with others.
CREATE TABLE chunk(
    id INTEGER PRIMARY KEY, asset INTEGER NOT NULL, hour_s INTEGER NOT NULL, tags TEXT NOT NULL,
    polls INTEGER NOT NULL, thinned TEXT, loose INTEGER NOT NULL, times BLOB NOT NULL
) STRICT;
CREATE INDEX chunk_by_hour ON chunk(asset, hour_s, tags, polls);
CREATE INDEX chunk_loose ON chunk(hour_s) WHERE loose;
CREATE TABLE chunk_column(chunk INTEGER NOT NULL, tag INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX chunk_column_by_tag ON chunk_column(chunk, tag);
-- Hours with readings. Blocks of an hour from `waiting` on are not in its chunks yet, NULL where all of them are;
-- `blocks`: about how many those are. `gone`: the policy of retention has taken its raw readings.
CREATE TABLE chunk_hour(
    asset INTEGER NOT NULL, hour_s INTEGER NOT NULL, waiting INTEGER, blocks INTEGER NOT NULL,
    gone INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY(asset, hour_s)
) STRICT, WITHOUT ROWID;
CREATE INDEX chunk_waiting ON chunk_hour(waiting) WHERE waiting IS NOT NULL;
CREATE INDEX chunk_kept ON chunk_hour(asset, hour_s) WHERE NOT gone;
CREATE INDEX chunk_many ON chunk_hour(blocks) WHERE waiting IS NOT NULL;
-- Hours of which the gateway has thinned readings: known also where only rollups are left.
CREATE TABLE thinned_hour(
    tag INTEGER NOT NULL, hour_s INTEGER NOT NULL,
    PRIMARY KEY(tag, hour_s)
) STRICT, WITHOUT ROWID;
"""
CHUNK_TABLES = ("chunk", "chunk_column", "chunk_hour", "thinned_hour")

COLUMN_BYTES_MAX = 2**26
_LEVEL = 3
_NUMBERS = struct.Struct("<IqqB")
"""How many, the first one, the slope, and bytes of the widest step."""
_COLUMN = struct.Struct("<BBBdd")
"""Whether qualities follow, and the numbers' kind, with operation, factor and offset where it is a scaled one."""
_OPS = ("times", "over", "over32")
_CODES: dict[int, tuple[Any, Any]] = {1: ("<u1", "<i1"), 2: ("<u2", "<i2"), 4: ("<u4", "<i4"), 8: ("<u8", "<i8")}
"""Whole numbers without and with a sign, by their bytes."""


@dataclass(frozen=True, slots=True)
class Polls:
    """``n`` polls of ``m`` tags in order of time.

    ``at_ns`` int64[n]; ``numbers`` float64[n, m], NaN where a value is bad or no number; ``quality`` uint8[n, m].
    ``thinned``: from when to when the gateway took readings out on purpose, None where it did not.
    """

    at_ns: Ints
    numbers: Floats
    quality: Bytes
    thinned: tuple[Span, ...] | None = None


def joined(parts: Iterable[Polls]) -> Polls:
    """Polls of the same tags as one."""
    found = list(parts)
    at_ns = np.concatenate([part.at_ns for part in found])
    order = np.argsort(at_ns, kind="stable")
    thinned = sorted({span for part in found for span in part.thinned or ()})
    return Polls(
        at_ns[order], np.concatenate([part.numbers for part in found])[order],
        np.concatenate([part.quality for part in found])[order],
        None if all(part.thinned is None for part in found) else tuple(thinned),
    )  # fmt: skip


def pack_times(at_ns: Ints) -> bytes:
    return _compressed(_packed(at_ns))


def unpack_times(data: bytes) -> Ints:
    """Raises BlockError where the bytes were altered."""
    return _unpacked(_decompressed(data))[0]


def pack_column(numbers: Floats, quality: Bytes) -> bytes:
    """One tag's column: float64[n] and uint8[n]. Where quality is bad there is no number."""
    present = np.ascontiguousarray(numbers[quality < Quality.BAD_BUS])
    kind, cells, scale = kinds.INT, np.empty(0, np.int64), kinds.Scale("times", 0.0)
    if len(present):
        found, cells = kinds.floats_to_ints(present, np.array([len(present)]))
        kind = int(found[0])
    if kind >= kinds.SCALED:
        kind, scale = kinds.SCALED, kinds.STANDARD[kind - kinds.SCALED]
    flaws = quality.tobytes() if quality.any() else b""
    head = _COLUMN.pack(bool(flaws), kind, _OPS.index(scale.op), scale.factor, scale.offset)
    return _compressed(head + _packed(cells) + flaws)


def unpack_column(data: bytes) -> tuple[Floats, Bytes]:
    """What ``pack_column`` was given. Raises BlockError where the bytes were altered."""
    content = _decompressed(data)
    flawed, kind, op, factor, offset = _COLUMN.unpack_from(content)
    cells, rest = _unpacked(content[_COLUMN.size :])
    present = kinds.ints_to_floats(kind, cells, [kinds.Scale(_OPS[op], factor, offset)])  # type: ignore[arg-type]
    if not flawed:
        return present, np.zeros(len(present), np.uint8)
    quality = np.frombuffer(rest, np.uint8)
    numbers = np.full(len(quality), np.nan)
    numbers[quality < Quality.BAD_BUS] = present
    return numbers, quality


def _packed(cells: Ints) -> bytes:
    """Whole numbers as a first one, a slope, and the steps' differences from it, byte plane by byte plane.

    As in a block, but of one column alone, which is read ten times as fast. All arithmetic wraps at 64 bits.
    """
    if not len(cells):
        return _NUMBERS.pack(0, 0, 0, 1)
    steps = np.diff(cells)
    slope = (int(cells[-1]) - int(cells[0])) // max(1, len(steps)) if len(steps) else 0
    slope = slope if -(2**63) <= slope < 2**63 else 0
    codes = columns.zigzag(steps - np.int64(slope))
    width = max(1, (int(codes.max(initial=0)).bit_length() + 7) // 8)
    planes = codes.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :width].T
    return _NUMBERS.pack(len(cells), int(cells[0]), slope, width) + planes.tobytes()


def _unpacked(content: bytes) -> tuple[Ints, bytes]:
    """The numbers, and what follows them."""
    count, first, slope, width = _NUMBERS.unpack_from(content)
    steps, end = max(0, count - 1), _NUMBERS.size + max(0, count - 1) * width
    planes = np.frombuffer(content, np.uint8, steps * width, _NUMBERS.size).reshape(width, steps)
    room = next(size for size in _CODES if size >= width)
    unsigned, signed = _CODES[room]
    rows = np.zeros((steps, room), np.uint8)
    for plane in range(width):
        rows[:, plane] = planes[plane]
    codes = rows.view(unsigned).ravel()
    cells = np.empty(count, np.int64)
    if count:
        cells[0] = first
        # zigzag's inverse: the lowest bit is the sign
        cells[1:] = ((codes >> 1) ^ -(codes & 1)).view(signed)
        if slope:
            cells[1:] += slope
        np.cumsum(cells, out=cells)
    return cells, content[end:]


def _compressed(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(content)


def _decompressed(data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=COLUMN_BYTES_MAX)
    except zstandard.ZstdError as error:
        raise BlockError("chunk", f"its bytes were altered: {error}") from None
