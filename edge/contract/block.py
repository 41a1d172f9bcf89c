"""The block: a sealed, compressed run of readings and records, the same bytes on card, on the wire and in the cloud.

The format is specified byte by byte in the README beside this file. A block that was altered, cut short, made by a
later version or made to harm is refused with a BlockError and costs no more than the limits of ``envelope.py``; nothing
else is ever raised for bytes from outside.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np

from edge.contract import columns, kinds, records, series, version1, version2
from edge.contract.columns import Heads, Ints
from edge.contract.dictionary import Dictionary, Group, is_dictionary, open_dictionary, pack_dictionary
from edge.contract.directory import Directory
from edge.contract.envelope import (
    DIRECTORY_BYTES_MAX,
    MAGIC,
    PAYLOAD_BYTES_MAX,
    READINGS_MAX,
    ROWS_MAX,
    SERIES_MAX,
    Header,
    check_counts,
    check_seal,
    payload_of,
    sealed,
)
from edge.contract.frames import pack_frames, unpack_frames
from edge.contract.series import Column, Series, Table
from edge.contract.types import Batch, Key, Lane, Quality, Record, Waveform
from edge.contract.version2 import VERSION
from edge.contract.waveform import SAMPLES_MAX
from edge.contract.wire import Source
from edge.contract.zstd import compress
from edge.errors import BlockError, UnknownDictionaryError

__all__ = [
    "DIRECTORY_BYTES_MAX", "MAGIC", "PAYLOAD_BYTES_MAX", "READINGS_MAX", "ROWS_MAX", "SAMPLES_MAX", "SERIES_MAX",
    "VERSION", "VERSIONS", "Block", "Column", "Dictionary", "Header", "Series", "claimed_key", "decode_block",
    "encode_block", "is_dictionary", "open_dictionary", "pack_dictionary", "pack_frames", "peek", "unpack_frames",
]  # fmt: skip


class _Format(Protocol):
    """How one version differs from the others."""

    @property
    def RECORDS(self) -> frozenset[str]: ...  # noqa: N802
    def header_of(self, data: bytes, digest: bytes, /) -> Header: ...
    def claimed(self, data: bytes, /) -> tuple[str, int]: ...
    def read_directory(self, payload: Source, groups: Sequence[Group], /) -> Directory: ...
    def read_heads(self, payload: Source, lengths: Ints, control: Ints, /) -> Heads: ...
    def settle(self, cells: Ints, rows: Ints, sealed_ns: int, /) -> Ints: ...


_FORMATS: dict[int, _Format] = {1: version1, 2: version2}
VERSIONS = tuple(_FORMATS)
_NO_DICTIONARIES: Mapping[bytes, Dictionary] = MappingProxyType({})
_QUALITIES = frozenset(map(int, Quality))
_COMPRESSED_FROM_BYTES = 96
"""Shorter payloads are not worth trying."""


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

    Series that are in ``dictionary`` refer to it, all others are named inline; without series in it the block does not
    need it. Raises BlockError where they are more than one block holds; batches that break the contract of ``Batch``
    are an AssertionError.
    """
    readings = sum(len(batch.tags) for batch in batches)
    _check_size("readings", readings, READINGS_MAX)
    _check_size("polls", len(batches), ROWS_MAX)
    table = series.tabulate(batches)
    _check_size("series", len(table.shapes), SERIES_MAX)
    if dictionary is not None and not any((s.asset, s.tags) in dictionary.numbers for s in table.shapes):
        dictionary = None
    chunks = _payload(table, records, dictionary, sealed_ns)
    raw = sum(map(len, chunks))
    _check_size("bytes", raw, PAYLOAD_BYTES_MAX)
    head = version2.head_of(
        key, version2.sixteen(boot.replace("-", "")), lane, sealed_ns,
        (readings, readings - table.good, len(records)), dictionary.digest if dictionary else b"", thinned=thinned,
    )  # fmt: skip
    frame = compress(chunks, raw) if raw >= _COMPRESSED_FROM_BYTES else b""
    return sealed(version2.with_payload(head, b"".join(chunks), frame))


