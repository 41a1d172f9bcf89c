"""Which numbers of a stream are settled: the mark passes over what will never come, and tells it from what is lost."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.store import accounts, numbers
from cloud.store.retention import Retention
from cloud.store.schema import ADDED, TRUTH
from cloud.store.writer import Seen, Writer
from edge.contract.block import decode_block
from tests.rooms.cloud.sending import EPOCH, GATEWAY, SECOND_NS, START_NS, telemetry

DAY_NS = 86_400 * SECOND_NS


def store() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(TRUTH + ADDED)
    connection.execute("INSERT INTO gateway VALUES (1, 'g', 0, 0, 0, 0)")
    connection.execute("INSERT INTO stream(id, gateway, epoch) VALUES (1, 1, 'e')")
    return connection


def hold(connection: sqlite3.Connection, seq: int) -> None:
    numbers.come_after_all(connection, 1, seq)
    connection.execute("INSERT INTO block(stream, seq, received_ns, readings, bytes) VALUES (1,?,0,1,x'00')", (seq,))


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(["hold", "oldest", "remove"]), st.integers(1, 40)), max_size=60))
def test_whatever_happens_no_number_up_to_the_mark_is_without_a_reason(steps: list[tuple[str, int]]) -> None:
    connection = store()
    held: set[int] = set()
    removed: set[int] = set()
    oldest = 1
    for what, number in steps:
        if what == "hold" and number not in held | removed:
            hold(connection, number)
            held.add(number)
        elif what == "oldest":
            oldest = max(oldest, number)
        elif what == "remove" and held:
            first = min(held)
            numbers.removed(connection, 1, first)
            connection.execute("DELETE FROM block WHERE seq=?", (first,))
            held.discard(first)
            removed.add(first)
            oldest = max(oldest, first + 1)
        through = numbers.settle(connection, 1, oldest)
        expected = oldest - 1
        while expected + 1 in held:
            expected += 1
        assert through == expected
        assert accounts.gone(connection, 1, 1, through) == 0
        assert all(numbers.was_removed(connection, 1, seq) == (seq in removed) for seq in range(1, 42))
    rows = connection.execute("SELECT first_seq, last_seq, cause FROM absent ORDER BY first_seq").fetchall()
    for (_, last, cause), (first, _, next_cause) in pairwise(rows):
        assert last < first
        assert last + 1 < first or cause != next_cause, "runs that touch are one"


def kept(writer: Writer, seq: int, *, at_ns: int = START_NS, oldest: int = 1) -> int:
    data = telemetry(seq)
    return writer.store(GATEWAY, EPOCH, [(data, decode_block(data))], Seen(at_ns), oldest=oldest)


def test_a_hole_does_not_freeze_the_mark_and_a_block_that_comes_after_all_is_taken(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    assert [kept(writer, seq, oldest=oldest) for seq, oldest in ((1, 1), (5, 1), (6, 4), (9, 9))] == [1, 1, 3, 9]
    assert kept(writer, 3) == 9
    assert writer.holds(decode_block(telemetry(3)).header.key, telemetry(3)) == "same"
    writer.close()


def test_what_the_policy_removed_is_counted_is_no_loss_and_does_not_come_back(tmp_path: Path) -> None:
    now_s = 0.0
    writer = Writer(tmp_path, policy=Retention(raw_days=30), monotonic_s=lambda: now_s)
    for seq in (1, 2, 4):
        kept(writer, seq)
    kept(writer, 5, at_ns=START_NS + 20 * DAY_NS)
    assert writer.tidy(START_NS + 31 * DAY_NS)
    connection = sqlite3.connect(tmp_path / "cloud.sqlite3")
    assert connection.execute("SELECT seq FROM block").fetchall() == [(5,)]
    assert connection.execute("SELECT removed_blocks, removed_readings FROM stream").fetchone() == (3, 45)
    assert accounts.gone(connection, 1, 1, 5) == 0
    connection.close()
    old = telemetry(2)
    assert writer.holds(decode_block(old).header.key, old) == "same"
    assert writer.holds(decode_block(telemetry(3)).header.key, telemetry(3)) == "no"
    writer.close()


@pytest.mark.parametrize("oldest", [0, 1])
def test_a_gateway_that_says_nothing_of_its_oldest_moves_nothing(tmp_path: Path, oldest: int) -> None:
    writer = Writer(tmp_path)
    assert kept(writer, 2, oldest=oldest) == 0
    writer.close()
