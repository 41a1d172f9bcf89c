"""Files that are not ours, files that are broken, and a disk that takes no more."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from edge.contract.types import Ack, Cause, Dropped
from edge.errors import BrokenStoreError, StoreError
from edge.journal import Limits, SqliteJournal, read_ledger, totals
from edge.journal.recorder import mark_incomplete
from tests.laws.journals import TAGS, BentClock, good_readings, killed, opened, opened_block, poll

ROOT = Path(__file__).resolve().parents[3]


def print_of(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def filled(folder: Path, commits: int = 3) -> SqliteJournal:
    clock = BentClock()
    journal = opened(folder, clock)
    for number in range(commits):
        clock.pass_s(1)
        poll(journal, clock, number)
        journal.commit()
    return journal


def test_another_programs_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.db") as other:
        other.execute("CREATE TABLE theirs (x)")
        other.execute("INSERT INTO theirs VALUES (1)")
    other.close()
    before = print_of(tmp_path)
    with pytest.raises(StoreError, match="not a store of this program; left untouched"):
        opened(tmp_path, BentClock())
    with pytest.raises(StoreError, match="not a store of this program"):
        read_ledger(tmp_path / "store.db")
    assert print_of(tmp_path) == before


def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("minutes of the last meeting")
    before = print_of(tmp_path)
    with pytest.raises(StoreError, match="left untouched"):
        opened(tmp_path, BentClock())
    assert print_of(tmp_path) == before


def test_a_folder_in_the_stores_place_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        opened(tmp_path, BentClock())


def test_a_later_versions_store_is_refused(tmp_path: Path) -> None:
    filled(tmp_path).close()
    with sqlite3.connect(tmp_path / "store.db") as store:
        store.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(StoreError, match="newer version"):
        opened(tmp_path, BentClock())


def test_another_gateways_store_is_refused(tmp_path: Path) -> None:
    filled(tmp_path).close()
    with pytest.raises(StoreError, match="the store of gateway 'gw-1', not of 'gw-2'"):
        opened(tmp_path, BentClock(), gateway="gw-2")
    opened(tmp_path, BentClock()).close()


def test_a_store_has_one_owner(tmp_path: Path) -> None:
    first = opened(tmp_path, BentClock())
    with pytest.raises(StoreError, match="in use by another process"):
        opened(tmp_path, BentClock())
    first.close()
    opened(tmp_path, BentClock()).close()


def test_there_is_no_ledger_without_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        read_ledger(tmp_path / "store.db")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("harm", ["head", "middle", "account", "letter", "row", "gone", "older"])
def test_a_broken_store_is_set_aside_and_what_waited_in_it_is_declared(tmp_path: Path, harm: str) -> None:
    """Exactly: what an earlier run left, what this run committed, what it had not; less what was acknowledged."""
    path = tmp_path / "store.db"
    filled(tmp_path, commits=3).close()
    older = path.read_bytes()
    clock = BentClock()
    journal = opened(tmp_path, clock)
    old_epoch = journal.epoch
    for number in (4, 5):
        poll(journal, clock, number)
        journal.commit()
    first, second = [b.seq for b in journal.pending(limit_bytes=10**6) if b.readings][:2]
    journal.acknowledge(Ack(journal.epoch, through=first, also=(second,)))
    poll(journal, clock, 6)
    killed(journal)
    if harm == "gone":
        path.unlink()
    elif harm == "older":
        # As a WAL leaves it that was lost with the power, or a copy that was put back: numbers would be given twice.
        path.write_bytes(older)
    elif harm in ("account", "letter", "row"):
        # The last is what is left where the disk takes some pages back and others not.
        change = {
            "account": "UPDATE ledger SET counts = '{\"offered\": oops'",
            "letter": "UPDATE ledger SET counts = CAST(x'ff' || CAST(counts AS BLOB) AS TEXT)",
            "row": "DELETE FROM block WHERE seq = (SELECT max(seq) FROM block WHERE readings > 0)",
        }
        with sqlite3.connect(path) as store:
            store.execute(change[harm])
        store.close()
    else:
        data = bytearray(path.read_bytes())
        at = 0 if harm == "head" else 4096
        data[at : at + 2048] = b"\xa5" * 2048
        path.write_bytes(data)
    broken = path.read_bytes() if path.exists() else None
    if harm in ("account", "letter", "row"):
        # What SQLite itself cannot see is found when it is used; the next start begins anew.
        with pytest.raises(StoreError, match="set aside"):
            opened(tmp_path, clock)
    again = opened(tmp_path, clock)
    assert again.epoch != old_epoch
    rows = again.ledger()
    assert all(row.balanced for row in rows)
    sums = totals(rows)
    assert sums["dropped_disk"] == sums["offered"] == (3 + 2 + 1 - 2) * len(TAGS)
    told = [r for b in again.pending(limit_bytes=10**6) for r in opened_block(b).records if isinstance(r, Dropped)]
    assert {(d.tag, d.cause, d.count) for d in told} == {(tag, Cause.DISK, 4) for tag in TAGS}
    aside = [p for p in tmp_path.glob("store.db.corrupt-*") if p.suffix not in ("-wal", "-shm")]
    assert [p.read_bytes() for p in aside] == ([broken] if broken is not None else [])
    poll(again, clock, 7)
    assert again.commit() == 3
    again.close()


@pytest.mark.parametrize(("at", "bit"), [(47, 1), (60, 0), (63, 1), (68, 3), (71, 0)])
def test_a_flipped_bit_in_the_marks_of_the_head_keeps_no_gateway_from_its_start(
    tmp_path: Path, at: int, bit: int
) -> None:
    """In the format of the tables, the version, the program's mark: the recorder beside it tells whose it was."""
    filled(tmp_path, commits=3).close()
    path = tmp_path / "store.db"
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)
    again = opened(tmp_path, BentClock())
    assert totals(again.ledger())["dropped_disk"] == 3 * len(TAGS)
    assert [p.read_bytes() for p in tmp_path.glob("store.db.corrupt-*")] == [bytes(data)]
    again.close()


