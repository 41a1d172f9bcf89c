"""The dictionaries that blocks' names are in: kept as they came, opened when a block is."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Mapping

from edge.contract.dictionary import Dictionary, open_dictionary

OPENED_MAX = 1024
PER_GATEWAY_MAX = 256
"""A gateway makes one when its scan groups change; one that sends more than these is not made after its contract."""


class Dictionaries(Mapping[bytes, Dictionary]):
    """Every stored dictionary by its digest (16 bytes). Belongs to its connection's thread, or behind its lock."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._opened: OrderedDict[bytes, Dictionary] = OrderedDict()

    def __getitem__(self, digest: bytes) -> Dictionary:
        found = self._opened.get(digest)
        if found is None:
            row = self._connection.execute("SELECT bytes FROM dictionary WHERE digest=?", (digest,)).fetchone()
            if row is None:
                raise KeyError(digest)
            found = self._opened[digest] = open_dictionary(row[0])
            if len(self._opened) > OPENED_MAX:
                self._opened.popitem(last=False)
        else:
            self._opened.move_to_end(digest)
        return found

    def __iter__(self) -> Iterator[bytes]:
        return (row[0] for row in self._connection.execute("SELECT digest FROM dictionary").fetchall())

    def __len__(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM dictionary").fetchone()[0])

    def count(self, gateway: str) -> int:
        """How many a gateway has sent."""
        return int(self._connection.execute(_COUNT, (gateway,)).fetchone()[0])

    def forget(self) -> None:
        """After a rollback: what was opened may be gone."""
        self._opened.clear()


def keep(connection: sqlite3.Connection, gateway: int, digest: bytes, data: bytes, at_ns: int) -> None:
    """Store a dictionary that was opened and found sound; one that is here already stays. Within a transaction."""
    connection.execute("INSERT OR IGNORE INTO dictionary VALUES (?,?,?,?)", (digest, gateway, at_ns, data))


_COUNT = "SELECT count(*) FROM dictionary JOIN gateway ON gateway.id = dictionary.gateway WHERE gateway.gateway = ?"
