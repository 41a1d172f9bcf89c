"""Rollouts: which bundle is to judge which machines, how far that is, and who decided what, why. A file of its own.

Beside the store, as no block holds it: no rebuild or retention touches it. Any process may open it, so that a command
works beside a running server; each change is one transaction, with its line in the history, which is never changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from cloud.store.beside import Beside

FILE = "rollouts.sqlite3"
APPLICATION_ID = 0x42414252  # "BABR"
VERSION = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS rollout(
    number INTEGER PRIMARY KEY, asset_class TEXT NOT NULL, bundle TEXT NOT NULL, size INTEGER NOT NULL,
    stages TEXT NOT NULL, scope TEXT NOT NULL, watch_s REAL NOT NULL, tolerate REAL NOT NULL,
    by TEXT NOT NULL, why TEXT NOT NULL, at_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL,
    stage INTEGER NOT NULL, stage_ns INTEGER NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_rolls_in_a_class ON rollout(asset_class) WHERE state = 'rolling';
-- The machines that are reached, each from the stage in which it was; what their gateways told last of the bundle, and
-- verdicts of the bundle (new) and of others (old) that were counted up to `upto_ns`.
CREATE TABLE IF NOT EXISTS member(
    number INTEGER NOT NULL REFERENCES rollout, gateway TEXT NOT NULL, asset TEXT NOT NULL, stage INTEGER NOT NULL,
    step TEXT NOT NULL DEFAULT '', step_ns INTEGER NOT NULL DEFAULT 0, words TEXT NOT NULL DEFAULT '',
    upto_ns INTEGER NOT NULL, new_verdicts INTEGER NOT NULL DEFAULT 0, new_unknown INTEGER NOT NULL DEFAULT 0,
    new_anomalous INTEGER NOT NULL DEFAULT 0, old_verdicts INTEGER NOT NULL DEFAULT 0,
    old_unknown INTEGER NOT NULL DEFAULT 0, old_anomalous INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY(number, gateway, asset)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history(
    id INTEGER PRIMARY KEY, number INTEGER NOT NULL, at_ns INTEGER NOT NULL, what TEXT NOT NULL, by TEXT NOT NULL,
    why TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS history_stays BEFORE UPDATE ON history
BEGIN SELECT RAISE(ABORT, 'history is never changed'); END;
CREATE TRIGGER IF NOT EXISTS history_is_kept BEFORE DELETE ON history
BEGIN SELECT RAISE(ABORT, 'history is never removed'); END;
"""


class State(StrEnum):
    ROLLING = "rolling"
    DONE = "done"
    ROLLED_BACK = "rolled back"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Rollout:
    """``bundle`` for ``scope`` (``gateway/asset``; all machines of the class where it is empty), in ``stages``.

    Stages are shares of the machines, rising to 1; ``stage`` counts from 1, since ``stage_ns``. ``tolerate`` is the
    share of the reached machines that may give the bundle up before all do.
    """

    number: int
    asset_class: str
    bundle: str
    size: int
    stages: tuple[float, ...]
    scope: tuple[str, ...]
    watch_s: float
    tolerate: float
    by: str
    why: str
    at_ns: int
    expires_ns: int
    stage: int
    stage_ns: int
    state: State
    note: str


@dataclass(frozen=True, slots=True)
class Member:
    """A machine that a rollout has reached; see the table."""

    number: int
    gateway: str
    asset: str
    stage: int
    step: str = ""
    step_ns: int = 0
    words: str = ""
    upto_ns: int = 0
    new_verdicts: int = 0
    new_unknown: int = 0
    new_anomalous: int = 0
    old_verdicts: int = 0
    old_unknown: int = 0
    old_anomalous: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """What was done to a rollout, by whom and why."""

    number: int
    at_ns: int
    what: str
    by: str
    why: str


