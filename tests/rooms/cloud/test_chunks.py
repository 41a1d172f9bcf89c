"""Chunks: what raw history reads instead of a day of blocks. Never another answer than the blocks would give."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cloud.fleet.series import Gap, signals
from cloud.store.chunk import Polls, joined, pack_column, pack_times, unpack_column, unpack_times
from cloud.store.chunker import BLOCKS_MAX, SETTLED_S
from cloud.store.history import Readings, raw
from cloud.store.reader import Reader
from cloud.store.retention import Retention
from cloud.store.writer import Seen, Writer
from edge.contract.block import decode_block, encode_block
from edge.contract.types import Batch, ClockSet, Key, Lane, Quality, Value
from edge.errors import BlockError
from tests.rooms.cloud.sending import BOOT, EPOCH, GATEWAY, SECOND_NS, SPINDLE, START_NS, TAGS, at_once, batch, block

LATER_NS = START_NS + 100 * 86_400 * SECOND_NS
HOUR_S = 3600
QUALITIES = st.sampled_from([int(q) for q in Quality])


def kept(folder: Path, blocks: Sequence[bytes], *, at_ns: int = START_NS, tidy_ns: int | None = None) -> int:
    """Store blocks, some a request, and do all the steps that are due at ``tidy_ns``; how many they were."""
    writer = Writer(folder, allowance=at_once())
    for first in range(0, len(blocks), 20):
        writer.store(GATEWAY, EPOCH, [(data, decode_block(data)) for data in blocks[first : first + 20]], Seen(at_ns))
    steps = 0
    while tidy_ns is not None and writer.tidy(tidy_ns):
        steps += 1
    writer.close()
    return steps


def readings(folder: Path, from_s: float = 0, to_s: float = 10 * HOUR_S, *, asset: str = "spindle-1",
             blocks_max: int = 4000) -> dict[str, Readings] | None:  # fmt: skip
    reader = Reader(folder)
    row = reader.asset(GATEWAY, asset)
    assert row is not None
    span = START_NS + int(from_s * SECOND_NS), START_NS + int(to_s * SECOND_NS)
    found = raw(reader, row, TAGS, *span, blocks_max=blocks_max)
    reader.close()
    return found


def assert_same(left: dict[str, Readings] | None, right: dict[str, Readings] | None) -> None:
    assert left is not None
    assert right is not None
    for tag in TAGS:
        assert left[tag].at_ns.tolist() == right[tag].at_ns.tolist()
        assert left[tag].numbers.tobytes() == right[tag].numbers.tobytes()
        assert left[tag].quality.tolist() == right[tag].quality.tolist()
        assert left[tag].thinned == right[tag].thinned


def count(folder: Path, table: str) -> int:
    connection = sqlite3.connect(folder / "cloud.sqlite3")
    found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    connection.close()
    return int(found)


def stream(seconds: int, *, apart_s: float = 20) -> list[bytes]:
    """Blocks of one poll each, some with a failed reading, over so many seconds."""
    return [
        block(i + 1, [batch(i * apart_s, i / 3, bad=Quality.BAD_BUS if i % 7 == 3 else None)], [] if i else [SPINDLE])
        for i in range(int(seconds / apart_s))
    ]


@given(arrays.arrays(np.int64, st.integers(1, 300)))
def test_times_come_back(at_ns: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    assert unpack_times(pack_times(at_ns)).tolist() == at_ns.tolist()


@given(st.data(), st.integers(0, 200))
def test_numbers_come_back_to_the_bit_and_bad_ones_as_none(data: st.DataObject, size: int) -> None:
    numbers = data.draw(arrays.arrays(np.float64, size))
    quality = data.draw(arrays.arrays(np.uint8, size, elements=QUALITIES))
    found, codes = unpack_column(pack_column(numbers, quality))
    assert codes.tolist() == quality.tolist()
    good = quality < Quality.BAD_BUS
    assert found[good].tobytes() == numbers[good].tobytes()
    assert np.isnan(found[~good]).all()


def test_a_flipped_bit_is_noticed() -> None:
    data = bytearray(pack_column(np.arange(100) / 7, np.zeros(100, np.uint8)))
    data[len(data) // 2] ^= 1
    with pytest.raises(BlockError):
        unpack_column(bytes(data))


def test_chunks_answer_as_blocks_do(tmp_path: Path) -> None:
    blocks = stream(2 * HOUR_S + 900)
    kept(tmp_path / "blocks", blocks)
    assert kept(tmp_path / "chunks", blocks, tidy_ns=LATER_NS) > 0
    assert count(tmp_path / "chunks", "chunk") == 3
    for span in ((0, 10 * HOUR_S), (1000, 5000), (3599, 3600.5), (9000, 9001)):
        assert_same(readings(tmp_path / "chunks", *span, blocks_max=0), readings(tmp_path / "blocks", *span))


def test_of_the_running_hour_many_blocks_are_in_chunks_and_the_rest_is_opened(tmp_path: Path) -> None:
    blocks = stream(HOUR_S, apart_s=10)
    assert kept(tmp_path, blocks, tidy_ns=START_NS + HOUR_S * SECOND_NS) == 1
    assert count(tmp_path, "chunk_hour WHERE waiting IS NOT NULL") == 1
    kept(tmp_path / "all", blocks)
    assert_same(readings(tmp_path, blocks_max=len(blocks) - BLOCKS_MAX), readings(tmp_path / "all"))
    assert readings(tmp_path, blocks_max=len(blocks) - BLOCKS_MAX - 1) is None
    kept(tmp_path, [], tidy_ns=START_NS + (HOUR_S + SETTLED_S + 1) * SECOND_NS)
    assert count(tmp_path, "chunk") == 1
    assert_same(readings(tmp_path, blocks_max=0), readings(tmp_path / "all"))


@settings(max_examples=12, deadline=None)
@given(st.randoms(use_true_random=False))
def test_whatever_the_order_of_blocks_and_steps_the_answer_is_that_of_the_blocks(chance: Random) -> None:
    blocks = [
        block(i + 1, [batch(i * 300 + j * 19, i + j / 10) for j in range(chance.randint(1, 18))], [SPINDLE])
        for i in range(40)
    ]
    chance.shuffle(blocks)
    with TemporaryDirectory() as name:
        steps, plain = Path(name) / "steps", Path(name) / "plain"
        kept(plain, blocks)
        while blocks:
            part, blocks = blocks[: (size := chance.randint(1, 15))], blocks[size:]
            kept(
                steps,
                part,
                tidy_ns=chance.choice([None, START_NS + chance.randint(0, 5 * HOUR_S) * SECOND_NS, LATER_NS]),
            )
        assert_same(readings(steps), readings(plain))
        kept(steps, [], tidy_ns=LATER_NS)
        assert_same(readings(steps, blocks_max=0), readings(plain))


def test_a_late_block_is_seen_at_once_and_then_joined_with_its_hour(tmp_path: Path) -> None:
    blocks = stream(HOUR_S)
    late = blocks.pop(50)
    kept(tmp_path, blocks, tidy_ns=LATER_NS)
    kept(tmp_path / "all", [*blocks, late])
    kept(tmp_path, [late])
    assert_same(readings(tmp_path, blocks_max=1), readings(tmp_path / "all"))
    kept(tmp_path, [], tidy_ns=LATER_NS)
    assert count(tmp_path, "chunk") == 1
    assert_same(readings(tmp_path, blocks_max=0), readings(tmp_path / "all"))


def test_a_block_over_the_hours_edge_counts_once(tmp_path: Path) -> None:
    over = block(1, [batch(HOUR_S - 2 + i, float(i)) for i in range(4)], [SPINDLE])
    kept(tmp_path, [over, block(2, [batch(HOUR_S + 5, 9.0)])], tidy_ns=LATER_NS)
    # Another late block makes the second hour wait again, the first one does not.
    kept(tmp_path, [block(3, [batch(HOUR_S + 6, 10.0)])])
    found = readings(tmp_path)
    assert found is not None
    assert found["vibration_mm_s"].numbers.tolist() == [0.0, 1.0, 2.0, 3.0, 9.0, 10.0]


def test_assets_that_share_blocks_share_the_opening(tmp_path: Path) -> None:
    blocks = [
        block(i + 1, [batch(i * 10, i / 3, asset=asset) for asset in ("spindle-1", "spindle-2")]) for i in range(200)
    ]
    steps = kept(tmp_path, blocks, tidy_ns=LATER_NS)
    assert steps == 1 + 2  # all blocks at once, then each asset's chunk is found to be whole
    kept(tmp_path / "all", blocks)
    for asset in ("spindle-1", "spindle-2"):
        both = [readings(folder, asset=asset) for folder in (tmp_path, tmp_path / "all")]
        assert_same(*both)


def thinned(seq: int, polls: Sequence[Batch]) -> bytes:
    key = Key(GATEWAY, EPOCH, seq)
    single = [
        Batch(b.asset, (tag,), (b.values[j],), (b.quality[j],), (b.source_ns[j],), b.read_ns, b.mono_ns)
        for b in polls
        for j, tag in enumerate(b.tags)
    ]
    return encode_block(
        key, boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=START_NS, batches=single, records=[], thinned=True
    )


@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_chart_says_what_the_gateway_has_thinned(tmp_path: Path, in_chunks: bool) -> None:
    few = [batch(i * 20, float(i)) for i in range(30)]  # one of twenty a minute's third
    full = [batch(600 + i, 1.0) for i in range(60)]
    after = [batch(900 + i, 1.0) for i in range(5)]
    blocks = [block(1, [], [SPINDLE]), thinned(2, few), block(3, full), block(4, after)]
    kept(tmp_path, blocks, tidy_ns=LATER_NS if in_chunks else None)
    reader = Reader(tmp_path)
    asset = reader.asset(GATEWAY, "spindle-1")
    assert asset is not None
    (found,) = signals(reader, asset, ["vibration_mm_s"], START_NS, LATER_NS, points_max=2000)
    at_ms = START_NS // 10**6
    assert found.gaps == [
        Gap(at_ms, at_ms + 580_000, "thinned"),
        Gap(at_ms + 659_000, at_ms + 900_000, "no data"),
    ]
    assert found.value.count(None) == 1  # the line goes on where it was thinned
    if in_chunks:
        (rolled,) = signals(reader, asset, ["vibration_mm_s"], START_NS, LATER_NS, points_max=2000, raw_blocks_max=-1)
        assert Gap(at_ms, at_ms + HOUR_S * 1000, "thinned") in rolled.gaps
    reader.close()


@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_clock_that_is_set_later_moves_what_was_stamped_before(tmp_path: Path, in_chunks: bool) -> None:
    wrong_ns = 365 * 86_400 * SECOND_NS
    early = [
        replace(batch(i, float(i), from_ns=START_NS - wrong_ns), mono_ns=i * SECOND_NS, trusted=False) for i in range(5)
    ]
    asset = replace(SPINDLE, at_ns=START_NS - wrong_ns)
    tidy_ns = LATER_NS if in_chunks else None
    kept(tmp_path, [block(1, early, [asset])], tidy_ns=LATER_NS)
    set_ = ClockSet(BOOT, offset_ns=START_NS, mono_ns=10 * SECOND_NS, at_ns=START_NS + 10 * SECOND_NS)
    after = replace(batch(11, 11.0), mono_ns=11 * SECOND_NS)
    kept(tmp_path, [block(2, [after], [set_])], tidy_ns=LATER_NS)
    kept(tmp_path, [block(3, [replace(batch(12, 12.0), mono_ns=12 * SECOND_NS)])], tidy_ns=tidy_ns)
    found = readings(tmp_path, blocks_max=0 if in_chunks else 1)
    assert found is not None
    seconds = ((found["vibration_mm_s"].at_ns - START_NS) / SECOND_NS).tolist()
    assert seconds == [0.0, 1.0, 2.0, 3.0, 4.0, 11.0, 12.0]
    assert found["vibration_mm_s"].numbers.tolist() == seconds
    before = readings(tmp_path, -2 * wrong_ns / SECOND_NS, -1)
    assert before is not None
    assert not len(before["vibration_mm_s"].at_ns)


def test_where_raw_readings_were_removed_a_chart_shows_rollups(tmp_path: Path) -> None:
    day_s = 86_400
    writer = Writer(tmp_path, policy=Retention(raw_days=10))
    for day in range(30):
        data = block(day + 1, [batch(day * day_s + i, float(day)) for i in range(5)], [SPINDLE])
        writer.store(GATEWAY, EPOCH, [(data, decode_block(data))], Seen(START_NS + day * day_s * SECOND_NS))
    while writer.tidy(START_NS + 30 * day_s * SECOND_NS):
        pass
    late = block(31, [batch(5, 9.0)])
    writer.store(GATEWAY, EPOCH, [(late, decode_block(late))], Seen(START_NS + 30 * day_s * SECOND_NS))
    writer.close()
    assert count(tmp_path, "chunk") == count(tmp_path, "block") - 1 == 10
    assert readings(tmp_path, 0, 30 * day_s) is None
    assert readings(tmp_path, 0, 5) is None
    kept_still = readings(tmp_path, 21 * day_s, 30 * day_s)
    assert kept_still is not None
    assert len(kept_still["vibration_mm_s"].at_ns) == 9 * 5
    reader = Reader(tmp_path)
    asset = reader.asset(GATEWAY, "spindle-1")
    assert asset is not None
    (found,) = signals(reader, asset, TAGS[:1], START_NS, START_NS + 30 * day_s * SECOND_NS, points_max=1000)
    reader.close()
    assert found.resolution == "hour"
    assert [value for value in found.value if value is not None] == [1.5, *map(float, range(1, 30))]


def test_text_has_a_quality_and_no_number(tmp_path: Path) -> None:
    values: tuple[Value, ...] = ("running", 1.0, True)
    poll = Batch("spindle-1", TAGS, values, (Quality.GOOD,) * 3, (START_NS,) * 3, START_NS, 1)
    kept(tmp_path, [block(1, [poll], [SPINDLE])], tidy_ns=LATER_NS)
    found = readings(tmp_path, blocks_max=0)
    assert found is not None
    assert np.isnan(found["vibration_mm_s"].numbers).tolist() == [True]
    assert found["vibration_mm_s"].quality.tolist() == [int(Quality.GOOD)]


def test_joined_polls_are_in_order_of_time() -> None:
    parts = [Polls(np.array(at), np.array([at], float).T, np.zeros((2, 1), np.uint8)) for at in ([5, 9], [1, 7])]
    assert joined(parts).at_ns.tolist() == [1, 5, 7, 9]
    assert joined(parts).numbers.ravel().tolist() == [1.0, 5.0, 7.0, 9.0]
