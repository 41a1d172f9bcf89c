"""Bytes that are not a block, or not one that was meant well, are a BlockError and cost little."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.contract.block import (
    DIRECTORY_BYTES_MAX,
    READINGS_MAX,
    ROWS_MAX,
    SAMPLES_MAX,
    SERIES_MAX,
    decode_block,
    encode_block,
    peek,
)  # fmt: skip
from edge.contract.types import Alarm, AlarmState, Batch, Dropped, Key, Lane, Priority, Quality, Waveform
from edge.errors import BlockError
from tests.rooms.contract.samples import (
    BOOT,
    KEY,
    ZSTD_MAGIC,
    checked,
    directory_of,
    envelope,
    handmade,
    named,
    payload_of,
    plant,
    resealed,
    sealed,
    varint,
)
from tests.seeds import fresh_seed

ROOT = Path(__file__).resolve().parent.parent.parent.parent
ALARM = Alarm("machine-0", "high", "speed_rpm", Priority.HIGH, AlarmState.UNACKNOWLEDGED, 1, 2, 3.5, "Too fast.")
BLOCK = sealed(plant(), [ALARM])


NAMES = named(plant())
WITH_SNAPSHOT = sealed(
    plant(rows=2), [Waveform("a", "t", "g", 1, 2, True, 1e3, np.arange(50, dtype=np.int16))], dictionary=NAMES
)


def opened_or_refused(data: bytes) -> None:
    """Any exception but BlockError fails the test."""
    try:
        list(decode_block(data, {NAMES.digest: NAMES}).batches())
    except BlockError:
        pass


def with_directory(change: Any) -> bytes:
    """The sample block after ``change`` was applied to its directory, sealed again; "OVERFLOW" stands for 1e999."""
    directory, rest = directory_of(payload_of(BLOCK))
    text = json.dumps(change(directory) or directory).replace('"OVERFLOW"', "1e999").encode()
    return resealed(BLOCK, payload=varint(len(text)) + text + rest)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
@example(b"")
@example(b"BABT")
@example(b"BABT\x01")
@example(b"BABT\x02")
@example(checked(b"BABT\x01"))
@example(checked(b"BABT\x02"))
def test_arbitrary_bytes(data: bytes) -> None:
    with pytest.raises(BlockError):
        decode_block(data)


def test_the_sample_is_opened_when_it_is_left_alone() -> None:
    assert decode_block(resealed(BLOCK)) .header == peek(BLOCK)  # fmt: skip
    assert decode_block(with_directory(lambda d: None)).records == (ALARM,)


@pytest.mark.parametrize("block", [BLOCK, WITH_SNAPSHOT], ids=["records", "snapshot and dictionary"])
def test_every_truncation(block: bytes) -> None:
    for length in range(len(block)):
        with pytest.raises(BlockError):
            peek(block[:length])


@pytest.mark.parametrize("block", [BLOCK, WITH_SNAPSHOT], ids=["records", "snapshot and dictionary"])
def test_every_flipped_bit(block: bytes) -> None:
    for bit in range(len(block) * 8):
        data = bytearray(block)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BlockError):
            peek(bytes(data))


def test_something_behind_the_block() -> None:
    with pytest.raises(BlockError):
        peek(BLOCK + b"\0")


def test_a_later_version_is_named() -> None:
    with pytest.raises(BlockError, match=r"version 7 .*reads versions 1 and 2"):
        peek(resealed(BLOCK, version=7))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"flags": 16}, "version does not know"),
        ({"gateway": b""}, "version does not know"),
        ({"readings": READINGS_MAX + 1}, "more than a block holds"),
        ({"bad": 121}, "more than a block holds"),
        ({"records": 2**32 - 1}, "more than a block holds"),
        ({"readings": 119}, "different readings"),
        ({"records": 2}, "different records"),
        ({"bad": 0}, "different good readings"),
    ],
)
def test_an_envelope_that_lies(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(BlockError, match=what):
        decode_block(resealed(BLOCK, **changes))


@pytest.mark.parametrize("spelled", [b"\xaa\x00", b"\xff" * 9 + b"\x02", b"\xff" * 20, b"\x80" * 12 + b"\x01"])
def test_a_number_that_is_longer_than_it_needs_to_be_or_than_64_bits(spelled: bytes) -> None:
    body = BLOCK[:22] + spelled + BLOCK[23:-16]
    with pytest.raises(BlockError, match="longer than it needs"):
        peek(checked(body))


NONE = {"readings": 0, "names": {"schemas": [[]]}, "kinds": b"", "widths": bytes(4)}
TEXT = {"kinds": b"\5", "names": {"texts": ["x"]}}
MIXED = {"kinds": b"\6"}
HANDMADE: dict[str, tuple[dict[str, Any], str]] = {
    "a kind between those that exist": ({"kinds": b"\7"}, "kind"),
    "a scale that is not listed": ({"kinds": bytes([16 + 37])}, "kind"),
    "a column that claims to be empty": ({"kinds": b"\0"}, "kind"),
    "an unknown quality": ({"series": [(0, 1, 0, 1)], "quality": b"\x41"}, "quality"),
    "a width of no meaning": ({"widths": b"\xa2\0\0\0\0"}, "8 bytes"),
    "a boolean of two": ({"kinds": b"\1", "widths": b"\0\0\0\0\x09", "planes": b"\4"}, "boolean"),
    "a trust of two": ({"widths": b"\0\0\x09\0\0", "planes": b"\4"}, "boolean"),
    "a single of 33 bits": ({"kinds": b"\4", "widths": b"\0\0\0\0\x2d", "planes": b"\0\0\0\0\1"}, "32 bits"),
    "a text that is not listed": ({"kinds": b"\5"}, "not in the block's list"),
    "a text before the first": (TEXT | {"widths": b"\0\0\0\0\x09", "planes": b"\1"}, "not in the block's list"),
    "a mixed value of no type": (MIXED | {"names": {"texts": ["x1"]}}, "no type"),
    "a mixed value that is nothing": (MIXED | {"names": {"texts": [""]}}, "no type"),
    "a mixed integer too long to be one": (MIXED | {"names": {"texts": ["i" + "1" * 5000]}}, "no type"),
    "a mixed integer in other digits": (MIXED | {"names": {"texts": ["i\u0661"]}}, "no type"),
    "a mixed float of capitals": (MIXED | {"names": {"texts": ["fFFF0000000000000"]}}, "no type"),
    "no rows": (NONE | {"series": [(0, 0, 0, 0)]}, "no rows"),
    "a group that is not there": ({"series": [(1, 1, 0, 0)]}, "in no dictionary"),
    "a group beyond any": ({"series": [(2**64 - 1, 1, 0, 0)]}, "in no dictionary"),
    "a group whose tags are not there": ({"names": {"groups": [["a", 1]]}}, "cannot be"),
    "a group whose tags are before the first": ({"names": {"groups": [["a", -1]]}}, "cannot be"),
    "a group of no asset": ({"names": {"groups": [[0, 0]]}}, "cannot be"),
    "rows beyond any number": ({"series": [(0, 2**61, 0, 0)]}, "different readings"),
    "a byte left over": ({"planes": b"\0"}, "longer than its columns"),
    "a plane cut short": ({"widths": b"\x09\0\0\0\0"}, "ends early"),
    "kinds cut short": ({"kinds": b"", "widths": b""}, "ends early"),
    "series cut short": ({"series": [], "kinds": b"", "widths": b"", "planes": b"\1"}, "longer|different"),
    "more polls than a block holds": (
        NONE | {"series": [(0, ROWS_MAX, 0, 0)] * 2, "widths": bytes(8)}, "different readings",
    ),
    "more series than a block holds": (
        NONE | {"series": [(0, 1, 0, 0)] * (SERIES_MAX + 1), "widths": bytes(4 * (SERIES_MAX + 1))}, "series",
    ),
}  # fmt: skip


def test_a_block_made_by_hand_opens() -> None:
    (batch,) = decode_block(handmade()).batches()
    assert batch == Batch("a", ("t",), (0,), (Quality.GOOD,), (0,), 0, 0, trusted=False)


def test_a_block_may_bring_scales_of_its_own() -> None:
    scaled: dict[str, Any] = {"kinds": bytes([16 + 37]), "widths": b"\0\0\0\0\x09", "planes": b"\6"}
    (batch,) = decode_block(handmade(names={"scales": [["times", 0.3, 1.0]]}, **scaled)).batches()
    assert batch.values == (3.0 * 0.3 + 1.0,)


@pytest.mark.parametrize(("parts", "what"), HANDMADE.values(), ids=HANDMADE.keys())
def test_a_payload_that_cannot_be(parts: dict[str, Any], what: str) -> None:
    with pytest.raises(BlockError, match=what):
        list(decode_block(handmade(**parts)).batches())


def test_a_gateway_whose_name_is_no_text() -> None:
    with pytest.raises(BlockError, match="UTF-8"):
        peek(resealed(BLOCK, gateway=b"\xff"))


def test_a_decompression_bomb_is_refused_before_it_is_opened() -> None:
    with pytest.raises(BlockError, match="more than a block holds"):
        decode_block(resealed(BLOCK, frame=zstandard.ZstdCompressor().compress(bytes(2**28))))
    # One that states less than it unfolds to.
    frame = bytearray(zstandard.ZstdCompressor().compress(bytes(2**24)))
    at = frame.index((2**24).to_bytes(4, "little"))
    frame[at : at + 4] = (1000).to_bytes(4, "little")
    with pytest.raises(BlockError, match="does not decompress"):
        decode_block(resealed(BLOCK, frame=bytes(frame)))


def test_a_frame_that_does_not_state_its_size() -> None:
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(payload_of(BLOCK))
    with pytest.raises(BlockError):
        decode_block(resealed(BLOCK, frame=frame))


def test_a_second_frame_behind_the_first() -> None:
    frame = zstandard.ZstdCompressor().compress(payload_of(BLOCK))
    with pytest.raises(BlockError):
        decode_block(resealed(BLOCK, frame=frame + frame))


def snapshot(samples: Any) -> Any:
    """A record that is right but for its samples."""
    told = {"type": "waveform", "asset": "a", "tag": "t", "unit": "", "at_ns": 0, "mono_ns": 0, "trusted": True,
            "rate_hz": 1.0, "samples": samples}  # fmt: skip
    return lambda d: d | {"records": [told]}


def test_a_snapshot_by_hand_opens() -> None:
    (record,) = decode_block(with_directory(snapshot(["int16", 0, 0]))).records
    assert isinstance(record, Waveform)
    assert len(record.samples) == 0


DIRECTORIES: dict[str, Any] = {
    "not an object": lambda d: [1],
    "a key too many": lambda d: d | {"more": []},
    "no list": lambda d: d | {"texts": {}},
    "a tag that is no text": lambda d: d | {"schemas": [[1, 2, 3, 4, 5, 6]]},
    "a schema that is no list": lambda d: d | {"schemas": ["abcdef"]},
    "a schema that is not there": lambda d: d | {"schemas": []},
    "a group that is missing": lambda d: d | {"groups": d["groups"][1:]},
    "a group that is a number": lambda d: d | {"groups": [1, 2]},
    "a group with a part too many": lambda d: d | {"groups": [[*group, 1] for group in d["groups"]]},
    "a scale by nothing": lambda d: d | {"scales": [["times", 0.0, 0.0]] * 3},
    "a scale that is text": lambda d: d | {"scales": [["times", "0.1", 0.0]] * 3},
    "an unknown operation": lambda d: d | {"scales": [["power", 2.0, 0.0]] * 3},
    "a scale beyond any number": lambda d: d | {"scales": [["times", float("inf"), 0.0]] * 3},
    "a scale that begins at no number": lambda d: d | {"scales": [["times", 0.5, float("nan")]] * 3},
    "a scale that begins beyond any number": lambda d: d | {"scales": [["times", 0.5, "OVERFLOW"]] * 3},
    "a scale that is no number": lambda d: d | {"scales": [["times", float("nan"), 0.0]] * 3},
    "texts that are missing": lambda d: d | {"texts": []},
    "a record too many": lambda d: d | {"records": d["records"] * 2},
    "a record of no type": lambda d: d | {"records": [{}]},
    "a record of an unknown type": lambda d: d | {"records": [{"type": "poem"}]},
    "a record whose type is no text": lambda d: d | {"records": [{"type": []}]},
    "a record that is no object": lambda d: d | {"records": ["alarm"]},
    "a record with a field too few": lambda d: d | {"records": [{"type": "alarm", "asset": "a"}]},
    "a record with a field too many": lambda d: d | {"records": [d["records"][0] | {"more": 1}]},
    "a time that is a float": lambda d: d | {"records": [d["records"][0] | {"at_ns": 1.5}]},
    "a time that is a boolean": lambda d: d | {"records": [d["records"][0] | {"at_ns": True}]},
    "a time beyond 64 bits": lambda d: d | {"records": [d["records"][0] | {"at_ns": 2**63}]},
    "a value that is text": lambda d: d | {"records": [d["records"][0] | {"value": "high"}]},
    "a value that JSON has no number for": lambda d: d | {"records": [d["records"][0] | {"value": float("nan")}]},
    "a value that overflows": lambda d: d | {"records": [d["records"][0] | {"value": "OVERFLOW"}]},
    "a scale that overflows": lambda d: d | {"scales": [["times", "OVERFLOW", 0.0]] * 3},
    "a value beyond any double": lambda d: d | {"records": [d["records"][0] | {"value": 10**400}]},
    "a state that is unknown": lambda d: d | {"records": [d["records"][0] | {"state": "asleep"}]},
    "a state that is a list": lambda d: d | {"records": [d["records"][0] | {"state": []}]},
    "samples in something else": lambda d: d | {"records": [d["records"][0] | {"samples": ["int16", 0, 0]}]},
    "a snapshot without samples": lambda d: d | {"records": [{"type": "waveform"}]},
    "samples of no type": snapshot(["int64", 0, 0]),
    "fewer samples than none": snapshot(["int16", -1, 0]),
    "more samples than a block holds": snapshot(["int16", SAMPLES_MAX + 1, 0]),
    "more samples than there are": snapshot(["int16", 5, 0]),
    "samples without end": snapshot(["int16", 10**400, 0]),
    "half a sample": snapshot(["int16", 1.5, 0]),
    "samples that are stepped twice": snapshot(["int16", 0, 2]),
    "samples that are a number": snapshot(5),
    "a snapshot with a field too few": lambda d: d | {"records": [{"type": "waveform", "samples": ["int16", 0, 0]}]},
}  # fmt: skip


@pytest.mark.parametrize("change", DIRECTORIES.values(), ids=DIRECTORIES.keys())
def test_a_directory_that_lies(change: Any) -> None:
    with pytest.raises(BlockError):
        list(decode_block(with_directory(change)).batches())


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"{", b"\xff", b"", b'{"a": NaN}', b"1" * 10_000, b"[" + b"1" * 5000 + b"]"]
)
def test_a_directory_that_is_no_json(text: bytes) -> None:
    with pytest.raises(BlockError):
        decode_block(resealed(BLOCK, payload=varint(len(text)) + text))


def test_a_directory_longer_than_the_limit() -> None:
    with pytest.raises(BlockError, match=str(DIRECTORY_BYTES_MAX)):
        decode_block(resealed(BLOCK, payload=varint(DIRECTORY_BYTES_MAX + 1) + bytes(DIRECTORY_BYTES_MAX + 1)))


@pytest.mark.parametrize("block", [BLOCK, WITH_SNAPSHOT], ids=["records", "snapshot and dictionary"])
def test_payloads_mutated_under_a_right_checksum(block: bytes) -> None:
    """A forged block may open, to other contents, or be refused; the seed is printed where anything else happens."""
    rng = random.Random(fresh_seed())
    payload = payload_of(block)
    for _ in range(1000):
        data = bytearray(payload)
        for _ in range(rng.choice((1, 1, 2, 5))):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        opened_or_refused(resealed(block, payload=bytes(data)))


def test_compressed_bytes_mutated_under_a_right_checksum() -> None:
    rng = random.Random(fresh_seed())
    frame = ZSTD_MAGIC + envelope(BLOCK)["payload"]
    for _ in range(1500):
        data = bytearray(frame)
        data[rng.randrange(len(data))] = rng.randrange(256)
        opened_or_refused(resealed(BLOCK, frame=bytes(data)))


def test_a_block_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    """The largest block of constants, a kilobyte or two long, opens in a process that may have 400 MB in all."""
    tags = tuple(f"t{i}" for i in range(4))
    good, none = (Quality.GOOD,) * 4, (0,) * 4
    batches = [Batch("a", tags, none, good, none, 0, 0) for _ in range(READINGS_MAX // 4)]
    path = tmp_path / "large.block"
    path.write_bytes(sealed(batches, [Waveform("a", "t", "g", 1, 2, True, 1e3, np.zeros(SAMPLES_MAX))]))
    assert path.stat().st_size < 2000
    script = (
        "import sys; from edge.contract.block import decode_block as d; print(d(open(sys.argv[1], 'rb').read()).header)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False, timeout=60,
        env={"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (400 * 2**20,) * 2),
    )  # fmt: skip
    assert f"readings={READINGS_MAX}" in done.stdout, done.stderr


def test_more_than_a_block_holds_is_refused_when_it_is_made() -> None:
    wide = Batch("a", ("t",) * 2**12, (1,) * 2**12, (Quality.GOOD,) * 2**12, (0,) * 2**12, 0, 0)
    with pytest.raises(BlockError, match="seal more often"):
        sealed([wide] * (READINGS_MAX // 2**12 + 1))
    with pytest.raises(BlockError, match="polls"):
        sealed([Batch("a", (), (), (), (), 0, 0)] * (ROWS_MAX + 1))
    with pytest.raises(BlockError, match="series"):
        sealed([Batch(str(i), (), (), (), (), 0, 0) for i in range(SERIES_MAX + 1)])
    with pytest.raises(BlockError, match="names and records"):
        sealed([], [Dropped("a" * 1000, "t", "disk", 1, 2, 3)] * (DIRECTORY_BYTES_MAX // 1000))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "batch",
    [
        Batch("a", ("t",), (None,), (Quality.GOOD,), (0,), 0, 0),
        Batch("a", ("t",), (None,), (Quality.UNCERTAIN,), (0,), 0, 0),
        Batch("a", ("t",), (1,), (Quality.BAD_BUS,), (0,), 0, 0),
        Batch("a", ("t",), (b"",), (Quality.GOOD,), (0,), 0, 0),  # type: ignore[arg-type]
    ],
)
def test_a_batch_that_breaks_its_contract_is_a_programmers_mistake(batch: Batch) -> None:
    with pytest.raises(AssertionError):
        sealed([batch])


@pytest.mark.parametrize(
    ("key", "boot"),
    [
        (Key("", KEY.epoch, 1), BOOT), (Key("g" * 256, KEY.epoch, 1), BOOT), (Key("g", "00" * 15, 1), BOOT),
        (Key("g", KEY.epoch.upper(), 1), BOOT), (Key("g", KEY.epoch, -1), BOOT), (Key("g", KEY.epoch, 1), "00" * 17),
    ],
)  # fmt: skip
def test_a_name_that_cannot_be_is_a_programmers_mistake(key: Key, boot: str) -> None:
    with pytest.raises(AssertionError):
        encode_block(key, boot=boot, lane=Lane.URGENT, sealed_ns=0, batches=[], records=[])


def test_a_boot_as_the_kernel_writes_it() -> None:
    boot = "8c3a7f0e-52a4-4c51-9a67-0123456789ab"
    data = encode_block(KEY, boot=boot, lane=Lane.URGENT, sealed_ns=0, batches=[], records=[])
    assert peek(data).boot == boot.replace("-", "")
