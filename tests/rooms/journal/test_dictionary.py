"""Names lie in the epoch's dictionary, once; each block is handed out with as much of it as it needs."""

from __future__ import annotations

from pathlib import Path

from edge.contract.block import open_dictionary, peek
from edge.contract.dictionary import CONTENT_BYTES_MAX
from edge.contract.types import ClockSet, Lane
from edge.journal import SqliteJournal, totals
from edge.ports import StoredBlock
from tests.laws.journals import BOOT, GOOD, TAGS, BentClock, batch, killed, opened, opened_block


def polled(journal: SqliteJournal, clock: BentClock, *assets: str) -> None:
    clock.pass_s(1)
    for asset in assets:
        journal.offer(asset, TAGS)
        journal.append(batch(clock, 1, GOOD, asset=asset))
    journal.commit()


def with_readings(journal: SqliteJournal) -> list[StoredBlock]:
    return [block for block in journal.pending(limit_bytes=10**9) if block.readings]


def assets_in(block: StoredBlock) -> set[str]:
    return {one.asset for one in opened_block(block).batches()}


def test_the_dictionary_grows_at_its_end_and_each_block_keeps_the_one_that_it_was_sealed_with(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    polled(journal, clock, "pump-1")
    polled(journal, clock, "pump-1", "pump-2")
    polled(journal, clock, "pump-1")
    before = with_readings(journal)
    journal.close()
    again = opened(tmp_path, clock)
    polled(again, clock, "pump-2")
    after = with_readings(again)
    assert after[:3] == before, "a restart hands out the same bytes"
    groups = [open_dictionary(block.dictionary).groups for block in after]
    assert groups == [(("pump-1", TAGS),), *[(("pump-1", TAGS), ("pump-2", TAGS))] * 3]
    assert [assets_in(block) for block in after] == [{"pump-1"}, {"pump-1", "pump-2"}, {"pump-1"}, {"pump-2"}]
    for block in after:
        assert peek(block.data).dictionary == open_dictionary(block.dictionary).digest
        assert b"pump" not in block.data
    again.close()


def test_a_block_without_readings_needs_none(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    polled(journal, clock, "pump-1")
    journal.record(ClockSet(BOOT, 1, 2, 3))
    journal.record(ClockSet(BOOT, 4, 5, 6), lane=Lane.URGENT)
    journal.commit()
    assert [len(block.dictionary) for block in journal.pending(limit_bytes=10**9) if not block.readings] == [0, 0]
    journal.close()


def test_names_beyond_what_a_dictionary_holds_lie_in_the_blocks(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    polled(journal, clock, "pump-1")
    journal.offer("long-1", ("x" * CONTENT_BYTES_MAX,))
    polled(journal, clock, "pump-1")
    (first, second) = with_readings(journal)
    assert assets_in(first) == assets_in(second) == {"pump-1"}
    assert second.dictionary == first.dictionary
    polled(journal, clock, "late-1")
    assert assets_in(with_readings(journal)[-1]) == {"late-1"}
    assert totals(journal.ledger())["dropped"] == 0
    killed(journal)
