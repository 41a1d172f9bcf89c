"""The store: derived tables equal a plain recount of the blocks, whatever the order in which they came."""

from __future__ import annotations

import math
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cloud.store.chunk import CHUNK_TABLES
from cloud.store.reader import Reader
from cloud.store.rebuild import rebuild
from cloud.store.schema import DERIVED_TABLES, open_for_writing
from cloud.store.writer import Seen, Writer
from edge.contract.block import decode_block
from edge.contract.commands import CommandStep, Outcome
from edge.contract.types import (
    Alarm,
    AlarmState,
    Batch,
    BundleChange,
    BundleStep,
    Cause,
    Dropped,
    Priority,
    Quality,
    Reason,
    Urgency,
    Value,
    Verdict,
)
from edge.errors import StoreError
from tests.rooms.cloud.sending import EPOCH, GATEWAY, SECOND_NS, SPINDLE, START_NS, TAGS, batch, block, telemetry

GOLDEN = Path(__file__).parents[2] / "golden/stores"
Row = tuple[Any, ...]
# Chunks grow by when they are made; what they answer is compared in their own test.
COMPARED = tuple(table for table in DERIVED_TABLES if table not in (*CHUNK_TABLES, "progress"))


def stored(folder: Path, blocks: Sequence[bytes], *, at_once: int = 1) -> None:
    writer = Writer(folder)
    for i in range(0, len(blocks), at_once):
        part = blocks[i : i + at_once]
        writer.store(GATEWAY, EPOCH, [(data, decode_block(data)) for data in part], Seen(START_NS))
    writer.close()


def tables(folder: Path) -> dict[str, list[Row]]:
    """Every derived table, without what follows the order of arrival: rows of blocks, numbers of tags."""
    connection = sqlite3.connect(folder / "cloud.sqlite3")
    connection.row_factory = sqlite3.Row
    names = dict(connection.execute("SELECT id, asset || '/' || tag FROM tag").fetchall())
    found: dict[str, list[Row]] = {}
    for table in COMPARED:
        rows = connection.execute(f"SELECT * FROM {table}").fetchall()
        found[table] = sorted(
            (tuple(names[row[k]] if k == "tag" else row[k] for k in row.keys() if k != "block") for row in rows),  # noqa: SIM118
            key=repr,
        )
    connection.close()
    return found


def assert_same(left: dict[str, list[Row]], right: dict[str, list[Row]]) -> None:
    """Equal but for the last bits of sums, which depend on the order of adding."""
    for table in COMPARED:
        assert len(left[table]) == len(right[table]), table
        for a, b in zip(left[table], right[table], strict=True):
            assert a == tuple(pytest.approx(v, rel=1e-12) if isinstance(v, float) else v for v in b), table