def broken(path: Path) -> None:
    """The store's tables, but not its first page, become noise."""
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    with path.open("r+b") as file:
        file.write(data)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_declared_loss_that_nobody_was_told_of_is_known_when_the_store_breaks(
    tmp_path: Path, restarted: bool
) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    sent = []
    for number in range(3):
        clock.pass_s(1)
        poll(journal, clock, number)
        journal.commit()
        sent.append(max(b.seq for b in journal.pending(limit_bytes=10**6) if b.readings))
    journal.acknowledge(Ack(journal.epoch, 0, (sent[0],), ((sent[1], "cannot be read"),)))
    if restarted:
        journal.close()
        journal = opened(tmp_path, clock)
    told = {b.seq for b in journal.pending(limit_bytes=10**6) if b.seq != sent[2]}
    killed(journal)
    broken(tmp_path / "store.db")
    again = opened(tmp_path, clock)
    lost = [r for b in again.pending(limit_bytes=10**6) for r in opened_block(b).records if isinstance(r, Dropped)]
    assert {(d.tag, d.cause, d.count) for d in lost} == {(tag, Cause.DISK, 2) for tag in TAGS}
    assert told, "the refused block's loss was in one that nobody received"
    again.close()


@pytest.mark.parametrize("fate", ["altered", "refused"])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_loss_whose_declaration_is_lost_itself_is_known_when_the_store_breaks(
    tmp_path: Path, fate: str, restarted: bool
) -> None:
    """Only the ledger's rows tell of it then, and nobody has received them."""
    clock = BentClock()
    journal = opened(tmp_path, clock)
    poll(journal, clock, 0)
    journal.commit()
    (seq,) = [b.seq for b in journal.pending(limit_bytes=10**6) if b.readings]
    journal.acknowledge(Ack(journal.epoch, 0, (), ((seq, "cannot be read"),)))
    said = [b.seq for b in journal.pending(limit_bytes=10**6)]
    if fate == "altered":
        for number in said:
            journal._connection.execute("UPDATE block SET data = x'00' WHERE seq = ?", (number,))
        assert not journal.pending(limit_bytes=10**6)
        clock.pass_s(1)
        journal.commit()
    else:
        journal.acknowledge(Ack(journal.epoch, 0, (), tuple((number, "cannot be read") for number in said)))
    killed(journal)
    if restarted:
        journal = opened(tmp_path, clock)
        killed(journal)
    broken(tmp_path / "store.db")
    again = opened(tmp_path, clock)
    assert totals(again.ledger())["dropped_disk"] == len(TAGS)
    again.close()


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
def test_what_was_thinned_and_not_told_is_known_when_the_store_breaks(
    tmp_path: Path, restarted: bool, told: bool
) -> None:
    """Until the ledger's rows have arrived nobody else knows that these readings ever were."""
    clock, limits = BentClock(), Limits(store_bytes_max=220_000)
    journal = opened(tmp_path, clock, limits=limits)
    for number in range(2500):
        clock.pass_s(0.2)
        poll(journal, clock, number)
        if number % 5 == 0:
            journal.commit()
    journal.report()
    journal.commit()
    sums = totals(journal.ledger())
    assert sums["thinned"] > sums["dropped"] == 0
    if told:
        journal.acknowledge(Ack(journal.epoch, 0, tuple(b.seq for b in journal.pending(limit_bytes=10**9))))
    if restarted:
        killed(journal)
        journal = opened(tmp_path, clock, limits=limits)
    killed(journal)
    broken(tmp_path / "store.db")
    again = opened(tmp_path, clock)
    assert totals(again.ledger())["dropped_disk"] == (0 if told else sums["kept"])
    again.close()


