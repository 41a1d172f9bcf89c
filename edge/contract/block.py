"""The block: a sealed, compressed run of readings and records, the same bytes on card, on the wire and in the cloud.

The format is specified byte by byte in the README beside this file. A block that was altered, cut short, made by a
later version or made to harm is refused with a BlockError and costs no more than the limits below; nothing else is
ever raised for bytes from outside.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import zstandard

from edge.contract import columns, kinds, records, series
from edge.contract.dictionary import Dictionary, is_dictionary, open_dictionary, pack_dictionary
from edge.contract.frames import pack_frames, unpack_frames
from edge.contract.series import Column, Series, Shape, Table
from edge.contract.types import Batch, Key, Lane, Quality, Record
from edge.errors import BlockError, UnknownDictionaryError

__all__ = [
    "Block", "Column", "Dictionary", "Header", "Series", "decode_block", "encode_block", "is_dictionary",
    "open_dictionary", "pack_dictionary", "pack_frames", "peek", "unpack_frames",
]  # fmt: skip

MAGIC = b"BABT"
VERSION = 2
VERSIONS = (1, 2)
READINGS_MAX = 2**18
ROWS_MAX = 2**18
SERIES_MAX = 2**14
PAYLOAD_BYTES_MAX = 2**24
DIRECTORY_BYTES_MAX = 2**22
_DIGEST_BYTES = 16
_LEVEL = 3
_CHUNK_BYTES_MIN = 128
_THINNED, _NAMED = 1, 2
_NO_DICTIONARIES: Mapping[bytes, Dictionary] = MappingProxyType({})
_TO_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False)

_HEAD = struct.Struct("<4sBBBB16s16sQqIIIII")
"""magic, version, flags, lane, gateway's bytes, epoch, boot, seq, sealed_ns, readings, good, records, raw, packed."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a block says of itself in clear.

    ``readings`` counts values asked for, good or bad; ``good`` those that came with a value. ``digest`` tells two
    blocks with the same key but different contents apart. ``dictionary`` is the digest of the one that its names are in
    (empty: it opens alone); ``thinned`` says that readings were taken out on purpose, which the ledger declares.
    """

    key: Key
    boot: str
    lane: Lane
    sealed_ns: int
    readings: int
    good: int
    records: int
    digest: bytes
    dictionary: bytes
    thinned: bool
    raw_bytes: int = field(compare=False)
    at: int = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Block:
    """A block, opened."""

    header: Header
    series: tuple[Series, ...]
    records: tuple[Record, ...]

    def batches(self) -> Iterator[Batch]:
        """Every poll: series after series, each in the order in which it was taken."""
        return itertools.chain.from_iterable(one.batches() for one in self.series)


def encode_block(
    key: Key,
    *,
    boot: str,
    lane: Lane,
    sealed_ns: int,
    batches: Sequence[Batch],
    records: Sequence[Record],
    dictionary: Dictionary | None = None,
    thinned: bool = False,
) -> bytes:
    """Seal batches and records. ``key.epoch`` and ``boot`` are 32 hex digits (a hyphenated UUID will do for ``boot``).

    Series that are in ``dictionary`` refer to it, so that the block opens only with it; all others are named inline.

    Raises BlockError where they are more than one block holds; batches that break the contract of ``Batch`` are an
    AssertionError.
    """
    readings = sum(len(batch.tags) for batch in batches)
    _check_size("readings", readings, READINGS_MAX)
    _check_size("polls", len(batches), ROWS_MAX)
    table = series.tabulate(batches)
    _check_size("series", len(table.shapes), SERIES_MAX)
    chunks = _payload(table, records, dictionary)
    raw = sum(map(len, chunks))
    _check_size("bytes", raw, PAYLOAD_BYTES_MAX)
    packed = _compress(chunks, raw)
    gateway = key.gateway.encode()
    assert 0 < len(gateway) < 256, "a gateway's name has 1 to 255 bytes"
    assert 0 <= key.seq < 2**64
    flags = thinned * _THINNED + (dictionary is not None) * _NAMED
    head = _HEAD.pack(
        MAGIC, VERSION, flags, lane, len(gateway), _sixteen(key.epoch), _sixteen(boot.replace("-", "")),
        key.seq, sealed_ns, readings, table.good, len(records), raw, len(packed),
    )  # fmt: skip
    return _sealed(head + gateway + (dictionary.digest if dictionary else b"") + packed)


def _sealed(data: bytes) -> bytes:
    return data + hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


def _check_size(what: str, found: int, limit: int) -> None:
    if found > limit:
        raise BlockError("block", f"{found} {what}; a block holds {limit}", "seal more often")


def _sixteen(digits: str) -> bytes:
    number = bytes.fromhex(digits)
    assert (len(number), number.hex()) == (16, digits), f"{digits!r} is not 32 lower-case hex digits"
    return number


def _payload(table: Table, found: Sequence[Record], dictionary: Dictionary | None) -> list[bytes]:
    """The payload's parts, cut where statistics change."""
    samples: list[bytes] = []
    directory = _directory(table, [records.to_json(record, samples) for record in found], dictionary)
    _check_size("bytes of names and records", len(directory), DIRECTORY_BYTES_MAX)
    full = table.kinds != kinds.NONE
    packed = columns.pack(table.cells, table.lengths[full], table.kinds[full])
    codes = table.kinds.astype(np.uint8)
    codes[full] |= packed.sloped.astype(np.uint8) * np.uint8(kinds.SLOPED)
    heads = [codes.tobytes(), packed.widths.tobytes()]
    return [struct.pack("<I", len(directory)) + directory, table.quality, *heads, *packed.chunks, *samples]