def recounted(batches: Sequence[Batch], width_s: int) -> dict[tuple[str, int], tuple[int, int, list[float]]]:
    """Count, good and good numbers by tag and span, the plain way."""
    found: dict[tuple[str, int], list[Any]] = defaultdict(lambda: [0, 0, []])
    for one in batches:
        for tag, value, quality in zip(one.tags, one.values, one.quality, strict=True):
            row = found[(tag, one.read_ns // 10**9 // width_s * width_s)]
            row[0] += 1
            row[1] += not quality.is_bad
            if not quality.is_bad and isinstance(value, int | float) and math.isfinite(value):
                row[2].append(float(value))
    return {key: (row[0], row[1], row[2]) for key, row in found.items()}


values: st.SearchStrategy[Value] = st.one_of(
    st.floats(min_value=-1e6, max_value=1e6), st.integers(-(2**40), 2**40), st.booleans(), st.text(max_size=5)
)
polls = st.lists(
    st.tuples(st.integers(0, 7200), values, st.sampled_from([None, None, Quality.BAD_BUS, Quality.BAD_DECODE])),
    min_size=1, max_size=40, unique_by=lambda poll: poll[0],
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(polls=polls, cuts=st.integers(1, 6))
@example(polls=[(0, 2**40, None), (1, 0.1, None), (2, -(2**40), None)], cuts=1)  # most of a sum that is small is lost
def test_rollups_equal_a_plain_recount(
    polls: list[tuple[int, Value, Quality | None]], cuts: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("store")
    batches = [batch(second, value, bad=bad) for second, value, bad in polls]
    blocks = [block(i + 1, batches[i::cuts]) for i in range(min(cuts, len(batches)))]
    stored(folder, blocks, at_once=2)
    reader = Reader(folder)
    for width, width_s in (("minute", 60), ("hour", 3600)):
        expected = recounted(batches, width_s)
        rows = reader.rollups(1, ("vibration_mm_s", "bearing_temperature_c", "running"), width, 0, 2**40)  # type: ignore[arg-type]
        assert {(row.tag, row.start_s) for row in rows} == set(expected)
        for row in rows:
            count, good, numbers = expected[(row.tag, row.start_s)]
            assert (row.count, row.good) == (count, good)
            assert row.count == row.good + row.bad_bus + row.bad_device + row.bad_decode
            assert row.low == (min(numbers) if numbers else None)
            assert row.high == (max(numbers) if numbers else None)
            # Doubles that are added up in whatever order are off by no more than this.
            off = 2.0**-53 * sum(map(abs, numbers))
            mean = math.fsum(numbers) / len(numbers) if numbers else None
            assert row.mean == (pytest.approx(mean, rel=1e-15, abs=off) if numbers else None)
    stats = reader.stats()
    assert stats.received == 3 * len(batches)
    assert stats.received_bad == sum(bad is not None for _, _, bad in polls)
    reader.close()


def history() -> list[bytes]:
    """Blocks of a quarter of an hour with every kind of record in them."""
    verdict = Verdict(
        "spindle-1", START_NS + 5, "9f", 80.0, 0.5, False, 200.0, 150.0, 260.0, Urgency.WARNING,
        (Reason("vibration_mm_s", 0.5, "it vibrates"),), 0.9,
    )  # fmt: skip
    raised = Alarm(
        "spindle-1", "zone_c", "vibration_mm_s", Priority.MEDIUM, AlarmState.UNACKNOWLEDGED, START_NS + 7, START_NS + 7,
        3.0, "vibrates",
    )  # fmt: skip
    cleared = Alarm(
        "spindle-1",
        "zone_c",
        "vibration_mm_s",
        Priority.MEDIUM,
        AlarmState.NORMAL,
        START_NS + 7,
        START_NS + 9,
        1.0,
        "ok",
    )
    counts = BundleChange("spindle-1", START_NS + 9, "ab" * 32, "cd" * 32, BundleStep.COUNTS, 3, 20, "no worse")
    step = Outcome(
        "spindle-1", START_NS + 9, "ef" * 32, 7, "ab" * 32, "speed_rpm", CommandStep.EXECUTED, 2700.0, 2950.0,
        2700.0, "ada", "as asked",
    )  # fmt: skip
    lost = Dropped("spindle-1", "vibration_mm_s", Cause.POWER, 3, START_NS, START_NS + 9)
    bad = [batch(90 + i, None, bad=Quality.BAD_BUS) for i in range(5)]
    return [
        block(1, records=[SPINDLE]),
        *(telemetry(seq) for seq in range(2, 19)),
        block(19, bad, [verdict]),
        block(20, records=[raised, lost]),
        block(21, [batch(900, 5.5)], [cleared, counts, step]),
    ]


def test_late_blocks_in_any_order_repair_what_they_touch(tmp_path: Path) -> None:
    blocks = history()
    stored(tmp_path / "in order", blocks)
    stored(tmp_path / "reversed", blocks[::-1])
    stored(tmp_path / "shuffled", blocks[1::2] + blocks[::2], at_once=4)
    expected = tables(tmp_path / "in order")
    without = {"ledger", "waveform", "clock", "untrusted", "unsettled", "dirty", "derived_part"}
    assert all(expected[table] for table in COMPARED if table not in without)
    # Numbers of assets and tags follow the order of arrival; here all come from one asset with one order of tags.
    assert_same(tables(tmp_path / "reversed"), expected)
    assert_same(tables(tmp_path / "shuffled"), expected)


def test_sqlite_finds_nothing_wrong_with_a_store(tmp_path: Path) -> None:
    stored(tmp_path, history())
    connection = sqlite3.connect(tmp_path / "cloud.sqlite3")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def test_rebuilding_from_raw_blocks_gives_the_same_tables(tmp_path: Path) -> None:
    stored(tmp_path, history()[::-1], at_once=3)
    before = tables(tmp_path)
    connection = sqlite3.connect(tmp_path / "cloud.sqlite3")
    connection.execute("UPDATE minute SET total = 0")
    connection.execute("DELETE FROM verdict")
    connection.commit()
    connection.close()
    assert rebuild(tmp_path) == 21
    assert_same(tables(tmp_path), before)


def test_newest_values_keep_the_last_good_one_beside_a_bad_one(tmp_path: Path) -> None:
    stored(tmp_path, [block(1, [batch(1, 4.5)]), block(2, [batch(2, None, bad=Quality.BAD_DEVICE)])])
    reader = Reader(tmp_path)
    vibration = reader.latest(1)[0]
    assert (vibration.value, vibration.quality) == (None, Quality.BAD_DEVICE)
    assert (vibration.good_value, vibration.good_ns) == (4.5, START_NS + 10**9)
    assert vibration.read_ns == START_NS + 2 * 10**9
    reader.close()


def test_of_a_long_time_only_so_many_verdicts_are_read(tmp_path: Path) -> None:
    verdict = Verdict("spindle-1", 0, "", 50.0, 1.0, False, 31.0, 18.0, 44.0, Urgency.CRITICAL, (), 1.0)
    times = [START_NS + second * SECOND_NS for second in range(2000)]
    stored(tmp_path, [block(1, records=[replace(verdict, at_ns=at_ns) for at_ns in times])])
    reader = Reader(tmp_path)
    few = [row.at_ns for row in reader.verdicts(1, times[0], times[-1], limit=100)]
    assert few[0] == times[0]
    assert 90 <= len(few) <= 101
    assert {later - earlier for earlier, later in pairwise(few)} == {20 * SECOND_NS}
    assert [row.at_ns for row in reader.verdicts(1, times[5], times[9], limit=100)] == times[5:10]
    assert reader.verdicts(1, times[-1] + 1, 2**63 - 1, limit=100) == []
    assert reader.verdicts(1, times[3], times[3], limit=100)[0].at_ns == times[3]
    reader.close()


def test_the_same_polls_under_two_numbers_are_counted_as_stored_twice(tmp_path: Path) -> None:
    same = [batch(3, 1.0), batch(4, 1.0)]
    stored(tmp_path, [block(1, same), block(2, [batch(5, 1.0)]), block(3, same[1:])])
    reader = Reader(tmp_path)
    assert reader.stats().duplicate_readings_stored == 3
    reader.close()


def test_another_programs_file_is_refused_and_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "cloud.sqlite3"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs(x)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program's"):
        Writer(tmp_path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir() if found.name != "cloud.lock"] == ["cloud.sqlite3"]
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="another program's"):
        Writer(tmp_path)


def test_an_alarm_that_is_said_again_in_a_later_block_is_held_once(tmp_path: Path) -> None:
    """As a gateway does that had to drop the first block before it was acknowledged."""
    raised = Alarm(
        "spindle-1", "zone_c", TAGS[0], Priority.HIGH, AlarmState.UNACKNOWLEDGED, START_NS + 7, START_NS + 7, 3.0, "hot"
    )
    stored(tmp_path, [block(1, [batch(1, 1.0)]), block(2, records=[raised]), block(5, records=[raised])])
    reader = Reader(tmp_path)
    assert reader.alarm_changes(1, limit=10) == [raised]
    reader.close()


def test_a_store_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    Writer(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "cloud.sqlite3")
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StoreError, match="newer than 2"):
        Writer(tmp_path)


def test_a_store_of_version_1_opens_keeps_its_truth_and_is_derived_anew(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "cloud_v1.sqlite3", tmp_path / "cloud.sqlite3")
    Writer(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "cloud.sqlite3")
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    reader = Reader(tmp_path)
    stats = reader.stats()
    assert (stats.blocks, stats.received, stats.duplicate_blocks, stats.refused) == (23, 279, 1, 1)
    rows = reader.rollups(1, TAGS, "hour", 0, 2**40)
    assert [(row.tag, row.count, row.good) for row in rows] == [(TAGS[0], 92, 87), (TAGS[1], 92, 92), (TAGS[2], 92, 92)]
    assert (reader.latest(1)[0].value, [alarm.rule for _, alarm in reader.standing()]) == (6.5, [])
    reader.close()
    stored(tmp_path, [block(23, [batch(902, 7.5)])])
    before = tables(tmp_path)
    assert all(before[table] for table in ("held", "ledger", "verdict", "alarm", "dropped", "latest"))
    rebuild(tmp_path)
    assert_same(tables(tmp_path), before)


def test_a_migration_that_was_killed_is_done_at_the_next_start(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "cloud_v1.sqlite3", tmp_path / "cloud.sqlite3")
    open_for_writing(tmp_path / "cloud.sqlite3").close()  # and nothing was derived
    Writer(tmp_path).close()
    reader = Reader(tmp_path)
    assert reader.rollups(1, TAGS[:1], "hour", 0, 2**40)[0].count == 92
    reader.close()


def test_a_store_has_one_owner(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    with pytest.raises(StoreError, match="another process uses"):
        rebuild(tmp_path)
    writer.close()
    assert rebuild(tmp_path) == 0


def test_every_commit_is_synced(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    assert writer._connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert writer._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    writer.close()
