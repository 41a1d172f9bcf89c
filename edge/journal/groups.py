"""The scan groups that a store knows: a number for each asset and tuple of tags that are polled together.

In the order of their numbers they are the epoch's dictionary. It only ever grows at its end, so that a block needs no
more than the first so many of them, however many there are by now.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading

from edge.contract.block import Dictionary, pack_dictionary
from edge.errors import BlockError
from edge.journal.counts import ScanGroup, stored_json

DICTIONARIES_CACHED_MAX = 8

log = logging.getLogger("babbitt.journal")


class _Known(dict[int, ScanGroup]):
    """By number. What the store names and does not know was lost with a page that stayed an old one."""

    def __missing__(self, number: int) -> ScanGroup:
        raise sqlite3.DatabaseError(f"scan group {number} is named and not there")


class Groups:
    """By number and by name. ``of`` may be called from any thread, all else only under the store's lock."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Raises ``sqlite3.DatabaseError`` where the stored ones cannot be."""
        self._connection = connection
        self._lock = threading.Lock()
        self.by_id = _Known()
        self._by_name: dict[tuple[str, tuple[str, ...]], ScanGroup] = {}
        for number, asset, tags in connection.execute("SELECT id, asset, tags FROM scan_group ORDER BY id"):
            with stored_json():
                self._add(ScanGroup(number, asset, tuple(json.loads(tags))))
        if list(self.by_id) != list(range(1, len(self._by_name) + 1)):
            raise sqlite3.DatabaseError("a scan group is missing, or is there twice")
        self._written = set(self.by_id)
        self._writing: list[ScanGroup] = []
        self._dictionaries: dict[int, tuple[Dictionary, bytes]] = {}
        self._fitting, self._too_many = 0, 0

    def of(self, asset: str, tags: tuple[str, ...]) -> ScanGroup:
        """The group of these tags, new where it is."""
        with self._lock:
            known = self._by_name.get((asset, tags))
            return known or self._add(ScanGroup(len(self.by_id) + 1, asset, tags))

    def dictionary(self, count: int) -> tuple[Dictionary, bytes]:
        """The dictionary of the first ``count`` groups, and packed. Raises ``BlockError`` where they are too many."""
        known = self._dictionaries.pop(count, None)
        if known is None:
            groups = (self.by_id[number] for number in range(1, count + 1))
            dictionary = Dictionary(tuple((group.asset, group.tags) for group in groups))
            known = dictionary, pack_dictionary(dictionary)
        self._dictionaries[count] = known
        if len(self._dictionaries) > DICTIONARIES_CACHED_MAX:
            del self._dictionaries[next(iter(self._dictionaries))]
        return known

    def newest_dictionary(self) -> tuple[int, Dictionary | None]:
        """How many groups the largest dictionary has that can be made by now, and that dictionary."""
        count = len(self.by_id)
        if count > self._fitting and not self._too_many:
            try:
                self.dictionary(count)
                self._fitting = count
            except BlockError as error:
                self._too_many = count
                log.warning("the names of later scan groups lie in each block: %s", error)
        return self._fitting, self.dictionary(self._fitting)[0] if self._fitting else None

    def write(self) -> None:
        """Put new groups into the open transaction."""
        self._writing = [group for group in list(self.by_id.values()) if group.id not in self._written]
        self._connection.executemany(
            "INSERT INTO scan_group VALUES (?, ?, ?)",
            [(group.id, group.asset, json.dumps(group.tags)) for group in self._writing],
        )

    def written(self) -> None:
        """The transaction was committed."""
        self._written.update(group.id for group in self._writing)

    def _add(self, group: ScanGroup) -> ScanGroup:
        self.by_id[group.id] = group
        self._by_name[group.asset, group.tags] = group
        return group
