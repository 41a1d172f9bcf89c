"""What people want of machines: commands with their signatures, and who decided what, when and why. A file of its own.

Beside the store, as no block holds it: no rebuild or retention touches it. Any process may open it, so that a command
works beside a running server. What was drafted is never altered, what was signed stays signed, and each change leaves a
line in a history that nothing changes or removes. What came of a command is not here: its gateway alone says that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.store.beside import Beside
from cloud.store.documents import DOCUMENT_STEPS, DOCUMENT_TABLES, Documents
from edge.contract.commands import Command, Signed

FILE = "commands.sqlite3"
APPLICATION_ID = 0x4241424D  # "BABM"
VERSION = 3

_TABLES = f"""
-- `ord` is the order that the cloud gave. `served_ns`: when it first went down to its gateway. `ended`: the last step,
-- once its gateway has told one after which none follows.
CREATE TABLE IF NOT EXISTS command(
    id TEXT PRIMARY KEY, gateway TEXT NOT NULL, ord INTEGER NOT NULL, contract TEXT NOT NULL, asset TEXT NOT NULL,
    tag TEXT NOT NULL, value REAL NOT NULL, issued_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL,
    by TEXT NOT NULL, why TEXT NOT NULL,
    submitted_ns INTEGER NOT NULL DEFAULT 0, served_ns INTEGER NOT NULL DEFAULT 0,
    withdrawn_ns INTEGER NOT NULL DEFAULT 0, withdrawn_by TEXT NOT NULL DEFAULT '',
    withdrawn_why TEXT NOT NULL DEFAULT '', ended TEXT NOT NULL DEFAULT '',
    UNIQUE(gateway, ord)
) STRICT;
CREATE INDEX IF NOT EXISTS command_of_asset ON command(gateway, asset, ord);
CREATE INDEX IF NOT EXISTS command_under_way ON command(gateway, ord) WHERE ended = '';
CREATE TRIGGER IF NOT EXISTS command_stays BEFORE UPDATE OF
    id, gateway, ord, contract, asset, tag, value, issued_ns, expires_ns, by, why ON command
