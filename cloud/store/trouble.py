"""When the disk or the file is to blame, and what was not taken."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

DETAIL_CHARS_MAX = 200


class StoreBusyError(Exception):
    """The disk is full, or the file is locked or damaged: nothing was stored; ask again later."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A block that was not taken: ``kind`` is one word for counting, ``detail`` says why."""

    kind: str
    detail: str


def is_trouble(error: BaseException) -> bool:
    """Whether the disk or the file is to blame, not this program. A damaged file is told as a bare DatabaseError."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


@contextmanager
def trouble_told() -> Iterator[None]:
    """Raises ``StoreBusyError`` for trouble inside."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if is_trouble(error):
            raise StoreBusyError(str(error)) from error
        raise


def count_refusal(connection: sqlite3.Connection, gateway: str, refusal: Refusal, at_ns: int) -> None:
    connection.execute(
        "INSERT INTO refusal VALUES (?,?,1,?,?) ON CONFLICT(gateway, kind) DO UPDATE SET"
        " blocks = blocks + 1, last_ns = excluded.last_ns, detail = excluded.detail",
        (gateway, refusal.kind, at_ns, refusal.detail[:DETAIL_CHARS_MAX]),
    )