def _directory(table: Table, found: list[dict[str, Any]], dictionary: Dictionary | None) -> bytes:
    """Names, shapes and records as JSON. Each tuple of tags is written once, however many assets have it."""
    schemas: dict[tuple[str, ...], int] = {}
    numbers = dictionary.numbers if dictionary else {}
    shapes = []
    for s in table.shapes:
        number = numbers.get((s.asset, s.tags))
        name = [s.asset, schemas.setdefault(s.tags, len(schemas))] if number is None else [number]
        shapes.append([*name, s.rows, int(s.spread), int(s.flawed)])
    directory = {
        "schemas": list(schemas),
        "series": shapes,
        "texts": table.texts,
        "scales": table.scales,
        "records": found,
    }
    return _TO_JSON.encode(directory).encode()


def _compress(chunks: Sequence[bytes], raw: int) -> bytes:
    """One zstd frame; a new compressed block, with symbol statistics of its own, where a chunk of some size begins."""
    stream = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=False).compressobj(size=raw)
    out: list[bytes] = []
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        if len(chunk) >= _CHUNK_BYTES_MIN and size >= _CHUNK_BYTES_MIN:
            out += [stream.compress(b"".join(waiting)), stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)]
            waiting, size = [], 0
        waiting.append(chunk)
        size += len(chunk)
    return b"".join([*out, stream.compress(b"".join(waiting)), stream.flush()])


def peek(data: bytes) -> Header:
    """The header of a block whose magic, version, lengths and checksum are right. Raises BlockError."""
    if len(data) < 5 or data[:4] != MAGIC:
        raise BlockError("block", "the bytes are not a block")
    if data[4] not in VERSIONS:
        raise BlockError(
            "block", f"made in version {data[4]} of the format, this program reads versions 1 and 2", "update it"
        )
    if len(data) < _HEAD.size:
        raise BlockError("block", f"cut short: {len(data)} bytes are less than a header")
    (_, _, flags, lane, name_bytes, epoch, boot, seq, sealed_ns, readings, good, count, raw, packed) = (
        _HEAD.unpack_from(data)
    )
    named, known_flags = (flags & _NAMED, _THINNED | _NAMED) if data[4] == 2 else (0, 0)
    start = _HEAD.size + name_bytes
    at = start + (_DIGEST_BYTES if named else 0)
    if len(data) != at + packed + _DIGEST_BYTES:
        raise BlockError("block", f"{len(data)} bytes where its header says {at + packed + _DIGEST_BYTES}")
    digest = hashlib.blake2b(memoryview(data)[:-_DIGEST_BYTES], digest_size=_DIGEST_BYTES).digest()
    if digest != data[-_DIGEST_BYTES:]:
        raise BlockError("block", "its checksum is wrong: bytes were altered")
    if flags & ~known_flags or lane not in tuple(Lane) or not name_bytes:
        raise BlockError("block", "its header has flags, a lane or a gateway that its version does not know")
    if readings > READINGS_MAX or good > readings or raw > PAYLOAD_BYTES_MAX or count > raw:
        raise BlockError("block", "its header counts more than a block holds")
    try:
        gateway = data[_HEAD.size : start].decode()
    except UnicodeDecodeError:
        raise BlockError("block", "the gateway's name is not UTF-8") from None
    key = Key(gateway, epoch.hex(), seq)
    return Header(
        key, boot.hex(), Lane(lane), sealed_ns, readings, good, count, digest, data[start:at], bool(flags & _THINNED),
        raw_bytes=raw, at=at,
    )  # fmt: skip


def decode_block(data: bytes, dictionaries: Mapping[bytes, Dictionary] = _NO_DICTIONARIES) -> Block:
    """Open a block: numbers as numpy arrays. ``dictionaries``: those at hand, by their digests.

    Raises UnknownDictionaryError where the block needs another one, BlockError where it is none, having allocated no
    more than the limits allow.
    """
    header = peek(data)
    dictionary = dictionaries.get(header.dictionary) if header.dictionary else None
    if header.dictionary and dictionary is None:
        raise UnknownDictionaryError(header.dictionary)
    if dictionary is not None and dictionary.digest != header.dictionary:
        raise BlockError("block", "it was given a dictionary that is not the one it names")
    payload = _Payload(_decompress(memoryview(data)[header.at : -_DIGEST_BYTES], header.raw_bytes))
    directory = _parse(payload)
    shapes = _shapes(directory, dictionary.groups if dictionary else ())
    readings = sum(shape.rows * len(shape.tags) for shape in shapes)
    if readings != header.readings or sum(shape.rows for shape in shapes) > ROWS_MAX:
        raise BlockError("block", "its directory and its header count different readings")
    if len(directory["records"]) != header.records:
        raise BlockError("block", "its directory and its header count different records")
    table = _table(payload, shapes, _texts(directory["texts"]), _scales(directory["scales"]))
    found = records.all_from_json(directory["records"], payload.take)
    if payload.rest or table.good != header.good:
        raise BlockError("block", "its payload is longer than its columns, or counts different good readings")
    return Block(header, series.untabulate(table), found)


