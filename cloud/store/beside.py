"""A SQLite file of its own beside the store: for what people decide and tell, which no block holds.

No rebuild, retention or release of the store may touch it, and any process may open it, so that a command works beside
a running server. Each change is one FULL transaction.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge.errors import StoreError

BUSY_TIMEOUT_MS = 5000


class Beside:
    """One connection behind a lock: may be used from any thread."""

    def __init__(
        self, path: Path, *, application_id: int, version: int, tables: str, steps: Sequence[str] = ()
    ) -> None:  # fmt: skip
        """Opens the file, or makes it with ``tables``. Raises ``StoreError``; another's file is left untouched.

        ``steps`` bring a file of version 1 to 2, of 2 to 3, and so on.
        """
        self._lock = threading.RLock()
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._open(application_id, version, tables, steps)
            except BaseException:
                self._connection.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise StoreError(str(path), f"cannot be opened: {error}", "name another folder with --data") from error

    def _open(self, application_id: int, version: int, tables: str, steps: Sequence[str]) -> None:
        db = self._connection
        db.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        (mark,) = db.execute("PRAGMA application_id").fetchone()
        (found,) = db.execute("PRAGMA user_version").fetchone()
        (held,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if mark != application_id and (held or mark):
            raise StoreError(
                str(self._path), "is another program's file; left untouched", "name another folder with --data"
            )
        if found > version:
            raise StoreError(str(self._path), "has a newer version; left untouched", "update this program")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        if not held:
            marks = f"PRAGMA application_id={application_id}; PRAGMA user_version={version};"
            db.executescript(f"BEGIN IMMEDIATE; {marks} {tables} COMMIT;")
        elif found < version:
            self._bring_to(version, steps)

    def _bring_to(self, version: int, steps: Sequence[str]) -> None:
        """In one transaction, unless another process was faster."""
        with self.changing() as db:
            (found,) = db.execute("PRAGMA user_version").fetchone()
            for step in steps[found - 1 : version - 1]:
                db.execute(step)
            db.execute(f"PRAGMA user_version={version}")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Several changes as one. Raises ``StoreError`` where the file takes none now: then nothing has changed."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                hint = "try again; is its disk full?"
                raise StoreError(str(self._path), f"takes no change: {error}", hint) from error

    def write(self, sql: str, *values: Sequence[Any]) -> None:
        """One statement, once for each of ``values``, inside ``changing``."""
        with self._lock:
            assert self._connection.in_transaction, "written outside of a change"
            self._connection.executemany(sql, values)

    def stamp(self) -> tuple[int, int]:
        """Another one after each change of the file, whoever made it; costs next to nothing."""
        with self._lock:
            (others,) = self._connection.execute("PRAGMA data_version").fetchone()
            return int(others), self._connection.total_changes

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()
