"""What goes into a block comes out of it, to the last bit, here and in the decoder that a stranger would write."""

from __future__ import annotations

import math
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.contract.block import claimed_key, decode_block, pack_dictionary, peek
from edge.contract.commands import Outcome
from edge.contract.types import (
    Alarm,
    Asset,
    Batch,
    BundleChange,
    Checkpoint,
    ClockSet,
    Dropped,
    Lane,
    LedgerRow,
    Quality,
    Record,
    Value,
    Verdict,
    Waveform,
)
from tests.reference_decoder import decode
from tests.rooms.contract.samples import (
    BOOT,
    KEY,
    batch_lists,
    directory_of,
    exact,
    grouped,
    named,
    payload_of,
    plain,
    plant,
    records,
    sealed,
)
from tests.seeds import fresh_seed

ROOT = Path(__file__).resolve().parent.parent.parent.parent


def column(*found: Value) -> list[Batch]:
    """One tag's values, poll after poll."""
    return [
        Batch("a", ("t",), (v,), (Quality.GOOD if v is not None else Quality.BAD_DEVICE,), (9,), 10 + i, 20 + i)
        for i, v in enumerate(found)
    ]


def double(bits: int) -> float:
    number: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return number


def single(value: float) -> float:
    number: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return number


@settings(max_examples=150, deadline=None)
@given(batch_lists)
def test_batches_come_back_bit_for_bit(batches: list[Batch]) -> None:
    block = decode_block(sealed(batches))
    assert [plain(b) for b in block.batches()] == [plain(b) for b in grouped(batches)]


@settings(max_examples=150, deadline=None)
@given(records)
def test_records_come_back(record: Record) -> None:
    (back,) = decode_block(sealed([], [record])).records
    assert type(back) is type(record)
    assert repr(back) == repr(record)  # a NaN differs from itself, its text does not


@settings(max_examples=120, deadline=None)
@given(batch_lists, st.lists(records, max_size=3), st.booleans(), st.booleans(), st.sampled_from(Lane))
def test_a_decoder_written_from_the_readme_agrees(
    batches: list[Batch], told: list[Record], in_dictionary: bool, thinned: bool, lane: Lane
) -> None:
    names = named(batches) if in_dictionary else None
    data = sealed(batches, told, lane, names, thinned=thinned)
    found = decode(data, {names.digest: pack_dictionary(names)} if names else {})
    block = decode_block(data, {names.digest: names} if names else {})
    polls = [poll for one in found["series"] for poll in one]
    expected = [
        {
            "asset": b.asset, "tags": list(b.tags), "values": [exact(v) for v in b.values],
            "quality": list(map(int, b.quality)), "source_ns": list(b.source_ns), "read_ns": b.read_ns,
            "mono_ns": b.mono_ns, "trusted": b.trusted,
        }
        for b in block.batches()
    ]  # fmt: skip
    assert [poll | {"values": [exact(v) for v in poll["values"]]} for poll in polls] == expected
    header = block.header
    for name in ("boot", "lane", "thinned", "sealed_ns", "readings", "good", "records", "dictionary", "version"):
        assert found[name if name != "records" else "count"] == getattr(header, name)
    assert (found["gateway"], found["epoch"], found["seq"]) == (KEY.gateway, KEY.epoch, KEY.seq)
    assert [one["type"] for one in found["records"]] == [NAMES[type(one)] for one in block.records]
    for one, record in zip(found["records"], block.records, strict=True):
        for name in one.keys() - {"type", "form", "samples", "reasons", "tags", "survival", "sensors"}:
            spelled = getattr(record, name)
            assert one[name] == spelled or repr(float(one[name])) == repr(float(spelled))


NAMES = {
    Asset: "asset", Verdict: "verdict", Alarm: "alarm", Dropped: "dropped", LedgerRow: "ledger", ClockSet: "clock",
    Waveform: "waveform", Checkpoint: "checkpoint", BundleChange: "bundle",
    Outcome: "outcome",
}  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(batch_lists)
def test_peek_says_what_decoding_finds(batches: list[Batch]) -> None:
    data = sealed(batches, [Dropped("a", "t", "disk", 3, 1, 2)], Lane.URGENT)  # type: ignore[arg-type]
    header, block = peek(data), decode_block(data)
    assert header == block.header
    assert (header.key, header.boot, header.lane, header.records) == (KEY, BOOT, Lane.URGENT, 1)
    assert header.readings == sum(one.quality.size for one in block.series)
    assert header.good == sum(int((one.quality < Quality.BAD_BUS).sum()) for one in block.series)


def test_the_key_can_be_read_from_a_block_that_is_damaged() -> None:
    data = sealed(plant())
    assert claimed_key(data[:60] + b"\0" * 40) == (KEY.epoch, KEY.seq)
    for length in range(23):
        assert claimed_key(data[:length]) is None
    assert claimed_key(b"BABD" + data[4:]) is None
    assert claimed_key(data[:4] + b"\x03" + data[5:]) is None
    old = (ROOT / "tests/golden/blocks/v1-both.bin").read_bytes()
    assert claimed_key(old[:60]) == (KEY.epoch, KEY.seq)
    assert claimed_key(old[:40]) is None


