"""How version 2 of the format is written and read."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from edge.contract import kinds as k
from edge.contract.columns import Heads, Ints
from edge.contract.dictionary import Dictionary, Group
from edge.contract.directory import Directory, check_series, groups_of, lists_of, scales_of, texts_of, to_json
from edge.contract.envelope import DIGEST_BYTES, MAGIC, Header, gateway_of
from edge.contract.series import Shape, Table
from edge.contract.types import Key, Lane
from edge.contract.wire import Source, varint
from edge.contract.zstd import content_bytes
from edge.errors import BlockError

VERSION = 2
RECORDS = frozenset((
    "asset", "verdict", "alarm", "dropped", "ledger", "clock", "waveform", "checkpoint", "bundle",
    "outcome",
))  # fmt: skip
_TELEMETRY, _THINNED, _NAMED, _COMPRESSED = 1, 2, 4, 8
_LISTS = ("schemas", "groups", "texts", "scales", "records")
_NOTHING: dict[str, list[object]] = {name: [] for name in _LISTS}
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
"""Every zstd frame begins with it, so that it need not be stored."""
_SEALED = struct.Struct("<16sq")
_MEANT = np.array([256 * sloped + 16 * b + d for sloped in range(2) for b in range(9) for d in range(9)])
"""What the byte of a column's widths says: 81 x sloped + 9 x bytes of the first value + bytes of each step."""
_CODES = np.zeros(512, np.uint8)
_CODES[_MEANT] = np.arange(len(_MEANT))


def head_of(
    key: Key, boot: bytes, lane: Lane, sealed_ns: int, counts: tuple[int, int, int], dictionary: bytes, *, thinned: bool
) -> bytes:
    """All before the payload, but for the mark that this is compressed; ``counts``: readings, bad ones, records."""
    gateway = key.gateway.encode()
    assert 0 < len(gateway) < 256, "a gateway's name has 1 to 255 bytes"
    flags = (lane == Lane.TELEMETRY) * _TELEMETRY | thinned * _THINNED | bool(dictionary) * _NAMED
    return b"".join((
        MAGIC, bytes((VERSION, flags)), sixteen(key.epoch), varint(key.seq), _SEALED.pack(boot, sealed_ns),
        bytes((len(gateway),)), gateway, *map(varint, counts), dictionary,
    ))  # fmt: skip


def sixteen(digits: str) -> bytes:
    number = bytes.fromhex(digits)
    assert (len(number), number.hex()) == (16, digits), f"{digits!r} is not 32 lower-case hex digits"
    return number


def with_payload(head: bytes, raw: bytes, frame: bytes) -> bytes:
    """The payload behind its head: as it is, or as the zstd frame of it where that is shorter."""
    packed = frame.removeprefix(_ZSTD_MAGIC)
    if not frame or len(packed) >= len(raw):
        return head + raw
    return head[:5] + bytes((head[5] | _COMPRESSED,)) + head[6:] + packed


def header_of(data: bytes, digest: bytes) -> Header:
    source = Source(data[:-DIGEST_BYTES], 5)
    flags = source.take(1)[0]
    epoch = source.take(16)
    seq = source.varint()
    boot, sealed_ns = _SEALED.unpack(source.take(_SEALED.size))
    gateway = source.take(source.take(1)[0])
    readings, bad, records = source.varint(), source.varint(), source.varint()
    dictionary = source.take(DIGEST_BYTES if flags & _NAMED else 0)
    if flags > (_TELEMETRY | _THINNED | _NAMED | _COMPRESSED) or not gateway:
        raise BlockError("block", "its header has flags or a gateway that its version does not know")
    compressed = bool(flags & _COMPRESSED)
    frame = (_ZSTD_MAGIC if compressed else b"") + source.take(source.rest)
    return Header(
        Key(gateway_of(gateway), epoch.hex(), seq), boot.hex(), Lane(flags & _TELEMETRY), sealed_ns, readings,
        readings - bad, records, digest, dictionary, thinned=bool(flags & _THINNED), version=VERSION,
        raw_bytes=content_bytes(frame) if compressed else len(frame), frame=frame, compressed=compressed,
    )  # fmt: skip


