"""The store's file: how it is made, how it is known to be ours, and what happens to it when it is broken.

A store is made under another name and renamed when it is whole, so that it exists either fully or not at all. Its
``application_id`` is read from the file's first bytes before SQLite touches anything: another program's database is
refused and left exactly as it was. A store of ours that SQLite cannot read is renamed beside itself, never deleted.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from edge.errors import StoreError
from edge.journal.migrate import migrate
from edge.journal.shape import check_shape

APPLICATION_ID = 0x42414242  # "BABB"
SCHEMA_VERSION = 2
# Versions count up by one: a number beyond this is none that anybody gave.
VERSIONS_MAX = 1000
SQLITE_MAGIC = b"SQLite format 3\0"
# Checking a whole file reads all of it; past this size only its structure is opened.
CHECKED_BYTES_MAX = 64 * 1024 * 1024
BUSY_TIMEOUT_S = 5.0
# Each commit writes a handful of pages anew whatever it holds, and a block ends in the midst of its last: small pages
# cost a third less than those of 4096 bytes.
PAGE_BYTES = 1024
# What is written last is what is needed next. SQLite would keep 2 MB of pages, which fill within ten minutes.
# A large trim may still have that many dirty ones at once: those that left early would be written twice.
CACHE_KIB, DIRTY_KIB = 256, 2000
SHRINK_FROM_BYTES = 1024 * 1024
SHRINK_BYTES, SHRINK_STEPS = 4 * 1024 * 1024, 64

log = logging.getLogger("babbitt.journal")

TABLES = """
CREATE TABLE store (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch TEXT NOT NULL,                     -- 32 hex digits, made with the store
    gateway TEXT NOT NULL,
    run INTEGER NOT NULL,                    -- how many times it was opened
    boot TEXT NOT NULL,                      -- the machine's boot in which it was opened last
    clean INTEGER NOT NULL,                  -- 1 after close()
    last_seq INTEGER NOT NULL,
    committed_ns INTEGER NOT NULL,
    counted TEXT NOT NULL,                   -- JSON: what of the recorder's counts this run has made durable
    handed TEXT NOT NULL DEFAULT '',         -- JSON: ranges of the blocks that may have been handed out; '' if unknown
    records_lost INTEGER NOT NULL DEFAULT 0, -- verdicts, snapshots and the like in blocks that were dropped, ever
    blocks_quarantined INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE scan_group (                    -- one asset's tags that are polled together; in order, the dictionary
    id INTEGER PRIMARY KEY,
    asset TEXT NOT NULL,
    tags TEXT NOT NULL,                      -- JSON list
    UNIQUE (asset, tags)
) STRICT;
CREATE TABLE block (                         -- sealed and not yet acknowledged
    seq INTEGER PRIMARY KEY,
    lane INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    size INTEGER NOT NULL,
    sealed_ns INTEGER NOT NULL,
    from_ns INTEGER NOT NULL,
    to_ns INTEGER NOT NULL,
    dictionary INTEGER NOT NULL DEFAULT 0,   -- it needs the dictionary of the first so many scan groups; 0: of none
    tells INTEGER NOT NULL DEFAULT 0,        -- ledger.told of the rows that it tells; 0 where it tells none
    thinned INTEGER NOT NULL DEFAULT 0,      -- 0 as it was polled
    account TEXT NOT NULL,                   -- JSON: its good readings by scan group and hour
    owes TEXT NOT NULL DEFAULT '',           -- JSON: the lost readings that it declares, by tag; '' where none
    data BLOB NOT NULL
) STRICT;
CREATE INDEX block_urgent ON block (seq) WHERE lane = 0;
CREATE TABLE ledger (
    hour_ns INTEGER NOT NULL,
    scan_group INTEGER NOT NULL,
    counts TEXT NOT NULL,                    -- JSON: a count a field, or a list with one a tag
    told INTEGER,                            -- NULL while it is to be told, then the last block that tells it
    PRIMARY KEY (hour_ns, scan_group)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_told ON ledger (told);
CREATE TABLE folded (                        -- sums of hours long settled and told, whose own rows are deleted
    scan_group INTEGER PRIMARY KEY,
    from_ns INTEGER NOT NULL,                -- the earliest of these hours
    to_ns INTEGER NOT NULL,                  -- the latest
    counts TEXT NOT NULL
) STRICT;
CREATE TABLE quarantine (                    -- blocks that were found altered, the newest few
    id INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    found_ns INTEGER NOT NULL,
    problem TEXT NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE TABLE state (
    name TEXT PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;
"""


def identify(path: Path) -> str:
    """What lies at ``path``: ``none``, ``ours``, ``newer``, ``foreign``, or ``unknown`` where no database begins, or
    one of a version that cannot be.
    """
    if not path.exists():
        return "none"
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError as error:
        raise StoreError(
            str(path), f"cannot be read: {error.strerror}", "name a file that the gateway may use"
        ) from error
    if not head:
        return "none"
    if len(head) < 100 or not head.startswith(SQLITE_MAGIC):
        return "unknown"
    if int.from_bytes(head[68:72], "big") != APPLICATION_ID:
        return "foreign"
    version = int.from_bytes(head[60:64], "big")
    if not 0 < version <= VERSIONS_MAX:
        return "unknown"
    return "newer" if version > SCHEMA_VERSION else "ours"


def refuse(path: Path, kind: str) -> None:
    """Raise ``StoreError`` for what is not ours to open."""
    if kind == "newer":
        raise StoreError(str(path), "made by a newer version", "install that version, or name another data_dir")
    if kind in ("foreign", "unknown"):
        raise StoreError(str(path), "not a store of this program; left untouched", "name another data_dir, or move it")


def create(path: Path, *, gateway: str) -> None:
    """Make an empty store with an epoch of its own."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    connection = sqlite3.connect(new, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.executescript(f"BEGIN; {TABLES} COMMIT;")
        connection.execute(
            "INSERT INTO store (id, epoch, gateway, run, boot, clean, last_seq, committed_ns, counted)"
            " VALUES (1, ?, ?, 0, '', 1, 0, 0, '{}')",
            (uuid.uuid4().hex, gateway),
        )
    finally:
        connection.close()
    new.rename(path)
    sync_folder(path.parent)


def connect(path: Path) -> sqlite3.Connection:
    """Open a store of ours for writing, in this version. Raises ``sqlite3.DatabaseError`` where it is broken."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S)
    try:
        # Text that a flipped bit has made unreadable is for its reader to refuse: SQLite's own complaint looks like a
        # disk that has to be waited for.
        connection.text_factory = lambda data: data.decode(errors="replace")
        _begin(connection)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size={-CACHE_KIB}")
        connection.execute(f"PRAGMA cache_spill={-DIRTY_KIB}")
        # Where it is the default (Debian), what is deleted is written once more, as zeros.
        connection.execute("PRAGMA secure_delete=OFF")
        if path.stat().st_size <= CHECKED_BYTES_MAX:
            (word,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if word != "ok":
                raise sqlite3.DatabaseError(word)
        _to_this_version(connection, path)
        check_shape(connection, TABLES)
        connection.execute("SELECT epoch FROM store WHERE id = 1").fetchone()[0]
    except (sqlite3.Error, TypeError, UnicodeDecodeError, StoreError) as error:
        connection.close()
        if isinstance(error, TypeError):
            raise sqlite3.DatabaseError("the store's own row is missing") from error
        if isinstance(error, UnicodeDecodeError):
            # SQLite's complaint quotes the damaged schema, and Python cannot read the complaint.
            raise sqlite3.DatabaseError("its schema is unreadable") from error
        raise
    return connection


def contradicts_itself(connection: sqlite3.Connection) -> bool:
    """Whether indexes and tables differ: all of the store is read for it."""
    try:
        (word,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError:
        return True
    return bool(word != "ok")


def _begin(connection: sqlite3.Connection) -> None:
    """The first statement reads the file's head. A format of SQLite's that there is not would look like a full disk."""
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
            raise sqlite3.DatabaseError(str(error)) from error
        raise


def _to_this_version(connection: sqlite3.Connection, path: Path) -> None:
    version = _pragma(connection, "user_version")
    if version > SCHEMA_VERSION:  # Its change of version is still in the WAL.
        refuse(path, "newer")
    if version < SCHEMA_VERSION:
        migrate(connection, version=version)


@contextlib.contextmanager
def read_beside(path: Path) -> Iterator[sqlite3.Connection]:
    """A store that perhaps another process is writing, as its last commit left it. Raises ``StoreError``."""
    connection = _connect_read_only(path)
    try:
        connection.execute("BEGIN")
        yield connection
    except sqlite3.DatabaseError as error:
        raise StoreError(
            str(path), f"cannot be read: {error}", "start the gateway: it sets a broken one aside"
        ) from error
    finally:
        connection.close()


def _opened_read_only(path: Path) -> tuple[sqlite3.Connection, int]:
    """The connection and the schema's version. Raises ``sqlite3.Error``."""
    try:
        return _opened_as(path, "mode=ro")
    except sqlite3.OperationalError:
        # SQLite writes beside a store even to read it. Where nothing may be written, and nobody left anything unfolded,
        # nobody writes to it either.
        if os.access(path.parent, os.W_OK) or wal_bytes(path):
            raise
        return _opened_as(path, "mode=ro&immutable=1")


def _opened_as(path: Path, how: str) -> tuple[sqlite3.Connection, int]:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=BUSY_TIMEOUT_S)
    try:
        return connection, _pragma(connection, "user_version")
    except sqlite3.Error:
        connection.close()
        raise


def _connect_read_only(path: Path) -> sqlite3.Connection:
    kind = identify(path)
    if kind == "none":
        raise StoreError(str(path), "there is no store", "run the gateway once, or name its data_dir")
    refuse(path, kind)
    try:
        connection, version = _opened_read_only(path)
    except sqlite3.Error as error:
        raise StoreError(str(path), f"cannot be read: {error}", "is it readable, and its folder writable?") from error
    if version != SCHEMA_VERSION:
        connection.close()
        raise StoreError(
            str(path), f"of version {version}, this program's is {SCHEMA_VERSION}", "start the gateway once"
        )
    return connection


def used_bytes(connection: sqlite3.Connection) -> int:
    """What the store takes, without the pages that are free again."""
    size, pages, free = (_pragma(connection, name) for name in ("page_size", "page_count", "freelist_count"))
    return size * (pages - free)


def bound_wal(connection: sqlite3.Connection, bytes_max: int) -> None:
    """Fold the write-ahead log into the database whenever it is as long as that."""
    connection.execute(f"PRAGMA journal_size_limit={bytes_max}")
    connection.execute(f"PRAGMA wal_autocheckpoint={max(bytes_max // _pragma(connection, 'page_size'), 1)}")


def fold_wal(connection: sqlite3.Connection) -> None:
    """Fold the write-ahead log into the database now, as far as the disk lets it."""
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def checkpoint(connection: sqlite3.Connection) -> None:
    """Write the log's pages into the database. Raises ``sqlite3.OperationalError`` where the disk has no room."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def wal_bytes(path: Path) -> int:
    """The length of the log's file, which is used again from its beginning once all of it is in the database."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0


def shrink(connection: sqlite3.Connection, *, in_need: bool = False) -> None:
    """Give some free pages back to the disk once they are many, so that the file is small again after a drain.

    ``in_need``, where even the log has little room left: any that are free, a few at a time.
    """
    free, pages, size = (_pragma(connection, name) for name in ("freelist_count", "page_count", "page_size"))
    if in_need or (free * size > SHRINK_FROM_BYTES and free > pages // 4):
        try:
            steps = SHRINK_STEPS if in_need else 1
            for _ in range(steps):
                # The statement gives a row for each page, but no columns: only a script takes them all.
                connection.executescript(f"PRAGMA incremental_vacuum({SHRINK_BYTES // size // steps});")
        except sqlite3.OperationalError as error:
            log.warning("the store's file could not shrink: %s", error)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def quarantine(path: Path) -> Path:
    """Rename a broken store and its WAL beside itself; returns the new name."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.corrupt-{stamp}-{uuid.uuid4().hex[:4]}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    sync_folder(path.parent)
    return aside


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