BEGIN SELECT RAISE(ABORT, 'a command is never altered'); END;
CREATE TRIGGER IF NOT EXISTS command_is_kept BEFORE DELETE ON command
BEGIN SELECT RAISE(ABORT, 'a command is never removed'); END;
CREATE TABLE IF NOT EXISTS signature(
    command TEXT NOT NULL REFERENCES command, place INTEGER NOT NULL, key TEXT NOT NULL, at_ns INTEGER NOT NULL,
    signature TEXT NOT NULL, PRIMARY KEY(command, place), UNIQUE(command, key)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS signature_stays BEFORE UPDATE ON signature
BEGIN SELECT RAISE(ABORT, 'a signature is never altered'); END;
CREATE TRIGGER IF NOT EXISTS signature_is_kept BEFORE DELETE ON signature
BEGIN SELECT RAISE(ABORT, 'a signature is never removed'); END;
{DOCUMENT_TABLES}
-- `subject` is the command's or configuration's id, the contract's hash, or an alarm.
CREATE TABLE IF NOT EXISTS history(
    id INTEGER PRIMARY KEY, gateway TEXT NOT NULL, at_ns INTEGER NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL,
    by TEXT NOT NULL, why TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS history_of_gateway ON history(gateway, at_ns);
CREATE TRIGGER IF NOT EXISTS history_stays BEFORE UPDATE ON history
BEGIN SELECT RAISE(ABORT, 'history is never changed'); END;
CREATE TRIGGER IF NOT EXISTS history_is_kept BEFORE DELETE ON history
BEGIN SELECT RAISE(ABORT, 'history is never removed'); END;
"""


@dataclass(frozen=True, slots=True)
class Ordered:
    """A command as it stands in the cloud; times are 0 where it has not come to that. See the table."""

    command: Command
    submitted_ns: int = 0
    served_ns: int = 0
    withdrawn_ns: int = 0
    withdrawn_by: str = ""
    withdrawn_why: str = ""
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody did, and why."""

    gateway: str
    at_ns: int
    what: str
    subject: str
    by: str
    why: str


class Commands:
    """Safe for threads: one connection behind a lock. Raises ``StoreError`` for a file that cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._file = Beside(
            folder / FILE, application_id=APPLICATION_ID, version=VERSION, tables=_TABLES, steps=DOCUMENT_STEPS
        )
        self.documents = Documents(self._file)

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Several changes as one. Raises ``StoreError`` where the file takes none now: then nothing has changed."""
        with self._file.changing():
            yield

    def last_order(self, gateway: str) -> int:
        """The highest of all commands that were drafted for it, 0 where none was."""
        return int(self._file.rows("SELECT coalesce(max(ord), 0) FROM command WHERE gateway = ?", (gateway,))[0][0])

    def last_submitted(self, gateway: str) -> int:
        """The highest order among what was submitted, 0 where nothing was."""
        sql = "SELECT coalesce(max(ord), 0) FROM command WHERE gateway = ? AND submitted_ns > 0"
        return int(self._file.rows(sql, (gateway,))[0][0])

    def get(self, name: str) -> list[Ordered]:
        """Those whose id begins with ``name``, two at the most."""
        return self._found("WHERE id >= ? AND id < ? ORDER BY id LIMIT 2", (name, name + "g"))

    def under_way(self, gateway: str) -> list[Ordered]:
        """What was submitted and has no end that is known, in its order."""
        return self._found("WHERE gateway = ? AND ended = '' AND submitted_ns > 0 ORDER BY ord", (gateway,))

    def all(self, gateway: str | None = None, asset: str | None = None, *, limit: int = 50) -> list[Ordered]:
        """Also drafts; the newest first."""
        where = "WHERE gateway = coalesce(?, gateway) AND asset = coalesce(?, asset)"
        return self._found(f"{where} ORDER BY issued_ns DESC, ord DESC LIMIT ?", (gateway, asset, limit))

    def draft(self, command: Command) -> None:
        """Enter a command without signatures, inside ``changing``."""
        values = tuple(getattr(command, name) for name in ("id", "gateway", "order", *_SIGNED_FIELDS))
        self._file.write(f"INSERT INTO command({_COLUMNS}) VALUES ({','.join('?' * len(values))})", values)

    def sign(self, command: str, signed: Signed) -> None:
        """Add a signature, inside ``changing``."""
        sql = "INSERT INTO signature SELECT ?, count(*), ?, ?, ? FROM signature WHERE command = ?"
        self._file.write(sql, (command, signed.key, signed.at_ns, signed.signature, command))

    def submit(self, command: str, at_ns: int) -> None:
        self._file.write("UPDATE command SET submitted_ns = ? WHERE id = ?", (at_ns, command))

    def serve(self, commands: list[str], at_ns: int) -> None:
        """They go down to their gateway now, inside ``changing``; from here on nobody can say that they did not."""
        sql = "UPDATE command SET served_ns = ? WHERE id = ? AND served_ns = 0"
        self._file.write(sql, *((at_ns, command) for command in commands))

    def withdraw(self, command: str, at_ns: int, by: str, why: str) -> None:
        sql = "UPDATE command SET withdrawn_ns = ?, withdrawn_by = ?, withdrawn_why = ? WHERE id = ?"
        self._file.write(sql, (at_ns, by, why, command))

    def end(self, command: str, step: str) -> None:
        """What its gateway told last of it, or that it never went down."""
        self._file.write("UPDATE command SET ended = ? WHERE id = ?", (step, command))

    def history(self, gateway: str | None = None, *, subject: str | None = None, limit: int = 50) -> list[Line]:
        """The newest first."""
        rows = self._file.rows(
            "SELECT gateway, at_ns, what, subject, by, why FROM history WHERE gateway = coalesce(?, gateway)"
            " AND subject = coalesce(?, subject) ORDER BY id DESC LIMIT ?", (gateway, subject, limit),
        )  # fmt: skip
        return [Line(*row) for row in rows]

    def stamp(self) -> tuple[int, int]:
        """Another one after each change of the file."""
        return self._file.stamp()

    def changed_ns(self, gateway: str) -> int:
        """When anything was decided last about a gateway: no two decisions have the same."""
        return int(self._file.rows("SELECT coalesce(max(at_ns), 0) FROM history WHERE gateway = ?", (gateway,))[0][0])

    def changed(self) -> dict[str, int]:
        """The same of every gateway."""
        return dict(self._file.rows("SELECT gateway, max(at_ns) FROM history GROUP BY gateway"))

    def write(self, gateway: str, at_ns: int, what: str, subject: str, by: str, why: str) -> None:
        """A line of the history, inside ``changing``. Its time is made later than any before."""
        at_ns = max(at_ns, self.changed_ns(gateway) + 1)
        sql = "INSERT INTO history(gateway, at_ns, what, subject, by, why) VALUES (?,?,?,?,?,?)"
        self._file.write(sql, (gateway, at_ns, what, subject, by, why))

    def _found(self, where: str, values: tuple[Any, ...]) -> list[Ordered]:
        rows = self._file.rows(f"SELECT {_COLUMNS}, {_COURSE} FROM command {where}", values)
        return [self._ordered(row) for row in rows]

    def _ordered(self, row: tuple[Any, ...]) -> Ordered:
        sql = "SELECT key, at_ns, signature FROM signature WHERE command = ? ORDER BY place"
        signed = tuple(Signed(*one) for one in self._file.rows(sql, (row[0],)))
        fields = dict(zip(("gateway", "order", *_SIGNED_FIELDS), row[1:_COMMAND_WIDTH], strict=True))
        return Ordered(Command(**fields, signed=signed), *row[_COMMAND_WIDTH:])


_SIGNED_FIELDS = ("contract", "asset", "tag", "value", "issued_ns", "expires_ns", "by", "why")
_COLUMNS = f"id, gateway, ord, {', '.join(_SIGNED_FIELDS)}"
_COMMAND_WIDTH = 3 + len(_SIGNED_FIELDS)
_COURSE = "submitted_ns, served_ns, withdrawn_ns, withdrawn_by, withdrawn_why, ended"