def claimed(data: bytes) -> tuple[str, int]:
    """Epoch and number as a block that may be damaged states them. Raises BlockError."""
    source = Source(data, 6)
    return source.take(16).hex(), source.varint()


def directory_of(table: Table, records: list[object], dictionary: Dictionary | None) -> bytes:
    """What ``read_directory`` reads. Each tuple of inline tags is written once, however many assets have it."""
    numbers = dictionary.numbers if dictionary else {}
    inline: dict[Group, int] = {}
    schemas: dict[tuple[str, ...], int] = {}
    series = [varint(len(table.shapes))]
    for shape in table.shapes:
        group = (shape.asset, shape.tags)
        number = numbers.get(group)
        if number is None:
            number = inline.setdefault(group, len(numbers) + len(inline))
            schemas.setdefault(shape.tags, len(schemas))
        series += [varint(number), varint(shape.rows << 2 | shape.spread << 1 | shape.flawed)]
    lists = {
        "schemas": list(schemas),
        "groups": [(asset, schemas[tags]) for asset, tags in inline],
        "texts": table.texts,
        "records": records,
    }
    found = {name: entries for name, entries in lists.items() if entries}
    text = to_json(found) if found else b""
    return b"".join([varint(len(text)), text, *series])


def read_directory(payload: Source, groups: Sequence[Group]) -> Directory:
    text = payload.take(payload.varint())
    found = lists_of(text, _LISTS, all_of_them=False) if text else _NOTHING
    inline = groups_of(found["groups"], found["schemas"])
    count = payload.varint()
    check_series(count)
    shapes = []
    for _ in range(count):
        number, rows = payload.varint(), payload.varint()
        if number >= len(groups) + len(inline) or rows < 4:
            raise BlockError("block", "a series of no rows, or of a group that is in no dictionary")
        asset, tags = groups[number] if number < len(groups) else inline[number - len(groups)]
        shapes.append(Shape(asset, tags, rows >> 2, bool(rows & 2), bool(rows & 1)))
    scales = (*k.STANDARD, *scales_of(found["scales"])) if found["scales"] else k.STANDARD
    return Directory(shapes, texts_of(found["texts"]), scales, found["records"])


def heads_of(heads: Heads, control: int) -> list[bytes]:
    """Kinds of the value columns that are not empty; widths and slopes of all columns that are not."""
    values = heads.kinds[control:]
    return [values[values != k.NONE].astype(np.uint8).tobytes(), _CODES[heads.sloped * 256 + heads.widths].tobytes()]


def read_heads(payload: Source, lengths: Ints, control: Ints) -> Heads:
    kinds = np.zeros(len(lengths), np.int64)
    kinds[: len(control)] = control
    full = lengths > 0
    values = full[len(control) :]
    found = np.frombuffer(payload.take(int(values.sum())), np.uint8)
    if not found.all():
        raise BlockError("block", "a column is of a kind that cannot be")
    kinds[len(control) :][values] = found
    codes = np.frombuffer(payload.take(int(full.sum())), np.uint8)
    if codes.max(initial=0) >= len(_MEANT):
        raise BlockError("block", "a column claims numbers of more than 8 bytes")
    meant = _MEANT[codes]
    return Heads(kinds, meant >= 256, meant.astype(np.uint8))


def unsettle(cells: Ints, rows: Ints, sealed_ns: int) -> Ints:
    """Times as they are written: those of a series against the first of the series before, or the seal."""
    starts, total = rows.cumsum() - rows, int(rows.sum())
    told = cells.copy()
    for at, origin in ((0, sealed_ns), (total, 0)):
        before = np.full(len(starts), origin)
        before[1:] = cells[at + starts[:-1]]
        told[at : at + total] -= before.repeat(rows)
    return told


def settle(cells: Ints, rows: Ints, sealed_ns: int) -> Ints:
    """What ``unsettle`` was given."""
    starts, total = rows.cumsum() - rows, int(rows.sum())
    for at, origin in ((0, sealed_ns), (total, 0)):
        told = cells[at + starts]
        cells[at : at + total] += (told.cumsum() + origin - told).repeat(rows)
    return cells
