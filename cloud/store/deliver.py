"""What one request brings of one stream, and how it is stored: the truth, without what is derived from it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cloud.store import numbers
from cloud.store.dictionaries import keep
from cloud.store.stored import Stored
from cloud.store.trouble import Refusal, count_refusal
from edge.contract.block import Block
from edge.contract.types import Alarm, Key, Quality, Verdict


@dataclass(frozen=True, slots=True)
class Seen:
    """When a gateway spoke, and what it said still waits in its journal."""

    at_ns: int
    backlog_blocks: int = 0
    backlog_readings: int = 0


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A block that is held already, sent again; ``readings`` by its header."""

    key: Key
    readings: int


def count_readings(block: Block) -> tuple[int, int]:
    """Good and bad readings of a block, counted from its quality columns."""
    bad = sum(int(np.count_nonzero(s.quality >= Quality.BAD_BUS)) for s in block.series)
    return sum(s.quality.size for s in block.series) - bad, bad


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one request brings of one stream.

    ``dictionaries`` are digests with bytes that were found sound; what is missing below ``oldest`` never comes.
    """

    gateway: str
    epoch: str
    blocks: Sequence[tuple[bytes, Block]]
    seen: Seen
    dictionaries: Sequence[tuple[bytes, bytes]] = ()
    oldest: int = 1
    duplicates: Sequence[Duplicate] = ()
    refusals: Sequence[Refusal] = ()


def deliver(connection: sqlite3.Connection, delivery: Delivery, fresh: list[Stored]) -> int:
    """Store one delivery inside the caller's transaction, add its blocks to ``fresh``; returns ``through``."""
    at_ns = delivery.seen.at_ns
    gateway = _gateway(connection, delivery.gateway, delivery.seen)
    stream, through = _stream(connection, gateway, delivery.epoch)
    for digest, data in delivery.dictionaries:
        keep(connection, gateway, digest, data, at_ns)
    counts = []
    for data, block in delivery.blocks:
        good, bad = count_readings(block)
        fresh.append(
            Stored(_insert(connection, stream, through, at_ns, data, block, good + bad), stream, gateway, block)
        )
        counts.append((good, bad))
    _count(connection, stream, delivery, counts)
    for refusal in delivery.refusals:
        count_refusal(connection, delivery.gateway, refusal, at_ns)
    return numbers.settle(connection, stream, delivery.oldest)


def _gateway(connection: sqlite3.Connection, gateway: str, seen: Seen) -> int:
    row = connection.execute(
        "INSERT INTO gateway(gateway, first_seen_ns, last_seen_ns, backlog_blocks, backlog_readings)"
        " VALUES (?,?,?,?,?) ON CONFLICT(gateway) DO UPDATE SET last_seen_ns = excluded.last_seen_ns,"
        " backlog_blocks = excluded.backlog_blocks, backlog_readings = excluded.backlog_readings RETURNING id",
        (gateway, seen.at_ns, seen.at_ns, seen.backlog_blocks, seen.backlog_readings),
    ).fetchone()
    return int(row[0])


def _stream(connection: sqlite3.Connection, gateway: int, epoch: str) -> tuple[int, int]:
    """Its row, and its mark."""
    where = (gateway, epoch)
    connection.execute("INSERT OR IGNORE INTO stream(gateway, epoch) VALUES (?,?)", where)
    row = connection.execute("SELECT id, through FROM stream WHERE gateway=? AND epoch=?", where).fetchone()
    return int(row[0]), int(row[1])


def _insert(
    connection: sqlite3.Connection, stream: int, through: int, at_ns: int, data: bytes, block: Block, readings: int
) -> int:
    seq = block.header.key.seq
    if seq <= through:
        numbers.come_after_all(connection, stream, seq)
    cursor = connection.execute(
        "INSERT INTO block(stream, seq, received_ns, readings, bytes) VALUES (?,?,?,?,?)",
        (stream, seq, at_ns, readings, data),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _count(connection: sqlite3.Connection, stream: int, delivery: Delivery, counts: Sequence[tuple[int, int]]) -> None:
    records = [record for _, block in delivery.blocks for record in block.records]
    connection.execute(
        "UPDATE stream SET blocks = blocks + ?, good = good + ?, bad = bad + ?, verdicts = verdicts + ?,"
        " alarms = alarms + ?, duplicate_blocks = duplicate_blocks + ?,"
        " duplicate_readings = duplicate_readings + ? WHERE id = ?",
        (
            len(counts), sum(good for good, _ in counts), sum(bad for _, bad in counts),
            sum(isinstance(record, Verdict) for record in records),
            sum(isinstance(record, Alarm) for record in records),
            len(delivery.duplicates), sum(d.readings for d in delivery.duplicates), stream,
        ),
    )  # fmt: skip
