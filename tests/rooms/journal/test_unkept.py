"""A journal in memory stands in for a store that cannot be opened, and what becomes of it once that can be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.contract.types import Ack, Cause, Dropped
from edge.journal import SqliteJournal, UnkeptJournal, open_unkept, take_over, totals
from edge.stand_in import stand_in
from tests.laws.journals import TAGS, BentClock, killed, opened, opened_block, poll

WHY = "store.db cannot be opened: read-only file system"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(stand_in(tmp_path), ignore_errors=True)


def is_alarm(name: str) -> bool:
    return name.startswith("alarm")


def unkept(folder: Path, clock: BentClock) -> UnkeptJournal:
    return open_unkept(folder / "store.db", "gw-1", clock=clock, why=WHY, remembered=is_alarm)


def polled(journal: SqliteJournal, clock: BentClock, times: int) -> None:
    for number in range(times):
        clock.pass_s(1)
        poll(journal, clock, number)
        journal.commit()


def followed(folder: Path, clock: BentClock) -> SqliteJournal:
    """The store that can be opened again."""
    journal = opened(folder, clock)
    take_over(journal, folder / "store.db", "gw-1", clock=clock, remembered=is_alarm)
    return journal


def told(journal: SqliteJournal) -> list[Dropped]:
    blocks = [opened_block(block) for block in journal.pending(limit_bytes=10**8)]
    return [record for block in blocks for record in block.records if isinstance(record, Dropped)]


def test_it_takes_and_hands_out_all_and_calls_none_of_it_kept(folder: Path) -> None:
    clock = BentClock()
    journal = unkept(folder, clock)
    polled(journal, clock, 5)
    journal.keep("command", b"written")
    journal.commit()
    assert journal.trouble == WHY
    assert not journal.is_durable("command"), "no command may trust in it"
    assert totals(journal.ledger())["pending"] == 5 * len(TAGS)
    assert list(folder.iterdir()) == [], "nothing is written where nothing can be"
    assert stand_in(folder).stat().st_mode & 0o777 == 0o700
    journal.close()


def test_what_has_not_gone_up_is_declared_and_what_is_remembered_is_taken_over(folder: Path) -> None:
    clock = BentClock()
    journal = unkept(folder, clock)
    polled(journal, clock, 5)
    handed = journal.pending(limit_bytes=10**8)
    journal.acknowledge(Ack(journal.epoch, handed[0].seq))
    journal.keep_together({"alarm.3": b"stands", "seals": b"of its epoch"})
    journal.close()
    after = followed(folder, clock)
    assert after.epoch != journal.epoch
    assert (after.kept("alarm.3"), after.kept("seals")) == (b"stands", None)
    lost = told(after)
    assert {(one.tag, one.cause, one.count) for one in lost} == {(tag, Cause.DISK, 4) for tag in TAGS}
    sums = totals(after.ledger())
    assert (sums["dropped"], sums["offered"]) == (4 * len(TAGS), 4 * len(TAGS))
    assert all(row.balanced for row in after.ledger())
    assert not stand_in(folder).exists()
    after.close()


def test_what_has_gone_up_is_no_loss(folder: Path) -> None:
    clock = BentClock()
    journal = unkept(folder, clock)
    polled(journal, clock, 3)
    handed = journal.pending(limit_bytes=10**8)
    journal.acknowledge(Ack(journal.epoch, handed[-1].seq))
    journal.report()
    journal.commit()
    handed = journal.pending(limit_bytes=10**8)
    journal.acknowledge(Ack(journal.epoch, handed[-1].seq))
    killed(journal)
    after = followed(folder, clock)
    assert told(after) == []
    after.close()


def test_a_store_that_was_there_is_gone_on_from_and_followed(folder: Path) -> None:
    clock = BentClock()
    before = opened(folder, clock)
    before.keep_together({"alarm": b"head", "alarm.1": b"latched", "alarm.2": b"minor", "command": b"chain"})
    before.close()
    journal = unkept(folder, clock)
    assert (journal.kept("alarm.1"), journal.kept("command")) == (b"latched", None)
    journal.keep_together({"alarm.1": b"reset", "alarm": b"head 2"})
    journal.commit()
    killed(journal)
    journal = unkept(folder, clock)
    assert journal.kept("alarm.1") == b"reset", "it outlives its process"
    journal.close()
    after = followed(folder, clock)
    assert [after.kept(name) for name in ("alarm", "alarm.1", "alarm.2", "command")] == [
        b"head 2", b"reset", b"minor", b"chain",
    ]  # fmt: skip
    assert after.epoch == before.epoch
    after.close()


def test_a_kill_amid_the_taking_over_declares_nothing_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = BentClock()
    journal = unkept(folder, clock)
    polled(journal, clock, 5)
    journal.close()
    with monkeypatch.context() as patch:
        patch.setattr("edge.journal.unkept.shutil.rmtree", lambda *_, **__: None)
        killed(followed(folder, clock))
    assert stand_in(folder).exists()
    after = followed(folder, clock)
    assert totals(after.ledger())["dropped"] == 5 * len(TAGS)
    assert not stand_in(folder).exists()
    after.close()


def test_a_folder_of_somebody_elses_in_memory_is_not_used(folder: Path) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    stand_in(folder).symlink_to(elsewhere)
    try:
        with pytest.raises(FileExistsError):
            unkept(folder, BentClock())
        assert list(elsewhere.iterdir()) == []
    finally:
        stand_in(folder).unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a folder to somebody else")
@pytest.mark.parametrize("planted", ["somebody else's", "open to all"])
def test_a_store_that_somebody_else_planted_there_is_not_taken_over(folder: Path, planted: str) -> None:
    clock = BentClock()
    journal = unkept(folder, clock)
    polled(journal, clock, 5)
    journal.close()
    if planted == "open to all":
        stand_in(folder).chmod(0o777)
    else:
        os.chown(stand_in(folder), 65534, 65534)
    after = followed(folder, clock)
    assert told(after) == []
    after.close()
    assert stand_in(folder).exists()
    with pytest.raises(FileExistsError):
        unkept(folder, clock)
