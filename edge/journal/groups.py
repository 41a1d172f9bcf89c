"""The scan groups that a store knows: a number for each asset and tuple of tags that are polled together."""

from __future__ import annotations

import json
import sqlite3
import threading

from edge.journal.counts import ScanGroup, stored_json


class Groups:
    """By number and by name; ``of`` may be called from any thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self.by_id: dict[int, ScanGroup] = {}
        self._by_name: dict[tuple[str, tuple[str, ...]], ScanGroup] = {}
        for number, asset, tags in connection.execute("SELECT id, asset, tags FROM scan_group"):
            with stored_json():
                self._add(ScanGroup(number, asset, tuple(json.loads(tags))))
        self._written = set(self.by_id)
        self._writing: list[ScanGroup] = []

    def of(self, asset: str, tags: tuple[str, ...]) -> ScanGroup:
        """The group of these tags, new where it is."""
        with self._lock:
            known = self._by_name.get((asset, tags))
            return known or self._add(ScanGroup(max(self.by_id, default=0) + 1, asset, tags))

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
