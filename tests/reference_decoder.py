"""A second decoder of blocks, written from edge/contract/README.md and sharing nothing with edge/contract.

Plain and slow on purpose: the standard library, and zstandard for one call. What it gives are plain dicts and lists.
"""

from __future__ import annotations

import hashlib
import json
import struct
from itertools import accumulate
from typing import Any

import zstandard

MASK = 2**64 - 1


class NotABlockError(Exception):
    pass


def need(condition: object, what: str) -> None:
    if not condition:
        raise NotABlockError(what)


def decode(data: bytes) -> dict[str, Any]:
    """The whole block: the envelope's fields, ``series`` (a list of polls each) and ``records``."""
    need(data[:4] == b"BABT", "magic")
    need(data[4] in (1, 2), "version")
    need(hashlib.blake2b(data[:-16], digest_size=16).digest() == data[-16:], "digest")
    flags, lane, name = data[5], data[6], data[7]
    need(flags == 0 and lane in (0, 1) and name, "flags, lane, name")
    seq, sealed_ns, readings, good, records, raw, packed = struct.unpack_from("<QqIIIII", data, 40)
    start = 76 + name
    need(len(data) == start + packed + 16, "length")
    frame = data[start : start + packed]
    need(zstandard.frame_content_size(frame) == raw and raw <= 2**24, "content size")
    payload = zstandard.ZstdDecompressor().decompress(frame, max_output_size=raw, allow_extra_data=False)
    series, found, with_value = read_payload(payload)
    need(sum(len(poll["values"]) for polls in series for poll in polls) == readings, "readings")
    need(with_value == good and len(found) == records, "good, records")
    return {
        "gateway": data[76:start].decode(), "epoch": data[8:24].hex(), "boot": data[24:40].hex(), "seq": seq,
        "lane": lane, "sealed_ns": sealed_ns, "readings": readings, "good": good, "series": series, "records": found,
    }  # fmt: skip


class Cursor:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        need(self.at + count <= len(self.data), "payload ends early")
        self.at += count
        return self.data[self.at - count : self.at]


def read_payload(payload: bytes) -> tuple[list[list[dict[str, Any]]], list[Any], int]:
    cursor = Cursor(payload)
    directory = json.loads(cursor.take(int.from_bytes(cursor.take(4), "little")))
    shapes = [(asset, directory["schemas"][s], *rest) for asset, s, *rest in directory["series"]]
    qualities = []
    for _, tags, rows, _, flawed in shapes:
        qualities.append([cursor.take(rows) if flawed else bytes(rows) for _ in tags])
    need(all(set(q) <= {0x00, 0x40, 0x80, 0x81, 0x82} for one in qualities for q in one), "quality")
    lengths = [rows for _ in range(3) for _, _, rows, _, _ in shapes]
    lengths += [rows for _, tags, rows, spread, _ in shapes for _ in (tags if spread else [0])]
    control = len(lengths)
    lengths += [sum(code < 0x80 for code in q) for one in qualities for q in one]
    kinds = cursor.take(len(lengths))
    columns = read_columns(cursor, lengths, kinds)
    need(cursor.at == len(payload), "payload has something left over")
    meant = [meaning(k & 127, cells, directory) for k, cells in zip(kinds, columns, strict=True)]
    return polls(shapes, qualities, meant, control), directory["records"], sum(lengths[control:])


def read_columns(cursor: Cursor, lengths: list[int], kinds: bytes) -> list[list[int]]:
    full = [c for c, length in enumerate(lengths) if length]
    need(all((kinds[c] == 0) == (lengths[c] == 0) for c in range(len(lengths))), "kind of an empty column")
    widths = dict(zip(full, cursor.take(len(full)), strict=True))
    by_first = sorted(full, key=lambda c: (widths[c] >> 4, kinds[c] & 127))
    by_steps = sorted(full, key=lambda c: (widths[c] & 15, kinds[c] & 127))
    sloped = [c for c in full if kinds[c] & 128]
    firsts = read_planes(cursor, [(c, 1, widths[c] >> 4) for c in by_first])
    slopes = read_planes(cursor, [(c, 1, 8) for c in sloped])
    steps = read_planes(cursor, [(c, lengths[c] - 1, widths[c] & 15) for c in by_steps])
    columns: list[list[int]] = [[] for _ in lengths]
    for c in full:
        slope = slopes[c][0] if c in slopes else 0
        columns[c] = [signed(n) for n in accumulate((slope + step for step in steps[c]), initial=firsts[c][0])]
    return columns


