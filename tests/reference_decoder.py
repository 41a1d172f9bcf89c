"""A second decoder of blocks of versions 1 and 2, written from edge/contract/README.md; it shares nothing with ours.

Plain and slow on purpose: the standard library, and zstandard for one call. What it gives are plain dicts and lists.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import zstandard

MASK = 2**64 - 1


class NotABlockError(Exception):
    pass


def need(condition: object, what: str) -> None:
    if not condition:
        raise NotABlockError(what)


def decode(data: bytes, dictionaries: Mapping[bytes, bytes] | None = None) -> dict[str, Any]:
    """The whole block: the envelope's fields, ``series`` (a list of polls each) and ``records``.

    ``dictionaries``: packed, by the digest that a block names.
    """
    need(data[:4] == b"BABT", "magic")
    need(len(data) > 20 and data[4] in (1, 2), "version")
    need(blake2b(data[:-16]) == data[-16:], "digest")
    head, frame = (head_1 if data[4] == 1 else head_2)(data[:-16])
    if head["packed"]:
        raw = head.get("raw", zstandard.frame_content_size(frame))
        need(zstandard.frame_content_size(frame) == raw and raw <= 2**24, "content size")
        frame = zstandard.ZstdDecompressor().decompress(frame, max_output_size=raw, allow_extra_data=False)
    need(not head["dictionary"] or head["dictionary"] in (dictionaries or {}), "no such dictionary")
    groups = groups_of((dictionaries or {})[head["dictionary"]], head["dictionary"]) if head["dictionary"] else []
    series, found, with_value = read_payload(Cursor(frame), head, groups)
    need(sum(len(poll["values"]) for polls in series for poll in polls) == head["readings"], "readings")
    need(with_value == head["good"] and len(found) == head["records"], "good, records")
    return head | {"series": series, "records": found, "count": len(found)}


def blake2b(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def head_1(data: bytes) -> tuple[dict[str, Any], bytes]:
    flags, lane, name = data[5], data[6], data[7]
    need(flags == 0 and lane in (0, 1) and name, "flags, lane, name")
    seq, sealed_ns, readings, good, records, raw, packed = struct.unpack_from("<QqIIIII", data, 40)
    need(len(data) == 76 + name + packed, "length")
    return {
        "version": 1, "gateway": data[76 : 76 + name].decode(), "epoch": data[8:24].hex(), "boot": data[24:40].hex(),
        "seq": seq, "lane": lane, "thinned": False, "sealed_ns": sealed_ns, "readings": readings, "good": good,
        "records": records, "raw": raw, "packed": True, "dictionary": b"",
    }, data[76 + name :]  # fmt: skip


def head_2(data: bytes) -> tuple[dict[str, Any], bytes]:
    cursor = Cursor(data[5:])
    flags = cursor.take(1)[0]
    need(flags < 16, "flags")
    epoch, seq, boot = cursor.take(16), cursor.varint(), cursor.take(16)
    (sealed_ns,) = struct.unpack("<q", cursor.take(8))
    name = cursor.take(cursor.take(1)[0])
    readings, bad, records = cursor.varint(), cursor.varint(), cursor.varint()
    need(name and bad <= readings <= 2**18, "name, readings")
    dictionary = cursor.take(16 if flags & 4 else 0)
    payload = cursor.data[cursor.at :]
    return {
        "version": 2, "gateway": name.decode(), "epoch": epoch.hex(), "boot": boot.hex(), "seq": seq, "lane": flags & 1,
        "thinned": bool(flags & 2), "sealed_ns": sealed_ns, "readings": readings, "good": readings - bad,
        "records": records, "packed": bool(flags & 8), "dictionary": dictionary,
    }, (b"\x28\xb5\x2f\xfd" + payload if flags & 8 else payload)  # fmt: skip


def groups_of(data: bytes, digest: bytes) -> list[Any]:
    """The scan groups of a packed dictionary: an asset and its tags each."""
    need(data[:5] == b"BABD\x01", "magic and version of a dictionary")
    need(blake2b(data[:-16]) == data[-16:], "checksum of a dictionary")
    frame = data[21:-16]
    size = zstandard.frame_content_size(frame)
    need(0 <= size <= 2**22, "size of a dictionary")
    content = zstandard.ZstdDecompressor().decompress(frame, max_output_size=size, allow_extra_data=False)
    need(blake2b(content) == data[5:21] == digest, "digest of a dictionary")
    found: list[Any] = json.loads(content)
    need(len(found) <= 2**14 and len({json.dumps(group) for group in found}) == len(found), "groups")
    return found


class Cursor:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        need(self.at + count <= len(self.data), "payload ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def varint(self) -> int:
        number = shift = 0
        while True:
            (byte,) = self.take(1)
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                need(number <= MASK and (byte or shift == 7), "varint")
                return number


def read_payload(cursor: Cursor, head: dict[str, Any], groups: list[Any]) -> tuple[list[Any], list[Any], int]:
    directory, shapes = (directory_1 if head["version"] == 1 else directory_2)(cursor, groups)
    qualities = []
    for _, tags, rows, _, flawed in shapes:
        qualities.append([cursor.take(rows) if flawed else bytes(rows) for _ in tags])
    need(all(set(q) <= {0x00, 0x40, 0x80, 0x81, 0x82} for one in qualities for q in one), "quality")
    lengths = [rows for _ in range(3) for _, _, rows, _, _ in shapes]
    lengths += [rows for _, tags, rows, spread, _ in shapes for _ in (tags if spread else [0])]
    control = len(lengths)
    times = [1 if len(shapes) * 2 <= c < len(shapes) * 3 else 2 for c in range(control)]
    lengths += [sum(code < 0x80 for code in q) for one in qualities for q in one]
    kinds, heads = (heads_1 if head["version"] == 1 else heads_2)(cursor, lengths, times)
    need(kinds[:control] == times, "kinds of times and flags")
    need(all((kind == 0) == (length == 0) for kind, length in zip(kinds, lengths, strict=True)), "an empty column")
    columns = read_columns(cursor, lengths, kinds, heads)
    if head["version"] == 2:
        for first, origin in ((0, head["sealed_ns"]), (len(shapes), 0)):
            for column in range(first, first + len(shapes)):
                columns[column] = [signed(cell + origin) for cell in columns[column]]
                origin = columns[column][0]
    records = [record | samples_of(cursor, record) for record in directory["records"]]
    need(cursor.at == len(cursor.data), "payload has something left over")
    meant = [meaning(k, cells, directory) for k, cells in zip(kinds, columns, strict=True)]
    return polls(shapes, qualities, meant, control), records, sum(lengths[control:])


def directory_1(cursor: Cursor, _: list[Any]) -> tuple[dict[str, Any], list[Any]]:
    directory = json.loads(cursor.take(int.from_bytes(cursor.take(4), "little")))
    return directory, [(asset, directory["schemas"][s], *rest) for asset, s, *rest in directory["series"]]


def directory_2(cursor: Cursor, groups: list[Any]) -> tuple[dict[str, Any], list[Any]]:
    lists: dict[str, Any] = {"schemas": [], "groups": [], "texts": [], "scales": [], "records": []}
    size = cursor.varint()
    directory = lists | (json.loads(cursor.take(size)) if size else {})
    directory["scales"] = STANDARD + directory["scales"]
    groups = groups + [(asset, directory["schemas"][s]) for asset, s in directory["groups"]]
    shapes = []
    for _ in range(cursor.varint()):
        asset, tags = groups[cursor.varint()]
        rows = cursor.varint()
        shapes.append((asset, tags, rows >> 2, rows >> 1 & 1, rows & 1))
    return directory, shapes


STANDARD = [
    *(["over32", d, 0.0] for d in (1.0, 2.0, 4.0, 8.0, 10.0, 20.0, 50.0, 100.0, 1e3, 1e4, 1e5)),
    *(["over", d, 0.0] for d in (1.0, 10.0, 20.0, 50.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7)),
    *(["times", d, 0.0] for d in (0.1, 0.5, 0.2, 2.5, 0.01, 0.05, 0.02, 0.25, 0.001, 0.005, 0.002, 0.025)),
    *(["times", d, 0.0] for d in (0.0001, 0.0005, 0.0002, 0.0025)),
]
Heads = dict[int, tuple[int, int, int]]
"""Of each column that is not empty: 1 where it is sloped, bytes of the first value, bytes of a step."""


def heads_1(cursor: Cursor, lengths: list[int], _: list[int]) -> tuple[list[int], Heads]:
    codes = cursor.take(len(lengths))
    full = [c for c, length in enumerate(lengths) if length]
    widths = zip(full, cursor.take(len(full)), strict=True)
    return [code & 127 for code in codes], {c: (codes[c] >> 7, width >> 4, width & 15) for c, width in widths}


def heads_2(cursor: Cursor, lengths: list[int], times: list[int]) -> tuple[list[int], Heads]:
    full = [c for c, length in enumerate(lengths) if length]
    found = iter(cursor.take(sum(length > 0 for length in lengths[len(times) :])))
    kinds = times + [next(found) if length else 0 for length in lengths[len(times) :]]
    widths = zip(full, cursor.take(len(full)), strict=True)
    return kinds, {c: (width // 81, width // 9 % 9, width % 9) for c, width in widths}


def samples_of(cursor: Cursor, record: Any) -> dict[str, Any]:
    """A snapshot's samples: whole numbers, or the bits of floats."""
    if record["type"] != "waveform":
        return {}
    name, count, stepped = record["samples"]
    width = {"int16": 2, "int32": 4, "float32": 4, "float64": 8}[name]
    need(count <= 2**20, "samples")
    codes = [0] * count
    for plane in range(width):
        for i, byte in enumerate(cursor.take(count)):
            codes[i] |= byte << (8 * plane)
    numbers = [(code >> 1) ^ -(code & 1) for code in codes]
    if stepped:
        numbers = list(accumulate(numbers))
    half, whole = 1 << (8 * width - 1), 1 << (8 * width)
    numbers = [(n + half) % whole - half for n in numbers]
    if name.startswith("float"):
        numbers = [(n ^ (half - 1) if n < 0 else n) % whole for n in numbers]
    return {"samples": numbers, "form": name}


def read_columns(cursor: Cursor, lengths: list[int], kinds: list[int], heads: Heads) -> list[list[int]]:
    need(all(slope < 2 for slope, _, _ in heads.values()), "slope")
    by_first = sorted(heads, key=lambda c: (heads[c][1], kinds[c]))
    by_steps = sorted(heads, key=lambda c: (heads[c][2], kinds[c]))
    firsts = read_planes(cursor, [(c, 1, heads[c][1]) for c in by_first])
    slopes = read_planes(cursor, [(c, 1, 8) for c in heads if heads[c][0]])
    steps = read_planes(cursor, [(c, lengths[c] - 1, heads[c][2]) for c in by_steps])
    columns: list[list[int]] = [[] for _ in lengths]
    for c in heads:
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
