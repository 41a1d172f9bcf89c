"""A gateway's blocks come back in the order of sealing, whatever the order in which they arrived."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from cloud.store.reader import Reader
from cloud.store.replay import blocks_of, extents, upto
from cloud.store.sequence import READ_AT_ONCE
from cloud.store.writer import Seen, Writer
from edge.contract.block import decode_block
from tests.rooms.cloud.sending import EPOCH, GATEWAY, START_NS, telemetry


def kept(folder: Path, seqs: list[int]) -> Reader:
    writer = Writer(folder)
    for seq in seqs:
        data = telemetry(seq)
        writer.store(GATEWAY, EPOCH, [(data, decode_block(data))], Seen(START_NS))
    writer.close()
    return Reader(folder)


def test_blocks_come_in_the_order_of_sealing_page_after_page(tmp_path: Path) -> None:
    count = READ_AT_ONCE + 3
    reader = kept(tmp_path, [count, *range(1, count)])
    (extent,) = extents(reader)
    assert (extent.gateway, extent.epoch, extent.last_seq, extent.blocks, extent.missing) == (
        GATEWAY, EPOCH, count, count, 0,
    )  # fmt: skip
    found = list(blocks_of(reader, extent))
    assert [seq for seq, _ in found] == list(range(1, count + 1))
    at_ns = [batch.read_ns for _, block in found if block for batch in block.batches()]
    assert at_ns == sorted(at_ns)


def test_an_extent_of_then_holds_what_it_held_then(tmp_path: Path) -> None:
    reader = kept(tmp_path, [1, 2, 4, 5])
    then = upto(reader, GATEWAY, EPOCH, 3)
    assert then is not None
    assert (then.blocks, then.missing) == (2, 1)
    assert [seq for seq, _ in blocks_of(reader, then)] == [1, 2]
    assert upto(reader, GATEWAY, "00" * 16, 3) is None


def test_an_altered_block_is_told_and_not_taken(tmp_path: Path) -> None:
    kept(tmp_path, [1, 2, 3]).close()
    with sqlite3.connect(tmp_path / "cloud.sqlite3") as connection:
        (data,) = connection.execute("SELECT bytes FROM block WHERE seq=2").fetchone()
        altered = data[:-9] + bytes((data[-9] ^ 1,)) + data[-8:]
        connection.execute("UPDATE block SET bytes=? WHERE seq=2", (altered,))
    reader = Reader(tmp_path)
    found = dict(blocks_of(reader, extents(reader)[0]))
    assert found[2] is None
    assert found[1] is not None
    assert found[3] is not None
