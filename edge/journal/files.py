"""The store's files and who owns them: one process at a time, by a lock that ends with the process."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from pathlib import Path

from edge.errors import StoreError, UnwritableStoreError
from edge.journal import schema
from edge.journal.recorder import Recording
from edge.journal.space import why_not_opened
from edge.stand_in import takes_nothing

log = logging.getLogger("babbitt.journal")


class Files:
    """``path`` is the database; beside it lie the recorder and the lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recorder = path.with_name(path.name + ".recorder")
        self._lock: int | None = None

    def connect(self, *, gateway: str, recording: Recording | None) -> tuple[sqlite3.Connection, bool]:
        """The open store, made where there was none, and whether a former one could not be read any more.

        A recorder without a readable store beside it tells that there was one, whatever a flipped bit makes of the
        marks in its head; a recorder of a later run than the store knows, that the store has lost what it had written.
        Raises ``StoreError``.
        """
        kind = schema.identify(self.path)
        lost = kind in ("none", "unknown", "foreign") and recording is not None
        if not lost:
            schema.refuse(self.path, kind)
        try:
            self._own()
            if kind == "ours":
                try:
                    return _not_older(schema.connect(self.path), recording), False
                except sqlite3.OperationalError:
                    raise
                except sqlite3.DatabaseError as error:
                    lost = True
                    self.set_aside(str(error))
            elif kind != "none":
                self.set_aside("its first bytes are not those of a store")
            schema.create(self.path, gateway=gateway)
            return schema.connect(self.path), lost
        except (sqlite3.Error, OSError) as error:
            why, hint = why_not_opened(self.path, error)
            may_pass = isinstance(error, sqlite3.OperationalError) or (
                isinstance(error, OSError) and takes_nothing(error)
            )
            kind_of = UnwritableStoreError if may_pass else StoreError
            raise kind_of(str(self.path), f"cannot be opened: {why}", hint) from error

    def set_aside(self, problem: str) -> None:
        """Quarantine a store that cannot be read."""
        aside = schema.quarantine(self.path)
        log.error("%s is broken (%s) and was set aside as %s", self.path, problem, aside.name)

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _own(self) -> None:
        self._lock = os.open(
            self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640
        )
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(
                str(self.path), "in use by another process", "stop it, or name another data_dir"
            ) from error


def _not_older(connection: sqlite3.Connection, recording: Recording | None) -> sqlite3.Connection:
    """The store, unless it went back in time: it would give numbers again that the receiver has seen.

    A lost WAL does that, or a copy that was put back. Raises ``sqlite3.DatabaseError``.
    """
    epoch, run = connection.execute("SELECT epoch, run FROM store").fetchone()
    if recording is not None and recording.epoch == epoch and recording.run > run:
        connection.close()
        raise sqlite3.DatabaseError("older than the recorder beside it")
    return connection