class Rollouts:
    """Safe for threads: one connection behind a lock. Raises ``StoreError`` for a file that cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._file = Beside(folder / FILE, application_id=APPLICATION_ID, version=VERSION, tables=_TABLES)

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Several changes as one. Raises ``StoreError`` where the file takes none now: then nothing has changed."""
        with self._file.changing():
            yield

    def all(self, *, asset_class: str | None = None) -> list[Rollout]:
        """The newest first."""
        where, values = ("WHERE asset_class = ?", (asset_class,)) if asset_class else ("", ())
        return [_rollout(row) for row in self._file.rows(f"SELECT * FROM rollout {where} ORDER BY number DESC", values)]

    def get(self, number: int) -> Rollout | None:
        rows = self._file.rows("SELECT * FROM rollout WHERE number = ?", (number,))
        return _rollout(rows[0]) if rows else None

    def members(self, number: int, *, gateway: str | None = None) -> list[Member]:
        """The machines that a rollout has reached, of one gateway or of all."""
        rows = self._file.rows(
            "SELECT * FROM member WHERE number = ? AND gateway = coalesce(?, gateway) ORDER BY stage, gateway, asset",
            (number, gateway),
        )
        return [Member(*row) for row in rows]

    def history(self, *, limit: int = 50) -> list[Line]:
        """The newest first."""
        rows = self._file.rows("SELECT number, at_ns, what, by, why FROM history ORDER BY id DESC LIMIT ?", (limit,))
        return [Line(*row) for row in rows]

    def stamp(self) -> tuple[int, int]:
        """Another one after each change of the file."""
        return self._file.stamp()

    def changed_ns(self) -> int:
        """When anything was decided last: no two decisions have the same."""
        return int(self._file.rows("SELECT coalesce(max(at_ns), 0) FROM history", ())[0][0])

    def add(self, rollout: Rollout) -> int:
        """Enter a rollout, inside ``changing``; its number is given here."""
        (number,) = self._file.rows("SELECT coalesce(max(number), 0) + 1 FROM rollout", ())[0]
        self._file.write(f"INSERT INTO rollout VALUES ({_marks(Rollout)})", _row(rollout, number))
        return int(number)

    def settle(self, number: int, *, state: State, stage: int, stage_ns: int, note: str = "") -> None:
        """Where a rollout stands, inside ``changing``."""
        self._file.write(
            "UPDATE rollout SET state = ?, stage = ?, stage_ns = ?, note = ? WHERE number = ?",
            (str(state), stage, stage_ns, note, number),
        )

    def reach(self, members: Sequence[Member]) -> None:
        """Machines that a rollout reaches from now on, inside ``changing``; those that it has stay as they are."""
        self._file.write(f"INSERT OR IGNORE INTO member VALUES ({_marks(Member)})", *map(_row, members))

    def told(self, member: Member) -> None:
        """What became of a machine, inside ``changing``."""
        self._file.write(f"REPLACE INTO member VALUES ({_marks(Member)})", _row(member))

    def write(self, number: int, at_ns: int, what: str, by: str, why: str) -> None:
        """A line of the history, inside ``changing``. Its time is made later than any before."""
        at_ns = max(at_ns, self.changed_ns() + 1)
        self._file.write(
            "INSERT INTO history(number, at_ns, what, by, why) VALUES (?,?,?,?,?)", (number, at_ns, what, by, why)
        )


def _marks(cls: type[Any]) -> str:
    return ",".join("?" * len(fields(cls)))


def _row(record: Rollout | Member, number: int | None = None) -> tuple[Any, ...]:
    """As the table's columns are, with lists as JSON."""
    values = [getattr(record, field.name) for field in fields(record)]
    if number is not None:
        values[0] = number
    return tuple(msgspec.json.encode(value).decode() if isinstance(value, tuple) else value for value in values)


def _rollout(row: tuple[Any, ...]) -> Rollout:
    told = dict(zip((field.name for field in fields(Rollout)), row, strict=True))
    told["stages"], told["scope"] = (tuple(msgspec.json.decode(told[name])) for name in ("stages", "scope"))
    return Rollout(**told | {"state": State(told["state"])})
