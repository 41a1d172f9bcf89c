"""Room on the disk: a cap, a floor, a disk that is really full; what is thinned, what is dropped, how it comes back."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.block import READINGS_MAX
from edge.contract.types import Ack, Alarm, AlarmState, Batch, Dropped, Lane, LedgerRow, Priority, Quality
from edge.errors import StoreError
from edge.journal import Limits, SqliteJournal, read_ledger, schema, totals
from edge.journal.handed import Handed
from edge.journal.merge import SPANS_S
from edge.journal.room import OPENED_OVER_MAX
from edge.ports import StoredBlock
from tests.laws.journals import BentClock, good_readings, killed, opened, opened_block

ROOT = Path(__file__).resolve().parents[3]
MB = 1024 * 1024
TAGS = tuple(f"signal_{number}" for number in range(40))
GOOD = (Quality.GOOD,) * len(TAGS)


class Machine:
    """Polled ten times a second; its values do not compress. ``run`` is the time between two commits."""

    def __init__(self, journal: SqliteJournal, clock: BentClock, *, polls: int = 10, period_s: float = 0.1) -> None:
        self._journal, self._clock, self._polls, self._period_s = journal, clock, polls, period_s
        self._rng = random.Random(1)

    def run(self) -> int:
        for _ in range(self._polls):
            self._clock.pass_s(self._period_s)
            at_ns = self._clock.wall_ns()
            values = tuple(self._rng.random() for _ in TAGS)
            self._journal.offer("press-1", TAGS)
            self._journal.append(
                Batch("press-1", TAGS, values, GOOD, (at_ns,) * len(TAGS), at_ns, self._clock.mono_ns())
            )
        return self._journal.commit()


def alarm(clock: BentClock) -> Alarm:
    at_ns = clock.wall_ns()
    return Alarm("press-1", "hot", TAGS[0], Priority.HIGH, AlarmState.UNACKNOWLEDGED, at_ns, at_ns, 1.0, "Too hot.")


def everything(journal: SqliteJournal) -> list[StoredBlock]:
    return journal.pending(limit_bytes=10**9)


def balanced(journal: SqliteJournal) -> dict[str, int]:
    """The ledger's sums, once it balances, tells what was lost, and counts what the blocks really hold."""
    journal.commit()  # What the last one dropped is told by this one.
    rows = journal.ledger()
    assert all(row.balanced for row in rows)
    sums = totals(rows)
    assert sums == journal.totals()
    blocks = everything(journal)
    assert sum(good_readings(blocks).values()) == sums["pending"]
    told = [record for block in blocks for record in opened_block(block).records if isinstance(record, Dropped)]
    assert sum(dropped.count for dropped in told) == sums["dropped"]
    return sums


