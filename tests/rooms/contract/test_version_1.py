"""Version 1 is no longer written, but it is still read, and still refused where it cannot be."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Sequence
from typing import Any

import pytest
import zstandard

from edge.contract.block import PAYLOAD_BYTES_MAX, READINGS_MAX, ROWS_MAX, SERIES_MAX, decode_block, peek
from edge.contract.types import Batch, Quality
from edge.errors import BlockError
from tests.golden.make_blocks import FOLDER
from tests.rooms.contract.samples import checked
from tests.seeds import fresh_seed

BLOCK = (FOLDER / "v1-both.bin").read_bytes()
HEAD = struct.Struct("<4sBBBB16s16sQqIIIII")


def resealed(data: bytes, *, payload: bytes | None = None, frame: bytes | None = None, **changes: Any) -> bytes:
    """The block with another payload or other numbers in its envelope, and a checksum that is right nevertheless."""
    names = (
        "magic", "version", "flags", "lane", "name", "epoch", "boot", "seq", "sealed_ns", "readings", "good",
        "records", "raw", "packed",
    )  # fmt: skip
    head = dict(zip(names, HEAD.unpack_from(data), strict=True))
    start = HEAD.size + head["name"]
    if payload is not None:
        frame = zstandard.ZstdCompressor(level=1).compress(payload)
        head["raw"] = len(payload)
    if frame is None:
        frame = data[start : start + head["packed"]]
    head["packed"] = len(frame)
    return checked(HEAD.pack(*(head | changes).values()) + data[HEAD.size : start] + frame)


def payload_of(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(data[HEAD.size + data[7] : -16])


def with_directory(change: Any) -> bytes:
    payload = payload_of(BLOCK)
    (size,) = struct.unpack_from("<I", payload)
    directory = json.loads(payload[4 : 4 + size])
    text = json.dumps(change(directory) or directory).encode()
    return resealed(BLOCK, payload=struct.pack("<I", len(text)) + text + payload[4 + size :])


def handmade(
    *,
    schemas: Sequence[Sequence[str]] = (("t",),),
    series: Sequence[Sequence[Any]] = (("a", 0, 1, 0, 0),),
    texts: Sequence[str] = (),
    quality: bytes = b"",
    kinds: bytes = b"\2\2\1\2\2",
    widths: bytes = bytes(5),
    planes: bytes = b"",
    readings: int = 1,
    good: int = 1,
) -> bytes:
    """A block from the README's words: by default one poll of one tag, in which every number is 0."""
    directory = {"schemas": schemas, "series": series, "texts": texts, "scales": [], "records": []}
    text = json.dumps(directory).encode()
    payload = struct.pack("<I", len(text)) + text + quality + kinds + widths + planes
    return resealed(BLOCK, payload=payload, readings=readings, good=good, records=0)


