"""What the receiver is told of the ledger, whatever happens in between; what becomes of rows that are old."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge.contract.types import (
    Ack,
    Alarm,
    AlarmState,
    Asset,
    Batch,
    Cause,
    ClockSet,
    Dropped,
    Lane,
    LedgerRow,
    Priority,
    Quality,
    Record,
    Tag,
    Urgency,
    Verdict,
    Waveform,
)
from edge.journal import Limits, SqliteJournal, read_ledger, read_summary, totals
from edge.journal.intake import RECORDS_MAX, SAMPLE_BYTES_MAX
from edge.journal.ledger import REPORT_ROWS_MAX
from edge.ports import StoredBlock
from tests.laws.journals import BOOT, START_NS, TAGS, BentClock, killed, opened, opened_block, poll

HOUR_NS = 3600 * 10**9


def all_pending(journal: SqliteJournal) -> list[StoredBlock]:
    return journal.pending(limit_bytes=10**9)


def told(blocks: list[StoredBlock]) -> dict[tuple[str, int], LedgerRow]:
    """The last row of each tag and hour."""
    ordered = sorted(blocks, key=lambda block: block.seq)
    rows = [r for block in ordered for r in opened_block(block).records if isinstance(r, LedgerRow)]
    return {(row.tag, row.hour_ns): row for row in rows}


def hours_polled(journal: SqliteJournal, clock: BentClock, hours: int) -> None:
    for number in range(hours):
        poll(journal, clock, number)
        journal.commit()
        clock.pass_s(3600)


def settled(journal: SqliteJournal) -> None:
    while blocks := journal.pending(limit_bytes=10**6):
        journal.acknowledge(Ack(journal.epoch, through=0, also=tuple(b.seq for b in blocks)))


def snapshot(samples: int, number: int = 0) -> Waveform:
    return Waveform("spindle-1", TAGS[0], "mm/s", START_NS + number, 0, True, 25600.0, np.zeros(samples, np.float32))


def test_a_loss_in_an_old_hour_is_told_even_after_a_crash_before_the_next_report(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock, limits=Limits(report_interval_s=3600.0))
    hours_polled(journal, clock, 3)
    journal.report()
    journal.commit()
    blocks = all_pending(journal)
    first = next(b for b in blocks if b.readings)
    journal.acknowledge(Ack(journal.epoch, 0, refused=((first.seq, "cannot be read"),)))
    killed(journal)
    clock.pass_s(30 * 24 * 3600)
    again = opened(tmp_path, clock)
    again.commit()
    kept_ns = START_NS - START_NS % HOUR_NS
    rows = told([b for b in all_pending(again) if b.seq not in {old.seq for old in blocks}])
    assert [rows[tag, kept_ns].dropped_decode for tag in TAGS] == [1, 1, 1]
    again.close()


def test_rows_in_a_block_that_is_lost_are_told_again(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    poll(journal, clock, 1)
    journal.commit()
    clock.pass_s(3600)
    journal.commit()
    poll(journal, clock, 2)
    journal.report()
    journal.commit()
    assert len(told(all_pending(journal))) == 6
    teller = next(b for b in all_pending(journal) if told([b]) and b.readings == 3)
    journal._connection.execute("UPDATE block SET data = zeroblob(200) WHERE seq = ?", (teller.seq,))
    assert teller.seq not in {b.seq for b in all_pending(journal)}
    journal.report()
    journal.commit()
    killed(journal)
    again = opened(tmp_path, clock)
    rows = {(row.tag, row.hour_ns): row for row in again.ledger()}
    assert {key: row.kept for key, row in told(all_pending(again)).items()} == {k: r.kept for k, r in rows.items()}
    again.close()


def test_many_old_rows_are_told_a_bounded_number_at_a_time_the_newest_hour_first(tmp_path: Path) -> None:
    clock, hours = BentClock(), 60
    tags = tuple(f"tag_{number}" for number in range(100))
    journal = opened(tmp_path, clock, limits=Limits(report_interval_s=1e9))
    journal.commit()
    for _ in range(hours):
        clock.pass_s(3600)
        journal.offer("wide", tags)
        now_ns = clock.wall_ns()
        journal.append(Batch("wide", tags, (1,) * 100, (Quality.GOOD,) * 100, (now_ns,) * 100, now_ns, 0))
        journal.commit()
    before = journal.last_seq
    journal.report()
    sizes = []
    for _ in range(3):
        journal.commit()
        rows = told([b for b in all_pending(journal) if b.seq > before])
        sizes.append(len(rows))
        assert max(hour_ns for _, hour_ns in rows) == now_ns - now_ns % HOUR_NS
    assert REPORT_ROWS_MAX <= sizes[0] < 100 * hours
    assert sizes[1:] == [100 * hours] * 2
    journal.close()


def test_what_was_told_and_settled_long_ago_is_folded_and_still_counts(tmp_path: Path) -> None:
    clock = BentClock()
    limits = Limits(ledger_bytes_max=2000, report_interval_s=10.0)
    journal = opened(tmp_path, clock, limits=limits)
    hours_polled(journal, clock, 100)
    hours = {row.hour_ns for row in journal.ledger()}
    before = totals(journal.ledger())
    assert len(hours) == 100, "what waits is not folded"
    settled(journal)
    for _ in range(5):
        clock.pass_s(24 * 3600)
        journal.commit()
        poll(journal, clock, 1)
        journal.commit()
        settled(journal)
    rows = journal.ledger()
    assert len({row.hour_ns for row in rows}) < 50
    assert all(row.balanced for row in rows)
    assert rows[0].hour_ns == min(hours), "the sums stand under the first of the hours that they are of"
    sums = totals(rows)
    assert sums["offered"] == before["offered"] + 5 * 3 == sums["acknowledged"]
    assert journal.totals() == sums
    journal.close()
    assert totals(read_ledger(tmp_path / "store.db")) == sums
    again = opened(tmp_path, clock, limits=limits)
    assert again.totals() == sums
    again.close()


def test_hours_that_a_clock_without_a_battery_counts_again_and_again_are_not_the_first_to_fold(tmp_path: Path) -> None:
    clock, limits = BentClock(wall_ns=0), Limits(ledger_bytes_max=2000)
    journal = opened(tmp_path, clock, limits=limits)
    for number in range(80):
        clock._wall_ns = START_NS + number * HOUR_NS
        poll(journal, clock, number)
        clock._wall_ns = 60 * 10**9
        poll(journal, clock, number)
        journal.commit()
        settled(journal)
        clock.pass_s(0.01)
        clock._mono_ns += 24 * HOUR_NS
    rows = {row.hour_ns: row for row in journal.ledger() if row.tag == TAGS[0]}
    assert 1 < len(rows) < 60
    assert rows[0].offered == 80
    journal.close()


def test_records_of_a_dropped_block_go_up_again_or_are_counted(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    asset = Asset("spindle-1", "Spindle", "cnc_spindle", (Tag(TAGS[0], "mm/s", "Vibration", "vibration", 2),), 1000, 1)
    alarm = Alarm("spindle-1", "hot", TAGS[0], Priority.HIGH, AlarmState.UNACKNOWLEDGED, 1, 2, 1.0, "Too hot.")
    clock_set = ClockSet(BOOT, 5, 6, 7)
    loss = Dropped("spindle-1", TAGS[0], Cause.CLOCK, 5, START_NS, START_NS)
    verdict = Verdict("spindle-1", 1, "", None, 0.0, False, None, None, None, Urgency.UNKNOWN, (), 1.0)
    records: list[Record] = [asset, alarm, clock_set, verdict, snapshot(10)]
    for record in records:
        journal.record(record)
    journal.record(alarm, lane=Lane.URGENT)
    journal.declare(loss)
    journal.commit()
    before = {b.seq for b in all_pending(journal)}
    journal._stock.drop(before, Cause.CAP)
    journal.commit()
    journal.commit()
    blocks = all_pending(journal)
    assert not before & {b.seq for b in blocks}
    found = [r for b in blocks for r in opened_block(b).records if not isinstance(r, LedgerRow)]
    assert [r for b in blocks if b.lane is Lane.URGENT for r in opened_block(b).records] == [alarm]
    assert {asset, alarm, clock_set, loss} == set(found)
    assert journal.losses().records == 2
    journal.close()
    assert read_summary(tmp_path / "store.db").losses.records == 2


def test_snapshots_wait_in_bounded_memory(tmp_path: Path) -> None:
    journal = opened(tmp_path, BentClock())
    size = snapshot(500_000).samples.nbytes
    fit = SAMPLE_BYTES_MAX // size
    alarm = Alarm("spindle-1", "hot", TAGS[0], Priority.HIGH, AlarmState.UNACKNOWLEDGED, 1, 2, 1.0, "Too hot.")
    journal.record(alarm)
    for number in range(fit + 5):
        journal.record(snapshot(500_000, number))
    journal.commit()
    found = [r for b in all_pending(journal) for r in opened_block(b).records]
    assert [r.at_ns - START_NS for r in found if isinstance(r, Waveform)] == list(range(5, fit + 5))
    assert alarm in found
    assert journal.losses().records == 5
    journal.close()


def test_so_do_all_other_records(tmp_path: Path) -> None:
    journal = opened(tmp_path, BentClock())
    for number in range(RECORDS_MAX + 3):
        journal.record(ClockSet(BOOT, number, 0, 0))
    journal.commit()
    found = [r.offset_ns for b in all_pending(journal) for r in opened_block(b).records if isinstance(r, ClockSet)]
    assert found == list(range(3, RECORDS_MAX + 3))
    assert journal.losses().records == 3
    journal.close()
