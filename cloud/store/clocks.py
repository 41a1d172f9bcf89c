"""What gateways have said of their clocks, by boot."""

from __future__ import annotations

import sqlite3

from cloud.store.clock import Setting

REMEMBERED_MAX = 4096


class Clocks:
    """Settings by gateway and boot. Belongs to its connection's thread, or behind its lock."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[int, str], tuple[Setting, ...]] = {}

    def of(self, gateway: int, boot: str) -> tuple[Setting, ...]:
        """A boot's settings in order; none where its clock was never set, or always right."""
        found = self._known.get((gateway, boot))
        if found is None:
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            found = self._known[gateway, boot] = settings_of(self._connection, gateway, boot)
        return found

    def add(self, gateway: int, boot: str, setting: Setting) -> bool:
        """Write a setting down, inside a transaction; False where it is known."""
        sql = "INSERT OR IGNORE INTO clock(gateway, boot, mono_ns, offset_ns) VALUES (?,?,?,?)"
        self._known.pop((gateway, boot), None)
        return self._connection.execute(sql, (gateway, boot, *setting)).rowcount == 1

    def forget(self) -> None:
        """After a rollback: what was added is gone."""
        self._known.clear()


def settings_of(connection: sqlite3.Connection, gateway: int, boot: str) -> tuple[Setting, ...]:
    """Straight from the table; for readers, whose answers must not be older than their snapshot."""
    sql = "SELECT mono_ns, offset_ns FROM clock WHERE gateway=? AND boot=? ORDER BY mono_ns, offset_ns"
    return tuple(connection.execute(sql, (gateway, boot)).fetchall())
