"""A chunk: raw readings of one asset in one hour, one compressed column a tag, one column of times for all of them.

A gateway seals a block a second, so a day of an asset is 86,400 blocks; opened one by one they take half a minute. In
chunks the same day of a tag is some tens of rows. Blocks stay the truth: chunks are derived, may be missing, and can be
made anew. Columns are packed as a block's are (``edge.contract``), so numbers come back to the bit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

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
-- `blocks`: about how many those are.
CREATE TABLE chunk_hour(
    asset INTEGER NOT NULL, hour_s INTEGER NOT NULL, waiting INTEGER, blocks INTEGER NOT NULL,
    PRIMARY KEY(asset, hour_s)
) STRICT, WITHOUT ROWID;
CREATE INDEX chunk_waiting ON chunk_hour(waiting) WHERE waiting IS NOT NULL;
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
_TIME_KIND = np.array([kinds.INT])
_HEAD = struct.Struct("<IIBBBBBdd")
"""readings, values, flawed, kind, sloped, widths, and of a scaled kind its operation, factor and offset."""
_OPS = ("times", "over", "over32")


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
    return _pack(at_ns, _TIME_KIND, len(at_ns), b"", None)


def unpack_times(data: bytes) -> Ints:
    """Raises BlockError where the bytes were altered."""
    return _unpack(data)[1]


def pack_column(numbers: Floats, quality: Bytes) -> bytes:
    """One tag's column: float64[n] and uint8[n]."""
    good = quality < Quality.BAD_BUS
    flaws = quality.tobytes() if quality.any() else b""
    present = np.ascontiguousarray(numbers[good])
    if not len(present):
        return _pack(np.empty(0, np.int64), _TIME_KIND, len(numbers), flaws, None)
    kind, cells = kinds.floats_to_ints(present, np.array([len(present)]))
    scale = kinds.STANDARD[int(kind[0]) - kinds.SCALED] if kind[0] >= kinds.SCALED else None
    return _pack(cells, np.minimum(kind, kinds.SCALED), len(numbers), flaws, scale)


def unpack_column(data: bytes) -> tuple[Floats, Bytes]:
    """What ``pack_column`` was given. Raises BlockError where the bytes were altered."""
    kind, cells, quality, scales = _unpack(data)
    numbers = np.full(len(quality), np.nan)
    if len(cells):
        numbers[quality < Quality.BAD_BUS] = kinds.ints_to_floats(kind, cells, scales)
    return numbers, quality


def _pack(cells: Ints, kind: Ints, count: int, flaws: bytes, scale: kinds.Scale | None) -> bytes:
    packed = columns.pack(cells, np.array([len(cells)] if len(cells) else [], np.int64), kind)
    sloped, width = (bool(packed.sloped[0]), int(packed.widths[0])) if len(cells) else (False, 0)
    op, factor, offset = (_OPS.index(scale.op), scale.factor, scale.offset) if scale else (0, 0.0, 0.0)
    head = _HEAD.pack(count, len(cells), bool(flaws), int(kind[0]), sloped, width, op, factor, offset)
    content = b"".join([head, flaws, *packed.chunks])
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(content)


def _unpack(data: bytes) -> tuple[int, Ints, Bytes, list[kinds.Scale]]:
    """Kind, cells, qualities and the scales that the kind refers to."""
    try:
        content = zstandard.ZstdDecompressor().decompress(data, max_output_size=COLUMN_BYTES_MAX)
    except zstandard.ZstdError as error:
        raise BlockError("chunk", f"its bytes were altered: {error}") from None
    count, length, flawed, kind, sloped, width, op, factor, offset = _HEAD.unpack_from(content)
    at = _HEAD.size

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        return content[at - size : at]

    quality = np.frombuffer(take(count), np.uint8) if flawed else np.zeros(count, np.uint8)
    scales = [kinds.Scale(_OPS[op], factor, offset)]  # type: ignore[arg-type]
    if not length:
        return kind, np.empty(0, np.int64), quality, scales
    lengths, flags, widths = np.array([length]), np.array([sloped], np.bool_), np.array([width], np.uint8)
    return kind, columns.unpack(take, lengths, np.array([kind]), flags, widths), quality, scales
