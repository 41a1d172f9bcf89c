"""A block as it lies in the store, and the numbers that names have there."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.contract.block import Block, Dictionary, decode_block
from edge.errors import BlockError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """A block with its row, its stream's and its gateway's, and what is in it, as it was stamped."""

    id: int
    stream: int
    gateway: int
    block: Block

    @property
    def seq(self) -> int:
        return self.block.header.key.seq

    @property
    def boot(self) -> str:
        return self.block.header.boot


def opened(
    connection: sqlite3.Connection, dictionaries: Mapping[bytes, Dictionary], ids: Sequence[int]
) -> list[Stored]:
    """Blocks by their rows, in that order, without those that were altered since they were stored."""
    marks = ",".join("?" * len(ids))
    rows = connection.execute(f"{OPEN} WHERE block.id IN ({marks}) ORDER BY block.id", ids).fetchall()
    return open_rows(rows, dictionaries)


def open_rows(rows: Iterable[Sequence[Any]], dictionaries: Mapping[bytes, Dictionary]) -> list[Stored]:
    """Blocks from rows as ``OPEN`` selects them."""
    found = []
    for block, stream, gateway, data, *_ in rows:
        try:
            found.append(Stored(block, stream, gateway, decode_block(data, dictionaries)))
        except BlockError as error:
            # Whoever reads all blocks again (cloud.fleet.audit) finds it too, and tells it in the ledger.
            log.error("the block in row %d was altered in the store and is left out: %s", block, error.problem)
    return found


OPEN = "SELECT block.id, stream, gateway, bytes FROM block JOIN stream ON stream.id = block.stream"


class Names:
    """Numbers for assets and tags, made on first sight. Forget them after a rollback: they may be gone."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._assets: dict[tuple[int, str], int] = {}
        self._tags: dict[tuple[int, str], int] = {}

    def asset(self, gateway: int, asset: str) -> int:
        return self._number(self._assets, "asset", "gateway", gateway, asset)

    def tag(self, asset: int, tag: str) -> int:
        return self._number(self._tags, "tag", "asset", asset, tag)

    def forget(self) -> None:
        self._assets.clear()
        self._tags.clear()

    def _number(self, known: dict[tuple[int, str], int], table: str, owner: str, owner_id: int, name: str) -> int:
        key = (owner_id, name)
        if key not in known:
            self._connection.execute(f"INSERT OR IGNORE INTO {table}({owner}, {table}) VALUES (?,?)", key)
            row = self._connection.execute(f"SELECT id FROM {table} WHERE {owner}=? AND {table}=?", key).fetchone()
            known[key] = row[0]
        return known[key]
