"""A process that is killed for real: what it polled is durable or declared, to the reading."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge.contract.types import Ack, Cause, Dropped, LedgerRow, Quality
from edge.journal import read_ledger, totals
from edge.journal.journal import BOOT_ID
from tests.laws.journals import TAGS, BentClock, files_open, good_readings, killed, opened, opened_block, poll
from tests.seeds import fresh_seed
from tests.waiting import DEADLINE_S

ROOT = Path(__file__).resolve().parents[3]

# Polls as fast as it can and commits every 40th; tells each step on a pipe *before* the journal hears of it, as the
# machine that serves a reading knows of it first.
CHILD = """
import os, sys
from pathlib import Path
from edge.contract.types import Quality
from tests.laws.journals import BentClock, TAGS, batch, opened

folder, told = Path(sys.argv[1]), int(sys.argv[2])
clock = BentClock()
journal = opened(folder, clock)
bad = (Quality.GOOD, Quality.BAD_DEVICE, Quality.GOOD)
for number in range(1, 1_000_000):
    clock.pass_s(0.01)
    journal.offer("spindle-1", TAGS)
    os.write(told, b"." if number % 7 else b"!")
    journal.append(batch(clock, number, bad if number % 7 == 0 else (Quality.GOOD,) * 3))
    if number % 40 == 0:
        journal.commit()