def test_a_declared_loss_that_was_acknowledged_is_not_declared_twice(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    poll(journal, clock, 0)
    journal.commit()
    (seq,) = [b.seq for b in journal.pending(limit_bytes=10**6) if b.readings]
    journal.acknowledge(Ack(journal.epoch, 0, (), ((seq, "cannot be read"),)))
    journal.acknowledge(Ack(journal.epoch, 0, tuple(b.seq for b in journal.pending(limit_bytes=10**6))))
    killed(journal)
    broken(tmp_path / "store.db")
    again = opened(tmp_path, clock)
    assert totals(again.ledger())["dropped_disk"] == 0
    again.close()


def test_a_store_that_breaks_while_it_is_used_says_so_and_the_next_start_works(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    journal._connection.execute("PRAGMA shrink_memory")
    broken(tmp_path / "store.db")
    with pytest.raises(StoreError, match="set aside"):
        journal.pending(limit_bytes=10**6)
    with pytest.raises(BrokenStoreError):  # The next to come is told as well: nothing goes on as if it were stored.
        journal.commit()
    journal.close()
    again = opened(tmp_path, BentClock())
    assert totals(again.ledger())["dropped_disk"] == 9


def test_a_block_that_the_disk_altered_is_declared_and_never_sent(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    (seq, data) = journal._connection.execute("SELECT seq, data FROM block LIMIT 1").fetchone()
    altered = data[:-20] + bytes([data[-20] ^ 4]) + data[-19:]
    journal._connection.execute("UPDATE block SET data = ? WHERE seq = ?", (altered, seq))
    sent = journal.pending(limit_bytes=10**6)
    assert seq not in [b.seq for b in sent]
    assert len(sent) == 2
    journal.commit()
    rows = journal.ledger()
    assert all(row.balanced for row in rows)
    assert (totals(rows)["dropped_decode"], totals(rows)["pending"]) == (3, 6)
    assert journal.backlog()[1] == 6


# Files may not grow beyond a bound: what SQLite writes fails with an I/O error, as on a disk that is broken or full.
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from edge.contract.types import Ack, Dropped
from edge.journal import totals, Limits
from tests.laws.journals import BentClock, good_readings, opened, opened_block, poll

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
clock = BentClock()
journal = opened(Path(sys.argv[1]), clock, limits=Limits(sealed_bytes_max=int(sys.argv[2])))
poll(journal, clock, 0)
assert journal.commit() == 3
(first,) = journal.pending(limit_bytes=10**6)
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
journal.acknowledge(Ack(journal.epoch, through=first.seq))
assert journal.pending(limit_bytes=10**6) == [], "what was acknowledged is not handed out again, deleted or not"
for number in range(1, 101):
    clock.pass_s(1)
    poll(journal, clock, number)
    assert journal.commit() == 0, "nothing is durable on a full disk"
    assert all(row.balanced for row in journal.ledger())
    assert totals(journal.ledger())["offered"] == 3 * (number + 1)
assert journal.backlog() == (0, 0)
assert totals(journal.ledger())["acknowledged"] == 3
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
clock.pass_s(1)
journal.commit()
journal.commit()
sums = totals(journal.ledger())
blocks = journal.pending(limit_bytes=10**9)
told = [r for b in blocks for r in opened_block(b).records if isinstance(r, Dropped)]
assert sum(good_readings(blocks).values()) == sums["pending"]
print(sums["offered"], sums["pending"], sums["dropped_disk"], sum(d.count for d in told))
journal.close()
"""


def run_on_full_disk(folder: Path, sealed_bytes_max: int) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder), str(sealed_bytes_max)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the store cannot be written") == 1, "a failure is logged once"
    assert done.stderr.count("can be written again") == 1, "and so is its end"
    return [int(word) for word in done.stdout.split()]


def test_a_full_disk_loses_nothing_that_memory_can_hold(tmp_path: Path) -> None:
    assert run_on_full_disk(tmp_path, 10**6) == [303, 300, 0, 0]


def test_a_full_disk_beyond_the_bound_of_memory_is_declared(tmp_path: Path) -> None:
    offered, pending, dropped, told = run_on_full_disk(tmp_path, 5000)
    assert offered == 303
    assert 0 < dropped == told
    assert pending == offered - dropped - 3
    sums = totals(read_ledger(tmp_path / "store.db"))
    assert (sums["offered"], sums["dropped_disk"]) == (303, dropped)


OVER_THE_CAP_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from edge.journal import Limits
from tests.laws.journals import BentClock, opened, poll

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
clock = BentClock()
journal = opened(Path(sys.argv[1]), clock, limits=Limits(store_bytes_max=60_000))
number = 0
def gone() -> int:
    sums = journal.totals()
    return sums["thinned"] + sums["dropped_cap"]

while not gone():
    number += 1
    clock.pass_s(1)
    for _ in range(40):
        poll(journal, clock, number)
    journal.commit()
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
dropped = []
for _ in range(30):
    clock.pass_s(1)
    poll(journal, clock, number)
    assert journal.commit() == 0
    dropped.append(gone())
print(dropped[0], dropped[-1])
"""


def test_over_the_cap_a_full_disk_does_not_thin_or_drop_the_store_bit_by_bit(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OVER_THE_CAP_ON_A_FULL_DISK, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    after_the_first, after_all = (int(word) for word in done.stdout.split())
    assert after_all == after_the_first


# A reader keeps the WAL where it is, so that the store can still be opened.
STARTED_ON_A_FULL_DISK = """
import resource, signal, sqlite3, sys
from pathlib import Path
from edge.journal import totals
from tests.laws.journals import BentClock, killed, opened, opened_block, poll

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder, clock = Path(sys.argv[1]), BentClock()
journal = opened(folder, clock)
reader = sqlite3.connect(folder / "store.db")
poll(journal, clock, 1)
journal.commit()
poll(journal, clock, 2)
reader.execute("SELECT count(*) FROM block").fetchone()
killed(journal)
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
journal = opened(folder, clock)
poll(journal, clock, 3)
assert journal.commit() == 0
if sys.argv[2] == "killed while it is full":
    killed(journal)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
if sys.argv[2] == "killed later":
    assert journal.commit() == 3
    poll(journal, clock, 4)
    killed(journal)
reader.close()
"""


@pytest.mark.parametrize("fate", ["killed while it is full", "killed later"])
def test_a_start_on_a_full_disk_counts_as_soon_as_it_can(tmp_path: Path, fate: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTED_ON_A_FULL_DISK, str(tmp_path), fate],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    journal = opened(tmp_path, BentClock())
    rows = journal.ledger()
    assert all(row.balanced for row in rows)
    sums = totals(rows)
    told = [r for b in journal.pending(limit_bytes=10**6) for r in opened_block(b).records]
    if fate == "killed later":
        # The second poll died with the first run, the fourth with the second; the third came through.
        assert (sums["pending"], sums["dropped_power"]) == (2 * 3, 2 * 3)
    else:
        # What was polled while there was room for nothing is known by its times only, and declared so.
        assert (sums["pending"], sums["dropped_power"]) == (3, 3)
    assert {r.tag for r in told if isinstance(r, Dropped)} == set(TAGS)


def test_how_much_was_lost_is_not_known_after_a_start_on_a_full_disk(tmp_path: Path) -> None:
    """Declared with the count 0, which says that there is a gap and not that nothing was lost."""
    journal = filled(tmp_path)
    killed(journal)
    mark_incomplete(tmp_path / "store.db.recorder")
    again = opened(tmp_path, BentClock())
    told = [r for b in again.pending(limit_bytes=10**6) for r in opened_block(b).records]
    assert {(r.tag, r.count) for r in told if isinstance(r, Dropped)} == {(tag, 0) for tag in TAGS}


@pytest.mark.parametrize("at", [0, 3, 4, -1])
def test_a_state_that_the_disk_altered_is_forgotten(tmp_path: Path, at: int) -> None:
    journal = opened(tmp_path, BentClock())
    journal.keep("judge/pump-1", b"learned 1")
    journal.keep("alarm", b"standing")
    journal.close()
    store = sqlite3.connect(tmp_path / "store.db")
    (data,) = store.execute("SELECT data FROM state WHERE name = 'judge/pump-1'").fetchone()
    altered = bytearray(data)
    altered[at] ^= 1
    with store:
        store.execute("UPDATE state SET data = ? WHERE name = 'judge/pump-1'", (bytes(altered),))
    store.close()
    again = opened(tmp_path, BentClock())
    assert again.kept("judge/pump-1") is None
    assert again.kept("alarm") == b"standing"
    again.close()


def test_a_store_that_cannot_even_be_read_takes_everything_once_it_can(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock, limits=Limits(readings_max=30))
    poll(journal, clock, 1)
    journal.commit()
    with sqlite3.connect(tmp_path / "store.db") as elsewhere:
        elsewhere.execute("ALTER TABLE ledger RENAME TO hidden")
    clock.pass_s(3600)
    poll(journal, clock, 2)
    journal.keep("judge", b"old")
    assert journal.commit() == 0
    poll(journal, clock, 3)
    journal.keep("judge", b"new")
    assert journal.commit() == 0
    with elsewhere:
        elsewhere.execute("ALTER TABLE hidden RENAME TO ledger")
    elsewhere.close()
    assert journal.commit() == 6
    assert totals(journal.ledger())["pending"] == 9
    newest = journal.pending(limit_bytes=10**6)[-1]
    assert [one.values[1] for one in opened_block(newest).batches()] == [2, 3]
    journal.close()
    assert opened(tmp_path, clock).kept("judge") == b"new"


def test_readings_between_two_commits_are_bounded_and_the_oldest_are_declared(tmp_path: Path) -> None:
    """A disk that hangs inside one commit: what comes in meanwhile must not eat the memory."""
    clock = BentClock()
    journal = opened(tmp_path, clock, limits=Limits(readings_max=30))
    for number in range(25):
        clock.pass_s(1)
        poll(journal, clock, number)
    journal.commit()
    rows = journal.ledger()
    assert all(row.balanced for row in rows)
    assert (totals(rows)["pending"], totals(rows)["dropped_disk"]) == (30, 45)
    (block,) = journal.pending(limit_bytes=10**6)
    assert good_readings([block])["speed_rpm"] == 10
    assert [one.values[1] for one in opened_block(block).batches()] == list(range(15, 25))
    journal.commit()
    told = [r for b in journal.pending(limit_bytes=10**6) for r in opened_block(b).records]
    assert sum(r.count for r in told if isinstance(r, Dropped)) == 45


def test_a_kept_state_is_durable_once_a_commit_has_written_it(tmp_path: Path) -> None:
    """What may only follow a record that survives anything asks for this."""
    journal = opened(tmp_path, BentClock())
    journal.commit()
    journal.keep("command", b"writing")
    assert not journal.is_durable("command")
    journal._connection.execute("PRAGMA query_only = 1")
    journal.commit()
    assert not journal.is_durable("command"), "the disk took nothing"
    journal._connection.execute("PRAGMA query_only = 0")
    journal.commit()
    assert journal.is_durable("command")
    killed(journal)
    assert opened(tmp_path, BentClock()).kept("command") == b"writing"