def test_every_truncation_and_every_flipped_bit() -> None:
    for length in range(len(BLOCK)):
        with pytest.raises(BlockError):
            peek(BLOCK[:length])
    for bit in range(len(BLOCK) * 8):
        data = bytearray(BLOCK)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BlockError):
            peek(bytes(data))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"flags": 1}, "version does not know"),
        ({"lane": 2}, "version does not know"),
        ({"readings": READINGS_MAX + 1}, "more than a block holds"),
        ({"good": 10_000}, "more than a block holds"),
        ({"raw": PAYLOAD_BYTES_MAX + 1}, "more than a block holds"),
        ({"records": 2**32 - 1}, "more than a block holds"),
        ({"readings": 119}, "different readings"),
        ({"records": 3}, "different records"),
        ({"raw": 0, "records": 0}, "different sizes"),
        ({"good": 0}, "different good readings"),
    ],
)
def test_an_envelope_that_lies(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(BlockError, match=what):
        decode_block(resealed(BLOCK, **changes))


FEW = {"schemas": [[]], "readings": 0, "good": 0}
HANDMADE: dict[str, tuple[dict[str, Any], str]] = {
    "a time that is text": ({"kinds": b"\5\2\1\2\2", "texts": ["x"]}, "kind"),
    "a clock's trust that is a number": ({"kinds": b"\2\2\2\2\2"}, "kind"),
    "a kind between those that exist": ({"kinds": b"\2\2\1\2\7"}, "kind"),
    "a scale that is not listed": ({"kinds": b"\2\2\1\2\x10"}, "kind"),
    "a column that claims to be empty": ({"kinds": b"\2\2\1\2\0"}, "kind"),
    "an empty column of a kind": (
        {"series": [("a", 0, 1, 0, 1)], "quality": b"\x80", "widths": bytes(4), "good": 0}, "kind",
    ),
    "an unknown quality": ({"series": [("a", 0, 1, 0, 1)], "quality": b"\x41"}, "quality"),
    "a number of nine bytes": ({"widths": b"\x90\0\0\0\0", "planes": bytes(8)}, "8 bytes"),
    "steps of nine bytes": ({"widths": b"\x09\0\0\0\0"}, "8 bytes"),
    "a boolean of two": ({"kinds": b"\2\2\1\2\1", "widths": b"\0\0\0\0\x10", "planes": b"\4"}, "boolean"),
    "a trust of two": ({"widths": b"\0\0\x10\0\0", "planes": b"\4"}, "boolean"),
    "a single of 33 bits": (
        {"kinds": b"\2\2\1\2\4", "widths": b"\0\0\0\0\x50", "planes": b"\0\0\0\0\1"}, "32 bits",
    ),
    "a text that is not listed": ({"kinds": b"\2\2\1\2\5"}, "not in the block's list"),
    "a text before the first": (
        {"kinds": b"\2\2\1\2\5", "texts": ["x"], "widths": b"\0\0\0\0\x10", "planes": b"\1"},
        "not in the block's list",
    ),
    "a mixed value of no type": ({"kinds": b"\2\2\1\2\6", "texts": ["x1"]}, "no type"),
    "a mixed value that is nothing": ({"kinds": b"\2\2\1\2\6", "texts": [""]}, "no type"),
    "a mixed integer too long to be one": ({"kinds": b"\2\2\1\2\6", "texts": ["i" + "1" * 5000]}, "no type"),
    "a mixed integer in other digits": ({"kinds": b"\2\2\1\2\6", "texts": ["i\u0661"]}, "no type"),
    "a mixed float of capitals": ({"kinds": b"\2\2\1\2\6", "texts": ["fFFF0000000000000"]}, "no type"),
    "no rows": (FEW | {"series": [("a", 0, 0, 0, 0)]}, "cannot be"),
    "fewer than no rows": (FEW | {"series": [("a", 0, -1, 0, 0)]}, "cannot be"),
    "a schema before the first": ({"series": [("a", -1, 1, 0, 0)]}, "cannot be"),
    "a byte left over": ({"planes": b"\0"}, "longer than its columns"),
    "a plane cut short": ({"widths": b"\x10\0\0\0\0"}, "ends early"),
    "kinds cut short": ({"kinds": b"\2\2", "widths": b""}, "ends early"),
    "more polls than a block holds": (
        FEW | {"series": [("a", 0, ROWS_MAX, 0, 0)] * 2, "kinds": b"\2\2\2\2\1\1\2\2", "widths": bytes(8)},
        "different readings",
    ),
    "more series than a block holds": (
        FEW | {
            "series": [("a", 0, 1, 0, 0)] * (SERIES_MAX + 1),
            "kinds": b"".join(kind * (SERIES_MAX + 1) for kind in (b"\2", b"\2", b"\1", b"\2")),
            "widths": bytes(4 * (SERIES_MAX + 1)),
        },
        "series",
    ),
}  # fmt: skip


def test_a_block_made_by_hand_opens() -> None:
    (batch,) = decode_block(handmade()).batches()
    assert batch == Batch("a", ("t",), (0,), (Quality.GOOD,), (0,), 0, 0, trusted=False)


@pytest.mark.parametrize(("parts", "what"), HANDMADE.values(), ids=HANDMADE.keys())
def test_a_payload_that_cannot_be(parts: dict[str, Any], what: str) -> None:
    with pytest.raises(BlockError, match=what):
        list(decode_block(handmade(**parts)).batches())


CLOCK = {"type": "clock", "boot": "00", "offset_ns": 1, "mono_ns": 2, "at_ns": 3}
DIRECTORIES: dict[str, Any] = {
    "a key too few": lambda d: {k: v for k, v in d.items() if k != "texts"},
    "a key too many": lambda d: d | {"groups": []},
    "a schema that is not there": lambda d: d | {"series": [["machine-1", 5, 3, 0, 1]]},
    "rows without end": lambda d: d | {"series": [["machine-1", 0, 2**62, 0, 1]]},
    "rows beyond any number": lambda d: d | {"series": [["machine-1", 0, 10**400, 0, 1]]},
    "rows that are no number": lambda d: d | {"series": [["machine-1", 0, "10", 0, 1]]},
    "a series that is a number": lambda d: d | {"series": [1]},
    "scales that are missing": lambda d: d | {"scales": []},
    "a record that this version does not have": lambda d: d | {"records": [CLOCK] * 2},
}


@pytest.mark.parametrize("change", DIRECTORIES.values(), ids=DIRECTORIES.keys())
def test_a_directory_that_lies(change: Any) -> None:
    with pytest.raises(BlockError):
        list(decode_block(with_directory(change)).batches())


def test_payloads_mutated_under_a_right_checksum() -> None:
    """A forged block may open, to other contents, or be refused; the seed is printed where anything else happens."""
    rng = random.Random(fresh_seed())
    payload = payload_of(BLOCK)
    for _ in range(700):
        data = bytearray(payload)
        for _ in range(rng.choice((1, 1, 2, 5))):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        try:
            list(decode_block(resealed(BLOCK, payload=bytes(data))).batches())
        except BlockError:
            pass
