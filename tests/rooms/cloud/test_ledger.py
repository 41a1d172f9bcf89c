"""A gateway's own journal on one side, the store on the other: their counts agree, and a difference is seen."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from cloud.fleet.ledger import RECOUNT_AFTER_S, Balance, Books, judge
from cloud.store.reader import LedgerPair, Reader
from cloud.store.rebuild import rebuild
from cloud.store.writer import Seen, Writer
from edge.clock import SystemClock
from edge.contract.block import decode_block, encode_block
from edge.contract.types import Ack, LedgerRow, Quality
from edge.journal import SqliteJournal
from tests.rooms.cloud.sending import BOOT, GATEWAY, SPINDLE, START_NS, batch


class Chain:
    """A journal and a store; ``deliver`` is the uplink between them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.journal = SqliteJournal(folder / "journal.sqlite3", gateway=GATEWAY, clock=SystemClock())
        self.writer = Writer(folder / "cloud")
        self.now_s = 0.0
        self.books = Books(monotonic_s=lambda: self.now_s)
        self.journal.record(SPINDLE)

    def poll(self, first: int, last: int, *, bad: Quality | None = None, report: bool = True) -> None:
        for second in range(first, last):
            one = batch(second, 1.0, bad=bad)
            self.journal.offer(one.asset, one.tags)
            self.journal.append(one)
        if report:
            self.journal.report()
        self.journal.commit()

    def deliver(self, *, lose: int | None = None, thin: bool = False) -> None:
        """Send all that is pending; ``lose`` drops that one of the blocks, ``thin`` takes the last poll out of each."""
        for place, stored in enumerate(self.journal.pending(limit_bytes=2**20)):
            data = thinned(stored.data) if thin else stored.data
            if place != lose:
                block = decode_block(data)
                through = self.writer.store(GATEWAY, self.journal.epoch, [(data, block)], Seen(START_NS))
                self.journal.acknowledge(Ack(self.journal.epoch, through, (stored.seq,)))

    def balance(self) -> Balance:
        reader = Reader(self._folder / "cloud")
        asset = reader.asset(GATEWAY, "spindle-1")
        assert asset is not None
        found = self.books.balance(reader, asset)
        reader.close()
        return found

    def close(self) -> None:
        self.journal.close()
        self.writer.close()


def thinned(data: bytes) -> bytes:
    block = decode_block(data)
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
    assert (found.state, found.compared, found.waiting) == ("agrees", 6, 0)
    assert (found.offered, found.bad_bus) == (90 * 3, 20)
    assert found.held_good == found.good == 90 * 3 - 20
    chain.close()


def test_the_hour_that_runs_is_verified_up_to_the_gateways_last_row(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.poll(0, 10)
    chain.poll(10, 17, report=False)
    chain.deliver()
    for _ in range(2):
        found = chain.balance()
        assert (found.state, found.compared, found.waiting) == ("agrees", 3, 0)
        assert (found.held_good, found.later_good) == (30, 21)
    chain.poll(17, 20, report=False)
    chain.deliver()
    found = chain.balance()
    assert (found.state, found.held_good, found.later_good) == ("agrees", 30, 30)
    chain.poll(20, 21)
    chain.deliver()
    found = chain.balance()
    assert (found.state, found.held_good, found.later_good) == ("agrees", 63, 0)
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
    assert judge(replace(pair, told=replace(told, dropped_power=1), held_good=9)) == "agrees"
