"""A gateway's own journal on one side, the store on the other: their counts agree, and a difference is seen."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cloud.fleet.audit import RECOUNT_AFTER_S, Audit
from cloud.fleet.ledger import LATER_S, RECHECK_S, Balance, Books, judge
from cloud.store.accounts import LedgerPair
from cloud.store.reader import Reader
from cloud.store.rebuild import rebuild
from cloud.store.writer import Seen, Writer
from edge.clock import SystemClock
from edge.config.scans import Deadband
from edge.contract.block import Block, decode_block, encode_block, peek
from edge.contract.dictionary import open_dictionary
from edge.contract.types import Ack, LedgerRow, Quality, Record
from edge.journal import ByException, SqliteJournal
from edge.ports import Clock
from tests.rooms.cloud.sending import BOOT, GATEWAY, SPINDLE, START_NS, at_once, batch, block

DAY_S = 86_400


class Chain:
    """A journal and a store; ``deliver`` is the uplink between them."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self._folder, self._clock = folder, clock or SystemClock()
        self.open_journal()
        self.writer = Writer(folder / "cloud", allowance=at_once())
        self.now_s = 0.0
        self.audit = Audit(monotonic_s=lambda: self.now_s)
        self.books = Books(monotonic_s=lambda: self.now_s, faults=self.audit.faults)
        self.journal.record(SPINDLE)

    def open_journal(self) -> None:
        self.journal = SqliteJournal(self._folder / "journal.sqlite3", gateway=GATEWAY, clock=self._clock, boot=BOOT)

    def poll(self, first: int, last: int, *, bad: Quality | None = None, report: bool = True) -> None:
        for second in range(first, last):
            one = batch(second, 1.0, bad=bad)
            self.journal.offer(one.asset, one.tags)
            self.journal.append(one)
        if report:
            self.journal.report()
        self.journal.commit()

    def deliver(self, *, lose: int | None = None, thin: bool = False, oldest: int = 1) -> list[Block]:
        """Send all that is pending; ``lose`` drops that one of the blocks, ``thin`` takes the last poll out of each."""
        sent = []
        for place, stored in enumerate(self.journal.pending(limit_bytes=2**20)):
            data = thinned(stored.data, stored.dictionary) if thin else stored.data
            if place != lose:
                found = opened(data, stored.dictionary)
                through = self.writer.store(
                    GATEWAY, self.journal.epoch, [(data, found)], Seen(START_NS), oldest=oldest,
                    dictionaries=[(found.header.dictionary, stored.dictionary)] if stored.dictionary else [],
                )  # fmt: skip
                self.journal.acknowledge(Ack(self.journal.epoch, through, (stored.seq,)))
                sent.append(found)
        return sent

    def declare_lost(self, told: Sequence[LedgerRow]) -> None:
        """What a gateway's correction says: of each row one good reading was lost to a power cut after all."""
        rows = [replace(row, acknowledged=0, pending=0, dropped_power=1) for row in told]
        self.send_as(GATEWAY, self.journal.epoch, *rows, seq=self.journal.last_seq + 1)

    def send_as(self, gateway: str, epoch: str, *records: Record, seq: int = 1) -> None:
        data = block(seq, records=records, gateway=gateway, epoch=epoch)
        self.writer.store(gateway, epoch, [(data, decode_block(data))], Seen(START_NS + int(self.now_s * 1e9)))

    def read_again(self) -> None:
        """All blocks of the store, and once more around."""
        reader = Reader(self._folder / "cloud")
        for _ in range(4):
            self.audit.read_on(reader)
        reader.close()

    def balance(self, *, after_s: int = 0) -> Balance:
        """As a page shows it ``after_s`` after the start."""
        reader = Reader(self._folder / "cloud")
        asset = reader.asset(GATEWAY, "spindle-1")
        assert asset is not None
        found = self.books.balance(reader, asset, START_NS // 10**9 + after_s)
        reader.close()
        return found

    def close(self) -> None:
        self.journal.close()
        self.writer.close()


def opened(data: bytes, dictionary: bytes = b"") -> Block:
    return decode_block(data, {peek(data).dictionary: open_dictionary(dictionary)} if dictionary else {})


def thinned(data: bytes, dictionary: bytes) -> bytes:
    block = opened(data, dictionary)
    head = block.header
    return encode_block(
        head.key, boot=BOOT, lane=head.lane, sealed_ns=head.sealed_ns, batches=list(block.batches())[:-1],
        records=block.records,
    )  # fmt: skip


def test_both_sides_agree_once_everything_is_delivered(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.poll(0, 50)
    chain.poll(50, 70, bad=Quality.BAD_BUS)
    chain.poll(3590, 3610)
    chain.deliver()
    found = chain.balance()
    assert (found.state, found.sums.compared, found.sums.waiting) == ("agrees", 6, 0)
    assert (found.sums.offered, found.sums.bad_bus) == (90 * 3, 20)
    assert found.sums.held_good == found.sums.good == 90 * 3 - 20
    chain.close()


def test_what_was_counted_since_a_row_is_forgotten_once_the_next_has_come(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    for minute in range(5):
        chain.poll(minute * 60, minute * 60 + 1)
        for second in range(1, 60):
            chain.poll(minute * 60 + second, minute * 60 + second + 1, report=False)
        chain.deliver()
        assert chain.balance(after_s=minute * 60).sums.later_good > 0
        chain.now_s += 60
    assert len(chain.books._later) <= LATER_S, "a block a second, and only what came since the last rows"
    chain.close()


def test_the_hour_that_runs_is_verified_up_to_the_gateways_last_row(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.poll(0, 10)
    chain.poll(10, 17, report=False)
    chain.deliver()
    for _ in range(2):
        found = chain.balance()
        assert (found.state, found.sums.compared, found.sums.waiting) == ("agrees", 3, 0)
        assert (found.sums.held_good, found.sums.later_good) == (30, 21)
    chain.poll(17, 20, report=False)
    chain.deliver()
    found = chain.balance()
    assert (found.state, found.sums.held_good, found.sums.later_good) == ("agrees", 30, 30)
    chain.poll(20, 21)
    chain.deliver()
    found = chain.balance()
    assert (found.state, found.sums.held_good, found.sums.later_good) == ("agrees", 63, 0)
    chain.close()


def test_a_block_that_has_not_come_is_waited_for(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    for first in range(0, 40, 10):
        chain.poll(first, first + 10)
    chain.deliver(lose=1)
    assert chain.balance().state == "waiting"
    chain.deliver()
    assert chain.balance().state == "agrees"
    chain.close()


def test_readings_that_vanished_on_the_way_are_found(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.poll(0, 20)
    chain.deliver(thin=True)
    found = chain.balance()
    assert found.state == "disagrees"
    assert [(m.tag, m.expected, m.held) for m in found.mismatches] == [(tag.tag, 20, 19) for tag in SPINDLE.tags]
    chain.close()


def test_a_block_that_the_store_has_lost_since_is_found_and_rebuilding_says_where(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    for first in range(0, 40, 10):
        chain.poll(first, first + 10)
    chain.deliver()
    assert (chain.balance().state, chain.balance().gone) == ("agrees", 0)
    with sqlite3.connect(tmp_path / "cloud" / "cloud.sqlite3") as connection:
        connection.execute("DELETE FROM block WHERE seq = (SELECT min(seq) FROM block WHERE readings > 0)")
    connection.close()
    assert chain.balance().gone == 0, "the blocks are not counted for every look"
    chain.now_s += RECOUNT_AFTER_S
    assert (chain.balance().state, chain.balance().gone, chain.balance().mismatches) == ("disagrees", 1, ())
    chain.close()
    rebuild(tmp_path / "cloud")
    found = chain.balance()
    assert (found.state, found.gone) == ("disagrees", 1)
    assert [(m.tag, m.expected, m.held) for m in found.mismatches] == [(tag.tag, 40, 30) for tag in SPINDLE.tags]


def test_more_than_the_gateway_kept_is_found_as_well() -> None:
    told = LedgerRow("a", "t", 0, offered=10, kept=10)
    pair = LedgerPair("t", 0, 1, told, 7, held_good=10, held_bad=0, held_seq=7, through=7)
    assert judge(pair) == "agrees"
    assert judge(replace(pair, held_good=11)) == "disagrees"
    assert judge(replace(pair, held_good=11, held_seq=8)) == "waiting"
    assert judge(replace(pair, held_good=9, held_seq=8)) == "disagrees"
    assert judge(replace(pair, told=None)) == "waiting"
    lost = replace(pair, told=replace(told, dropped_power=1, thinned=2))
    assert [judge(replace(lost, held_good=held)) for held in (6, 7, 8, 10, 11)] == [
        "disagrees", "agrees", "agrees", "agrees", "disagrees",
    ]  # fmt: skip


def test_older_hours_are_summed_by_days_and_months_and_made_anew_when_a_block_comes(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    for day in (0, 1, 40):
        chain.poll(day * DAY_S, day * DAY_S + 10)
    chain.deliver()
    found = chain.balance(after_s=40 * DAY_S + 60)
    assert [span.to_s - span.from_s for span in found.spans] == [3600, found.spans[1].to_s - found.spans[1].from_s]
    assert (found.state, found.uncounted, found.sums.offered, found.sums.compared) == ("agrees", 0, 90, 9)
    found = chain.balance(after_s=10 * DAY_S)
    assert [span.to_s - span.from_s for span in found.spans] == [3600, DAY_S, DAY_S]
    chain.poll(DAY_S + 100, DAY_S + 105)
    blocks = chain.deliver()
    assert chain.balance(after_s=10 * DAY_S).sums.offered == 90, "what is remembered stands until it is told"
    chain.books.arrived(GATEWAY, blocks)
    chain.now_s += RECHECK_S
    found = chain.balance(after_s=10 * DAY_S)
    assert (found.state, found.sums.offered, found.sums.held_good) == ("agrees", 105, 105)
    chain.close()


def test_a_number_that_the_gateway_let_go_is_not_waited_for_and_is_no_loss_here(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    for first in range(0, 40, 10):
        chain.poll(first, first + 10)
    dropped = next(stored for stored in chain.journal.pending(limit_bytes=2**20) if stored.seq == 2)
    chain.journal.acknowledge(Ack(chain.journal.epoch, 0, (), ((dropped.seq, "cannot be read"),)))
    chain.deliver()
    assert chain.balance().state == "waiting"
    chain.poll(40, 50)
    chain.deliver(oldest=chain.journal.oldest())
    found = chain.balance()
    assert (found.state, found.gone, found.sums.dropped, found.sums.waiting) == ("agrees", 0, 30, 0)
    chain.close()


def test_a_block_that_was_altered_in_the_store_is_found_by_reading_it_again(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    for first in range(0, 40, 10):
        chain.poll(first, first + 10)
    chain.deliver()
    chain.read_again()
    assert chain.balance().altered == 0
    with sqlite3.connect(tmp_path / "cloud" / "cloud.sqlite3") as connection:
        (data,) = connection.execute("SELECT bytes FROM block WHERE seq = 2").fetchone()
        connection.execute("UPDATE block SET bytes = ? WHERE seq = 2", (data[:-9] + b"x" + data[-8:],))
    connection.close()
    chain.read_again()
    found = chain.balance()
    assert (found.state, found.gone, found.altered) == ("disagrees", 0, 1)
    chain.close()


def test_both_sides_agree_where_changes_alone_are_kept_and_a_lost_one_is_seen(tmp_path: Path) -> None:
    bands = {tag: Deadband(0.5, 0.0, 5 * 10**9) for tag in ("vibration_mm_s", "running")}

    def polled(chain: Chain, *, lose: int | None = None) -> Balance:
        kept = ByException(chain.journal, {"spindle-1": bands})
        for second in range(30):
            one = batch(second, 1.0 if second % 10 else 2.0, bad=Quality.BAD_BUS if second == 15 else None)
            chain.journal.offer(one.asset, one.tags)
            kept.append(one)
            if second == 14:
                chain.journal.commit()
        chain.journal.report()
        chain.journal.commit()
        chain.deliver(lose=lose)
        found = chain.balance()
        chain.close()
        return found

    agreed = polled(Chain(tmp_path / "a"))
    assert (agreed.state, agreed.mismatches) == ("agrees", ())
    sums = agreed.sums
    assert (sums.offered, sums.bad, sums.unchanged) == (90, 1, sums.good - sums.kept)
    assert 30 < sums.unchanged < 60
    assert sums.held_good == sums.expected == sums.kept
    assert polled(Chain(tmp_path / "b"), lose=0).state != "agrees"
