"""What an asset's ledger is verified from: what its gateway told of each tag and hour, what is held, what is missing.

Each function asks one question of an open connection; several within one ``Reader.snapshot`` agree with each other.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

import msgspec

from edge.contract.types import LedgerRow


@dataclass(frozen=True, slots=True)
class LedgerPair:
    """What a gateway's journal says of a tag and hour, and what is held of it here.

    ``told_seq`` is the block that said it, ``held_seq`` the newest block with readings of it, ``through`` up to where
    every block of the stream was held, or would never come, when all of this was counted. ``told`` is None where the
    gateway has said nothing yet.
    """

    tag: str
    hour_s: int
    stream: int
    told: LedgerRow | None
    told_seq: int
    held_good: int
    held_bad: int
    held_seq: int
    through: int


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block's row, number and stream."""

    id: int
    seq: int
    stream: int


def pairs(connection: sqlite3.Connection, asset: int, from_s: int, to_s: int) -> list[LedgerPair]:
    """Every tag, hour and stream from ``from_s`` to before ``to_s`` of which something was told or is held."""
    rows = connection.execute(_PAIRS, {"asset": asset, "from": from_s, "to": to_s - 1})
    return [_pair(row) for row in rows]


def first_hour(connection: sqlite3.Connection, asset: int, from_s: int) -> int | None:
    """The first hour, from ``from_s`` on, of which something was told or is held. Looks up, never scans."""
    found: int | None = connection.execute(_FIRST_HOUR, {"asset": asset, "from": from_s}).fetchone()[0]
    return found


def streams(connection: sqlite3.Connection, gateway: str) -> dict[int, int]:
    """The streams of a gateway, each with its ``through``."""
    return dict(connection.execute(_STREAMS, (gateway,)).fetchall())


def later(connection: sqlite3.Connection, stream: int, seq: int, *, limit: int) -> list[StoredBlock]:
    """The stream's blocks with higher numbers of which it is counted what is held, at most ``limit``."""
    rows = connection.execute(
        "SELECT block.id, seq, stream FROM block JOIN derived USING (stream)"
        " WHERE stream=? AND seq>? AND block.id <= derived.block ORDER BY seq LIMIT ?",
        (stream, seq, limit),
    )
    return [StoredBlock(*row) for row in rows]


def gone(connection: sqlite3.Connection, stream: int, first: int, last: int) -> int:
    """How many blocks with these numbers (both inclusive, at most ``through``) were held and are here no longer.

    What will never come and what the policy of retention removed is written down as absent. Reads two indexes only.
    """
    (held,) = connection.execute(
        "SELECT count(*) FROM block WHERE stream=? AND seq BETWEEN ? AND ?", (stream, first, last)
    ).fetchone()
    (absent,) = connection.execute(
        "SELECT coalesce(sum(min(last_seq, :last) - max(first_seq, :first) + 1), 0) FROM absent"
        " WHERE stream = :stream AND first_seq <= :last AND last_seq >= :first",
        {"stream": stream, "first": first, "last": last},
    ).fetchone()
    return int(last - first + 1 - held - absent)


def blocks_after(connection: sqlite3.Connection, block: int, *, limit: int) -> list[tuple[int, str, int, bytes]]:
    """Id, gateway, number and bytes of the next blocks by id."""
    return connection.execute(
        "SELECT block.id, gateway.gateway, seq, bytes FROM block JOIN stream ON stream.id = block.stream"
        " JOIN gateway ON gateway.id = stream.gateway WHERE block.id > ? ORDER BY block.id LIMIT ?",
        (block, limit),
    ).fetchall()


_LEDGER_ROW = msgspec.json.Decoder(LedgerRow)
_COLUMNS = (
    "tag.tag, tag.id, a.hour_s, a.stream, ledger.record, coalesce(ledger.seq, 0), coalesce(held.good, 0),"
    " coalesce(held.bad, 0), coalesce(held.last_seq, 0), derived.through"
)
_SAME = "({other}.asset, {other}.hour_s, {other}.tag, {other}.stream) = (a.asset, a.hour_s, a.tag, a.stream)"
_FROM = "FROM {table} AS a JOIN tag ON tag.id = a.tag JOIN derived ON derived.stream = a.stream"
_WHERE = "WHERE a.asset = :asset AND a.hour_s BETWEEN :from AND :to"
_PAIRS = f"""
SELECT {_COLUMNS.replace("ledger.", "a.")} {_FROM.format(table="ledger")}
LEFT JOIN held ON {_SAME.format(other="held")} {_WHERE}
UNION ALL
SELECT {_COLUMNS.replace("held.", "a.")} {_FROM.format(table="held")}
LEFT JOIN ledger ON {_SAME.format(other="ledger")} {_WHERE} AND ledger.seq IS NULL
ORDER BY 3, 2
"""
_FIRST_HOUR = """
SELECT min(hour_s) FROM (
    SELECT min(hour_s) AS hour_s FROM ledger WHERE asset = :asset AND hour_s >= :from
    UNION ALL SELECT min(hour_s) FROM held WHERE asset = :asset AND hour_s >= :from
)
"""
_STREAMS = "SELECT stream.id, through FROM stream JOIN gateway ON gateway.id = stream.gateway WHERE gateway.gateway = ?"


def _pair(row: tuple[Any, ...]) -> LedgerPair:
    tag, _, hour_s, stream, record, told_seq, good, bad, held_seq, through = row
    told = _LEDGER_ROW.decode(record) if record else None
    return LedgerPair(tag, hour_s, stream, told, told_seq, good, bad, held_seq, through)