"""


def served_until_killed(folder: Path, after: int) -> str:
    """Run the child, kill it once it told of ``after`` polls, return all that it told."""
    reader, writer = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(writer)], cwd=ROOT, pass_fds=(writer,)
    ) as child:
        os.close(writer)
        told = b""
        while len(told) < after:
            assert select.select([reader], [], [], DEADLINE_S)[0], "the child polls no more"
            part = os.read(reader, 65536)
            assert part, "the child ended by itself"
            told += part
        child.send_signal(signal.SIGKILL)
        child.wait(DEADLINE_S)
        while part := os.read(reader, 65536):
            told += part
    os.close(reader)
    return told.decode()


def test_sigkill_at_random_instants_is_counted_to_the_reading(tmp_path: Path) -> None:
    chance = random.Random(fresh_seed())
    served, kills = "", 4
    for _ in range(kills):
        served += served_until_killed(tmp_path, after=chance.randrange(1, 400))
    journal = opened(tmp_path, BentClock())
    rows = journal.ledger()
    assert all(row.balanced for row in rows)
    blocks = journal.pending(limit_bytes=10**9)
    found, sums = good_readings(blocks), {tag: [r for r in rows if r.tag == tag] for tag in TAGS}
    for tag in TAGS:
        good = len(served) - (served.count("!") if tag == TAGS[1] else 0)
        lost = sum(row.dropped_power for row in sums[tag])
        # A poll that was told of and then killed before its answer came in is declared whatever it would have been;
        # one that was killed between its offer and its telling is declared too: at most one a kill.
        assert 0 <= found[tag] + lost - good <= kills
        assert 0 <= sum(row.offered for row in sums[tag]) - len(served) <= kills
        assert found[tag] == sum(row.pending for row in sums[tag])
    told = [r for block in blocks for r in opened_block(block).records if isinstance(r, Dropped)]
    assert sum(d.count for d in told) == totals(rows)["dropped_power"]
    assert {d.cause for d in told} <= {Cause.POWER}
    journal.close()


def test_a_poll_in_flight_at_a_kill_is_declared(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    poll(journal, clock, 1)
    journal.commit()
    journal.offer("spindle-1", TAGS)
    killed(journal)
    sums = totals(opened(tmp_path, clock).ledger())
    assert (sums["offered"], sums["pending"], sums["dropped_power"]) == (6, 3, 3)


def test_a_poll_that_nobody_waits_for_at_a_clean_end_is_unanswered(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    journal.offer("spindle-1", TAGS)
    journal.close()
    sums = totals(read_ledger(tmp_path / "store.db"))
    assert (sums["offered"], sums["bad_bus"], sums["dropped"]) == (3, 3, 0)


def test_a_crash_counts_bad_readings_by_their_cause(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    poll(journal, clock, 1, (Quality.BAD_BUS, Quality.BAD_DECODE, Quality.UNCERTAIN))
    killed(journal)
    sums = totals(opened(tmp_path, clock).ledger())
    assert (sums["bad_bus"], sums["bad_decode"], sums["dropped_power"]) == (1, 1, 1)


def test_what_a_crash_took_is_declared_once_and_with_its_times(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    poll(journal, clock, 1)
    journal.commit()
    committed_ns = clock.wall_ns()
    clock.pass_s(0.5)
    poll(journal, clock, 2)
    lost_ns = clock.wall_ns()
    killed(journal)
    clock.pass_s(60)
    again = opened(tmp_path, clock)
    told = [r for b in again.pending(limit_bytes=10**6) for r in opened_block(b).records]
    assert [r for r in told if isinstance(r, Dropped)] == [
        Dropped("spindle-1", tag, Cause.POWER, 1, committed_ns, lost_ns) for tag in TAGS
    ]
    assert [r.dropped_power for r in told if isinstance(r, LedgerRow)] == [1, 1, 1]
    killed(again)
    assert totals(opened(tmp_path, clock).ledger())["dropped"] == 3


@pytest.mark.parametrize("harm", ["missing", "cut", "flipped", "foreign"])
def test_a_recorder_that_cannot_be_believed_leaves_the_gap_declared_by_its_times(tmp_path: Path, harm: str) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    poll(journal, clock, 1)
    journal.commit()
    committed_ns = clock.wall_ns()
    poll(journal, clock, 2)
    killed(journal)
    recorder = tmp_path / "store.db.recorder"
    data = recorder.read_bytes()
    if harm == "missing":
        recorder.unlink()
    elif harm == "cut":
        recorder.write_bytes(data[:50])
    elif harm == "flipped":
        recorder.write_bytes(data[:9] + bytes([data[9] ^ 1]) + data[10:])
    else:
        other = tmp_path / "other"
        other.mkdir()
        opened(other, clock).close()
        recorder.write_bytes((other / "store.db.recorder").read_bytes())
    clock.pass_s(5)
    again = opened(tmp_path, clock)
    assert all(row.balanced for row in again.ledger())
    told = [r for b in again.pending(limit_bytes=10**6) for r in opened_block(b).records if isinstance(r, Dropped)]
    assert told == [Dropped("spindle-1", tag, Cause.POWER, 0, committed_ns, clock.wall_ns()) for tag in TAGS]


@pytest.mark.parametrize("written_back", ["before the first poll", "after the first poll"])
def test_after_another_boot_the_recorder_is_a_lower_bound(tmp_path: Path, written_back: str) -> None:
    """A power cut: the file may be older than the last commit, so what it does not know is declared by time."""
    clock, recorder = BentClock(), tmp_path / "store.db.recorder"
    journal = opened(tmp_path, clock)
    stale = recorder.read_bytes()
    for number in (1, 2, 3):
        poll(journal, clock, number)
        journal.commit()
        if number == 1 and written_back == "after the first poll":
            stale = recorder.read_bytes()
    killed(journal)
    recorder.write_bytes(stale)
    again = opened(tmp_path, clock, boot="f" * 32)
    rows = again.ledger()
    assert all(row.balanced for row in rows)
    assert totals(rows)["offered"] == 9
    newest = again.pending(limit_bytes=10**6)[-1]
    gaps = [r for r in opened_block(newest).records if isinstance(r, Dropped)]
    assert {(d.tag, d.count, d.cause) for d in gaps} == {(tag, 0, Cause.POWER) for tag in TAGS}


@pytest.mark.parametrize(("clock_s", "gap_s"), [(60.0, 60.0), (-3600.0, 10.0)])
def test_after_a_power_cut_the_gap_reaches_past_the_last_poll_even_where_the_recorder_is_stale(
    tmp_path: Path, clock_s: float, gap_s: float
) -> None:
    """The recorder knows of the third poll and not of the fourth; the clock has gone on, or has no battery."""
    clock, recorder = BentClock(), tmp_path / "store.db.recorder"
    journal = opened(tmp_path, clock)
    poll(journal, clock, 1)
    journal.commit()
    committed_ns = clock.wall_ns()
    clock.pass_s(0.5)
    poll(journal, clock, 3)
    stale = recorder.read_bytes()
    clock.pass_s(0.4)
    poll(journal, clock, 4)
    killed(journal)
    recorder.write_bytes(stale)
    again = opened(tmp_path, BentClock(committed_ns + int(clock_s * 1e9)), boot="f" * 32)
    gaps = [r for b in again.pending(limit_bytes=10**6) for r in opened_block(b).records if isinstance(r, Dropped)]
    to_ns = committed_ns + int(gap_s * 1e9)
    assert gaps == [Dropped("spindle-1", tag, Cause.POWER, 1, committed_ns, to_ns) for tag in TAGS]
    assert all(row.balanced for row in again.ledger())


@pytest.mark.parametrize("idle_h", [1, 24 * 7])
def test_a_start_that_is_cut_off_before_its_first_commit_is_declared_whatever_hour_it_was(
    tmp_path: Path, idle_h: int
) -> None:
    """The store knows what was polled before, not in this hour; the recorder was not written back."""
    clock, recorder = BentClock(), tmp_path / "store.db.recorder"
    journal = opened(tmp_path, clock)
    poll(journal, clock, 1)
    journal.commit()
    journal.close()
    clock.pass_s(3600.0 * idle_h)
    journal, opened_ns = opened(tmp_path, clock, boot="e" * 32), clock.wall_ns()
    clock.pass_s(0.5)
    poll(journal, clock, 2)
    killed(journal)
    recorder.write_bytes(b"")
    clock.pass_s(60.0)
    again = opened(tmp_path, clock, boot="f" * 32)
    gaps = [r for b in again.pending(limit_bytes=10**6) for r in opened_block(b).records if isinstance(r, Dropped)]
    assert gaps == [Dropped("spindle-1", tag, Cause.POWER, 0, opened_ns, clock.wall_ns()) for tag in TAGS]


def test_a_refused_block_and_its_declaration_change_places_in_one_transaction(tmp_path: Path) -> None:
    """A power cut right after the answer must not take both; what the refused one itself declared goes up again."""
    clock = BentClock()
    journal = opened(tmp_path, clock)
    journal.declare(Dropped("spindle-1", TAGS[0], Cause.CLOCK, 5, clock.wall_ns(), clock.wall_ns()))
    poll(journal, clock, 1)
    journal.commit()
    refused = next(b for b in journal.pending(limit_bytes=10**6) if b.readings)
    journal.acknowledge(Ack(journal.epoch, 0, (), ((refused.seq, "cannot be read"),)))
    killed(journal)
    again = opened(tmp_path, clock, boot="f" * 32)
    told = [r for b in again.pending(limit_bytes=10**6) for r in opened_block(b).records if isinstance(r, Dropped)]
    known = [(d.tag, d.cause, d.count) for d in told if d.cause is not Cause.POWER]
    assert sorted(known) == sorted([(TAGS[0], Cause.CLOCK, 5), *[(tag, Cause.DECODE, 1) for tag in TAGS]])


def test_the_machine_names_its_boot() -> None:
    assert len(BOOT_ID.read_text().strip()) == 36


def test_opening_and_closing_leaves_no_file_open(tmp_path: Path) -> None:
    for _ in range(3):
        journal = opened(tmp_path, BentClock())
        assert files_open(tmp_path)
        journal.close()
        del journal  # The recorder is mapped for as long as anybody may count in it.
        assert files_open(tmp_path) == []
