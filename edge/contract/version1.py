"""How version 1 of the format is read. It is no longer written.

It had lengths of fixed width, names in every block, a kind for every column with the slope's mark in it, and times from
1970 for every series.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from edge.contract import kinds as k
from edge.contract.columns import Heads, Ints
from edge.contract.dictionary import Group
from edge.contract.directory import Directory, check_series, groups_of, lists_of, scales_of, texts_of
from edge.contract.envelope import DIGEST_BYTES, DIRECTORY_BYTES_MAX, Header, gateway_of
from edge.contract.series import Shape
from edge.contract.types import Key, Lane
from edge.contract.wire import Source
from edge.errors import BlockError

RECORDS = frozenset(("asset", "verdict", "alarm", "dropped", "ledger"))
_HEAD = struct.Struct("<4sBBBB16s16sQqIIIII")
"""magic, version, flags, lane, gateway's bytes, epoch, boot, seq, sealed_ns, readings, good, records, raw, packed."""
_LISTS = ("schemas", "series", "texts", "scales", "records")


def header_of(data: bytes, digest: bytes) -> Header:
    if len(data) < _HEAD.size:
        raise BlockError("block", f"cut short: {len(data)} bytes are less than a header")
    (_, _, flags, lane, name_bytes, epoch, boot, seq, sealed_ns, readings, good, count, raw, packed) = (
        _HEAD.unpack_from(data)
    )
    at = _HEAD.size + name_bytes
    if len(data) != at + packed + DIGEST_BYTES:
        raise BlockError("block", f"{len(data)} bytes where its header says {at + packed + DIGEST_BYTES}")
    if flags or lane not in tuple(Lane) or not name_bytes:
        raise BlockError("block", "its header has flags, a lane or a gateway that its version does not know")
    key = Key(gateway_of(data[_HEAD.size : at]), epoch.hex(), seq)
    return Header(
        key, boot.hex(), Lane(lane), sealed_ns, readings, good, count, digest, dictionary=b"", thinned=False, version=1,
        raw_bytes=raw, frame=memoryview(data)[at:-DIGEST_BYTES], compressed=True,
    )  # fmt: skip


def claimed(data: bytes) -> tuple[str, int]:
    """Epoch and number as a block that may be damaged states them. Raises BlockError."""
    head = Source(data, 8).take(40)
    return head[:16].hex(), int.from_bytes(head[32:], "little")


def read_directory(payload: Source, _: Sequence[Group]) -> Directory:
    size = int.from_bytes(payload.take(4), "little")
    if size > DIRECTORY_BYTES_MAX:
        raise BlockError("block", f"a directory of {size} bytes; the limit is {DIRECTORY_BYTES_MAX}")
    found = lists_of(payload.take(size), _LISTS, all_of_them=True)
    check_series(len(found["series"]))
    groups = groups_of([entry[:2] if isinstance(entry, list) else entry for entry in found["series"]], found["schemas"])
    shapes = []
    for group, entry in zip(groups, found["series"], strict=True):
        match entry[2:]:
            case [int(rows), 0 | 1 as spread, 0 | 1 as flawed] if rows > 0:
                shapes.append(Shape(*group, rows, spread == 1, flawed == 1))
            case _:
                raise BlockError("block", "a series in its directory cannot be")
    return Directory(shapes, texts_of(found["texts"]), scales_of(found["scales"]), found["records"])


def read_heads(payload: Source, lengths: Ints, control: Ints) -> Heads:
    """Kinds stand for every column, with bit 7 for a slope; a width is 16 x the first value's + the steps'."""
    codes = np.frombuffer(payload.take(len(lengths)), np.uint8)
    found = (codes & 0x7F).astype(np.int64)
    full = lengths > 0
    if (found[: len(control)] != control).any() or ((found == k.NONE) != ~full).any():
        raise BlockError("block", "a column is of a kind that cannot be")
    return Heads(found, codes[full] >= 0x80, np.frombuffer(payload.take(int(full.sum())), np.uint8))


def settle(cells: Ints, _rows: Ints, _sealed_ns: int) -> Ints:
    """Times are absolute already."""
    return cells
