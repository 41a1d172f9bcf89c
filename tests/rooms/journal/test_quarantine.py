"""Bytes that the disk altered, in a block, in its names, in the WAL, in the database: what was lost is declared."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from edge.contract.types import Ack, Cause, ClockSet, Dropped
from edge.errors import StoreError
from edge.journal import SqliteJournal, read_ledger, read_summary, totals
from edge.journal.blocks import QUARANTINED_MAX
from tests.laws.journals import GOOD, TAGS, BentClock, batch, good_readings, killed, opened, opened_block, poll
from tests.seeds import fresh_seed

WAL_HEADER, WAL_FRAME_HEADER = 32, 24
INDEX = "sqlite_autoindex_scan_group_1"


def filled(folder: Path, clock: BentClock, commits: int) -> SqliteJournal:
    journal = opened(folder, clock)
    for number in range(commits):
        clock.pass_s(1)
        poll(journal, clock, number)
        journal.commit()
    return journal


def declared(journal: SqliteJournal) -> list[Dropped]:
    blocks = journal.pending(limit_bytes=10**9)
    return [r for block in blocks for r in opened_block(block).records if isinstance(r, Dropped)]


def edit(path: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(path) as store:
        store.execute(statement, values)
    store.close()


def test_the_bytes_of_an_altered_block_are_set_aside_and_counted(tmp_path: Path) -> None:
    clock, path = BentClock(), tmp_path / "store.db"
    filled(tmp_path, clock, 5).close()
    with sqlite3.connect(path) as store:
        (data,) = store.execute("SELECT data FROM block WHERE seq = 2").fetchone()
    store.close()
    altered = data[:-20] + bytes([data[-20] ^ 4]) + data[-19:]
    edit(path, "UPDATE block SET data = ? WHERE seq = 2", altered)
    journal = opened(tmp_path, clock)
    assert 2 not in {block.seq for block in journal.waiting(limit_bytes=10**9, until=10)}
    journal.commit()
    assert {(d.tag, d.cause, d.count) for d in declared(journal)} == {(tag, Cause.DECODE, 1) for tag in TAGS}
    assert totals(journal.ledger())["dropped_decode"] == len(TAGS)
    assert journal.losses().blocks == 1
    poll(journal, clock, 6)
    assert journal.commit() == len(TAGS), "the service goes on"
    journal.close()
    summary = read_summary(path)
    assert summary.losses.blocks == 1
    (aside,) = summary.quarantined
    assert (aside.seq, aside.found_ns) == (2, clock.wall_ns())
    assert "its checksum is wrong" in aside.problem
    with sqlite3.connect(path) as store:
        assert store.execute("SELECT data FROM quarantine").fetchall() == [(altered,)]
    store.close()


def test_what_is_set_aside_is_bounded_and_what_was_is_counted(tmp_path: Path) -> None:
    clock, path, commits = BentClock(), tmp_path / "store.db", QUARANTINED_MAX + 20
    filled(tmp_path, clock, commits).close()
    edit(path, "UPDATE block SET data = zeroblob(60) WHERE readings > 0")
    journal = opened(tmp_path, clock)
    journal.pending(limit_bytes=1)
    journal.commit()
    assert all(row.balanced for row in journal.ledger())
    assert totals(journal.ledger())["dropped_decode"] == commits * len(TAGS)
    journal.close()
    summary = read_summary(path)
    assert (len(summary.quarantined), summary.losses.blocks) == (QUARANTINED_MAX, commits)
    assert summary.quarantined[-1].seq > QUARANTINED_MAX, "the newest"


def test_a_block_whose_names_were_altered_is_not_taken_for_another_machines(tmp_path: Path) -> None:
    clock, path = BentClock(), tmp_path / "store.db"
    journal = filled(tmp_path, clock, 3)
    journal.offer("pump-1", TAGS[:1])
    journal.close()
    edit(path, "UPDATE scan_group SET asset = 'spindle-9' WHERE id = 1")
    again = opened(tmp_path, clock)
    assert good_readings(again.pending(limit_bytes=10**9)) == {}
    poll(again, clock, 4)
    again.commit()
    assert totals(again.ledger())["dropped_decode"] == 3 * len(TAGS)
    assert all(row.balanced for row in again.ledger())
    (block,) = [b for b in again.pending(limit_bytes=10**9) if b.readings]
    assert {one.asset for one in opened_block(block).batches()} == {"spindle-1"}
    again.close()


@pytest.mark.parametrize(
    "harm", ["DELETE FROM scan_group WHERE id = 1", "UPDATE scan_group SET tags = '[\"a' WHERE id = 1"]
)
def test_a_store_without_one_of_its_names_is_set_aside(tmp_path: Path, harm: str) -> None:
    clock = BentClock()
    journal = filled(tmp_path, clock, 3)
    journal.offer("pump-1", TAGS[:1])
    journal.append(batch(clock, 4, GOOD[:1], asset="pump-1", tags=TAGS[:1]))
    journal.commit()
    killed(journal)
    edit(tmp_path / "store.db", harm)
    with pytest.raises(StoreError, match="set aside"):
        opened(tmp_path, clock)
    again = opened(tmp_path, clock)
    assert {(d.tag, d.cause, d.count) for d in declared(again) if d.asset == "spindle-1"} == {
        (tag, Cause.DISK, 3) for tag in TAGS
    }
    again.close()


def test_a_store_whose_index_knows_a_name_that_its_table_has_lost_is_set_aside(tmp_path: Path) -> None:
    """As after a power cut at a disk that had written one page, and not yet the others."""
    clock, path = BentClock(), tmp_path / "store.db"

    def poll_another(journal: SqliteJournal) -> None:
        journal.offer("pump-1", TAGS[:1])
        journal.append(batch(clock, 4, GOOD[:1], asset="pump-1", tags=TAGS[:1]))
        journal.commit()

    def pages() -> tuple[bytes, slice]:
        """All that is written by now, and where that index lies in it."""
        with contextlib.closing(sqlite3.connect(path)) as store:
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (size,) = store.execute("PRAGMA page_size").fetchone()
            (page,) = store.execute(f"SELECT rootpage FROM sqlite_schema WHERE name = '{INDEX}'").fetchone()
        return path.read_bytes(), slice((page - 1) * size, page * size)

    journal = filled(tmp_path, clock, 3)
    altered = bytearray(pages()[0])
    poll_another(journal)
    killed(journal)
    whole, index = pages()
    altered[index] = whole[index]
    path.write_bytes(altered)
    with pytest.raises(StoreError, match="set aside"):
        poll_another(opened(tmp_path, clock))
    again = opened(tmp_path, clock)
    poll_another(again)
    assert all(row.balanced for row in again.ledger())
    assert totals(again.ledger())["dropped_disk"] >= 3 * len(TAGS)
    again.close()


ALTERED = {
    "a count": "UPDATE ledger SET counts = replace(counts, '3', '2')",
    "an hour": "UPDATE ledger SET hour_ns = hour_ns + 3600000000000",
    "what a block holds": "UPDATE block SET account = replace(account, ',1]', ',3]') WHERE readings > 0",
    "the last number": "UPDATE store SET last_seq = 1",
    "what was handed out": "UPDATE store SET handed = replace(handed, '1', '2')",
    "the epoch": "UPDATE store SET epoch = printf('%032x', 1)",
    "the last names": "DELETE FROM scan_group WHERE id = (SELECT max(id) FROM scan_group)",
}


@pytest.mark.parametrize("harm", ALTERED)
def test_an_altered_number_is_no_number_like_any_other(tmp_path: Path, harm: str) -> None:
    """SQLite sees nothing wrong with it; the store is set aside, and what waited in it declared."""
    clock, path = BentClock(), tmp_path / "store.db"
    journal = filled(tmp_path, clock, 3)
    old_epoch = journal.epoch
    killed(journal)
    edit(path, ALTERED[harm])
    with contextlib.suppress(StoreError):
        opened(tmp_path, clock).ledger()
    again = opened(tmp_path, clock)
    sums = totals(again.ledger())
    assert again.epoch != old_epoch
    assert sums["dropped_disk"] == sums["offered"] == 3 * len(TAGS) == sum(d.count for d in declared(again))
    again.close()


@pytest.mark.parametrize(
    ("text", "altered"),
    [
        ("told INTEGER", "tole INTEGER"),
        ("lane = 0", "lane = 1"),
        ("scan_group INTEGER PRIMARY", "scan_grous INTEGER PRIMARY"),
    ],
)
def test_a_flipped_bit_in_a_tables_own_text_is_found_at_the_start(tmp_path: Path, text: str, altered: str) -> None:
    """SQLite itself would look for a column of that name, or leave rows out of that index."""
    clock, path = BentClock(), tmp_path / "store.db"
    killed(filled(tmp_path, clock, 3))
    data = path.read_bytes()
    assert data.count(text.encode()) == 1
    path.write_bytes(data.replace(text.encode(), altered.encode()))
    again = opened(tmp_path, clock)
    sums = totals(again.ledger())
    assert sums["dropped_disk"] == sums["offered"] == 3 * len(TAGS)
    again.close()


def test_what_a_refused_block_said_of_the_clock_outlives_a_kill(tmp_path: Path) -> None:
    """It is said again in the transaction that takes the block out, not a commit later."""
    clock = BentClock()
    journal = opened(tmp_path, clock)
    said = ClockSet("0" * 32, 1, 2, clock.wall_ns())
    poll(journal, clock, 0)
    journal.record(said)
    journal.commit()
    refused = tuple((b.seq, "cannot be read") for b in journal.pending(limit_bytes=10**6) if b.readings)
    journal.acknowledge(Ack(journal.epoch, 0, (), refused))
    killed(journal)
    again = opened(tmp_path, clock)
    assert said in [record for b in again.pending(limit_bytes=10**6) for record in opened_block(b).records]
    again.close()


def test_a_reader_beside_a_broken_store_says_so(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    filled(tmp_path, BentClock(), 3).close()
    edit(path, ALTERED["a count"])
    with pytest.raises(StoreError, match="a stored account was altered"):
        read_ledger(path)


def test_flipped_bits_in_the_wal_are_declared_and_no_number_is_given_twice(
    tmp_path: Path,
) -> None:
    """SQLite takes the WAL up to the first frame whose checksum is wrong: the store is an older one of itself."""
    chance = random.Random(fresh_seed())
    clock, folder = BentClock(), tmp_path / "before"
    folder.mkdir()
    journal = filled(folder, clock, 20)
    first = journal.pending(limit_bytes=10**9)[0]
    journal.acknowledge(Ack(journal.epoch, through=first.seq))
    poll(journal, clock, 21)
    opening, size = 0, (folder / "store.db-wal").stat().st_size
    rewound = 0
    for number in range(8):
        after = tmp_path / str(number)
        shutil.copytree(folder, after)
        wal = bytearray((after / "store.db-wal").read_bytes())
        wal[chance.randrange(WAL_HEADER + WAL_FRAME_HEADER, size)] ^= 1 << chance.randrange(8)
        (after / "store.db-wal").write_bytes(wal)
        again = opened(after, clock)
        rows = again.ledger()
        assert all(row.balanced for row in rows)
        sums = totals(rows)
        blocks = again.pending(limit_bytes=10**9)
        lost = sum(d.count for d in declared(again))
        if again.epoch == journal.epoch:
            rewound += sums["dropped_disk"] > 0
            assert sums["offered"] == 21 * len(TAGS)
            assert lost == sums["dropped"] == 21 * len(TAGS) - sums["acknowledged"] - sums["pending"]
            newest = max(block.seq for block in blocks)
            assert newest > journal.last_seq, "what is new has a number that was never given"
        else:
            # Even that this run began is no more known: all that waited, and no more, is declared.
            opening += 1
            assert lost == sums["dropped_disk"] == sums["offered"] == (21 - 1) * len(TAGS)
        again.close()
    assert rewound, "most bits lie behind the first commits"
    journal.close()


@pytest.mark.parametrize("kept", [0, 1, 50, 100, 1000, 1024, 5000, -1024])
def test_a_truncated_database_is_set_aside_and_what_waited_in_it_is_declared(tmp_path: Path, kept: int) -> None:
    clock, path = BentClock(), tmp_path / "store.db"
    journal = filled(tmp_path, clock, 10)
    old_epoch = journal.epoch
    journal.acknowledge(Ack(old_epoch, through=journal.pending(limit_bytes=1)[0].seq))
    killed(journal)
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    with contextlib.suppress(StoreError):
        opened(tmp_path, clock).close()  # Where it is seen only later, this is the start that sets it aside.
    again = opened(tmp_path, clock)
    assert again.epoch != old_epoch
    sums = totals(again.ledger())
    assert sums["dropped_disk"] == sums["offered"] == 9 * len(TAGS) == sum(d.count for d in declared(again))
    poll(again, clock, 11)
    assert again.commit() == len(TAGS)
    again.close()
    aside = read_summary(path).aside
    assert [(tmp_path / name).read_bytes() for name in aside] == ([whole[:kept]] if whole[:kept] else [])
