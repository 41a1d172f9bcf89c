"""The chain of verdicts beside a real journal: through clean ends, kills and an altered state."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edge.contract.seal import LEAP, Link, genesis
from edge.contract.types import Urgency, Verdict
from edge.infer.book import Book
from edge.journal import SqliteJournal
from tests.laws.journals import BentClock, killed, opened, opened_block


def judged(asset: str = "pump-1") -> Verdict:
    return Verdict(asset, 1, "", 90.0, 0.1, False, None, None, None, Urgency.UNKNOWN, (), 1.0)


def durable(journal: SqliteJournal) -> list[Verdict]:
    blocks = [opened_block(block) for block in journal.pending(limit_bytes=2**30)]
    return [record for block in blocks for record in block.records if isinstance(record, Verdict)]


def holds(journal: SqliteJournal, verdicts: list[Verdict], asset: str = "pump-1") -> list[bool]:
    link, held = Link(0, genesis("gw-1", journal.epoch, asset)), []
    for verdict in verdicts:
        held.append(link.holds(verdict))
        link = link.after(verdict)
    return held


def test_a_clean_end_leaves_no_break(tmp_path: Path) -> None:
    clock = BentClock()
    for _ in range(3):
        journal = opened(tmp_path, clock)
        book = Book(journal, "gw-1")
        book.enter(judged())
        book.enter(judged())
        book.close()
        journal.close()
    journal = opened(tmp_path, clock)
    found = durable(journal)
    assert [one.number for one in found] == [1, 2, 3, 4, 5, 6]
    assert all(holds(journal, found))


def test_after_a_kill_the_chain_goes_on_from_what_is_durable_and_uses_no_number_twice(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    book = Book(journal, "gw-1")
    shown = [book.enter(judged()) for _ in range(3)]
    journal.commit()
    shown += [book.enter(judged()) for _ in range(2)]
    killed(journal)
    journal = opened(tmp_path, clock)
    later = Book(journal, "gw-1").enter(judged())
    journal.commit()
    found = durable(journal)
    assert [one.number for one in found] == [1, 2, 3, 4 + LEAP]
    assert all(holds(journal, found)), "a leap is the gateway's own word, and the link holds over it"
    assert later.number not in {one.number for one in shown}


def test_a_kill_before_the_first_commit_begins_anew(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    journal.commit()
    Book(journal, "gw-1").enter(judged())
    killed(journal)
    journal = opened(tmp_path, clock)
    assert Book(journal, "gw-1").enter(judged()).number == 1, "nothing of it was ever durable"


def test_each_asset_has_a_chain_of_its_own(tmp_path: Path) -> None:
    journal = opened(tmp_path, BentClock())
    book = Book(journal, "gw-1")
    numbers = [book.enter(judged(asset)).number for asset in ("pump-1", "fan-1", "pump-1")]
    assert numbers == [1, 1, 2]


def test_a_state_that_the_disk_altered_begins_the_chain_again_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    clock = BentClock()
    journal = opened(tmp_path, clock)
    book = Book(journal, "gw-1")
    book.enter(judged())
    book.close()
    journal.close()
    with sqlite3.connect(tmp_path / "store.db") as db:
        assert db.execute("UPDATE state SET data = ? WHERE name = 'seals'", (b"\0" * 90,)).rowcount == 1
    journal = opened(tmp_path, clock)
    again = Book(journal, "gw-1").enter(judged())
    journal.commit()
    assert "seals was altered" in caplog.text
    assert again.number == 1
    assert holds(journal, durable(journal)) == [True, False], "the receiver sees that it began again"