COLUMNS: dict[str, list[Value]] = {
    "types that compare equal": [1, 1.0, True, "1", 0, -0.0, 0.0, False],
    "an integer that becomes a float": [1, 2, 3, 3.5],
    "NaN payloads": [math.nan, double(0x7FF8_0000_DEAD_BEEF), double(0xFFF0_0000_0000_0001), double(0x7FF4 << 48)],
    "NaN among singles": [1.5, math.nan, single(0.1)],
    "infinities": [math.inf, -math.inf, 1.0],
    "denormals": [5e-324, -5e-324, 2.2250738585072014e-308, single(1e-45)],
    "zeros of both signs": [0.0, -0.0, 0.0],
    "singles": [single(0.1), single(-123.456), single(3.4e38), single(-3.4e38)],
    "decimals": [21.3, 21.4, -0.1, 0.3],
    "registers with a scale": [raw * 0.1 for raw in range(50)],
    "registers with an odd scale": [raw * 0.05 for raw in range(50)],
    "large decimals": [123456789.123, 2.0**53, 2.0**60, 1e300],
    "ends of 64 bits": [2**63 - 1, -(2**63), 0, 2**63 - 1],
    "beyond 64 bits": [2**64 - 1, 2**63, -(2**63) - 1, 10**300],
    "booleans": [True, False, True, True],
    "texts": ["", "läuft", "\U0001f600", "\x00", "\ud800", "läuft"],
    "a mixed column with texts that look like its spelling": ["i5", 5, "b1", True, "f", 1.0],
    "a text where nothing came": [None, "x", None],
    "booleans with holes": [None, True, None],
    "integers with holes": [5, None, 7],
    "a mix with holes": [None, 1, None, 1.0],
    "nothing ever": [None, None],
    "a counter": list(range(1000, 1100)),
    "one": [7.25],
}


@pytest.mark.parametrize("found", COLUMNS.values(), ids=COLUMNS.keys())
def test_these_come_back(found: list[Value]) -> None:
    data = sealed(column(*found))
    expected = [exact(v) for v in found]
    assert [exact(b.values[0]) for b in decode_block(data).batches()] == expected
    assert [exact(poll["values"][0]) for poll in decode(data)["series"][0]] == expected


@pytest.mark.parametrize(
    ("found", "dtype"),
    [
        ([1.5, 2.5], "float64"), ([0.1, 0.2], "float64"), ([1, 2], "int64"), ([True, False], "bool"),
        ([None, 1.5], "float64"), ([None, 1], "int64"), ([None, True], "bool"), ([None], "float64"),
    ],
)  # fmt: skip
def test_a_column_of_one_type_is_an_array(found: list[Value], dtype: str) -> None:
    (one,) = decode_block(sealed(column(*found))).series
    (values,) = one.columns
    assert isinstance(values, np.ndarray)
    assert values.dtype == dtype
    assert one.read_ns.tolist() == [10 + i for i in range(len(found))]
    assert one.source_ns.shape == one.quality.shape == (len(found), 1)
    good = [v for v in found if v is not None]
    assert values[one.quality[:, 0] == Quality.GOOD].tolist() == good


def test_a_float_that_never_came_is_nan_so_that_it_cannot_be_taken_for_a_zero() -> None:
    (one,) = decode_block(sealed(column(1.5, None))).series
    assert np.isnan(np.asarray(one.columns[0])[1])


def test_a_nan_is_stored_as_a_double() -> None:
    """What becomes of its payload when it is narrowed and widened again depends on the processor."""
    _, rest = directory_of(payload_of(sealed(column(1.5, math.nan))))
    assert rest[3] == 3  # after one series, of group 0, of two rows


def test_the_same_polls_give_the_same_bytes_in_every_process() -> None:
    """Or a replay could not be compared with what was sent; types and texts hash differently in each process."""
    script = "from tests.rooms.contract.samples import plant, sealed; print(sealed(plant()).hex())"
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={"PYTHONHASHSEED": seed},
            cwd=ROOT,
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {sealed(plant()).hex() + "\n"}


def test_series_keep_their_order_and_polls_keep_theirs() -> None:
    batches = plant(machines=3, rows=8)
    block = decode_block(sealed(batches))
    assert [one.asset for one in block.series] == ["machine-0", "machine-1", "machine-2"]
    assert list(block.series[1].batches()) == [b for b in batches if b.asset == "machine-1"]


def test_an_asset_whose_tags_change_gets_a_series_for_each() -> None:
    one, two = column(1)[0], Batch("a", ("t", "u"), (1, 2), (Quality.GOOD,) * 2, (9, 9), 30, 40)
    assert [s.tags for s in decode_block(sealed([one, two, one])).series] == [("t",), ("t", "u")]


def test_large_blocks_with_columns_of_every_kind() -> None:
    """Larger than what the encoder tries scales on at once."""
    rng = random.Random(fresh_seed())
    makers: list[Any] = [
        lambda: rng.randrange(4096), lambda: rng.randrange(4096) * 0.01, lambda: round(rng.gauss(20, 5), 3),
        lambda: single(rng.gauss(0, 1)), lambda: rng.gauss(0, 1), lambda: rng.random() < 0.5,
    ]  # fmt: skip
    tags = tuple(f"t{i}" for i in range(30))
    batches = [
        Batch("a", tags, tuple(makers[i % 6]() for i in range(30)), (Quality.GOOD,) * 30, (i,) * 30, i, i * 7)
        for i in range(900)
    ]
    back = decode_block(sealed(batches)).batches()
    assert [plain(b) for b in back] == [plain(b) for b in batches]