def read_planes(cursor: Cursor, runs: list[tuple[int, int, int]]) -> dict[int, list[int]]:
    """Signed numbers by column; a run is a column, how many codes it has and of how many bytes."""
    codes = {column: [0] * count for column, count, _ in runs}
    for plane in range(8):
        for column, count, width in runs:
            if width > plane:
                for i, byte in enumerate(cursor.take(count)):
                    codes[column][i] |= byte << (8 * plane)
    need(all(width <= 8 for _, _, width in runs), "width")
    return {column: [(code >> 1) ^ -(code & 1) for code in found] for column, found in codes.items()}


def signed(number: int) -> int:
    number &= MASK
    return number - 2**64 if number >> 63 else number


def meaning(kind: int, cells: list[int], directory: dict[str, Any]) -> list[Any]:
    """The values that whole numbers of one kind stand for."""
    if kind == 1:
        need(set(cells) <= {0, 1}, "boolean")
        return [cell == 1 for cell in cells]
    if kind in (0, 2):
        return cells
    if kind == 3:
        return [struct.unpack("<d", struct.pack("<q", n ^ (2**63 - 1) if n < 0 else n))[0] for n in cells]
    if kind == 4:
        return [struct.unpack("<f", struct.pack("<i", n ^ (2**31 - 1) if n < 0 else n))[0] for n in cells]
    if kind == 5:
        return [directory["texts"][n] for n in cells]
    if kind == 6:
        return [typed(directory["texts"][n]) for n in cells]
    operation, factor, offset = directory["scales"][kind - 16]
    if operation == "times":
        return [float(n) * factor + offset for n in cells]
    quotients = [float(n) / factor for n in cells]
    return [struct.unpack("<f", struct.pack("<f", q))[0] for q in quotients] if operation == "over32" else quotients


def typed(text: str) -> Any:
    rest = text[1:]
    need(text[0] in "bifs", "type of a mixed value")
    if text[0] == "b":
        return rest == "1"
    if text[0] == "i":
        return int(rest)
    return struct.unpack(">d", bytes.fromhex(rest))[0] if text[0] == "f" else rest


def polls(
    shapes: list[Any], qualities: list[list[bytes]], columns: list[list[Any]], control: int
) -> list[list[dict[str, Any]]]:
    """Columns as rows: every poll of every series with its three times, values and qualities."""
    count = len(shapes)
    sources, values = iter(columns[3 * count : control]), iter(columns[control:])
    series = []
    for index, (asset, tags, rows, spread, _) in enumerate(shapes):
        read, difference, trusted = columns[index], columns[count + index], columns[2 * count + index]
        source = [[signed(r + d) for r, d in zip(read, next(sources), strict=True)]] if tags or not spread else []
        for _ in tags[1:]:
            steps = next(sources) if spread else [0] * rows
            source.append([signed(s + d) for s, d in zip(source[-1], steps, strict=True)])
        spaced = [iter(next(values)) for _ in tags]
        found = []
        for row in range(rows):
            codes = [one[row] for one in qualities[index]]
            found.append({
                "asset": asset, "tags": tags, "read_ns": read[row], "mono_ns": signed(read[row] + difference[row]),
                "trusted": trusted[row], "source_ns": [source[tag][row] for tag in range(len(tags))], "quality": codes,
                "values": [next(column) if code < 0x80 else None for column, code in zip(spaced, codes, strict=True)],
            })  # fmt: skip
        series.append(found)
    return series
