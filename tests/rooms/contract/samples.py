"""What a block may hold, for the tests of its codec: batches and records of every kind, and an envelope of our own."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import zstandard
from hypothesis import strategies as st

from edge.contract.block import Dictionary, encode_block
from edge.contract.commands import CommandStep, Outcome
from edge.contract.types import (
    Alarm,
    AlarmState,
    Asset,
    Batch,
    BundleChange,
    BundleStep,
    Cause,
    Checkpoint,
    ClockSet,
    Dropped,
    Held,
    Key,
    Lane,
    LedgerRow,
    Priority,
    Quality,
    Reason,
    Record,
    Samples,
    SensorFault,
    SensorState,
    SurvivalPoint,
    Tag,
    Urgency,
    Value,
    Verdict,
    Waveform,
)  # fmt: skip

KEY = Key("press-hall-1", "00112233445566778899aabbccddeeff", 42)
SEALED_NS = 1_790_000_000_000_000_000
BOOT = "ffeeddccbbaa99887766554433221100"

int64 = st.integers(-(2**63), 2**63 - 1)
texts = st.text(max_size=12)
any_bits = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])
floats = st.one_of(
    st.floats(),
    st.floats(width=32),
    st.floats(-1e6, 1e6).map(lambda v: round(v, 2)),
    st.integers(-4096, 4096).map(lambda raw: raw * 0.1),
    st.integers(-4096, 4096).map(lambda raw: struct.unpack("<f", struct.pack("<f", raw / 100))[0]),
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, math.inf, -math.inf, math.nan, 1.7976931348623157e308]),
    any_bits,
)
integers = st.one_of(int64, st.integers(0, 4095), st.integers(0, 2**64 - 1), st.integers(-(2**200), 2**200))
values: st.SearchStrategy[Any] = st.one_of(st.booleans(), integers, floats, texts)
column_kinds = st.sampled_from([st.booleans(), integers, int64, floats, st.floats(width=32), texts, values])


@st.composite
def series(draw: st.DrawFn) -> list[Batch]:
    """Some polls of one asset; each tag keeps to a kind of value, or to none."""
    asset = draw(st.sampled_from(["pump-1", "pump-2", "Säge\x00", ""]))
    tags = tuple(draw(st.lists(texts, max_size=5)))
    kinds = [draw(column_kinds) for _ in tags]
    sound, together = draw(st.booleans()), draw(st.booleans())
    qualities = st.just(Quality.GOOD) if sound else st.sampled_from(Quality)
    batches = []
    for _ in range(draw(st.integers(1, 6))):
        quality = tuple(draw(qualities) for _ in tags)
        found = tuple(None if q.is_bad else draw(kind) for q, kind in zip(quality, kinds, strict=True))
        source = (draw(int64),) * len(tags) if together else tuple(draw(int64) for _ in tags)
        batches.append(Batch(asset, tags, found, quality, source, draw(int64), draw(int64), draw(st.booleans())))
    return batches


batch_lists = st.lists(series(), max_size=4).map(lambda runs: [batch for run in runs for batch in run])

_numbers = st.one_of(st.none(), st.floats())
_digests = st.binary(min_size=16, max_size=16).map(bytes.hex)


@st.composite
def samples(draw: st.DrawFn) -> Samples:
    """Any bits of any type that a snapshot may have."""
    dtype = draw(st.sampled_from(["int16", "int32", "float32", "float64"]))
    found = draw(st.one_of(st.binary(max_size=200), st.builds(bytes, st.integers(0, 200))))
    width = np.dtype(dtype).itemsize
    return np.frombuffer(found[: len(found) // width * width], dtype)


_counts = st.integers(0, 2**63 - 1)
_tags = st.builds(Tag, texts, texts, texts, texts, st.integers(0, 9))
_reasons = st.builds(Reason, texts, st.floats(), texts, st.just(0) | int64)
_sensors = st.builds(SensorState, texts, st.sampled_from(SensorFault), int64, _numbers, st.booleans(), texts)
_survival = st.builds(SurvivalPoint, st.floats(), st.floats())
verdicts = st.builds(
    Verdict, texts, int64, texts, _numbers, _numbers, st.booleans(), _numbers, _numbers, _numbers,
    st.sampled_from(Urgency), st.lists(_reasons, max_size=3).map(tuple), st.floats(), texts,
    _numbers, _numbers, _numbers, st.lists(_survival, max_size=3).map(tuple),
    st.lists(_sensors, max_size=3).map(tuple), texts, int64, texts, int64, int64, int64,
)  # fmt: skip
records: st.SearchStrategy[Record] = st.one_of(
    st.builds(Asset, texts, texts, texts, st.lists(_tags, max_size=3).map(tuple), st.integers(0, 10**6), int64),
    verdicts,
    st.builds(
        Alarm, texts, texts, texts, st.sampled_from(Priority), st.sampled_from(AlarmState), int64, int64, _numbers,
        texts, texts, texts, st.booleans(), st.sampled_from(Held), int64, texts, texts, texts, st.booleans(), int64,
    ),
    st.builds(
        Outcome, texts, int64, texts, int64, texts, texts, st.sampled_from(CommandStep), _numbers, _numbers, _numbers,
        texts, texts, int64, texts,
    ),
    st.builds(Dropped, texts, texts, st.sampled_from(Cause), _counts, int64, int64),
    st.builds(LedgerRow, texts, texts, int64, *[_counts] * 14),
    st.builds(ClockSet, _digests, int64, int64, int64),
    st.builds(Checkpoint, texts, int64, texts),
    st.builds(BundleChange, texts, int64, texts, texts, st.sampled_from(BundleStep), int64, int64, texts),
    st.builds(Waveform, texts, texts, texts, int64, int64, st.booleans(), st.floats(), samples()),
)  # fmt: skip


def sealed(
    batches: Sequence[Batch],
    found: Sequence[Record] = (),
    lane: Lane = Lane.TELEMETRY,
    dictionary: Dictionary | None = None,
    *,
    thinned: bool = False,
) -> bytes:
    """The block of these, under a name that does not matter."""
    return encode_block(
        KEY, boot=BOOT, lane=lane, sealed_ns=SEALED_NS, batches=batches, records=found, dictionary=dictionary,
        thinned=thinned,
    )  # fmt: skip


def named(batches: Sequence[Batch]) -> Dictionary:
    """The dictionary of all that these batches are of."""
    return Dictionary(tuple(dict.fromkeys((batch.asset, batch.tags) for batch in batches)))


def plain(batch: Batch) -> tuple[Any, ...]:
    """A batch so that two are equal if every bit and every type of them is."""
    return (
        batch.asset, batch.tags, tuple(exact(value) for value in batch.values), batch.quality, batch.source_ns,
        batch.read_ns, batch.mono_ns, batch.trusted,
    )  # fmt: skip


def exact(value: Value) -> tuple[str, object]:
    """1, 1.0 and True differ, and so do two NaNs with different payloads."""
    return type(value).__name__, struct.pack(">d", value) if isinstance(value, float) else value


def grouped(batches: Sequence[Batch]) -> list[Batch]:
    """Batches as a block gives them back: series after series, by the first of each."""
    groups: dict[object, list[Batch]] = {}
    for batch in batches:
        groups.setdefault((batch.asset, batch.tags), []).append(batch)
    return [batch for group in groups.values() for batch in group]


def plant(machines: int = 2, rows: int = 10) -> list[Batch]:
    """Polls as a plant gives them, of every kind of value and with some that failed."""
    tags = ("speed_rpm", "load_percent", "bearing_temperature_c", "running", "parts_total", "program")
    batches = []
    for row in range(rows):
        for machine in range(machines):
            failed = (row + machine) % 7 == 3
            read_ns = 1_790_000_000_000_000_000 + row * 200_000_000 + machine * 1_234_567 + (row * 7919) % 50_021
            found: tuple[Value, ...] = (
                1480 + (row * 37) % 11, ((row * 53) % 700) * 0.1, 61.5 + row / 8, row % 5 != 0, 10_000 + row,
                f"O{row // 4:04d}",
            )  # fmt: skip
            batches.append(
                Batch(
                    f"machine-{machine}", tags,
                    values=(None,) * len(tags) if failed else found,
                    quality=(Quality.BAD_BUS if failed else Quality.GOOD,) * len(tags),
                    source_ns=(read_ns - 3_000_000,) * len(tags),
                    read_ns=read_ns, mono_ns=read_ns - 1_789_999_000_000_000_000 + row, trusted=row > 2,
                )
            )  # fmt: skip
    return batches


def varint(number: int) -> bytes:
    return bytes([number & 127 | 128]) + varint(number >> 7) if number > 127 else bytes([number])


def unvarint(data: bytes, at: int) -> tuple[int, int]:
    """The number and where it ends."""
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    number, end = unvarint(data, at + 1)
    return number << 7 | byte & 127, end


ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def envelope(data: bytes) -> dict[str, Any]:
    """A block's parts, taken apart by the README's words; ``payload`` as it lies there."""
    seq, at = unvarint(data, 22)
    boot, (sealed_ns,), at = data[at : at + 16], struct.unpack_from("<q", data, at + 16), at + 24
    gateway, at = data[at + 1 : at + 1 + data[at]], at + 1 + data[at]
    readings, at = unvarint(data, at)
    bad, at = unvarint(data, at)
    records, at = unvarint(data, at)
    end = at + (16 if data[5] & 4 else 0)
    return {
        "magic": data[:4], "version": data[4], "flags": data[5], "epoch": data[6:22], "seq": seq, "boot": boot,
        "sealed_ns": sealed_ns, "gateway": gateway, "readings": readings, "bad": bad, "records": records,
        "dictionary": data[at:end], "payload": data[end:-16],
    }  # fmt: skip


def assembled(parts: dict[str, Any]) -> bytes:
    """The block of such parts, with a checksum that is right."""
    body = b"".join([
        parts["magic"], bytes([parts["version"], parts["flags"]]), parts["epoch"], varint(parts["seq"]), parts["boot"],
        struct.pack("<q", parts["sealed_ns"]), bytes([len(parts["gateway"])]), parts["gateway"],
        varint(parts["readings"]), varint(parts["bad"]), varint(parts["records"]), parts["dictionary"],
        parts["payload"],
    ])  # fmt: skip
    return checked(body)


def checked(body: bytes) -> bytes:
    return body + hashlib.blake2b(body, digest_size=16).digest()


def resealed(data: bytes, *, payload: bytes | None = None, frame: bytes | None = None, **changes: Any) -> bytes:
    """The block with another payload, or zstd frame, or envelope, and a checksum that is right nevertheless."""
    parts = envelope(data)
    if payload is not None:
        parts |= {"payload": payload, "flags": parts["flags"] & ~8}
    if frame is not None:
        parts |= {"payload": frame.removeprefix(ZSTD_MAGIC), "flags": parts["flags"] | 8}
    return assembled(parts | changes)


def payload_of(data: bytes) -> bytes:
    """A block's payload, decompressed."""
    parts = envelope(data)
    packed: bytes = parts["payload"]
    return zstandard.ZstdDecompressor().decompress(ZSTD_MAGIC + packed) if parts["flags"] & 8 else packed


def directory_of(payload: bytes) -> tuple[dict[str, Any], bytes]:
    """A payload's JSON, and what comes behind it."""
    size, at = unvarint(payload, 0)
    return json.loads(payload[at : at + size] or b"{}"), payload[at + size :]


def handmade(
    *,
    names: dict[str, Any] | None = None,
    series: Sequence[Sequence[int]] = ((0, 1, 0, 0),),
    quality: bytes = b"",
    kinds: bytes = b"\2",
    widths: bytes = bytes(5),
    planes: bytes = b"",
    **changes: Any,
) -> bytes:
    """A block from the README's words: by default one poll of one tag, in which every number is 0."""
    text = json.dumps({"schemas": [["t"]], "groups": [["a", 0]]} | (names or {})).encode()
    told = [varint(group) + varint(rows << 2 | spread << 1 | flawed) for group, rows, spread, flawed in series]
    payload = b"".join([varint(len(text)), text, varint(len(told)), *told, quality, kinds, widths, planes])
    return resealed(sealed([]), payload=payload, **({"readings": 1, "bad": 0, "sealed_ns": 0} | changes))