def _check_size(what: str, found: int, limit: int) -> None:
    if found > limit:
        raise BlockError("block", f"{found} {what}; a block holds {limit}", "seal more often")


def _payload(table: Table, found: Sequence[Record], dictionary: Dictionary | None, sealed_ns: int) -> list[bytes]:
    """The payload's parts, cut where statistics change."""
    samples: list[bytes] = []
    _check_size("samples", sum(len(r.samples) for r in found if isinstance(r, Waveform)), SAMPLES_MAX)
    directory = version2.directory_of(table, [records.to_json(record, samples) for record in found], dictionary)
    _check_size("bytes of names and records", len(directory), DIRECTORY_BYTES_MAX)
    full = table.kinds != kinds.NONE
    cells = version2.unsettle(table.cells, table.rows, sealed_ns)
    packed = columns.pack(cells, table.lengths[full], table.kinds[full])
    heads = version2.heads_of(Heads(table.kinds, packed.sloped, packed.widths), table.control)
    return [directory, table.quality, *heads, *packed.chunks, *samples]


def peek(data: bytes) -> Header:
    """The header of a block whose magic, version, lengths and checksum are right. Raises BlockError."""
    if len(data) < 5 or data[:4] != MAGIC:
        raise BlockError("block", "the bytes are not a block")
    if data[4] not in _FORMATS:
        known = " and ".join(map(str, VERSIONS))
        raise BlockError(
            "block", f"made in version {data[4]} of the format, this program reads versions {known}", "update it"
        )
    digest = check_seal(data)
    return check_counts(_FORMATS[data[4]].header_of(data, digest))


def claimed_key(data: bytes) -> tuple[str, int] | None:
    """Epoch (32 hex digits) and number that bytes state which may be damaged: a hint, nothing to rely on."""
    if data[:4] != MAGIC or data[4:5] not in {bytes((version,)) for version in VERSIONS}:
        return None
    try:
        return _FORMATS[data[4]].claimed(data)
    except BlockError:
        return None


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
    form, payload = _FORMATS[header.version], Source(payload_of(header))
    directory = form.read_directory(payload, dictionary.groups if dictionary else ())
    _check_directory(directory, header)
    table = _table(header, directory, payload)
    found = records.all_from_json(directory.records, form.RECORDS, payload.take)
    if payload.rest or table.good != header.good:
        raise BlockError("block", "its payload is longer than its columns, or counts different good readings")
    return Block(header, series.untabulate(table), found)


def _check_directory(directory: Directory, header: Header) -> None:
    readings = sum(shape.rows * len(shape.tags) for shape in directory.shapes)
    if readings != header.readings or sum(shape.rows for shape in directory.shapes) > ROWS_MAX:
        raise BlockError("block", "its directory and its header count different readings")
    if len(directory.records) != header.records:
        raise BlockError("block", "its directory and its header count different records")


def _table(header: Header, directory: Directory, payload: Source) -> Table:
    """Columns as whole numbers, with every kind checked against what it may hold."""
    form, shapes = _FORMATS[header.version], directory.shapes
    quality = payload.take(sum(shape.rows * len(shape.tags) for shape in shapes if shape.flawed))
    if not set(quality) <= _QUALITIES:
        raise BlockError("block", "a quality that its version does not know")
    lengths, control = series.layout(shapes, quality)
    heads = form.read_heads(payload, lengths, control)
    beyond = kinds.SCALED + len(directory.scales)
    if any(kinds.MIXED < kind < kinds.SCALED or kind >= beyond for kind in set(heads.kinds.tolist())):
        raise BlockError("block", "a column is of a kind that cannot be")
    full = lengths > 0
    cells = columns.unpack(payload.take, lengths[full], heads.kinds[full], heads.sloped, heads.widths)
    if (cells[np.repeat(heads.kinds == kinds.BOOL, lengths)] >> 1).any():
        raise BlockError("block", "a boolean that is neither 0 nor 1")
    table = Table(shapes, directory.texts, directory.scales, quality, heads.kinds, lengths, cells, len(control))
    form.settle(cells, table.rows, header.sealed_ns)
    return table