def test_near_the_cap_the_oldest_is_thinned_and_nothing_is_dropped(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock, limits=Limits(store_bytes_max=MB // 4))
    machine = Machine(journal, clock)
    for _ in range(150):
        machine.run()
    sums = balanced(journal)
    assert sums["offered"] == 150 * 10 * len(TAGS)
    assert sums["dropped"] == 0 < sums["thinned"]
    headers = [opened_block(block).header for block in everything(journal)]
    assert headers[0].thinned
    assert not headers[-1].thinned, "what is new is as it was polled"
    journal.report()
    journal.commit()
    told = [r for block in everything(journal) for r in opened_block(block).records if isinstance(r, LedgerRow)]
    newest = {(row.tag, row.hour_ns): row for row in told}
    assert sum(row.thinned for row in newest.values()) == sums["thinned"]


def test_what_is_older_is_thinned_over_longer_spans(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock, limits=Limits(store_bytes_max=MB // 12))
    machine = Machine(journal, clock, period_s=1.0)
    for _ in range(150):
        machine.run()
    spans = [span for (span,) in journal._connection.execute("SELECT thinned FROM block WHERE readings ORDER BY seq")]
    assert sorted(spans, reverse=True) == spans
    assert set(spans) == {0, *SPANS_S}
    assert balanced(journal)["dropped"] == 0


def test_only_as_much_is_thinned_as_is_needed(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock, limits=Limits(store_bytes_max=MB // 4))
    machine = Machine(journal, clock)
    while not journal.totals()["thinned"]:
        machine.run()
    assert journal.totals()["thinned"] < 10 * 10 * len(TAGS), "the first ten seconds"
    pages, size = (journal._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    assert pages * size > 0.7 * MB / 4


def test_nothing_is_thinned_that_was_handed_out(tmp_path: Path) -> None:
    """Of what the receiver may have, it has the original: a thinned block of that number would lose what it lacks."""
    clock = BentClock()
    journal = opened(tmp_path, clock, limits=Limits(store_bytes_max=MB // 4))
    machine = Machine(journal, clock)
    for _ in range(20):
        machine.run()
    sent = {block.seq: block.data for block in journal.pending(limit_bytes=10**9)}
    for _ in range(100):
        machine.run()
    assert journal.totals()["thinned"] > 0
    again = {block.seq: block.data for block in everything(journal)}
    assert {seq: again[seq] for seq in sent} == sent
    journal.acknowledge(Ack(journal.epoch, through=max(sent)))
    assert journal.totals()["acknowledged"] == 20 * 10 * len(TAGS)


def test_what_was_handed_out_is_known_after_a_kill(tmp_path: Path) -> None:
    """In a former run, out of order, and up to the last moment."""
    clock = BentClock()
    limits = Limits(store_bytes_max=MB // 4)
    journal = opened(tmp_path, clock, limits=limits)
    machine = Machine(journal, clock)
    for _ in range(30):
        machine.run()
    sent = journal.pending(limit_bytes=1)
    sent += journal.waiting(limit_bytes=20_000, until=journal.last_seq, newest_first=True)
    killed(journal)
    journal = opened(tmp_path, clock, limits=limits)
    machine = Machine(journal, clock)
    for _ in range(100):
        machine.run()
    assert journal.totals()["thinned"] > 0
    again = {block.seq: block.data for block in everything(journal)}
    assert len(sent) > 3
    assert {block.seq: again[block.seq] for block in sent} == {block.seq: block.data for block in sent}


def test_what_goes_up_at_once_costs_no_transaction_of_its_own(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    machine = Machine(journal, clock)
    machine.run()
    everything(journal)
    machine.run()
    before = schema.wal_bytes(tmp_path / "store.db")
    assert everything(journal)
    assert schema.wal_bytes(tmp_path / "store.db") == before


@given(st.lists(st.lists(st.integers(1, 60), max_size=8), max_size=12))
def test_numbers_that_were_handed_out_are_a_set(added: list[list[int]]) -> None:
    store = sqlite3.connect(":memory:", isolation_level=None)
    store.execute("CREATE TABLE store (handed TEXT, last_seq INTEGER)")
    store.execute("INSERT INTO store VALUES ('[]', 60)")
    handed, known = Handed(store), set[int]()
    for numbers in added:
        assert handed.add(numbers) == bool(set(numbers) - known)
        known.update(numbers)
    handed.write(oldest=0)
    for one in (handed, Handed(store)):
        assert {seq for seq in range(-1, 70) if seq in one} == known
    store.execute("UPDATE store SET handed = ''")
    assert {seq for seq in range(70) if seq in Handed(store)} == set(range(1, 61)), "a former version did not say"
    store.close()


def test_a_kill_leaves_either_the_blocks_or_what_they_were_thinned_to(tmp_path: Path) -> None:
    clock = BentClock()
    limits = Limits(store_bytes_max=MB // 8)
    journal = opened(tmp_path, clock, limits=limits)
    for _ in range(6):
        machine = Machine(journal, clock)
        for _ in range(15):
            machine.run()
        killed(journal)
        journal = opened(tmp_path, clock, limits=limits)
    sums = balanced(journal)
    assert (sums["offered"], sums["dropped"]) == (6 * 15 * 10 * len(TAGS), 0)
    assert sums["thinned"] > 0


def test_a_commit_thins_and_drops_a_bounded_part(tmp_path: Path) -> None:
    """A store that is opened with a far smaller cap: no commit may last until all of it is thinned."""
    clock = BentClock()
    journal = opened(tmp_path, clock)
    machine = Machine(journal, clock, polls=200)
    for _ in range(60):
        machine.run()
    journal.close()
    journal = opened(tmp_path, clock, limits=Limits(store_bytes_max=MB))
    machine = Machine(journal, clock)
    for _ in range(5):
        before = journal.totals()["thinned"]
        machine.run()
        assert journal.totals()["thinned"] - before <= OPENED_OVER_MAX + READINGS_MAX
    assert journal.totals()["thinned"] > OPENED_OVER_MAX / 2
    balanced(journal)


def test_the_file_and_its_pages_are_few_again_after_a_drain(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock, limits=Limits(store_bytes_max=16 * MB))
    machine = Machine(journal, clock, polls=100)

    def pages() -> int:
        return int(journal._connection.execute("PRAGMA page_count").fetchone()[0])

    for _ in range(150):
        machine.run()
    full, full_pages = (tmp_path / "store.db").stat().st_size, pages()
    while blocks := journal.pending(limit_bytes=MB):
        journal.acknowledge(Ack(journal.epoch, through=blocks[-1].seq))
    for _ in range(50):
        machine.run()
        journal.acknowledge(Ack(journal.epoch, through=everything(journal)[-1].seq))
    assert full > 4 * MB
    assert pages() < full_pages / 3
    assert (tmp_path / "store.db").stat().st_size < full / 3, "while it runs, not only once it is closed"
    journal.close()


# A small disk of its own, where this machine lets us have one.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid():
        pytest.skip("only root may mount")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def fill(folder: Path, *, leave: int) -> Path:
    """Another program that takes all but ``leave`` bytes."""
    path = folder / uuid.uuid4().hex
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free(folder) - leave)
    return path


def test_a_disk_that_is_full(small_disk: Path) -> None:
    """The reserve goes first, then detail; alarms get through; and once there is room, all is as it was."""
    clock = BentClock()
    journal = opened(small_disk, clock, limits=Limits(store_bytes_max=16 * MB, sealed_bytes_max=MB))
    machine, reserve = Machine(journal, clock, polls=100), small_disk / "store.db.reserve"
    machine.run()
    assert reserve.stat().st_blocks * 512 == MB
    other = fill(small_disk, leave=2 * MB)
    durable = sum(machine.run() > 0 for _ in range(140))
    assert not reserve.exists()
    journal.record(alarm(clock), lane=Lane.URGENT)
    assert machine.run(), "what comes in is durable all the same"
    assert everything(journal)[0].lane is Lane.URGENT
    sums = balanced(journal)
    assert durable == 140
    assert sums["dropped"] == 0 < sums["thinned"], "detail goes, nothing else"
    other.unlink()
    assert machine.run()
    assert reserve.exists(), "it is made again once there is room"
    assert balanced(journal)["offered"] == sums["offered"] + 100 * len(TAGS)
    journal.close()


def test_a_disk_that_somebody_else_fills_to_the_last_byte(small_disk: Path) -> None:
    """What comes in stays in memory then, and what memory does not hold is declared."""
    clock = BentClock()
    journal = opened(small_disk, clock, limits=Limits(store_bytes_max=16 * MB, sealed_bytes_max=MB // 4))
    machine = Machine(journal, clock, polls=100)
    machine.run()
    others = [fill(small_disk, leave=0)]
    for _ in range(60):
        machine.run()
        if free(small_disk):
            others.append(fill(small_disk, leave=0))
    assert not machine.run()
    journal.record(alarm(clock), lane=Lane.URGENT)
    for _ in range(30):
        assert not machine.run()
    assert journal.totals()["dropped_disk"] > 0
    for other in others:
        other.unlink()
    assert machine.run() > 100 * len(TAGS), "with what memory held"
    assert everything(journal)[0].lane is Lane.URGENT, "an alarm is the last to go"
    balanced(journal)
    journal.close()
    assert totals(read_ledger(small_disk / "store.db"))["offered"] == 93 * 100 * len(TAGS)


def test_below_the_floor_the_store_grows_no_more(small_disk: Path) -> None:
    clock = BentClock()
    journal = opened(small_disk, clock, limits=Limits(store_bytes_max=16 * MB, free_bytes_min=3 * MB))
    machine, reserve = Machine(journal, clock, polls=300), small_disk / "store.db.reserve"
    machine.run()
    assert reserve.exists()
    for _ in range(140):
        assert machine.run()
        assert free(small_disk) > 2 * MB, "room that is left for others"
    assert balanced(journal)["thinned"] > 0
    assert not reserve.exists()


def test_a_gateway_starts_on_a_full_disk_by_its_reserve(small_disk: Path) -> None:
    clock = BentClock()
    limits = Limits(store_bytes_max=96 * MB)
    journal = opened(small_disk, clock, limits=limits)
    Machine(journal, clock).run()
    assert (small_disk / "store.db.reserve").stat().st_size == 6 * MB
    journal.close()
    fill(small_disk, leave=0)
    journal = opened(small_disk, clock, limits=limits)
    assert not (small_disk / "store.db.reserve").exists()
    assert Machine(journal, clock).run() == 10 * len(TAGS)
    journal.close()


# Files that may not grow: to SQLite an I/O error, not a full disk.
BOUNDED_FILES = """
import resource, sys
from pathlib import Path
from edge.contract.types import Lane
from edge.errors import StoreError
from edge.journal import Limits
from tests.laws.journals import BentClock, opened
from tests.rooms.journal.test_space import MB, Machine, alarm, balanced, everything

clock = BentClock()
journal = opened(Path(sys.argv[1]), clock, limits=Limits(store_bytes_max=8 * MB, sealed_bytes_max=MB))
machine = Machine(journal, clock, polls=100)
resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MB, resource.RLIM_INFINITY))
durable = sum(machine.run() > 0 for _ in range(120))
journal.record(alarm(clock), lane=Lane.URGENT)
assert machine.run()
sums = balanced(journal)
assert everything(journal)[0].lane is Lane.URGENT
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for _ in range(20):
    assert machine.run()
assert (Path(sys.argv[1]) / "store.db.reserve").exists()
print(durable, sums["thinned"], balanced(journal)["dropped"])
journal.close()
"""


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED_FILES, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    durable, thinned, dropped = (int(word) for word in done.stdout.split())
    assert (durable, dropped) == (120, 0)
    assert thinned > 0


def test_a_disk_without_room_for_a_first_store_is_told_in_words(small_disk: Path) -> None:
    fill(small_disk, leave=0)
    with pytest.raises(StoreError, match=r"store\.db: cannot be opened: the disk is full \(make room on it, or name"):
        opened(small_disk, BentClock())
