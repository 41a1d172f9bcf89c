"""Stores that the code of a former version made. They are opened, and keep what they hold."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from edge.contract.types import Ack, Alarm, LedgerRow
from edge.errors import StoreError
from edge.journal import read_ledger, totals
from edge.journal.schema import SCHEMA_VERSION
from tests.laws.journals import START_NS, BentClock, good_readings, opened, opened_block, poll

ROOT = Path(__file__).resolve().parents[3]
STORES = ROOT / "tests" / "golden" / "stores"
V1 = {
    "offered": 125, "good": 119, "bad": 6, "kept": 119, "acknowledged": 31, "pending": 80, "dropped": 8,
    "bad_device": 6, "dropped_clock": 5, "dropped_decode": 3,
}  # fmt: skip
LATER_NS = START_NS + 41 * 300 * 10**9


def former(folder: Path) -> Path:
    return Path(shutil.copy(STORES / "v1.db", folder / "store.db"))


def blocks_of(path: Path) -> list[tuple[int, bytes]]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as store:
        found = store.execute("SELECT seq, data FROM block ORDER BY seq").fetchall()
    store.close()
    return found


def test_a_store_of_version_1_opens_with_all_that_it_holds(tmp_path: Path) -> None:
    path = former(tmp_path)
    before = blocks_of(path)
    with sqlite3.connect(path) as store:
        (epoch, last_seq) = store.execute("SELECT epoch, last_seq FROM store").fetchone()
    store.close()
    journal = opened(tmp_path, BentClock(LATER_NS))
    assert (journal.epoch, journal.last_seq) == (epoch, last_seq)
    assert journal.kept("alarm") == b"standing"
    rows = journal.ledger()
    assert all(row.balanced for row in rows)
    assert {name: count for name, count in totals(rows).items() if count} == V1
    blocks = journal.pending(limit_bytes=10**9)
    assert sorted((b.seq, b.data) for b in blocks) == before
    assert sum(good_readings(blocks).values()) == V1["pending"]
    assert any(isinstance(r, Alarm) for r in opened_block(blocks[0]).records)
    journal.close()
    assert path.read_bytes()[60:64] == SCHEMA_VERSION.to_bytes(4, "big")


def test_a_store_that_was_brought_up_to_date_goes_on_counting_where_it_was(tmp_path: Path) -> None:
    former(tmp_path)
    clock = BentClock(LATER_NS)
    journal = opened(tmp_path, clock)
    last_seq = journal.last_seq
    poll(journal, clock, 1)
    journal.commit()
    newest = journal.pending(limit_bytes=10**9)[-1]
    assert newest.seq == last_seq + 1
    assert newest.dictionary, "new blocks have their names in the dictionary, old ones stay as they are"
    blocks = journal.pending(limit_bytes=10**9)
    journal.acknowledge(Ack(journal.epoch, through=newest.seq))
    assert totals(journal.ledger())["acknowledged"] == V1["acknowledged"] + sum(good_readings(blocks).values())
    journal.close()


def test_a_block_of_version_1_that_is_lost_has_its_rows_told_again(tmp_path: Path) -> None:
    """Among them the correction of a row whose own blocks were settled before."""
    former(tmp_path)
    clock = BentClock(LATER_NS)
    journal = opened(tmp_path, clock)
    assert journal.commit() == 0
    blocks = journal.pending(limit_bytes=10**9)
    last = max(blocks, key=lambda block: block.seq)
    journal.acknowledge(Ack(journal.epoch, 0, refused=((last.seq, "cannot be read"),)))
    journal.report()
    journal.commit()
    told = [
        r for b in journal.pending(limit_bytes=10**9) if b.seq > last.seq for r in opened_block(b).records
        if isinstance(r, LedgerRow)
    ]  # fmt: skip
    with_a_loss = {(row.hour_ns, row.tag) for row in journal.ledger() if row.dropped}
    assert with_a_loss
    assert with_a_loss <= {(row.hour_ns, row.tag) for row in told}
    journal.close()


def test_the_tables_are_those_of_a_new_store(tmp_path: Path) -> None:
    former(tmp_path)
    opened(tmp_path, BentClock(LATER_NS)).close()
    (tmp_path / "new").mkdir()
    opened(tmp_path / "new", BentClock()).close()
    assert columns(tmp_path / "store.db") == columns(tmp_path / "new" / "store.db")


def columns(path: Path) -> dict[str, set[tuple[str, str, int, str | None, int]]]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as store:
        names = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {
            name: {row[1:] for row in store.execute(f"PRAGMA table_info({name})") if row[1] != "tells"}
            for name in names
        }
        (indices,) = store.execute("SELECT count(*) FROM sqlite_master WHERE type = 'index'").fetchone()
    store.close()
    return found | {"indices": {("", "", indices, None, 0)}}


def test_a_reader_beside_it_is_told_to_start_the_gateway(tmp_path: Path) -> None:
    path = former(tmp_path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="of version 1"):
        read_ledger(path)
    assert path.read_bytes() == before
    opened(tmp_path, BentClock(LATER_NS)).close()
    assert totals(read_ledger(path))["offered"] == V1["offered"]


# The process ends at every single statement of the migration in turn, as at a power cut: nothing of it was synced.
CUT = """
import os, sqlite3, sys
from pathlib import Path
from edge.journal.migrate import migrate

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA synchronous=FULL")
left = int(sys.argv[2])

def step(statement):
    global left
    left -= 1
    if left == 0:
        os._exit(9)

connection.set_trace_callback(step)
migrate(connection, version=1)
"""


def test_a_cut_in_the_midst_leaves_either_version_whole(tmp_path: Path) -> None:
    path, cuts = tmp_path / "store.db", 0
    versions: list[int] = []
    while not versions or versions[-1] == 1:
        for old in tmp_path.glob("store.db*"):
            old.unlink()
        former(tmp_path)
        cuts += 16
        done = subprocess.run([sys.executable, "-c", CUT, str(path), str(cuts)], cwd=ROOT, timeout=60, check=False)
        assert done.returncode in (0, 9)
        with sqlite3.connect(path) as store:
            versions += store.execute("PRAGMA user_version").fetchone()
        store.close()
        journal = opened(tmp_path, BentClock(LATER_NS))
        assert {name: count for name, count in totals(journal.ledger()).items() if count} == V1
        journal.close()
    assert len(versions) > 2
    assert versions[-1] == SCHEMA_VERSION


def test_nobody_pays_for_the_library_that_migrates_where_there_is_nothing_to_migrate(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from tests.laws.journals import BentClock, opened
opened(Path({str(tmp_path)!r}), BentClock()).close()
sys.exit("sqlite_utils" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False).returncode == 0
