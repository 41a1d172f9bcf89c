"""The store's file: one SQLite database in WAL mode. Blocks are the truth; every other table is derived from them.

``block`` holds what gateways sealed, byte for byte, once by (gateway, epoch, seq). The rest can be dropped and made
anew from it (``cloud.store.rebuild``), except what never was in a block: when a gateway was last seen, what it said of
its backlog, and how many blocks came twice or were refused.

Times are integers: ``_ns`` since the Unix epoch, ``_s`` the start of a minute or an hour.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from cloud.store.chunk import CHUNK_TABLES, CHUNKS
from edge.errors import StoreError

APPLICATION_ID = 0x42414243  # "BABC": tells this file from a gateway's and from another program's
MAGIC = b"SQLite format 3\0"
VERSION = 2
BUSY_TIMEOUT_MS = 2000
CACHE_MB = 64
CHECKPOINT_PAGES = 4000
"""16 MB: a page that is written again and again goes to its place in the file once a checkpoint."""

TRUTH = """
CREATE TABLE gateway(
    id INTEGER PRIMARY KEY, gateway TEXT NOT NULL UNIQUE,
    first_seen_ns INTEGER NOT NULL, last_seen_ns INTEGER NOT NULL,
    backlog_blocks INTEGER NOT NULL DEFAULT 0, backlog_readings INTEGER NOT NULL DEFAULT 0
) STRICT;
-- One journal of one gateway: every seq up to `through` is held or `absent`. `stored_twice`: readings that stand in two
-- blocks. `removed_*`: what the policy of retention took out.
CREATE TABLE stream(
    id INTEGER PRIMARY KEY, gateway INTEGER NOT NULL REFERENCES gateway, epoch TEXT NOT NULL,
    through INTEGER NOT NULL DEFAULT 0,
    blocks INTEGER NOT NULL DEFAULT 0, good INTEGER NOT NULL DEFAULT 0, bad INTEGER NOT NULL DEFAULT 0,
    verdicts INTEGER NOT NULL DEFAULT 0, alarms INTEGER NOT NULL DEFAULT 0,
    stored_twice INTEGER NOT NULL DEFAULT 0,
    duplicate_blocks INTEGER NOT NULL DEFAULT 0, duplicate_readings INTEGER NOT NULL DEFAULT 0,
    removed_blocks INTEGER NOT NULL DEFAULT 0, removed_readings INTEGER NOT NULL DEFAULT 0,
    UNIQUE(gateway, epoch)
) STRICT;
CREATE TABLE block(
    id INTEGER PRIMARY KEY, stream INTEGER NOT NULL REFERENCES stream, seq INTEGER NOT NULL,
    received_ns INTEGER NOT NULL, readings INTEGER NOT NULL, bytes BLOB NOT NULL,
    UNIQUE(stream, seq)
) STRICT;
CREATE TABLE refusal(
    gateway TEXT NOT NULL, kind TEXT NOT NULL, blocks INTEGER NOT NULL, last_ns INTEGER NOT NULL, detail TEXT NOT NULL,
    PRIMARY KEY(gateway, kind)
) STRICT, WITHOUT ROWID;
-- Names get numbers here. They stay when the derived tables are made anew, so that numbers keep their meaning.
CREATE TABLE asset(
    id INTEGER PRIMARY KEY, gateway INTEGER NOT NULL REFERENCES gateway, asset TEXT NOT NULL,
    UNIQUE(gateway, asset)
) STRICT;
CREATE TABLE tag(
    id INTEGER PRIMARY KEY, asset INTEGER NOT NULL REFERENCES asset, tag TEXT NOT NULL,
    UNIQUE(asset, tag)
) STRICT;
"""

ADDED = """
-- Runs of numbers up to `through` that are not here: `never` to come by the gateway's word, or removed by `policy`.
CREATE TABLE absent(
    stream INTEGER NOT NULL REFERENCES stream, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    cause TEXT NOT NULL,
    PRIMARY KEY(stream, first_seq)
) STRICT, WITHOUT ROWID;
-- Names that blocks refer to by number, `gateway` is the first that sent it.
CREATE TABLE dictionary(
    digest BLOB PRIMARY KEY, gateway INTEGER NOT NULL REFERENCES gateway, received_ns INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX dictionary_of_gateway ON dictionary(gateway);
-- Hours of an asset of whose blocks the policy of retention has taken one: their rows cannot be made anew.
CREATE TABLE frozen(
    asset INTEGER NOT NULL, hour_s INTEGER NOT NULL,
    PRIMARY KEY(asset, hour_s)
) STRICT, WITHOUT ROWID;
"""

# `total` is NULL where the sum left what a double holds in both directions: then there is no mean.
_ROLLUP = """
    count INTEGER NOT NULL, good INTEGER NOT NULL,
    bad_bus INTEGER NOT NULL, bad_device INTEGER NOT NULL, bad_decode INTEGER NOT NULL,
    finite INTEGER NOT NULL, total REAL, low REAL, high REAL, last REAL, last_ns INTEGER NOT NULL,
"""

YOUNGER = """
-- What became of bundles at an asset, in the order in which its gateway told it, whatever its clock said.
CREATE TABLE IF NOT EXISTS bundle_change(
    asset INTEGER NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL, place INTEGER NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY(asset, stream, seq, place)
) STRICT, WITHOUT ROWID;
-- What came of commands, in the gateway's own order: an audit. `command` is empty for what concerns a contract alone.
CREATE TABLE IF NOT EXISTS outcome(
    stream INTEGER NOT NULL, seq INTEGER NOT NULL, place INTEGER NOT NULL, asset INTEGER NOT NULL,
    command TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY(stream, seq, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outcome_of_command ON outcome(command, stream, seq, place);
CREATE INDEX IF NOT EXISTS outcome_of_asset ON outcome(asset, stream, seq, place);
"""
"""Derived tables that a store of this version may lack: none of its blocks says anything that would be in them."""

# Where the newest wins, a row says which block it is from: within one stream a higher number is newer, whatever the
# clock said; between streams the later time is.
DERIVED = (
    f"""
-- What is shown of an asset at a glance, so that an overview of a thousand is one scan. `verdict` is its newest one,
-- `healths` the newest figures with their times.
CREATE TABLE glance(
    asset INTEGER PRIMARY KEY,
    record TEXT, record_ns INTEGER, record_stream INTEGER, record_seq INTEGER,
    verdict TEXT, verdict_ns INTEGER, verdict_stream INTEGER, verdict_seq INTEGER,
    last_read_ns INTEGER NOT NULL DEFAULT 0, read_stream INTEGER, read_seq INTEGER, read_mono_ns INTEGER,
    healths BLOB
) STRICT;
-- Which blocks hold readings of an asset in an hour. The key stands first in every table without rowid: where it does
-- not, SQLite's integrity_check (3.40, Debian 12) reports NULLs that are not there.
CREATE TABLE span(
    asset INTEGER NOT NULL, hour_s INTEGER NOT NULL, first_ns INTEGER NOT NULL, block INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    PRIMARY KEY(asset, hour_s, first_ns, block)
) STRICT, WITHOUT ROWID;
CREATE INDEX span_of_block ON span(block);
CREATE TABLE latest(
    tag INTEGER PRIMARY KEY, stream INTEGER NOT NULL, seq INTEGER NOT NULL, mono_ns INTEGER NOT NULL,
    value ANY, quality INTEGER NOT NULL, source_ns INTEGER NOT NULL, read_ns INTEGER NOT NULL,
    good_value ANY, good_ns INTEGER NOT NULL DEFAULT 0, good_stream INTEGER, good_seq INTEGER, good_mono_ns INTEGER
) STRICT;
CREATE TABLE verdict(
    asset INTEGER NOT NULL, at_ns INTEGER NOT NULL, urgency TEXT NOT NULL,
    health REAL, anomaly REAL, rul_h REAL, rul_low_h REAL, rul_high_h REAL, record TEXT NOT NULL,
    PRIMARY KEY(asset, at_ns)
) STRICT, WITHOUT ROWID;
CREATE TABLE alarm(
    asset INTEGER NOT NULL, rule TEXT NOT NULL, at_ns INTEGER NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL,
    stream INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY(asset, rule)
) STRICT, WITHOUT ROWID;
CREATE TABLE alarm_change(
    asset INTEGER NOT NULL, at_ns INTEGER NOT NULL, rule TEXT NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY(asset, at_ns, rule, state)
) STRICT, WITHOUT ROWID;
CREATE TABLE waveform(
    tag INTEGER NOT NULL, at_ns INTEGER NOT NULL, block INTEGER NOT NULL,
    PRIMARY KEY(tag, at_ns, block)
) STRICT, WITHOUT ROWID;
CREATE INDEX waveform_of_block ON waveform(block);
CREATE TABLE dropped(
    tag INTEGER NOT NULL, block INTEGER NOT NULL, cause TEXT NOT NULL, count INTEGER NOT NULL,
    from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX dropped_by_tag ON dropped(tag, from_ns);
-- What the gateway says became of a tag's readings in an hour, and what is held of them here. Hours as the gateway has
-- stamped them, never corrected, so that both sides speak of the same ones.
CREATE TABLE ledger(
    asset INTEGER NOT NULL, hour_s INTEGER NOT NULL, tag INTEGER NOT NULL, stream INTEGER NOT NULL,
    seq INTEGER NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY(asset, hour_s, tag, stream)
) STRICT, WITHOUT ROWID;
CREATE TABLE held(
    asset INTEGER NOT NULL, hour_s INTEGER NOT NULL, tag INTEGER NOT NULL, stream INTEGER NOT NULL,
    good INTEGER NOT NULL, bad INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    PRIMARY KEY(asset, hour_s, tag, stream)
) STRICT, WITHOUT ROWID;
-- Minutes lie asset by asset, so that what comes in together is written together, hours tag by tag, to read months of.
CREATE TABLE minute(
    asset INTEGER NOT NULL, start_s INTEGER NOT NULL, tag INTEGER NOT NULL, {_ROLLUP}
    PRIMARY KEY(asset, start_s, tag)
) STRICT, WITHOUT ROWID;
CREATE TABLE hour(
    tag INTEGER NOT NULL, start_s INTEGER NOT NULL, {_ROLLUP}
    PRIMARY KEY(tag, start_s)
) STRICT, WITHOUT ROWID;
-- When a boot's clock was set, and which blocks of it have readings that were stamped before.
CREATE TABLE clock(
    gateway INTEGER NOT NULL, boot TEXT NOT NULL, mono_ns INTEGER NOT NULL, offset_ns INTEGER NOT NULL,
    PRIMARY KEY(gateway, boot, mono_ns, offset_ns)
) STRICT, WITHOUT ROWID;
CREATE TABLE untrusted(
    gateway INTEGER NOT NULL, boot TEXT NOT NULL, block INTEGER NOT NULL,
    PRIMARY KEY(gateway, boot, block)
) STRICT, WITHOUT ROWID;
CREATE INDEX untrusted_of_block ON untrusted(block);
-- Repairs under way: blocks of a boot from `after` (exclusive) to `upto` that were derived before its clock was set,
-- and minutes that have to be made anew since readings went from them or came to them.
CREATE TABLE unsettled(
    gateway INTEGER NOT NULL, boot TEXT NOT NULL, after INTEGER NOT NULL, upto INTEGER NOT NULL,
    PRIMARY KEY(gateway, boot)
) STRICT, WITHOUT ROWID;
CREATE TABLE dirty(
    asset INTEGER NOT NULL, minute_s INTEGER NOT NULL,
    PRIMARY KEY(asset, minute_s)
) STRICT, WITHOUT ROWID;
-- How far each stream's blocks are in the tables above, and where the stream's mark stood then.
CREATE TABLE derived(
    stream INTEGER PRIMARY KEY, block INTEGER NOT NULL, through INTEGER NOT NULL
) STRICT;
-- Of blocks that are derived a part a transaction: how far an asset's readings are, or what else is in them (asset 0).
CREATE TABLE derived_part(
    stream INTEGER NOT NULL, asset INTEGER NOT NULL, block INTEGER NOT NULL,
    PRIMARY KEY(stream, asset)
) STRICT, WITHOUT ROWID;
-- Every block up to this one is derived, so that after a crash nobody looks further back. One row.
CREATE TABLE progress(only INTEGER PRIMARY KEY CHECK (only = 1), block INTEGER NOT NULL) STRICT;
INSERT INTO progress VALUES (1, 0);
"""
    + CHUNKS
    + YOUNGER
)

DERIVED_TABLES = (
    "glance", "span", "latest", "verdict", "alarm", "alarm_change", "bundle_change", "outcome", "waveform", "dropped",
    "ledger", "held", "minute", "hour", "clock", "untrusted", "unsettled", "dirty", "derived", "derived_part",
    "progress", *CHUNK_TABLES,
)  # fmt: skip


class Lock:
    """Holds the data folder for one process. Raises ``StoreError`` where another one has it."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(folder / "cloud.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(str(folder), f"cannot be used: {error.strerror}", "name a folder with --data") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise StoreError(
                str(folder), "another process uses this store", "stop it, or name another folder with --data"
            ) from error

    def close(self) -> None:
        os.close(self._file)


def database(folder: Path) -> Path:
    return folder / "cloud.sqlite3"


def open_for_writing(path: Path, *, cache_mb: int = CACHE_MB) -> sqlite3.Connection:
    """The one connection that writes; makes the tables in a new file, and brings one of a former version up to date.

    Up to ``cache_mb`` of pages stay in memory.

    Raises ``StoreError`` for a file that is another program's (it is left untouched) or of a newer version.
    """
    try:
        if _is_new(path):
            _create(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size={-1024 * cache_mb}")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        if connection.execute("PRAGMA user_version").fetchone()[0] < VERSION:
            _migrate(connection)
        _execute_all(connection, YOUNGER)
    except sqlite3.Error as error:
        raise StoreError(str(path), f"cannot be opened: {error}", "name another folder with --data") from error
    return connection


def make_derived(connection: sqlite3.Connection) -> None:
    """The derived tables, empty, inside the caller's transaction."""
    _execute_all(connection, DERIVED)


def _execute_all(connection: sqlite3.Connection, statements: str) -> None:
    """As ``executescript``, which would commit first."""
    for statement in statements.split(";"):
        if statement.strip():
            connection.execute(statement)


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring a store of version 1 up to date: its truth is kept, the rest is derived anew by whoever opens it."""
    from sqlite_utils import Database  # only a store of a former release pays for it

    store = Database(connection)
    with store.atomic():
        for column in ("removed_blocks", "removed_readings"):
            store.table("stream").add_column(column, int, not_null_default=0)
        _execute_all(connection, ADDED)
        for table in DERIVED_TABLES:
            connection.execute(f"DROP TABLE IF EXISTS {table}")
        make_derived(connection)
        connection.execute("UPDATE stream SET stored_twice = 0")
        connection.execute(f"PRAGMA user_version={VERSION}")


def open_for_reading(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA query_only=1")
    return connection


def _create(path: Path) -> None:
    """Make a store under another name and rename it: it exists whole, with its marks in its head, or not at all."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    connection = sqlite3.connect(new, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=FULL")
        marks = f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION};"
        connection.executescript(f"BEGIN; {TRUTH} {ADDED} {DERIVED} {marks} COMMIT;")
    finally:
        connection.close()
    new.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _is_new(path: Path) -> bool:
    """Read the file's first bytes before SQLite touches it. Raises ``StoreError`` for what is not ours."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except FileNotFoundError:
        return True
    except OSError as error:
        raise StoreError(str(path), f"cannot be read: {error.strerror}", "name another folder with --data") from error
    if not head:
        return True
    if not head.startswith(MAGIC) or int.from_bytes(head[68:72], "big") != APPLICATION_ID:
        raise StoreError(str(path), "is another program's file; left untouched", "name another folder with --data")
    version = int.from_bytes(head[60:64], "big")
    if version > VERSION:
        raise StoreError(str(path), f"has version {version}, newer than {VERSION}", "use the newer release")
    return False
