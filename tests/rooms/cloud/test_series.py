"""Signals over time: raw or rolled up, never with a silent hole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cloud.fleet.series import RAW_BLOCKS_MAX, Gap, Signal, signals
from cloud.store.reader import Reader
from edge.contract.types import Asset, Cause, Dropped, Quality, Tag
from tests.rooms.cloud.sending import SPINDLE, START_NS, batch, block
from tests.rooms.cloud.test_store import stored

START_MS = START_NS // 10**6
FAR_NS = START_NS + 10 * 86_400 * 10**9


def vibration(
    folder: Path, from_s: int, to_s: int, *, points_max: int = 2000, raw_blocks_max: int = RAW_BLOCKS_MAX
) -> Signal:
    reader = Reader(folder)
    asset = reader.asset("gateway-1", "spindle-1")
    assert asset is not None
    from_ns, to_ns = START_NS + from_s * 10**9, START_NS + to_s * 10**9
    (found,) = signals(
        reader, asset, ["vibration_mm_s"], from_ns, to_ns, points_max=points_max, raw_blocks_max=raw_blocks_max
    )
    reader.close()
    return found


def test_raw_values_come_back_to_the_bit_within_the_asked_span(tmp_path: Path) -> None:
    stored(tmp_path, [block(1, [batch(i, i / 3) for i in range(10)], [SPINDLE]), block(2, [batch(10, 99.0)])])
    found = vibration(tmp_path, 2, 5)
    assert (found.resolution, found.gaps) == ("raw", [])
    assert found.at_ms == [START_MS + s * 1000 for s in (2, 3, 4, 5)]
    assert found.value == [2 / 3, 3 / 3, 4 / 3, 5 / 3]


def test_bad_readings_are_a_gap_with_the_ledgers_cause(tmp_path: Path) -> None:
    polls = [batch(i, 1.0, bad=Quality.BAD_BUS if 3 <= i < 6 else None) for i in range(10)]
    stored(tmp_path, [block(1, polls, [SPINDLE])])
    found = vibration(tmp_path, 0, 100)
    assert found.gaps == [Gap(START_MS + 3000, START_MS + 6000, "bus")]
    assert [v is None for v in found.value] == [3 <= i < 6 for i in range(10)]


def test_a_hole_is_a_gap_that_breaks_the_line(tmp_path: Path) -> None:
    stored(tmp_path, [block(1, [batch(i, 1.0) for i in range(5)], [SPINDLE]), block(2, [batch(60, 2.0)])])
    found = vibration(tmp_path, 0, 100)
    assert found.gaps == [Gap(START_MS + 4000, START_MS + 60_000, "no data")]
    assert found.value == [1.0] * 5 + [None, 2.0]


def test_a_declared_loss_names_the_holes_cause(tmp_path: Path) -> None:
    lost = Dropped("spindle-1", "vibration_mm_s", Cause.POWER, 55, START_NS + 5 * 10**9, START_NS + 59 * 10**9)
    blocks = [block(1, [batch(i, 1.0) for i in range(5)], [SPINDLE]), block(2, [batch(60, 2.0)], [lost])]
    stored(tmp_path, blocks)
    assert [gap.cause for gap in vibration(tmp_path, 0, 100).gaps] == ["power"]


def loss(from_s: int, to_s: int, cause: Cause = Cause.DISK) -> Dropped:
    """Readings of each second from one to the other, both lost."""
    from_ns, to_ns = START_NS + from_s * 10**9, START_NS + to_s * 10**9
    return Dropped("spindle-1", "vibration_mm_s", cause, to_s - from_s + 1, from_ns, to_ns)


def at(from_s: int, to_s: int, cause: str) -> Gap:
    return Gap(START_MS + from_s * 1000, START_MS + to_s * 1000, cause)


def test_of_a_hole_only_what_was_declared_has_the_declared_cause(tmp_path: Path) -> None:
    losses = [loss(5, 19), loss(30, 34, Cause.CAP), loss(35, 39, Cause.POWER)]
    blocks = [block(1, [batch(i, 1.0) for i in range(5)], [SPINDLE]), block(2, [batch(60, 2.0)], losses)]
    stored(tmp_path, blocks)
    assert vibration(tmp_path, 0, 100).gaps == [
        at(5, 20, "disk"), at(20, 30, "no data"), at(30, 35, "cap"), at(35, 40, "power"), at(40, 60, "no data"),
    ]  # fmt: skip


def test_a_loss_is_shown_where_nothing_came_after_it_and_where_it_is_shorter_than_a_hole(tmp_path: Path) -> None:
    polls = [batch(i, 1.0) for i in range(10) if i != 4]
    stored(tmp_path, [block(1, polls, [SPINDLE, loss(4, 4), loss(10, 70, Cause.CAP)])])
    found = vibration(tmp_path, 0, 100)
    assert found.gaps == [at(4, 5, "disk"), at(10, 71, "cap")]
    assert vibration(tmp_path, 0, 100, raw_blocks_max=-1).gaps == found.gaps


@pytest.mark.parametrize("polls", [400, 4000])
def test_a_signal_that_flaps_stays_small_and_its_causes_stay(tmp_path: Path, polls: int) -> None:
    bad = (None, Quality.BAD_BUS, None, Quality.BAD_DEVICE)
    stored(tmp_path, [block(1, [batch(i, 1.0, bad=bad[i % 4]) for i in range(polls)], [SPINDLE])])
    found = vibration(tmp_path, 0, polls, points_max=300)
    by_cause = {cause: [gap for gap in found.gaps if gap.cause == cause] for cause in ("bus", "device")}
    for cause, first in (("bus", 1), ("device", 3)):
        gaps = by_cause[cause]
        assert len(gaps) <= 310
        assert (gaps[0].from_ms, gaps[-1].to_ms) == (at(first, 0, cause).from_ms, at(0, polls - 3 + first, cause).to_ms)
    assert {gap.cause for gap in found.gaps} == {"bus", "device"}


def test_numbers_that_no_double_can_add_up_have_no_mean_but_extremes(tmp_path: Path) -> None:
    stored(tmp_path, [block(1, [batch(i, 1.7e308) for i in range(100)], [SPINDLE])])
    for blocks_max in (10, -1):
        found = vibration(tmp_path, 0, 100, points_max=10, raw_blocks_max=blocks_max)
        assert set(found.high) == {1.7e308}
        assert set(found.value) == {None}


def test_many_points_become_means_between_their_extremes(tmp_path: Path) -> None:
    stored(tmp_path, [block(1, [batch(i, float(i % 10)) for i in range(1000)], [SPINDLE])])
    found = vibration(tmp_path, 0, 2000, points_max=100)
    assert len(found.value) <= 100
    assert set(found.low) == {0.0}
    assert set(found.high) == {9.0}
    assert sum(v for v in found.value if v is not None) / len(found.value) == pytest.approx(4.5)


def test_a_long_span_is_served_from_rollups_with_gaps(tmp_path: Path) -> None:
    polls = [batch(i * 30, i * 1.0, bad=Quality.BAD_DEVICE if 20 <= i < 22 else None) for i in range(100)]
    del polls[50:60]
    blocks = [block(i + 1, [one], [SPINDLE] if i == 0 else []) for i, one in enumerate(polls)]
    stored(tmp_path, blocks, at_once=30)
    assert vibration(tmp_path, 0, 3600).resolution == "raw"
    found = vibration(tmp_path, 0, 3600, raw_blocks_max=50)
    assert found.resolution == "minute"
    assert found.gaps == [
        Gap(START_MS + 600_000, START_MS + 660_000, "device"),
        Gap(START_MS + 1_500_000, START_MS + 1_800_000, "no data"),
    ]
    assert (found.low[0], found.value[0], found.high[0]) == (0.0, 0.5, 1.0)


def test_an_unknown_tag_and_an_empty_span_are_empty_not_errors(tmp_path: Path) -> None:
    stored(tmp_path, [block(1, [batch(0, 1.0)], [SPINDLE])])
    reader = Reader(tmp_path)
    asset = reader.asset("gateway-1", "spindle-1")
    assert asset is not None
    (found,) = signals(reader, asset, ["no_such_tag"], START_NS, FAR_NS, points_max=10)
    assert (found.at_ms, found.gaps) == ([], [])
    assert vibration(tmp_path, 1000, 2000).at_ms == []
    reader.close()


def by_exception(heartbeat_ms: int, period_ms: int = 1000) -> Asset:
    return replace(SPINDLE, tags=(Tag("vibration_mm_s", "mm/s", "", "vibration", 2, period_ms, heartbeat_ms),))


def test_a_value_that_did_not_change_is_held_until_the_poll_before_the_next_one(tmp_path: Path) -> None:
    told = by_exception(60_000)
    stored(tmp_path, [block(1, [batch(0, 1.0), batch(1, 2.0), batch(60, 3.0), batch(125, 4.0)], [told])])
    found = vibration(tmp_path, 0, 200)
    assert [(at - START_MS, value) for at, value in zip(found.at_ms, found.value, strict=True)] == [
        (0, 1.0), (1000, 2.0), (59_000, 2.0), (60_000, 3.0), (60_001, None), (125_000, 4.0),
    ]  # fmt: skip
    assert found.gaps == [at(60, 125, "no data")], "longer than the heartbeat: nobody says that it was the same"
    assert found.silence_ms == 63_000


def test_over_a_bad_reading_and_over_a_declared_loss_nothing_is_held(tmp_path: Path) -> None:
    polls = [batch(0, 1.0), batch(20, None, bad=Quality.BAD_DEVICE), batch(40, 2.0), batch(60, 3.0)]
    stored(tmp_path, [block(1, polls, [by_exception(60_000), loss(45, 50)])])
    found = vibration(tmp_path, 0, 200)
    assert [(at - START_MS, value) for at, value in zip(found.at_ms, found.value, strict=True)] == [
        (0, 1.0), (19_000, 1.0), (20_000, None), (39_000, None), (40_000, 2.0), (40_001, None), (60_000, 3.0),
    ]  # fmt: skip
    assert found.gaps == [at(20, 21, "device"), at(40, 45, "no data"), at(45, 51, "disk"), at(51, 60, "no data")]


def test_a_signal_of_a_longer_period_than_its_assets_has_no_holes_between_its_readings(tmp_path: Path) -> None:
    stored(tmp_path, [block(1, [batch(10 * i, 1.0) for i in range(5)], [by_exception(0, period_ms=10_000)])])
    found = vibration(tmp_path, 0, 100)
    assert (found.gaps, found.value) == ([], [1.0] * 5)


def test_in_minutes_a_heartbeat_of_some_minutes_is_no_hole(tmp_path: Path) -> None:
    told = by_exception(300_000)
    stored(tmp_path, [block(1, [batch(0, 1.0), batch(290, 1.0), batch(1000, 1.0)], [told])])
    found = vibration(tmp_path, 0, 2000, raw_blocks_max=0)
    assert found.resolution == "minute"
    assert [gap.cause for gap in found.gaps] == ["no data"]
    assert found.gaps[0].from_ms == START_MS + 300_000
