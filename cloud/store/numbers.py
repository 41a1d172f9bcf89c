"""Which numbers of a stream are settled: held, or never to come.

``stream.through`` is the mark up to which all are. A number that its gateway has dropped would hold the mark back for
ever, so the gateway tells the oldest number that is not settled with it, and what is missing below is written down as
``absent``: runs of numbers, so that a store that lost a block of its own is told apart from it.
"""

from __future__ import annotations

import sqlite3

NEVER, POLICY = "never", "policy"


def settle(connection: sqlite3.Connection, stream: int, oldest: int = 1) -> int:
    """Move a stream's mark over every number that is held or, below ``oldest``, never to come; returns the mark."""
    before = through = int(connection.execute("SELECT through FROM stream WHERE id=?", (stream,)).fetchone()[0])
    held = connection.execute("SELECT seq FROM block WHERE stream=? AND seq>? ORDER BY seq", (stream, before))
    for (seq,) in held:
        if seq > through + 1:
            if seq > oldest:
                break
            _add(connection, stream, through + 1, seq - 1, NEVER)
        through = seq
    if through < oldest - 1:
        _add(connection, stream, through + 1, oldest - 1, NEVER)
        through = oldest - 1
    if through != before:
        connection.execute("UPDATE stream SET through=? WHERE id=?", (through, stream))
    return through


def come_after_all(connection: sqlite3.Connection, stream: int, seq: int) -> None:
    """A block came under a number that was thought never to come."""
    row = _around(connection, stream, seq)
    if row is None:
        return
    first, last, cause = row
    connection.execute("DELETE FROM absent WHERE stream=? AND first_seq=?", (stream, first))
    for part in ((first, seq - 1), (seq + 1, last)):
        if part[0] <= part[1]:
            connection.execute("INSERT INTO absent VALUES (?,?,?,?)", (stream, *part, cause))


def removed(connection: sqlite3.Connection, stream: int, seq: int) -> None:
    """A held block was taken out by the policy. What is missing below it is too old to be waited for as well."""
    settle(connection, stream, seq + 1)
    _add(connection, stream, seq, seq, POLICY)


def was_removed(connection: sqlite3.Connection, stream: int, seq: int) -> bool:
    row = _around(connection, stream, seq)
    return row is not None and row[2] == POLICY


def _around(connection: sqlite3.Connection, stream: int, seq: int) -> tuple[int, int, str] | None:
    row: tuple[int, int, str] | None = connection.execute(
        "SELECT first_seq, last_seq, cause FROM absent WHERE stream=? AND first_seq<=? ORDER BY first_seq DESC LIMIT 1",
        (stream, seq),
    ).fetchone()
    return row if row is not None and row[1] >= seq else None


def _add(connection: sqlite3.Connection, stream: int, first: int, last: int, cause: str) -> None:
    """Write a run down, joined with the runs of the same cause that it touches."""
    before = _around(connection, stream, first - 1)
    if before is not None and before[2] == cause:
        connection.execute("DELETE FROM absent WHERE stream=? AND first_seq=?", (stream, before[0]))
        first = before[0]
    after = _around(connection, stream, last + 1)
    if after is not None and after[2] == cause:
        connection.execute("DELETE FROM absent WHERE stream=? AND first_seq=?", (stream, after[0]))
        last = after[1]
    connection.execute("INSERT INTO absent VALUES (?,?,?,?)", (stream, first, last, cause))
