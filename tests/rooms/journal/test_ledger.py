"""What the ledger says, to whom and when; the cap; what a store weighs."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.contract.types import (
    Ack,
    Alarm,
    AlarmState,
    Asset,
    Batch,
    Cause,
    Dropped,
    Lane,
    LedgerRow,
    Priority,
    Quality,
    Record,
    Tag,
    Waveform,
)
from edge.journal import Limits, SqliteJournal, read_ledger, totals
from tests.laws.journals import START_NS, TAGS, BentClock, batch, good_readings, opened, opened_block, poll
from tests.waiting import DEADLINE_S

HOUR_NS = 3600 * 10**9


def alarm(clock: BentClock, sentence: str = "Too hot.") -> Alarm:
    now_ns = clock.wall_ns()
    return Alarm("spindle-1", "hot", TAGS[0], Priority.HIGH, AlarmState.UNACKNOWLEDGED, now_ns, now_ns, 1.0, sentence)


def snapshot(number: int, count: int) -> Waveform:
    """``2 * count`` bytes that do not compress."""
    samples = np.random.default_rng(number).integers(-30000, 30000, count, np.int16)
    return Waveform("spindle-1", TAGS[0], "mm/s", START_NS, 0, True, 25600.0, samples)


def sent_records(journal: SqliteJournal) -> list[Record]:
    return [r for b in journal.pending(limit_bytes=10**9) for r in opened_block(b).records]


def drained(journal: SqliteJournal) -> None:
    while blocks := journal.pending(limit_bytes=10**6):
        journal.acknowledge(Ack(journal.epoch, through=blocks[-1].seq, also=tuple(b.seq for b in blocks)))


def test_each_tag_and_hour_has_its_row(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    first_ns = clock.wall_ns() - clock.wall_ns() % HOUR_NS
    poll(journal, clock, 1)
    clock.pass_s(3600)
    poll(journal, clock, 2, (Quality.BAD_BUS, Quality.UNCERTAIN, Quality.BAD_DEVICE))
    journal.commit()
    assert journal.ledger() == [
        LedgerRow("spindle-1", "running", first_ns, offered=1, kept=1, pending=1),
        LedgerRow("spindle-1", "speed_rpm", first_ns, offered=1, kept=1, pending=1),
        LedgerRow("spindle-1", "vibration_mm_s", first_ns, offered=1, kept=1, pending=1),
        LedgerRow("spindle-1", "running", first_ns + HOUR_NS, offered=1, bad_device=1),
        LedgerRow("spindle-1", "speed_rpm", first_ns + HOUR_NS, offered=1, kept=1, pending=1),
        LedgerRow("spindle-1", "vibration_mm_s", first_ns + HOUR_NS, offered=1, bad_bus=1),
    ]


def test_what_no_commit_has_taken_is_counted_but_read_by_nobody_else(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    poll(journal, clock, 1)
    assert totals(journal.ledger())["pending"] == 3
    assert read_ledger(tmp_path / "store.db") == []
    assert journal.pending(limit_bytes=10**6) == []
    assert journal.backlog() == (0, 0)
    assert journal.commit() == 3
    assert read_ledger(tmp_path / "store.db") == journal.ledger()
    assert journal.backlog() == (1, 3)


def test_reading_the_ledger_of_a_running_gateway_disturbs_nothing(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    for number in range(20):
        poll(journal, clock, number)
        assert journal.commit() == 3
        assert totals(read_ledger(tmp_path / "store.db"))["pending"] == 3 * (number + 1)
    journal.close()
    assert totals(read_ledger(tmp_path / "store.db"))["pending"] == 60


def test_the_sums_name_everything_that_a_row_counts() -> None:
    rows = [
        LedgerRow("a", "t", 0, offered=10, bad_bus=1, bad_device=2, kept=7, acknowledged=3, pending=1, dropped_cap=3),
        LedgerRow("a", "u", 0, offered=5, kept=5, thinned=1, dropped_disk=2, acknowledged=2),
    ]
    sums = totals(rows)
    assert (sums["offered"], sums["good"], sums["bad"], sums["kept"], sums["dropped"]) == (15, 12, 3, 12, 5)
    assert (sums["acknowledged"], sums["pending"], sums["thinned"], sums["unchanged"]) == (5, 1, 1, 0)
    assert (sums["bad_bus"], sums["bad_device"], sums["dropped_cap"], sums["dropped_disk"]) == (1, 2, 3, 2)


def test_rows_go_up_when_they_are_due_with_all_that_went_before(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock, limits=Limits(report_interval_s=10.0))
    for number in range(25):
        clock.pass_s(1)
        poll(journal, clock, number)
        journal.commit()
    speed = [
        (b.seq, r.offered)
        for b in journal.pending(limit_bytes=10**9)
        for r in opened_block(b).records
        if isinstance(r, LedgerRow) and r.tag == "speed_rpm"
    ]
    assert speed == [(10, 10), (20, 20)], "a row counts what its own block holds"
    journal.report()
    journal.commit()
    rows = [r for r in sent_records(journal) if isinstance(r, LedgerRow) and r.tag == "speed_rpm"]
    assert (rows[-1].offered, rows[-1].kept, rows[-1].acknowledged, rows[-1].pending) == (25, 25, 0, 0)
    backlog = journal.backlog()
    journal.report()
    assert journal.commit() == 0
    assert journal.backlog() == backlog, "nothing changed, so nothing is said"
    journal.close()


def test_the_last_rows_go_into_the_last_block(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    poll(journal, clock, 1)
    journal.close()
    again = opened(tmp_path, clock)
    assert {r.offered for r in sent_records(again) if isinstance(r, LedgerRow)} == {1}


def test_urgent_records_have_blocks_of_their_own_and_go_first(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    poll(journal, clock, 1)
    journal.commit()
    poll(journal, clock, 2)
    journal.record(alarm(clock), lane=Lane.URGENT)
    journal.commit()
    blocks = journal.pending(limit_bytes=10**6)
    assert [(b.lane, b.readings) for b in blocks] == [(Lane.URGENT, 0), (Lane.TELEMETRY, 3), (Lane.TELEMETRY, 3)]
    assert opened_block(blocks[0]).records == (alarm(clock),)
    assert [b.lane for b in journal.pending(limit_bytes=1)] == [Lane.URGENT]


def test_over_the_cap_telemetry_is_thinned_then_the_oldest_is_dropped_and_both_are_declared(tmp_path: Path) -> None:
    clock = BentClock()
    cap = 120_000
    journal = opened(tmp_path, clock, limits=Limits(store_bytes_max=cap))
    asset = Asset("spindle-1", "Spindle", "cnc_spindle", (Tag(TAGS[0], "mm/s", "Vibration", "vibration", 2),), 1000, 1)
    journal.record(asset)
    journal.record(alarm(clock), lane=Lane.URGENT)
    for number in range(160):
        clock.pass_s(1)
        for _ in range(10):
            poll(journal, clock, number)
        journal.record(snapshot(number, count=300))
        journal.commit()
        assert (tmp_path / "store.db").stat().st_size <= cap + 16 * 1024
    rows = journal.ledger()
    assert all(row.balanced for row in rows)
    sums = totals(rows)
    blocks = journal.pending(limit_bytes=10**9)
    assert blocks[0].lane is Lane.URGENT
    assert sum(good_readings(blocks).values()) == sums["pending"]
    assert sums["thinned"] > 0
    assert 0 < sums["dropped_cap"] == sums["offered"] - sums["pending"] - sums["thinned"]
    kept_from_ns = min(one.read_ns for b in blocks for one in opened_block(b).batches())
    told = [r for r in sent_records(journal) if isinstance(r, Dropped)]
    assert sum(d.count for d in told) == sums["dropped_cap"], "declarations outlive the blocks that carried them"
    assert {d.cause for d in told} == {Cause.CAP}
    assert max(d.to_ns for d in told) < kept_from_ns
    assert asset in sent_records(journal), "a name that was never sent outlives its block"
    waveforms = sum(isinstance(r, Waveform) for r in sent_records(journal))
    assert journal.losses().records == 160 - waveforms > 0, "a snapshot does not, and is counted"


def test_what_is_on_its_way_is_not_the_first_to_be_dropped(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock, limits=Limits(store_bytes_max=150_000))
    for number in range(5):
        poll(journal, clock, number)
        journal.commit()
    on_its_way = journal.pending(limit_bytes=10**6)
    for number in range(250):
        journal.record(alarm(clock, f"{number} " + "".join(map(str, range(400 + number)))))
        poll(journal, clock, number)
        journal.commit()
    assert totals(journal.ledger())["dropped_cap"] > 0
    journal.acknowledge(Ack(journal.epoch, through=on_its_way[-1].seq))
    assert totals(journal.ledger())["acknowledged"] == 15


def test_the_file_is_small_again_after_a_drain(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    for number in range(250):
        clock.pass_s(1)
        poll(journal, clock, number)
        journal.record(alarm(clock, "".join(str((number * 7919 + i) % 9973) for i in range(1500))))
        journal.commit()
    full = sum(p.stat().st_size for p in tmp_path.glob("store.db*"))
    drained(journal)
    for _ in range(3):
        poll(journal, clock, 1)
        journal.commit()
        drained(journal)
    journal.close()
    assert (tmp_path / "store.db").stat().st_size < full / 4


def test_a_thousand_tags_at_ten_hertz_weigh_little(tmp_path: Path) -> None:
    """A bound, not the benchmark: at one commit a second the ledger and the accounts must not outweigh the readings."""
    clock = BentClock()
    tags = tuple(f"tag_{i}" for i in range(100))
    journal = opened(tmp_path, clock)
    for second in range(20):
        for tenth in range(10):
            clock.pass_s(0.1)
            for machine in range(5):
                asset, now_ns = f"machine-{machine}", clock.wall_ns()
                journal.offer(asset, tags)
                values = tuple((second * 10 + tenth + i) * 7919 % 997 / 4 for i in range(100))
                good = (Quality.GOOD,) * 100
                journal.append(Batch(asset, tags, values, good, (now_ns,) * 100, now_ns, clock.mono_ns()))
        journal.commit()
    connection = sqlite3.connect(f"file:{tmp_path / 'store.db'}?mode=ro", uri=True)
    (data,) = connection.execute("SELECT sum(size) FROM block").fetchone()
    (other,) = connection.execute("SELECT sum(length(account)) FROM block").fetchone()
    (ledger,) = connection.execute("SELECT sum(length(counts)) FROM ledger").fetchone()
    connection.close()
    assert other + ledger < data / 4
    journal.close()


def test_a_loop_that_appends_and_a_thread_that_commits_lose_nothing_between_them(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    done = threading.Event()
    durable = []

    def commit() -> None:
        while not done.is_set():
            durable.append(journal.commit())
            drained(journal)

    worker = threading.Thread(target=commit)
    worker.start()
    for number in range(3000):
        poll(journal, clock, number)
        if number % 500 == 0:
            assert all(row.balanced for row in journal.ledger())
    done.set()
    worker.join(DEADLINE_S)
    durable.append(journal.commit())
    drained(journal)
    sums = totals(journal.ledger())
    assert sum(durable) == sums["offered"] == sums["acknowledged"] == 9000
    journal.close()


def test_an_answer_to_a_poll_that_was_never_offered_is_a_broken_invariant(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    with pytest.raises(AssertionError, match="never offered"):
        journal.append(batch(clock, 1))


def test_a_poll_too_large_for_any_block_is_declared(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    poll(journal, clock, 1)
    one = batch(clock, 2)
    journal.offer(one.asset, one.tags)
    journal.append(replace(one, values=("x" * 40_000_000, 1, True)))
    poll(journal, clock, 3)
    journal.commit()
    journal.commit()
    rows = journal.ledger()
    assert all(row.balanced for row in rows)
    assert (totals(rows)["pending"], totals(rows)["dropped_decode"]) == (6, 3)
    assert [b.seq for b in journal.pending(limit_bytes=10**6)] == [1, 2, 3]


def test_more_records_than_a_block_holds_fill_several(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    for number in range(5000):
        journal.record(alarm(clock, str(number)))
    journal.commit()
    assert [r.sentence for r in sent_records(journal) if isinstance(r, Alarm)] == [str(n) for n in range(5000)]
