"""Retention: raw blocks and minutes go, hours and the counts stay, and rebuilding does not destroy what is left."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from cloud.store.reader import Reader
from cloud.store.rebuild import rebuild
from cloud.store.retention import Retention
from cloud.store.writer import Delivery, Seen, Writer
from edge.contract.block import decode_block
from edge.contract.types import Cause, Dropped, Record
from tests.rooms.cloud.sending import EPOCH, GATEWAY, SECOND_NS, SPINDLE, START_NS, batch, block
from tests.rooms.cloud.test_store import assert_same, tables

HOUR_S = 3600
APART_S, BLOCKS = 6 * HOUR_S, 160
DAY_NS = 86_400 * SECOND_NS
TAGS = ("vibration_mm_s", "bearing_temperature_c", "running")


def month(folder: Path, policy: Retention) -> Writer:
    """A block with four polls every six hours, for forty days, received as they were read."""
    writer = Writer(folder, policy=policy)
    deliveries = []
    lost = Dropped("spindle-1", "vibration_mm_s", Cause.POWER, 3, START_NS, START_NS + 9)
    for seq in range(1, BLOCKS + 1):
        batches = [batch(seq * APART_S + part * 900, seq + part / 10) for part in range(4)]
        records: list[Record] = [SPINDLE, lost] if seq % 80 == 1 else []
        data = block(seq, batches, records)
        seen = Seen(START_NS + seq * APART_S * SECOND_NS)
        deliveries.append(Delivery(GATEWAY, EPOCH, [(data, decode_block(data))], seen))
    writer.commit(deliveries)
    return writer


def tidied(writer: Writer, *, days: int = 41) -> None:
    while writer.tidy(START_NS + days * DAY_NS):
        pass


def asked(folder: Path, sql: str) -> Any:
    connection = sqlite3.connect(folder / "cloud.sqlite3")
    try:
        return connection.execute(sql).fetchone()
    finally:
        connection.close()


def test_everything_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    writer = month(tmp_path, Retention())
    tidied(writer, days=4000)
    writer.close()
    assert asked(tmp_path, "SELECT count(*), min(seq) FROM block") == (BLOCKS, 1)


def test_old_blocks_and_minutes_go_hours_stay_and_rebuilding_keeps_them(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    month(whole, Retention()).close()
    folder = tmp_path / "short"
    writer = month(folder, Retention(raw_days=10, minutes_days=20))
    tidied(writer)
    writer.close()
    blocks, oldest, first_minute = asked(
        folder, "SELECT count(*), min(received_ns), (SELECT min(start_s) FROM minute) FROM block"
    )
    assert blocks < 10 * 4
    assert oldest >= START_NS + 31 * DAY_NS
    assert first_minute >= START_NS // SECOND_NS + 21 * 86_400 - APART_S
    assert asked(folder, "SELECT blocks, blocks - removed_blocks FROM stream") == (BLOCKS, blocks)
    before = tables(folder)
    assert before["hour"] == tables(whole)["hour"]
    assert before["held"] == tables(whole)["held"]
    assert rebuild(folder) == blocks
    assert_same(tables(folder), before)


def test_a_rebuild_after_retention_repairs_the_hours_that_are_whole(tmp_path: Path) -> None:
    writer = month(tmp_path, Retention(raw_days=10))
    tidied(writer)
    writer.close()
    before = tables(tmp_path)
    connection = sqlite3.connect(tmp_path / "cloud.sqlite3")
    connection.execute("UPDATE hour SET total = 0, count = 0 WHERE start_s > ?", (START_NS // SECOND_NS + 35 * 86_400,))
    connection.execute("DELETE FROM minute WHERE start_s > ?", (START_NS // SECOND_NS + 35 * 86_400,))
    connection.commit()
    connection.close()
    assert tables(tmp_path)["hour"] != before["hour"]
    rebuild(tmp_path)
    assert_same(tables(tmp_path), before)


def test_a_late_block_is_added_to_an_hour_whose_blocks_are_gone(tmp_path: Path) -> None:
    writer = month(tmp_path, Retention(raw_days=10))
    tidied(writer)
    data = block(BLOCKS + 1, [batch(2 * APART_S + 100, 50.0)])
    writer.store(GATEWAY, EPOCH, [(data, decode_block(data))], Seen(START_NS + 41 * DAY_NS))
    writer.close()
    start_s = START_NS // SECOND_NS + 2 * APART_S
    for _ in range(2):
        reader = Reader(tmp_path)
        (row,) = reader.rollups(1, TAGS[:1], "hour", start_s, start_s)
        reader.close()
        assert (row.count, row.high) == (5, 50.0)
        rebuild(tmp_path)
