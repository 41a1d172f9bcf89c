"""Whatever the order in which blocks come, and however often the receiver is killed, derived tables end up the same."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cloud.store.clock import corrected, corrected_ns
from cloud.store.lag import Allowance
from cloud.store.reader import Reader
from cloud.store.rebuild import rebuild
from cloud.store.writer import Delivery, Seen, Writer
from edge.contract.block import Block, decode_block, encode_block
from edge.contract.types import Batch, Cause, ClockSet, Dropped, Key, Lane, LedgerRow, Quality, Record, Waveform
from tests.rooms.cloud.sending import BOOT, EPOCH, GATEWAY, SECOND_NS, SPINDLE, START_NS, at_once, batch, telemetry
from tests.rooms.cloud.test_store import assert_same, recounted, tables

HOUR_NS = 3600 * SECOND_NS
OFFSET_NS = START_NS
"""In the boot below the monotonic clock began with the hour; its wall clock was years behind until it was set."""
BEHIND_NS = 5 * 365 * 86_400 * SECOND_NS
NO_TIME = Allowance(share=0.0, burst_s=0.0)
LOST = Dropped("line-1", "t1", Cause.POWER, 3, START_NS, START_NS)


def untrusted(second: float, vibration: float) -> Batch:
    """A poll whose wall clock was years behind."""
    true = batch(second, vibration)
    wrong_ns = true.read_ns - BEHIND_NS
    mono_ns = true.read_ns - OFFSET_NS
    return replace(true, read_ns=wrong_ns, mono_ns=mono_ns, source_ns=(wrong_ns - 1000,) * 3, trusted=False)


def trusted(second: float, vibration: float, *, bad: Quality | None = None) -> Batch:
    true = batch(second, vibration, bad=bad)
    return replace(true, mono_ns=true.read_ns - OFFSET_NS)


def sealed(seq: int, batches: Sequence[Batch] = (), records: Sequence[Record] = ()) -> bytes:
    return encode_block(
        Key(GATEWAY, EPOCH, seq), boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=START_NS, batches=batches, records=records
    )


def snapshot(second: int, *, is_trusted: bool) -> Waveform:
    at_ns = START_NS + second * SECOND_NS - (0 if is_trusted else BEHIND_NS)
    samples = np.arange(8, dtype=np.int16)
    return Waveform("spindle-1", "vibration_mm_s", "g", at_ns, second * SECOND_NS, is_trusted, 25_600.0, samples)


def story() -> list[bytes]:
    """Two hours: the clock is set after the first quarter of an hour, whose blocks were stamped years before."""
    before = [sealed(seq, [untrusted(60 * seq + s, seq + s / 7) for s in range(0, 60, 20)]) for seq in range(2, 15)]
    after = [sealed(seq, [trusted(60 * seq + s, s / 3) for s in range(0, 60, 20)]) for seq in range(16, 100, 7)]
    lost = Dropped("spindle-1", "vibration_mm_s", Cause.POWER, 3, START_NS, START_NS + 9)
    told = [LedgerRow("spindle-1", "running", START_NS, offered=n, kept=n) for n in (5, 9)]
    return [
        sealed(1, records=[SPINDLE]), *before,
        sealed(15, [trusted(900, 2.5)], [snapshot(3, is_trusted=False), snapshot(901, is_trusted=True)]),
        *after,
        sealed(101, [trusted(6100, 9.0, bad=Quality.BAD_BUS)], [lost, told[0]]),
        sealed(102, [trusted(6160, 9.5)], [ClockSet(BOOT, OFFSET_NS, 890 * SECOND_NS, START_NS), told[1]]),
    ]  # fmt: skip


def opened(data: bytes) -> tuple[bytes, Block]:
    return data, decode_block(data)


def killed(writer: Writer) -> None:
    """Gone without a word: what it had in memory is lost, what it has committed is not."""
    writer._connection.close()
    writer._lock.close()


def settled(folder: Path) -> None:
    """Everything that can wait is done."""
    writer = Writer(folder)
    while writer.tidy(START_NS):
        pass
    writer.close()


@pytest.fixture(scope="module")
def in_order(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in order")
    writer = Writer(folder)
    writer.store(GATEWAY, EPOCH, [opened(data) for data in story()], Seen(START_NS))
    writer.close()
    settled(folder)
    return folder


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), lagging=st.booleans(), in_parts=st.booleans())
@example(seed=402, lagging=False, in_parts=True)  # killed when a snapshot's record was derived, its readings not yet
def test_order_kills_and_repeats_change_nothing(
    seed: int, lagging: bool, in_parts: bool, in_order: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("store")

    def started() -> Writer:
        return Writer(
            folder, allowance=NO_TIME if lagging else None, tags_at_once_max=0 if in_parts else 200, step_s=0.0
        )

    blocks = story()
    chance.shuffle(blocks)
    writer = started()
    while blocks:
        part = [blocks.pop() for _ in range(min(chance.randrange(1, 9), len(blocks)))]
        fresh = [one for one in map(opened, part) if writer.holds(one[1].header.key, one[0]) == "no"]
        writer.store(GATEWAY, EPOCH, fresh, Seen(START_NS))
        what = chance.randrange(6)
        if what == 0:
            killed(writer)
            blocks += part[:1]  # its answer was lost
            writer = started()
        elif what < 3:
            writer.tidy(START_NS)
    writer.close()
    settled(folder)
    assert_same(tables(folder), tables(in_order))


def test_what_is_derived_late_equals_a_plain_recount(in_order: Path) -> None:
    batches = []
    for data in story():
        for one in decode_block(data).batches():
            shift = 0 if one.trusted else BEHIND_NS
            batches.append(replace(one, read_ns=one.read_ns + shift))
    reader = Reader(in_order)
    for width, width_s in (("minute", 60), ("hour", 3600)):
        expected = recounted(batches, width_s)
        rows = reader.rollups(1, ("vibration_mm_s", "bearing_temperature_c", "running"), width, 0, 2**40)  # type: ignore[arg-type]
        assert {(row.tag, row.start_s): (row.count, row.good) for row in rows} == {
            key: (count, good) for key, (count, good, _) in expected.items()
        }
    newest = reader.latest(1)[0]
    assert (newest.value, newest.read_ns) == (9.5, START_NS + 6160 * SECOND_NS)
    reader.close()


def test_rebuilding_gives_the_same_tables_where_clocks_were_set_late(in_order: Path) -> None:
    before = tables(in_order)
    assert rebuild(in_order) == len(story())
    assert_same(tables(in_order), before)


def test_under_load_the_truth_is_stored_and_the_rest_follows(tmp_path: Path) -> None:
    writer = Writer(tmp_path, allowance=NO_TIME)
    writer.store(GATEWAY, EPOCH, [opened(telemetry(1))], Seen(START_NS))
    reader = Reader(tmp_path)
    assert (reader.stats().blocks, reader.latest(1)) == (1, [])
    assert writer.is_behind
    assert not writer.idle(START_NS), "no time is left for it"
    assert writer.tidy(START_NS)
    assert reader.latest(1)[0].value == 4.25
    assert not writer.is_behind
    reader.close()
    writer.close()


def test_a_gateway_of_many_signals_is_derived_a_part_at_a_time_and_a_crash_between_two_repeats_none(
    tmp_path: Path,
) -> None:
    tags = tuple(f"t{i}" for i in range(100))
    blocks = [
        encode_block(
            Key(GATEWAY, EPOCH, seq), boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=0, records=[SPINDLE, LOST],
            batches=[replace(batch(seq, 1.0, asset=f"line-{i}"), tags=tags, values=(1.5,) * 100,
                             quality=(Quality.GOOD,) * 100, source_ns=(START_NS,) * 100) for i in range(5)],
        )
        for seq in range(1, 6)
    ]  # fmt: skip
    plain = Writer(tmp_path / "plain")
    plain.store(GATEWAY, EPOCH, [opened(data) for data in blocks], Seen(START_NS))
    plain.close()
    parts = tmp_path / "parts"
    writer = Writer(parts, step_s=0.0)
    writer.store(GATEWAY, EPOCH, [opened(data) for data in blocks[:4]], Seen(START_NS))
    assert writer.is_behind, "it would hold up whoever waits for the answer"
    for _ in range(4):
        assert writer.tidy(START_NS)
    writer.store(GATEWAY, EPOCH, [opened(blocks[4])], Seen(START_NS))
    assert writer.tidy(START_NS)
    killed(writer)
    reader = Reader(parts)
    assert 0 < len(tables(parts)["latest"]) < len(tables(tmp_path / "plain")["latest"])
    reader.close()
    Writer(parts).close()
    assert_same(tables(parts), tables(tmp_path / "plain"))


def test_what_waits_is_bounded_by_readings_and_by_age(tmp_path: Path) -> None:
    now_s = 0.0
    writer = Writer(tmp_path, allowance=NO_TIME, monotonic_s=lambda: now_s)
    writer.store(GATEWAY, EPOCH, [opened(telemetry(1))], Seen(START_NS))
    now_s = 59.0
    writer.store(GATEWAY, EPOCH, [opened(telemetry(2))], Seen(START_NS))
    assert writer.is_behind
    now_s = 61.0
    writer.store(GATEWAY, EPOCH, [opened(telemetry(3))], Seen(START_NS))
    assert not writer.is_behind
    tags = tuple(f"t{i}" for i in range(100))
    times = range(START_NS, START_NS + 2500 * SECOND_NS, SECOND_NS)
    wide = [Batch("line-1", tags, (1.5,) * 100, (Quality.GOOD,) * 100, (at,) * 100, at, at) for at in times]
    for number in range(8):
        name = f"gateway-{number + 2}"
        one = encode_block(
            Key(name, EPOCH, 1), boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=0, batches=wide, records=[]
        )  # fmt: skip
        writer.store(name, EPOCH, [opened(one)], Seen(START_NS))
    assert 1_250_000 < writer._waiting.readings <= 1_500_000, "so much as must be, and no more, is derived at once"
    killed(writer)


def test_many_gateways_share_a_commit_and_each_gets_its_own_mark(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    deliveries = []
    for number in range(1, 4):
        one = encode_block(
            Key(f"gateway-{number}", EPOCH, 1), boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=0, batches=[batch(1, 1.0)],
            records=[],
        )  # fmt: skip
        deliveries.append(Delivery(f"gateway-{number}", EPOCH, [opened(one)], Seen(START_NS), oldest=number))
    assert writer.commit(deliveries) == [1, 1, 2]
    writer.close()


def test_what_this_program_cannot_derive_stops_nobody_and_is_counted(tmp_path: Path) -> None:
    """Half a character in a name: the receiver would have refused it, and no table can hold it."""
    strange = encode_block(
        Key("gateway-2", EPOCH, 1), boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=0,
        batches=[batch(1, 1.0, asset="half\ud800")], records=[],
    )  # fmt: skip
    writer = Writer(tmp_path, allowance=NO_TIME)
    writer.store("gateway-2", EPOCH, [opened(strange)], Seen(START_NS))
    writer.store(GATEWAY, EPOCH, [opened(telemetry(1))], Seen(START_NS))
    killed(writer)
    writer = Writer(tmp_path, allowance=NO_TIME)
    writer.store("gateway-2", "ef" * 16, [opened(strange)], Seen(START_NS))
    writer.close()
    reader = Reader(tmp_path)
    assert reader.latest(reader.assets()[0].id)[0].value == 4.25
    assert reader.stats().refused_by == {"not derived": 2}
    reader.close()


def test_a_reading_from_the_future_does_not_stay_the_newest(tmp_path: Path) -> None:
    """The clock was an hour ahead, trusted, and was put back; a second stream has no order with the first but time."""
    writer = Writer(tmp_path, allowance=at_once())
    for seq, second, value in ((1, 10, 1.0), (2, 3700, 2.0), (3, 120, 3.0)):
        one = replace(batch(second, value), mono_ns=seq)
        writer.store(GATEWAY, EPOCH, [opened(sealed(seq, [one]))], Seen(START_NS))
    reader = Reader(tmp_path)
    assert (reader.latest(1)[0].value, reader.assets()[0].last_read_ns) == (3.0, START_NS + 120 * SECOND_NS)
    other = encode_block(
        Key(GATEWAY, "ef" * 16, 1), boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=0, batches=[batch(60, 4.0)], records=[]
    )
    writer.store(GATEWAY, "ef" * 16, [opened(other)], Seen(START_NS))
    assert reader.latest(1)[0].value == 3.0
    reader.close()
    writer.close()


def test_a_reading_takes_the_first_setting_after_it() -> None:
    (series,) = decode_block(sealed(1, [untrusted(1, 1.0), untrusted(5, 1.0), untrusted(9, 1.0)])).series
    settings_ = [(4 * SECOND_NS, 100), (6 * SECOND_NS, 200)]
    found = corrected(series, settings_)
    assert found.read_ns.tolist() == [SECOND_NS + 100, 5 * SECOND_NS + 200, 9 * SECOND_NS + 200]
    assert (found.source_ns[:, 0] - found.read_ns).tolist() == [-1000] * 3
    assert found.trusted.all()
    assert corrected(found, settings_) is found
    assert corrected(series, []) is series
    assert [corrected_ns(0, mono * SECOND_NS, settings_) - mono * SECOND_NS for mono in (1, 5, 9)] == [100, 200, 200]


def test_a_devices_own_time_is_left_alone() -> None:
    own = replace(untrusted(1, 1.0), source_ns=(START_NS, START_NS + 1, START_NS + 2))
    (series,) = decode_block(sealed(1, [own])).series
    found = corrected(series, [(0, OFFSET_NS)])
    assert found.source_ns.tolist() == [[START_NS, START_NS + 1, START_NS + 2]]
    assert found.read_ns.tolist() == [START_NS + SECOND_NS]