class _Payload:
    """The decompressed bytes, read once from front to back."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def rest(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.rest:
            raise BlockError("block", "its payload ends early")
        self._at += count
        return self._data[self._at - count : self._at]


def _decompress(packed: memoryview, raw: int) -> bytes:
    try:
        # The decompressor believes the size that the frame states, so that is checked first.
        if zstandard.frame_content_size(packed) != raw:
            raise BlockError("block", "its payload and its header state different sizes")
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=raw, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BlockError("block", f"its payload does not decompress: {error}") from None


def _parse(payload: _Payload) -> dict[str, Any]:
    (size,) = struct.unpack("<I", payload.take(4))
    if size > DIRECTORY_BYTES_MAX:
        raise BlockError("block", f"a directory of {size} bytes; the limit is {DIRECTORY_BYTES_MAX}")
    try:
        directory = json.loads(payload.take(size))
    except (ValueError, RecursionError):
        raise BlockError("block", "its directory is not JSON") from None
    lists = ("schemas", "series", "texts", "scales", "records")
    if not isinstance(directory, dict) or sorted(directory) != sorted(lists):
        raise BlockError("block", "its directory has other keys than its version")
    if not all(isinstance(directory[name], list) for name in lists):
        raise BlockError("block", "its directory holds something else than lists")
    return directory


def _shapes(directory: dict[str, Any], groups: Sequence[tuple[str, tuple[str, ...]]]) -> list[Shape]:
    schemas = [tuple(_texts(tags)) for tags in directory["schemas"]]
    if len(directory["series"]) > SERIES_MAX:
        raise BlockError("block", f"its directory has more than {SERIES_MAX} series")
    shapes = []
    for entry in directory["series"]:
        match entry:
            case [str(asset), int(schema), int(rows), 0 | 1 as spread, 0 | 1 as flawed]:
                if 0 <= schema < len(schemas) and rows > 0:
                    shapes.append(Shape(asset, schemas[schema], rows, spread == 1, flawed == 1))
                    continue
            case [int(group), int(rows), 0 | 1 as spread, 0 | 1 as flawed]:
                if 0 <= group < len(groups) and rows > 0:
                    shapes.append(Shape(*groups[group], rows, spread == 1, flawed == 1))
                    continue
        raise BlockError("block", "a series in its directory cannot be")
    return shapes


def _texts(found: Any) -> list[str]:
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise BlockError("block", "its directory holds a name that is no text")
    return found


def _scales(found: list[Any]) -> list[kinds.Scale]:
    scales = []
    for entry in found:
        match entry:
            case ["times" | "over" | "over32" as op, float(factor), float(offset)] if 0 < abs(factor) < math.inf:
                scales.append(kinds.Scale(op, factor, offset))
            case _:
                raise BlockError("block", "a scale in its directory cannot be")
    return scales


def _table(payload: _Payload, shapes: list[Shape], texts: list[str], scales: list[kinds.Scale]) -> Table:
    """Columns as whole numbers, with every kind checked against what it may hold."""
    quality = payload.take(sum(shape.rows * len(shape.tags) for shape in shapes if shape.flawed))
    if not set(quality) <= set(Quality):
        raise BlockError("block", "a quality that its version does not know")
    lengths, control = series.layout(shapes, quality)
    codes = np.frombuffer(payload.take(len(lengths)), np.uint8)
    found = (codes & (kinds.SLOPED - 1)).astype(np.int64)
    full = lengths > 0
    expected = np.full(control, kinds.INT)
    expected[2 * len(shapes) : 3 * len(shapes)] = kinds.BOOL
    beyond = (found > kinds.MIXED) & ((found < kinds.SCALED) | (found >= kinds.SCALED + len(scales)))
    if (found[:control] != expected).any() or beyond.any() or ((found == kinds.NONE) != ~full).any():
        raise BlockError("block", "a column is of a kind that cannot be")
    widths = np.frombuffer(payload.take(int(full.sum())), np.uint8)
    cells = columns.unpack(payload.take, lengths[full], found[full], codes[full] >= kinds.SLOPED, widths)
    if (cells[np.repeat(found == kinds.BOOL, lengths)] >> 1).any():
        raise BlockError("block", "a boolean that is neither 0 nor 1")
    return Table(shapes, texts, scales, quality, found, lengths, cells, int(lengths[control:].sum()))
